//! Messages of the range: who says what, in bytes, and what of it gets through.
//!
//! Source: Modbus Application Protocol V1.1b3 §6.3, §6.4, §6.6, §7 (exception 2, illegal data address).

use core::net::IpAddr;

use twinguard_protocol::protocols::modbus::{Adu, Body, Function, Repr, WordBuffer};
use twinguard_protocol::{Frame, LinkType, Sender, tcp::End};
use twinguard_twin::simulator::{Register, Table};
use twinguard_types::{Duration, Intent, PrincipalId, Timestamp, Value};

use super::{Master, Peer, Range, RangeError, UNIT};
use crate::attack::{Utterance, Writer, Writing};
use crate::defender::{Defender, Stimulus};

const ILLEGAL_DATA_ADDRESS: u8 = 2;

impl Range {
    pub(super) fn latency(&mut self) -> Duration {
        let micros: f64 = 4_000.0 + 800.0 * self.jitter.gaussian();
        Duration::from_nanos(self.part(1).as_nanos() / 1_000 * micros.max(500.0) as i64)
    }

    /// The journal of whoever writes says so before the wire does.
    pub(super) fn intend<D: Defender>(
        &mut self,
        at: Timestamp,
        principal: PrincipalId,
        register: &Register,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        let Some(binding) = self.bindings.get(register.tag().as_str()) else { return Ok(()) };
        let Ok(value) = Value::real(binding.word().value(register.raw)) else { return Ok(()) };
        let mut intent = Intent { principal, signal: binding.signal, value, at };
        if !self.scenario.on_intent(&mut intent) || !self.views.journal {
            return Ok(());
        }
        self.tell(at, Stimulus::Intent(intent), defender)
    }

    /// A write crosses the tap; behind it the conduit lets it through to the device or not.
    pub(super) fn write<D: Defender>(
        &mut self,
        at: Timestamp,
        master: Master,
        register: Register,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        let by = match master {
            Master::Controller => Some(Writer::Controller),
            Master::Platform => Some(Writer::Platform),
            Master::Attacker(_) => None,
        };
        let (mut seen, mut done) = (Some(register.raw), Some(register.raw));
        if let Some(by) = by {
            let mut writing = Writing { at, by, address: register.address, seen, done };
            self.scenario.on_write(&mut writing);
            (seen, done) = (writing.seen, writing.done);
        }
        let peer = self.peer(master);
        let client = peer.client;
        let Some(seen) = seen else { return Ok(()) };
        let transaction = peer.next_transaction();
        let request = Repr::write_register(transaction, UNIT, register.address, seen)?;
        self.send(at, master, End::First, &request.emit(), defender)?;
        // What the defender decided on seeing it comes too late to stop it, unless the peer was isolated before.
        if self.isolated.contains(&IpAddr::V4(client)) {
            return Ok(());
        }
        if let Some(raw) = done {
            self.site.device_mut().write(Register { raw, ..register });
        }
        if by.is_some() {
            self.site.tell_vendor(Register { raw: seen, ..register });
        }
        let body = Body::WriteRegister { address: register.address, value: seen };
        let echo = Repr::new(transaction, UNIT, Function::WRITE_SINGLE_REGISTER, Sender::Server, body)?;
        let latency = self.latency();
        self.send(at + latency, master, End::Second, &echo.emit(), defender)
    }

    /// Whatever else the attacker says as a master of its own, spread over what is left of the step.
    pub(super) fn speak<D: Defender>(
        &mut self,
        now: Timestamp,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        let mut utterances = Vec::new();
        self.scenario.speak(now, &mut utterances);
        self.requests = 0;
        let pace = self.part(250).as_nanos() / i64::try_from(utterances.len().max(1)).unwrap_or(i64::MAX);
        for (utterance, turn) in utterances.into_iter().zip(0..) {
            let at = now + self.part(600) + Duration::from_nanos(pace.saturating_mul(turn));
            // Answers come within the pace, so that frames stay in order.
            let latency = self.latency().min(Duration::from_nanos(pace / 2));
            self.utter(at, latency, utterance, defender)?;
        }
        Ok(())
    }

    fn utter<D: Defender>(
        &mut self,
        at: Timestamp,
        latency: Duration,
        utterance: Utterance,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        match utterance {
            Utterance::Raw { from, bytes } => {
                self.requests += usize::from(!self.isolated.contains(&IpAddr::V4(from)));
                self.send_bytes(at, Master::Attacker(from), End::First, &bytes, defender)
            }
            Utterance::Read { from, function, address, count } => {
                let master = Master::Attacker(from);
                let transaction = self.peer(master).next_transaction();
                let request = Repr::read(transaction, UNIT, function, address, count)?;
                self.send(at, master, End::First, &request.emit(), defender)?;
                if self.isolated.contains(&IpAddr::V4(from)) {
                    return Ok(());
                }
                self.requests += 1;
                let table =
                    if function == Function::READ_INPUT_REGISTERS.0 { Table::Input } else { Table::Holding };
                let end = address.saturating_add(count);
                let read = |address| self.site.device().read(UNIT, table, address);
                let words: Option<Vec<u16>> = (address..end).map(read).collect();
                let words = words.and_then(|words| WordBuffer::new(&words));
                let response = match &words {
                    Some(words) => Repr::registers(transaction, UNIT, function, words.registers())?,
                    None => {
                        let body = Body::Exception { code: ILLEGAL_DATA_ADDRESS };
                        Repr::new(transaction, UNIT, Function(function), Sender::Server, body)?
                    }
                };
                self.send(at + latency, master, End::Second, &response.emit(), defender)
            }
        }
    }

    pub(super) fn peer(&mut self, master: Master) -> &mut Peer {
        match master {
            Master::Controller => &mut self.polls,
            Master::Platform => &mut self.platform,
            Master::Attacker(from) => self.attackers.entry(from).or_insert_with(|| Peer::new(from, 49_152)),
        }
    }

    pub(super) fn send<D: Defender>(
        &mut self,
        at: Timestamp,
        master: Master,
        from: End,
        message: &Adu,
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        self.send_bytes(at, master, from, message.as_bytes(), defender)
    }

    fn send_bytes<D: Defender>(
        &mut self,
        at: Timestamp,
        master: Master,
        from: End,
        message: &[u8],
        defender: &mut D,
    ) -> Result<(), RangeError<D::Error>> {
        let mut buffer = core::mem::take(&mut self.buffer);
        let peer = self.peer(master);
        let handshake = (!core::mem::replace(&mut peer.open, true)).then(|| peer.connection.open());
        peer.connection.say(from, message, &mut buffer)?;
        let tapped = self.views.wire;
        for frame in handshake.iter().flatten().chain([&buffer]).filter(|_| tapped) {
            self.frames += 1;
            let frame = Frame {
                index: self.frames,
                at,
                link: LinkType::Ethernet,
                bytes: frame,
                original_len: frame.len() as u32,
            };
            self.tell(at, Stimulus::Frame(&frame), defender)?;
        }
        self.buffer = buffer;
        Ok(())
    }
}
