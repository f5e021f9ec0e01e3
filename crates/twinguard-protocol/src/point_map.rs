//! Places on the wire to signals, and back.

mod place;
mod state;

use core::net::SocketAddr;
use std::collections::BTreeMap;

use twinguard_types::{
    Access as Accessed, AccessOutcome, Binding, ByteOrder, Catalogue, Command, CommandId, CommandOrigin,
    Direction, Encoding, Endpoint, Event, Malformed, Point, Principal, PrincipalId, Principals, Quality,
    Role, Signal, SignalId, Source, Timestamp, Value,
};

use crate::encoding::{self, Held, Number};
use crate::error::Error;
use crate::protocol::{
    Access, Address, Block, Cell, Change, Data, Kind, Raw, Scalar, Tag, VALUE_MAX, Width, Write,
};
use crate::registry::Family;
use crate::stack::{Item, Message};

use place::{Client, NameId, Names, Place};
pub use state::PointMapState;

/// Clients that get a principal of their own; later ones share one named `*`.
const PRINCIPALS_MAX: usize = 1 << 16;

/// Turns messages into points and commands by a list of bindings, and commands into bytes.
///
/// Reads become [`Point`]s of [`Source::Field`], writes [`Command`]s of [`CommandOrigin::Wire`]; exchanges and oddities
/// pass on as events. A number that cannot be (NaN, infinite, a BCD digit above 9) becomes a point of
/// [`Quality::Bad`] with the last good value, or 0. A read of a part of a value is no point; a write of a part is a
/// command with the rest as it was last seen.
///
/// ```
/// use twinguard_protocol::point_map::PointMap;
/// use twinguard_types::{Binding, ByteOrder, Direction, Encoding, Endpoint, Label, SignalId, Value};
///
/// let oil = Binding {
///     signal: SignalId(0), family: Label::literal("modbus"), endpoint: Endpoint::Any, tag: "u1/hr/0".into(),
///     encoding: Encoding::I16, order: ByteOrder::Abcd, scale: 0.1, offset: 0.0, direction: Direction::Write,
/// };
/// let map = PointMap::new(&[oil.clone()])?;
/// let write = map.encode(SignalId(0), Value::real(64.4)?)?;
/// assert_eq!(write.bytes(), [0x02, 0x84]);
///
/// let error = PointMap::new(&[Binding { tag: "40001".into(), ..oil }]).unwrap_err();
/// assert!(error.to_string().starts_with("binding 0 (`40001`)"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PointMap {
    /// In order of endpoint, family and space.
    groups: Vec<Group>,
    /// Group by group, in order of addresses.
    entries: Vec<Entry>,
    /// Which kinds of endpoints any binding names: socket, host, hardware address, any.
    kinds: [bool; 4],
    names: Names,
    /// Group and entry.
    by_signal: BTreeMap<SignalId, (u32, u32)>,
    principals: Principals,
    by_client: BTreeMap<Client, PrincipalId>,
    next_command: u64,
    discovery: Option<Discovery>,
}

/// The bindings of one address space of one endpoint.
#[derive(Clone, Debug)]
struct Group {
    endpoint: Endpoint,
    family: Family,
    space: u64,
    name: NameId,
    /// Its first entry, and the one behind its last.
    range: (u32, u32),
    /// Most addresses of one value.
    widest: u32,
}

/// Endpoint, family, space and name.
type GroupKey = (Endpoint, Family, u64, NameId);

impl Group {
    #[inline]
    const fn key(&self) -> GroupKey {
        (self.endpoint, self.family, self.space, self.name)
    }
}

#[derive(Clone, Debug)]
struct Entry {
    /// The tag as it was given.
    tag: Box<str>,
    address: u32,
    width: Width,
    /// Number of addresses.
    span: u32,
    signal: SignalId,
    encoding: Encoding,
    order: ByteOrder,
    scale: f64,
    offset: f64,
    direction: Direction,
    /// The last good value.
    last: Held,
    /// The bytes as last read or written.
    raw: [u8; VALUE_MAX],
    known: bool,
}

