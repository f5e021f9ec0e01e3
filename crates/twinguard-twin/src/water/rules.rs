//! Rules: looked at between instants, every rule time step.
//!
//! Source: EPANET 2.2 Users Manual, appendix C.2, section RULES, and chapter 12.1: premises with a tolerance of 0.001, equality of times within
//! the interval just passed, one action a link by priority, and a step that ends when an action changes something.

use super::{
    hydraulics::{Hydraulics, Kind},
    network::{Action, ActionTo, Operand, Premise, PumpCurve, Relation, Rule, Status, Subject, ValveKind},
};

/// Values this close are equal.
const CLOSE: f64 = 1e-3;
/// Flows into tanks below are none, cfs.
const TINY: f64 = 1e-6;

impl Hydraulics {
    /// Moves tanks in rule steps until a rule acts or the step is over; the length of the step.
    pub(super) fn step_to_rule(&mut self, step: i64) -> i64 {
        let (start, end) = (self.state.time_s, self.state.time_s + step);
        let every = self.network.times.rule_step_s;
        // First to the next multiple of the rule step.
        let mut part = (every - start % every).min(step);
        while part > 0 {
            self.state.time_s += part;
            self.move_tanks(part);
            if self.check_rules(part) {
                break;
            }
            part = every.min(end - self.state.time_s);
        }
        let taken = self.state.time_s - start;
        self.state.time_s = start;
        taken
    }

    /// Whether some rule changed something, looking back over some seconds.
    fn check_rules(&mut self, seconds: i64) -> bool {
        let network = std::sync::Arc::clone(&self.network);
        let mut chosen: Vec<(&Rule, &Action)> = Vec::new();
        for rule in &network.rules {
            let actions = if self.holds(rule, seconds) { &rule.then } else { &rule.otherwise };
            for action in actions {
                match chosen.iter_mut().find(|(_, other)| other.link == action.link) {
                    Some(other) if rule.priority > other.0.priority => *other = (rule, action),
                    Some(_) => {}
                    None => chosen.push((rule, action)),
                }
            }
        }
        // The latest first.
        chosen.iter().rev().fold(false, |any, (_, action)| self.act(action) || any)
    }

    fn holds(&self, rule: &Rule, seconds: i64) -> bool {
        let mut result = true;
        for premise in &rule.premises {
            if premise.or {
                result = result || self.premise(premise, seconds);
            } else if result {
                result = self.premise(premise, seconds);
            } else {
                return false;
            }
        }
        result
    }

    fn premise(&self, premise: &Premise, seconds: i64) -> bool {
        let value = match (premise.subject, premise.value) {
            (Subject::Time | Subject::ClockTime, Operand::Number(at)) => {
                return self.time_holds(premise.subject, premise.relation, at, seconds);
            }
            (
                Subject::Status(link) | Subject::Setting(link) | Subject::Flow(link),
                Operand::Status(status),
            ) => {
                let now = self.state.status[link];
                let same = match status {
                    Status::Closed => now.is_closed(),
                    Status::Active => now == Status::Active,
                    _ => !now.is_closed() && now != Status::Active,
                };
                return match premise.relation {
                    Relation::Equal => same,
                    Relation::Unequal => !same,
                    _ => false,
                };
            }
            (_, Operand::Number(value)) => value,
            _ => return false,
        };
        let Some(x) = self.reading(premise.subject) else { return false };
        match premise.relation {
            Relation::Equal => (x - value).abs() <= CLOSE,
            Relation::Unequal => (x - value).abs() >= CLOSE,
            Relation::Below => x <= value + CLOSE,
            Relation::AtMost => x <= value - CLOSE,
            Relation::Above => x >= value - CLOSE,
            Relation::AtLeast => x >= value + CLOSE,
        }
    }

