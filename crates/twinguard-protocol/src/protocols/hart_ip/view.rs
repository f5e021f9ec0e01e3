//! A view on the bytes of one message: shows even nonsense, flags what is odd.
//!
//! Source: *HART-IP Network Management Specification* and *TDMA/IP Data-Link*, HCF_SPEC-085 §10 (message header, session,
//! token-passing and direct messages); HCF_SPEC-081 *Token-Passing Data-Link Layer* §5 (frames, check byte).

use twinguard_types::Oddity;

use crate::bytes::{be16, chunk};
use crate::protocol::{Cut, Oddities, Sender};

/// Bytes of the message header: version, type, identifier, status, sequence number, byte count.
pub const HEADER_LEN: usize = 8;
/// Commands of one direct message that are followed.
pub const COMMANDS_MAX: usize = 64;

/// Message identifiers.
pub mod message {
    /// Opens a session.
    pub const INITIATE: u8 = 0;
    /// Ends it.
    pub const CLOSE: u8 = 1;
    /// Keeps it.
    pub const KEEP_ALIVE: u8 = 2;
    /// Carries a frame of the token-passing data link.
    pub const TOKEN_PASSING: u8 = 3;
    /// Carries commands alone (version 2).
    pub const DIRECT: u8 = 4;
    /// Reads the audit log (version 2).
    pub const AUDIT_LOG: u8 = 5;
}

/// Who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// Expanded device type and serial number: 38 bits.
    Unique(u64),
    /// A polling address, 0 to 63.
    Polling(u8),
    /// The server itself: direct messages name nobody.
    Server,
}

/// A frame of the token-passing data link (HCF_SPEC-081 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// Frame type in bits 0 to 2 (1 burst, 2 from a master, 6 from a device), long address in bit 7.
    pub delimiter: u8,
    /// The address, as it lies on the wire: one byte or five.
    pub address: &'a [u8],
    /// Command number; 31 stands for a longer one in the data.
    pub command: u8,
    /// Bytes told to follow.
    pub count: u8,
    /// What follows: response code and device status first, where a device sends.
    pub data: &'a [u8],
    /// Check byte, where it is there.
    pub check: Option<u8>,
    sum: u8,
}

impl<'a> Token<'a> {
    /// Reads a frame; `None` when it is shorter than its head.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (delimiter, rest) = bytes.split_first()?;
        let address = if delimiter & 0x80 == 0 { 1 } else { 5 };
        let (address, rest) = rest.split_at_checked(address)?;
        // Bits 5 and 6 count expansion bytes, which no device uses.
        let rest = rest.get(usize::from(delimiter >> 5 & 3)..)?;
        let ([command, count], rest) = rest.split_first_chunk()?;
        let data = rest.get(..usize::from(*count)).unwrap_or(rest);
        let check = rest.get(data.len()).copied();
        let before = bytes.len() - rest.len() + data.len();
        let sum = bytes.iter().take(before).fold(0, |sum, byte| sum ^ byte);
        Some(Self { delimiter: *delimiter, address, command: *command, count: *count, data, check, sum })
    }

    /// Whether a device sends it.
    #[must_use]
    pub const fn is_answer(&self) -> bool {
        !matches!(self.delimiter & 7, 2)
    }

    /// Whose frame it is: without the bits that tell the master and burst mode.
    #[must_use]
    pub fn device(&self) -> Device {
        match self.address {
            [one] => Device::Polling(one & 0x3f),
            bytes => {
                Device::Unique(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) & 0x3f_ffff_ffff)
            }
        }
    }
}

/// One command or its answer, from either sort of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Its number.
    pub number: u16,
    /// Response code of an answer.
    pub code: Option<u8>,
    /// Device status of an answer.
    pub status: u8,
    /// Its data.
    pub data: &'a [u8],
}

/// The commands of a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Commands<'a> {
    single: Option<Command<'a>>,
    rest: &'a [u8],
    answer: bool,
    status: u8,
    left: usize,
}

impl<'a> Iterator for Commands<'a> {
    type Item = Command<'a>;

