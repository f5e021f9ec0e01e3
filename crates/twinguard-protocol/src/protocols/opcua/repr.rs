//! Legal messages, to be written.
//!
//! Sources: OPC 10000-6 1.05 §6.7.2, §7.1.2; OPC 10000-4 §5.11.4 (Write), §7.33 (request header).

use twinguard_types::{Encoding, Oddity, Value};

use super::place;
use super::service;
use super::view::{CHUNK_MAX, Limits, MessageType, POLICY, URL_MAX, View};
#[cfg(test)]
use crate::protocol::Sender;
use crate::protocol::{Change, Tag, Write};

/// A legal message of one chunk, without signature and encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repr<'a> {
    /// A client begins.
    Hello {
        /// What it can take.
        limits: Limits,
        /// The endpoint that it wants, at most [`URL_MAX`] bytes.
        endpoint: &'a [u8],
    },
    /// The server answers.
    Acknowledge {
        /// What it can take.
        limits: Limits,
    },
    /// The connection ends.
    Error {
        /// Why, as a status code.
        status: u32,
        /// Why, in words, at most [`URL_MAX`] bytes.
        reason: &'a [u8],
    },
    /// A server calls a client.
    ReverseHello {
        /// Its URI.
        server: &'a [u8],
        /// The endpoint that the client is to use.
        endpoint: &'a [u8],
    },
    /// A channel with the policy None is opened.
    Open {
        /// Its number, 0 in the first request.
        channel: u32,
        /// Sequence number and request id.
        sequence: (u32, u32),
        /// The service, see [`View::body`].
        body: &'a [u8],
    },
    /// A service.
    Message {
        /// The number of the channel.
        channel: u32,
        /// Its token.
        token: u32,
        /// Sequence number and request id.
        sequence: (u32, u32),
        /// The service, see [`View::body`].
        body: &'a [u8],
    },
    /// The channel is closed.
    Close {
        /// The number of the channel.
        channel: u32,
        /// Its token.
        token: u32,
        /// Sequence number and request id.
        sequence: (u32, u32),
        /// The service, see [`View::body`].
        body: &'a [u8],
    },
}

/// Why a message is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// A field is not as the standard asks.
    #[error("{oddity:?} at byte {offset}")]
    Field {
        /// Where.
        offset: u32,
        /// What.
        oddity: Oddity,
    },
    /// It is one of several chunks, or cannot be read.
    #[error("a part of a message, or an encrypted one")]
    Part,
}

impl<'a> TryFrom<&View<'a>> for Repr<'a> {
    type Error = Illegal;

    /// The same message, if it is legal.
    fn try_from(view: &View<'a>) -> Result<Self, Illegal> {
        if let Some((oddity, offset)) = view.oddities().iter().next() {
            return Err(Illegal::Field { offset, oddity });
        }
        let body = view.body();
        let limits = view.limits().ok_or(Illegal::Part);
        let repr = match view.message() {
            MessageType::Hello => {
                Repr::Hello { limits: limits?, endpoint: view.endpoint().ok_or(Illegal::Part)?.1 }
            }
            MessageType::Acknowledge => Repr::Acknowledge { limits: limits? },
            MessageType::Error => {
                let (status, reason) = view.failure().ok_or(Illegal::Part)?;
                Repr::Error { status, reason }
            }
            MessageType::ReverseHello => {
                let (server, endpoint) = view.endpoint().ok_or(Illegal::Part)?;
                Repr::ReverseHello { server, endpoint }
            }
            secured => {
                let channel = view.channel().ok_or(Illegal::Part)?;
                let sequence = view.sequence().ok_or(Illegal::Part)?;
                match (secured, view.token()) {
                    (MessageType::Open, _) => Repr::Open { channel, sequence, body },
                    (MessageType::Close, Some(token)) => Repr::Close { channel, token, sequence, body },
                    (_, Some(token)) => Repr::Message { channel, token, sequence, body },
                    _ => return Err(Illegal::Part),
                }
            }
        };
        repr.check().map(|()| repr)
    }
}

