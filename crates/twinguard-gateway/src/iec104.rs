//! The proxy for IEC 60870-5-104: one task for each controlling station, which speaks to the controlled station over a
//! connection of its own.
//!
//! Control information ends here: each side has its own sequence numbers, since commands are refused and answered here.
//! Unnumbered messages (start, stop, test) pass from end to end, so that each end tests the other, and acknowledgements wait for
//! those of the other end. Commands and selections are judged first; all that is monitored passes without the guard.
//!
//! Source: IEC 60870-5-104:2006 §5.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use twinguard::protocol::protocol::{Cut, Protocol as _};
use twinguard::protocol::protocols::iec104::{Format, HEADER_LEN, Iec104, Unnumbered, View};

use crate::config::{self, Mode};
use crate::core::iec104::{Numbers, OutOfSequence, Place, Request, Side, cause, cause_of, place, refusal};
use crate::core::modbus::Exception;
use crate::core::{Answer, Core};
use crate::rate::Budget;
use crate::relay::{Behind, Broken, Link, Relay, Terms};
use crate::tls::put;
use crate::worker::clock;

/// Bytes that are read at one time.
const BUFFER: usize = 8 << 10;
/// How long either side may take to accept a message.
const WRITE: Duration = Duration::from_secs(10);
/// Refusals that wait until the client has acknowledged earlier ones.
const OWED: usize = 256;
/// Objects that one client has selected.
const SELECTED: usize = 256;

/// A proxy and what its clients share.
pub(crate) struct Proxy {
    config: config::Iec104,
    mode: Mode,
    relay: Arc<Relay>,
}

impl Proxy {
    /// A proxy; nothing listens yet.
    #[must_use]
    pub(crate) fn new(config: config::Iec104, mode: Mode, behind: Behind) -> Arc<Self> {
        let terms = Terms {
            called: format!("iec104 {}", config.name),
            counts: |stats| &stats.iec104,
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

    /// Serves clients until `stop` changes; those that are being served are let go then.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, stop: watch::Receiver<bool>) {
        let (relay, halt) = (self.relay.clone(), stop.clone());
        let session = move |link| Session::new(self.clone(), link).run(halt.clone());
        relay.serve(listener, stop, WRITE, session).await;
    }
}

/// Why a session ends.
enum End {
    /// One side has left, or the gateway stops.
    Over,
    /// A message took too long, or answers are not acknowledged.
    Slow,
    /// What came is not of the protocol, or against its order.
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

impl From<OutOfSequence> for End {
    fn from(_: OutOfSequence) -> Self {
        Self::Foreign
    }
}

struct Session {
    proxy: Arc<Proxy>,
    link: Link,
    numbers: Numbers,
    /// Whether numbered messages may flow (§5.3).
    started: bool,
    /// Bytes of the client, and of the server, that are no whole message yet.
    asked: Vec<u8>,
    told: Vec<u8>,
    /// Refusals that wait for room.
    owed: VecDeque<Vec<u8>>,
    /// What the client has selected.
    selected: BTreeSet<Place>,
    budget: Budget,
    /// When the client's present message began; at first, when it connected.
    began: Option<Instant>,
}

impl Session {
    fn new(proxy: Arc<Proxy>, link: Link) -> Self {
        let now = Instant::now();
        let budget = Budget::new(proxy.config.commands_per_second, now);
        Self {
            proxy,
            link,
            numbers: Numbers::default(),
            started: false,
            asked: Vec::with_capacity(BUFFER),
            told: Vec::with_capacity(BUFFER),
            owed: VecDeque::new(),
            selected: BTreeSet::new(),
            budget,
            began: Some(now),
        }
    }

    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let end = loop {
            if let Err(end) = self.step(&mut stop).await {
                break end;
            }
        };
        match end {
            End::Over => {}
            End::Slow => self.link.counts().slow.add(),
            End::Foreign => self.link.counts().foreign.add(),
        }
        self.link.close().await;
    }

