//! The front door: frames in, messages, exchanges and oddities out.

mod config;
mod item;

use std::collections::{BTreeMap, VecDeque};

use twinguard_types::{Duration, Exchange, ExchangeOutcome, Label, Malformed, Oddity, Timestamp};

use crate::error::DecodeError;
use crate::frame::Frame;
use crate::ip::{Defragmenter, IpPacket, Transport};
use crate::link::{self, Network};
use crate::pairing::{Conversation, Role};
use crate::protocol::{Address, Carrier, Cut, Header, Sender};
use crate::registry::Family;
use crate::tcp::{self, Assembler, End, Side};

pub use config::{Config, Counters};
pub use item::{Item, Message};

/// Turns frames into messages: links, fragments, TCP streams, families, directions, pairing.
///
/// Sans-IO: give it a frame, then [`poll`](Stack::poll) until there is nothing more; time comes with the frames or by
/// [`tick`](Stack::tick). The same frames give the same items, bit for bit.
///
/// **Who is the client** is known by the handshake; where that was not seen, by the port; else by the first message
/// that only one end can send. **Garbage** in a stream is reported once and stepped over to the next legal message.
///
/// ```
/// use twinguard_protocol::{Frame, Item, Kind, LinkType, stack::{Config, Stack}};
/// use twinguard_types::Timestamp;
///
/// // IPv4, UDP to port 502, the request of §6.3.
/// let frame = [
///     0x45, 0, 0, 40, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
///     0x30, 0x39, 0x01, 0xf6, 0, 20, 0, 0,
///     0, 1, 0, 0, 0, 6, 17, 3, 0, 107, 0, 3,
/// ];
/// let mut stack = Stack::new(Config::default());
/// stack.handle(&Frame { index: 1, at: Timestamp::ZERO, link: LinkType::RawIp, bytes: &frame, original_len: 40 });
/// let Some(Item::Message(message)) = stack.poll() else { panic!("no message") };
/// assert_eq!((message.header.kind, message.header.function), (Kind::Request, 3));
/// assert!(stack.poll().is_none());
/// assert_eq!(stack.next_deadline(), Some(Timestamp::from_secs(10)), "then the request counts as unanswered");
/// ```
#[derive(Debug)]
pub struct Stack {
    config: Config,
    carriers: Vec<(Carrier, Family)>,
    counters: Counters,
    now: Timestamp,
    serial: u64,
    defragmenter: Option<Box<Defragmenter>>,
    assembler: Assembler,
    streams: Vec<Stream>,
    datagrams: Vec<Conversation>,
    datagram_index: BTreeMap<(Family, Address, Address), u32>,
    oldest_datagram: usize,
    deadlines: VecDeque<Deadline>,
    compact_at: usize,

    frame: u64,
    at: Timestamp,
    index: u32,
    ready: [Option<Side>; 2],
    datagram: Vec<u8>,
    pending_datagram: Option<(u32, usize)>,
    taken: Option<(Side, usize)>,
    found: Option<Found>,
    ended: Option<Ended>,
    exchanges: VecDeque<Exchange>,
    malformed: VecDeque<Malformed>,
}

/// An exchange that the last message completed, told after the message.
#[derive(Clone, Copy, Debug)]
struct Ended {
    place: Place,
    header: Header,
    latency: Option<Duration>,
    outcome: ExchangeOutcome,
}

/// What is known of a TCP connection beyond what the assembler knows.
#[derive(Debug)]
struct Stream {
    generation: u32,
    speaks: Speaks,
    /// Whether the next readable byte of each end is known to begin a message.
    synced: [bool; 2],
    /// Readable bytes of each end that were left for later: behind them the newest segment begins.
    left: [usize; 2],
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "lives in a table that is reused")]
enum Speaks {
    /// Not yet known; looked into this many times.
    Unknown(u8),
    /// Nothing that we read.
    Other,
    /// A family.
    Family(Conversation),
}

/// A connection of unknown content is given up after this many looks.
const LOOKS: u8 = 6;

