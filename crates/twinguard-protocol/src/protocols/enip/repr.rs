//! Legal messages: what cannot be built here, the standard forbids.
//!
//! Source: *The CIP Networks Library* Volume 2 chapter 2; Volume 1 §2-4; Rockwell 1756-PM020 for writing tags.

use twinguard_types::{Encoding, Oddity, Value};

use super::path::{Path, Segment};
use super::place::Place;
use super::value;
use super::view::{View, command, item};
use crate::protocol::{Change, Sender, Tag, Write};

/// Why a message is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// A part does not fit its length field.
    #[error("a part is longer than its length field can say")]
    TooLong,
    /// A path that is no whole number of words, or that holds something that is no segment.
    #[error("path is not made of whole segments")]
    Path,
    /// A field that the standard does not allow.
    #[error("field at byte {offset} is not legal: {oddity:?}")]
    Field {
        /// Where in the message.
        offset: u32,
        /// What is wrong with it.
        oddity: Oddity,
    },
}

/// What a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content<'a> {
    /// `RegisterSession` (V2 2-4.4), the same from both ends.
    RegisterSession,
    /// `UnRegisterSession` (V2 2-4.5).
    UnregisterSession,
    /// `ListIdentity` (V2 2-4.2), asking.
    ListIdentity,
    /// A service request; connected with its connection and sequence count, else unconnected.
    Request {
        /// Connection and sequence count.
        connected: Option<(u32, u16)>,
        /// Service code, without the response bit.
        code: u8,
        /// Padded path.
        path: &'a [u8],
        /// What follows.
        data: &'a [u8],
    },
    /// A service response.
    Response {
        /// Connection and sequence count.
        connected: Option<(u32, u16)>,
        /// Service code, without the response bit.
        code: u8,
        /// General status.
        status: u8,
        /// Additional status, whole words.
        additional: &'a [u8],
        /// What follows.
        data: &'a [u8],
    },
    /// Cyclic data.
    Io {
        /// Connection.
        connection: u32,
        /// Number of the packet.
        sequence: u32,
        /// From the sequence count of the transport class on.
        data: &'a [u8],
    },
}

/// A legal message.
///
/// ```
/// use twinguard_protocol::{Sender, protocols::enip::{Content, Repr, View}};
///
/// // PM020: read the tag `rate`, one element.
/// let path = [0x91, 4, b'r', b'a', b't', b'e'];
/// let read = Content::Request { connected: None, code: 0x4c, path: &path, data: &[1, 0] };
/// let bytes = Repr::new(7, [1, 0, 0, 0, 0, 0, 0, 0], read)?.emit();
/// let view = View::new(&bytes, Sender::Client).unwrap();
/// assert_eq!(view.service().unwrap().path, path);
/// # Ok::<(), twinguard_protocol::protocols::enip::Illegal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    session: u32,
    context: [u8; 8],
    content: Content<'a>,
}

impl<'a> Repr<'a> {
    /// A message of this session; the context comes back with the answer. I/O data have neither.
    ///
    /// # Errors
    /// [`Illegal`] when the standard forbids it.
    pub fn new(session: u32, context: [u8; 8], content: Content<'a>) -> Result<Self, Illegal> {
        if let Content::Request { path, .. } = content {
            let mut segments = Path(path);
            let whole = segments.by_ref().all(|segment| segment != Segment::Symbol(&[]));
            if path.len() % 2 != 0 || !segments.0.is_empty() || !whole {
                return Err(Illegal::Path);
            }
        }
        let repr = Self { session, context, content };
        let mut bytes = Vec::new();
        repr.write(&mut bytes)?;
        let view = View::new(&bytes, Sender::Unknown).ok_or(Illegal::TooLong)?;
        match view.oddities().iter().next() {
            Some((oddity, offset)) => Err(Illegal::Field { offset, oddity }),
            None => Ok(repr),
        }
    }

    /// What it carries.
    #[must_use]
    pub const fn content(&self) -> Content<'a> {
        self.content
    }

    /// The bytes of the message.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // The constructor wrote it once; it writes the same again.
        let _ = self.write(&mut bytes);
        bytes
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), Illegal> {
        let (code, data, connected) = match self.content {
            Content::Io { connection, sequence, data } => {
                put16(out, &[2, item::SEQUENCED_ADDRESS, 8]);
                out.extend(connection.to_le_bytes());
                out.extend(sequence.to_le_bytes());
                put16(out, &[item::CONNECTED_DATA, size(data.len())?]);
                out.extend(data);
                return Ok(());
            }
            Content::RegisterSession => (command::REGISTER_SESSION, vec![1, 0, 0, 0], None),
            Content::UnregisterSession => (command::UNREGISTER_SESSION, Vec::new(), None),
            Content::ListIdentity => (command::LIST_IDENTITY, Vec::new(), None),
            Content::Request { connected, code, path, data } => {
                let mut message = vec![code & 0x7f, words(path.len())?];
                message.extend(path);
                message.extend(data);
                (rr(connected), message, Some(connected))
            }
            Content::Response { connected, code, status, additional, data } => {
                let mut message = vec![code | 0x80, 0, status, words(additional.len())?];
                message.extend(additional);
                message.extend(data);
                (rr(connected), message, Some(connected))
            }
        };
        let data = match connected {
            None => data,
            Some(connected) => {
                let mut packet = vec![0; 6];
                match connected {
                    None => {
                        put16(&mut packet, &[2, item::NULL, 0, item::UNCONNECTED_DATA, size(data.len())?])
                    }
                    Some((connection, count)) => {
                        put16(&mut packet, &[2, item::CONNECTED_ADDRESS, 4]);
                        packet.extend(connection.to_le_bytes());
                        put16(&mut packet, &[item::CONNECTED_DATA, size(data.len() + 2)?, count]);
                    }
                }
                packet.extend(data);
                packet
            }
        };
        put16(out, &[code, size(data.len())?]);
        out.extend(self.session.to_le_bytes());
        out.extend([0; 4]);
        out.extend(self.context);
        out.extend([0; 4]);
        out.extend(data);
        Ok(())
    }
}

