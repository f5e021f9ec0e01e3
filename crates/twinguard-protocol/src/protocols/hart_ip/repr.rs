//! Legal messages: what cannot be built here, the standard forbids.
//!
//! Source: HCF_SPEC-085 §10 (messages), HCF_SPEC-081 §5 (frames).

use twinguard_types::Oddity;

use super::view::{Device, HEADER_LEN, View, message};

/// Why a message is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// Data that do not fit behind their count of one byte.
    #[error("data are longer than 253 bytes")]
    TooLong,
    /// A polling address above 63, or a unique address of more than 38 bits.
    #[error("address has too many bits")]
    Address,
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
    /// Opens a session as primary master; the server closes it after so many milliseconds of silence.
    Initiate {
        /// Milliseconds.
        timeout: u32,
    },
    /// Ends the session.
    Close,
    /// Keeps it.
    KeepAlive,
    /// A command to a device; a direct message where the server itself is meant.
    Request {
        /// The device.
        device: Device,
        /// Command number; above 255 as an extended command.
        command: u16,
        /// Its data.
        data: &'a [u8],
    },
    /// The answer to it; published ones are sent without being asked.
    Response {
        /// The device.
        device: Device,
        /// Whether it is sent without being asked.
        published: bool,
        /// Command number.
        command: u16,
        /// Response code and device status.
        status: [u8; 2],
        /// Its data.
        data: &'a [u8],
    },
}

/// A legal message.
///
/// ```
/// use twinguard_protocol::protocols::hart_ip::{Content, Device, Repr, View};
///
/// let read = Content::Request { device: Device::Polling(0), command: 1, data: &[] };
/// assert_eq!(Repr::new(9, read)?.emit(), [1, 0, 3, 0, 0, 9, 0, 13, 0x02, 0x80, 1, 0, 0x83]);
/// # Ok::<(), twinguard_protocol::protocols::hart_ip::Illegal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    sequence: u16,
    content: Content<'a>,
}

impl<'a> Repr<'a> {
    /// A message with this sequence number.
    ///
    /// # Errors
    /// [`Illegal`] when the standard forbids it.
    pub fn new(sequence: u16, content: Content<'a>) -> Result<Self, Illegal> {
        let repr = Self { sequence, content };
        let bytes = repr.bytes()?;
        let view = View::new(&bytes).ok_or(Illegal::TooLong)?;
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
        // The constructor wrote it once; it writes the same again.
        self.bytes().unwrap_or_default()
    }

    fn bytes(&self) -> Result<Vec<u8>, Illegal> {
        let mut body = Vec::new();
        let (kind, id) = match self.content {
            Content::Initiate { timeout } => {
                body.push(1);
                body.extend(timeout.to_be_bytes());
                (0, message::INITIATE)
            }
            Content::Close => (0, message::CLOSE),
            Content::KeepAlive => (0, message::KEEP_ALIVE),
            Content::Request { device, command, data } => {
                (0, command_body(&mut body, device, 2, command, None, data)?)
            }
            Content::Response { device, published, command, status, data } => {
                let kind = if published { 1 } else { 6 };
                let id = command_body(&mut body, device, kind, command, Some(status), data)?;
                (if published { 2 } else { 1 }, id)
            }
        };
        let size = u16::try_from(HEADER_LEN + body.len()).map_err(|_| Illegal::TooLong)?;
        let mut out = vec![1, kind, id, 0];
        out.extend(self.sequence.to_be_bytes());
        out.extend(size.to_be_bytes());
        out.extend(body);
        Ok(out)
    }
}

/// Writes a frame of the token-passing data link, or a direct command; returns the message identifier.
fn command_body(
    out: &mut Vec<u8>,
    device: Device,
    kind: u8,
    command: u16,
    status: Option<[u8; 2]>,
    data: &[u8],
) -> Result<u8, Illegal> {
    if device == Device::Server {
        let [code, status] = status.map_or([None, Some(0)], |[code, status]| [Some(code), Some(status)]);
        out.extend([status.unwrap_or_default(), 0]);
        out.extend(command.to_be_bytes());
        out.push(u8::try_from(data.len() + usize::from(code.is_some())).map_err(|_| Illegal::TooLong)?);
        out.extend(code);
        out.extend(data);
        return Ok(message::DIRECT);
    }
    // Bit 7 of the address: the primary master.
    match device {
        Device::Polling(address @ ..64) => out.extend([kind, address | 0x80]),
        Device::Unique(address) if address >> 38 == 0 => {
            out.push(kind | 0x80);
            let bytes = (address | 1 << 39).to_be_bytes();
            out.extend(bytes.iter().skip(3));
        }
        _ => return Err(Illegal::Address),
    }
    let (number, extended) = match u8::try_from(command) {
        Ok(number) if number != 31 => (number, None),
        _ => (31, Some(command.to_be_bytes())),
    };
    let count = data.len() + 2 * usize::from(status.is_some()) + 2 * usize::from(extended.is_some());
    out.extend([number, u8::try_from(count).map_err(|_| Illegal::TooLong)?]);
    out.extend(status.into_iter().flatten());
    out.extend(extended.into_iter().flatten());
    out.extend(data);
    let sum = out.iter().fold(0, |sum, byte| sum ^ byte);
    out.push(sum);
    Ok(message::TOKEN_PASSING)
}
