//! What a connection has to remember: its channel, the chunks of messages, what was asked for, what is monitored.
//!
//! Sources: OPC 10000-6 1.05 §6.7.2.4 (sequence numbers), §6.7.3 (chunks); OPC 10000-4 §5.12.2 (client handles).

use std::collections::{BTreeMap, VecDeque};

use twinguard_types::Oddity;

use super::place::{Place, Places, VALUE};
use super::reader::{Flaw, Identifier, NodeId, Read, Reader};
use super::service;
use super::view::{MessageType, Mode, Policy, View};
use crate::protocol::Sender;

/// The longest message that is put together from chunks, in bytes; a longer one is told without its body.
pub const MESSAGE_MAX: usize = 1 << 20;
/// Requests whose answers are awaited; the oldest go.
pub const REQUESTS_MAX: usize = 64;
/// Bytes of the places that one of those requests names; of all together twice as many.
pub const PLACES_MAX: usize = 128 << 10;
/// Monitored items of one connection; those of the lowest subscription go.
pub const ITEMS_MAX: usize = 8192;
/// Bytes of the places that they name.
pub const ITEM_BYTES_MAX: usize = 1 << 20;

/// The state of one connection.
#[derive(Debug, Default)]
pub struct Session(Box<State>);

#[derive(Debug, Default)]
struct State {
    policy: Option<Policy>,
    channel: Option<u32>,
    /// Client and server.
    halves: [Half; 2],
    requests: Requests,
    items: Items,
}

/// What one end sends.
#[derive(Debug, Default)]
struct Half {
    /// The last sequence number.
    last: Option<u32>,
    /// The longest chunk that the other end takes.
    chunk_max: Option<u32>,
    /// The request whose chunks are being put together.
    open: Option<u32>,
    dropped: bool,
    held: Vec<u8>,
}

/// Requests that await their answers, with the places that they name.
#[derive(Debug, Default)]
struct Requests {
    entries: VecDeque<Entry>,
    places: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    request: u32,
    service: u16,
    start: usize,
    len: usize,
}

/// What is monitored: places by subscription and the client's handle.
#[derive(Debug, Default)]
pub struct Items {
    places: BTreeMap<(u32, u32), Vec<u8>>,
    bytes: usize,
    scratch: Vec<u8>,
}

impl Session {
    /// Completes a chunk by what came before, and takes note of it.
    pub(super) fn read<'a>(&'a mut self, view: View<'a>) -> View<'a> {
        self.0.read(view)
    }
}

impl State {
    fn read<'a>(&'a mut self, mut view: View<'a>) -> View<'a> {
        let end = usize::from(view.sender == Sender::Server);
        match view.message {
            MessageType::Hello | MessageType::Acknowledge => self.limits(&view),
            MessageType::Open => self.open(&view),
            _ => {}
        }
        if matches!(view.message, MessageType::Close | MessageType::Message) {
            self.secure(&mut view, end);
        }
        let [client, server] = &mut self.halves;
        let half = if end == 0 { client } else { server };
        if half.chunk_max.is_some_and(|most| view.bytes.len() as u64 > u64::from(most)) {
            view.oddities.push(Oddity::BadQuantity, 4);
        }
        let mut assembled = false;
        if let Some((sequence, request)) = view.sequence() {
            half.follow(sequence, &mut view);
            if view.message == MessageType::Message {
                let signature = match view.mode {
                    Mode::Sign => view.policy.map_or(0, Policy::signature),
                    _ => 0,
                };
                assembled = half.assemble(request, signature, &mut view);
            }
        }
        if assembled {
            view.body = &half.held;
            view.service = service::number(view.body).unwrap_or(0);
        }
        let Some((_, request)) = view.sequence().filter(|_| !view.body.is_empty()) else { return view };
        check(&mut view, assembled);
        match service::asks(view.service) {
            Some(true) => {
                if let Err(flaw) = self.requests.keep(request, view.service, view.body) {
                    view.oddities.push(flaw.oddity, flaw.at);
                }
                if view.service == service::MONITOR && self.items.enter(view.body).is_err() {
                    view.oddities.push(Oddity::Dropped, 0);
                }
                view.places = self.requests.last();
                view.alone = matches!(view.service, service::CLOSE | service::PUBLISH);
            }
            Some(false) => {
                if let Some(entry) = self.requests.close(request) {
                    view.alone = entry.service == service::PUBLISH;
                    view.places = self.requests.places_of(&entry);
                }
                view.alone |= view.service == service::PUBLISHED;
                view.items = Some(&self.items);
            }
            None => {}
        }
        view
    }

    /// §7.1.2.3, §7.1.2.4: each end tells what it takes.
    fn limits(&mut self, view: &View<'_>) {
        let [client, server] = &mut self.halves;
        let other = if view.message == MessageType::Hello { server } else { client };
        other.chunk_max = view.limits().map(|limits| limits.receive).filter(|most| *most >= 1024);
    }