    /// A value in the file's units (seconds for times).
    fn reading(&self, subject: Subject) -> Option<f64> {
        let units = &self.network.units;
        let above = |node: usize| self.state.head[node] - self.plan.elevation[node];
        let junctions = self.plan.row.len();
        let tank = |node: usize| {
            let at = node.checked_sub(junctions)?;
            Some((
                self.network.stores.get(at)?.tank.as_ref()?,
                self.state.volume[at],
                self.state.demand[node],
            ))
        };
        Some(match subject {
            Subject::SystemDemand => self.state.system_demand * units.flow,
            Subject::Demand(node) if node < junctions => {
                (self.state.outflow[node] + self.state.emitter[node]) * units.flow
            }
            Subject::Demand(node) => self.state.demand[node] * units.flow,
            Subject::Head(node) => self.state.head[node] * units.length,
            Subject::Level(node) => above(node) * units.length,
            Subject::Pressure(node) => above(node) * units.pressure,
            Subject::Flow(link) => self.state.flow[link].abs() * units.flow,
            Subject::Setting(link) => {
                let setting = self.state.setting[link]?;
                match self.plan.links[link].kind {
                    Kind::Valve(
                        ValveKind::PressureReducing
                        | ValveKind::PressureSustaining
                        | ValveKind::PressureBreaker,
                    ) => setting * units.pressure,
                    Kind::Valve(ValveKind::FlowControl) => setting * units.flow,
                    _ => setting,
                }
            }
            Subject::FillTime(node) => {
                let (tank, volume, inflow) = tank(node)?;
                if inflow <= TINY {
                    return None;
                }
                (tank.highest_ft3 - volume) / inflow
            }
            Subject::DrainTime(node) => {
                let (tank, volume, inflow) = tank(node)?;
                if inflow >= -TINY {
                    return None;
                }
                (tank.lowest_ft3 - volume) / inflow
            }
            Subject::Time | Subject::ClockTime | Subject::Status(_) => return None,
        })
    }

    fn time_holds(&self, subject: Subject, relation: Relation, at: f64, seconds: i64) -> bool {
        let now = self.state.time_s;
        let (first, last) = match subject {
            Subject::ClockTime => {
                let clock = |time: i64| (time + self.network.times.clock_start_s) % 86_400;
                (clock(now - seconds + 1), clock(now))
            }
            _ => (now - seconds + 1, now),
        };
        let (first, last) = (first as f64, last as f64);
        // An interval may hold midnight.
        let within = if last < first { at >= first || at <= last } else { at >= first && at <= last };
        match relation {
            Relation::Below => last < at,
            Relation::AtMost => last <= at,
            Relation::Above => last > at,
            Relation::AtLeast => last >= at,
            Relation::Equal => within,
            Relation::Unequal => !within,
        }
    }

    /// Does it; whether something changed.
    fn act(&mut self, action: &Action) -> bool {
        let link = action.link;
        match action.to {
            ActionTo::Open if self.state.status[link].is_closed() => self.set_open(link, true),
            ActionTo::Closed if !self.state.status[link].is_closed() => self.set_open(link, false),
            ActionTo::Setting(value)
                if self.state.setting[link].is_none_or(|now| (value - now).abs() > CLOSE) =>
            {
                self.set_setting(link, value);
            }
            _ => return false,
        }
        true
    }

    /// Gives a closed pump of constant power, which is about to open, a flow to start from: its lift has no bound at none.
    pub(super) fn restart(&mut self, link: usize) {
        const START_CFS: f64 = 1.0;
        if matches!(self.plan.links[link].kind, Kind::Pump(PumpCurve::Power { .. }))
            && self.state.status[link].is_closed()
        {
            self.state.flow[link] = START_CFS;
        }
    }

    /// Opens or closes a link.
    pub(super) fn set_open(&mut self, link: usize, open: bool) {
        if open {
            self.restart(link);
        }
        self.state.status[link] = if open { Status::Open } else { Status::Closed };
        match self.plan.links[link].kind {
            Kind::Pump(_) => self.state.setting[link] = Some(f64::from(open)),
            Kind::Valve(_) => self.state.setting[link] = None,
            Kind::Pipe | Kind::CheckValve => {}
        }
    }

    /// Gives a pump its speed or a valve its setting (internal units).
    pub(super) fn set_setting(&mut self, link: usize, value: f64) {
        if value > 0.0 {
            self.restart(link);
        }
        let status = &mut self.state.status[link];
        match self.plan.links[link].kind {
            Kind::Pump(_) => {
                if value > 0.0 && status.is_closed() {
                    *status = Status::Open;
                }
                if value == 0.0 && !status.is_closed() {
                    *status = Status::Closed;
                }
            }
            Kind::Valve(ValveKind::FlowControl) => *status = Status::Active,
            _ => {
                if self.state.setting[link].is_none() && status.is_closed() {
                    *status = Status::Open;
                }
            }
        }
        self.state.setting[link] = Some(value);
    }
}
