//! Patterns, curves, nodes and links, and what later sections change about them.
//!
//! Source: EPANET 2.2 Users Manual, appendix C.2; pump curves by chapter 3.1 (one point: shutoff head 4/3 of the design head, no
//! head at twice the design flow; three points from zero flow: a power law; else straight pieces).

use super::{
    Draft, EpanetError, Problem,
    text::{Line, is, number, short},
};
use crate::water::{
    Curve, Demand, HeadLoss, Junction, Link, LinkKind, Pattern, PumpCurve, Status, Store, Tank, ValveKind,
    circle, interpolate, minor_loss,
};

/// Values below are zero.
const TINY: f64 = 1e-6;

impl<'a> Draft<'a> {
    /// A line of PATTERNS or CURVES; both go on over lines.
    pub(super) fn series(&mut self, line: &Line<'a>) -> Result<(), EpanetError> {
        let name = line.word(0)?;
        if line.section == "CURVES" {
            let (x, y) = (line.number(1)?, line.number(2)?);
            let curves = &mut self.network.curves;
            let place = *self.curves.entry(name).or_insert(curves.len());
            if place == curves.len() {
                curves.push(Curve { name: name.to_owned(), x: Vec::new(), y: Vec::new() });
                self.curve_lines.push(line.number);
            }
            if let Some(curve) = curves.get_mut(place) {
                curve.x.push(x);
                curve.y.push(y);
            }
            return Ok(());
        }
        line.word(1)?;
        let patterns = &mut self.network.patterns;
        let place = *self.patterns.entry(name).or_insert(patterns.len());
        if place == patterns.len() {
            patterns.push(Pattern { name: name.to_owned(), factors: Vec::new() });
        }
        for at in 1..line.words.len() {
            let factor = line.number(at)?;
            if let Some(pattern) = patterns.get_mut(place) {
                pattern.factors.push(factor);
            }
        }
        Ok(())
    }

    /// Whether all curves are functions.
    pub(super) fn check_curves(&self) -> Result<(), EpanetError> {
        for (curve, line) in self.network.curves.iter().zip(&self.curve_lines) {
            if !curve.x.is_sorted_by(|a, b| a < b) {
                let problem = Problem::BadCurve { name: curve.name.clone() };
                return Err(EpanetError { line: *line, section: "CURVES", problem });
            }
        }
        Ok(())
    }

    fn add_node(&mut self, line: &Line<'a>) -> Result<String, EpanetError> {
        let name = line.word(0)?;
        if self.nodes.insert(name, self.node_lines.len()).is_some() {
            return Err(line.error(Problem::Duplicate { what: "node", name: short(name) }));
        }
        self.node_lines.push((line.number, line.section));
        Ok(name.to_owned())
    }

    /// A line of JUNCTIONS.
    pub(super) fn junction(&mut self, line: &Line<'a>) -> Result<(), EpanetError> {
        let units = self.units();
        let name = self.add_node(line)?;
        let value = |at: usize| if line.optional(at).is_some() { line.number(at) } else { Ok(0.0) };
        let elevation_ft = value(1)? / units.length;
        let base_cfs = value(2)? / units.flow;
        let pattern = self.pattern_at(line, 3)?.or(self.default_pattern);
        let demands = vec![Demand { base_cfs, pattern }];
        self.network.junctions.push(Junction { name, elevation_ft, demands, emitter: 0.0 });
        self.has_demands.push(false);
        Ok(())
    }

