//! One-way lines with their sockets: what goes out through a data diode, and what comes in.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rustls::crypto::aws_lc_rs;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use twinguard::types::{Duration as Span, Timestamp};

use crate::Error;
use crate::config::{self, OneWayReceive, OneWaySend};
use crate::core::PointText;
use crate::core::one_way::{Counts, Key, LARGEST, Receiver, Sender, Settings, State, StreamId, Told, Waits};
use crate::stats::{OneWayIn, OneWayOut};
use crate::worker::{Handle, clock};

/// Batches that may wait for one line; each is at most as long as the body of a request.
const WAITING: usize = 64;
/// How long a line waits for the last batches once the gateway was told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Datagrams that are sent in one go, and how far ahead of its rate a line may be.
const FEW: usize = 16;
const AHEAD: Duration = Duration::from_millis(5);
/// How long a socket that fails is left alone.
const PAUSE: Duration = Duration::from_millis(20);

/// The time of day at the start and what a steady clock adds to it: it does not go back when somebody sets the clock.
#[derive(Clone, Copy, Debug)]
struct Steady {
    wall: Timestamp,
    start: Instant,
}

impl Steady {
    fn start() -> Self {
        Self { wall: clock(), start: Instant::now() }
    }

    fn now(&self) -> Timestamp {
        self.wall + span(self.start.elapsed())
    }

    fn until(&self, at: Timestamp) -> Duration {
        Duration::from_nanos(u64::try_from(at.since(self.now()).as_nanos()).unwrap_or(0))
    }
}