    fn open(&mut self, view: &View<'_>) {
        self.policy = view.policy.or(self.policy);
        match view.channel() {
            // A channel is asked for with number 0; its numbers begin anew.
            Some(0) => self.halves.iter_mut().for_each(|half| half.last = None),
            channel if view.sender == Sender::Server => self.channel = channel,
            _ => {}
        }
    }

    /// What is known of the channel says whether a message can be read.
    fn secure(&mut self, view: &mut View<'_>, end: usize) {
        view.policy = self.policy;
        let continues = self.halves.get(end).is_some_and(|half| {
            let request = view.bytes.get(20..).and_then(<[u8]>::first_chunk);
            half.open.is_some() && half.open == request.map(|bytes| u32::from_le_bytes(*bytes))
        });
        let readable = view.looks_readable() || continues;
        match self.policy {
            Some(Policy::None) => view.reveal(Mode::None),
            Some(policy) if readable => {
                view.reveal(Mode::Sign);
                let len = view.body.len().saturating_sub(policy.signature());
                view.body = view.body.get(..len).unwrap_or_default();
            }
            Some(_) => (view.mode, view.hidden) = (Mode::SignAndEncrypt, true),
            None if continues => view.reveal(Mode::Unknown),
            None => {}
        }
        if self.channel.is_some() && self.channel != view.channel() {
            view.oddities.push(Oddity::BadAddress, 8);
        }
    }
}

/// Whether the body is as its service asks, and comes from the end that may send it.
fn check(view: &mut View<'_>, assembled: bool) {
    let start = if assembled { 0 } else { view.sequence_at + 8 };
    match service::check(view.service, view.body) {
        Err(flaw) => view.oddities.push(flaw.oddity, start + flaw.at),
        // Without the opening a signature may stand behind the body.
        Ok(end) if end < view.body.len() && view.policy.is_some_and(|policy| policy != Policy::Other) => {
            view.oddities.push(Oddity::TrailingBytes, start + end);
        }
        Ok(_) => {}
    }
    let by = service::asks(view.service).map(|asks| if asks { Sender::Client } else { Sender::Server });
    if by.is_some_and(|by| view.sender == by.other()) {
        view.oddities.push(Oddity::BadValue, start);
    }
}

impl Half {
    /// §6.7.2.4: numbers go up by one; near the end of their range they may begin anew below 1024.
    fn follow(&mut self, sequence: u32, view: &mut View<'_>) {
        if let Some(last) = self.last.replace(sequence) {
            let begins_anew = last > u32::MAX - 1024 && sequence < 1024;
            if sequence != last.wrapping_add(1) && !begins_anew {
                let ahead = sequence.wrapping_sub(last) as i32 > 0;
                let oddity = if ahead { Oddity::Gap } else { Oddity::DuplicateTransaction };
                view.oddities.push(oddity, view.sequence_at);
            }
        }
    }

    /// Puts chunks together (§6.7.3); true when this one ends a message of several.
    fn assemble(&mut self, request: u32, signature: usize, view: &mut View<'_>) -> bool {
        let data = view.bytes.get(view.sequence_at + 8..).unwrap_or_default();
        let data = data.get(..data.len().saturating_sub(signature)).unwrap_or_default();
        let continues = self.open == Some(request);
        match view.chunk() {
            b'C' => {
                if !continues {
                    if self.open.replace(request).is_some() {
                        // A message was left without its end.
                        view.oddities.push(Oddity::Truncated, 0);
                    }
                    self.dropped = false;
                    self.held.clear();
                }
                self.push(data, view);
                false
            }
            b'F' if continues => {
                self.open = None;
                self.push(data, view);
                !self.dropped
            }
            b'A' if continues => {
                self.open = None;
                self.held.clear();
                false
            }
            _ => false,
        }
    }

    fn push(&mut self, data: &[u8], view: &mut View<'_>) {
        if self.held.len() + data.len() > MESSAGE_MAX {
            self.dropped = true;
            self.held.clear();
        }
        if self.dropped {
            view.oddities.push(Oddity::Dropped, 0);
            view.body = &[];
            view.service = 0;
        } else {
            self.held.extend_from_slice(data);
        }
    }
}

impl Requests {
    /// Keeps a request with the places that its answer, or its own values, belong to.
    fn keep(&mut self, request: u32, service: u16, body: &[u8]) -> Read<()> {
        // What was asked under the same number before gets no answer any more.
        self.entries.retain(|entry| entry.request != request);
        if self.entries.len() >= REQUESTS_MAX {
            self.entries.pop_front();
        }
        if self.entries.capacity() == 0 {
            self.entries.reserve_exact(REQUESTS_MAX);
            self.places.reserve(4096);
        }
        let start = self.places.len();
        let read = list(service, body, &mut self.places);
        let len = self.places.len() - start;
        let fits = len <= PLACES_MAX;
        // What is wrong with the body is told by its check.
        let len = if read.is_ok() && fits { len } else { 0 };
        self.places.truncate(start + len);
        self.entries.push_back(Entry { request, service, start, len });
        self.tidy();
        if fits { Ok(()) } else { Err(Flaw { oddity: Oddity::Dropped, at: 0 }) }
    }