    /// Deals with whatever happens next.
    async fn step(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), End> {
        let wake = self.began.map(|began| began + self.proxy.config.message_time);
        let mut server = [0; BUFFER];
        let mut client = [0; BUFFER];
        let Link { client: near, server: far, .. } = &mut self.link;
        tokio::select! {
            // What the server says first: a client that floods does not starve itself of it.
            biased;
            read = async { match far { Some(far) => far.read(&mut server).await, None => core::future::pending().await } } => {
                match read {
                    Ok(count) if count > 0 => {
                        self.told.extend_from_slice(server.get(..count).unwrap_or_default());
                        self.server_said().await
                    }
                    _ => self.lost(),
                }
            }
            read = near.read(&mut client) => {
                match read {
                    Ok(count) if count > 0 => {
                        self.asked.extend_from_slice(client.get(..count).unwrap_or_default());
                        self.client_said().await
                    }
                    _ => Err(End::Over),
                }
            }
            () = async { match wake {
                Some(wake) => sleep(wake.saturating_duration_since(Instant::now())).await,
                None => core::future::pending().await,
            } } => Err(End::Slow),
            _ = stop.changed() => Err(End::Over),
        }
    }

    /// The next whole message of a stream.
    fn message(bytes: &mut Vec<u8>) -> Result<Option<Vec<u8>>, End> {
        match Iec104::cut(bytes) {
            Cut::Message(len) => {
                let rest = bytes.split_off(len.min(bytes.len()));
                Ok(Some(core::mem::replace(bytes, rest)))
            }
            Cut::More(_) => Ok(None),
            Cut::Foreign => Err(End::Foreign),
        }
    }

    /// Deals with the whole messages of the client, in order.
    async fn client_said(&mut self) -> Result<(), End> {
        while let Some(apdu) = Self::message(&mut self.asked)? {
            self.began = None;
            // A station that is not there does not answer: so the gateway does not either.
            if self.link.server.is_none() && !self.link.connect().await {
                return Err(End::Over);
            }
            self.client_message(&apdu).await?;
        }
        if self.asked.is_empty() {
            self.began = None;
        } else {
            self.began.get_or_insert_with(Instant::now);
        }
        self.settle().await
    }

    async fn client_message(&mut self, apdu: &[u8]) -> Result<(), End> {
        let view = View::new(apdu, clock()).ok_or(End::Foreign)?;
        match view.format() {
            Format::Information { send, receive } => {
                // §5.3: before STARTDT, and after STOPDT, nothing numbered flows.
                if !self.started {
                    return Err(End::Foreign);
                }
                self.numbers.received(Side::Client, send, receive)?;
                self.information(apdu, &view).await
            }
            _ if !view.oddities().is_empty() => Err(End::Foreign),
            Format::Supervisory { receive } => Ok(self.numbers.acknowledged(Side::Client, receive)?),
            Format::Unnumbered(bits) => {
                self.settle().await?;
                if bits == Unnumbered::StopActivation as u8 {
                    self.started = false;
                    self.owed.clear();
                }
                self.send(apdu).await
            }
        }
    }

    /// A numbered message of the client.
    async fn information(&mut self, apdu: &[u8], view: &View<'_>) -> Result<(), End> {
        let asdu = apdu.get(HEADER_LEN..).unwrap_or_default();
        if self.proxy.mode == Mode::Advisory {
            return self.forward(asdu).await;
        }
        let request = Request::of(view);
        if request != Request::Read && !self.budget.take(Instant::now()) {
            self.link.counts().flooded.add();
            return self.refuse(asdu, cause::CONFIRMATION);
        }
        let place = view.asdu().map(place);
        match request {
            Request::Read => self.forward(asdu).await,
            Request::Other(cause) => match view.asdu().map(|asdu| asdu.type_id().0) {
                Some(type_id) if self.proxy.config.types.contains(&type_id) => self.forward(asdu).await,
                _ => self.refuse(asdu, cause),
            },
            Request::Refused(cause) => self.refuse(asdu, cause),
            Request::Cancel => match place {
                Some(place) if self.selected.remove(&place) => self.forward(asdu).await,
                _ => self.refuse(asdu, cause::DEACTIVATED),
            },
            Request::Command | Request::Select => {
                let selects = request == Request::Select;
                if let Err(exception) = self.judge(apdu.to_vec(), selects).await {
                    return self.refuse(asdu, cause_of(exception));
                }
                self.link.counts().passed.add();
                if let Some(place) = place {
                    self.selected.remove(&place);
                    if selects && self.selected.len() < SELECTED {
                        self.selected.insert(place);
                    }
                }
                let sent = self.forward(asdu).await;
                if sent.is_err() {
                    // How much of it arrived nobody knows: it is never sent again. The admission lapses by itself.
                    self.link.counts().unanswered.add();
                }
                sent
            }
        }
    }