#[derive(Clone, Debug)]
struct Discovery {
    catalogue: Catalogue,
    signals: BTreeMap<Place, SignalId>,
    most: usize,
    ignored: u64,
}

impl PointMap {
    /// A map of these bindings; each tag is read once, here. Bindings of families that are not in the registry are
    /// refused.
    ///
    /// # Errors
    /// [`Error::BadBinding`] for an unknown family, a tag that is not of the family's grammar, a value that ends beyond
    /// the address space, a number on a single-bit place, a bit above 15, BCD digits other than 4, 8 or 16, a scale
    /// that is 0 or not finite, or an offset that is not finite.
    pub fn new(bindings: &[Binding]) -> Result<Self, Error> {
        Self::with_families(bindings, Family::ALL)
    }

    /// A map of these bindings on these families, for example some from outside this crate.
    ///
    /// # Errors
    /// As [`PointMap::new`].
    pub fn with_families(bindings: &[Binding], families: &[Family]) -> Result<Self, Error> {
        let mut map = Self::empty();
        let mut read = Vec::with_capacity(bindings.len());
        for (index, binding) in bindings.iter().enumerate() {
            let (family, tag, entry) = Entry::new(binding, families).map_err(|reason| Error::BadBinding {
                index,
                tag: binding.tag.chars().take(120).collect(),
                reason,
            })?;
            read.push(((binding.endpoint, family, tag.space, map.names.enter(&tag.name)), entry));
        }
        read.sort_by_key(|(key, entry)| (*key, entry.address));
        for (key, entry) in read {
            let place = map.entries.len() as u32;
            match map.groups.last_mut() {
                Some(group) if group.key() == key => {
                    group.range.1 = place + 1;
                    group.widest = group.widest.max(entry.span);
                }
                _ => {
                    let ((endpoint, family, space, name), range) = (key, (place, place + 1));
                    map.groups.push(Group { endpoint, family, space, name, range, widest: entry.span });
                }
            }
            let [socket, host, mac, any] = &mut map.kinds;
            match key.0 {
                Endpoint::Socket(_) => *socket = true,
                Endpoint::Host(_) => *host = true,
                Endpoint::Mac(_) => *mac = true,
                Endpoint::Any => *any = true,
            }
            // Of several places of one signal, the one that may be written counts.
            if entry.direction == Direction::Write || !map.by_signal.contains_key(&entry.signal) {
                map.by_signal.insert(entry.signal, (map.groups.len() as u32 - 1, place));
            }
            map.entries.push(entry);
        }
        Ok(map)
    }

    /// A map without bindings: every place seen becomes a signal of its own, named
    /// `modbus/10.0.0.1:502/u1/hr/0`, as an unsigned word or a bit; beyond `most` signals new places are ignored.
    #[must_use]
    pub fn discover(most: usize) -> Self {
        let discovery = Discovery { catalogue: Catalogue::new(), signals: BTreeMap::new(), most, ignored: 0 };
        Self { discovery: Some(discovery), ..Self::empty() }
    }

    fn empty() -> Self {
        Self {
            groups: Vec::new(),
            entries: Vec::new(),
            kinds: [false; 4],
            names: Names::default(),
            by_signal: BTreeMap::new(),
            principals: Principals::new(),
            by_client: BTreeMap::new(),
            next_command: 0,
            discovery: None,
        }
    }

    /// Adds the events of an item to `out`, which is the caller's to empty and to use again.
    #[inline]
    pub fn bind(&mut self, item: &Item<'_>, out: &mut Vec<Event<'static>>) {
        match item {
            Item::Message(message) => self.message(message, out),
            Item::Exchange(exchange) => out.push(Event::Exchange(*exchange)),
            Item::Malformed(malformed) => out.push(Event::Malformed(*malformed)),
        }
    }

    /// The signals found by [`PointMap::discover`]; empty for a map of bindings.
    #[must_use]
    pub fn catalogue(&self) -> Option<&Catalogue> {
        self.discovery.as_ref().map(|discovery| &discovery.catalogue)
    }