    /// Lets the oldest requests go while there is too much, and makes room.
    fn tidy(&mut self) {
        let first =
            |entries: &VecDeque<Entry>| entries.iter().find(|entry| entry.len > 0).map(|entry| entry.start);
        let mut free = first(&self.entries).unwrap_or(self.places.len());
        while self.places.len() - free > 2 * PLACES_MAX && self.entries.pop_front().is_some() {
            free = first(&self.entries).unwrap_or(self.places.len());
        }
        if free > self.places.len() / 2 {
            self.places.drain(..free);
            self.entries.iter_mut().for_each(|entry| entry.start = entry.start.saturating_sub(free));
        }
    }

    fn last(&self) -> Places<'_> {
        self.entries.back().map_or(Places(&[]), |entry| self.places_of(entry))
    }

    fn places_of(&self, entry: &Entry) -> Places<'_> {
        Places(self.places.get(entry.start..entry.start + entry.len).unwrap_or_default())
    }

    fn close(&mut self, request: u32) -> Option<Entry> {
        let place = self.entries.iter().rposition(|entry| entry.request == request)?;
        self.entries.remove(place)
    }
}

/// The places that a request names, one for each result of its response.
fn list(service: u16, body: &[u8], out: &mut Vec<u8>) -> Read<()> {
    let mut reader = Reader::new(body);
    if !matches!(
        service,
        service::READ | service::WRITE | service::HISTORY | service::CALL | service::ADD_NODES
    ) {
        return Ok(());
    }
    service::skip_header(service, &mut reader)?;
    match service {
        service::READ => {
            reader.take(12)?;
        }
        service::HISTORY => {
            reader.object()?;
            reader.take(5)?;
        }
        _ => {}
    }
    for _ in 0..reader.array()? {
        let (node, attribute, range) = match service {
            service::READ => {
                let read = (reader.node_id()?, reader.u32()?, reader.text()?);
                reader.qualified()?;
                read
            }
            service::HISTORY => {
                let (node, range) = (reader.node_id()?, reader.text()?);
                reader.qualified()?;
                reader.text()?;
                (node, u32::from(VALUE), range)
            }
            service::WRITE => {
                let write = (reader.node_id()?, reader.u32()?, reader.text()?);
                reader.data_value()?;
                write
            }
            service::CALL => {
                reader.node_id()?;
                let method = reader.node_id()?;
                for _ in 0..reader.array()? {
                    reader.variant(0)?;
                }
                (method, u32::from(VALUE), None)
            }
            _ => {
                reader.expanded()?;
                reader.node_id()?;
                let node = reader.expanded()?;
                reader.qualified()?;
                reader.u32()?;
                reader.object()?;
                reader.expanded()?;
                // A null node leaves the choice to the server.
                let null = NodeId { namespace: 0, id: Identifier::Numeric(0), elsewhere: false };
                (NodeId { elsewhere: node.elsewhere || node == null, ..node }, u32::from(VALUE), None)
            }
        };
        Place::push(out, &node, attribute, range);
    }
    Ok(())
}

impl Items {
    /// Takes note of what a request wants to be monitored (OPC 10000-4 §5.12.2.2).
    fn enter(&mut self, body: &[u8]) -> Read<()> {
        let mut reader = Reader::new(body);
        service::skip_header(service::MONITOR, &mut reader)?;
        let subscription = reader.u32()?;
        reader.u32()?;
        for _ in 0..reader.array()? {
            let (node, attribute, range) = (reader.node_id()?, reader.u32()?, reader.text()?);
            reader.qualified()?;
            reader.u32()?;
            let handle = reader.u32()?;
            reader.take(8)?;
            reader.object()?;
            reader.take(5)?;
            self.scratch.clear();
            Place::push(&mut self.scratch, &node, attribute, range);
            self.insert((subscription, handle));
        }
        Ok(())
    }

    fn insert(&mut self, key: (u32, u32)) {
        while self.places.len() >= ITEMS_MAX || self.bytes + self.scratch.len() > ITEM_BYTES_MAX {
            let Some((_, gone)) = self.places.pop_first() else { break };
            self.bytes -= gone.len();
        }
        let held = self.places.entry(key).or_default();
        self.bytes -= held.len();
        held.clear();
        held.extend_from_slice(&self.scratch);
        self.bytes += held.len();
    }

    /// The place that a handle stands for.
    pub(super) fn find(&self, subscription: u32, handle: u32) -> Places<'_> {
        Places(self.places.get(&(subscription, handle)).map_or(&[], Vec::as_slice))
    }
}
