//! What the proxies of all protocols have in common: who may come in, how the guard is told and asked, the way to the
//! server, what is heard of either side, and how it ends.

use core::convert::Infallible;
use core::future::pending;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use twinguard::protocol::protocol::{Cut, Protocol};
use twinguard::types::{CommandId, Timestamp};

use crate::accept::accept;
use crate::config::{self, Ends, Mode};
use crate::core::modbus::Exception;
use crate::core::{Answer, Core, Line};
use crate::doors::{Back, Front};
use crate::places::Places;
use crate::stats::{Proxied, Stats};
use crate::wire::{Met, Wire, put};
use crate::worker::{Handle, clock};

/// Bytes that are read at one time.
const READ: usize = 8 << 10;
/// How long either side may take to accept a message.
pub(crate) const WRITE: Duration = Duration::from_secs(10);

/// What stands behind every proxy.
pub(crate) struct Behind {
    pub(crate) guard: Handle,
    pub(crate) stats: Arc<Stats>,
    pub(crate) mode: Mode,
    pub(crate) front: Arc<Front>,
    pub(crate) back: Arc<Back>,
}

/// One proxy, as its clients share it.
pub(crate) struct Relay {
    behind: Behind,
    /// As its server's certificate is called on the page.
    called: String,
    ends: Ends,
    counts: Arc<Proxied>,
    places: Arc<Places>,
}

/// Why a session ends; `T` is what a client can be told then.
pub(crate) enum End<T = Infallible> {
    /// One side has left, or the gateway stops.
    Over,
    /// A message took too long, nothing came, or answers are not taken.
    Slow,
    /// What came is not of the protocol, or against its order.
    Foreign,
    /// The client is told this first.
    Told(T),
}

/// Who said something.
pub(crate) enum Said {
    Client,
    Server,
}

/// What happens next in a session.
pub(crate) enum Heard {
    /// The client said something, which stands in [`Link::asked`].
    Asked,
    /// The client says nothing more.
    Finished,
    /// The server said something, which stands in [`Link::told`].
    Told,
    /// The server has left.
    Lost,
    /// It is time.
    Due,
    /// The gateway stops. This is told once.
    Stopping,
}

/// The next whole message of a protocol in what was read.
pub(crate) fn next<P: Protocol, T>(bytes: &mut Vec<u8>) -> Result<Option<Vec<u8>>, End<T>> {
    match P::cut(bytes) {
        Cut::Message(len) => Ok(Some(first(bytes, len))),
        Cut::More(_) => Ok(None),
        Cut::Foreign => Err(End::Foreign),
    }
}

/// Takes so many bytes of what was read.
pub(crate) fn first(bytes: &mut Vec<u8>, len: usize) -> Vec<u8> {
    bytes.drain(..len.min(bytes.len())).collect()
}

impl Relay {
    #[must_use]
    pub(crate) fn new(behind: Behind, proxy: &config::Proxy) -> Arc<Self> {
        let ends = proxy.ends.clone();
        let counts = behind.stats.proxied(proxy.speaks.key());
        let places = Places::new(ends.connections, ends.connections_per_client);
        Arc::new(Self { behind, called: proxy.called(), ends, counts, places })
    }