    fn next(&mut self) -> Option<Command<'a>> {
        if let Some(single) = self.single.take() {
            return Some(single);
        }
        self.left = self.left.checked_sub(1)?;
        let number = be16(self.rest, 0)?;
        let count = usize::from(*self.rest.get(2)?);
        let (data, rest) = self.rest.get(3..)?.split_at_checked(count)?;
        self.rest = rest;
        match data.split_first() {
            Some((code, data)) if self.answer => {
                Some(Command { number, code: Some(*code), status: self.status, data })
            }
            _ => Some(Command { number, code: None, status: self.status, data }),
        }
    }
}

/// One message; borrows its bytes.
///
/// ```
/// use twinguard_protocol::protocols::hart_ip::View;
///
/// // Read the primary variable of the device with polling address 0.
/// let view = View::new(&[1, 0, 3, 0, 0, 9, 0, 13, 0x02, 0x80, 1, 0, 0x83]).unwrap();
/// assert_eq!(view.commands().next().unwrap().number, 1);
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    head: [u8; HEADER_LEN],
    token: Option<Token<'a>>,
    oddities: Oddities,
}

impl<'a> View<'a> {
    /// Reads a whole message; `None` when it is shorter than a header.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let head: [u8; HEADER_LEN] = *chunk(bytes, 0)?;
        let [version, kind, id, _, _, _, l1, l0] = head;
        let body = bytes.get(HEADER_LEN..).unwrap_or_default();
        let mut oddities = Oddities::NONE;
        if !matches!(version, 1 | 2) {
            oddities.push(Oddity::BadProtocolId, 0);
        }
        if !matches!(kind, 0..=2 | 15) {
            oddities.push(Oddity::BadValue, 1);
        }
        if usize::from(u16::from_be_bytes([l1, l0])) != bytes.len() {
            oddities.push(Oddity::LengthMismatch, 6);
        }
        let mut token = None;
        match id {
            message::INITIATE if body.len() < 5 && kind != 15 => {
                oddities.push(Oddity::Truncated, HEADER_LEN + body.len());
            }
            message::TOKEN_PASSING if kind != 15 => {
                token = Token::new(body);
                check_token(token.as_ref(), body, &mut oddities);
            }
            message::DIRECT if kind != 15 => check_direct(body, &mut oddities),
            0..=message::AUDIT_LOG => {}
            _ => oddities.push(Oddity::UnknownFunction, 2),
        }
        Some(Self { bytes, head, token, oddities })
    }

    /// All bytes of the message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes behind the header.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// Version: 1 or 2.
    #[must_use]
    pub const fn version(&self) -> u8 {
        self.head[0]
    }

    /// 0 request, 1 response, 2 publish, 15 refusal.
    #[must_use]
    pub const fn message_type(&self) -> u8 {
        self.head[1]
    }

    /// See [`message`].
    #[must_use]
    pub const fn message_id(&self) -> u8 {
        self.head[2]
    }

    /// Status: 0 when all is well.
    #[must_use]
    pub const fn status(&self) -> u8 {
        self.head[3]
    }

    /// Sequence number, which a response repeats.
    #[must_use]
    pub const fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.head[4], self.head[5]])
    }

    /// Bytes of the whole message, as told.
    #[must_use]
    pub const fn length(&self) -> u16 {
        u16::from_be_bytes([self.head[6], self.head[7]])
    }

    /// The frame of the token-passing data link.
    #[must_use]
    pub const fn token(&self) -> Option<&Token<'a>> {
        self.token.as_ref()
    }

    /// Whose commands these are.
    #[must_use]
    pub fn device(&self) -> Device {
        self.token.map_or(Device::Server, |token| token.device())
    }

    /// The commands in it, or the answers to them.
    #[must_use]
    pub fn commands(&self) -> Commands<'a> {
        match (self.token, self.message_id()) {
            (Some(token), _) => Commands { single: Some(single(&token)), ..Commands::default() },
            (None, message::DIRECT) => {
                let (status, rest) = self.body().split_at_checked(2).unwrap_or_default();
                Commands {
                    single: None,
                    rest,
                    answer: self.message_type() != 0,
                    status: status.first().copied().unwrap_or_default(),
                    left: COMMANDS_MAX,
                }
            }
            _ => Commands::default(),
        }
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