    /// A line of RESERVOIRS or TANKS.
    pub(super) fn store(&mut self, line: &Line<'a>) -> Result<(), EpanetError> {
        let length = self.units().length;
        let name = self.add_node(line)?;
        let elevation_ft = line.number(1)? / length;
        if line.words.len() <= 3 {
            let pattern = self.pattern_at(line, 2)?;
            self.network.stores.push(Store { name, elevation_ft, pattern, tank: None });
            return Ok(());
        }
        let (start, lowest, highest, diameter) = (line.size(2)?, line.size(3)?, line.size(4)?, line.size(5)?);
        let least_volume = if line.optional(6).is_some() { line.size(6)? } else { 0.0 };
        let volume = line.optional(7).map(|_| self.curve_at(line, 7)).transpose()?;
        let overflows = match line.optional(8) {
            Some(word) if is(word, "YES") => true,
            Some(word) if !is(word, "NO") => return Err(line.unknown(8)),
            _ => false,
        };
        if diameter == 0.0 && volume.is_none() {
            // A tank without a cross-section is a reservoir at its bottom's head.
            self.network.stores.push(Store { name, elevation_ft, pattern: None, tank: None });
            return Ok(());
        }
        let bad = || line.error(Problem::BadTank { name: name.clone() });
        if !(lowest <= start && start <= highest) {
            return Err(bad());
        }
        let cubic = self.units().volume();
        let mut area_ft2 = circle(diameter / length);
        let volumes = match volume.and_then(|curve| self.network.curves.get(curve)) {
            Some(curve) => {
                let (Some(first), Some(last)) = (curve.x.first(), curve.x.last()) else { return Err(bad()) };
                if lowest < *first
                    || highest > *last
                    || curve.x.len() < 2
                    || !curve.y.is_sorted_by(|a, b| a < b)
                {
                    return Err(bad());
                }
                let rise = curve.y[curve.y.len() - 1] - curve.y[0];
                area_ft2 = (rise / cubic) / ((last - first) / length);
                [lowest, start, highest].map(|level| interpolate(&curve.x, &curve.y, level) / cubic)
            }
            None => {
                let lowest_ft3 =
                    if least_volume > 0.0 { least_volume / cubic } else { area_ft2 * lowest / length };
                [lowest, start, highest].map(|level| lowest_ft3 + area_ft2 * (level - lowest) / length)
            }
        };
        let [start_ft, lowest_ft, highest_ft] =
            [start, lowest, highest].map(|level| elevation_ft + level / length);
        let [lowest_ft3, start_ft3, highest_ft3] = volumes;
        let tank = Tank {
            start_ft,
            lowest_ft,
            highest_ft,
            area_ft2,
            lowest_ft3,
            highest_ft3,
            start_ft3,
            volume,
            overflows,
        };
        self.network.stores.push(Store { name, elevation_ft, pattern: None, tank: Some(tank) });
        Ok(())
    }

    /// A line of PIPES, PUMPS or VALVES.
    pub(super) fn link(&mut self, line: &Line<'a>) -> Result<(), EpanetError> {
        let name = line.word(0)?;
        let (from, to) = (self.node_at(line, 1)?, self.node_at(line, 2)?);
        if from == to {
            return Err(line.error(Problem::Loop { name: short(name) }));
        }
        let kind = LinkKind::Pipe { length_ft: 0.0, roughness: 0.0, check_valve: false };
        let mut link = Link {
            name: name.to_owned(),
            from,
            to,
            diameter_ft: 0.0,
            minor_loss: 0.0,
            kind,
            status: Status::Open,
            setting: None,
        };
        match line.section {
            "PIPES" => self.pipe(line, &mut link)?,
            "PUMPS" => self.pump(line, &mut link)?,
            _ => self.valve(line, &mut link)?,
        }
        if self.links.insert(name, self.network.links.len()).is_some() {
            return Err(line.error(Problem::Duplicate { what: "link", name: short(name) }));
        }
        self.network.links.push(link);
        Ok(())
    }

    fn pipe(&self, line: &Line<'a>, link: &mut Link) -> Result<(), EpanetError> {
        let units = self.units();
        let length_ft = line.positive(3)? / units.length;
        link.diameter_ft = line.positive(4)? / units.diameter;
        let mut roughness = line.positive(5)?;
        if self.network.options.head_loss == HeadLoss::DarcyWeisbach {
            roughness /= 1_000.0 * units.length;
        }
        let mut check_valve = false;
        let mut status = |at: usize| -> Option<Status> {
            let word = line.words.get(at)?;
            check_valve = is(word, "CV");
            match word {
                _ if check_valve || is(word, "OPEN") => Some(Status::Open),
                _ if is(word, "CLOSED") => Some(Status::Closed),
                _ => None,
            }
        };
        let mut coefficient = 0.0;
        match line.words.len() {
            0..=6 => {}
            // Either a loss coefficient or a status.
            7 => match status(6) {
                Some(found) => link.status = found,
                None => coefficient = line.size(6)?,
            },
            _ => {
                coefficient = line.size(6)?;
                link.status = status(7).ok_or_else(|| line.unknown(7))?;
            }
        }
        link.minor_loss = minor_loss(coefficient, link.diameter_ft);
        link.kind = LinkKind::Pipe { length_ft, roughness, check_valve };
        Ok(())
    }

