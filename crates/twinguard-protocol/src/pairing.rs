//! One conversation: who is who, which requests are open, which response answers which.

use std::collections::VecDeque;

use twinguard_types::{Duration, Exchange, ExchangeOutcome, Oddity, Timestamp};

use crate::protocol::{Address, Fit, Header, Kind, Oddities, Sender};
use crate::registry::{Family, Memo, Pdu, Session};

/// A request whose answer is awaited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    key: u64,
    serial: u64,
    at: Timestamp,
    unit: u16,
    function: u16,
    memo: Memo,
    /// Whether it was already reported as unanswered.
    given_up: bool,
}

/// What pairing made of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paired {
    /// The exchange that the message completed: how long it took, how it ended.
    pub(crate) ended: Option<(Option<Duration>, ExchangeOutcome)>,
    /// The serial number of a request that now awaits its answer.
    pub(crate) opened: Option<u64>,
}

/// Which end, 0 or 1, is the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// This one, by handshake or port.
    Is(usize),
    /// This one, unless a message says otherwise: handshake and port disagree, or there is no port to go by.
    Seems(usize),
    /// Not known.
    Open,
}

impl Role {
    /// What a message by `end` tells that can only come from one side.
    pub(crate) fn of(sender: Sender, end: usize) -> Option<Self> {
        match sender {
            Sender::Client => Some(Self::Is(end)),
            Sender::Server => Some(Self::Is(1 - end)),
            Sender::Unknown => None,
        }
    }
}

/// One conversation in one family.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) pairing: Pairing,
    pub(crate) session: Session,
    /// Whether its family is settled: a message was read, or it became of this family once.
    pub(crate) settled: bool,
}

/// What is known of a conversation whatever its family.
#[derive(Debug)]
pub(crate) struct Pairing {
    pub(crate) family: Family,
    /// The two ends; the first is the sender of the first message seen.
    pub(crate) ends: [Address; 2],
    pub(crate) role: Role,
    /// Whether it was running before the capture began and no request was seen since.
    pub(crate) joined: bool,
    open: VecDeque<Request>,
}

impl Conversation {
    pub(crate) fn new(family: Family, ends: [Address; 2], role: Role, joined: bool) -> Self {
        let pairing = Pairing { family, ends, role, joined, open: VecDeque::new() };
        Self { pairing, session: family.session(), settled: false }
    }

    /// It turned out to be of another family: its messages so far were not.
    #[cold]
    pub(crate) fn become_of(&mut self, family: Family) {
        self.pairing.family = family;
        self.pairing.open.clear();
        self.session = family.session();
        // Once: what is legal as a whole need not be legal message by message, nor in a stream.
        self.settled = true;
    }
}

impl Pairing {
    /// Sender and receiver of what comes from `end`.
    #[inline]
    pub(crate) const fn ends_from(&self, end: usize) -> (&Address, &Address) {
        let [first, second] = &self.ends;
        if end == 0 { (first, second) } else { (second, first) }
    }

    /// Who sends a message that comes from `end`; learns from its shape while that is not certain.
    #[inline]
    pub(crate) fn sender(&mut self, end: usize, bytes: &[u8]) -> Sender {
        let by = |client: usize| if client == end { Sender::Client } else { Sender::Server };
        let role = self.role;
        match role {
            Role::Is(client) if !self.family.peers() => by(client),
            Role::Is(_) | Role::Seems(_) | Role::Open => match self.family.probe(bytes) {
                Some(sender) => {
                    self.role = Role::of(sender, end).unwrap_or(role);
                    sender
                }
                // Not a legal message: the likelier reading.
                None => match role {
                    Role::Seems(client) => by(client),
                    _ => Sender::Unknown,
                },
            },
        }
    }

