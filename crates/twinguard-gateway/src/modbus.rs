//! The Modbus/TCP proxy: one task for each client, which speaks to the server over a connection of its own.
//!
//! Requests go to the server in the order in which they came, each at most once; what the guard does not permit is
//! answered here with the protocol's own exception. Reads pass without the guard, so that they pass whatever becomes of it.
//!
//! Source: *Modbus Messaging on TCP/IP Implementation Guide* V1.0b §4.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::config::{Modbus, Mode};
use crate::core::Answer;
use crate::core::modbus::{Exception, Piece, Request, piece, refusal};
use crate::rate::Budget;
use crate::relay::{Behind, Broken, Link, Relay, Terms};
use crate::tls::put;

/// Bytes that are read at one time.
const BUFFER: usize = 4_096;
/// How long a client may take to accept an answer.
const WRITE: Duration = Duration::from_secs(5);
/// Bytes of answers that wait to be cut.
const ANSWERS: usize = 64 << 10;

/// A proxy and what its clients share.
pub(crate) struct Proxy {
    config: Modbus,
    mode: Mode,
    relay: Arc<Relay>,
}

impl Proxy {
    /// A proxy; nothing listens yet.
    #[must_use]
    pub(crate) fn new(config: Modbus, mode: Mode, behind: Behind) -> Arc<Self> {
        let terms = Terms {
            called: format!("modbus {}", config.name),
            counts: |stats| &stats.modbus,
            server: config.server,
            device: config.device,
            connections: config.connections,
            connections_per_client: config.connections_per_client,
            message_time: config.message_time,
            connect_time: config.connect_time,
            decide_time: config.decide_time,
            write_time: WRITE,
        };
        Arc::new(Self { config, mode, relay: Relay::new(behind, terms) })
    }

    /// Serves clients until `stop` changes. What waits for an answer then gets one; then it is over.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, stop: watch::Receiver<bool>) {
        let (relay, patience) = (self.relay.clone(), self.config.answer_time + WRITE);
        let halt = stop.clone();
        let session = move |link| Session::new(self.clone(), link).run(halt.clone());
        relay.serve(listener, stop, patience, session).await;
    }
}

/// A request that waits for the server's answer.
#[derive(Clone, Debug)]
struct Open {
    /// The header and the function code.
    head: Vec<u8>,
    until: Instant,
}

/// Why a session ends.
enum End {
    /// The client has left, or the gateway stops.
    Over,
    /// A message took too long, or nothing came.
    Slow,
    /// What came is not Modbus.
    Foreign,
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Gone => Self::Over,
            Broken::Slow => Self::Slow,
        }
    }
}

struct Session {
    proxy: Arc<Proxy>,
    link: Link,
    /// Bytes of the client, and of the server, that are no whole message yet.
    asked: Vec<u8>,
    told: Vec<u8>,
    open: VecDeque<Open>,
    budget: Budget,
    /// When the client was heard last, and when its present message began.
    heard: Instant,
    began: Option<Instant>,
    /// The client sends nothing more.
    finished: bool,
}