fn rr(connected: Option<(u32, u16)>) -> u16 {
    if connected.is_some() { command::SEND_UNIT_DATA } else { command::SEND_RR_DATA }
}

fn put16(out: &mut Vec<u8>, words: &[u16]) {
    words.iter().for_each(|word| out.extend(word.to_le_bytes()));
}

fn size(len: usize) -> Result<u16, Illegal> {
    u16::try_from(len).map_err(|_| Illegal::TooLong)
}

fn words(len: usize) -> Result<u8, Illegal> {
    if len.is_multiple_of(2) {
        u8::try_from(len / 2).map_err(|_| Illegal::TooLong)
    } else {
        Err(Illegal::Path)
    }
}

/// The unconnected message that makes a change; the sender of it fills in its session handle (bytes 4 to 7).
pub(super) fn write(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
    let (mut path, mut data) = (Vec::new(), Vec::new());
    let code = match (Place::of(&write.tag)?, &write.change) {
        (Place::Symbol | Place::Listed(_), Change::Scalar { value, encoding }) => {
            tag_path(&write.tag, &mut path)?;
            let kind = kind_of(*encoding, *value)?;
            let (bytes, len) = value::encode(kind, *value)?;
            put16(&mut data, &[kind, 1]);
            data.extend(bytes.get(..len)?);
            0x4d
        }
        // A part of an attribute cannot be written by itself.
        (Place::Object { class, instance, attribute: attribute @ 1.. }, Change::Words { .. })
            if write.tag.address == Some(0) =>
        {
            logical(0x20, u32::from(class), &mut path);
            logical(0x24, instance, &mut path);
            logical(0x30, u32::from(attribute), &mut path);
            data.extend(write.bytes());
            0x10
        }
        _ => return None,
    };
    let mut context = [0; 8];
    context.get_mut(..4)?.copy_from_slice(&number.to_le_bytes());
    let content = Content::Request { connected: None, code, path: &path, data: &data };
    out.extend(Repr::new(0, context, content).ok()?.emit());
    Some(())
}

/// The type that a Logix tag of this encoding has (C-6.1).
fn kind_of(encoding: Encoding, value: Value) -> Option<u16> {
    Some(match encoding {
        Encoding::Bit(0) => 0xc1,
        Encoding::I8 => 0xc2,
        Encoding::I16 => 0xc3,
        Encoding::I32 => 0xc4,
        Encoding::I64 => 0xc5,
        Encoding::U8 => 0xc6,
        Encoding::U16 => 0xc7,
        Encoding::U32 => 0xc8,
        Encoding::U64 => 0xc9,
        Encoding::F32 => 0xca,
        Encoding::F64 => 0xcb,
        Encoding::Native => match value {
            Value::Boolean(_) => 0xc1,
            Value::Integer(_) => 0xc4,
            _ => 0xca,
        },
        _ => return None,
    })
}

/// The path of a Logix tag from its text.
fn tag_path(tag: &Tag<'_>, out: &mut Vec<u8>) -> Option<()> {
    let [name, ..] = tag.name.parts();
    let last = tag.address?;
    if let Some(Place::Listed(instance)) = Place::of(tag) {
        logical(0x20, 0x6b, out);
        logical(0x24, instance, out);
    } else {
        let text = core::str::from_utf8(name).ok()?;
        for part in text.split('.') {
            let (symbol, indices) = part.split_once('[').unwrap_or((part, ""));
            if symbol.is_empty() {
                return None;
            }
            out.extend([0x91, u8::try_from(symbol.len()).ok()?]);
            out.extend(symbol.as_bytes());
            out.resize(out.len().next_multiple_of(2), 0);
            for index in indices.trim_end_matches(']').split(',').filter(|index| !index.is_empty()) {
                logical(0x28, index.parse().ok()?, out);
            }
        }
    }
    if last != 0 || name.ends_with(b",") {
        logical(0x28, last, out);
    }
    Some(())
}

/// A logical segment in its shortest form (C-1.4.2).
fn logical(head: u8, number: u32, out: &mut Vec<u8>) {
    if let Ok(byte) = u8::try_from(number) {
        out.extend([head, byte]);
    } else if let Ok(word) = u16::try_from(number) {
        out.extend([head | 1, 0]);
        out.extend(word.to_le_bytes());
    } else {
        out.extend([head | 2, 0]);
        out.extend(number.to_le_bytes());
    }
}
