//! Legal messages: what cannot be built here, the manuals forbid.
//!
//! There is one judge of legality: a message is legal when its bytes, read by [`View`], show the same message and
//! nothing odd. Sources: OMRON W342 §3-2, §5-3-3; OMRON W421 §7-4.

use twinguard_types::Oddity;

use super::area::Place;
use super::view::{HEADER_LEN, View};

/// Longest frame without the FINS/TCP header (W421 §7-4).
pub const FRAME_MAX: usize = 2012;

/// Why a message is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// It is longer than [`FRAME_MAX`].
    #[error("message is longer than 2012 bytes")]
    TooLong,
    /// A field that is not allowed.
    #[error("field at byte {offset} is not legal: {oddity:?}")]
    Field {
        /// Where in the message.
        offset: u32,
        /// What is wrong with it.
        oddity: Oddity,
    },
}

/// A legal message.
///
/// ```
/// use twinguard_protocol::protocols::omron::Repr;
///
/// // Stop (W342 §5-3-15).
/// let stop = Repr::new([0x80, 0, 2, 0, 0, 0, 0, 1, 0, 9], 0x0402, None, &[])?;
/// let mut bytes = Vec::new();
/// stop.emit(&mut bytes);
/// assert_eq!(bytes, [0x80, 0, 2, 0, 0, 0, 0, 1, 0, 9, 4, 2]);
/// # Ok::<(), twinguard_protocol::protocols::omron::Illegal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    header: [u8; HEADER_LEN],
    command: u16,
    end: Option<u16>,
    body: &'a [u8],
}

impl<'a> Repr<'a> {
    /// A message of these parts: header (W342 §3-2), command, the end code of a response, what follows.
    ///
    /// # Errors
    /// [`Illegal`] when it is too long, or shows anything odd.
    pub fn new(
        header: [u8; HEADER_LEN],
        command: u16,
        end: Option<u16>,
        body: &'a [u8],
    ) -> Result<Self, Illegal> {
        let repr = Self { header, command, end, body };
        if body.len() + HEADER_LEN + 4 > FRAME_MAX {
            return Err(Illegal::TooLong);
        }
        let mut bytes = Vec::with_capacity(body.len() + HEADER_LEN + 4);
        repr.emit(&mut bytes);
        let short = Illegal::Field { offset: 0, oddity: Oddity::Truncated };
        let view = View::new(&bytes).ok_or(short)?;
        if let Some((oddity, offset)) = view.oddities().iter().next() {
            return Err(Illegal::Field { offset, oddity });
        }
        let same = (view.command(), view.end_code(), view.body()) == (command, end, body);
        if same { Ok(repr) } else { Err(Illegal::Field { offset: 0, oddity: Oddity::BadValue }) }
    }

    /// Appends the frame, as UDP carries it.
    pub fn emit(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header);
        out.extend_from_slice(&self.command.to_be_bytes());
        out.extend(self.end.into_iter().flat_map(u16::to_be_bytes));
        out.extend_from_slice(self.body);
    }

    /// Appends the frame behind the FINS/TCP header.
    pub fn emit_tcp(&self, out: &mut Vec<u8>) {
        let len = HEADER_LEN + 2 + self.end.map_or(0, |_| 2) + self.body.len();
        out.extend_from_slice(b"FINS");
        out.extend_from_slice(&(len as u32 + 8).to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 2, 0, 0, 0, 0]);
        self.emit(out);
    }
}

impl<'a> TryFrom<&View<'a>> for Repr<'a> {
    type Error = Illegal;

    /// The same message, if it is legal.
    fn try_from(view: &View<'a>) -> Result<Self, Illegal> {
        match view.oddities().iter().next() {
            Some((oddity, offset)) => Err(Illegal::Field { offset, oddity }),
            None => Self::new(view.header(), view.command(), view.end_code(), view.body()),
        }
    }
}

/// Appends a command that writes one value; `None` for a place that no command can name.
pub(super) fn write(sid: u8, place: Place, value: &[u8], count: u16, out: &mut Vec<u8>) -> Option<()> {
    let (code, word, bit) = place.code()?;
    let ([w1, w0], [c1, c0], [network, node, unit]) = (word.to_be_bytes(), count.to_be_bytes(), place.device);
    let mut body = [0; 6 + crate::protocol::VALUE_MAX];
    let head = [code, w1, w0, bit, c1, c0];
    let len = body.iter_mut().zip(head.iter().chain(value)).map(|(byte, part)| *byte = *part).count();
    // A response is wanted, over at most two gateways.
    let header = [0x80, 0, 2, network, node, unit, 0, 0, 0, sid];
    Repr::new(header, 0x0102, None, body.get(..len)?).ok()?.emit(out);
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Sender;
    use crate::protocol::{Block, Change, Protocol, Write};
    use crate::protocols::omron::Omron;

    fn written(tag: &str, change: Change) -> String {
        let tag = Omron::parse_tag(tag).unwrap();
        let write = Write { family: Omron::FAMILY, endpoint: twinguard_types::Endpoint::Any, tag, change };
        let mut bytes = Vec::new();
        Omron::command(&write, 9, &mut bytes).unwrap();
        assert_eq!(Omron::probe(&bytes), Some(Sender::Client));
        let view = View::new(&bytes).unwrap();
        let show = |point: crate::protocol::RawPoint<'_>| {
            format!("{}={}", core::fmt::from_fn(|f| Omron::write_tag(&point.tag, f)), point.raw)
        };
        Omron::blocks(&view, None).flat_map(Block::points).map(show).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn commands_read_back_as_writes() {
        let bytes = [1, 2, 3, 4, 0, 0, 0, 0];
        assert_eq!(written("D10", Change::Words { bytes, len: 4 }), "D10=0102 D11=0304");
        assert_eq!(written("W7.2", Change::Bit(true)), "W7.2=1");
        assert_eq!(written("n1.5.16/H7", Change::BitOf { bit: 15, state: false }), "n1.5.16/H7.15=0");
    }

    proptest! {
        #[test]
        fn emit_undoes_parse(response: bool, gateways in 0u8..8, nodes: [u8; 6], sid: u8, command: u16, end: u16, body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let [a, b, c, d, e, f] = nodes;
            let header = [if response { 0xc0 } else { 0x80 }, 0, gateways, a, b, c, d, e, f, sid];
            let command = if command % 3 == 0 { 0x0101 + (command & 3) } else { command };
            let end = response.then_some(end);
            let Ok(repr) = Repr::new(header, command, end, &body) else { return Ok(()) };
            let (mut bytes, mut tcp) = (Vec::new(), Vec::new());
            repr.emit(&mut bytes);
            repr.emit_tcp(&mut tcp);
            prop_assert_eq!(Repr::try_from(&View::new(&bytes).unwrap()), Ok(repr));
            prop_assert_eq!(Repr::try_from(&View::new(&tcp).unwrap()), Ok(repr));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), tcp: bool) {
            let bytes = if tcp { [&b"FINS"[..], &bytes].concat() } else { bytes };
            if let Some(view) = View::new(&bytes) {
                prop_assert!(Omron::blocks(&view, Some(&Omron::memo(&view))).count() <= 64 + bytes.len());
                Omron::fields(&view, &mut |_, _| {});
            }
        }
    }
}
