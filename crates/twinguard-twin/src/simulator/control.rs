//! The controller, which knows only what the wire told it, and the operator behind it.
//!
//! Source: plant cards of the reference plants for the laws; set-point moves as a benign event (ISA-18.2 practice).

use std::sync::Arc;

use twinguard_types::{Duration, Timestamp};

use super::plant::Options;
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
    options: Options,
    journal: Vec<(Timestamp, Register)>,
}

impl Controller {
    pub(super) fn new(wire: Arc<Wire>, registers: &[Register], options: &Options) -> Self {
        let control = &wire.reference.control;
        let find = |paths: &[&str]| -> Vec<Option<Channel>> {
            paths.iter().map(|path| wire.channel(path).copied()).collect()
        };
        let (reads, writes) = (find(control.reads), find(control.writes));
        let read_at = (0..registers.len())
            .map(|place| reads.iter().position(|read| read.is_some_and(|read| read.register == place)))
            .collect();
        let raw = |channel: &Channel| registers.get(channel.register).map_or(0, |register| register.raw);
        let value = |channel: &Option<Channel>| channel.as_ref().map_or(0.0, |c| c.word.value(raw(c)));
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
            every: Duration::from_secs_f64(control.period_s.max(wire.period_s))
                .unwrap_or(wire.plant.time.sampling),
            options: options.clone(),
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
            *seen = channel.word.value(raw);
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
            date_s: self.options.date_s(now).1,
            period_s: self.every.as_secs_f64(),
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
                Some(Register { raw: channel.word.raw(*command), ..*registers.get(channel.register)? })
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
    /// By set-point.
    plans: Vec<Plan>,
}

/// What the operator means to do with one set-point.
#[derive(Clone, Debug)]
struct Plan {
    /// When it moves next.
    next: Option<Timestamp>,
    /// Whether it is away from where it rests.
    away: bool,
    rests_at: f64,
    /// Where it rests from when on, the next one last.
    moves: Vec<(Timestamp, f64)>,
}

impl Operator {
    /// One who is not at work moves nothing.
    pub(super) fn new(wire: Arc<Wire>, seed: u64, options: &Options, at_work: bool) -> Self {
        let mut noise = Noise::new(seed, stream(40, options.stretch));
        let wanders = at_work && options.set_point_changes;
        let mut plans = Vec::with_capacity(wire.held.len());
        for held in &wire.held {
            let Some(point) = wire.reference.set_points.get(held.index) else { continue };
            let next =
                (wanders && point.spread > 0.0).then(|| pause(Timestamp::ZERO, point.every_s, &mut noise));
            let own = options.set_points.iter().filter(|(_, path, _)| at_work && path == point.signal);
            let mut moves: Vec<(Timestamp, f64)> = own.map(|(from, _, value)| (*from, *value)).collect();
            moves.sort_by_key(|(from, _)| core::cmp::Reverse(*from));
            plans.push(Plan { next, away: false, rests_at: point.value, moves });
        }
        Self { wire, noise, plans }
    }

    /// The set-point that the operator writes now, if any; ask until there is none.
    pub fn decide(&mut self, now: Timestamp) -> Option<Register> {
        for (held, plan) in self.wire.held.iter().zip(&mut self.plans) {
            let point = self.wire.reference.set_points.get(held.index)?;
            let to = if let Some((_, value)) = plan.moves.pop_if(|(from, _)| *from <= now) {
                plan.rests_at = value;
                plan.away = false;
                value
            } else if plan.next.is_some_and(|next| next <= now) {
                plan.next = Some(pause(now, point.every_s, &mut self.noise));
                plan.away = !plan.away;
                let spread = point.spread;
                plan.rests_at + if plan.away { self.noise.between(-spread, spread) } else { 0.0 }
            } else {
                continue;
            };
            let register = self.wire.registers.get(held.channel.register)?;
            return Some(Register { raw: held.channel.word.raw(to), ..*register });
        }
        None
    }
}

fn pause(now: Timestamp, (from, to): (f64, f64), noise: &mut Noise) -> Timestamp {
    now + Duration::from_secs(noise.between(from, to) as i64)
}