#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: Timestamp,
    serial: u64,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Stream { index: u32, generation: u32 },
    Datagram(u32),
}

impl Stack {
    /// A stack that has seen nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let named = config
            .families
            .iter()
            .flat_map(|family| family.carriers().iter().map(|carrier| (*carrier, *family)));
        let mut carriers: Vec<_> = config.carriers.iter().copied().chain(named).collect();
        // A stable sort: of two families on one carrier the one named by the caller, or first in the list, wins.
        carriers.sort_by_key(|(carrier, _)| *carrier);
        carriers.dedup_by_key(|(carrier, _)| *carrier);
        Self {
            carriers,
            counters: Counters::default(),
            now: Timestamp::MIN,
            serial: 0,
            defragmenter: Some(Box::new(Defragmenter::new(config.fragments))),
            assembler: Assembler::new(config.tcp),
            streams: Vec::new(),
            datagrams: Vec::new(),
            datagram_index: BTreeMap::new(),
            oldest_datagram: 0,
            deadlines: VecDeque::new(),
            compact_at: 1024,
            frame: 0,
            at: Timestamp::MIN,
            index: 0,
            ready: [None; 2],
            datagram: Vec::new(),
            pending_datagram: None,
            taken: None,
            found: None,
            ended: None,
            exchanges: VecDeque::new(),
            malformed: VecDeque::new(),
            config,
        }
    }

    /// Takes a frame. Items of an earlier frame that were not fetched are lost to the caller, not to the stack.
    #[inline]
    pub fn handle(&mut self, frame: &Frame<'_>) {
        while let Some(item) = self.poll() {
            let unread = matches!(item, Item::Message(_));
            self.counters.unread += u64::from(unread);
        }
        self.counters.frames += 1;
        self.now = self.now.max(frame.at);
        self.frame = frame.index;
        self.at = frame.at;
        self.index = 0;
        match link::decode(frame.link, frame.bytes) {
            Ok(packet) => match packet.network {
                Network::Ip(ip) => self.ip(&ip),
                Network::Other { ether_type, payload } => {
                    if let (Some(family), Some(macs)) =
                        (self.family_on(Carrier::EtherType(ether_type)), packet.macs)
                    {
                        let ends = [Address::Mac(macs.source), Address::Mac(macs.destination)];
                        self.datagram(family, ends, Role::Open, payload);
                    }
                }
            },
            Err(error) => self.undecoded(frame, error),
        }
    }

    /// Tells that time has passed without a frame: requests may have become unanswered.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// When the next request would count as unanswered; [`tick`](Stack::tick) then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.iter().find(|deadline| self.awaits(deadline)).map(|deadline| deadline.at)
    }

    /// What was seen so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What TCP reassembly saw so far.
    #[must_use]
    pub const fn tcp_counters(&self) -> &tcp::Counters {
        self.assembler.counters()
    }

    /// The next item, until there is none.
    #[inline]
    pub fn poll(&mut self) -> Option<Item<'_>> {
        if let Some((side, len)) = self.taken.take() {
            self.assembler.consume(side, len);
        }
        if let Some(Ended { place, header, latency, outcome }) = self.ended.take() {
            let now = self.now;
            let exchange = self
                .conversation(place)
                .and_then(|held| held.pairing.exchange(now, &header, latency, outcome));
            if let Some(exchange) = exchange {
                self.counters.exchanges += 1;
                return Some(Item::Exchange(exchange));
            }
        }
        if let Some(exchange) = self.exchanges.pop_front() {
            self.counters.exchanges += 1;
            return Some(Item::Exchange(exchange));
        }
        if let Some(malformed) = self.malformed.pop_front() {
            return Some(Item::Malformed(malformed));
        }
        if let Some(exchange) = self.lapse() {
            self.counters.exchanges += 1;
            return Some(Item::Exchange(exchange));
        }
        let found = self.found.take().or_else(|| self.advance());
        if let Some(malformed) = self.malformed.pop_front() {
            // It lies before the message.
            self.found = found;
            return Some(Item::Malformed(malformed));
        }
        self.message(found?)
    }

    fn family_on(&self, carrier: Carrier) -> Option<Family> {
        let place = self.carriers.binary_search_by_key(&carrier, |(known, _)| *known).ok()?;
        self.carriers.get(place).map(|(_, family)| *family)
    }

    #[cold]
    fn undecoded(&mut self, frame: &Frame<'_>, error: DecodeError) {
        self.counters.undecoded += 1;
        // What the capture cut or does not decode says nothing about the sender.
        let oddity = match error {
            DecodeError::Truncated { .. } if !frame.is_cut() => Oddity::Truncated,
            DecodeError::Malformed { .. } => Oddity::BadValue,
            _ => return,
        };
        self.malformed.push_back(Malformed {
            at: frame.at,
            family: Label::literal("frame"),
            source: None,
            destination: None,
            offset: error.offset(),
            oddity,
        });
    }

    #[inline]
    fn ip(&mut self, packet: &IpPacket<'_>) {
        let Transport::Fragment(_) = packet.transport else {
            return self.transport(packet);
        };
        // The defragmenter lends the packet that it completes, and the rest of the stack takes it.
        let Some(mut defragmenter) = self.defragmenter.take() else { return };
        let (packet, oddity) = match defragmenter.push(self.at, packet) {
            Ok(whole) => (whole.packet, whole.oddity),
            Err(_) => (None, Some(Oddity::Truncated)),
        };
        if let Some(oddity) = oddity {
            self.malformed.push_back(Malformed {
                at: self.at,
                family: Label::literal("ip"),
                source: None,
                destination: None,
                offset: 0,
                oddity,
            });
        }
        if let Some(packet) = &packet {
            self.transport(packet);
        }
        self.defragmenter = Some(defragmenter);
    }

    #[inline]
    fn transport(&mut self, packet: &IpPacket<'_>) {
        let Some((source, destination)) = packet.endpoints() else { return };
        match &packet.transport {
            Transport::Tcp(segment) => {
                let pushed = self.assembler.push(self.at, self.frame, source, destination, segment);
                self.ready = pushed.ready;
                if pushed.oddities.any() {
                    for oddity in pushed.oddities.iter() {
                        self.malformed.push_back(Malformed {
                            at: self.at,
                            family: Label::literal("tcp"),
                            source: Some(source),
                            destination: Some(destination),
                            offset: 0,
                            oddity,
                        });
                    }
                }
            }
            Transport::Udp(datagram) => {
                let ends = [Address::Socket(source), Address::Socket(destination)];
                if let Some(family) = self.family_on(Carrier::Udp(datagram.destination_port)) {
                    let both = datagram.source_port == datagram.destination_port;
                    self.datagram(
                        family,
                        ends,
                        if both { Role::Open } else { Role::Is(0) },
                        datagram.payload,
                    );
                } else if let Some(family) = self.family_on(Carrier::Udp(datagram.source_port)) {
                    self.datagram(family, ends, Role::Is(1), datagram.payload);
                }
            }
            _ => {}
        }
    }

    /// Keeps a datagram for [`Stack::advance`]; end 0 is its sender.
    fn datagram(&mut self, family: Family, ends: [Address; 2], role: Role, payload: &[u8]) {
        let [source, destination] = ends;
        let key =
            if source <= destination { (family, source, destination) } else { (family, destination, source) };
        let place = match self.datagram_index.get(&key) {
            Some(place) => *place,
            None => self.insert_datagram(key, ends, role),
        };
        self.datagram.clear();
        self.datagram.extend_from_slice(payload);
        self.pending_datagram = Some((place, usize::from(self.is_reverse(place, source))));
    }

    fn is_reverse(&self, place: u32, source: Address) -> bool {
        self.datagrams.get(place as usize).is_some_and(|held| held.pairing.ends.first() != Some(&source))
    }

    #[cold]
    fn insert_datagram(&mut self, key: (Family, Address, Address), ends: [Address; 2], role: Role) -> u32 {
        let fresh = Conversation::new(key.0, ends, role, true);
        let place = if self.datagrams.len() < self.config.datagram_conversations.max(1) {
            self.datagrams.push(fresh);
            self.datagrams.len() - 1
        } else {
            // The table is full: places are given anew in turn.
            let place = self.oldest_datagram % self.datagrams.len();
            self.oldest_datagram = place + 1;
            if let Some(held) = self.datagrams.get_mut(place) {
                let (now, exchanges) = (self.now, &mut self.exchanges);
                held.pairing.end(now, |exchange| exchanges.push_back(exchange));
                let [first, second] = held.pairing.ends;
                let (low, high) = if first <= second { (first, second) } else { (second, first) };
                self.datagram_index.remove(&(held.pairing.family, low, high));
                *held = fresh;
            }
            place
        };
        self.datagram_index.insert(key, place as u32);
        place as u32
    }

    /// Looks for the next message; what lies before it is used up.
    #[inline]
    fn advance(&mut self) -> Option<Found> {
        if let Some((place, end)) = self.pending_datagram.take() {
            return Some(Found::Datagram { place, end });
        }
        loop {
            let slot = self.ready.iter_mut().find(|slot| slot.is_some())?;
            let side = (*slot)?;
            match self.next_in(side) {
                Next::Message(len) => return Some(Found::Stream { side, len }),
                Next::Again => {}
                Next::Wait => {
                    if self.assembler.cross(side).is_some() {
                        self.unsync(side);
                    } else if let Some(slot) = self.ready.iter_mut().find(|slot| slot.is_some()) {
                        *slot = None;
                    }
                }
            }
        }
    }

    fn unsync(&mut self, side: Side) {
        if let Some(stream) = self.streams.get_mut(side.flow.index()) {
            let end = side.end.index();
            if let Some(synced) = stream.synced.get_mut(end) {
                *synced = false;
            }
            if let Some(left) = stream.left.get_mut(end) {
                *left = 0;
            }
        }
    }

    #[inline]
    fn next_in(&mut self, side: Side) -> Next {
        let index = side.flow.index();
        if self.streams.get(index).is_none_or(|stream| stream.generation != side.flow.generation()) {
            self.begin(side);
        }
        let Some(stream) = self.streams.get_mut(index) else { return Next::Wait };
        let end = side.end.index();
        let bytes = self.assembler.readable(side);
        match &mut stream.speaks {
            Speaks::Family(conversation) => {
                let (Some(synced), Some(left)) = (stream.synced.get_mut(end), stream.left.get_mut(end))
                else {
                    return Next::Wait;
                };
                let family = conversation.pairing.family;
                if *synced {
                    match family.cut(bytes) {
                        Cut::Message(len) => {
                            *left = 0;
                            return Next::Message(len);
                        }
                        Cut::More(_) => {
                            *left = bytes.len();
                            return Next::Wait;
                        }
                        Cut::Foreign => {
                            *synced = false;
                            let address =
                                |end: usize| conversation.pairing.ends.get(end).and_then(Address::socket);
                            self.malformed.push_back(Malformed {
                                at: self.at,
                                family: family.label(),
                                source: address(end),
                                destination: address(1 - end),
                                offset: 0,
                                oddity: Oddity::NotThisProtocol,
                            });
                        }
                    }
                }
                let (skip, found) = resync(family, bytes, *left);
                *synced = found;
                *left = if found { 0 } else { bytes.len() - skip };
                self.counters.foreign_bytes += skip as u64;
                self.assembler.consume(side, skip);
                if found { Next::Again } else { Next::Wait }
            }
            Speaks::Unknown(looks) => {
                if let Some((family, sender)) = recognise(&self.config.families, bytes) {
                    let Some(flow) = self.assembler.flow(side.flow) else { return Next::Wait };
                    let opener = flow.client.map_or(Role::Open, |client| Role::Seems(client.index()));
                    let role = Role::of(sender, end).unwrap_or(opener);
                    let ends = flow.ends.map(Address::Socket);
                    stream.speaks = Speaks::Family(Conversation::new(family, ends, role, flow.mid_stream));
                    return Next::Again;
                }
                *looks += u8::from(!bytes.is_empty());
                if *looks >= LOOKS {
                    stream.speaks = Speaks::Other;
                }
                let len = bytes.len();
                self.assembler.consume(side, len);
                Next::Wait
            }
            Speaks::Other => {
                let len = bytes.len();
                self.assembler.consume(side, len);
                Next::Wait
            }
        }
    }

    /// Enters a connection that is met for the first time.
    #[cold]
    fn begin(&mut self, side: Side) {
        let Some(flow) = self.assembler.flow(side.flow) else { return };
        let index = side.flow.index();
        let ports = flow.ends.map(|end| self.family_on(Carrier::Tcp(end.port())));
        let named = match (flow.client.map(End::index), ports) {
            // The handshake tells the server, whatever port the client chose.
            (Some(0), [_, Some(family)]) | (None, [None, Some(family)]) => Some((family, Role::Is(0))),
            (Some(1), [Some(family), _]) | (None, [Some(family), None]) => Some((family, Role::Is(1))),
            // The client sends from the server's port: a device that calls, or somebody who wants to look like one.
            (Some(client), [Some(family), _] | [_, Some(family)]) => Some((family, Role::Seems(1 - client))),
            (None, [Some(family), Some(_)]) => Some((family, Role::Open)),
            (_, [None, None]) => None,
        };
        let ends = flow.ends.map(Address::Socket);
        let speaks = match named {
            Some((family, role)) => Speaks::Family(Conversation::new(family, ends, role, flow.mid_stream)),
            None if self.config.detect => Speaks::Unknown(0),
            None => Speaks::Other,
        };
        let generation = side.flow.generation();
        let fresh = |speaks| Stream { generation, speaks, synced: [true; 2], left: [0; 2] };
        while self.streams.len() < index {
            let mut empty = fresh(Speaks::Other);
            empty.generation = u32::MAX;
            self.streams.push(empty);
        }
        match self.streams.get_mut(index) {
            Some(held) => {
                if let Speaks::Family(conversation) = &mut held.speaks {
                    let (now, exchanges) = (self.now, &mut self.exchanges);
                    conversation.pairing.end(now, |exchange| exchanges.push_back(exchange));
                }
                *held = fresh(speaks);
            }
            None => self.streams.push(fresh(speaks)),
        }
    }

    /// Reads, tracks and pairs the message that [`Stack::advance`] found.
    #[inline]
    fn message(&mut self, found: Found) -> Option<Item<'_>> {
        let (conversation, bytes, end, place) = match found {
            Found::Stream { side, len } => {
                self.taken = Some((side, len));
                let (index, generation) = (side.flow.index(), side.flow.generation());
                let Some(Stream { speaks: Speaks::Family(conversation), .. }) = self.streams.get_mut(index)
                else {
                    return None;
                };
                let bytes = self.assembler.readable(side).get(..len).unwrap_or_default();
                (conversation, bytes, side.end.index(), Place::Stream { index: index as u32, generation })
            }
            Found::Datagram { place, end } => {
                let conversation = self.datagrams.get_mut(place as usize)?;
                (conversation, self.datagram.as_slice(), end, Place::Datagram(place))
            }
        };
        let Conversation { pairing, session } = conversation;
        let sender = pairing.sender(end, bytes);
        let pdu = session.decode(bytes, sender)?;
        let header = pdu.header();
        let mut oddities = pdu.oddities();
        self.serial += 1;
        let paired =
            pairing.pair(self.now, self.serial, self.config.open_requests, &header, &pdu, &mut oddities);
        if let Some(serial) = paired.opened {
            self.deadlines.push_back(Deadline { at: self.now + self.config.patience, serial, place });
        }
        if let Some(displaced) = paired.displaced {
            self.exchanges.push_back(displaced);
        }
        self.ended = paired.ended.map(|(latency, outcome)| Ended { place, header, latency, outcome });
        let [first, second] = pairing.ends;
        let (source, destination) = if end == 0 { (first, second) } else { (second, first) };
        self.counters.messages += 1;
        self.index += 1;
        Some(Item::Message(Message {
            frame: self.frame,
            at: self.at,
            index: self.index - 1,
            source,
            destination,
            header,
            pdu,
            oddities,
            request: paired.memo,
        }))
    }

    fn conversation(&mut self, place: Place) -> Option<&mut Conversation> {
        match place {
            Place::Stream { index, generation } => match self.streams.get_mut(index as usize)? {
                Stream { generation: held, speaks: Speaks::Family(conversation), .. }
                    if *held == generation =>
                {
                    Some(conversation)
                }
                _ => None,
            },
            Place::Datagram(place) => self.datagrams.get_mut(place as usize),
        }
    }

    /// The next request that became unanswered.
    #[inline]
    fn lapse(&mut self) -> Option<Exchange> {
        if self.deadlines.len() >= self.compact_at {
            self.compact();
        }
        while let Some(deadline) = self.deadlines.front().copied() {
            if deadline.at > self.now {
                return None;
            }
            self.deadlines.pop_front();
            let conversation = self.conversation(deadline.place);
            let exchange = conversation.and_then(|held| held.pairing.give_up(deadline.at, deadline.serial));
            if exchange.is_some() {
                return exchange;
            }
        }
        None
    }

    /// Drops the deadlines of answered requests; each is looked at a bounded number of times.
    #[cold]
    fn compact(&mut self) {
        let mut deadlines = core::mem::take(&mut self.deadlines);
        deadlines.retain(|deadline| self.awaits(deadline));
        self.deadlines = deadlines;
        self.compact_at = (self.deadlines.len() * 2).max(1024);
    }

    fn awaits(&self, deadline: &Deadline) -> bool {
        match deadline.place {
            Place::Stream { index, generation } => match self.streams.get(index as usize) {
                Some(Stream { generation: held, speaks: Speaks::Family(conversation), .. }) => {
                    *held == generation && conversation.pairing.awaits(deadline.serial)
                }
                _ => false,
            },
            Place::Datagram(place) => {
                self.datagrams.get(place as usize).is_some_and(|held| held.pairing.awaits(deadline.serial))
            }
        }
    }
}

