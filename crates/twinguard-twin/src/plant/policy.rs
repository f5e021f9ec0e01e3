//! Who may send what: zones, principals, rules. The gate reads these.
//!
//! Source: zones and conduits of IEC 62443-3-2; a default of deny, and forbid over allow, as in NIST SP 800-207 §3.

use core::net::IpAddr;

use twinguard_types::{Principal, Range, SignalId};

/// A block of addresses.
///
/// ```
/// use twinguard_twin::plant::Network;
///
/// let cell: Network = "10.0.0.0/24".parse()?;
/// assert!(cell.contains("10.0.0.10".parse()?) && !cell.contains("10.0.1.10".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no address and no CIDR block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address or a CIDR block")]
pub struct BadNetwork(pub String);

impl Network {
    /// Number of leading bits that its addresses share; the larger, the narrower.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether the address lies in it. IPv4 addresses mapped into IPv6 count as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (u32::from(own) ^ u32::from(other)).checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (u128::from(own) ^ u128::from(other)).checked_shr(128 - u32::from(self.prefix)).unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }
}

impl core::str::FromStr for Network {
    type Err = BadNetwork;
    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.chars().take(120).collect());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(widest), str::parse).map_err(|_| bad())?;
        if prefix > widest {
            return Err(bad());
        }
        Ok(Self { address, prefix })
    }
}

impl core::fmt::Display for Network {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let widest = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix == widest {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// A zone of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub networks: Vec<Network>,
}

/// Somebody whom the file names.
#[derive(Clone, Debug, PartialEq)]
pub struct Party {
    /// Name, kind and roles.
    pub principal: Principal,
    /// Where it speaks from; empty: anywhere.
    pub networks: Vec<Network>,
}

/// One line of policy. Empty lists of who, modes and windows do not restrict.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, shown in verdicts.
    pub name: String,
    /// Whether it lets through or keeps out.
    pub effect: Effect,
    /// The sender is in one of these zones, and …
    pub zones: Vec<String>,
    /// … holds one of these roles, and …
    pub roles: Vec<String>,
    /// … is one of these principals or …
    pub principals: Vec<String>,
    /// … speaks from one of these networks (both come from the key `principals`).
    pub networks: Vec<Network>,
    /// What is done.
    pub verbs: Vec<Verb>,
    /// Patterns over signal paths as written: `*` stands for any text.
    pub patterns: Vec<String>,
    /// The signals that the patterns match, sorted.
    pub signals: Vec<SignalId>,
    /// Values that may be written; of a `forbid`: that may not.
    pub range: Option<Range>,
    /// Commands per minute, over all its signals together.
    pub commands_per_minute: Option<f64>,
    /// Times of the week, UTC.
    pub windows: Vec<Window>,
    /// Operating modes in which it holds.
    pub modes: Vec<String>,
    /// Whether a second person has to agree.
    pub two_person: bool,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Effect {
    /// Lets through.
    #[default]
    Allow,
    /// Keeps out, whatever else allows it.
    Forbid,
}

/// What somebody does to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Verb {
    /// Reads its value.
    Read,
    /// Writes a value: a command.
    Write,
    /// Changes the device or the model behind it: program, firmware, configuration.
    Configure,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Configure];

    /// The word that files write for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Configure => "configure",
        }
    }
}

/// A span of time that comes again each week, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Weekdays on which it starts: bit 0 Monday … bit 6 Sunday.
    pub days: u8,
    /// Minute of the day at which it starts, 0 to 1439.
    pub from: u16,
    /// Minute of the day before which it ends, 1 to 1440; not later than `from`: it ends on the next day.
    pub to: u16,
}

impl Window {
    /// Whether the instant lies in it. 1970-01-01 was a Thursday; leap seconds do not count.
    #[must_use]
    pub fn contains(&self, at: twinguard_types::Timestamp) -> bool {
        let minutes = at.as_nanos().div_euclid(60_000_000_000);
        let day = (minutes.div_euclid(1440) + 3).rem_euclid(7) as u8;
        let minute = minutes.rem_euclid(1440) as u16;
        let starts = |day: u8| self.days >> day & 1 == 1;
        if self.from < self.to {
            starts(day) && (self.from..self.to).contains(&minute)
        } else {
            (starts(day) && minute >= self.from) || (starts((day + 6) % 7) && minute < self.to)
        }
    }
}

/// Whether `*`-pattern and text agree; linear memory, no recursion.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::Timestamp;

    #[test]
    fn plant_networks_hold_their_addresses() {
        for (network, address, inside) in [
            ("10.0.0.10", "10.0.0.10", true),
            ("10.0.0.10", "10.0.0.11", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("fd00::/8", "fd12::1", true),
            ("::/0", "10.0.0.1", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), inside, "{network} {address}");
            assert_eq!(parsed.to_string(), network);
        }
        for bad in ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/x", "host"] {
            assert!(bad.parse::<Network>().is_err());
        }
    }

    #[test]
    fn plant_patterns_match_as_in_a_shell() {
        for (pattern, text, same) in [
            ("cooler.*", "cooler.pump.command", true),
            ("cooler.*", "coolers", false),
            ("*", "", true),
            ("*.command", "cooler.pump.command", true),
            ("a*b*a", "aba", true),
            ("a*b*a", "ab", false),
            ("aa*aa", "aaa", false),
            ("oil", "oil", true),
            ("oil", "oils", false),
        ] {
            assert_eq!(matches(pattern, text), same, "{pattern} {text}");
        }
    }

    #[test]
    fn plant_windows_end_on_the_next_day() {
        // 2024-01-05 was a Friday.
        let friday = Timestamp::from_secs(1_704_412_800);
        let at = |hours: i64| friday + twinguard_types::Duration::from_secs(hours * 3600);
        let night = Window { days: 1 << 4, from: 22 * 60, to: 6 * 60 };
        let inside: Vec<_> = [21, 22, 29, 30, 46].map(|hours| night.contains(at(hours))).into();
        assert_eq!(inside, [false, true, true, false, false]);
        let shift = Window { days: 0b1_1111, from: 360, to: 840 };
        assert!(shift.contains(at(6)) && !shift.contains(at(14)) && !shift.contains(at(30)));
    }
}