fn span(duration: Duration) -> Span {
    Span::from_nanos(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// Hands what the API takes on to all lines that go out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Onward {
    lines: Vec<mpsc::Sender<Vec<PointText>>>,
    counts: Arc<OneWayOut>,
}

impl Onward {
    pub(crate) fn new(counts: Arc<OneWayOut>) -> Self {
        Self { lines: Vec::new(), counts }
    }

    /// Another line.
    pub(crate) fn add(&mut self) -> mpsc::Receiver<Vec<PointText>> {
        let (line, batches) = mpsc::channel(WAITING);
        self.lines.push(line);
        batches
    }

    /// Sends points on that were taken now. Never waits: what a line cannot take is counted.
    pub(crate) fn send(&self, now: Timestamp, mut points: Vec<PointText>) {
        if self.lines.is_empty() {
            return;
        }
        for point in &mut points {
            // Behind the diode nobody knows when it came.
            point.at_s.get_or_insert(now.as_secs_f64());
        }
        for line in &self.lines {
            let count = points.len() as u64;
            if line.try_send(points.clone()).is_err() {
                self.counts.unsent.more(count);
            }
        }
    }
}

fn key(path: &Path) -> Result<Key, Error> {
    config::one_way_key(path).map_err(|reason| unreadable(path, reason))
}

fn unreadable(path: &Path, reason: String) -> Error {
    let source = std::io::Error::new(std::io::ErrorKind::InvalidData, reason);
    Error::Io { what: "cannot use", name: path.display().to_string(), source }
}

/// A line that goes out; nothing has been sent yet.
pub(crate) struct Outgoing {
    sender: Sender,
    socket: UdpSocket,
    clock: Steady,
    per_second: u32,
    /// Until when the datagrams that were sent take their time.
    taken: Instant,
    counts: Arc<OneWayOut>,
}

impl Outgoing {
    /// Opens a socket and begins a stream.
    ///
    /// # Errors
    /// [`Error::Io`] for the key, the socket, or the system's randomness.
    pub(crate) async fn open(config: &OneWaySend, counts: Arc<OneWayOut>) -> Result<Self, Error> {
        let key = key(&config.key)?;
        let failed = |source| Error::Io { what: "cannot send to", name: config.to.to_string(), source };
        let own: core::net::IpAddr = if config.to.is_ipv4() {
            core::net::Ipv4Addr::UNSPECIFIED.into()
        } else {
            core::net::Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((own, 0)).await.map_err(failed)?;
        socket.connect(config.to).await.map_err(failed)?;
        let mut stream = [0; 16];
        let random = aws_lc_rs::default_provider().secure_random;
        random
            .fill(&mut stream)
            .map_err(|_| failed(std::io::Error::other("the system gives no randomness")))?;
        let settings = Settings {
            data: config.data,
            parity: config.parity,
            hold: span(config.hold),
            beat: span(config.beat),
        };
        let clock = Steady::start();
        let sender = Sender::new(&key, StreamId(stream), clock.now(), settings);
        let per_second = config.datagrams_per_second;
        Ok(Self { sender, socket, clock, per_second, taken: Instant::now(), counts })
    }

    /// Sends batches until nobody has any more to give, or a while after `stop` changes.
    pub(crate) async fn serve(
        mut self,
        mut batches: mpsc::Receiver<Vec<PointText>>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let due = self.clock.until(self.sender.next_deadline());
            tokio::select! {
                batch = batches.recv() => match batch {
                    Some(batch) => self.push(batch).await,
                    None => break,
                },
                () = sleep(due) => {
                    let datagrams = self.sender.tick(self.clock.now());
                    self.send(&datagrams).await;
                }
                _ = stop.changed() => {
                    let rest = async {
                        while let Some(batch) = batches.recv().await {
                            self.push(batch).await;
                        }
                    };
                    let _ = timeout(GRACE, rest).await;
                    break;
                }
            }
        }
        let datagrams = self.sender.close(self.clock.now());
        self.send(&datagrams).await;
    }

    async fn push(&mut self, batch: Vec<PointText>) {
        let count = batch.len() as u64;
        match self.sender.push(self.clock.now(), &batch) {
            Ok(datagrams) => {
                self.counts.points.more(count);
                self.send(&datagrams).await;
            }
            Err(_) => self.counts.unsent.more(count),
        }
    }

    async fn send(&mut self, datagrams: &[Vec<u8>]) {
        for few in datagrams.chunks(FEW) {
            for datagram in few {
                self.counts.datagrams.add();
                // Nobody answers through a diode; what a network nearby says of the other side is no matter of the next datagram.
                if self.socket.send(datagram).await.is_err() {
                    self.counts.failures.add();
                }
            }
            let time = Duration::from_secs_f64(few.len() as f64 / f64::from(self.per_second));
            self.taken = self.taken.max(Instant::now()) + time;
            let ahead = self.taken.saturating_duration_since(Instant::now());
            if ahead > AHEAD {
                sleep(ahead).await;
            }
        }
    }
}

/// A line that comes in; nothing has been heard yet.
pub(crate) struct Incoming {
    name: Arc<str>,
    receiver: Receiver,
    socket: UdpSocket,
    clock: Steady,
    state: PathBuf,
    kept: Option<State>,
    counted: Counts,
    counts: Arc<OneWayIn>,
}

impl Incoming {
    /// Opens a socket, and reads what has been heard before.
    ///
    /// # Errors
    /// [`Error::Io`] for the socket, the key's or the state's file.
    pub(crate) async fn open(config: &OneWayReceive, counts: Arc<OneWayIn>) -> Result<Self, Error> {
        let kept =
            config::one_way_state(&config.state).map_err(|reason| unreadable(&config.state, reason))?;
        let key = key(&config.key)?;
        let refused =
            |source| Error::Io { what: "cannot listen on", name: config.listen.to_string(), source };
        let socket = UdpSocket::bind(config.listen).await.map_err(refused)?;
        let waits = Waits { patience: span(config.patience), silence: span(config.silence) };
        Ok(Self {
            name: config.name.as_str().into(),
            receiver: Receiver::new(&key, kept, waits),
            socket,
            clock: Steady::start(),
            state: config.state.clone(),
            kept,
            counted: Counts::default(),
            counts,
        })
    }

    /// Its name, and where it listens.
    pub(crate) fn place(&self) -> Option<(String, SocketAddr)> {
        Some((self.name.to_string(), self.socket.local_addr().ok()?))
    }

    /// Takes datagrams and tells the guard until `stop` changes.
    pub(crate) async fn serve(mut self, guard: Handle, mut stop: watch::Receiver<bool>) {
        // One byte more than any of ours: what is longer is seen to be.
        let mut buffer = [0; LARGEST + 1];
        loop {
            let told = self.receiver.tick(self.clock.now());
            self.pass_on(&guard, told);
            let due = self.receiver.next_deadline().map_or(GRACE, |at| self.clock.until(at));
            tokio::select! {
                _ = stop.changed() => return,
                came = self.socket.recv_from(&mut buffer) => match came {
                    Ok((length, _)) => {
                        let datagram = buffer.get(..length).unwrap_or_default();
                        let told = self.receiver.take(self.clock.now(), datagram);
                        self.pass_on(&guard, told);
                    }
                    Err(_) => sleep(PAUSE).await,
                },
                () = sleep(due) => {}
            }
        }
    }

    fn pass_on(&mut self, guard: &Handle, told: Vec<Told>) {
        // Kept before anything is told, so that nothing is ever told twice.
        self.keep();
        self.count(&told);
        if told.is_empty() {
            return;
        }
        let points = |it: &Told| if let Told::Batch(points) = it { points.len() as u64 } else { 0 };
        let points: u64 = told.iter().map(points).sum();
        let (name, counts) = (self.name.clone(), self.counts.clone());
        let heard = guard.tell(move |core, now| {
            let taken = core.one_way(now, &name, &told);
            counts.points.more(taken.taken);
            counts.refused.more(taken.refused);
        });
        if !heard {
            self.counts.unseen.more(points);
        }
    }

    fn count(&mut self, told: &[Told]) {
        let (now, before) = (self.receiver.counts(), self.counted);
        let counts = &self.counts;
        for (count, now, before) in [
            (&counts.datagrams, now.datagrams, before.datagrams),
            (&counts.spare, now.spare, before.spare),
            (&counts.malformed, now.malformed, before.malformed),
            (&counts.forged, now.forged, before.forged),
            (&counts.old, now.old, before.old),
            (&counts.blocks, now.blocks, before.blocks),
            (&counts.recovered, now.recovered, before.recovered),
            (&counts.lost, now.lost, before.lost),
            (&counts.unreadable, now.unreadable, before.unreadable),
        ] {
            if now > before {
                count.more(now - before);
            }
        }
        self.counted = now;
        for it in told {
            match it {
                Told::Gap(_) => self.counts.gaps.add(),
                Told::Silent { .. } => self.counts.silences.add(),
                _ => {}
            }
        }
    }

    fn keep(&mut self) {
        let Some(state) = self.receiver.state().filter(|state| Some(*state) != self.kept) else { return };
        // A file that is whole takes the place of the one before, whenever the process ends.
        let mut fresh = self.state.clone().into_os_string();
        fresh.push(".new");
        let written =
            std::fs::write(&fresh, format!("{state}\n")).and_then(|()| std::fs::rename(&fresh, &self.state));
        match written {
            Ok(()) => self.kept = Some(state),
            Err(_) => self.counts.unkept.add(),
        }
    }
}
