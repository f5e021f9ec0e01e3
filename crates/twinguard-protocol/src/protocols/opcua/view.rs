//! One chunk as it lies in the stream: any bytes, shown with what is odd about them.
//!
//! Source: OPC 10000-6 1.05, §7.1.2 (connection protocol messages) and §6.7.2 (chunks of secure conversations).

use twinguard_types::Oddity;

use super::place::Places;
use super::reader::{Read, Reader};
use super::service;
use super::session::Items;
use crate::protocol::{Cut, Oddities, Sender};

/// Bytes of the header of every message (§7.1.2.2).
pub const HEADER_LEN: usize = 8;
/// Bytes before the sequence header of `MSG` and `CLO` (§6.7.2.2, §6.7.2.3).
const SYMMETRIC_LEN: usize = 16;
/// The longest chunk that is followed in a stream. Applications agree on 64 KiB and more (§7.1.2.3, not less than
/// 8192); what the stack holds of one direction is 256 KiB.
pub const CHUNK_MAX: usize = 240 << 10;
/// The longest endpoint URL (§7.1.2.3) and reason (§7.1.2.5).
pub const URL_MAX: usize = 4096;
/// The longest security policy URI (§6.7.2.3).
const POLICY_MAX: usize = 255;
/// What all security policies begin with (OPC 10000-7).
pub(super) const POLICY: &[u8] = b"http://opcfoundation.org/UA/SecurityPolicy#";

/// The three letters of a message (§7.1.2.2, §6.7.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MessageType {
    /// `HEL`: the client's limits and the endpoint that it wants.
    Hello,
    /// `ACK`: the server's limits.
    Acknowledge,
    /// `ERR`: why the connection ends.
    Error,
    /// `RHE`: a server calls a client.
    ReverseHello,
    /// `OPN`: opens or renews a secure channel.
    Open,
    /// `CLO`: closes it.
    Close,
    /// `MSG`: a service.
    Message,
}

impl MessageType {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Hello, "HEL"),
        (Self::Acknowledge, "ACK"),
        (Self::Error, "ERR"),
        (Self::ReverseHello, "RHE"),
        (Self::Open, "OPN"),
        (Self::Close, "CLO"),
        (Self::Message, "MSG"),
    ];

    /// Its three letters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, letters)| letters)
    }

    /// By three letters.
    #[must_use]
    pub fn of(letters: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| known.as_bytes() == letters).map(|(kind, _)| *kind)
    }

    /// The number in place of a service's for what carries none that can be read; no service has such a number.
    #[must_use]
    pub const fn code(self) -> u16 {
        0xff00 | self as u16
    }

    /// The reverse of [`MessageType::code`].
    #[must_use]
    pub fn of_code(code: u16) -> Option<Self> {
        Self::ALL.iter().map(|(kind, _)| *kind).find(|kind| kind.code() == code)
    }

    const fn is_secured(self) -> bool {
        matches!(self, Self::Open | Self::Close | Self::Message)
    }
}

/// What secures a channel (OPC 10000-7, by the URI in `OPN`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Nothing.
    None,
    /// Deprecated: SHA-1 signatures of 20 bytes.
    Sha1,
    /// Signatures of 32 bytes: `Basic256Sha256` and the AES policies.
    Sha256,
    /// Any other.
    Other,
}

impl Policy {
    /// By its URI.
    #[must_use]
    pub fn of(uri: &[u8]) -> Self {
        match uri.strip_prefix(POLICY) {
            Some(b"None") => Self::None,
            Some(b"Basic128Rsa15" | b"Basic256" | b"Basic128") => Self::Sha1,
            Some(b"Basic256Sha256" | b"Aes128_Sha256_RsaOaep" | b"Aes256_Sha256_RsaPss") => Self::Sha256,
            _ => Self::Other,
        }
    }

    /// Bytes of the signature behind each chunk of a channel that signs.
    #[must_use]
    pub const fn signature(self) -> usize {
        match self {
            Self::None | Self::Other => 0,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }
}

/// How a message is secured (OPC 10000-4 §7.20), as far as it can be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Neither signed nor encrypted.
    None,
    /// Signed: readable.
    Sign,
    /// Encrypted: nothing behind its headers is told.
    SignAndEncrypt,
    /// The channel's opening was not seen, and nothing readable is in it.
    #[default]
    Unknown,
}

