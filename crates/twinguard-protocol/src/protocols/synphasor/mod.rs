//! Synchrophasors: IEEE C37.118.2-2011, and C37.118-2005 whose frames are the same but for configuration 3.
//!
//! Source: *IEEE Std C37.118.2-2011, Standard for Synchrophasor Data Transfer for Power Systems* (clauses §…, tables …).
//!
//! Data frames mean nothing without the configuration frame of their stream, so that frame is kept for all
//! conversations, by identifier and sender: it often comes over TCP and the data over UDP.
//!
//! Tags are `<stream>/<unit>/<channel>`, both identifiers from the configuration, channels from 0 in its order:
//! `ph0.mag`, `ph0.ang` (radians) or `ph0.re`, `ph0.im` as the unit sends them, `freq` (Hz), `rocof` (Hz/s), `an0`, `dg0`
//! (a word of 16 states), `stat`.

use core::fmt;

use twinguard_types::Label;

mod config;
mod data;
mod fields;
mod repr;
mod view;

pub use config::{CONFIGS_MAX, Config, Format, Shared, Unit};
pub use data::{Blocks, quality};
pub use repr::{Content, Illegal, Repr};
pub use view::{FrameType, HEADER_LEN, View, checksum};

use crate::protocol::{
    Action, Carrier, Context, Cut, Field, Fit, Header, Kind, Name, Oddities, Protocol, Sender, Tag,
};
use twinguard_types::Oddity;

/// The ports that the standard suggests for TCP and for UDP (§E.2).
pub const PORTS: [u16; 2] = [4712, 4713];

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Synphasor;

/// What a channel holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Status word of the unit.
    Status,
    /// Magnitude of a phasor, in volts or amperes.
    Magnitude,
    /// Angle of a phasor, in radians.
    Angle,
    /// Real part of a phasor.
    Real,
    /// Imaginary part of a phasor.
    Imaginary,
    /// Frequency in Hz.
    Frequency,
    /// Rate of change of frequency in Hz/s.
    Rocof,
    /// Analog value.
    Analog,
    /// Word of 16 states.
    Digital,
}

impl Channel {
    const ALL: [Self; 9] = [
        Self::Status,
        Self::Magnitude,
        Self::Angle,
        Self::Real,
        Self::Imaginary,
        Self::Frequency,
        Self::Rocof,
        Self::Analog,
        Self::Digital,
    ];

    /// What stands before and behind its number; nothing behind a channel that comes once.
    const fn affixes(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Status => ("stat", None),
            Self::Magnitude => ("ph", Some(".mag")),
            Self::Angle => ("ph", Some(".ang")),
            Self::Real => ("ph", Some(".re")),
            Self::Imaginary => ("ph", Some(".im")),
            Self::Frequency => ("freq", None),
            Self::Rocof => ("rocof", None),
            Self::Analog => ("an", Some("")),
            Self::Digital => ("dg", Some("")),
        }
    }
}

/// The place of a channel, the meaning of a [`Tag`] of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Identifier of the stream.
    pub stream: u16,
    /// Identifier of the unit in the stream.
    pub unit: u16,
    /// What it is.
    pub channel: Channel,
    /// Its number among those of its sort, from 0.
    pub index: u32,
}

impl Place {
    /// The place of a tag of this family.
    #[must_use]
    pub fn of(tag: &Tag<'_>) -> Option<Self> {
        let channel = *Channel::ALL.get((tag.space & 0xff) as usize)?;
        let (stream, unit) = ((tag.space >> 32) as u16, (tag.space >> 16) as u16);
        Some(Self { stream, unit, channel, index: tag.address? })
    }

    /// The tag of this place.
    #[must_use]
    pub fn tag(self) -> Tag<'static> {
        let space = u64::from(self.stream) << 32 | u64::from(self.unit) << 16 | self.channel as u64;
        Tag { space, name: Name::default(), address: Some(self.index) }
    }
}

/// What is kept of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memo {
    command: Option<u16>,
}

impl Protocol for Synphasor {
    const FAMILY: Label = Label::literal("synphasor");
    const CARRIERS: &'static [Carrier] =
        &[Carrier::Tcp(PORTS[0]), Carrier::Udp(PORTS[1]), Carrier::Udp(PORTS[0]), Carrier::Tcp(PORTS[1])];

    type Pdu<'a> = View<'a>;
    type Memo = Memo;
    type Session = ();
    type Shared = Shared;
    type Blocks<'a> = Blocks<'a>;

    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        view::cut(bytes)
    }

    fn probe(bytes: &[u8]) -> Option<Sender> {
        view::probe(bytes)
    }

    #[inline]
    fn decode<'a>(
        _session: &'a mut (),
        shared: &'a mut Shared,
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        let mut view = View::new(bytes)?;
        let configures = matches!(view.frame_type(), FrameType::Config2 | FrameType::Config3);
        if configures && !view.oddities().contains(Oddity::BadChecksum) {
            shared.learn(context.source, &view);
        }
        view.config = shared.find(context.source, view.id());
        Some(view)
    }

    #[inline]
    fn header(view: &View<'_>) -> Header {
        // Nothing says which answer belongs to which command, and streams tell without being asked (§4.2).
        let kind = if view.frame_type() == FrameType::Command { Kind::Control } else { Kind::Event };
        Header { kind, unit: view.id(), function: u16::from(view.code()), key: None }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        let mut oddities = *view.oddities();
        if view.config.is_some_and(|config| !config.explains(view)) {
            oddities.push(Oddity::LengthMismatch, HEADER_LEN);
        }
        oddities
    }

    #[inline]
    fn memo(view: &View<'_>) -> Memo {
        Memo { command: view.command() }
    }

    #[inline]
    fn fit(_memo: &Memo, _view: &View<'_>) -> Fit {
        Fit::No
    }

    /// Table 15: stop and start the stream, ask for the header or a configuration, anything else that users agree on.
    fn action(memo: &Memo) -> Option<Action> {
        Some(match memo.command? {
            1 => Action::Stop,
            2 => Action::Start,
            3..=6 => Action::Browse,
            8 | 0x100..=0xfff => Action::Configure,
            _ => return None,
        })
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&Memo>) -> Self::Blocks<'a> {
        Blocks::new(view)
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        fields::list(view, put);
    }

    fn function_name(function: u16) -> &'static str {
        match function {
            0 => "data",
            1 => "header",
            2 => "configuration 1",
            3 => "configuration 2",
            4 => "command",
            5 => "configuration 3",
            _ => "undefined",
        }
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let mut parts = text.split('/');
        let (stream, unit, name) = (number(parts.next()?)?, number(parts.next()?)?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        Channel::ALL.into_iter().find_map(|channel| {
            let index = match channel.affixes() {
                (whole, None) => (name == whole).then_some(0)?,
                (before, Some(behind)) => number(name.strip_prefix(before)?.strip_suffix(behind)?)?,
            };
            Some(Place { stream, unit, channel, index }.tag())
        })
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Place { stream, unit, channel, index }) = Place::of(tag) else { return f.write_str("?") };
        match channel.affixes() {
            (whole, None) => write!(f, "{stream}/{unit}/{whole}"),
            (before, Some(behind)) => write!(f, "{stream}/{unit}/{before}{index}{behind}"),
        }
    }
}

/// Decimal digits alone: one way to write a tag.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
