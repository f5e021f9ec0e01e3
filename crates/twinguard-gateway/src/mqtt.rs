//! The MQTT proxy: one task for each client, which speaks to the server over a connection of its own.
//!
//! Packets pass in both directions in the order in which they came, byte for byte. Publications that command are judged first;
//! those that do not pass are answered here with the protocol's own means, in the order of acknowledgements that the standard
//! asks for. All else passes without the guard.
//!
//! Sources: *MQTT Version 5.0* §2.1, §3, §4.3, §4.6; *MQTT Version 3.1.1* §3.3.5 (an older client cannot be told that it may
//! not publish: it is acknowledged, and what it published is dropped, as servers do).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::watch;
use twinguard::protocol::protocol::{Cut, Protocol as _};
use twinguard::protocol::protocols::mqtt::{
    Connect, Mqtt, Packet, Properties, Publish, Repr, TOPIC_ALIAS, Version, View, kind,
};
use twinguard::types::CommandId;

use crate::config::{self, Mode};
use crate::core::Core;
use crate::core::modbus::Exception;
use crate::core::mqtt::CommandTopics;
use crate::rate::Budget;
use crate::relay::{Link, Relay, Said, WRITE, next};

/// Acknowledgements that may be owed to a client: as many as there are identifiers.
const OWED: usize = u16::MAX as usize;
/// Topic aliases of one client, and bytes of each topic.
const ALIASES: usize = 256;

/// Reason codes (V5 §2.4).
mod reason {
    pub(super) const IMPLEMENTATION: u8 = 0x83;
    pub(super) const NOT_AUTHORIZED: u8 = 0x87;
    pub(super) const UNAVAILABLE: u8 = 0x88;
    pub(super) const SHUTTING_DOWN: u8 = 0x8b;
    pub(super) const MALFORMED: u8 = 0x81;
    pub(super) const TOO_LARGE: u8 = 0x95;
    pub(super) const QUOTA: u8 = 0x97;
}

/// A client can be told a reason code.
type End = crate::relay::End<u8>;

/// Serves clients until `stop` changes; those that are being served are let go then.
pub(crate) async fn serve(
    config: config::Mqtt,
    topics: CommandTopics,
    relay: Arc<Relay>,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
) {
    let shared = Arc::new(Shared { config, topics });
    relay.serve(listener, stop, WRITE, move |link| Session::new(shared.clone(), link).run()).await;
}

/// What the clients of a proxy share.
struct Shared {
    config: config::Mqtt,
    topics: CommandTopics,
}

/// An acknowledgement that a client waits for.
enum Owed {
    /// The server's, for this packet identifier.
    Server(u16),
    /// Ours, when all before it are given.
    Ours(Vec<u8>),
}

struct Session {
    shared: Arc<Shared>,
    link: Link,
    version: Version,
    /// What the client's topic aliases stand for, and whether the server was told so.
    aliases: BTreeMap<u16, (Vec<u8>, bool)>,
    /// Acknowledgements of quality 1 and of quality 2, in the order of publications.
    owed: [VecDeque<Owed>; 2],
    /// Identifiers of quality 2 whose publication was dropped: their release is answered here.
    dropped: BTreeSet<u16>,
    budget: Budget,
    /// When the client's present packet began; at first, when it connected.
    began: Option<Instant>,
}

impl Session {
    fn new(shared: Arc<Shared>, link: Link) -> Self {
        let now = Instant::now();
        let budget = Budget::new(shared.config.commands_per_second, now);
        Self {
            shared,
            link,
            version: Version::Unknown,
            aliases: BTreeMap::new(),
            owed: [VecDeque::new(), VecDeque::new()],
            dropped: BTreeSet::new(),
            budget,
            began: Some(now),
        }
    }

