//! What a conversation keeps: open requests, so that responses get their places; and what all conversations share:
//! connections opened over TCP whose data come over UDP.
//!
//! Source: *The CIP Networks Library* Volume 1 §3-5.5 (`Forward_Open`, `Forward_Close`), Volume 2 §2-3.6 (sender context),
//! §3-2 (class 0 and 1 connections).

use core::net::IpAddr;

use super::cip::{CONNECTION_MANAGER, ForwardOpen, Leaves, Meaning, Service};
use super::path::{Target, render};
use super::view::{Body, View};
use crate::bytes::{le16, le32};
use crate::protocol::{Address, Context};

/// Requests of a conversation that are kept; beyond it the oldest is forgotten.
pub const REQUESTS_MAX: usize = 32;
/// Bytes of a request that are kept: large connections carry up to 4002 (V2 3-2.4).
pub const REQUEST_MAX: usize = 4096;
/// Bytes of all requests that are kept, texts included; beyond it the oldest are forgotten.
const BYTES_MAX: usize = 24 * 1024;
/// Bytes of text that are kept with a request; places beyond it stay without a name.
const TEXT_MAX: usize = 2048;
/// The longest text that a path of 510 bytes makes.
const TEXT_ROOM: usize = TEXT_MAX + 4 * 510;
/// Connections that are kept; beyond it the oldest is forgotten.
pub const CONNECTIONS_MAX: usize = 1024;
/// Class-specific requests are told apart by up to this many bytes of their data.
const GIVEN_MAX: usize = 16;

/// A request as kept, or the part of it that has to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Its bytes, from the service code on; empty for the request itself.
    pub message: &'a [u8],
    /// Texts of places, each behind its length, its last index and its service's position.
    pub(super) texts: &'a [u8],
}

/// One conversation. Its room is taken with the first request and stays.
#[derive(Debug, Default)]
pub struct Session {
    /// In the order in which they came.
    kept: Vec<Kept>,
    bytes: Vec<u8>,
}

/// A request; its bytes and then its texts lie among those of the session.
#[derive(Clone, Copy, Debug)]
struct Kept {
    key: u64,
    answered: bool,
    start: usize,
    message: usize,
    texts: usize,
}

/// What all conversations have in common.
#[derive(Debug, Default)]
pub struct Shared {
    connections: Vec<Connection>,
    next: usize,
}

/// An open connection (3-5.5.2).
#[derive(Clone, Copy, Debug)]
struct Connection {
    /// Consumed by the target, consumed by the originator.
    ids: [u32; 2],
    ends: [Option<IpAddr>; 2],
    open: ForwardOpen,
    /// The last packet number of each direction.
    last: [Option<u32>; 2],
}

/// What is known of the connection of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Whether the originator sends: these data are the outputs of a controller.
    pub to_target: bool,
    /// The assembly instance that takes or gives the data.
    pub assembly: Option<u32>,
    /// Transport class: 1 has a sequence count before the data, 0 has none.
    pub class: u8,
    /// Packets that are missing before this one.
    pub missed: bool,
}

/// What a request and its response have in common.
#[inline]
pub(super) fn key(view: &View<'_>) -> Option<u64> {
    let head = view.head()?;
    Some(match view.body() {
        // Each direction has its own connection identifier; what they have in common its opening told.
        Body::Service { connected: Some((_, count)), .. } => {
            1 << 63 | u64::from(head.session ^ view.link) << 16 | u64::from(count)
        }
        // 2-3.6: the response repeats the context; most clients count in it, some leave it 0.
        _ => {
            let context = u64::from_le_bytes(head.context);
            let mixed = context.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(head.session) << 16;
            mixed & !(1 << 63) ^ u64::from(head.command)
        }
    })
}