/// The command of a frame; number 31 extends it by two bytes (HCF_SPEC-099, extended commands).
fn single<'a>(token: &Token<'a>) -> Command<'a> {
    let (code, status, data) = match token.data {
        [code, status, data @ ..] if token.is_answer() => (Some(*code), *status, data),
        data => (None, 0, data),
    };
    match (token.command, be16(data, 0)) {
        (31, Some(number)) => Command { number, code, status, data: data.get(2..).unwrap_or_default() },
        (number, _) => Command { number: u16::from(number), code, status, data },
    }
}

fn check_token(token: Option<&Token<'_>>, body: &[u8], oddities: &mut Oddities) {
    let Some(token) = token else { return oddities.push(Oddity::Truncated, HEADER_LEN + body.len()) };
    if !matches!(token.delimiter & 7, 1 | 2 | 6) {
        oddities.push(Oddity::BadValue, HEADER_LEN);
    }
    match token.check {
        None => oddities.push(Oddity::Truncated, HEADER_LEN + body.len()),
        Some(check) if check != token.sum => oddities.push(Oddity::BadChecksum, HEADER_LEN + body.len() - 1),
        Some(_) => {}
    }
    if token.is_answer() && token.data.len() < 2 {
        oddities.push(Oddity::BadQuantity, HEADER_LEN);
    }
}

fn check_direct(body: &[u8], oddities: &mut Oddities) {
    let mut rest = body.get(2..);
    while let Some(bytes) = rest.filter(|bytes| !bytes.is_empty()) {
        rest = bytes.get(2).and_then(|count| bytes.get(3 + usize::from(*count)..));
    }
    if rest.is_none() {
        oddities.push(Oddity::Truncated, HEADER_LEN + body.len());
    }
}

/// Where the first message ends.
#[inline]
pub(super) fn cut(bytes: &[u8]) -> Cut {
    let head = bytes.get(..bytes.len().min(3)).unwrap_or_default();
    let legal = match head {
        [version, kind, id] => {
            matches!(version, 1 | 2) && matches!(kind, 0..=2 | 15) && *id <= message::AUDIT_LOG
        }
        [version, ..] => matches!(version, 1 | 2),
        [] => true,
    };
    match be16(bytes, 6).map(usize::from) {
        _ if !legal => Cut::Foreign,
        None => Cut::More(HEADER_LEN),
        Some(size) if size < HEADER_LEN => Cut::Foreign,
        Some(size) if bytes.len() < size => Cut::More(size),
        Some(size) => Cut::Message(size),
    }
}

/// Who sends these bytes, if they are whole messages beyond reasonable doubt.
pub(super) fn probe(bytes: &[u8]) -> Option<Sender> {
    let (mut rest, mut found) = (bytes, None);
    for _ in 0..4 {
        let Cut::Message(len) = cut(rest) else { return None };
        let (one, after) = rest.split_at_checked(len)?;
        let view = View::new(one)?;
        let whole = match view.message_id() {
            message::INITIATE => matches!(view.body(), [0 | 1, _, _, _, _]),
            message::CLOSE | message::KEEP_ALIVE => len == HEADER_LEN,
            message::TOKEN_PASSING => {
                view.token().is_some_and(|token| token.data.len() == usize::from(token.count))
            }
            message::DIRECT => view.commands().next().is_some(),
            _ => false,
        };
        let asks = view.message_type() == 0;
        let agrees = view.token().is_none_or(|token| token.is_answer() != asks);
        if !whole || !agrees || !view.oddities.is_empty() || view.message_type() == 15 {
            return None;
        }
        let sender = if asks { Sender::Client } else { Sender::Server };
        if found.is_some_and(|found| found != sender) {
            return None;
        }
        found = Some(sender);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    found
}
