//! The Modbus/TCP proxy: one task for each client, which speaks to the server over a connection of its own.
//!
//! Requests go to the server in the order in which they came, each at most once; what the guard does not permit is
//! answered here with the protocol's own exception. Reads pass without the guard, so that they pass whatever becomes of it.
//!
//! Source: *Modbus Messaging on TCP/IP Implementation Guide* V1.0b §4.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use twinguard::types::Timestamp;

use crate::accept::accept;
use crate::config::{Modbus, Mode};
use crate::core::modbus::{Exception, Piece, Request, piece, refusal};
use crate::core::{Answer, Core, Line};
use crate::places::Places;
use crate::rate::Budget;
use crate::stats::Stats;
use crate::tls::{Back, Front, Met, Wire, put};
use crate::worker::{Handle, clock};

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
    guard: Handle,
    stats: Arc<Stats>,
    front: Arc<Front>,
    back: Arc<Back>,
    places: Arc<Places>,
}

impl Proxy {
    /// A proxy; nothing listens yet.
    #[must_use]
    pub(crate) fn new(
        config: Modbus,
        mode: Mode,
        guard: Handle,
        stats: Arc<Stats>,
        (front, back): (Arc<Front>, Arc<Back>),
    ) -> Self {
        let places = Places::new(config.connections, config.connections_per_client);
        Self { config, mode, guard, stats, front, back, places }
    }

