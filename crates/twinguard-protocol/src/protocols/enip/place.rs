//! Places and their text.

use core::fmt;

use crate::protocol::{Name, Tag};

/// What the space of a tag packs: a kind in the top three bits, then what the kind needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A tag of a Logix controller by its name; the address is the last index.
    Symbol,
    /// An object or its attribute; the address counts its bytes.
    Object {
        /// Class.
        class: u16,
        /// Instance, up to 24 bits.
        instance: u32,
        /// Attribute; 0 for the object as a whole.
        attribute: u16,
    },
    /// What a class-specific service of an object tells or takes; the address counts bytes.
    Service {
        /// Class.
        class: u16,
        /// Instance, up to 24 bits.
        instance: u32,
        /// Service code.
        code: u8,
    },
    /// A connection whose opening was not seen; the address counts bytes.
    Connection(u32),
    /// A tag of a Logix controller by its place in the list of symbols; the address is the last index.
    Listed(u32),
}

/// The largest instance that a tag can name.
const INSTANCE_MAX: u32 = 0xff_ffff;

impl Place {
    /// Packs it.
    pub(super) fn space(self) -> u64 {
        let object =
            |class: u16, instance: u32| u64::from(class) << 40 | u64::from(instance & INSTANCE_MAX) << 16;
        match self {
            Self::Symbol => 0,
            Self::Object { class, instance, attribute } => {
                1 << 61 | object(class, instance) | u64::from(attribute)
            }
            Self::Service { class, instance, code } => 2 << 61 | object(class, instance) | u64::from(code),
            Self::Connection(id) => 3 << 61 | u64::from(id),
            Self::Listed(instance) => 4 << 61 | u64::from(instance),
        }
    }

    /// The place of a tag of this family.
    #[must_use]
    pub fn of(tag: &Tag<'_>) -> Option<Self> {
        let (class, instance) = ((tag.space >> 40) as u16, (tag.space >> 16) as u32 & INSTANCE_MAX);
        let place = match tag.space >> 61 {
            0 => Self::Symbol,
            1 => Self::Object { class, instance, attribute: tag.space as u16 },
            2 => Self::Service { class, instance, code: tag.space as u8 },
            3 => Self::Connection(tag.space as u32),
            4 => Self::Listed(tag.space as u32),
            _ => return None,
        };
        (place.space() == tag.space).then_some(place)
    }

    /// The place of an object's attribute, if tags can name it.
    pub(super) fn object(class: Option<u32>, instance: Option<u32>, attribute: Option<u32>) -> Option<Self> {
        let class = u16::try_from(class?).ok()?;
        let instance = instance.unwrap_or(0);
        let attribute = u16::try_from(attribute.unwrap_or(0)).ok()?;
        Some(match (class, attribute) {
            (0x6b, 0) => Self::Listed(instance),
            _ if instance > INSTANCE_MAX => return None,
            _ => Self::Object { class, instance, attribute },
        })
    }

    /// The tag of this place at this address.
    #[must_use]
    pub fn tag(self, address: u32) -> Tag<'static> {
        Tag { space: self.space(), name: Name::default(), address: Some(address) }
    }
}

/// See the family's grammar.
pub(super) fn parse(text: &str) -> Option<Tag<'_>> {
    let place = match text.as_bytes().first()? {
        b'0'..=b'9' => return parse_object(text),
        b'#' => {
            let (id, address) = offset(text.get(1..)?)?;
            return Some(Place::Connection(hex(id)?).tag(address));
        }
        _ => Place::Symbol,
    };
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() || !byte.is_ascii());
    let (name, address) = index(text)?;
    let tag = Tag { space: place.space(), name: Name::new([name.as_bytes()]), address: Some(address) };
    (plain && begins_name(name.as_bytes())).then_some(tag)
}

/// Whether a tag that begins so is the name of a Logix tag.
pub(super) fn begins_name(name: &[u8]) -> bool {
    name.first().is_some_and(|first| !first.is_ascii_digit() && !matches!(first, b'#' | b'['))
}

/// `name[3]`, `name[1,3]`, `name`: the name as it is kept, and the last index.
fn index(text: &str) -> Option<(&str, u32)> {
    let Some(inner) = text.strip_suffix(']') else { return Some((text, 0)) };
    let start = inner.rfind([',', '['])?;
    let number = number(inner.get(start + 1..)?)?;
    // One index is written behind the name, a later one behind its comma.
    let name = match inner.as_bytes().get(start)? {
        b',' => inner.get(..=start)?,
        _ => inner.get(..start)?,
    };
    Some((name, number))
}