impl Session {
    /// Keeps a request; returns its texts.
    pub(super) fn keep(&mut self, key: u64, message: &[u8]) -> &[u8] {
        let whole = message;
        let message = message.get(..message.len().min(REQUEST_MAX)).unwrap_or_default();
        if self.bytes.capacity() == 0 {
            self.kept.reserve_exact(REQUESTS_MAX);
            self.bytes.reserve_exact(BYTES_MAX);
        }
        let need = message.len() + TEXT_ROOM;
        if self.kept.len() >= REQUESTS_MAX || self.bytes.len() + need > BYTES_MAX {
            self.make_room(need);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(message);
        let behind = self.bytes.len();
        texts(whole, &mut self.bytes);
        let texts = self.bytes.len() - behind;
        self.kept.push(Kept { key, answered: false, start, message: message.len(), texts });
        self.bytes.get(behind..).unwrap_or_default()
    }

    /// Forgets what was answered, then the oldest, until there is room; moves the rest together.
    fn make_room(&mut self, need: usize) {
        self.kept.retain(|kept| !kept.answered);
        let held = |kept: &[Kept]| kept.iter().map(|kept| kept.message + kept.texts).sum::<usize>();
        while self.kept.len() >= REQUESTS_MAX || held(&self.kept) + need > BYTES_MAX && !self.kept.is_empty()
        {
            self.kept.remove(0);
        }
        let mut end = 0;
        for kept in &mut self.kept {
            let len = kept.message + kept.texts;
            self.bytes.copy_within(kept.start..kept.start + len, end);
            kept.start = end;
            end += len;
        }
        self.bytes.truncate(end);
    }

    /// The request that a response answers: of several the one that waits longest, as pairing has it.
    pub(super) fn answered(&mut self, key: u64, code: u8) -> Option<Request<'_>> {
        let bytes = self.bytes.as_slice();
        let fits = |kept: &&mut Kept| {
            let asked = bytes.get(kept.start..kept.start + kept.message).and_then(Service::new);
            kept.key == key && !kept.answered && asked.is_some_and(|asked| answers(&asked, code))
        };
        let kept = self.kept.iter_mut().find(fits)?;
        kept.answered = true;
        let (message, rest) = bytes.get(kept.start..)?.split_at_checked(kept.message)?;
        Some(Request { message, texts: rest.get(..kept.texts)? })
    }
}

/// Whether a response of this service may answer a request: routed requests are answered by their target (3-5.5.4).
pub(super) fn answers(request: &Service<'_>, code: u8) -> bool {
    let inner = || request.forwarded().and_then(|(inner, _)| Service::new(inner));
    request.code == code || inner().is_some_and(|inner| inner.code == code)
}

/// What text a place needs beyond what the request holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// None.
    None,
    /// A name of several parts.
    Name,
    /// The data that tell one class-specific request from another.
    Given,
}

impl Text {
    /// Of a request.
    #[inline]
    pub(super) fn of(leaf: &Service<'_>, target: &Target<'_>) -> Self {
        match Meaning::of(leaf.code, target) {
            meaning if meaning.is_tag() && target.nested => Self::Name,
            Meaning::Other if (1..=GIVEN_MAX).contains(&leaf.data.len()) => Self::Given,
            _ => Self::None,
        }
    }
}

/// Writes the texts of a request, in the order of its services: length, last index, text.
fn texts(message: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    for leaf in Leaves::of(message) {
        let target = Target::of(leaf.path);
        let text = Text::of(&leaf, &target);
        if text == Text::None {
            continue;
        }
        let start = out.len();
        if start - begin > TEXT_MAX {
            return;
        }
        out.extend_from_slice(&[0; 6]);
        let index = if text == Text::Name {
            render(leaf.path, out).unwrap_or(0)
        } else {
            let digit = |nibble: u8| b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or(b'0');
            leaf.data.iter().for_each(|byte| out.extend([digit(byte >> 4), digit(byte & 15)]));
            0
        };
        let len = (out.len() - start - 6).min(usize::from(u16::MAX)) as u16;
        if let Some(head) = out.get_mut(start..start + 6) {
            let [l0, l1] = len.to_le_bytes();
            let [i0, i1, i2, i3] = index.to_le_bytes();
            head.copy_from_slice(&[l0, l1, i0, i1, i2, i3]);
        }
    }
}

