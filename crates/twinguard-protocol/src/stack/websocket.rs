//! WebSockets: what a TCP connection carries inside, behind an upgrade of HTTP.
//!
//! Sources: RFC 6455 (clauses §…), RFC 9112 §2 (the heads of request and response); MQTT 5.0 §6 (MQTT inside, in binary
//! frames whose bounds mean nothing).

use twinguard_types::{Label, Malformed, Oddity};

use super::resync::{cut, resync};
use super::stream::{Speaks, Stream};
use super::{Config, LOOKS, Next, Stack};
use crate::bytes::{be16, chunk};
use crate::pairing::{Conversation, Role};
use crate::protocol::{Address, Cut, Sender};
use crate::registry::Family;
use crate::tcp::Side;

/// The longest head of a request or response that is waited for.
const HEAD_MAX: usize = 8 << 10;
/// The most that is held of a direction until a message is whole.
const HELD_MAX: usize = 64 << 10;
/// The most that is held of all WebSockets together.
const HELD_TOTAL: usize = 16 << 20;

/// A connection that became a WebSocket.
#[derive(Debug)]
pub(super) struct WebSocket {
    ends: [Address; 2],
    client: usize,
    directions: [Direction; 2],
    /// What is spoken inside, as far as known.
    inside: Option<Conversation>,
    looks: u8,
}

/// What one end sends.
#[derive(Debug, Default)]
struct Direction {
    step: Step,
    /// Bytes from inside, unmasked, of which the first `told` are done with.
    held: Vec<u8>,
    told: usize,
    synced: bool,
}

/// What comes next in a direction.
#[derive(Clone, Copy, Debug, Default)]
enum Step {
    /// The head of HTTP.
    #[default]
    Head,
    /// A frame.
    Frame,
    /// Bytes of a frame: how many, how they are masked, whether they are of inside.
    Payload { left: u64, mask: [u8; 4], kept: bool },
    /// Nothing that can be read: bytes were lost, the frames are compressed or none, too much had to be held.
    Lost,
}

/// Whether the first bytes of a connection ask for a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    No,
    /// More is needed to say.
    Perhaps,
    /// By a head of this length; the family that it names, if it is one of ours.
    Yes(usize, Option<Family>),
}

/// What is inside next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// A message of this length.
    Message(usize),
    /// These many bytes that are no message.
    Foreign(usize),
    /// Nothing whole.
    Nothing,
}

/// §4.1: a GET whose `Upgrade` names `websocket`.
pub(super) fn asked(bytes: &[u8]) -> Asked {
    const GET: &[u8] = b"GET ";
    if bytes.is_empty() || !(bytes.starts_with(GET) || GET.starts_with(bytes)) {
        return Asked::No;
    }
    let Some(len) = head(bytes) else {
        return if bytes.len() < HEAD_MAX { Asked::Perhaps } else { Asked::No };
    };
    let names = |header: &str, wanted: &str| {
        let lines = bytes.get(..len).unwrap_or_default().split(|byte| *byte == b'\n').skip(1);
        let values = lines.filter_map(|line| {
            let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
            name.eq_ignore_ascii_case(header.as_bytes()).then_some(value.get(1..)?)
        });
        let mut tokens = values.flat_map(|value| value.split(|byte| *byte == b','));
        tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    };
    if !names("upgrade", "websocket") {
        return Asked::No;
    }
    // The names that MQTT registered; brokers take the older one as well (MQTT 5.0 §6, 3.1).
    let mqtt = ["mqtt", "mqttv3.1"].iter().any(|name| names("sec-websocket-protocol", name));
    Asked::Yes(len, mqtt.then_some(Family::Mqtt))
}