impl Session {
    fn new(proxy: Arc<Proxy>, link: Link) -> Self {
        let now = Instant::now();
        let budget = Budget::new(proxy.config.requests_per_second, now);
        Self {
            proxy,
            link,
            asked: Vec::with_capacity(BUFFER),
            told: Vec::with_capacity(BUFFER),
            open: VecDeque::new(),
            budget,
            heard: now,
            began: None,
            finished: false,
        }
    }

    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            match self.step(&mut stop).await {
                Ok(()) => {}
                Err(End::Over) => break,
                Err(End::Slow) => {
                    self.link.counts().slow.add();
                    break;
                }
                Err(End::Foreign) => {
                    self.link.counts().foreign.add();
                    break;
                }
            }
        }
        self.link.close().await;
    }

    /// Deals with whatever happens next.
    async fn step(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), End> {
        self.requests().await?;
        self.lapse().await?;
        if self.finished && self.open.is_empty() {
            return Err(End::Over);
        }
        let stopping = *stop.borrow();
        if stopping && self.open.is_empty() {
            return Err(End::Over);
        }
        let reads = !self.finished && !stopping && self.open.len() < self.proxy.config.open_requests;
        let (wake, slow) = self.deadline(reads);
        let mut server = [0; BUFFER];
        let mut client = [0; BUFFER];
        let Link { client: near, server: far, .. } = &mut self.link;
        tokio::select! {
            // Answers first: a client that floods does not starve itself of them.
            biased;
            read = async { match far { Some(far) => far.read(&mut server).await, None => core::future::pending().await } } => {
                match read {
                    Ok(count) if count > 0 => {
                        self.told.extend_from_slice(server.get(..count).unwrap_or_default());
                        self.answers().await
                    }
                    _ => self.lost().await,
                }
            }
            read = near.read(&mut client), if reads => {
                match read {
                    Ok(0) => self.finished = true,
                    Ok(count) => {
                        self.heard = Instant::now();
                        self.asked.extend_from_slice(client.get(..count).unwrap_or_default());
                    }
                    Err(_) => return Err(End::Over),
                }
                Ok(())
            }
            () = sleep(wake.saturating_duration_since(Instant::now())) => {
                if slow { Err(End::Slow) } else { Ok(()) }
            }
            _ = stop.changed(), if !stopping => Ok(()),
        }
    }

    /// When something is due, and whether it is that the client is too slow; while nothing is read of it, it cannot be.
    fn deadline(&self, reads: bool) -> (Instant, bool) {
        let config = &self.proxy.config;
        let client = match self.began {
            Some(began) => began + config.message_time,
            None => self.heard + config.idle,
        };
        match self.open.iter().map(|open| open.until).min() {
            Some(answer) if !reads || answer < client => (answer, false),
            _ => (client, reads),
        }
    }

    /// Deals with the whole messages of the client, in order.
    async fn requests(&mut self) -> Result<(), End> {
        while self.open.len() < self.proxy.config.open_requests {
            match piece(&self.asked) {
                Piece::Message(len) => {
                    let rest = self.asked.split_off(len.min(self.asked.len()));
                    let adu = core::mem::replace(&mut self.asked, rest);
                    self.began = None;
                    self.request(&adu).await?;
                }
                Piece::Incomplete if self.asked.is_empty() => {
                    self.began = None;
                    break;
                }
                Piece::Incomplete => {
                    let now = Instant::now();
                    let began = *self.began.get_or_insert(now);
                    if now.duration_since(began) > self.proxy.config.message_time {
                        return Err(End::Slow);
                    }
                    break;
                }
                Piece::Foreign => return Err(End::Foreign),
            }
        }
        Ok(())
    }

    async fn request(&mut self, adu: &[u8]) -> Result<(), End> {
        if !self.budget.take(Instant::now()) {
            self.link.counts().flooded.add();
            return self.refuse(adu, Exception::Busy).await;
        }
        let request = Request::of(adu);
        match (request, self.proxy.mode) {
            (Request::Malformed, Mode::Enforce) => self.refuse(adu, Exception::IllegalValue).await,
            (Request::Other(code), Mode::Enforce) if !self.proxy.config.functions.contains(&code) => {
                self.refuse(adu, Exception::IllegalFunction).await
            }
            (Request::Write, Mode::Enforce) => self.command(adu).await,
            _ => {
                self.link.counts().passed.add();
                self.send(adu, false).await.map(|_| ())
            }
        }
    }

    /// Asks the guard about a write, and does what it says. No answer is a refusal.
    async fn command(&mut self, adu: &[u8]) -> Result<(), End> {
        let asked = adu.to_vec();
        let answer = self.link.judge(move |core, now, line| core.request(now, line, &asked)).await;
        let (commands, bytes) = match answer {
            Some(Answer::Forward { commands }) => {
                self.link.counts().passed.add();
                (commands, None)
            }
            Some(Answer::Rewrite { commands, adu }) => {
                self.link.counts().rewritten.add();
                (commands, Some(adu))
            }
            Some(Answer::Refuse { exception, reason: _ }) => return self.refuse(adu, exception).await,
            None => return self.refuse(adu, Exception::DeviceFailure).await,
        };
        if !self.send(bytes.as_deref().unwrap_or(adu), true).await? {
            self.link.withdraw(commands);
        }
        Ok(())
    }

    /// Sends a request to the server, once; whether it may have got there.
    async fn send(&mut self, adu: &[u8], commands: bool) -> Result<bool, End> {
        if self.link.server.is_none() && !self.connect().await {
            self.refuse(adu, Exception::PathUnavailable).await?;
            return Ok(false);
        }
        if commands && self.link.is_server_lapsed() {
            self.refuse(adu, Exception::DeviceFailure).await?;
            return Ok(false);
        }
        let Some(server) = self.link.server.as_mut() else { return Ok(false) };
        let sent = timeout(self.proxy.config.answer_time, put(server, adu)).await;
        let head = adu.get(..8).unwrap_or_default().to_vec();
        self.open.push_back(Open { head, until: Instant::now() + self.proxy.config.answer_time });
        self.link.show(true, adu);
        if !matches!(sent, Ok(Ok(()))) {
            // How much of it arrived nobody knows: it is never sent again.
            self.lost().await?;
        }
        Ok(true)
    }

    async fn connect(&mut self) -> bool {
        self.told.clear();
        self.link.connect().await
    }

    /// Passes on whole answers of the server.
    async fn answers(&mut self) -> Result<(), End> {
        loop {
            match piece(&self.told) {
                Piece::Message(len) => {
                    let rest = self.told.split_off(len.min(self.told.len()));
                    let adu = core::mem::replace(&mut self.told, rest);
                    // G §4.4.2.2: the transaction identifier pairs them.
                    let answered = |open: &Open| open.head.get(..2) == adu.get(..2);
                    // An answer that nobody waits for any more has been answered in the server's place.
                    let Some(place) = self.open.iter().position(answered) else { continue };
                    self.open.remove(place);
                    self.link.show(false, &adu);
                    self.link.write(&adu).await?;
                }
                Piece::Incomplete if self.told.len() < ANSWERS => return Ok(()),
                _ => return self.lost().await,
            }
        }
    }

    /// Answers requests that waited too long.
    async fn lapse(&mut self) -> Result<(), End> {
        let now = Instant::now();
        while let Some(place) = self.open.iter().position(|open| open.until <= now) {
            self.link.counts().unanswered.add();
            if let Some(open) = self.open.remove(place) {
                self.refuse(&open.head, Exception::NoResponse).await?;
            }
        }
        Ok(())
    }

    /// The server is gone: whatever waits for it is told so, and the next request finds it again.
    async fn lost(&mut self) -> Result<(), End> {
        self.link.server = None;
        self.told.clear();
        self.link.counts().unreachable.add();
        while let Some(open) = self.open.pop_front() {
            self.refuse(&open.head, Exception::NoResponse).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, adu: &[u8], exception: Exception) -> Result<(), End> {
        self.link.counts().refused.add();
        Ok(self.link.write(&refusal(adu, exception)).await?)
    }
}