    fn pump(&self, line: &Line<'a>, link: &mut Link) -> Result<(), EpanetError> {
        let bad = |reason| line.error(Problem::BadPump { name: short(line.words[0]), reason });
        let (mut speed, mut curve, mut pattern) = (1.0, None, None);
        if line.words.get(3).is_some_and(|word| number(word).is_some()) {
            curve = Some(self.old_pump_curve(line)?);
        } else {
            for at in (3..line.words.len()).step_by(2) {
                let key = line.words[at];
                match key {
                    _ if is(key, "POWE") => {
                        let power_hp = line.positive(at + 1)? / self.units().power;
                        // A head curve, wherever it stands, wins.
                        curve = curve.or(Some(PumpCurve::Power { power_hp }));
                    }
                    _ if is(key, "HEAD") => {
                        curve = Some(self.pump_curve(line, self.curve_at(line, at + 1)?)?)
                    }
                    _ if is(key, "PATT") => pattern = self.pattern_at(line, at + 1)?,
                    _ if is(key, "SPEE") => speed = line.size(at + 1)?,
                    _ => return Err(line.unknown(at)),
                }
            }
        }
        let curve = curve.ok_or_else(|| bad("has neither a head curve nor a power"))?;
        link.setting = Some(speed);
        link.kind = LinkKind::Pump { curve, pattern };
        Ok(())
    }

    fn pump_curve(&self, line: &Line<'a>, place: usize) -> Result<PumpCurve, EpanetError> {
        let bad = |reason| line.error(Problem::BadPump { name: short(line.words[0]), reason });
        let Some(curve) = self.network.curves.get(place) else { return Err(bad("has no curve")) };
        let units = self.units();
        match (curve.x.as_slice(), curve.y.as_slice()) {
            ([flow], [head]) => self.power_law(line, 1.33334 * head, (*flow, *head), (2.0 * flow, 0.0)),
            ([0.0, q1, q2], [shutoff, h1, h2]) => self.power_law(line, *shutoff, (*q1, *h1), (*q2, *h2)),
            (flows, heads) => {
                if !heads.is_sorted_by(|a, b| a > b) {
                    return Err(bad("has a head curve that does not fall"));
                }
                let (Some(first), Some(last), Some(top)) = (flows.first(), flows.last(), heads.first())
                else {
                    return Err(bad("has an empty head curve"));
                };
                Ok(PumpCurve::Points {
                    curve: place,
                    design_cfs: f64::midpoint(*first, *last) / units.flow,
                    shutoff_ft: top / units.length,
                })
            }
        }
    }

    /// h = a − b qᶜ through three points.
    fn power_law(
        &self,
        line: &Line<'a>,
        shutoff: f64,
        (q1, h1): (f64, f64),
        (q2, h2): (f64, f64),
    ) -> Result<PumpCurve, EpanetError> {
        let bad = || {
            let reason = "has a head curve that no power law fits";
            line.error(Problem::BadPump { name: short(line.words[0]), reason })
        };
        let units = self.units();
        if shutoff < TINY || shutoff - h1 < TINY || h1 - h2 < TINY || q1 < TINY || q2 - q1 < TINY {
            return Err(bad());
        }
        let exponent = libm::log((shutoff - h2) / (shutoff - h1)) / libm::log(q2 / q1);
        if !(exponent > 0.0 && exponent <= 20.0) {
            return Err(bad());
        }
        let factor = (shutoff - h1) / libm::pow(q1, exponent);
        Ok(PumpCurve::Law {
            shutoff_ft: shutoff / units.length,
            resistance: factor * libm::pow(units.flow, exponent) / units.length,
            exponent,
            design_cfs: q1 / units.flow,
        })
    }

