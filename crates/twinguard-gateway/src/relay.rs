//! What the proxies of all protocols have in common: who may come in, how the guard is told and asked, and the way to the
//! server.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use twinguard::types::Timestamp;

use crate::accept::accept;
use crate::core::{Answer, Core, Line};
use crate::places::Places;
use crate::stats::{Proxied, Stats};
use crate::tls::{Back, Front, Met, Wire, put};
use crate::worker::{Handle, clock};

/// What stands behind every proxy.
#[derive(Clone)]
pub(crate) struct Behind {
    pub(crate) guard: Handle,
    pub(crate) stats: Arc<Stats>,
    pub(crate) front: Arc<Front>,
    pub(crate) back: Arc<Back>,
}

/// How one proxy lets clients in and finds its server.
pub(crate) struct Terms {
    /// As its server's certificate is called on the page, and which of the counts are its.
    pub(crate) called: String,
    pub(crate) counts: fn(&Stats) -> &Proxied,
    pub(crate) server: SocketAddr,
    pub(crate) device: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) connections_per_client: usize,
    /// Longest handshake, wait for the server's connection and for the guard, and for a client to accept an answer.
    pub(crate) message_time: Duration,
    pub(crate) connect_time: Duration,
    pub(crate) decide_time: Duration,
    pub(crate) write_time: Duration,
}

/// One proxy, as its clients share it.
pub(crate) struct Relay {
    behind: Behind,
    terms: Terms,
    places: Arc<Places>,
}

/// Why nothing more can be said to a client.
pub(crate) enum Broken {
    /// It has left.
    Gone,
    /// It does not take what it is told.
    Slow,
}

impl Relay {
    #[must_use]
    pub(crate) fn new(behind: Behind, terms: Terms) -> Arc<Self> {
        let places = Places::new(terms.connections, terms.connections_per_client);
        Arc::new(Self { behind, terms, places })
    }

    pub(crate) fn counts(&self) -> &Proxied {
        (self.terms.counts)(&self.behind.stats)
    }

    /// Gives each client that may come in to `session` until `stop` changes; those that are being served are waited for then,
    /// for so long.
    pub(crate) async fn serve<F>(
        self: Arc<Self>,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
        patience: Duration,
        session: impl Fn(Link) -> F + Clone + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut tasks = accept(listener, stop, |client, from| {
            let Some(place) = self.places.take(from.ip()) else {
                self.counts().crowded.add();
                return None;
            };
            self.counts().clients.add();
            let (relay, session) = (self.clone(), session.clone());
            Some(async move {
                match relay.behind.front.meet(client, relay.terms.message_time).await {
                    Ok((client, met)) => {
                        let link = Link::open(relay, client, from, met).await;
                        session(link).await;
                    }
                    Err(_) => relay.unproved(from),
                }
                drop(place);
            })
        })
        .await;
        let _ = timeout(patience, async { while tasks.join_next().await.is_some() {} }).await;
    }

    /// Somebody could not prove who they are: a refused login.
    fn unproved(&self, from: SocketAddr) {
        self.behind.stats.unproved.add();
        let ip = from.ip().to_canonical();
        self.tell(move |core, now| core.stranger(now, ip));
    }

    fn tell(&self, job: impl FnOnce(&mut Core, Timestamp) + Send + 'static) {
        if !self.behind.guard.tell(job) {
            self.counts().unseen.add();
        }
    }
}

/// A client, and its way to the server.
pub(crate) struct Link {
    relay: Arc<Relay>,
    pub(crate) client: Wire,
    pub(crate) server: Option<Wire>,
    /// What the guard knows this connection by; `None` where it could not be told: then it reads, and does not command.
    line: Option<Line>,
    /// Until when the server's certificate is valid, where it has one.
    server_until: Option<Timestamp>,
}

impl Link {
    async fn open(relay: Arc<Relay>, client: Wire, from: SocketAddr, met: Option<Met>) -> Self {
        let (from, device) = (SocketAddr::new(from.ip().to_canonical(), from.port()), relay.terms.device);
        let open = move |core: &mut Core, now| {
            let line = core.open(now, from, device);
            if let Some(met) = met {
                core.prove(now, line, met.peer.as_ref(), met.own);
            }
            line
        };
        let line = relay.behind.guard.ask(relay.terms.decide_time, open).await.ok();
        Self { relay, client, server: None, line, server_until: None }
    }

    pub(crate) fn counts(&self) -> &Proxied {
        self.relay.counts()
    }

    /// Finds the server; whether it is there.
    pub(crate) async fn connect(&mut self) -> bool {
        let Relay { behind, terms, .. } = &*self.relay;
        let connect = async { behind.back.join(TcpStream::connect(terms.server).await?).await };
        let Ok(Ok((server, shown))) = timeout(terms.connect_time, connect).await else {
            self.counts().unreachable.add();
            return false;
        };
        self.server_until = shown.as_ref().map(|it| it.term.not_after);
        if let Some(shown) = shown {
            let of = format!("server of {}", terms.called);
            // A forecast that cannot be told now is told at the next connection.
            let _told = behind.guard.tell(move |core, now| core.certificate(now, of, shown.term));
        }
        self.server = Some(server);
        true
    }

    /// Whether the server's certificate has run out: that it still is the server is not certain enough for a command.
    pub(crate) fn is_server_lapsed(&self) -> bool {
        self.server_until.is_some_and(|until| until <= clock())
    }

    /// Asks the guard about a command; `None` where it does not answer.
    pub(crate) async fn judge(
        &mut self,
        job: impl FnOnce(&mut Core, Timestamp, Line) -> Answer + Send + 'static,
    ) -> Option<Answer> {
        let (line, Relay { behind, terms, .. }) = (self.line?, &*self.relay);
        let began = Instant::now();
        let answer = behind.guard.ask(terms.decide_time, move |core, now| job(core, now, line)).await;
        behind.stats.decide.add(began.elapsed());
        answer.ok()
    }

    /// Commands that may pass were not sent. If the guard cannot be told, their admission lapses by itself.
    pub(crate) fn withdraw(&self, commands: Vec<twinguard::types::CommandId>) {
        let _told = self.relay.behind.guard.tell(move |core, now| core.withdraw(now, &commands));
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        match timeout(self.relay.terms.write_time, put(&mut self.client, bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Broken::Gone),
            Err(_) => Err(Broken::Slow),
        }
    }

    /// Shows the guard what passed.
    pub(crate) fn show(&self, from_client: bool, message: &[u8]) {
        let Some(line) = self.line else { return };
        let message = message.to_vec();
        self.relay.tell(move |core, now| core.passed(now, line, from_client, &message));
    }

    /// The client is let go, and the server with it.
    pub(crate) async fn close(&mut self) {
        let Self { relay, client, server, line, .. } = self;
        // Whoever takes nothing any more does not hold what is left of the connection.
        let _ = timeout(relay.terms.write_time, async {
            let _ = client.shutdown().await;
            if let Some(server) = server {
                let _ = server.shutdown().await;
            }
        })
        .await;
        if let Some(line) = *line {
            relay.tell(move |core, now| core.end(now, line));
        }
    }
}