/// One chunk; of the last chunk of a message its whole body, where a session put it together.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) sender: Sender,
    pub(super) message: MessageType,
    /// Where the sequence header lies; 0 where there is none.
    pub(super) sequence_at: usize,
    pub(super) policy: Option<Policy>,
    pub(super) mode: Mode,
    /// Whether what is behind its headers is, or may be, encrypted.
    pub(super) hidden: bool,
    /// From the node that names the service on; empty where it cannot be read.
    pub(super) body: &'a [u8],
    /// The number of its service, 0 where none can be read.
    pub(super) service: u16,
    /// Whether no request is to be looked for.
    pub(super) alone: bool,
    pub(super) places: Places<'a>,
    pub(super) items: Option<&'a Items>,
    pub(super) oddities: Oddities,
}

/// Policy, certificate, thumbprint of an opening, and where they end (§6.7.2.3).
pub(super) type Opening<'a> = (&'a [u8], &'a [u8], &'a [u8], usize);

/// Limits and names that open a connection (§7.1.2.3, §7.1.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Version of the protocol.
    pub version: u32,
    /// The longest chunk that the sender takes.
    pub receive: u32,
    /// The longest chunk that the sender sends.
    pub send: u32,
    /// The longest message that it takes, 0 for no limit.
    pub message: u32,
    /// The most chunks of a message that it takes, 0 for no limit.
    pub chunks: u32,
}

/// Where the first chunk in these bytes ends (§7.1.2.2: letters, chunk type, length of all).
#[inline]
#[must_use]
pub(super) fn cut(bytes: &[u8]) -> Cut {
    let Some([a, b, c, chunk, size @ ..]) = bytes.first_chunk::<HEADER_LEN>() else {
        let begins = MessageType::ALL
            .iter()
            .any(|(_, known)| known.as_bytes().iter().zip(bytes).all(|(known, byte)| known == byte));
        let chunk = bytes.get(3).is_none_or(|chunk| b"FCA".contains(chunk));
        return if begins && chunk { Cut::More(HEADER_LEN) } else { Cut::Foreign };
    };
    let total = u32::from_le_bytes(*size) as usize;
    match MessageType::of(&[*a, *b, *c]) {
        Some(kind) if (least(kind)..=CHUNK_MAX).contains(&total) && b"FCA".contains(chunk) => {
            if bytes.len() < total { Cut::More(total) } else { Cut::Message(total) }
        }
        _ => Cut::Foreign,
    }
}

/// The fewest bytes of a message.
const fn least(kind: MessageType) -> usize {
    match kind {
        MessageType::Hello => 32,
        MessageType::Acknowledge => 28,
        MessageType::Error | MessageType::ReverseHello => 16,
        MessageType::Open => 24,
        MessageType::Close | MessageType::Message => SYMMETRIC_LEN + 8,
    }
}

/// Who sends this chunk, if it is, beyond reasonable doubt, one of this protocol.
///
/// A readable message is whole by its service's layout; of others eight bytes of header fit their length, and the
/// channel has a number.
pub(super) fn speaks(chunk: &[u8]) -> Option<Sender> {
    let view = View::new(chunk, Sender::Unknown).filter(|view| view.oddities.is_empty())?;
    let by = |asks| if asks { Sender::Client } else { Sender::Server };
    let sender = match view.message {
        MessageType::Hello => Sender::Client,
        MessageType::Acknowledge | MessageType::Error | MessageType::ReverseHello => Sender::Server,
        MessageType::Open if !view.opening().ok()?.0.starts_with(POLICY) => return None,
        MessageType::Open if view.hidden => {
            if view.channel() == Some(0) {
                Sender::Client
            } else {
                Sender::Unknown
            }
        }
        _ if view.service == 0 => {
            let secured = view.message != MessageType::Open && view.channel()? != 0;
            return secured.then_some(Sender::Unknown);
        }
        _ => {
            service::check(view.service, view.body).ok()?;
            by(service::asks(view.service)?)
        }
    };
    Some(sender)
}