    /// The numbers of version 1: power, or design head and flow, or shutoff head and two points.
    fn old_pump_curve(&self, line: &Line<'a>) -> Result<PumpCurve, EpanetError> {
        let at = |place: usize| line.number(place);
        match line.words.len() {
            4 => Ok(PumpCurve::Power { power_hp: line.positive(3)? / self.units().power }),
            5 => self.power_law(line, 1.33334 * at(3)?, (at(4)?, at(3)?), (2.0 * at(4)?, 0.0)),
            _ => self.power_law(line, at(3)?, (at(5)?, at(4)?), (at(7)?, at(6)?)),
        }
    }

    fn valve(&self, line: &Line<'a>, link: &mut Link) -> Result<(), EpanetError> {
        let units = self.units();
        link.diameter_ft = line.positive(3)? / units.diameter;
        let word = line.word(4)?;
        let kind = match word {
            _ if is(word, "PRV") => ValveKind::PressureReducing,
            _ if is(word, "PSV") => ValveKind::PressureSustaining,
            _ if is(word, "PBV") => ValveKind::PressureBreaker,
            _ if is(word, "FCV") => ValveKind::FlowControl,
            _ if is(word, "TCV") => ValveKind::Throttle,
            _ if is(word, "GPV") => ValveKind::General { curve: self.curve_at(line, 5)? },
            _ => return Err(line.unknown(4)),
        };
        if let Some(place) = self.misplaced(kind, link.from, link.to) {
            return Err(line.error(Problem::MisplacedValve { name: short(line.words[0]), place }));
        }
        link.status = Status::Active;
        if let ValveKind::General { curve } = kind {
            if self.network.curves.get(curve).is_none_or(|curve| curve.x.len() < 2) {
                let reason = "needs a head loss curve of at least two points";
                return Err(line.error(Problem::Impossible { name: short(line.words[0]), reason }));
            }
        } else {
            let setting = if line.words.len() > 5 { line.number(5)? } else { 0.0 };
            link.setting = Some(setting / setting_unit(kind, &units));
        }
        if line.words.len() > 6 {
            link.minor_loss = minor_loss(line.size(6)?, link.diameter_ft);
        }
        link.kind = LinkKind::Valve(kind);
        Ok(())
    }

