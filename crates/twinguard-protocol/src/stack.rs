//! The front door: frames in, messages, exchanges and oddities out.

mod checks;
mod config;
mod datagrams;
mod duplicates;
mod item;
mod resync;
mod stream;
mod websocket;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use twinguard_types::{Duration, Exchange, ExchangeOutcome, Label, Mac, Malformed, Oddity, Timestamp};

use crate::error::DecodeError;
use crate::frame::{Frame, LinkType};
use crate::ip::{Defragmenter, IpPacket, Transport};
use crate::link::{self, Network};
use crate::pairing::{Conversation, Role};
use crate::protocol::{Address, Carrier, Context, Cut, Header};
use crate::registry::{Family, Memo, Shared};
use crate::tcp::{self, Arrival, Assembler, End, Ready, Side};

use datagrams::{PendingDatagram, Unnamed};
use duplicates::Duplicates;
use resync::{cut, resync};
use stream::{Speaks, Stream};
use websocket::Asked;

pub use config::{Checksums, Config, Counters};
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
    /// What was found between two ends on ports without a name, by the lower end.
    unnamed: BTreeMap<(Address, Address), Unnamed>,
    shared: Box<Shared>,
    duplicates: Duplicates,
    /// Senders of wrong checksums that were told of.
    wrong_senders: checks::Senders,
    /// Bytes held from inside WebSockets.
    inside_bytes: usize,
    deadlines: VecDeque<Deadline>,
    compact_at: usize,

    frame: u64,
    at: Timestamp,
    /// The last message's frame, and its place there.
    told: (u64, u32),
    /// Whether nothing is left to tell until a frame or the time comes.
    is_drained: bool,
    ready: Ready,
    datagram: Vec<u8>,
    pending_datagram: Option<PendingDatagram>,
    /// Families that lie in the same Ethernet frame and are told after it, and its ends.
    inside: VecDeque<Family>,
    inside_ends: [Address; 2],
    taken: Option<(Side, usize)>,
    found: Option<Found>,
    /// The request that the last message answers.
    request: Option<Memo>,
    ended: Option<Ended>,
    exchanges: VecDeque<Exchange>,
    malformed: VecDeque<Malformed>,
}

/// Packets inside packets that are followed.
const TUNNELS_MAX: u8 = 4;

/// An exchange that the last message completed, told after the message.
#[derive(Clone, Copy, Debug)]
struct Ended {
    place: Place,
    header: Header,
    latency: Option<Duration>,
    outcome: ExchangeOutcome,
}

/// A connection of unknown content is given up after this many looks.
const LOOKS: u8 = 6;

