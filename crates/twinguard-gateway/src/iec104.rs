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
use std::time::Instant;

use tokio::net::TcpListener;
use tokio::sync::watch;
use twinguard::protocol::protocols::iec104::{Format, HEADER_LEN, Iec104, Unnumbered, View};

use crate::config::{self, Mode};
use crate::core::Core;
use crate::core::iec104::{Numbers, OutOfSequence, Place, Request, Side, cause, cause_of, place, refusal};
use crate::rate::Budget;
use crate::relay::{Link, Relay, Said, WRITE, next};
use crate::worker::clock;

/// Refusals that wait until the client has acknowledged earlier ones.
const OWED: usize = 256;
/// Objects that one client has selected.
const SELECTED: usize = 256;

/// Nothing is told to a client that is let go.
type End = crate::relay::End;

/// Serves clients until `stop` changes; those that are being served are let go then.
pub(crate) async fn serve(
    config: config::Iec104,
    relay: Arc<Relay>,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
) {
    let config = Arc::new(config);
    relay.serve(listener, stop, WRITE, move |link| Session::new(config.clone(), link).run()).await;
}

impl From<OutOfSequence> for End {
    fn from(_: OutOfSequence) -> Self {
        Self::Foreign
    }
}

struct Session {
    config: Arc<config::Iec104>,
    link: Link,
    numbers: Numbers,
    /// Whether numbered messages may flow (§5.3).
    started: bool,
    /// Refusals that wait for room.
    owed: VecDeque<Vec<u8>>,
    /// What the client has selected.
    selected: BTreeSet<Place>,
    budget: Budget,
    /// When the client's present message began; at first, when it connected.
    began: Option<Instant>,
}

impl Session {
    fn new(config: Arc<config::Iec104>, link: Link) -> Self {
        let now = Instant::now();
        let budget = Budget::new(config.commands_per_second, now);
        Self {
            config,
            link,
            numbers: Numbers::default(),
            started: false,
            owed: VecDeque::new(),
            selected: BTreeSet::new(),
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
        self.link.close().await;
    }

    /// Deals with whatever happens next.
    async fn step(&mut self) -> Result<(), End> {
        match self.link.said(self.began, End::Over).await? {
            Said::Client => self.client_said().await,
            Said::Server => self.server_said().await,
        }
    }

    /// Deals with the whole messages of the client, in order.
    async fn client_said(&mut self) -> Result<(), End> {
        while let Some(apdu) = next::<Iec104, _>(&mut self.link.asked)? {
            self.began = None;
            // A station that is not there does not answer: so the gateway does not either.
            if self.link.server.is_none() && !self.link.connect().await {
                return Err(End::Over);
            }
            self.client_message(&apdu).await?;
        }
        if self.link.asked.is_empty() {
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
                self.link.send(apdu).await
            }
        }
    }

    /// A numbered message of the client.
    async fn information(&mut self, apdu: &[u8], view: &View<'_>) -> Result<(), End> {
        let asdu = apdu.get(HEADER_LEN..).unwrap_or_default();
        if self.link.mode() == Mode::Advisory {
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
                Some(type_id) if self.config.types.contains(&type_id) => self.forward(asdu).await,
                _ => self.refuse(asdu, cause),
            },
            Request::Refused(cause) => self.refuse(asdu, cause),
            Request::Cancel => match place {
                Some(place) if self.selected.remove(&place) => self.forward(asdu).await,
                _ => self.refuse(asdu, cause::DEACTIVATED),
            },
            Request::Command | Request::Select => {
                let selects = request == Request::Select;
                let apdu = apdu.to_vec();
                let job = move |core: &mut Core, now, line| core.order(now, line, &apdu, selects);
                if let Err(exception) = self.link.decide(job).await {
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

    /// The message that came last from the client goes to the server.
    async fn forward(&mut self, asdu: &[u8]) -> Result<(), End> {
        let apdu = self.numbers.forward(Side::Client, asdu)?;
        self.link.send(&apdu).await
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
        while let Some(apdu) = self.link.next_told::<Iec104, _>()? {
            self.link.show(false, &apdu);
            let taken = View::new(&apdu, clock()).map(|view| view.format());
            match taken {
                Some(Format::Information { send, receive }) => {
                    if self.numbers.received(Side::Server, send, receive).is_err() {
                        return Err(self.link.lost());
                    }
                    let asdu = apdu.get(HEADER_LEN..).unwrap_or_default();
                    let apdu = self.numbers.forward(Side::Server, asdu).map_err(|_| End::Slow)?;
                    self.link.write(&apdu).await?;
                }
                Some(Format::Supervisory { receive }) => {
                    if self.numbers.acknowledged(Side::Server, receive).is_err() {
                        return Err(self.link.lost());
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
                None => return Err(self.link.lost()),
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
            Some(apdu) => self.link.send(&apdu).await,
            None => Ok(()),
        }
    }
}