    /// Why a valve cannot stand between two nodes: what two valves would both decide has no solution.
    fn misplaced(&self, kind: ValveKind, from: usize, to: usize) -> Option<&'static str> {
        use ValveKind::{FlowControl, PressureReducing, PressureSustaining};
        if !matches!(kind, FlowControl | PressureReducing | PressureSustaining) {
            return None;
        }
        let junctions = self.network.junctions.len();
        if from >= junctions || to >= junctions {
            return Some("next to a tank or reservoir");
        }
        let clash =
            self.network.links.iter().any(|other| {
                let LinkKind::Valve(other_kind) = other.kind else { return false };
                match (other_kind, kind) {
                    (PressureReducing, PressureReducing) => {
                        other.to == to || other.to == from || other.from == to
                    }
                    (PressureSustaining, PressureSustaining) => {
                        other.from == from || other.from == to || other.to == from
                    }
                    (PressureSustaining | FlowControl, PressureReducing)
                    | (PressureSustaining, FlowControl) => other.from == to,
                    (PressureReducing | FlowControl, PressureSustaining)
                    | (PressureReducing, FlowControl) => other.to == from,
                    _ => false,
                }
            });
        clash.then_some("next to another valve that decides the same head or flow")
    }

    /// A line of DEMANDS, EMITTERS or STATUS.
    pub(super) fn adjust(&mut self, line: &Line<'a>) -> Result<(), EpanetError> {
        match line.section {
            "DEMANDS" => self.demand(line),
            "EMITTERS" => {
                let (coefficient, node) = (line.size(1)?, self.node_at(line, 0)?);
                let (units, power) = (self.units(), self.network.options.emitter_power);
                if let Some(junction) = self.network.junctions.get_mut(node)
                    && coefficient > 0.0
                {
                    junction.emitter = libm::pow(units.flow / coefficient, power) / units.pressure;
                }
                Ok(())
            }
            _ => self.status(line),
        }
    }

    fn demand(&mut self, line: &Line<'a>) -> Result<(), EpanetError> {
        if is(line.word(0)?, "MULT") {
            self.network.options.demand_multiplier = line.positive(1)?;
            return Ok(());
        }
        let (base_cfs, node) = (line.number(1)? / self.units().flow, self.node_at(line, 0)?);
        let pattern = self.pattern_at(line, 2)?.or(self.default_pattern);
        if let (Some(junction), Some(seen)) =
            (self.network.junctions.get_mut(node), self.has_demands.get_mut(node))
        {
            // The first category takes the place of the junction's own.
            if !*seen {
                junction.demands.clear();
                *seen = true;
            }
            junction.demands.push(Demand { base_cfs, pattern });
        }
        Ok(())
    }

    fn status(&mut self, line: &Line<'a>) -> Result<(), EpanetError> {
        line.word(1)?;
        let last = line.words.len() - 1;
        let word = line.last();
        let status = match word {
            _ if is(word, "OPEN") => Status::Open,
            _ if is(word, "CLOSED") => Status::Closed,
            _ => {
                line.size(last)?;
                Status::Active
            }
        };
        let value = number(word);
        if last == 1 {
            let place = self.link_at(line, 0)?;
            return self.change(line, place, status, value);
        }
        // A range of names: by number where both are numbers, else by letters.
        let (low, high) = (line.words[0], line.words[1]);
        let whole = |word: &str| word.parse::<i64>().ok().filter(|value| *value > 0);
        let bounds = whole(low).zip(whole(high));
        for place in 0..self.network.links.len() {
            let name = self.network.links[place].name.as_str();
            let inside = match bounds {
                Some((low, high)) => whole(name).is_some_and(|name| (low..=high).contains(&name)),
                None => (low..=high).contains(&name),
            };
            if inside {
                self.change(line, place, status, value)?;
            }
        }
        Ok(())
    }

    fn change(
        &mut self,
        line: &Line<'a>,
        place: usize,
        status: Status,
        value: Option<f64>,
    ) -> Result<(), EpanetError> {
        let units = self.units();
        let Some(link) = self.network.links.get_mut(place) else { return Ok(()) };
        let impossible =
            |link: &Link, reason| Err(line.error(Problem::Impossible { name: link.name.clone(), reason }));
        match &link.kind {
            LinkKind::Pipe { check_valve: true, .. } => {
                return impossible(link, "is a check valve, its status follows its flow");
            }
            LinkKind::Valve(ValveKind::General { .. }) if status == Status::Active => {
                return impossible(link, "has a curve, not a setting");
            }
            LinkKind::Pipe { .. } | LinkKind::Valve(ValveKind::General { .. }) => {
                if status != Status::Active {
                    link.status = status;
                }
            }
            LinkKind::Pump { .. } => {
                // A pump that is closed keeps its speed.
                let speed = match status {
                    Status::Active => value.unwrap_or(1.0),
                    Status::Open => 1.0,
                    _ => link.setting.unwrap_or(1.0),
                };
                link.setting = Some(speed);
                let closed = status == Status::Closed || (status == Status::Active && speed == 0.0);
                link.status = if closed { Status::Closed } else { Status::Open };
            }
            LinkKind::Valve(kind) => {
                link.setting = value
                    .filter(|_| status == Status::Active)
                    .map(|value| value / setting_unit(*kind, &units));
                link.status = status;
            }
        }
        Ok(())
    }
}

/// How many of the file's units of a valve's setting make one internal unit.
pub(super) fn setting_unit(kind: ValveKind, units: &crate::water::Units) -> f64 {
    match kind {
        ValveKind::PressureReducing | ValveKind::PressureSustaining | ValveKind::PressureBreaker => {
            units.pressure
        }
        ValveKind::FlowControl => units.flow,
        ValveKind::Throttle | ValveKind::General { .. } => 1.0,
    }
}