    /// Places that [`PointMap::discover`] ignored because its bound was reached, counted every time they came.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.discovery.as_ref().map_or(0, |discovery| discovery.ignored)
    }

    /// The table of clients; whoever commands on the wire is entered by the text of its IP address.
    #[must_use]
    pub const fn principals(&self) -> &Principals {
        &self.principals
    }

    /// The same table, to enter principals that are known otherwise.
    pub const fn principals_mut(&mut self) -> &mut Principals {
        &mut self.principals
    }

    /// A fresh id for a command; those seen on the wire take theirs from the same counter.
    pub const fn next_command_id(&mut self) -> CommandId {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        id
    }

    /// The bytes that give a signal this value.
    ///
    /// # Errors
    /// [`Error::NotWritable`] for a signal without a binding of [`Direction::Write`], or a value that its encoding
    /// cannot hold.
    pub fn encode(&self, signal: SignalId, value: Value) -> Result<Write<'_>, Error> {
        let refuse = |reason| Error::NotWritable { signal: signal.0, reason };
        let found = self.by_signal.get(&signal).and_then(|(group, entry)| {
            Some((self.groups.get(*group as usize)?, self.entries.get(*entry as usize)?))
        });
        let (group, entry) = found.ok_or_else(|| refuse("it has no binding"))?;
        if entry.direction != Direction::Write {
            return Err(refuse("its binding is for reading"));
        }
        entry.encode(group, value).ok_or_else(|| refuse("its encoding cannot hold the value"))
    }

    #[inline]
    fn message(&mut self, message: &Message<'_>, out: &mut Vec<Event<'static>>) {
        if !message.oddities.is_empty() {
            odd(message, out);
        }
        let (server, client) = (message.server(), message.client());
        if let Some(action) = message.action() {
            let refused = message.header.kind == Kind::Exception || message.pdu.refusal().is_some();
            let outcome = if refused { AccessOutcome::Refused } else { AccessOutcome::Granted };
            out.push(Event::Access(Accessed {
                at: message.at,
                principal: self.principal(Client::of(client)),
                action: action.label(),
                outcome,
                from: client.socket().map(|socket| socket.ip()),
            }));
        }
        for block in message.blocks() {
            let told = matches!(block.access, Access::Read | Access::Write);
            if !told || block.tag.address.is_none() {
                continue;
            }
            let writer = match block.access {
                Access::Write => Some((self.principal(Client::of(client)), client.socket())),
                _ => None,
            };
            let context = Context { at: message.at, writer };
            if self.discovery.is_some() {
                self.found(&context, message.family(), *server, &block, out);
                continue;
            }
            let Some(name) = self.names.find(&block.tag.name) else { continue };
            let [socket, host, mac, any] = self.kinds;
            let family = message.family();
            match *server {
                Address::Socket(server) => {
                    if socket {
                        self.bound(
                            &context,
                            (Endpoint::Socket(server), family, block.tag.space, name),
                            &block,
                            out,
                        );
                    }
                    if host {
                        self.bound(
                            &context,
                            (Endpoint::Host(server.ip()), family, block.tag.space, name),
                            &block,
                            out,
                        );
                    }
                }
                Address::Mac(server) if mac => {
                    self.bound(&context, (Endpoint::Mac(server), family, block.tag.space, name), &block, out);
                }
                Address::Mac(_) => {}
            }
            if any {
                self.bound(&context, (Endpoint::Any, family, block.tag.space, name), &block, out);
            }
        }
    }

    /// Events of the bindings on one endpoint that a block touches: two searches for the block, then entry by entry.
    #[inline]
    fn bound(&mut self, context: &Context, key: GroupKey, block: &Block<'_>, out: &mut Vec<Event<'static>>) {
        let found = self.groups.binary_search_by(|group| group.key().cmp(&key));
        let Some(group) = found.ok().and_then(|place| self.groups.get(place)) else { return };
        let (low, high) = group.range;
        let Some(entries) = self.entries.get_mut(low as usize..high as usize) else { return };
        let Some(start) = block.tag.address else { return };
        let end = start.saturating_add(block.data.len());
        let least = start.saturating_sub(group.widest - 1);
        let first = first_from(entries, least);
        let touched = entries.get_mut(first..).unwrap_or_default().iter_mut();
        let touched = touched.take_while(|entry| entry.address < end);
        match context.writer {
            None => {
                for entry in touched {
                    if let Some(point) = entry.read(context.at, start, block) {
                        out.push(Event::Point(point));
                    }
                }
            }
            Some((principal, client)) => {
                for entry in touched {
                    if let Some(value) = entry.write(start, end, &block.data) {
                        let id = CommandId(self.next_command);
                        self.next_command += 1;
                        out.push(Event::Command(context.command(id, principal, client, entry.signal, value)));
                    }
                }
            }
        }
    }

    /// Events of all places of a block, entering those that are new.
    fn found(
        &mut self,
        context: &Context,
        family: Family,
        server: Address,
        block: &Block<'_>,
        out: &mut Vec<Event<'static>>,
    ) {
        let Some(discovery) = &mut self.discovery else { return };
        let mut fresh = Vec::new();
        match self.names.find(&block.tag.name) {
            Some(name) => {
                let place =
                    |tag: &Tag<'_>| Place { family, server, space: tag.space, name, address: tag.address };
                let first = place(&block.tag);
                let address = first.address.map(|address| address.saturating_add(block.data.len()));
                // Neighbouring places lie next to each other in the map: one search for the block, then step by step.
                let mut known = discovery.signals.range(first..Place { address, ..first }).peekable();
                for point in block.points() {
                    let Some(value) = plain(point.raw) else { continue };
                    let place = place(&point.tag);
                    while known.next_if(|(at, _)| **at < place).is_some() {}
                    match known.next_if(|(at, _)| **at == place) {
                        Some((_, signal)) => context.tell(*signal, value, block, &mut self.next_command, out),
                        None => fresh.push((point.tag, value)),
                    }
                }
            }
            None => fresh.extend(block.points().filter_map(|point| Some((point.tag, plain(point.raw)?)))),
        }
        for (tag, value) in fresh {
            match discovery.enter(&mut self.names, family, server, tag, context.writer.is_some()) {
                Some(signal) => context.tell(signal, value, block, &mut self.next_command, out),
                None => discovery.ignored += 1,
            }
        }
    }

    #[inline]
    fn principal(&mut self, client: Client) -> PrincipalId {
        if let Some(id) = self.by_client.get(&client) {
            return *id;
        }
        let room = self.by_client.len() < PRINCIPALS_MAX;
        let name = if room { client.to_string() } else { "*".to_owned() };
        let id = self.principals.intern(Principal::new(name)).unwrap_or_default();
        if room {
            self.by_client.insert(client, id);
        }
        id
    }
}