impl<'a> View<'a> {
    /// One chunk by itself: nothing is known of its channel. `None` when it is too short for its header or no message
    /// of this protocol.
    #[must_use]
    pub fn new(bytes: &'a [u8], sender: Sender) -> Option<Self> {
        let header: &[u8; HEADER_LEN] = bytes.first_chunk()?;
        let [a, b, c, chunk, size @ ..] = header;
        let message = MessageType::of(&[*a, *b, *c])?;
        let mut view = Self {
            bytes,
            sender,
            message,
            sequence_at: 0,
            policy: None,
            mode: Mode::Unknown,
            hidden: true,
            body: &[],
            service: 0,
            alone: false,
            places: Places(&[]),
            items: None,
            oddities: Oddities::NONE,
        };
        let odd = &mut view.oddities;
        if u32::from_le_bytes(*size) as usize != bytes.len() {
            odd.push(Oddity::LengthMismatch, 4);
        }
        if !(b"FCA".contains(chunk) && message == MessageType::Message || *chunk == b'F') {
            // §6.7.2.2: other messages are of one chunk.
            odd.push(Oddity::BadValue, 3);
        }
        match message {
            MessageType::Close | MessageType::Message => {
                if bytes.len() < SYMMETRIC_LEN + 8 {
                    odd.push(Oddity::Truncated, bytes.len());
                } else {
                    view.sequence_at = SYMMETRIC_LEN;
                }
            }
            MessageType::Open => match view.opening() {
                Ok((uri, _, _, at)) if bytes.len() >= at + 8 => {
                    view.policy = Some(Policy::of(uri));
                    view.sequence_at = at;
                    if uri.len() > POLICY_MAX {
                        view.oddities.push(Oddity::BadQuantity, 12);
                    }
                }
                Ok((.., at)) => view.oddities.push(Oddity::Truncated, at),
                Err(flaw) => view.oddities.push(flaw.oddity, flaw.at),
            },
            _ => view.check_connection(),
        }
        // §6.7.4: an opening is always encrypted unless the policy is None.
        match (message, view.policy) {
            (MessageType::Open, Some(Policy::None)) => view.reveal(Mode::None),
            (MessageType::Open, Some(_)) => view.mode = Mode::SignAndEncrypt,
            (MessageType::Close | MessageType::Message, _) if view.looks_readable() => {
                view.reveal(Mode::Unknown);
            }
            (MessageType::Close | MessageType::Message, _) => {}
            _ => view.reveal(Mode::None),
        }
        Some(view)
    }

    fn check_connection(&mut self) {
        let mut reader = self.inside();
        let read = (|| {
            match self.message {
                MessageType::Acknowledge => {
                    reader.take(20)?;
                    return Ok(0);
                }
                MessageType::Hello => {
                    reader.take(20)?;
                }
                MessageType::Error => {
                    reader.u32()?;
                }
                _ => {
                    reader.text()?;
                }
            }
            Read::Ok(reader.text()?.map_or(0, <[u8]>::len))
        })();
        match read {
            Err(flaw) => self.oddities.push(flaw.oddity, flaw.at),
            Ok(len) if len > URL_MAX => self.oddities.push(Oddity::BadQuantity, reader.at() - len),
            Ok(_) if !reader.rest().is_empty() => self.oddities.push(Oddity::TrailingBytes, reader.at()),
            Ok(_) => {}
        }
    }

