//! The controller of pump and valve, and the operator behind it.
//!
//! Source: plant card 1: incremental PI on the top oil, Kp 0.04 /K, Ti 1500 s, Ts 10 s, c within 0…1,
//! pump = valve = 0.2 + 0.8 c: Δc = Kp (eₖ − eₖ₋₁) + Kp Ts / Ti eₖ with e = top oil − set-point.

use twinguard_types::Timestamp;

use super::super::{Noise, Register, Table, stream};
use super::{
    COMMAND_SCALE, PUMP_COMMAND, SENSORS, SET_POINT, SET_POINT_SCALE, VALVE_COMMAND, from_raw, holding,
    to_raw,
};

/// Seconds between two decisions.
const PERIOD_S: i64 = 10;
const GAIN: f64 = 0.04;
const RESET_S: f64 = 1500.0;

/// Polls every second, decides every ten; knows only what the wire told it.
#[derive(Clone, Debug)]
pub struct Controller {
    oil_c: Option<f64>,
    set_point_c: f64,
    output: f64,
    error_before: Option<f64>,
    journal: Vec<(Timestamp, Register)>,
}

impl Controller {
    /// A controller that takes over at these commands.
    #[must_use]
    pub fn new([pump, _]: [f64; 2]) -> Self {
        let output = ((pump - 0.2) / 0.8).clamp(0.0, 1.0);
        Self { oil_c: None, set_point_c: 65.0, output, error_before: None, journal: Vec::new() }
    }

    /// Takes in a register as a poll read it.
    pub fn observe(&mut self, register: Register) {
        match (register.table, register.address) {
            (Table::Input, 0) => self.oil_c = Some(from_raw(register.raw, SENSORS[0].0)),
            (Table::Holding, SET_POINT) => self.set_point_c = from_raw(register.raw, SET_POINT_SCALE),
            _ => {}
        }
    }

    /// What it writes now: pump and valve at every tenth second, nothing in between or before the first reading.
    pub fn decide(&mut self, now: Timestamp) -> Vec<Register> {
        let Some(oil) = self.oil_c.filter(|_| now.as_nanos() % (PERIOD_S * 1_000_000_000) == 0) else {
            return Vec::new();
        };
        let error = oil - self.set_point_c;
        let before = self.error_before.replace(error).unwrap_or(error);
        let change = GAIN * (error - before) + GAIN * PERIOD_S as f64 / RESET_S * error;
        self.output = (self.output + change).clamp(0.0, 1.0);
        let raw = to_raw(0.2 + 0.8 * self.output, COMMAND_SCALE);
        let writes = vec![holding(PUMP_COMMAND, raw), holding(VALVE_COMMAND, raw)];
        self.journal.extend(writes.iter().map(|write| (now, *write)));
        writes
    }

    /// What it wrote since this was last asked: its own journal, for whoever compares it with the wire.
    ///
    /// Whoever drives the loop empties it; it grows by two entries in ten seconds.
    pub fn take_journal(&mut self) -> Vec<(Timestamp, Register)> {
        core::mem::take(&mut self.journal)
    }

    /// Its output c.
    #[must_use]
    pub fn output(&self) -> f64 {
        self.output
    }
}

/// Moves the set-point by up to ±2 K every 40 to 90 minutes, and back the next time: a benign event.
#[derive(Clone, Debug)]
pub struct Operator {
    noise: Noise,
    next: Option<Timestamp>,
    away: bool,
}

impl Operator {
    /// An operator who is at work, or none.
    #[must_use]
    pub fn new(seed: u64, stretch: u64, at_work: bool) -> Self {
        let mut noise = Noise::new(seed, stream(40, stretch));
        let next = at_work.then(|| pause(Timestamp::ZERO, &mut noise));
        Self { noise, next, away: false }
    }

    /// The set-point that the operator writes now, if at all.
    pub fn decide(&mut self, now: Timestamp) -> Option<Register> {
        self.next.filter(|next| *next <= now)?;
        self.next = Some(pause(now, &mut self.noise));
        self.away = !self.away;
        let target = if self.away { 65.0 + self.noise.between(-2.0, 2.0) } else { 65.0 };
        Some(holding(SET_POINT, to_raw(target, SET_POINT_SCALE)))
    }
}

fn pause(now: Timestamp, noise: &mut Noise) -> Timestamp {
    now + twinguard_types::Duration::from_secs(noise.between(2400.0, 5400.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_moves_are_the_cards() {
        // Two degrees too hot: no step at first (no difference), then the integral alone.
        let mut controller = Controller::new([0.6, 0.6]);
        assert!(controller.decide(Timestamp::ZERO).is_empty(), "nothing read yet");
        controller.observe(Register { unit: 1, table: Table::Input, address: 0, raw: 6700 });
        for second in [10, 20] {
            assert!(controller.decide(Timestamp::from_secs(second - 5)).is_empty());
            assert_eq!(controller.decide(Timestamp::from_secs(second)).len(), 2);
        }
        assert!((controller.output() - (0.5 + 2.0 * 0.04 * 10.0 / 1500.0 * 2.0)).abs() < 1e-12);
        assert_eq!(controller.take_journal().len(), 4);
        // Colder by one degree at once: the proportional part answers.
        controller.observe(Register { unit: 1, table: Table::Input, address: 0, raw: 6600 });
        let before = controller.output();
        controller.decide(Timestamp::from_secs(30));
        assert!((controller.output() - before - (-0.04 + 0.04 / 150.0)).abs() < 1e-12);
    }

    #[test]
    fn the_operator_goes_away_and_comes_back() {
        let mut operator = Operator::new(5, 0, true);
        let moves: Vec<u16> = (0..14_400)
            .filter_map(|second| operator.decide(Timestamp::from_secs(second)))
            .map(|register| register.raw)
            .collect();
        assert!(
            (2..=5).contains(&moves.len()) && moves[1] == 650 && (630..=670).contains(&moves[0]),
            "{moves:?}"
        );
        assert!(Operator::new(5, 0, false).decide(Timestamp::from_secs(100_000)).is_none());
    }
}