impl Repr<'_> {
    /// Appends its bytes.
    ///
    /// # Errors
    /// [`Illegal::Field`] for a text that is too long, a body that is not one whole message of a known service, or a
    /// chunk of more than [`CHUNK_MAX`] bytes; nothing is appended then.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), Illegal> {
        self.check()?;
        let start = out.len();
        let (letters, body): (_, &[u8]) = match self {
            Repr::Hello { .. } => (b"HELF", &[]),
            Repr::Acknowledge { .. } => (b"ACKF", &[]),
            Repr::Error { .. } => (b"ERRF", &[]),
            Repr::ReverseHello { .. } => (b"RHEF", &[]),
            Repr::Open { body, .. } => (b"OPNF", body),
            Repr::Message { body, .. } => (b"MSGF", body),
            Repr::Close { body, .. } => (b"CLOF", body),
        };
        out.extend_from_slice(letters);
        out.extend_from_slice(&[0; 4]);
        match *self {
            Repr::Hello { limits, endpoint } => {
                put_limits(&limits, out);
                put_text(endpoint, out);
            }
            Repr::Acknowledge { limits } => put_limits(&limits, out),
            Repr::Error { status, reason } => {
                out.extend_from_slice(&status.to_le_bytes());
                put_text(reason, out);
            }
            Repr::ReverseHello { server, endpoint } => {
                put_text(server, out);
                put_text(endpoint, out);
            }
            Repr::Open { channel, sequence, .. } => {
                out.extend_from_slice(&channel.to_le_bytes());
                out.extend_from_slice(&(POLICY.len() as u32 + 4).to_le_bytes());
                out.extend_from_slice(POLICY);
                out.extend_from_slice(b"None");
                out.extend_from_slice(&[0xff; 8]);
                put_sequence(sequence, out);
            }
            Repr::Message { channel, token, sequence, .. } | Repr::Close { channel, token, sequence, .. } => {
                out.extend_from_slice(&channel.to_le_bytes());
                out.extend_from_slice(&token.to_le_bytes());
                put_sequence(sequence, out);
            }
        }
        out.extend_from_slice(body);
        let len = (out.len() - start) as u32;
        if let Some(size) = out.get_mut(start + 4..start + 8) {
            size.copy_from_slice(&len.to_le_bytes());
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Illegal> {
        let illegal = |oddity, offset: usize| Err(Illegal::Field { oddity, offset: offset as u32 });
        match *self {
            Repr::Hello { endpoint: text, .. } | Repr::Error { reason: text, .. } if text.len() > URL_MAX => {
                illegal(Oddity::BadQuantity, 8)
            }
            Repr::ReverseHello { server, endpoint } if server.len().max(endpoint.len()) > URL_MAX => {
                illegal(Oddity::BadQuantity, 8)
            }
            Repr::Open { body, .. } | Repr::Message { body, .. } | Repr::Close { body, .. } => {
                let number = service::number(body).unwrap_or(0);
                let fits = match self {
                    Repr::Open { .. } => matches!(number, service::OPEN | service::OPENED | service::FAULT),
                    Repr::Close { .. } => matches!(number, service::CLOSE | 455),
                    _ => service::asks(number).is_some(),
                };
                match service::check(number, body) {
                    _ if !fits => illegal(Oddity::UnknownFunction, 0),
                    _ if body.len() + 128 > CHUNK_MAX => illegal(Oddity::BadQuantity, 4),
                    Err(flaw) => illegal(flaw.oddity, flaw.at),
                    Ok(end) if end < body.len() => illegal(Oddity::TrailingBytes, end),
                    Ok(_) => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

fn put_limits(limits: &Limits, out: &mut Vec<u8>) {
    for number in [limits.version, limits.receive, limits.send, limits.message, limits.chunks] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

fn put_sequence((sequence, request): (u32, u32), out: &mut Vec<u8>) {
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&request.to_le_bytes());
}

/// Appends the node that names a service and a request header without authentication token (OPC 10000-4 §7.33).
fn put_request(number: u16, handle: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[1, 0]);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&[0; 2 + 8]);
    out.extend_from_slice(&handle.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&[0xff; 4]);
    out.extend_from_slice(&[0; 4 + 3]);
}

/// Appends the message that writes one value (OPC 10000-4 §5.11.4), with this number as sequence number, request id and
/// handle.
///
/// Channel, token and authentication token are 0: they belong to the sender's session, which puts them in. `None` for
/// what is no attribute, and for a number that the type cannot hold.
pub(super) fn write(write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
    let Change::Scalar { value, encoding } = write.change else { return None };
    let mut body = Vec::new();
    put_request(service::WRITE, number, &mut body);
    body.extend_from_slice(&1u32.to_le_bytes());
    put_write(&write.tag, value, encoding, &mut body)?;
    Repr::Message { channel: 0, token: 0, sequence: (number, number), body: &body }.emit(out).ok()
}

fn put_write(tag: &Tag<'_>, value: Value, encoding: Encoding, out: &mut Vec<u8>) -> Option<()> {
    let (attribute, index) =
        place::target(tag, out).filter(|(attribute, _)| (1..place::INPUT).contains(attribute))?;
    out.extend_from_slice(&u32::from(attribute).to_le_bytes());
    match index {
        Some(index) => put_text(index.to_string().as_bytes(), out),
        None => out.extend_from_slice(&[0xff; 4]),
    }
    // A DataValue with a value alone (Part 6 §5.2.2.17); an element is written as an array of one.
    let element = index.is_some();
    out.push(1);
    let (kind, bytes, len) = variant(value, encoding)?;
    out.push(if element { kind | 0x80 } else { kind });
    if element {
        out.extend_from_slice(&1u32.to_le_bytes());
    }
    out.extend_from_slice(bytes.get(..len)?);
    Some(())
}

/// The built-in type of a number, its bytes and how many (Part 6 §5.1.2).
fn variant(value: Value, encoding: Encoding) -> Option<(u8, [u8; 8], usize)> {
    let number = value.as_f64();
    let whole = match value {
        Value::Integer(number) => Some(number),
        Value::Boolean(state) => Some(i64::from(state)),
        _ => (number.fract() == 0.0 && number.abs() < 9.0e15).then_some(number as i64),
    };
    let fits = |low: i64, high: i64| whole.filter(|whole| (low..=high).contains(whole)).map(i64::to_le_bytes);
    let narrow = |bytes: [u8; 4]| {
        let [a, b, c, d] = bytes;
        [a, b, c, d, 0, 0, 0, 0]
    };
    Some(match encoding {
        Encoding::Native => match value {
            Value::Boolean(_) => (1, fits(0, 1)?, 1),
            Value::Integer(number) => (8, number.to_le_bytes(), 8),
            _ => (11, number.to_le_bytes(), 8),
        },
        Encoding::Bit(_) => (1, fits(0, 1)?, 1),
        Encoding::I8 => (2, fits(i64::from(i8::MIN), i64::from(i8::MAX))?, 1),
        Encoding::U8 => (3, fits(0, i64::from(u8::MAX))?, 1),
        Encoding::I16 => (4, fits(i64::from(i16::MIN), i64::from(i16::MAX))?, 2),
        Encoding::U16 => (5, fits(0, i64::from(u16::MAX))?, 2),
        Encoding::I32 => (6, fits(i64::from(i32::MIN), i64::from(i32::MAX))?, 4),
        Encoding::U32 => (7, fits(0, i64::from(u32::MAX))?, 4),
        Encoding::I64 => (8, fits(i64::MIN, i64::MAX)?, 8),
        Encoding::U64 => (9, fits(0, i64::MAX)?, 8),
        Encoding::F32 => {
            (10, narrow(Some(number as f32).filter(|number| number.is_finite())?.to_le_bytes()), 4)
        }
        Encoding::F64 => (11, number.to_le_bytes(), 8),
        _ => return None,
    })
}

/// The message that a view of these bytes, by itself, would be written as.
#[cfg(test)]
pub(super) fn again(bytes: &[u8], sender: Sender) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    Repr::try_from(&View::new(bytes, sender)?).ok()?.emit(&mut out).ok()?;
    Some(out)
}
