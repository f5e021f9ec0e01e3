//! The controller, which knows only what the wire told it, and the operator behind it.
//!
//! Source: plant cards of the reference plants for the laws; set-point moves as a benign event (ISA-18.2 practice).

use std::sync::Arc;

use twinguard_types::{Duration, Timestamp};

use super::reference::Scan;
use super::wire::{Channel, Wire};
use super::{Noise, Register, Table, stream};

/// Polls every period, decides as often as its law asks.
#[derive(Clone, Debug)]
pub struct Controller {
    wire: Arc<Wire>,
    reads: Vec<Option<Channel>>,
    writes: Vec<Option<Channel>>,
    /// By register: place in `reads`.
    read_at: Vec<Option<usize>>,
    seen: Vec<f64>,
    known: Vec<bool>,
    memory: Vec<f64>,
    commands: Vec<f64>,
    first: bool,
    every: Duration,
    /// What the calendar says at time 0.
    calendar: Timestamp,
    journal: Vec<(Timestamp, Register)>,
}

impl Controller {
    pub(super) fn new(wire: Arc<Wire>, registers: &[Register], calendar: Timestamp) -> Self {
        let control = &wire.reference.control;
        let find = |paths: &[&str]| -> Vec<Option<Channel>> {
            paths.iter().map(|path| wire.channel(path).copied()).collect()
        };
        let (reads, writes) = (find(control.reads), find(control.writes));
        let read_at = (0..registers.len())
            .map(|place| reads.iter().position(|read| read.is_some_and(|read| read.register == place)))
            .collect();
        let raw = |channel: &Channel| registers.get(channel.register).map_or(0, |register| register.raw);
        let value = |channel: &Option<Channel>| channel.as_ref().map_or(0.0, |c| c.value(raw(c)));
        // What lies in holding registers it knows from the start.
        let holds = |channel: &Option<Channel>| {
            let register = channel.and_then(|channel| registers.get(channel.register).copied());
            register.is_some_and(|register| register.table == Table::Holding)
        };
        Self {
            seen: reads.iter().map(value).collect(),
            known: reads.iter().map(holds).collect(),
            memory: control.memory.to_vec(),
            commands: writes.iter().map(value).collect(),
            first: true,
            every: Duration::from_secs_f64(control.period_s).unwrap_or(wire.plant.time.sampling),
            calendar,
            journal: Vec::new(),
            reads,
            writes,
            read_at,
            wire,
        }
    }

    /// Takes in a register as a poll read it, or as the operator wrote it.
    pub fn observe(&mut self, register: Register) {
        if let Some(place) = self.wire.place(&register) {
            self.take(place, register.raw);
        }
    }

    pub(super) fn take(&mut self, place: usize, raw: u16) {
        let Some(at) = self.read_at.get(place).copied().flatten() else { return };
        if let (Some(Some(channel)), Some(seen), Some(known)) =
            (self.reads.get(at), self.seen.get_mut(at), self.known.get_mut(at))
        {
            *seen = channel.value(raw);
            *known = true;
        }
    }

    /// What it writes now; nothing between decisions, and nothing before it has read everything once.
    pub fn decide(&mut self, now: Timestamp) -> Vec<Register> {
        let due = now.as_nanos() % self.every.as_nanos().max(1) == 0;
        if !due || self.known.contains(&false) {
            return Vec::new();
        }
        let control = &self.wire.reference.control;
        (control.law)(&mut Scan {
            date_s: now.since(Timestamp::ZERO).as_secs_f64()
                + self.calendar.since(Timestamp::ZERO).as_secs_f64(),
            period_s: control.period_s,
            first: core::mem::take(&mut self.first),
            seen: &self.seen,
            memory: &mut self.memory,
            commands: &mut self.commands,
        });
        let registers = &self.wire.registers;
        let writes: Vec<Register> = self
            .writes
            .iter()
            .zip(&self.commands)
            .filter_map(|(channel, command)| {
                let channel = channel.as_ref()?;
                Some(Register { raw: channel.raw(*command), ..*registers.get(channel.register)? })
            })
            .collect();
        self.journal.extend(writes.iter().map(|write| (now, *write)));
        writes
    }

    /// What it wrote since this was last asked: its own journal, for whoever compares it with the wire.
    ///
    /// Whoever drives the loop empties it; it grows with every decision.
    pub fn take_journal(&mut self) -> Vec<(Timestamp, Register)> {
        core::mem::take(&mut self.journal)
    }

    /// What it commanded last, in the order of its writes.
    #[must_use]
    pub fn commands(&self) -> &[f64] {
        &self.commands
    }
}

/// Moves set-points now and then, and back the next time: a benign event.
#[derive(Clone, Debug)]
pub struct Operator {
    wire: Arc<Wire>,
    noise: Noise,
    /// By set-point: when it moves next, and whether it is away.
    plans: Vec<(Option<Timestamp>, bool)>,
}

impl Operator {
    pub(super) fn new(wire: Arc<Wire>, seed: u64, stretch: u64, at_work: bool) -> Self {
        let mut noise = Noise::new(seed, stream(40, stretch));
        let plans = wire
            .held
            .iter()
            .map(|held| {
                let moves =
                    wire.reference.set_points.get(held.index).filter(|point| at_work && point.spread > 0.0);
                (moves.map(|point| pause(Timestamp::ZERO, point.every_s, &mut noise)), false)
            })
            .collect();
        Self { wire, noise, plans }
    }

    /// The set-point that the operator writes now, if any; ask until there is none.
    pub fn decide(&mut self, now: Timestamp) -> Option<Register> {
        for (held, (next, away)) in self.wire.held.iter().zip(&mut self.plans) {
            if next.is_none_or(|next| next > now) {
                continue;
            }
            let point = self.wire.reference.set_points.get(held.index)?;
            *next = Some(pause(now, point.every_s, &mut self.noise));
            *away = !*away;
            let moved = if *away { self.noise.between(-point.spread, point.spread) } else { 0.0 };
            let register = self.wire.registers.get(held.channel.register)?;
            return Some(Register { raw: held.channel.raw(point.value + moved), ..*register });
        }
        None
    }
}

fn pause(now: Timestamp, (from, to): (f64, f64), noise: &mut Noise) -> Timestamp {
    now + Duration::from_secs(noise.between(from, to) as i64)
}