fn parse_object(text: &str) -> Option<Tag<'_>> {
    if let Some(listed) = text.strip_prefix("0x6b/").filter(|rest| !rest.contains(['/', '#', '+'])) {
        let (instance, address) = index(listed)?;
        return Some(Place::Listed(number(instance)?).tag(address));
    }
    let (path, address) = offset(text)?;
    let (path, service) = match path.split_once('#') {
        Some((path, service)) => (path, Some(service)),
        None => (path, None),
    };
    let mut parts = path.split('/');
    let class = hex(parts.next()?)?;
    let instance = number::<u32>(parts.next()?).filter(|instance| *instance <= INSTANCE_MAX)?;
    let attribute = parts.next();
    if parts.next().is_some() {
        return None;
    }
    let Some(service) = service else {
        let attribute = attribute.map_or(Some(0), |text| number(text).filter(|attribute| *attribute != 0))?;
        return Some(Place::Object { class, instance, attribute }.tag(address));
    };
    let (code, given) = match service.strip_suffix(')') {
        Some(call) => call.split_once('(')?,
        None => (service, ""),
    };
    let plain = given.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) && given.len() % 2 == 0;
    if attribute.is_some() || !plain || service.ends_with("()") {
        return None;
    }
    let place = Place::Service { class, instance, code: hex(code)? };
    Some(Tag { name: Name::new([given.as_bytes()]), ..place.tag(address) })
}

/// `text+4`: what stands before, and the number of bytes.
fn offset(text: &str) -> Option<(&str, u32)> {
    match text.split_once('+') {
        Some((before, offset)) => Some((before, number(offset).filter(|offset| *offset != 0)?)),
        None => Some((text, 0)),
    }
}

/// Decimal digits alone: one way to write a tag.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// `0x` and lower-case digits.
fn hex<T: TryFrom<u32>>(text: &str) -> Option<T> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    let number = u32::from_str_radix(digits, 16).ok().filter(|_| plain)?;
    T::try_from(number).ok()
}

pub(super) fn write(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [name, ..] = tag.name.parts();
    let name = String::from_utf8_lossy(name);
    let bytes = |f: &mut fmt::Formatter<'_>| match tag.address {
        Some(0) | None => Ok(()),
        Some(offset) => write!(f, "+{offset}"),
    };
    let element = |f: &mut fmt::Formatter<'_>| match tag.address {
        Some(index) if name.ends_with(',') => write!(f, "{index}]"),
        Some(0) | None => Ok(()),
        Some(index) => write!(f, "[{index}]"),
    };
    if tag.address.is_none() {
        return f.write_str("?");
    }
    match Place::of(tag) {
        Some(Place::Symbol) => {
            f.write_str(&name)?;
            element(f)
        }
        Some(Place::Listed(instance)) => {
            write!(f, "0x6b/{instance}")?;
            element(f)
        }
        Some(Place::Object { class, instance, attribute }) => {
            write!(f, "0x{class:02x}/{instance}")?;
            if attribute != 0 {
                write!(f, "/{attribute}")?;
            }
            bytes(f)
        }
        Some(Place::Service { class, instance, code }) => {
            write!(f, "0x{class:02x}/{instance}#0x{code:02x}")?;
            if !name.is_empty() {
                write!(f, "({name})")?;
            }
            bytes(f)
        }
        Some(Place::Connection(id)) => {
            write!(f, "#0x{id:08x}")?;
            bytes(f)
        }
        None => f.write_str("?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(tag: Tag<'_>) -> String {
        fmt::from_fn(|f| write(&tag, f)).to_string()
    }

    #[test]
    fn a_tag_is_written_in_one_way() {
        for good in [
            "Tag",
            "Program:Main.Tag[3].x",
            "Program:Main.Tag[3]",
            "Tag[1,2]",
            "Tag[1,0]",
            "Tag[1,2].a.b[7]",
            "0x6b/12",
            "0x6b/12[4]",
            "0x04/100/3",
            "0x04/100/3+4",
            "0x01/1",
            "0x6b/1/3",
            "0x72/0#0x4c(00ce04000100)",
            "0xa1/1#0x4d+8",
            "#0x004b0603+2",
        ] {
            assert_eq!(parse(good).map(show).as_deref(), Some(good));
        }
        for bad in [
            "",
            "[3]",
            "Tag[]",
            "Tag[x]",
            "Tag 1",
            "0x01",
            "1/1/1",
            "0x01/1/0",
            "0x01/01",
            "0x72/0#0x4c()",
            "#12",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(parse("Tag[0]").map(show).as_deref(), Some("Tag"), "a tag is its first element");
        assert_eq!(parse("Tag[3]").unwrap().address, Some(3));
    }

    proptest! {
        #[test]
        fn places_read_back(kind in 0..4, class: u16, instance in 0..=INSTANCE_MAX, attribute in 1..=u16::MAX, code: u8, address: u32) {
            let place = match kind {
                0 => Place::Object { class, instance, attribute },
                1 => Place::Service { class, instance, code },
                2 => Place::Connection(instance),
                _ => Place::Listed(instance),
            };
            let tag = place.tag(address);
            prop_assert_eq!(Place::of(&tag), Some(place));
            let text = show(tag);
            prop_assert_eq!(parse(&text), Some(tag));
        }
    }
}