    /// A reader behind the header, whose places count from the start of the chunk.
    fn inside(&self) -> Reader<'a> {
        let mut reader = Reader::new(self.bytes);
        let _ = reader.take(HEADER_LEN);
        reader
    }

    /// Policy, certificate, thumbprint of an opening, and where they end (§6.7.2.3).
    pub(super) fn opening(&self) -> Read<Opening<'a>> {
        let mut reader = self.inside();
        reader.u32()?;
        let mut text = || reader.text().map(Option::unwrap_or_default);
        let (uri, certificate, thumbprint) = (text()?, text()?, text()?);
        Ok((uri, certificate, thumbprint, reader.at()))
    }

    /// Whether a known service of namespace 0 is named where an unencrypted message names it.
    pub(super) fn looks_readable(&self) -> bool {
        let body = self.bytes.get(SYMMETRIC_LEN + 8..).unwrap_or_default();
        match self.chunk() {
            b'A' => false,
            _ => service::number(body).and_then(service::asks).is_some(),
        }
    }

    /// Takes note that the body can be read.
    pub(super) fn reveal(&mut self, mode: Mode) {
        (self.mode, self.hidden) = (mode, false);
        if self.chunk() == b'F' && self.sequence_at > 0 {
            self.body = self.bytes.get(self.sequence_at + 8..).unwrap_or_default();
            self.service = service::number(self.body).unwrap_or(0);
        }
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its three letters.
    #[must_use]
    pub const fn message(&self) -> MessageType {
        self.message
    }

    /// `F` for the last chunk of a message, `C` for one before, `A` when the sender gave up.
    #[must_use]
    pub fn chunk(&self) -> u8 {
        self.bytes.get(3).copied().unwrap_or_default()
    }

    /// What secures its channel, where that was seen.
    #[must_use]
    pub const fn policy(&self) -> Option<Policy> {
        self.policy
    }

    /// How it is secured.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Its secure channel.
    #[must_use]
    pub fn channel(&self) -> Option<u32> {
        self.message.is_secured().then(|| self.number(8)).flatten()
    }

    /// The token of the channel.
    #[must_use]
    pub fn token(&self) -> Option<u32> {
        matches!(self.message, MessageType::Close | MessageType::Message).then(|| self.number(12)).flatten()
    }

    /// Sequence number and request id, where they can be read (§6.7.2.4).
    #[must_use]
    pub fn sequence(&self) -> Option<(u32, u32)> {
        if self.sequence_at == 0 || self.hidden {
            return None;
        }
        Some((self.number(self.sequence_at)?, self.number(self.sequence_at + 4)?))
    }

    /// Where its sequence number lies in its bytes, where it can be read.
    #[must_use]
    pub fn sequence_at(&self) -> Option<usize> {
        self.sequence().map(|_| self.sequence_at)
    }

    /// How many values a Write request writes, or how many methods a Call request calls.
    #[must_use]
    pub fn operations(&self) -> Option<u32> {
        if !matches!(self.service, service::WRITE | service::CALL) {
            return None;
        }
        let mut reader = Reader::new(self.body);
        service::skip_header(self.service, &mut reader).ok()?;
        reader.array().ok()
    }

    /// Whether what is behind its headers is, or may be, encrypted.
    #[must_use]
    pub const fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// The limits in `HEL` and `ACK`.
    #[must_use]
    pub fn limits(&self) -> Option<Limits> {
        if !matches!(self.message, MessageType::Hello | MessageType::Acknowledge) {
            return None;
        }
        Some(Limits {
            version: self.number(8)?,
            receive: self.number(12)?,
            send: self.number(16)?,
            message: self.number(20)?,
            chunks: self.number(24)?,
        })
    }

    /// The status and the reason in `ERR` and in an abort (§7.1.2.5, §6.7.3).
    #[must_use]
    pub fn failure(&self) -> Option<(u32, &'a [u8])> {
        let at = match self.message {
            MessageType::Error => HEADER_LEN,
            MessageType::Message if self.chunk() == b'A' && !self.hidden => SYMMETRIC_LEN + 8,
            _ => return None,
        };
        let mut reader = Reader::new(self.bytes.get(at..)?);
        Some((reader.u32().ok()?, reader.text().ok()?.unwrap_or_default()))
    }

    /// Who calls (`RHE`) and for which endpoint (`HEL`, `RHE`).
    #[must_use]
    pub fn endpoint(&self) -> Option<(&'a [u8], &'a [u8])> {
        let mut reader = self.inside();
        let mut text = |skip: usize| {
            reader.take(skip).ok()?;
            reader.text().ok().map(Option::unwrap_or_default)
        };
        match self.message {
            MessageType::Hello => Some((&[], text(20)?)),
            MessageType::ReverseHello => Some((text(0)?, text(0)?)),
            _ => None,
        }
    }

    /// The service that is asked for or that answers, by the number of its binary encoding.
    #[must_use]
    pub fn service(&self) -> Option<u16> {
        (self.service != 0).then_some(self.service)
    }

    /// The whole body of the message, from the node that names its service on; empty where it cannot be read.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The handle that the client chose, and of a response its result (OPC 10000-4 §7.33, §7.34).
    #[must_use]
    pub fn handle(&self) -> Option<(u32, Option<u32>)> {
        let mut reader = Reader::new(self.body);
        reader.node_id().ok()?;
        if service::asks(self.service)? {
            reader.node_id().ok()?;
            reader.take(8).ok()?;
            Some((reader.u32().ok()?, None))
        } else {
            reader.take(8).ok()?;
            Some((reader.u32().ok()?, Some(reader.u32().ok()?)))
        }
    }

    /// What is odd about it, with byte offsets in the chunk; in a message of several chunks those of its body.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// Who sends it, as far as known.
    #[must_use]
    pub const fn sender(&self) -> Sender {
        self.sender
    }

    fn number(&self, at: usize) -> Option<u32> {
        self.bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }
}
