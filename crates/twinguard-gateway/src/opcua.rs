//! The OPC UA proxy: one task for each client, which speaks to the server over a connection of its own.
//!
//! On a channel without security (policy None) writes and calls are judged, and refused with a `ServiceFault`; all else passes.
//! Chunks get new sequence numbers, since some are left out and some are made here. A channel that signs or encrypts cannot be
//! judged: it is refused, or passes with all that is in it, as the configuration says.
//!
//! Sources: OPC 10000-6 1.05 §6.7 (secure conversation), §7.1 (connections); OPC 10000-4 1.05 §7.34 (`ServiceFault`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::watch;
use twinguard::protocol::Sender;
use twinguard::protocol::protocols::opcua::{MessageType, OpcUa, Policy, View};

use crate::config::{self, Mode, Secured};
use crate::core::Core;
use crate::core::modbus::Exception;
use crate::core::opcua::{Numbers, Request, error, fault, renumbered, status, status_of, whole};
use crate::rate::Budget;
use crate::relay::{Link, Relay, Said, WRITE, next};
use crate::worker::clock;

/// Refusals that wait for the end of a message of the server.
const OWED: usize = 256;

/// A client can be told a status code and, in words, why.
type End = crate::relay::End<(u32, &'static str)>;

/// Serves clients until `stop` changes; those that are being served are let go then.
pub(crate) async fn serve(
    config: config::OpcUa,
    relay: Arc<Relay>,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
) {
    let config = Arc::new(config);
    relay.serve(listener, stop, WRITE, move |link| Session::new(config.clone(), link).run()).await;
}

/// What is known of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    /// None was opened.
    Closed,
    /// Readable: what commands is judged.
    Clear,
    /// Signed or encrypted: it passes as it is.
    Secured,
}

struct Session {
    config: Arc<config::OpcUa>,
    link: Link,
    channel: Channel,
    /// What goes to the server, and what goes to the client.
    forth: Numbers,
    back: Numbers,
    /// The client's chunks that are no whole message yet.
    chunks: Vec<Vec<u8>>,
    /// Whether the server is in the middle of a message, and what is to be said after it.
    midway: bool,
    owed: VecDeque<(Vec<u8>, u32)>,
    budget: Budget,
    /// When the client's present message began; at first, when it connected.
    began: Option<Instant>,
}

