//! What families have in common of which only headers are read: conversations are seen, paired and counted, and what
//! they do to a device as a whole is told; values are not read.

use twinguard_types::Label;

use crate::protocol::{Action, Carrier, Cut, Field, Header, Oddities, Sender};

/// A message of which only the header was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outline<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// What it does.
    pub header: Header,
    /// Who sends it, by its shape alone.
    pub sender: Sender,
    /// What it does to the device as a whole.
    pub action: Option<Action>,
    /// Whether it is, beyond reasonable doubt, of its family.
    pub certain: bool,
    /// What is odd about it.
    pub oddities: Oddities,
}

/// What is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlineMemo {
    /// Its function.
    pub function: u16,
    /// What it does to the device as a whole.
    pub action: Option<Action>,
}

/// What a family of which only headers are read has to say about itself; see [`Protocol`](crate::Protocol).
pub trait Outlined {
    /// Its name.
    const FAMILY: Label;
    /// Where it is met by agreement.
    const CARRIERS: &'static [Carrier];

    /// Where the first message in these bytes ends.
    fn frame(bytes: &[u8]) -> Cut;

    /// Reads the header of a whole message; `sender` as far as known.
    fn read(bytes: &[u8], sender: Sender) -> Option<Outline<'_>>;

    /// Whether a message tells nothing by itself.
    #[must_use]
    fn is_upkeep(_bytes: &[u8]) -> bool {
        false
    }

    /// Names the header's fields.
    fn list(outline: &Outline<'_>, put: &mut dyn FnMut(&'static str, Field<'_>));

    /// The name of a function.
    #[must_use]
    fn name(function: u16) -> &'static str;
}

/// Makes an [`Outlined`] type a protocol family.
macro_rules! outlined {
    ($family:ident) => {
        impl $crate::protocol::Protocol for $family {
            const FAMILY: twinguard_types::Label = <Self as $crate::outline::Outlined>::FAMILY;
            const CARRIERS: &'static [$crate::protocol::Carrier] =
                <Self as $crate::outline::Outlined>::CARRIERS;

            type Pdu<'a> = $crate::outline::Outline<'a>;
            type Memo = $crate::outline::OutlineMemo;
            type Session = ();
            type Shared = ();
            type Blocks<'a> = core::iter::Empty<$crate::protocol::Block<'a>>;

            #[inline]
            fn cut(bytes: &[u8]) -> $crate::protocol::Cut {
                <Self as $crate::outline::Outlined>::frame(bytes)
            }

            fn probe(bytes: &[u8]) -> Option<$crate::protocol::Sender> {
                $crate::outline::probe::<Self>(bytes)
            }

            fn absorb((): &mut (), _source: &$crate::protocol::Address, bytes: &[u8]) -> bool {
                Self::is_upkeep(bytes)
            }

            fn decode<'a>(
                (): &'a mut (),
                (): &'a mut (),
                context: &$crate::protocol::Context,
                bytes: &'a [u8],
            ) -> Option<$crate::outline::Outline<'a>> {
                Self::read(bytes, context.sender)
            }

            fn header(outline: &$crate::outline::Outline<'_>) -> $crate::protocol::Header {
                outline.header
            }

            fn oddities(outline: &$crate::outline::Outline<'_>) -> $crate::protocol::Oddities {
                outline.oddities
            }

            fn memo(outline: &$crate::outline::Outline<'_>) -> $crate::outline::OutlineMemo {
                let function = outline.header.function;
                $crate::outline::OutlineMemo { function, action: outline.action }
            }

            fn fit(
                _: &$crate::outline::OutlineMemo,
                _: &$crate::outline::Outline<'_>,
            ) -> $crate::protocol::Fit {
                $crate::protocol::Fit::Exact
            }

            fn action(memo: &$crate::outline::OutlineMemo) -> Option<$crate::protocol::Action> {
                memo.action
            }

            fn blocks<'a>(_: &Self::Pdu<'a>, _: Option<&$crate::outline::OutlineMemo>) -> Self::Blocks<'a> {
                core::iter::empty()
            }

            fn fields(
                outline: &$crate::outline::Outline<'_>,
                put: &mut dyn FnMut(&'static str, $crate::protocol::Field<'_>),
            ) {
                Self::list(outline, put);
            }

            fn function_name(function: u16) -> &'static str {
                Self::name(function)
            }

            fn parse_tag(_: &str) -> Option<$crate::protocol::Tag<'_>> {
                None
            }

            fn write_tag(
                _: &$crate::protocol::Tag<'_>,
                f: &mut core::fmt::Formatter<'_>,
            ) -> core::fmt::Result {
                f.write_str("?")
            }
        }
    };
}
pub(crate) use outlined;

/// Who sends these bytes, if they are whole messages without any doubt.
pub(crate) fn probe<F: Outlined>(bytes: &[u8]) -> Option<Sender> {
    let (mut rest, mut found) = (bytes, Sender::Unknown);
    for _ in 0..8 {
        let Cut::Message(len) = F::frame(rest) else { return None };
        let (message, after) = rest.split_at_checked(len)?;
        let outline = F::read(message, Sender::Unknown)?;
        if !outline.certain || !outline.oddities.is_empty() {
            return None;
        }
        match (found, outline.sender) {
            (Sender::Unknown, sender) => found = sender,
            (_, Sender::Unknown) => {}
            (known, sender) if known == sender => {}
            _ => return None,
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    Some(found)
}

/// CRC of 16 bits, least significant bit first, from all ones, without a final exclusive or.
pub(crate) fn crc16(bytes: impl IntoIterator<Item = u8>, polynomial: u16) -> u16 {
    bytes.into_iter().fold(0xffff, |crc, byte| crc16_step(crc, byte, polynomial))
}

/// The same, one byte further.
pub(crate) fn crc16_step(crc: u16, byte: u8, polynomial: u16) -> u16 {
    (0..8).fold(crc ^ u16::from(byte), |crc, _| crc >> 1 ^ (polynomial & (crc & 1).wrapping_neg()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_those_of_the_catalogue() {
        // "123456789": CRC-16/MODBUS and CRC-16/MCRF4XX.
        assert_eq!(crc16(*b"123456789", 0xa001), 0x4b37);
        assert_eq!(crc16(*b"123456789", 0x8408), 0x6f91);
    }
}