    /// Gives each client that may come in to `session` until `stop` changes; those that are being served hear of it then, and are
    /// waited for, for so long.
    pub(crate) async fn serve<F>(
        self: Arc<Self>,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
        patience: Duration,
        session: impl Fn(Link) -> F + Clone + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let halt = stop.clone();
        let mut tasks = accept(listener, stop, |client, from| {
            let Some(place) = self.places.take(from.ip()) else {
                self.counts.crowded.add();
                return None;
            };
            self.counts.clients.add();
            let (relay, session, halt) = (self.clone(), session.clone(), halt.clone());
            Some(async move {
                match relay.behind.front.meet(client, relay.ends.message_time).await {
                    Ok((client, met)) => {
                        let link = Link::open(relay, client, from, met, halt).await;
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
            self.counts.unseen.add();
        }
    }
}

/// A client, and its way to the server.
pub(crate) struct Link {
    relay: Arc<Relay>,
    client: Wire,
    pub(crate) server: Option<Wire>,
    /// Bytes of the client, and of the server, that are no whole message yet.
    pub(crate) asked: Vec<u8>,
    pub(crate) told: Vec<u8>,
    /// What the guard knows this connection by; `None` where it could not be told: then it reads, and does not command.
    line: Option<Line>,
    /// Until when the server's certificate is valid, where it has one.
    server_until: Option<Timestamp>,
    stop: watch::Receiver<bool>,
    /// Whether it was heard that the gateway stops.
    stopped: bool,
}

impl Link {
    async fn open(
        relay: Arc<Relay>,
        client: Wire,
        from: SocketAddr,
        met: Option<Met>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (from, device) = (SocketAddr::new(from.ip().to_canonical(), from.port()), relay.ends.device);
        let open = move |core: &mut Core, now| {
            let line = core.open(now, from, device);
            match met {
                Some(Met::Certificates { peer, own }) => core.prove(now, line, peer.as_ref(), own),
                Some(Met::Key { name, key }) => core.prove_key(now, line, &name, key),
                None => {}
            }
            line
        };
        let line = relay.behind.guard.ask(relay.ends.decide_time, open).await.ok();
        let (asked, told) = (Vec::new(), Vec::new());
        Self { relay, client, server: None, asked, told, line, server_until: None, stop, stopped: false }
    }

    pub(crate) fn counts(&self) -> &Proxied {
        &self.relay.counts
    }

    pub(crate) fn ends(&self) -> &Ends {
        &self.relay.ends
    }

    pub(crate) fn mode(&self) -> Mode {
        self.relay.behind.mode
    }

    /// Whether the gateway stops, or is gone.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopped || *self.stop.borrow()
    }

    /// Finds the server; whether it is there.
    pub(crate) async fn connect(&mut self) -> bool {
        let Relay { behind, ends, called, counts, .. } = &*self.relay;
        let connect = async { behind.back.join(TcpStream::connect(ends.server).await?).await };
        let Ok(Ok((server, shown))) = timeout(ends.connect_time, connect).await else {
            counts.unreachable.add();
            return false;
        };
        self.server_until = shown.as_ref().map(|it| it.term.not_after);
        if let Some(shown) = shown {
            let of = format!("server of {called}");
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

    /// Waits for what happens next, at most until `wake`; the client is read where `reads` says so.
    pub(crate) async fn hear<T>(&mut self, reads: bool, wake: Option<Instant>) -> Result<Heard, End<T>> {
        let Self { client, server, asked, told, stop, stopped, .. } = self;
        Ok(tokio::select! {
            // The stop is heard once, then what the server says: a client that floods delays neither.
            biased;
            _ = stop.changed(), if !*stopped => {
                *stopped = true;
                Heard::Stopping
            }
            read = more(server.as_mut(), told) => match read {
                Ok(1..) => Heard::Told,
                _ => Heard::Lost,
            },
            read = more(Some(client), asked), if reads => match read {
                Ok(1..) => Heard::Asked,
                Ok(0) => Heard::Finished,
                Err(_) => return Err(End::Over),
            },
            () = until(wake) => Heard::Due,
        })
    }

    /// Waits for what either side says next, where nothing is left to be done when one of them leaves; a message of the client that `began`
    /// has to be whole in time, and `stopping` is how the session ends when the gateway stops.
    pub(crate) async fn said<T>(&mut self, began: Option<Instant>, stopping: End<T>) -> Result<Said, End<T>> {
        let wake = began.map(|began| began + self.ends().message_time);
        match self.hear(true, wake).await? {
            Heard::Asked => Ok(Said::Client),
            Heard::Told => Ok(Said::Server),
            Heard::Lost => Err(self.lost()),
            Heard::Due => Err(End::Slow),
            Heard::Finished => Err(End::Over),
            Heard::Stopping => Err(stopping),
        }
    }

    /// The next whole message of the server. What it does against the protocol is not the client's doing.
    pub(crate) fn next_told<P: Protocol, T>(&mut self) -> Result<Option<Vec<u8>>, End<T>> {
        next::<P, T>(&mut self.told).map_err(|_| self.lost())
    }

    /// Asks the guard about a command; `None` where it does not answer.
    pub(crate) async fn judge(
        &mut self,
        job: impl FnOnce(&mut Core, Timestamp, Line) -> Answer + Send + 'static,
    ) -> Option<Answer> {
        let (line, Relay { behind, ends, .. }) = (self.line?, &*self.relay);
        let began = Instant::now();
        let answer = behind.guard.ask(ends.decide_time, move |core, now| job(core, now, line)).await;
        behind.stats.decide.add(began.elapsed());
        answer.ok()
    }

    /// Asks the guard about commands that pass as they are or not at all. No answer is a refusal.
    pub(crate) async fn decide(
        &mut self,
        job: impl FnOnce(&mut Core, Timestamp, Line) -> Answer + Send + 'static,
    ) -> Result<Vec<CommandId>, Exception> {
        if self.is_server_lapsed() {
            return Err(Exception::DeviceFailure);
        }
        match self.judge(job).await {
            Some(Answer::Forward { commands }) => Ok(commands),
            Some(Answer::Refuse { exception, reason: _ }) => Err(exception),
            Some(Answer::Rewrite { .. }) | None => Err(Exception::DeviceFailure),
        }
    }

    /// Commands that may pass were not sent. If the guard cannot be told, their admission lapses by itself.
    pub(crate) fn withdraw(&self, commands: Vec<CommandId>) {
        let _told = self.relay.behind.guard.tell(move |core, now| core.withdraw(now, &commands));
    }

    /// Sends a message to the server, once.
    pub(crate) async fn send<T>(&mut self, message: &[u8]) -> Result<(), End<T>> {
        self.show(true, message);
        let Some(server) = self.server.as_mut() else { return Err(End::Over) };
        match timeout(WRITE, put(server, message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(self.lost()),
        }
    }

    /// The server is gone, or not one of the protocol: so the session ends.
    pub(crate) fn lost<T>(&self) -> End<T> {
        self.counts().unreachable.add();
        End::Over
    }

    /// Sends a message to the client.
    pub(crate) async fn write<T>(&mut self, message: &[u8]) -> Result<(), End<T>> {
        match timeout(WRITE, put(&mut self.client, message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Over),
            Err(_) => Err(End::Slow),
        }
    }

    /// Shows the guard what passed.
    pub(crate) fn show(&self, from_client: bool, message: &[u8]) {
        let Some(line) = self.line else { return };
        let message = message.to_vec();
        self.relay.tell(move |core, now| core.passed(now, line, from_client, &message));
    }

    /// Counts how a session ends.
    pub(crate) fn count<T>(&self, end: &End<T>) {
        match end {
            End::Slow => self.counts().slow.add(),
            End::Foreign => self.counts().foreign.add(),
            End::Over | End::Told(_) => {}
        }
    }

    /// The client is let go, and the server with it.
    pub(crate) async fn close(&mut self) {
        let Self { relay, client, server, line, .. } = self;
        // Whoever takes nothing any more does not hold what is left of the connection.
        let _ = timeout(WRITE, async {
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

/// Reads what comes next, once it comes; how much. From nobody nothing comes.
async fn more(from: Option<&mut Wire>, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let Some(from) = from else { return pending().await };
    if bytes.is_empty() {
        // One long message of long ago does not keep its memory.
        bytes.shrink_to(READ);
    }
    bytes.reserve(READ);
    // No more than that, however much room there is: what is cut off the front moves all that is behind it.
    from.take(READ as u64).read_buf(bytes).await
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep(wake.saturating_duration_since(Instant::now())).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_read_at_one_time_is_bounded_and_memory_is_given_back() {
        let (mut far, near) = tokio::io::duplex(4 * READ);
        let (mut near, mut bytes): (Wire, _) = (Box::new(near), Vec::with_capacity(1 << 20));
        far.write_all(&[0; 3 * READ]).await.unwrap();
        assert_eq!(more(Some(&mut near), &mut bytes).await.unwrap(), READ);
        assert!(bytes.capacity() < 1 << 20, "{}", bytes.capacity());
        bytes.reserve(1 << 20);
        assert_eq!(more(Some(&mut near), &mut bytes).await.unwrap(), READ, "whatever room there is");
        assert_eq!((first(&mut bytes, READ).len(), bytes.len()), (READ, READ));
    }
}