    /// Pairs a message; adds what is odd about it in the conversation. What a response answers is left in `answered`, a
    /// request that had to go because too many are open in `exchanges`.
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "what is large is filled in where it stays")]
    pub(crate) fn pair(
        &mut self,
        at: Timestamp,
        serial: u64,
        most: usize,
        header: &Header,
        pdu: &Pdu<'_>,
        oddities: &mut Oddities,
        answered: &mut Option<Memo>,
        exchanges: &mut VecDeque<Exchange>,
    ) -> Paired {
        *answered = None;
        let Some(key) = header.key else {
            return Paired { ended: Some((None, ExchangeOutcome::OneWay)), ..Paired::default() };
        };
        let quiet = matches!(header.kind, Kind::Control | Kind::Event);
        let part = if quiet { pdu.part() } else { header.kind };
        match part {
            Kind::Request => {
                self.joined = false;
                exchanges.extend(self.open(at, serial, most, key, header, pdu, oddities));
                Paired { opened: Some(serial), ..Paired::default() }
            }
            Kind::Response | Kind::Exception => self.close(at, key, header, pdu, oddities, answered),
            Kind::Event | Kind::Control => Paired::default(),
        }
    }

    #[inline]
    #[allow(clippy::too_many_arguments, reason = "private half of `pair`")]
    fn open(
        &mut self,
        at: Timestamp,
        serial: u64,
        most: usize,
        key: u64,
        header: &Header,
        pdu: &Pdu<'_>,
        oddities: &mut Oddities,
    ) -> Option<Exchange> {
        if let Some(place) = self.open.iter().position(|request| request.key == key) {
            if self.open.get(place).is_some_and(|request| request.given_up) {
                self.open.remove(place);
            } else {
                oddities.push(Oddity::DuplicateTransaction, 0);
            }
        }
        let displaced = if self.open.len() >= most.max(1) { self.open.pop_front() } else { None };
        self.open.push_back(Request {
            key,
            serial,
            at,
            unit: header.unit,
            function: header.function,
            memo: pdu.memo(),
            given_up: false,
        });
        displaced.filter(|request| !request.given_up).and_then(|request| self.unanswered(at, &request))
    }

    #[inline]
    fn close(
        &mut self,
        at: Timestamp,
        key: u64,
        header: &Header,
        pdu: &Pdu<'_>,
        oddities: &mut Oddities,
        answered: &mut Option<Memo>,
    ) -> Paired {
        // The best fit; among equals the one that waits longest, for a server answers in order.
        let mut best: Option<(usize, Fit, bool)> = None;
        for (place, request) in self.open.iter().enumerate() {
            if request.key != key {
                continue;
            }
            let fit = pdu.fit(&request.memo);
            let rank = (fit, !request.given_up);
            if fit != Fit::No && best.is_none_or(|(_, fit, fresh)| rank > (fit, fresh)) {
                best = Some((place, fit, !request.given_up));
            }
        }
        let Some((place, fit, _)) = best else {
            if self.joined {
                return Paired::default();
            }
            oddities.push(Oddity::UnmatchedResponse, 0);
            return Paired { ended: Some((None, ExchangeOutcome::Unsolicited)), ..Paired::default() };
        };
        if fit == Fit::Loose {
            oddities.push(Oddity::ResponseMismatch, 0);
        }
        let Some(request) = self.open.remove(place) else { return Paired::default() };
        let outcome = match (header.kind, pdu.refusal()) {
            (_, Some(why)) => ExchangeOutcome::Exception(why),
            (Kind::Exception, None) => ExchangeOutcome::Exception(0),
            _ => ExchangeOutcome::Answered,
        };
        *answered = Some(request.memo);
        Paired { ended: Some((Some(at.since(request.at)), outcome)), ..Paired::default() }
    }

    /// Marks the request of this number as unanswered; nothing when it was answered meanwhile.
    pub(crate) fn give_up(&mut self, at: Timestamp, serial: u64) -> Option<Exchange> {
        let request = self.open.iter_mut().find(|request| request.serial == serial)?;
        if request.given_up {
            return None;
        }
        request.given_up = true;
        let request = *request;
        self.unanswered(at, &request)
    }

    /// Whether the request of this number is still awaited.
    pub(crate) fn awaits(&self, serial: u64) -> bool {
        self.open.iter().any(|request| request.serial == serial && !request.given_up)
    }

    /// Gives up all requests: the conversation ended.
    pub(crate) fn end(&mut self, at: Timestamp, mut report: impl FnMut(Exchange)) {
        while let Some(request) = self.open.pop_front() {
            if !request.given_up {
                self.unanswered(at, &request).map(&mut report);
            }
        }
    }

    fn unanswered(&self, at: Timestamp, request: &Request) -> Option<Exchange> {
        let header =
            Header { kind: Kind::Request, unit: request.unit, function: request.function, key: None };
        self.exchange(at, &header, None, ExchangeOutcome::Unanswered)
    }

    /// Exchanges are told between IP endpoints; families without IP have none.
    #[inline]
    pub(crate) fn exchange(
        &self,
        at: Timestamp,
        header: &Header,
        latency: Option<Duration>,
        outcome: ExchangeOutcome,
    ) -> Option<Exchange> {
        let [first, second] = &self.ends;
        let second_asks = matches!(self.role, Role::Is(1) | Role::Seems(1));
        let (client, server) = if second_asks { (second, first) } else { (first, second) };
        Some(Exchange {
            at,
            family: self.family.label(),
            client: client.socket()?,
            server: server.socket()?,
            unit: header.unit,
            function: header.function,
            latency,
            outcome,
        })
    }
}
