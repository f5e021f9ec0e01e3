//! The Modbus/TCP proxy: one task for each client, which speaks to the server over a connection of its own.
//!
//! Requests go to the server in the order in which they came, each at most once; what the guard does not permit is
//! answered here with the protocol's own exception. Reads pass without the guard, so that they pass whatever becomes of it.
//!
//! Source: *Modbus Messaging on TCP/IP Implementation Guide* V1.0b §4.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;
use twinguard::protocol::protocol::Cut;

use crate::config::{Modbus, Mode};
use crate::core::Answer;
use crate::core::modbus::{Exception, Request, piece, refusal};
use crate::rate::Budget;
use crate::relay::{Heard, Link, Relay, WRITE, first};
use crate::wire::put;

/// Nothing is told to a client that is let go.
type End = crate::relay::End;

/// Serves clients until `stop` changes. What waits for an answer then gets one; then it is over.
pub(crate) async fn serve(
    config: Modbus,
    relay: Arc<Relay>,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
) {
    let (patience, config) = (config.answer_time + WRITE, Arc::new(config));
    relay.serve(listener, stop, patience, move |link| Session::new(config.clone(), link).run()).await;
}

/// A request that waits for the server's answer.
#[derive(Clone, Debug)]
struct Open {
    /// The header and the function code.
    head: Vec<u8>,
    until: Instant,
}

struct Session {
    config: Arc<Modbus>,
    link: Link,
    open: VecDeque<Open>,
    budget: Budget,
    /// When the client was heard last, and when its present message began.
    heard: Instant,
    began: Option<Instant>,
    /// The client sends nothing more.
    finished: bool,
}

impl Session {
    fn new(config: Arc<Modbus>, link: Link) -> Self {
        let now = Instant::now();
        let budget = Budget::new(config.requests_per_second, now);
        Self { config, link, open: VecDeque::new(), budget, heard: now, began: None, finished: false }
    }

    async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        self.link.count(&end);
        self.link.close().await;
    }

    /// Deals with whatever happens next.
    async fn step(&mut self) -> Result<(), End> {
        self.requests().await?;
        self.lapse().await?;
        let stopping = self.link.is_stopping();
        if (self.finished || stopping) && self.open.is_empty() {
            return Err(End::Over);
        }
        let reads = !self.finished && !stopping && self.open.len() < self.config.open_requests;
        let (wake, slow) = self.deadline(reads);
        match self.link.hear(reads, Some(wake)).await? {
            Heard::Asked => self.heard = Instant::now(),
            Heard::Finished => self.finished = true,
            Heard::Told => self.answers().await?,
            Heard::Lost => self.lost().await?,
            Heard::Due if slow => return Err(End::Slow),
            Heard::Due | Heard::Stopping => {}
        }
        Ok(())
    }

    /// When something is due, and whether it is that the client is too slow; while nothing is read of it, it cannot be.
    fn deadline(&self, reads: bool) -> (Instant, bool) {
        let client = match self.began {
            Some(began) => began + self.link.ends().message_time,
            None => self.heard + self.config.idle,
        };
        match self.open.iter().map(|open| open.until).min() {
            Some(answer) if !reads || answer < client => (answer, false),
            _ => (client, reads),
        }
    }

    /// Deals with the whole messages of the client, in order.
    async fn requests(&mut self) -> Result<(), End> {
        while self.open.len() < self.config.open_requests {
            match piece(&self.link.asked) {
                Cut::Message(len) => {
                    let adu = first(&mut self.link.asked, len);
                    self.began = None;
                    self.request(&adu).await?;
                }
                Cut::More(_) if self.link.asked.is_empty() => {
                    self.began = None;
                    break;
                }
                Cut::More(_) => {
                    let now = Instant::now();
                    let began = *self.began.get_or_insert(now);
                    if now.duration_since(began) > self.link.ends().message_time {
                        return Err(End::Slow);
                    }
                    break;
                }
                Cut::Foreign => return Err(End::Foreign),
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
        match (request, self.link.mode()) {
            (Request::Malformed, Mode::Enforce) => self.refuse(adu, Exception::IllegalValue).await,
            (Request::Other(code), Mode::Enforce) if !self.config.functions.contains(&code) => {
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
        if self.link.server.is_none() && !self.link.connect().await {
            self.refuse(adu, Exception::PathUnavailable).await?;
            return Ok(false);
        }
        if commands && self.link.is_server_lapsed() {
            self.refuse(adu, Exception::DeviceFailure).await?;
            return Ok(false);
        }
        let Some(server) = self.link.server.as_mut() else { return Ok(false) };
        let sent = timeout(self.config.answer_time, put(server, adu)).await;
        let head = adu.get(..8).unwrap_or_default().to_vec();
        self.open.push_back(Open { head, until: Instant::now() + self.config.answer_time });
        self.link.show(true, adu);
        if !matches!(sent, Ok(Ok(()))) {
            // How much of it arrived nobody knows: it is never sent again.
            self.lost().await?;
        }
        Ok(true)
    }

    /// Passes on whole answers of the server.
    async fn answers(&mut self) -> Result<(), End> {
        loop {
            match piece(&self.link.told) {
                Cut::Message(len) => {
                    let adu = first(&mut self.link.told, len);
                    // G §4.4.2.2: the transaction identifier pairs them.
                    let answered = |open: &Open| open.head.get(..2) == adu.get(..2);
                    // An answer that nobody waits for any more has been answered in the server's place.
                    let Some(place) = self.open.iter().position(answered) else { continue };
                    self.open.remove(place);
                    self.link.show(false, &adu);
                    self.link.write(&adu).await?;
                }
                Cut::More(_) => return Ok(()),
                Cut::Foreign => return self.lost().await,
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
        self.link.told.clear();
        self.link.counts().unreachable.add();
        while let Some(open) = self.open.pop_front() {
            self.refuse(&open.head, Exception::NoResponse).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, adu: &[u8], exception: Exception) -> Result<(), End> {
        self.link.counts().refused.add();
        self.link.write(&refusal(adu, exception)).await
    }
}
