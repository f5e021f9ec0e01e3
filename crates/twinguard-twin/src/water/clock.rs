//! From one instant to the next: demands, controls, tanks, and how long nothing changes.
//!
//! Source: EPANET 2.2 Users Manual, chapter 12.1 (extended period simulation): a step ends at the hydraulic time step, a pattern period,
//! a report, a tank that becomes full or empty, a simple control, or a rule; times are whole seconds.

use super::{
    hydraulics::{Hydraulics, Kind, NO_FLOW},
    network::{LinkKind, Store, Tank, ValveKind, When, interpolate},
};

/// Seconds a day.
const DAY_S: i64 = 86_400;

impl Hydraulics {
    /// Moves to the next instant and returns how many seconds away it is; none at the end of the run.
    ///
    /// Call [`Self::solve`] before and after.
    pub fn advance(&mut self) -> Option<i64> {
        let times = self.network.times;
        if self.state.halted || self.state.time_s >= times.duration_s {
            return None;
        }
        let step = self.next_step();
        self.state.time_s += step;
        if self.state.time_s >= self.state.report_s {
            self.state.report_s += times.report_step_s;
        }
        Some(step)
    }

    /// Demands, heads of reservoirs and speeds of pumps that follow patterns.
    pub(super) fn set_demands(&mut self) {
        let times = &self.network.times;
        let period = (self.state.time_s + times.pattern_start_s) / times.pattern_step_s;
        for (factor, pattern) in self.work.factors.iter_mut().zip(&self.network.patterns) {
            *factor = pattern.at(period);
        }
        let factor_of = |factors: &[f64], pattern: Option<usize>| {
            pattern.map_or(1.0, |pattern| factors.get(pattern).copied().unwrap_or(1.0))
        };
        let junctions = self.plan.row.len();
        self.state.demand[..junctions].fill(0.0);
        self.state.system_demand = 0.0;
        for (node, base, pattern) in &self.plan.demands {
            let factor = factor_of(&self.work.factors, pattern.map(|pattern| pattern as usize));
            let demand = base * factor * self.network.options.demand_multiplier * self.state.demand_factor;
            self.state.system_demand += demand.max(0.0);
            self.state.demand[*node as usize] += demand;
        }
        self.state.outflow.copy_from_slice(&self.state.demand[..junctions]);
        for (store, head) in self.network.stores.iter().zip(&mut self.state.head[junctions..]) {
            if store.tank.is_none() && store.pattern.is_some() {
                *head = store.elevation_ft * factor_of(&self.work.factors, store.pattern);
            }
        }
        for at in 0..self.plan.others.len() {
            let link = self.plan.others[at] as usize;
            if let LinkKind::Pump { pattern: Some(pattern), .. } = self.network.links[link].kind {
                let speed = factor_of(&self.work.factors, Some(pattern));
                self.set_setting(link, speed);
            }
        }
    }

    /// Simple controls by tank level and time.
    pub(super) fn apply_controls(&mut self) {
        let junctions = self.plan.row.len();
        for at in 0..self.network.controls.len() {
            let control = self.network.controls[at];
            let acts = match control.when {
                When::Below { node, head_ft } | When::Above { node, head_ft } => {
                    let Some(tank) = self.tank(node) else { continue };
                    // One second's flow is close enough.
                    let margin = self.state.demand[node].abs();
                    let store = &self.network.stores[node - junctions];
                    let now = self.volume_at(store, tank, self.state.head[node]);
                    let limit = self.volume_at(store, tank, head_ft);
                    match control.when {
                        When::Below { .. } => now <= limit + margin,
                        _ => now >= limit - margin,
                    }
                }
                When::Time { at_s } => at_s == self.state.time_s,
                When::Clock { at_s } => {
                    (self.state.time_s + self.network.times.clock_start_s) % DAY_S == at_s
                }
            };
            if acts {
                let link = control.link;
                let keeps_setting = matches!(
                    self.plan.links[link].kind,
                    Kind::Pipe | Kind::CheckValve | Kind::Valve(ValveKind::General { .. })
                );
                let same_status = self.state.status[link].is_closed() == control.status.is_closed();
                if !same_status || (!keeps_setting && self.state.setting[link] != control.setting) {
                    if !control.status.is_closed() {
                        self.restart(link);
                    }
                    self.state.status[link] = control.status;
                    if !keeps_setting {
                        self.state.setting[link] = control.setting;
                    }
                }
            }
        }
    }