    /// Asks the guard about a command. No answer is a refusal.
    async fn judge(&mut self, apdu: Vec<u8>, selects: bool) -> Result<(), Exception> {
        if self.link.is_server_lapsed() {
            return Err(Exception::DeviceFailure);
        }
        let job = move |core: &mut Core, now, line| core.order(now, line, &apdu, selects);
        match self.link.judge(job).await {
            Some(Answer::Forward { commands: _ }) => Ok(()),
            Some(Answer::Refuse { exception, reason: _ }) => Err(exception),
            Some(Answer::Rewrite { .. }) | None => Err(Exception::DeviceFailure),
        }
    }

    /// The message that came last from the client goes to the server.
    async fn forward(&mut self, asdu: &[u8]) -> Result<(), End> {
        let apdu = self.numbers.forward(Side::Client, asdu)?;
        self.send(&apdu).await
    }

    /// The message that came last from the client is answered here.
    fn refuse(&mut self, asdu: &[u8], cause: u8) -> Result<(), End> {
        self.link.counts().refused.add();
        self.numbers.consumed(Side::Client);
        if self.owed.len() >= OWED {
            return Err(End::Slow);
        }
        self.owed.push_back(refusal(asdu, cause));
        Ok(())
    }

    /// Passes on the whole messages of the server.
    async fn server_said(&mut self) -> Result<(), End> {
        // What the server does against the protocol is not the client's doing.
        while let Some(apdu) = Self::message(&mut self.told).or_else(|_| self.lost().map(|()| None))? {
            self.link.show(false, &apdu);
            let taken = View::new(&apdu, clock()).map(|view| view.format());
            match taken {
                Some(Format::Information { send, receive }) => {
                    if self.numbers.received(Side::Server, send, receive).is_err() {
                        return self.lost();
                    }
                    let asdu = apdu.get(HEADER_LEN..).unwrap_or_default();
                    let apdu = self.numbers.forward(Side::Server, asdu).map_err(|_| End::Slow)?;
                    self.link.write(&apdu).await?;
                }
                Some(Format::Supervisory { receive }) => {
                    if self.numbers.acknowledged(Side::Server, receive).is_err() {
                        return self.lost();
                    }
                }
                Some(Format::Unnumbered(bits)) => {
                    self.settle().await?;
                    match bits {
                        bits if bits == Unnumbered::StartConfirmation as u8 => self.started = true,
                        bits if bits == Unnumbered::StopConfirmation as u8 => self.started = false,
                        _ => {}
                    }
                    self.link.write(&apdu).await?;
                }
                None => return self.lost(),
            }
        }
        self.settle().await
    }

    /// Sends what is owed to either side: refusals as far as there is room, and acknowledgements.
    async fn settle(&mut self) -> Result<(), End> {
        while self.started
            && self.numbers.has_room(Side::Client)
            && let Some(asdu) = self.owed.pop_front()
        {
            let apdu = self.numbers.inject(Side::Client, &asdu)?;
            self.link.write(&apdu).await?;
        }
        if let Some(apdu) = self.numbers.acknowledgement(Side::Client) {
            self.link.write(&apdu).await?;
        }
        match self.numbers.acknowledgement(Side::Server) {
            Some(apdu) => self.send(&apdu).await,
            None => Ok(()),
        }
    }

    /// Sends a message to the server, once.
    async fn send(&mut self, apdu: &[u8]) -> Result<(), End> {
        self.link.show(true, apdu);
        let Some(server) = self.link.server.as_mut() else { return Err(End::Over) };
        match timeout(WRITE, put(server, apdu)).await {
            Ok(Ok(())) => Ok(()),
            _ => self.lost(),
        }
    }

    fn lost(&self) -> Result<(), End> {
        self.link.counts().unreachable.add();
        Err(End::Over)
    }
}