impl Session {
    fn new(config: Arc<config::OpcUa>, link: Link) -> Self {
        let now = Instant::now();
        let budget = Budget::new(config.commands_per_second, now);
        Self {
            config,
            link,
            channel: Channel::Closed,
            forth: Numbers::default(),
            back: Numbers::default(),
            chunks: Vec::new(),
            midway: false,
            owed: VecDeque::new(),
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
        if let End::Told((status, reason)) = end {
            self.link.counts().refused.add();
            // Whoever does not take it is let go as well.
            let _: Result<(), End> = self.link.write(&error(status, reason)).await;
        }
        self.link.close().await;
    }

    /// Deals with whatever happens next.
    async fn step(&mut self) -> Result<(), End> {
        match self.link.said(self.began, End::Over).await? {
            Said::Client => self.client_said().await,
            Said::Server => self.server_said().await,
        }
    }

    /// Deals with the whole chunks of the client, in order.
    async fn client_said(&mut self) -> Result<(), End> {
        while let Some(chunk) = next::<OpcUa, _>(&mut self.link.asked)? {
            // A server that is not there does not answer: so the gateway does not either.
            if self.link.server.is_none() && !self.link.connect().await {
                return Err(End::Over);
            }
            if self.link.mode() == Mode::Advisory || self.channel == Channel::Secured {
                self.link.send(&chunk).await?;
            } else {
                self.client_chunk(chunk).await?;
            }
            // A message begins with its first chunk.
            self.began =
                if self.chunks.is_empty() { None } else { self.began.or_else(|| Some(Instant::now())) };
        }
        if !self.link.asked.is_empty() {
            self.began.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    async fn client_chunk(&mut self, chunk: Vec<u8>) -> Result<(), End> {
        let view = View::new(&chunk, Sender::Client).ok_or(End::Foreign)?;
        match (view.message(), self.channel) {
            (MessageType::Hello, Channel::Closed) | (MessageType::Error, _) => self.link.send(&chunk).await,
            (MessageType::Open, _) => self.open(&view).await,
            (MessageType::Message | MessageType::Close, Channel::Clear) => self.message(chunk).await,
            _ => Err(End::Foreign),
        }
    }

    /// A channel is opened or renewed.
    async fn open(&mut self, view: &View<'_>) -> Result<(), End> {
        match (view.policy(), self.config.secured, self.channel) {
            (Some(Policy::None), ..) if view.oddities().is_empty() => {
                self.channel = Channel::Clear;
                let (number, _) = view.sequence().ok_or(End::Foreign)?;
                if !self.forth.came(number) {
                    return Err(End::Foreign);
                }
                let chunk = renumbered(view, self.forth.goes());
                self.link.send(&chunk).await
            }
            // Others than these a server might take for none.
            (Some(Policy::Sha1 | Policy::Sha256), Secured::Pass, Channel::Closed) => {
                self.channel = Channel::Secured;
                self.link.send(view.as_bytes()).await
            }
            (Some(_), _, Channel::Closed) => {
                Err(End::Told((status::POLICY_REJECTED, "what is encrypted cannot be judged by the gateway")))
            }
            _ => Err(End::Foreign),
        }
    }

    /// A chunk of a message on a channel without security.
    async fn message(&mut self, chunk: Vec<u8>) -> Result<(), End> {
        let view = View::new(&chunk, Sender::Client).ok_or(End::Foreign)?;
        // The opening told that it is not encrypted; what looks otherwise has no service that is known.
        let number = |at: usize| chunk.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let (sequence, request) = number(16).zip(number(20)).ok_or(End::Foreign)?;
        if !self.forth.came(sequence) {
            return Err(End::Foreign);
        }
        let kind = view.chunk();
        let first = self.chunks.first().and_then(|chunk| chunk.get(20..24)?.first_chunk().copied());
        if first.is_some_and(|first| u32::from_le_bytes(first) != request) {
            // Chunks of two messages among each other.
            return Err(End::Foreign);
        }
        if kind == b'A' {
            // It was never begun for the server.
            self.chunks.clear();
            return Ok(());
        }
        self.chunks.push(chunk);
        let held: usize = self.chunks.iter().map(Vec::len).sum();
        if held > self.config.message_bytes {
            return Err(End::Told((status::TOO_LARGE, "the message is longer than the gateway takes")));
        }
        if kind == b'C' { Ok(()) } else { self.request().await }
    }

    /// The chunks at hand are a whole request.
    async fn request(&mut self) -> Result<(), End> {
        let chunks = core::mem::take(&mut self.chunks);
        let whole = whole(&chunks).ok_or(End::Foreign)?;
        let view = View::new(&whole, Sender::Client).ok_or(End::Foreign)?;
        match Request::of(&view) {
            Request::Read => self.forward(&chunks).await,
            Request::Other(service) if self.config.services.contains(&service) => self.forward(&chunks).await,
            Request::Other(_) => self.refuse(whole, status::UNSUPPORTED).await,
            Request::Malformed => self.refuse(whole, status::DECODING).await,
            Request::Command => {
                if let Err(exception) = self.judge(whole.clone()).await {
                    return self.refuse(whole, status_of(exception)).await;
                }
                self.link.counts().passed.add();
                let sent = self.forward(&chunks).await;
                if sent.is_err() {
                    // How much of it arrived nobody knows: it is never sent again. The admission lapses by itself.
                    self.link.counts().unanswered.add();
                }
                sent
            }
        }
    }

    /// Asks the guard about a request that commands. No answer is a refusal.
    async fn judge(&mut self, message: Vec<u8>) -> Result<(), Exception> {
        if !self.budget.take(Instant::now()) {
            self.link.counts().flooded.add();
            return Err(Exception::Busy);
        }
        let passing = self.config.methods.clone();
        let job = move |core: &mut Core, now, line| core.service(now, line, &message, &passing);
        self.link.decide(job).await.map(drop)
    }

    async fn forward(&mut self, chunks: &[Vec<u8>]) -> Result<(), End> {
        for chunk in chunks {
            let mut chunk = chunk.clone();
            if let Some(place) = chunk.get_mut(16..20) {
                place.copy_from_slice(&self.forth.goes().to_le_bytes());
            }
            self.link.send(&chunk).await?;
        }
        Ok(())
    }

    /// A request is answered here, after what the server is saying.
    async fn refuse(&mut self, request: Vec<u8>, status: u32) -> Result<(), End> {
        self.link.counts().refused.add();
        if self.owed.len() >= OWED {
            return Err(End::Slow);
        }
        self.owed.push_back((request, status));
        self.settle().await
    }

    async fn settle(&mut self) -> Result<(), End> {
        while !self.midway
            && let Some((request, status)) = self.owed.pop_front()
        {
            let view = View::new(&request, Sender::Client).ok_or(End::Foreign)?;
            // A request whose header cannot be read has nobody to be answered.
            let answer = fault(&view, clock(), self.back.goes(), status).ok_or(End::Foreign)?;
            self.link.write(&answer).await?;
        }
        Ok(())
    }

    /// Passes on the whole chunks of the server.
    async fn server_said(&mut self) -> Result<(), End> {
        while let Some(chunk) = self.link.next_told::<OpcUa, _>()? {
            self.link.show(false, &chunk);
            if self.link.mode() == Mode::Advisory || self.channel != Channel::Clear {
                self.link.write(&chunk).await?;
                continue;
            }
            let Some(view) = View::new(&chunk, Sender::Server) else { return Err(self.link.lost()) };
            let at = match view.message() {
                MessageType::Message | MessageType::Close => Some(16),
                _ => view.sequence_at(),
            };
            let number = at.and_then(|at| chunk.get(at..)?.first_chunk()).map(|it| u32::from_le_bytes(*it));
            let (Some(at), Some(number)) = (at, number) else {
                // Acknowledgements and errors have no number.
                self.link.write(&chunk).await?;
                continue;
            };
            if !self.back.came(number) {
                return Err(self.link.lost());
            }
            self.midway = view.message() == MessageType::Message && view.chunk() == b'C';
            let mut chunk = chunk.clone();
            if let Some(place) = chunk.get_mut(at..at + 4) {
                place.copy_from_slice(&self.back.goes().to_le_bytes());
            }
            self.link.write(&chunk).await?;
            self.settle().await?;
        }
        Ok(())
    }
}