    /// Length of the step from here, with tanks and rules moved to its end.
    fn next_step(&mut self) -> i64 {
        let (times, now) = (self.network.times, self.state.time_s);
        let mut step = times.hydraulic_step_s;
        let mut shorten = |seconds: i64| {
            if seconds > 0 && seconds < step {
                step = seconds;
            }
        };
        let period = (now + times.pattern_start_s) / times.pattern_step_s + 1;
        shorten(period * times.pattern_step_s - now);
        shorten(self.state.report_s - now);
        let junctions = self.plan.row.len();
        for (at, store) in self.network.stores.iter().enumerate() {
            let Some(tank) = &store.tank else { continue };
            let (head, inflow) = (self.state.head[junctions + at], self.state.demand[junctions + at]);
            if inflow.abs() <= NO_FLOW {
                continue;
            }
            if inflow > 0.0 && head < tank.highest_ft {
                shorten(seconds((tank.highest_ft3 - self.state.volume[at]) / inflow));
            } else if inflow < 0.0 && head > tank.lowest_ft {
                shorten(seconds((tank.lowest_ft3 - self.state.volume[at]) / inflow));
            }
        }
        for control in &self.network.controls {
            let wait = match control.when {
                When::Below { node, head_ft } | When::Above { node, head_ft } => {
                    let Some(tank) = self.tank(node) else { continue };
                    let (head, inflow) = (self.state.head[node], self.state.demand[node]);
                    let approaches = match control.when {
                        When::Above { .. } => head < head_ft && inflow > 0.0,
                        _ => head > head_ft && inflow < 0.0,
                    };
                    if inflow.abs() <= NO_FLOW || !approaches {
                        continue;
                    }
                    let at = node - junctions;
                    let volume = self.volume_at(&self.network.stores[at], tank, head_ft);
                    seconds((volume - self.state.volume[at]) / inflow)
                }
                When::Time { at_s } => at_s - now,
                When::Clock { at_s } => (at_s - (now + times.clock_start_s)).rem_euclid(DAY_S),
            };
            let link = control.link;
            let keeps_setting = matches!(self.plan.links[link].kind, Kind::Pipe | Kind::CheckValve);
            let changes = (!keeps_setting && self.state.setting[link] != control.setting)
                || self.state.status[link] != control.status;
            if changes {
                shorten(wait);
            }
        }
        if self.network.rules.is_empty() {
            self.move_tanks(step);
            step
        } else {
            self.step_to_rule(step)
        }
    }

    /// The tank at a node, if there is one.
    fn tank(&self, node: usize) -> Option<&Tank> {
        let store = node.checked_sub(self.plan.row.len())?;
        self.network.stores.get(store)?.tank.as_ref()
    }

    fn volume_at(&self, store: &Store, tank: &Tank, head: f64) -> f64 {
        let units = &self.network.units;
        match tank.volume.and_then(|curve| self.network.curves.get(curve)) {
            None => tank.lowest_ft3 + (head - tank.lowest_ft) * tank.area_ft2,
            Some(curve) => {
                interpolate(&curve.x, &curve.y, (head - store.elevation_ft) * units.length) / units.volume()
            }
        }
    }

    /// Lets tanks fill and drain for some seconds.
    pub(super) fn move_tanks(&mut self, seconds: i64) {
        let junctions = self.plan.row.len();
        let units = self.network.units;
        for (at, store) in self.network.stores.iter().enumerate() {
            let Some(tank) = &store.tank else { continue };
            let inflow = self.state.demand[junctions + at];
            let volume = &mut self.state.volume[at];
            *volume += inflow * seconds as f64;
            // Within one second of full or empty counts as that.
            if *volume + inflow >= tank.highest_ft3 {
                *volume = tank.highest_ft3;
            } else if *volume - inflow <= tank.lowest_ft3 {
                *volume = tank.lowest_ft3;
            }
            self.state.head[junctions + at] =
                match tank.volume.and_then(|curve| self.network.curves.get(curve)) {
                    None => tank.lowest_ft + (*volume - tank.lowest_ft3) / tank.area_ft2,
                    Some(curve) => {
                        let level = interpolate(&curve.y, &curve.x, *volume * units.volume());
                        store.elevation_ft + level / units.length
                    }
                };
        }
    }
}

/// Whole seconds, nearest; what is too long to count is never reached.
fn seconds(value: f64) -> i64 {
    const NEVER: f64 = 1e15;
    // Below 1e15 every whole number is exact.
    if value.abs() < NEVER { libm::round(value) as i64 } else { i64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_and_never_wrap() {
        assert_eq!(seconds(1.5), 2);
        assert_eq!(seconds(-0.4), 0);
        assert_eq!(seconds(f64::INFINITY), i64::MAX);
        assert_eq!(seconds(f64::NAN), i64::MAX);
    }
}