/// Where the next message lies.
#[derive(Clone, Copy, Debug)]
enum Found {
    Stream { side: Side, len: usize },
    Datagram { place: u32, end: usize },
}

/// What the readable bytes of one direction hold.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A message of this length.
    Message(usize),
    /// Something was stepped over: look again.
    Again,
    /// Nothing whole.
    Wait,
}

/// The family whose whole, legal messages these bytes are.
fn recognise(families: &[Family], bytes: &[u8]) -> Option<(Family, Sender)> {
    families.iter().find_map(|family| family.probe(bytes).map(|sender| (*family, sender)))
}

/// How many bytes to skip to the next message, and whether one begins there; if not, what is left may begin one.
///
/// A message is believed when it is legal, or when it is exactly the newest segment, which begins at `boundary`.
/// Work is linear in the bytes: a family's `cut` is constant and its `probe` is asked once a place.
#[cold]
fn resync(family: Family, bytes: &[u8], boundary: usize) -> (usize, bool) {
    if let Some(newest) = bytes.get(boundary..)
        && matches!(family.cut(newest), Cut::Message(len) if len == newest.len() || family.probe(newest.get(..len).unwrap_or_default()).is_some())
    {
        return (boundary, true);
    }
    for start in 0..bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        match family.cut(rest) {
            Cut::Message(len) if family.probe(rest.get(..len).unwrap_or_default()).is_some() => {
                return (start, true);
            }
            Cut::Message(_) | Cut::Foreign => {}
            Cut::More(_) => return (start, false),
        }
    }
    (bytes.len(), false)
}