/// The texts of a request, one by one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Texts<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = (&'a [u8], u32);

    fn next(&mut self) -> Option<Self::Item> {
        let (len, index) = (le16(self.0, 0)?, le32(self.0, 2)?);
        let (text, rest) = self.0.get(6..)?.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some((text, index))
    }
}

impl Shared {
    /// Takes note of a response of the connection manager, whose request is known.
    pub(super) fn note(&mut self, context: &Context, request: &[u8], response: &Service<'_>) {
        let Some(mut request) = Service::new(request) else { return };
        if let Some(inner) = request.forwarded().and_then(|(inner, _)| Service::new(inner)) {
            request = inner;
        }
        if response.status != 0 || Target::of(request.path).class != Some(CONNECTION_MANAGER) {
            return;
        }
        match request.code {
            0x54 | 0x5b => {
                let (Some(open), Some(to), Some(from)) =
                    (ForwardOpen::of(&request), le32(response.data, 0), le32(response.data, 4))
                else {
                    return;
                };
                let ip = |address: Address| address.socket().map(|socket| socket.ip());
                // The response comes from the target.
                let ends = [ip(context.destination), ip(context.source)];
                let fresh = Connection { ids: [to, from], ends, open, last: [None; 2] };
                self.connections.retain(|held| held.open.triad != open.triad);
                if self.connections.len() < CONNECTIONS_MAX {
                    self.connections.push(fresh);
                } else if let Some(place) = self.connections.get_mut(self.next) {
                    *place = fresh;
                    self.next = (self.next + 1) % CONNECTIONS_MAX;
                }
            }
            // Forward_Close names the connection by its triad (table 3-5.22).
            0x4e => {
                let triad = (le16(request.data, 2), le16(request.data, 4), le32(request.data, 6));
                let (Some(serial), Some(vendor), Some(originator)) = triad else { return };
                self.connections.retain(|held| held.open.triad != (serial, vendor, originator));
                self.next = 0;
            }
            _ => {}
        }
    }

    /// Where the connection of this identifier is kept, and whether its originator sends.
    fn find(&self, context: &Context, connection: u32) -> Option<(usize, bool)> {
        let source = context.source.socket().map(|socket| socket.ip());
        self.connections.iter().enumerate().find_map(|(place, held)| {
            let [to, from] = held.ids;
            let [originator, target] = held.ends;
            let outputs = to == connection && originator == source;
            (outputs || from == connection && target == source).then_some((place, outputs))
        })
    }

    /// A number that both directions of a connection have in common; 0 where its opening was not seen.
    pub(super) fn link(&self, context: &Context, connection: u32) -> u32 {
        let place = self.find(context, connection).map(|(place, _)| place);
        let triad = place.and_then(|place| self.connections.get(place)).map(|held| held.open.triad);
        triad.map_or(0, |(serial, vendor, originator)| {
            (u32::from(vendor) << 16 | u32::from(serial)) ^ originator.rotate_left(7)
        })
    }

    /// The connection that a packet of I/O data belongs to.
    pub(super) fn channel(&mut self, context: &Context, connection: u32, sequence: u32) -> Option<Channel> {
        let (place, to_target) = self.find(context, connection)?;
        let held = self.connections.get_mut(place)?;
        let last = held.last.get_mut(usize::from(!to_target))?.replace(sequence);
        let step = last.map_or(1, |last| sequence.wrapping_sub(last));
        let [output, input] = held.open.points;
        Some(Channel {
            to_target,
            assembly: if to_target { output } else { input },
            class: held.open.transport & 0x0f,
            missed: (2..1 << 31).contains(&step),
        })
    }
}