/// The first of these entries, in the order of their addresses, that does not lie before `least`.
#[inline]
fn first_from(entries: &[Entry], least: u32) -> usize {
    // Bound places mostly follow each other without holes: then it is found by counting.
    let counted = entries.first().map_or(0, |entry| least.saturating_sub(entry.address)) as usize;
    let (before, after) = (counted.checked_sub(1).map(|place| entries.get(place)), entries.get(counted));
    let is_behind = before.is_none_or(|entry| entry.is_some_and(|entry| entry.address < least));
    if is_behind && after.is_none_or(|entry| entry.address >= least) {
        return counted;
    }
    entries.partition_point(|entry| entry.address < least)
}

/// What all events of one message share.
struct Context {
    at: Timestamp,
    writer: Option<(PrincipalId, Option<SocketAddr>)>,
}

impl Context {
    fn command(
        &self,
        id: CommandId,
        principal: PrincipalId,
        client: Option<SocketAddr>,
        signal: SignalId,
        value: Value,
    ) -> Command {
        Command { id, principal, signal, value, at: self.at, origin: CommandOrigin::Wire, from: client }
    }

    fn tell(
        &self,
        signal: SignalId,
        value: Value,
        block: &Block<'_>,
        next_command: &mut u64,
        out: &mut Vec<Event<'static>>,
    ) {
        out.push(match self.writer {
            None => Event::Point(Point {
                quality: block.quality,
                event_at: block.at.unwrap_or(self.at),
                ..Point::new(signal, value, Source::Field, self.at)
            }),
            Some((principal, client)) => {
                let id = CommandId(*next_command);
                *next_command += 1;
                Event::Command(self.command(id, principal, client, signal, value))
            }
        });
    }
}