/// Looks in a row that may use up nothing: recognised, of another family, in step again.
const IDLE_LOOKS: u8 = 4;

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
        // A stable sort: of several families on one carrier those named by the caller come first.
        carriers.sort_by_key(|(carrier, _)| *carrier);
        carriers.dedup();
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
            unnamed: BTreeMap::new(),
            shared: Box::default(),
            duplicates: Duplicates::default(),
            wrong_senders: checks::Senders::new(),
            inside_bytes: 0,
            deadlines: VecDeque::new(),
            compact_at: 1024,
            frame: 0,
            at: Timestamp::MIN,
            told: (u64::MAX, 0),
            is_drained: false,
            ready: Ready::NONE,
            datagram: Vec::new(),
            pending_datagram: None,
            inside: VecDeque::new(),
            inside_ends: [Address::Mac(Mac([0; 6])); 2],
            taken: None,
            found: None,
            request: None,
            ended: None,
            exchanges: VecDeque::new(),
            malformed: VecDeque::new(),
            config,
        }
    }

    /// Takes a frame. Items of an earlier frame that were not fetched are lost to the caller, not to the stack.
    #[inline]
    pub fn handle(&mut self, frame: &Frame<'_>) {
        while !self.is_drained
            && let Some(item) = self.poll()
        {
            self.counters.unread += u64::from(matches!(item, Item::Message(_)));
        }
        self.is_drained = false;
        self.counters.frames += 1;
        self.now = self.now.max(frame.at);
        self.frame = frame.index;
        self.at = frame.at;
        self.link(frame, 0);
    }

    /// Takes a frame from the wire, or one that `depth` packets carry inside each other.
    #[inline]
    fn link(&mut self, frame: &Frame<'_>, depth: u8) {
        match link::decode(frame.link, frame.bytes) {
            Ok(packet) => match packet.network {
                Network::Ip(ip) => {
                    if self.config.checksums == Checksums::Ignore || !self.is_refused(frame, &ip) {
                        self.ip(frame, &ip, depth);
                    }
                }
                Network::Other { ether_type, payload } => {
                    if let Some(macs) = packet.macs {
                        let ends = [Address::Mac(Mac(macs.source)), Address::Mac(Mac(macs.destination))];
                        self.bare(Carrier::EtherType(ether_type), ends, payload);
                    }
                }
                Network::Line(payload) => {
                    if let (Some(macs), false) = (packet.macs, payload.is_empty()) {
                        let ends = [Address::Mac(Mac(macs.source)), Address::Mac(Mac(macs.destination))];
                        self.line(Carrier::Link(frame.link.number()), ends, payload);
                    }
                }
            },
            Err(error) => self.undecoded(frame, error),
        }
    }

    /// Takes the frame inside a packet.
    #[cold]
    fn tunnelled(&mut self, outer: &Frame<'_>, (link, bytes): (LinkType, &[u8]), depth: u8) {
        if depth >= TUNNELS_MAX {
            self.malformed.push_back(Malformed {
                at: self.at,
                family: Label::literal("tunnel"),
                source: None,
                destination: None,
                offset: 0,
                oddity: Oddity::Dropped,
            });
            return;
        }
        let uncaptured = (outer.original_len as usize).saturating_sub(outer.bytes.len());
        let original_len = u32::try_from(bytes.len() + uncaptured).unwrap_or(u32::MAX);
        self.link(&Frame { link, bytes, original_len, ..*outer }, depth + 1);
    }

    /// Tells that time has passed without a frame: requests may have become unanswered.
    pub fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.is_drained = false;
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
        self.is_drained = found.is_none();
        self.message(found?)
    }

    fn families_on(&self, carrier: Carrier) -> &[(Carrier, Family)] {
        let first = self.carriers.partition_point(|(known, _)| *known < carrier);
        let rest = self.carriers.get(first..).unwrap_or_default();
        let count = rest.iter().take_while(|(known, _)| *known == carrier).count();
        rest.get(..count).unwrap_or_default()
    }

    /// The family on a carrier; of several the one whose messages these bytes are, else one that leaves it open.
    #[inline]
    fn family_of(&self, carrier: Carrier, bytes: &[u8]) -> Option<Family> {
        match self.families_on(carrier) {
            [] => None,
            [(_, family)] => Some(*family),
            several => {
                let mut families = several.iter().map(|(_, family)| *family);
                let spoken =
                    families.clone().find(|family| !family.hands_over() && family.probe(bytes).is_some());
                let open = || families.clone().find(|family| family.hands_over());
                spoken.or_else(open).or_else(|| families.next())
            }
        }
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
    fn ip(&mut self, frame: &Frame<'_>, packet: &IpPacket<'_>, depth: u8) {
        if packet.missing() > 0 && !frame.is_cut() {
            self.short(packet);
        }
        let Transport::Fragment(_) = packet.transport else {
            return self.transport(frame, packet, depth);
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
            self.transport(frame, packet, depth);
        }
        self.defragmenter = Some(defragmenter);
    }

    #[inline]
    fn transport(&mut self, frame: &Frame<'_>, packet: &IpPacket<'_>, depth: u8) {
        if !matches!(packet.transport, Transport::Tcp(_))
            && let Some(inner) = link::tunnelled(packet)
        {
            return self.tunnelled(frame, inner, depth);
        }
        match &packet.transport {
            Transport::Tcp(segment) => {
                let source = SocketAddr::new(packet.source, segment.source_port);
                let destination = SocketAddr::new(packet.destination, segment.destination_port);
                let pushed = self.assembler.push(self.at, self.frame, &source, &destination, segment);
                self.ready = pushed.ready;
                if pushed.oddities.any() {
                    self.odd_segment(&pushed, source, destination);
                }
            }
            Transport::Udp(datagram) => {
                let ends =
                    [(packet.source, datagram.source_port), (packet.destination, datagram.destination_port)]
                        .map(|(ip, port)| Address::Socket(SocketAddr::new(ip, port)));
                let payload = datagram.payload;
                let sent = (packet.identification, payload);
                if let Some(family) = self.family_of(Carrier::Udp(datagram.destination_port), payload) {
                    let both = datagram.source_port == datagram.destination_port;
                    self.datagram(family, ends, if both { Role::Open } else { Role::Is(0) }, sent);
                } else if let Some(family) = self.family_of(Carrier::Udp(datagram.source_port), payload) {
                    self.datagram(family, ends, Role::Is(1), sent);
                } else if self.config.detect
                    && let Some(family) = self.unnamed(ends, payload)
                {
                    self.datagram(family, ends, Role::Open, sent);
                }
            }
            _ => {}
        }
    }

    /// What is odd about a segment; a gap is told of the end whose bytes never came.
    #[cold]
    fn odd_segment(&mut self, pushed: &tcp::Pushed, source: SocketAddr, destination: SocketAddr) {
        let (at, family) = (self.at, Label::literal("tcp"));
        let mut tell = |source, destination, oddity| {
            let (source, destination) = (Some(source), Some(destination));
            self.malformed.push_back(Malformed { at, family, source, destination, offset: 0, oddity });
        };
        for oddity in pushed.oddities.iter().filter(|oddity| *oddity != Oddity::Gap) {
            tell(source, destination, oddity);
        }
        for side in pushed.ready.sides().filter(|side| self.assembler.gap(*side).is_some()) {
            let own = self.assembler.source(side) == Some(source);
            let (source, destination) = if own { (source, destination) } else { (destination, source) };
            tell(source, destination, Oddity::Gap);
        }
    }

    /// Looks for the next message; what lies before it is used up.
    #[inline]
    fn advance(&mut self) -> Option<Found> {
        if let Some(found) = self.next_datagram() {
            return Some(found);
        }
        let (mut held, mut idle) = (usize::MAX, 0);
        loop {
            let side = self.ready.first()?;
            match self.next_in(side) {
                Next::Message(len) => return Some(Found::Stream { side, len }),
                Next::Inside(len) => return Some(Found::Inside { side, len }),
                Next::Again => {
                    let left = self.assembler.readable(side).len();
                    idle = if left < held { 0 } else { idle + 1 };
                    held = left;
                    if idle < IDLE_LOOKS {
                        continue;
                    }
                    // Whatever a family says of these bytes, it cannot hold the stack.
                    self.counters.foreign_bytes += left as u64;
                    self.assembler.consume(side, left);
                }
                Next::Wait => {}
            }
            (held, idle) = (usize::MAX, 0);
            if self.assembler.cross(side).is_some() {
                self.unsync(side);
            } else {
                self.ready = self.ready.rest();
            }
        }
    }

    fn unsync(&mut self, side: Side) {
        if let Some(stream) = self.streams.get_mut(side.flow.index()) {
            let end = side.end.index();
            if let Some(synced) = stream.synced.get_mut(end) {
                *synced = false;
            }
            if let (Some(left), Some(torn)) = (stream.left.get_mut(end), stream.torn.get_mut(end)) {
                (*left, *torn) = (0, true);
            }
            if let Speaks::WebSocket(socket) = &mut stream.speaks {
                socket.lose(end);
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
                    match cut(family, bytes) {
                        Cut::Message(len) => {
                            *left = 0;
                            let message = bytes.get(..len).unwrap_or_default();
                            // A port says little: what is not legal here and is legal elsewhere is of there.
                            if !conversation.settled
                                && !family.hands_over()
                                && family.probe(message).is_none()
                                && let Some(other) = self.config.other(family, bytes)
                            {
                                conversation.become_of(other);
                                return Next::Again;
                            }
                            if family.hands_over() {
                                let mut above =
                                    self.config.families.iter().filter(|other| !other.hands_over());
                                if let Some(above) = above.find(|other| other.probe(message).is_some()) {
                                    conversation.become_of(*above);
                                }
                            }
                            let Conversation { pairing, session, .. } = conversation;
                            if let Some(source) = pairing.ends.get(end)
                                && session.absorb(source, bytes.get(..len).unwrap_or_default())
                            {
                                self.assembler.consume(side, len);
                                return Next::Again;
                            }
                            return Next::Message(len);
                        }
                        Cut::More(_) => {
                            *left = bytes.len();
                            return Next::Wait;
                        }
                        Cut::Foreign => {
                            // A port says little where nothing was understood so far.
                            if !conversation.settled
                                && let Some(other) = self.config.other(family, bytes)
                            {
                                conversation.become_of(other);
                                return Next::Again;
                            }
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
                let torn = stream.torn.get(end).copied().unwrap_or_default();
                let (skip, found) = resync(family, bytes, *left, torn);
                *synced = found;
                if found && let Some(torn) = stream.torn.get_mut(end) {
                    *torn = false;
                }
                *left = if found { 0 } else { bytes.len() - skip };
                self.counters.foreign_bytes += skip as u64;
                self.assembler.consume(side, skip);
                return if found { Next::Again } else { Next::Wait };
            }
            Speaks::WebSocket(_) => return self.next_inside(side),
            Speaks::Unknown(looks) => {
                match websocket::asked(bytes) {
                    Asked::No => {}
                    Asked::Perhaps => return Next::Wait,
                    Asked::Yes(len, family) => return self.begin_inside(side, len, family),
                }
                if let Some((family, sender)) = self.config.recognise(bytes) {
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
            }
            Speaks::Other => {}
        }
        let len = bytes.len();
        self.assembler.consume(side, len);
        Next::Wait
    }

    /// Enters a connection that is met for the first time.
    #[cold]
    fn begin(&mut self, side: Side) {
        let Some(flow) = self.assembler.flow(side.flow) else { return };
        let index = side.flow.index();
        let bytes = self.assembler.readable(side);
        let ports = flow.ends.map(|end| self.family_of(Carrier::Tcp(end.port()), bytes));
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
        let fresh = |speaks| Stream { generation, speaks, synced: [true; 2], torn: [false; 2], left: [0; 2] };
        while self.streams.len() < index {
            let mut empty = fresh(Speaks::Other);
            empty.generation = u32::MAX;
            self.streams.push(empty);
        }
        match self.streams.get_mut(index) {
            Some(held) => {
                if let Some(conversation) = held.speaks.conversation() {
                    let (now, exchanges) = (self.now, &mut self.exchanges);
                    conversation.pairing.end(now, |exchange| exchanges.push_back(exchange));
                }
                if let Speaks::WebSocket(socket) = &held.speaks {
                    self.inside_bytes = self.inside_bytes.saturating_sub(socket.bytes());
                }
                *held = fresh(speaks);
            }
            None => self.streams.push(fresh(speaks)),
        }
    }

    /// Reads, tracks and pairs the message that [`Stack::advance`] found.
    #[inline]
    fn message(&mut self, found: Found) -> Option<Item<'_>> {
        let mut arrival = Arrival { frame: self.frame, at: self.at };
        let (conversation, bytes, end, place) = match found {
            Found::Stream { side, len } => {
                self.taken = Some((side, len));
                arrival = self.assembler.arrival(side, len).unwrap_or(arrival);
                let (index, generation) = (side.flow.index(), side.flow.generation());
                let Some(Stream { speaks: Speaks::Family(conversation), .. }) = self.streams.get_mut(index)
                else {
                    return None;
                };
                let bytes = self.assembler.readable(side).get(..len).unwrap_or_default();
                (conversation, bytes, side.end.index(), Place::Stream { index: index as u32, generation })
            }
            Found::Inside { side, len } => {
                let (index, generation) = (side.flow.index(), side.flow.generation());
                let Some(Stream { speaks: Speaks::WebSocket(socket), .. }) = self.streams.get_mut(index)
                else {
                    return None;
                };
                let (conversation, bytes) = socket.message(side.end.index(), len)?;
                (conversation, bytes, side.end.index(), Place::Stream { index: index as u32, generation })
            }
            Found::Datagram { place, end, from, len } => {
                let conversation = self.datagrams.get_mut(place as usize)?;
                let bytes = self.datagram.get(from..from + len).unwrap_or_default();
                (conversation, bytes, end, Place::Datagram(place))
            }
        };
        conversation.settled = true;
        let Conversation { pairing, session, .. } = conversation;
        let sender = pairing.sender(end, bytes);
        let (source, destination) = pairing.ends_from(end);
        let context = Context { sender, at: arrival.at, source: *source, destination: *destination };
        let family = session.family();
        // Held and looked at where it is: a content is large, and copied once only, into what is told.
        let decoded = session.decode(&mut self.shared, &context, bytes);
        let Some(pdu) = &decoded else {
            // Its length said that it is whole; more may lie behind it.
            return Some(Item::Malformed(Malformed {
                at: arrival.at,
                family: family.label(),
                source: context.source.socket(),
                destination: context.destination.socket(),
                offset: 0,
                oddity: Oddity::Truncated,
            }));
        };
        let header = pdu.header();
        let mut oddities = pdu.oddities();
        self.serial += 1;
        let most = self.config.open_requests;
        // Time may have gone on without frames; what was held came when it came.
        let at = if arrival.frame == self.frame { self.now } else { arrival.at };
        let (request, exchanges) = (&mut self.request, &mut self.exchanges);
        let paired = pairing.pair(at, self.serial, most, &header, pdu, &mut oddities, request, exchanges);
        if let Some(serial) = paired.opened {
            self.deadlines.push_back(Deadline { at: self.now + self.config.patience, serial, place });
        }
        self.ended = paired.ended.map(|(latency, outcome)| Ended { place, header, latency, outcome });
        self.counters.messages += 1;
        let (source, destination) = pairing.ends_from(end);
        let (frame, index) = &mut self.told;
        *index = if *frame == arrival.frame { *index + 1 } else { 0 };
        *frame = arrival.frame;
        Some(Item::Message(Message {
            frame: arrival.frame,
            at: arrival.at,
            index: *index,
            source,
            destination,
            sender,
            header,
            bytes,
            pdu: *pdu,
            oddities,
            request: self.request.as_ref(),
        }))
    }

    fn conversation(&mut self, place: Place) -> Option<&mut Conversation> {
        match place {
            Place::Stream { index, generation } => {
                let stream = self.streams.get_mut(index as usize)?;
                stream.speaks.conversation().filter(|_| stream.generation == generation)
            }
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
                Some(Stream { generation: held, speaks: Speaks::WebSocket(socket), .. }) => {
                    *held == generation && socket.awaits(deadline.serial)
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
    Inside { side: Side, len: usize },
    Datagram { place: u32, end: usize, from: usize, len: usize },
}

/// What the readable bytes of one direction hold.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A message of this length.
    Message(usize),
    /// A message of this length inside a WebSocket.
    Inside(usize),
    /// Something was stepped over: look again.
    Again,
    /// Nothing whole.
    Wait,
}