    async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        self.link.count(&end);
        let told = match end {
            End::Over | End::Slow => None,
            End::Foreign => Some(reason::MALFORMED),
            End::Told(reason) => Some(reason),
        };
        // V5 §3.14: only there a server says why.
        if let Some(reason) = told.filter(|_| self.version == Version::V5) {
            let end = Packet::End {
                kind: kind::DISCONNECT,
                reason: Some(reason),
                properties: Properties::default(),
            };
            let _ = self.answer(end).await;
        }
        self.link.close().await;
    }

    /// Deals with whatever happens next.
    async fn step(&mut self) -> Result<(), End> {
        match self.link.said(self.began, End::Told(reason::SHUTTING_DOWN)).await? {
            Said::Client => self.client_said().await,
            Said::Server => self.server_said().await,
        }
    }

    /// The next whole packet of a stream.
    fn packet(bytes: &mut Vec<u8>, most: usize) -> Result<Option<Vec<u8>>, End> {
        match Mqtt::cut(bytes) {
            Cut::Message(len) | Cut::More(len) if len > most => Err(End::Told(reason::TOO_LARGE)),
            _ => next::<Mqtt, _>(bytes),
        }
    }

    /// Deals with the whole packets of the client, in order.
    async fn client_said(&mut self) -> Result<(), End> {
        while let Some(packet) = Self::packet(&mut self.link.asked, self.shared.config.packet_bytes)? {
            self.began = None;
            if self.link.server.is_none() {
                self.connect(&packet).await?;
            } else {
                self.pass(&packet).await?;
            }
        }
        if self.link.asked.is_empty() && self.link.server.is_some() {
            self.began = None;
        } else {
            self.began.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// The first packet of a client, which has to be CONNECT (V5 §3.1).
    async fn connect(&mut self, packet: &[u8]) -> Result<(), End> {
        // The level of the protocol in the packet itself tells how to read it.
        let first = View::new(packet, Version::Unknown).ok_or(End::Foreign)?;
        let Packet::Connect(Connect { level, .. }) = first.packet() else { return Err(End::Foreign) };
        self.version = match level & 0x7f {
            3 => Version::V31,
            4 => Version::V311,
            5 => Version::V5,
            _ => return Err(End::Foreign),
        };
        let view = View::new(packet, self.version).ok_or(End::Foreign)?;
        let Packet::Connect(connect) = view.packet() else { return Err(End::Foreign) };
        if self.link.mode() == Mode::Enforce {
            if !view.oddities().is_empty() {
                return Err(End::Foreign);
            }
            // What a server says in a client's name when it is lost is said without anybody being asked.
            if connect.will.is_some_and(|will| self.shared.topics.holds(will.topic)) {
                self.link.counts().refused.add();
                return self.turn_away(reason::NOT_AUTHORIZED, 5).await;
            }
        }
        if !self.link.connect().await {
            return self.turn_away(reason::UNAVAILABLE, 3).await;
        }
        self.link.send(packet).await
    }

    /// Answers CONNECT in the server's place: a reason code, or a return code before 5.0 (V3 §3.2.2.3).
    async fn turn_away(&mut self, reason: u8, before: u8) -> Result<(), End> {
        let code = if self.version == Version::V5 { reason } else { before };
        self.answer(Packet::ConnAck { flags: 0, code, properties: Properties::default() }).await?;
        Err(End::Over)
    }

    async fn pass(&mut self, packet: &[u8]) -> Result<(), End> {
        if self.link.mode() == Mode::Advisory {
            return self.link.send(packet).await;
        }
        let view = View::new(packet, self.version).ok_or(End::Foreign)?;
        match view.packet() {
            Packet::Publish(publish) => {
                // What receivers might read in two ways does not pass.
                if !view.oddities().is_empty() {
                    return Err(End::Foreign);
                }
                self.publication(packet, &publish).await
            }
            Packet::Ack { kind: kind::PUBREL, id, .. } if self.dropped.remove(&id) => {
                let properties = Properties::default();
                self.answer(Packet::Ack { kind: kind::PUBCOMP, id, reason: None, properties }).await
            }
            // A second one, or a publication that cannot be read as one.
            Packet::Connect(_) => Err(End::Foreign),
            Packet::Opaque { .. } => Err(End::Foreign),
            _ => self.link.send(packet).await,
        }
    }

    async fn publication(&mut self, packet: &[u8], publish: &Publish<'_>) -> Result<(), End> {
        let topic = self.topic(publish)?;
        let mut commands = Vec::new();
        if self.shared.topics.holds(&topic) {
            match self.judge(topic, publish).await {
                Ok(admitted) => commands = admitted,
                Err(exception) => return self.refuse(publish, exception).await,
            }
            self.link.counts().passed.add();
        }
        if let Some((queue, id)) = self.queue(publish) {
            if queue.len() >= OWED {
                return Err(End::Told(reason::QUOTA));
            }
            queue.push_back(Owed::Server(id));
            self.dropped.remove(&id);
        }
        let whole = self.whole(publish);
        let sent = self.link.send(whole.as_deref().unwrap_or(packet)).await;
        if sent.is_err() && !commands.is_empty() {
            // How much of it arrived nobody knows: it is never sent again. The admission lapses by itself.
            self.link.counts().unanswered.add();
        }
        sent
    }

    /// The topic of a publication, also where an alias stands for it (V5 §3.3.2.3.4).
    fn topic(&mut self, publish: &Publish<'_>) -> Result<Vec<u8>, End> {
        let alias = publish.properties.number(TOPIC_ALIAS).map(|alias| alias as u16);
        match (alias, publish.topic.is_empty()) {
            (None, _) => Ok(publish.topic.to_vec()),
            (Some(0), _) => Err(End::Foreign),
            (Some(alias), true) => {
                self.aliases.get(&alias).map(|(topic, _)| topic.clone()).ok_or(End::Foreign)
            }
            (Some(alias), false) => {
                if self.aliases.len() >= ALIASES && !self.aliases.contains_key(&alias) {
                    return Err(End::Told(reason::QUOTA));
                }
                self.aliases.insert(alias, (publish.topic.to_vec(), false));
                Ok(publish.topic.to_vec())
            }
        }
    }

    /// The publication with its topic, where the server was not told what the alias stands for, because the publication that
    /// said so did not pass.
    fn whole(&mut self, publish: &Publish<'_>) -> Option<Vec<u8>> {
        let alias = publish.properties.number(TOPIC_ALIAS)?;
        let (topic, told) = self.aliases.get_mut(&(alias as u16))?;
        let told = core::mem::replace(told, true);
        if told || !publish.topic.is_empty() {
            return None;
        }
        bytes_of(self.version, Packet::Publish(Publish { topic: topic.as_slice(), ..*publish }))
    }

    /// Asks the guard about a publication that commands. No answer is a refusal.
    async fn judge(&mut self, topic: Vec<u8>, publish: &Publish<'_>) -> Result<Vec<CommandId>, Exception> {
        if !self.budget.take(Instant::now()) {
            self.link.counts().flooded.add();
            return Err(Exception::Busy);
        }
        let (payload, retain) = (publish.payload.to_vec(), publish.retain);
        let passing = self.shared.config.metrics.clone();
        let job =
            move |core: &mut Core, now, line| core.publish(now, line, (&topic, &payload), retain, &passing);
        self.link.decide(job).await
    }

    /// The queue of acknowledgements that a publication belongs to, and its identifier.
    fn queue(&mut self, publish: &Publish<'_>) -> Option<(&mut VecDeque<Owed>, u16)> {
        let [first, second] = &mut self.owed;
        match (publish.qos, publish.id) {
            (1, Some(id)) => Some((first, id)),
            (2, Some(id)) => Some((second, id)),
            _ => None,
        }
    }

    /// A publication does not pass: it is acknowledged as refused, or, before 5.0, acknowledged and dropped; without
    /// acknowledgement it is dropped (V5 §3.4.2.1, §3.5.2.1; V3 §3.3.5).
    async fn refuse(&mut self, publish: &Publish<'_>, exception: Exception) -> Result<(), End> {
        self.link.counts().refused.add();
        let five = self.version == Version::V5;
        let reason = match exception {
            Exception::Busy => reason::QUOTA,
            Exception::DeviceFailure => reason::IMPLEMENTATION,
            _ => reason::NOT_AUTHORIZED,
        };
        let Some(id) = publish.id else { return Ok(()) };
        let kind = if publish.qos == 1 { kind::PUBACK } else { kind::PUBREC };
        if publish.qos == 2 && !five {
            self.dropped.insert(id);
        }
        let reason = five.then_some(reason);
        let packet = Packet::Ack { kind, id, reason, properties: Properties::default() };
        let bytes = bytes_of(self.version, packet).ok_or(End::Over)?;
        let Some((queue, _)) = self.queue(publish) else { return Ok(()) };
        if queue.len() >= OWED {
            return Err(End::Told(reason::QUOTA));
        }
        queue.push_back(Owed::Ours(bytes));
        self.settle().await
    }

    /// Gives the acknowledgements of ours before which none is owed any more.
    async fn settle(&mut self) -> Result<(), End> {
        for place in 0..self.owed.len() {
            while let Some(queue) = self.owed.get_mut(place)
                && let Some(Owed::Ours(_)) = queue.front()
                && let Some(Owed::Ours(bytes)) = queue.pop_front()
            {
                self.link.write(&bytes).await?;
            }
        }
        Ok(())
    }

    /// Passes on the whole packets of the server.
    async fn server_said(&mut self) -> Result<(), End> {
        while let Some(packet) = Self::packet(&mut self.link.told, self.shared.config.packet_bytes)? {
            self.link.show(false, &packet);
            self.link.write(&packet).await?;
            let view = View::new(&packet, self.version);
            if let Some(Packet::Ack { kind, id, .. }) = view.as_ref().map(View::packet)
                && let Some(queue) = match kind {
                    kind::PUBACK => self.owed.first_mut(),
                    kind::PUBREC => self.owed.last_mut(),
                    _ => None,
                }
                && let Some(place) =
                    queue.iter().position(|owed| matches!(owed, Owed::Server(it) if *it == id))
            {
                queue.remove(place);
                self.settle().await?;
            }
        }
        Ok(())
    }

    async fn answer(&mut self, packet: Packet<'_>) -> Result<(), End> {
        let bytes = bytes_of(self.version, packet).ok_or(End::Over)?;
        self.link.write(&bytes).await
    }
}

fn bytes_of(version: Version, packet: Packet<'_>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    Repr::new(version, packet)?.emit(&mut bytes);
    Some(bytes)
}