/// The oddities of a message as events.
#[cold]
fn odd(message: &Message<'_>, out: &mut Vec<Event<'static>>) {
    out.extend(message.oddities.iter().map(|(oddity, offset)| {
        Event::Malformed(Malformed {
            at: message.at,
            family: message.family().label(),
            source: message.source.socket(),
            destination: message.destination.socket(),
            offset,
            oddity,
        })
    }));
}

/// A raw value without a binding.
fn plain(raw: Raw<'_>) -> Option<Value> {
    match raw {
        Raw::Bit(bit) => Some(Value::Boolean(bit)),
        Raw::Switch([0xff, 0]) => Some(Value::Boolean(true)),
        Raw::Switch([0, 0]) => Some(Value::Boolean(false)),
        Raw::Word(word) => Some(Value::Integer(i64::from(u16::from_be_bytes(word)))),
        Raw::Mask { and: 0, or } => Some(Value::Integer(i64::from(or))),
        // Up to eight bytes of a memory as one number; longer ones only a binding can read.
        Raw::Bytes(bytes @ ([_] | [_, _] | [_, _, _, _])) => {
            Some(Value::Integer(bytes.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte))))
        }
        Raw::Scalar { value, .. } | Raw::Number { value, .. } => {
            number_of(&value).and_then(|number| Held::physical(number, 1.0, 0.0)).map(Held::value)
        }
        Raw::Switch(_) | Raw::Mask { .. } | Raw::Bytes(_) => None,
    }
}

/// The number in a value that says its own type.
fn number_of(value: &Scalar<'_>) -> Option<Number> {
    match *value {
        Scalar::Boolean(state) => Some(Number::Bit(state)),
        Scalar::Signed(number) => Some(Number::Signed(number)),
        Scalar::Unsigned(number) => Some(Number::Unsigned(number)),
        Scalar::Float(number) => Some(Number::Float(number)),
        Scalar::Text(_) | Scalar::Opaque => None,
    }
}

impl Discovery {
    fn enter(
        &mut self,
        names: &mut Names,
        family: Family,
        server: Address,
        tag: Tag<'_>,
        written: bool,
    ) -> Option<SignalId> {
        if self.signals.len() >= self.most {
            return None;
        }
        let role = if written { Role::Actuator } else { Role::Measurement };
        let path = format!("{family}/{server}/{}", family.show_tag(tag));
        let id = self.catalogue.intern(Signal::new(path, role)).ok()?;
        let name = names.enter(&tag.name);
        self.signals.insert(Place { family, server, space: tag.space, name, address: tag.address }, id);
        Some(id)
    }
}