/// The length of the head of HTTP at the start of these bytes, its empty line with it.
fn head(bytes: &[u8]) -> Option<usize> {
    let bytes = bytes.get(..HEAD_MAX).unwrap_or(bytes);
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

impl WebSocket {
    /// A connection whose `client` asked for it, and the family that it named.
    pub(super) fn new(ends: [Address; 2], client: usize, family: Option<Family>) -> Self {
        let mut directions: [Direction; 2] = Default::default();
        directions.iter_mut().for_each(|direction| direction.synced = true);
        if let Some(direction) = directions.get_mut(client) {
            direction.step = Step::Frame;
        }
        let inside = family.map(|family| Conversation::new(family, ends, Role::Is(client), false));
        Self { ends, client, directions, inside, looks: 0 }
    }

    /// What is spoken inside.
    pub(super) const fn inside(&mut self) -> Option<&mut Conversation> {
        self.inside.as_mut()
    }

    /// Whether the request with this serial number awaits its answer.
    pub(super) fn awaits(&self, serial: u64) -> bool {
        self.inside.as_ref().is_some_and(|conversation| conversation.pairing.awaits(serial))
    }

    /// What is spoken inside, and a message of `end` that [`WebSocket::next`] found.
    pub(super) fn message(&mut self, end: usize, len: usize) -> Option<(&mut Conversation, &[u8])> {
        let bytes = self.directions.get(end)?.held.get(..len)?;
        Some((self.inside.as_mut()?, bytes))
    }

    /// Bytes that are held, used or not.
    pub(super) fn bytes(&self) -> usize {
        self.directions.iter().map(|direction| direction.held.capacity()).sum()
    }

    /// Nothing that comes from `end` can be read from here on.
    pub(super) fn lose(&mut self, end: usize) {
        if let Some(direction) = self.directions.get_mut(end) {
            *direction = Direction { step: Step::Lost, ..Direction::default() };
        }
    }

    /// Takes stream bytes of `end`: how many, and what is odd about them. The rest waits for more.
    pub(super) fn take(&mut self, end: usize, bytes: &[u8]) -> (usize, Option<Oddity>) {
        let from_client = end == self.client;
        let Some(direction) = self.directions.get_mut(end) else { return (bytes.len(), None) };
        direction.held.drain(..core::mem::take(&mut direction.told).min(direction.held.len()));
        let (mut rest, mut odd) = (bytes, None);
        loop {
            let (step, used, oddity) = direction.step(from_client, rest);
            odd = odd.or(oddity);
            direction.step = step;
            let Some(after) = rest.get(used..).filter(|_| used > 0) else { break };
            rest = after;
        }
        if direction.held.is_empty() && direction.held.capacity() > 4096 {
            direction.held = Vec::new();
        }
        (bytes.len() - rest.len(), odd)
    }

    /// The next message of `end` from inside.
    pub(super) fn next(&mut self, end: usize, config: &Config) -> Inside {
        let Some(direction) = self.directions.get_mut(end) else { return Inside::Nothing };
        direction.held.drain(..core::mem::take(&mut direction.told).min(direction.held.len()));
        loop {
            let bytes = direction.held.as_slice();
            if bytes.is_empty() {
                return Inside::Nothing;
            }
            let Some(conversation) = &mut self.inside else {
                let Some((family, sender)) = config.recognise(bytes).filter(|_| self.looks < LOOKS) else {
                    self.looks = self.looks.saturating_add(1);
                    direction.held.clear();
                    return Inside::Nothing;
                };
                let client = if sender == Sender::Server { 1 - end } else { self.client };
                self.inside = Some(Conversation::new(family, self.ends, Role::Seems(client), false));
                continue;
            };
            let family = conversation.pairing.family;
            let skipped = match cut(family, bytes) {
                Cut::Message(len) if direction.synced => {
                    direction.told = len;
                    let message = bytes.get(..len).unwrap_or_default();
                    let source = self.ends.get(end);
                    if source.is_some_and(|source| conversation.session.absorb(source, message)) {
                        direction.held.drain(..core::mem::take(&mut direction.told));
                        continue;
                    }
                    return Inside::Message(len);
                }
                Cut::More(_) if direction.synced => return Inside::Nothing,
                _ => resync(family, bytes, 0, false),
            };
            let (skip, found) = skipped;
            let first = core::mem::replace(&mut direction.synced, found);
            direction.held.drain(..skip.min(direction.held.len()));
            match (first, found) {
                (true, _) => return Inside::Foreign(skip),
                (false, true) => {}
                (false, false) => return Inside::Nothing,
            }
        }
    }
}

impl Stack {
    /// A connection becomes a WebSocket by the head of HTTP that `side` sent.
    #[cold]
    pub(super) fn begin_inside(&mut self, side: Side, len: usize, family: Option<Family>) -> Next {
        let Some(flow) = self.assembler.flow(side.flow) else { return Next::Wait };
        let ends = flow.ends.map(Address::Socket);
        let family = family.filter(|family| self.config.families.contains(family));
        if let Some(stream) = self.streams.get_mut(side.flow.index()) {
            stream.speaks = Speaks::WebSocket(Box::new(WebSocket::new(ends, side.end.index(), family)));
        }
        self.assembler.consume(side, len);
        Next::Again
    }

    /// What a WebSocket has inside next.
    pub(super) fn next_inside(&mut self, side: Side) -> Next {
        let Some(Stream { speaks: Speaks::WebSocket(socket), .. }) = self.streams.get_mut(side.flow.index())
        else {
            return Next::Wait;
        };
        let end = side.end.index();
        let before = socket.bytes();
        let (used, mut odd) = socket.take(end, self.assembler.readable(side));
        self.assembler.consume(side, used);
        self.inside_bytes = self.inside_bytes.saturating_sub(before);
        if self.inside_bytes + socket.bytes() > HELD_TOTAL {
            socket.lose(end);
            odd = Some(Oddity::Dropped);
        }
        self.inside_bytes += socket.bytes();
        let [source, destination] = match socket.ends.map(|end| end.socket()) {
            [first, second] if end == 0 => [first, second],
            [first, second] => [second, first],
        };
        let (at, websocket) = (self.at, Label::literal("websocket"));
        let malformed = &mut self.malformed;
        let mut tell = |family, oddity| {
            malformed.push_back(Malformed { at, family, source, destination, offset: 0, oddity });
        };
        odd.into_iter().for_each(|oddity| tell(websocket, oddity));
        loop {
            match socket.next(end, &self.config) {
                Inside::Message(len) => return Next::Inside(len),
                Inside::Nothing => return Next::Wait,
                Inside::Foreign(skip) => {
                    self.counters.foreign_bytes += skip as u64;
                    let family = socket.inside().map_or(websocket, |inside| inside.pairing.family.label());
                    tell(family, Oddity::NotThisProtocol);
                }
            }
        }
    }
}

impl Direction {
    /// One step on: the next one, how many bytes it used (0: it waits for more), what is odd.
    fn step(&mut self, from_client: bool, bytes: &[u8]) -> (Step, usize, Option<Oddity>) {
        match self.step {
            Step::Head => match head(bytes) {
                // §4.2.2: 101 and nothing else; a refusal is followed by what is no WebSocket.
                Some(len) if bytes.starts_with(b"HTTP/1.1 101") => (Step::Frame, len, None),
                Some(_) => (Step::Lost, bytes.len(), None),
                None if bytes.len() < HEAD_MAX => (Step::Head, 0, None),
                None => (Step::Lost, bytes.len(), Some(Oddity::NotThisProtocol)),
            },
            Step::Frame => frame(from_client, bytes),
            Step::Payload { left, mask, kept } => {
                let used = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                if used == 0 {
                    return (if left == 0 { Step::Frame } else { self.step }, 0, None);
                }
                if kept && self.held.len() + used > HELD_MAX {
                    *self = Self::default();
                    return (Step::Lost, bytes.len(), Some(Oddity::Dropped));
                }
                if kept {
                    // §5.3: octet i is masked with octet i modulo 4.
                    let part = bytes.get(..used).unwrap_or_default();
                    self.held.extend(part.iter().zip(mask.into_iter().cycle()).map(|(byte, key)| byte ^ key));
                }
                let mut mask = mask;
                mask.rotate_left(used % 4);
                match left - used as u64 {
                    0 => (Step::Frame, used, None),
                    left => (Step::Payload { left, mask, kept }, used, None),
                }
            }
            Step::Lost => (Step::Lost, bytes.len(), None),
        }
    }
}

/// §5.2: the head of a frame.
fn frame(from_client: bool, bytes: &[u8]) -> (Step, usize, Option<Oddity>) {
    let Some([first, second]) = chunk::<2>(bytes, 0).copied() else { return (Step::Frame, 0, None) };
    let (code, masked) = (first & 0x0f, second & 0x80 != 0);
    // §5.2: the three bits are extensions' (§9), of which compression (RFC 7692) is the one in use; codes 3 to 7 and
    // 11 to 15 are nobody's.
    if first & 0x70 != 0 || !matches!(code, 0..=2 | 8..=10) {
        return (Step::Lost, bytes.len(), Some(Oddity::NotThisProtocol));
    }
    let (len, len_len) = match second & 0x7f {
        126 => (be16(bytes, 2).map(u64::from), 2),
        127 => (chunk(bytes, 2).map(|field| u64::from_be_bytes(*field)), 8),
        len => (Some(u64::from(len)), 0),
    };
    let mask = if masked { chunk::<4>(bytes, 2 + len_len).copied() } else { Some([0; 4]) };
    let (Some(len), Some(mask)) = (len, mask) else { return (Step::Frame, 0, None) };
    let odd = if code >= 8 && (len > 125 || first & 0x80 == 0) {
        Some(Oddity::BadQuantity) // §5.5
    } else if masked != from_client {
        Some(Oddity::BadValue) // §5.1: clients mask, servers do not
    } else {
        None
    };
    let used = 2 + len_len + if masked { 4 } else { 0 };
    let next = if len == 0 { Step::Frame } else { Step::Payload { left: len, mask, kept: code < 8 } };
    (next, used, odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: a\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, mqtt\r\n\r\n";

    #[test]
    fn an_upgrade_is_known_by_its_head() {
        assert_eq!(asked(ASK), Asked::Yes(ASK.len(), Some(Family::Mqtt)));
        for len in 1..ASK.len() {
            assert_eq!(asked(&ASK[..len]), Asked::Perhaps, "{len}");
        }
        assert_eq!(asked(&[ASK, b"\x82\x80"].concat()), Asked::Yes(ASK.len(), Some(Family::Mqtt)));
        assert_eq!(asked(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Asked::No);
        assert_eq!(asked(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"), Asked::No);
        let other = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: xmqtt\r\n\r\n";
        assert_eq!(asked(other), Asked::Yes(other.len(), None));
        assert_eq!(asked(b"POST / HTTP/1.1\r\n\r\n"), Asked::No);
        assert_eq!(asked(&[b"GET /", &[b'a'; HEAD_MAX][..]].concat()), Asked::No);
        assert_eq!(asked(b""), Asked::No);
    }

    /// What `end` sends inside, taken `size` bytes at a time.
    fn inside(end: usize, bytes: &[u8], size: usize) -> (Vec<u8>, Vec<Oddity>) {
        let ends = ["10.0.0.1:4000", "10.0.0.2:9001"].map(|end| Address::Socket(end.parse().unwrap()));
        let mut socket = WebSocket::new(ends, 0, Some(Family::Mqtt));
        let (mut waiting, mut found, mut odd) = (Vec::new(), Vec::new(), Vec::new());
        for part in bytes.chunks(size) {
            waiting.extend_from_slice(part);
            let (used, oddity) = socket.take(end, &waiting);
            waiting.drain(..used);
            odd.extend(oddity);
            found.append(&mut socket.directions[end].held);
        }
        (found, odd)
    }

    #[test]
    fn frames_of_the_standard_in_pieces() {
        // §5.7: "Hello" masked, unmasked, in two fragments with a ping between them.
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let plain = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        let fragments =
            [&[0x01, 0x03, 0x48, 0x65, 0x6c][..], &[0x89, 0x02, 1, 2], &[0x80, 0x02, 0x6c, 0x6f]].concat();
        let answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        for size in [1, 2, 3, 7, 100] {
            assert_eq!(
                inside(0, &[masked, masked].concat(), size),
                (b"HelloHello".to_vec(), vec![]),
                "{size}"
            );
            for frames in [&plain[..], &fragments] {
                assert_eq!(inside(1, &[&answer[..], frames].concat(), size), (b"Hello".to_vec(), vec![]));
            }
        }
        let long =
            [&answer[..], &[0x82, 126, 1, 0], &[7; 256], &[0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1, 9]].concat();
        assert_eq!(inside(1, &long, 50).0, [&[7; 256][..], &[9]].concat());
        assert_eq!(inside(0, &plain, 100).1, [Oddity::BadValue], "a client that does not mask");
    }

    #[test]
    fn what_cannot_be_read_is_told_once() {
        let answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        for (frames, odd) in [
            (&[0xc2, 2, 1, 1][..], vec![Oddity::NotThisProtocol]), // compressed
            (&[0x83, 2, 1, 1], vec![Oddity::NotThisProtocol]),
            (&[0x89, 126, 0, 200], vec![Oddity::BadQuantity]),
        ] {
            assert_eq!(inside(1, &[&answer[..], frames].concat(), 1000), (vec![], odd));
        }
        assert_eq!(inside(1, b"HTTP/1.1 403 Forbidden\r\n\r\n\x82\x01a", 100), (vec![], vec![]));
        let flood = [&[0x82, 127, 0, 0, 0, 0, 0, 2, 0, 0][..], &[0x30; HELD_MAX + 100]].concat();
        let ends = ["10.0.0.1:4000", "10.0.0.2:9001"].map(|end| Address::Socket(end.parse().unwrap()));
        let mut socket = WebSocket::new(ends, 1, Some(Family::Mqtt));
        socket.directions[0].step = Step::Frame;
        assert_eq!(socket.take(0, &flood), (flood.len(), Some(Oddity::Dropped)));
        assert!(socket.bytes() <= 4096);
    }
}