    /// Serves clients until `stop` changes; those that are being served are let go then.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, stop: watch::Receiver<bool>) {
        let mut tasks = accept(listener, stop.clone(), |client, from| {
            let Some(place) = self.places.take(from.ip()) else {
                self.stats.modbus.crowded.add();
                return None;
            };
            self.stats.modbus.clients.add();
            let (proxy, stop) = (self.clone(), stop.clone());
            Some(async move {
                match proxy.front.meet(client, proxy.config.message_time).await {
                    Ok((client, met)) => Session::new(proxy, client, from, met).run(stop).await,
                    Err(_) => proxy.unproved(from),
                }
                drop(place);
            })
        })
        .await;
        // What waits for an answer gets one; then it is over.
        let patience = self.config.answer_time + WRITE;
        let _ = timeout(patience, async { while tasks.join_next().await.is_some() {} }).await;
    }

    /// Somebody could not prove who they are: a refused login.
    fn unproved(&self, from: SocketAddr) {
        self.stats.unproved.add();
        let ip = from.ip().to_canonical();
        if !self.guard.tell(move |core, now| core.stranger(now, ip)) {
            self.stats.modbus.unseen.add();
        }
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

struct Session {
    proxy: Arc<Proxy>,
    client: Wire,
    from: SocketAddr,
    /// What the handshake has shown; `None` in plain text.
    met: Option<Met>,
    /// What the guard knows this connection by; `None` where it could not be told.
    line: Option<Line>,
    server: Option<Wire>,
    /// Until when the server's certificate is valid, where it has one.
    server_until: Option<Timestamp>,
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
    fn new(proxy: Arc<Proxy>, client: Wire, from: SocketAddr, met: Option<Met>) -> Self {
        let now = Instant::now();
        let budget = Budget::new(proxy.config.requests_per_second, now);
        Self {
            proxy,
            client,
            from: SocketAddr::new(from.ip().to_canonical(), from.port()),
            met,
            line: None,
            server: None,
            server_until: None,
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
        let (from, device) = (self.from, self.proxy.config.device);
        let patience = self.proxy.config.decide_time;
        // Who cannot be shown to the guard can read, and not command.
        let met = self.met.take();
        let open = move |core: &mut Core, now| {
            let line = core.open(now, from, device);
            if let Some(met) = met {
                core.prove(now, line, met.peer.as_ref(), met.own);
            }
            line
        };
        self.line = self.proxy.guard.ask(patience, open).await.ok();
        loop {
            match self.step(&mut stop).await {
                Ok(()) => {}
                Err(End::Over) => break,
                Err(End::Slow) => {
                    self.proxy.stats.modbus.slow.add();
                    break;
                }
                Err(End::Foreign) => {
                    self.proxy.stats.modbus.foreign.add();
                    break;
                }
            }
        }
        let _ = self.client.shutdown().await;
        if let Some(line) = self.line
            && !self.proxy.guard.tell(move |core, now| core.end(now, line))
        {
            self.proxy.stats.modbus.unseen.add();
        }
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
        let Self { client: near, server: far, .. } = self;
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
        let stats = self.proxy.stats.clone();
        if !self.budget.take(Instant::now()) {
            stats.modbus.flooded.add();
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
                stats.modbus.passed.add();
                self.send(adu, false).await.map(|_| ())
            }
        }
    }

    /// Asks the guard about a write, and does what it says. No answer is a refusal.
    async fn command(&mut self, adu: &[u8]) -> Result<(), End> {
        let stats = self.proxy.stats.clone();
        let Some(line) = self.line else { return self.refuse(adu, Exception::DeviceFailure).await };
        let began = Instant::now();
        let asked = adu.to_vec();
        let decide = self.proxy.config.decide_time;
        let answer = self.proxy.guard.ask(decide, move |core, now| core.request(now, line, &asked)).await;
        stats.decide.add(began.elapsed());
        let (commands, bytes) = match answer {
            Ok(Answer::Forward { commands }) => {
                stats.modbus.passed.add();
                (commands, None)
            }
            Ok(Answer::Rewrite { commands, adu }) => {
                stats.modbus.rewritten.add();
                (commands, Some(adu))
            }
            Ok(Answer::Refuse { exception, reason: _ }) => return self.refuse(adu, exception).await,
            Err(_) => return self.refuse(adu, Exception::DeviceFailure).await,
        };
        if !self.send(bytes.as_deref().unwrap_or(adu), true).await? {
            // If the guard cannot be told, the admission lapses by itself.
            let _told = self.proxy.guard.tell(move |core, now| core.withdraw(now, &commands));
        }
        Ok(())
    }

    /// Sends a request to the server, once; whether it may have got there.
    async fn send(&mut self, adu: &[u8], commands: bool) -> Result<bool, End> {
        if self.server.is_none() && !self.connect().await {
            self.proxy.stats.modbus.unreachable.add();
            self.refuse(adu, Exception::PathUnavailable).await?;
            return Ok(false);
        }
        if commands && self.server_until.is_some_and(|until| until <= clock()) {
            // Whether this still is the server is not certain enough for a command.
            self.refuse(adu, Exception::DeviceFailure).await?;
            return Ok(false);
        }
        let Some(server) = self.server.as_mut() else { return Ok(false) };
        let sent = timeout(self.proxy.config.answer_time, put(server, adu)).await;
        let head = adu.get(..8).unwrap_or_default().to_vec();
        self.open.push_back(Open { head, until: Instant::now() + self.proxy.config.answer_time });
        self.show(true, adu);
        if !matches!(sent, Ok(Ok(()))) {
            // How much of it arrived nobody knows: it is never sent again.
            self.lost().await?;
        }
        Ok(true)
    }

    async fn connect(&mut self) -> bool {
        let (back, config) = (self.proxy.back.clone(), &self.proxy.config);
        let connect = async { back.join(TcpStream::connect(config.server).await?).await };
        let Ok(Ok((server, shown))) = timeout(config.connect_time, connect).await else { return false };
        self.server = Some(server);
        self.told.clear();
        self.server_until = shown.as_ref().map(|it| it.term.not_after);
        if let Some(shown) = shown {
            let of = format!("server of modbus {}", config.name);
            // A forecast that cannot be told now is told at the next connection.
            let _told = self.proxy.guard.tell(move |core, now| core.certificate(now, of, shown.term));
        }
        true
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
                    self.show(false, &adu);
                    self.write(&adu).await?;
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
            self.proxy.stats.modbus.unanswered.add();
            if let Some(open) = self.open.remove(place) {
                self.refuse(&open.head, Exception::NoResponse).await?;
            }
        }
        Ok(())
    }

    /// The server is gone: whatever waits for it is told so, and the next request finds it again.
    async fn lost(&mut self) -> Result<(), End> {
        self.server = None;
        self.told.clear();
        self.proxy.stats.modbus.unreachable.add();
        while let Some(open) = self.open.pop_front() {
            self.refuse(&open.head, Exception::NoResponse).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, adu: &[u8], exception: Exception) -> Result<(), End> {
        self.proxy.stats.modbus.refused.add();
        self.write(&refusal(adu, exception)).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), End> {
        match timeout(WRITE, put(&mut self.client, bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Over),
            Err(_) => Err(End::Slow),
        }
    }

    /// Shows the guard what passed.
    fn show(&self, from_client: bool, adu: &[u8]) {
        let Some(line) = self.line else { return };
        let adu = adu.to_vec();
        if !self.proxy.guard.tell(move |core, now| core.passed(now, line, from_client, &adu)) {
            self.proxy.stats.modbus.unseen.add();
        }
    }
}