impl Entry {
    fn new<'b>(binding: &'b Binding, families: &[Family]) -> Result<(Family, Tag<'b>, Self), &'static str> {
        let family = *families
            .iter()
            .find(|family| family.label() == binding.family)
            .ok_or("its protocol is not one of those read here")?;
        let tag = family.parse_tag(&binding.tag).ok_or("its tag is not of the protocol's grammar")?;
        let address = tag.address.ok_or("its tag has no address")?;
        let (Cell { width, last }, encoding) = (family.cell(&tag), binding.encoding);
        match (width, encoding) {
            (Width::Bit, Encoding::Bit(1..)) => return Err("a single bit has bit 0 alone"),
            (Width::Byte, Encoding::Bit(8..)) => return Err("a byte has the bits 0 to 7"),
            (_, Encoding::Bit(16..)) => return Err("a word has the bits 0 to 15"),
            (_, Encoding::Bcd(digits)) if !matches!(digits, 4 | 8 | 16) => {
                return Err("BCD has 4, 8 or 16 digits");
            }
            (_, Encoding::Bit(_)) | (Width::Scalar, _) => {}
            (Width::Bit, _) => return Err("a single bit holds no number"),
            (Width::Word, Encoding::U8 | Encoding::I8) => return Err("a word holds no number of 8 bits"),
            (_, Encoding::Native) => return Err("its protocol does not tell the type of a value"),
            _ => {}
        }
        let span = match width {
            Width::Bit | Width::Scalar => 1,
            Width::Byte => encoding.bytes() as u32,
            Width::Word => encoding.words() as u32,
        };
        if address.checked_add(span - 1).is_none_or(|end| end > last) {
            return Err("it ends beyond the address space");
        }
        if !binding.scale.is_finite() || binding.scale == 0.0 {
            return Err("its scale is 0 or not finite");
        }
        if !binding.offset.is_finite() {
            return Err("its offset is not finite");
        }
        let entry = Self {
            tag: binding.tag.clone(),
            address,
            width,
            span,
            signal: binding.signal,
            encoding,
            order: binding.order,
            scale: binding.scale,
            offset: binding.offset,
            direction: binding.direction,
            last: Held::zero(encoding, binding.scale, binding.offset),
            raw: [0; VALUE_MAX],
            known: false,
        };
        Ok((family, tag, entry))
    }

    /// Number of bytes on the wire, in words and memories.
    #[inline]
    const fn len(&self) -> usize {
        match self.width {
            Width::Byte => self.span as usize,
            _ => self.span as usize * 2,
        }
    }

    /// The point in a block that was read, if the block holds all of it.
    #[inline(always)]
    fn read(&mut self, at: Timestamp, start: u32, block: &Block<'_>) -> Option<Point> {
        let skip = self.address.checked_sub(start)? as usize;
        let number = match block.data {
            Data::Words(bytes) => {
                let rest = bytes.get(skip * 2..)?;
                let raw = match self.span {
                    1 => u64::from(u16::from_be_bytes(*rest.first_chunk()?)) << 48,
                    2 => u64::from(u32::from_be_bytes(*rest.first_chunk()?)) << 32,
                    _ => u64::from_be_bytes(*rest.first_chunk()?),
                };
                self.raw = raw.to_be_bytes();
                self.known = true;
                encoding::decode(encoding::gather(raw, self.span, self.order), self.encoding)
            }
            Data::Bytes(bytes) => {
                let value = bytes.get(skip..)?.get(..self.len())?;
                self.raw.get_mut(..value.len())?.copy_from_slice(value);
                self.known = true;
                self.number()
            }
            Data::Scalar { value, .. } | Data::Number { value, .. } => self.pick(number_of(&value)?),
            Data::Bits { bytes, count } => {
                if skip >= usize::from(count) {
                    return None;
                }
                Some(Number::Bit(bytes.get(skip / 8)? >> (skip % 8) & 1 == 1))
            }
            _ => return None,
        };
        let value = number.and_then(|number| Held::physical(number, self.scale, self.offset));
        self.last = value.unwrap_or(self.last);
        Some(Point {
            signal: self.signal,
            value: self.last.value(),
            quality: if value.is_some() { block.quality } else { Quality::Bad },
            source: Source::Field,
            event_at: block.at.unwrap_or(at),
            arrived_at: at,
        })
    }

    /// The value that a write gives, where the block touches the place and the rest is known.
    fn write(&mut self, start: u32, end: u32, data: &Data<'_>) -> Option<Value> {
        if self.address + self.span <= start {
            return None; // it lies before the block
        }
        let place = self.address as usize;
        let number = match *data {
            Data::Bits { bytes, .. } => {
                let skip = place.checked_sub(start as usize)?;
                Number::Bit(bytes.get(skip / 8)? >> (skip % 8) & 1 == 1)
            }
            Data::Switch([0xff, 0]) => Number::Bit(true),
            Data::Switch([0, 0]) => Number::Bit(false),
            Data::Switch(_) => return None,
            Data::Words(bytes) => {
                self.overlay(bytes, start, 2)?;
                self.known |= self.address >= start && self.address + self.span <= end;
                self.known.then(|| self.number()).flatten()?
            }
            Data::Bytes(bytes) => {
                self.overlay(bytes, start, 1)?;
                self.known |= self.address >= start && self.address + self.span <= end;
                self.known.then(|| self.number()).flatten()?
            }
            Data::Scalar { value, .. } | Data::Number { value, .. } => self.pick(number_of(&value)?)?,
            Data::Mask { and, or } => {
                if let Encoding::Bit(bit) = self.encoding
                    && self.order_bit(bit) & and != 0
                {
                    return None; // the write keeps this bit
                }
                let skip = (start as usize).checked_sub(place)? * 2;
                let single = self.span == 1;
                let held = self.raw.get_mut(skip..skip + 2)?;
                let old = u16::from_be_bytes([*held.first()?, *held.get(1)?]);
                held.copy_from_slice(&(old & and | or & !and).to_be_bytes());
                let sure = self.known || single && (and == 0 || matches!(self.encoding, Encoding::Bit(_)));
                sure.then(|| self.number()).flatten()?
            }
        };
        Held::physical(number, self.scale, self.offset).map(Held::value)
    }

    /// The bit of this number in a word as it comes on the wire.
    fn order_bit(&self, bit: u8) -> u16 {
        let mask = 1u16.checked_shl(u32::from(bit)).unwrap_or_default();
        if matches!(self.order, ByteOrder::Badc | ByteOrder::Dcba) { mask.swap_bytes() } else { mask }
    }

    /// Puts what a write gives of this value, which begins at `start` and has `size` bytes an address, into its bytes.
    fn overlay(&mut self, bytes: &[u8], start: u32, size: usize) -> Option<()> {
        for cell in 0..self.span as usize {
            let Some(from) = (self.address as usize + cell).checked_sub(start as usize) else { continue };
            let held = self.raw.get_mut(cell * size..(cell + 1) * size)?;
            if let Some(new) = bytes.get(from * size..(from + 1) * size) {
                held.copy_from_slice(new);
            }
        }
        Some(())
    }

    fn number(&self) -> Option<Number> {
        let raw = u64::from_be_bytes(self.raw);
        let ordered = match self.len() {
            1 => raw >> 56,
            len => encoding::gather(raw, len as u32 / 2, self.order),
        };
        encoding::decode(ordered, self.encoding)
    }

    /// The bit that the binding asks for, or the number as it is.
    fn pick(&self, number: Number) -> Option<Number> {
        let Encoding::Bit(bit) = self.encoding else { return Some(number) };
        match number {
            Number::Signed(number) => Some(Number::Bit(number >> bit & 1 == 1)),
            Number::Unsigned(number) => Some(Number::Bit(number >> bit & 1 == 1)),
            Number::Bit(_) if bit == 0 => Some(number),
            Number::Bit(_) | Number::Float(_) => None,
        }
    }

    fn encode<'a>(&'a self, group: &Group, value: Value) -> Option<Write<'a>> {
        let tag = group.family.parse_tag(&self.tag)?;
        let raw = (value.as_f64() - self.offset) / self.scale;
        let change = match self.encoding {
            encoding if self.width == Width::Scalar => {
                let plain = self.scale == 1.0 && self.offset == 0.0;
                let value = if plain { value } else { Value::real(raw).ok()? };
                Change::Scalar { value, encoding }
            }
            Encoding::Bit(bit) => {
                let state = match raw {
                    0.0 => false,
                    1.0 => true,
                    _ => return None,
                };
                if self.width == Width::Bit {
                    Change::Bit(state)
                } else if self.width == Width::Byte {
                    Change::BitOf { bit, state }
                } else {
                    let swapped = matches!(self.order, ByteOrder::Badc | ByteOrder::Dcba);
                    Change::BitOf { bit: if swapped { (bit + 8) % 16 } else { bit }, state }
                }
            }
            encoding => {
                let mut bytes = [0; VALUE_MAX];
                let held = bytes.get_mut(..self.len())?;
                match value {
                    // Integers without scaling keep all their bits.
                    Value::Integer(integer)
                        if self.scale == 1.0 && self.offset == 0.0 && encoding == Encoding::I64 =>
                    {
                        held.copy_from_slice(&integer.to_be_bytes());
                    }
                    _ => encoding::encode(raw, encoding, held)?,
                }
                encoding::reorder(held, self.order);
                Change::Words { bytes, len: self.len() as u8 }
            }
        };
        Some(Write { family: group.family.label(), endpoint: group.endpoint, tag, change })
    }
}
