//! Simple controls and rules.
//!
//! Source: EPANET 2.2 Users Manual, appendix C.2, sections CONTROLS and RULES.

use super::{
    Draft, EpanetError, Problem,
    elements::setting_unit,
    text::{Line, hours, is, number, seconds, short},
};
use crate::water::{
    Action, ActionTo, Control, LinkKind, Operand, Premise, Relation, Rule, Status, Subject, ValveKind, When,
};

/// Which clause of a rule came last.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Outside,
    Named,
    If,
    Then,
    Else,
    Priority,
}

impl<'a> Draft<'a> {
    /// A line of CONTROLS.
    pub(super) fn control(&mut self, line: &Line<'a>) -> Result<(), EpanetError> {
        if line.words.last().is_some_and(|word| is(word, "DISABLED")) {
            return Ok(());
        }
        let link = self.link_at(line, 1)?;
        let word = line.word(2)?;
        let state = match word {
            _ if is(word, "OPEN") => Some(ActionTo::Open),
            _ if is(word, "CLOSED") => Some(ActionTo::Closed),
            _ => None,
        };
        let to = state.map_or_else(|| line.number(2).map(ActionTo::Setting), Ok)?;
        let to = self.action(line, link, to)?;
        let is_pump = matches!(self.network.links[link].kind, LinkKind::Pump { .. });
        let (status, setting) = match to {
            ActionTo::Open => (Status::Open, is_pump.then_some(1.0)),
            ActionTo::Closed => (Status::Closed, is_pump.then_some(0.0)),
            ActionTo::Setting(0.0) if is_pump => (Status::Closed, Some(0.0)),
            ActionTo::Setting(speed) if is_pump => (Status::Open, Some(speed)),
            ActionTo::Setting(setting) => (Status::Active, Some(setting)),
        };
        let kind = line.word(4)?;
        let when = if is(kind, "TIME") || is(kind, "CLOCKTIME") {
            let unit = line.words.get(6).copied().unwrap_or_default();
            let at_s = hours(line.word(5)?, unit).and_then(seconds);
            let at_s = at_s.ok_or_else(|| line.error(Problem::NotATime { word: short(line.words[5]) }))?;
            if is(kind, "TIME") { When::Time { at_s } } else { When::Clock { at_s: at_s % 86_400 } }
        } else {
            let node = self.node_at(line, 5)?;
            let units = self.units();
            let unit = if node < self.network.junctions.len() { units.pressure } else { units.length };
            let head_ft = self.network.elevation_ft(node).unwrap_or_default() + line.number(7)? / unit;
            match line.word(6)? {
                word if is(word, "BELOW") => When::Below { node, head_ft },
                word if is(word, "ABOVE") => When::Above { node, head_ft },
                _ => return Err(line.unknown(6)),
            }
        };
        self.network.controls.push(Control { link, status, setting, when });
        Ok(())
    }

    /// What a link can be made to do, in internal units.
    fn action(&self, line: &Line<'a>, link: usize, to: ActionTo) -> Result<ActionTo, EpanetError> {
        let link = &self.network.links[link];
        let impossible = |reason| line.error(Problem::Impossible { name: link.name.clone(), reason });
        match (&link.kind, to) {
            (LinkKind::Pipe { check_valve: true, .. }, _) => {
                Err(impossible("is a check valve, its status follows its flow"))
            }
            (LinkKind::Valve(ValveKind::General { .. }), ActionTo::Setting(_)) => {
                Err(impossible("has a curve, not a setting"))
            }
            (_, ActionTo::Setting(value)) if value < 0.0 => {
                Err(line.error(Problem::OutOfRange { word: short(&value.to_string()) }))
            }
            (LinkKind::Pipe { .. }, ActionTo::Setting(0.0)) => Ok(ActionTo::Closed),
            (LinkKind::Pipe { .. }, ActionTo::Setting(_)) => Ok(ActionTo::Open),
            (LinkKind::Valve(kind), ActionTo::Setting(value)) => {
                Ok(ActionTo::Setting(value / setting_unit(*kind, &self.network.units)))
            }
            (_, to) => Ok(to),
        }
    }

    /// All lines of RULES.
    pub(super) fn rules<'l>(&mut self, lines: impl Iterator<Item = &'l Line<'a>>) -> Result<(), EpanetError>
    where
        'a: 'l,
    {
        let mut state = State::Outside;
        let mut enabled = true;
        let mut rule: Option<Rule> = None;
        for line in lines {
            let word = line.word(0)?;
            if is(word, "RULE") {
                self.network.rules.extend(rule.take().filter(|_| enabled));
                enabled = true;
                rule = Some(Rule {
                    name: line.word(1)?.to_owned(),
                    premises: Vec::new(),
                    then: Vec::new(),
                    otherwise: Vec::new(),
                    priority: 0.0,
                });
                state = State::Named;
                continue;
            }
            let misplaced = || line.error(Problem::MisplacedClause { word: short(word) });
            let Some(rule) = rule.as_mut() else { return Err(misplaced()) };
            match (state, word) {
                (State::Named, word) if is(word, "IF") => {
                    state = State::If;
                    rule.premises.push(self.premise(line, false)?);
                }
                (State::If, word) if is(word, "AND") => rule.premises.push(self.premise(line, false)?),
                (State::If, word) if is(word, "OR") => rule.premises.push(self.premise(line, true)?),
                (State::If, word) if is(word, "THEN") => {
                    state = State::Then;
                    rule.then.push(self.consequence(line)?);
                }
                (State::Then, word) if is(word, "AND") => rule.then.push(self.consequence(line)?),
                (State::Then, word) if is(word, "ELSE") => {
                    state = State::Else;
                    rule.otherwise.push(self.consequence(line)?);
                }
                (State::Else, word) if is(word, "AND") => rule.otherwise.push(self.consequence(line)?),
                (State::Then | State::Else, word) if is(word, "PRIO") => {
                    state = State::Priority;
                    rule.priority = line.number(1)?;
                }
                (State::Then | State::Else | State::Priority, word) if is(word, "DISABLED") => {
                    enabled = false
                }
                _ => return Err(misplaced()),
            }
        }
        self.network.rules.extend(rule.filter(|_| enabled));
        Ok(())
    }

    /// `IF object id variable relation value` or `IF SYSTEM variable relation value`.
    fn premise(&self, line: &Line<'a>, or: bool) -> Result<Premise, EpanetError> {
        const NODES: [&str; 4] = ["NODE", "JUNC", "RESE", "TANK"];
        const LINKS: [&str; 4] = ["LINK", "PIPE", "PUMP", "VALV"];
        let object = line.word(1)?;
        let among = |words: &[&str]| words.iter().any(|word| is(object, word));
        let (variable, rest) = if is(object, "SYST") { (line.word(2)?, 3) } else { (line.word(3)?, 4) };
        let subject = if is(object, "SYST") {
            match variable {
                _ if is(variable, "DEMA") => Subject::SystemDemand,
                _ if is(variable, "TIME") => Subject::Time,
                _ if is(variable, "CLOCKTIME") => Subject::ClockTime,
                _ => return Err(line.unknown(2)),
            }
        } else if among(&NODES) {
            let node = self.node_at(line, 2)?;
            let is_store = node >= self.network.junctions.len();
            match variable {
                _ if is(variable, "DEMA") => Subject::Demand(node),
                _ if is(variable, "HEAD") || is(variable, "GRADE") => Subject::Head(node),
                _ if is(variable, "LEVEL") => Subject::Level(node),
                _ if is(variable, "PRES") => Subject::Pressure(node),
                _ if is(variable, "FILL") && is_store => Subject::FillTime(node),
                _ if is(variable, "DRAI") && is_store => Subject::DrainTime(node),
                _ => return Err(line.unknown(3)),
            }
        } else if among(&LINKS) {
            let link = self.link_at(line, 2)?;
            match variable {
                _ if is(variable, "FLOW") => Subject::Flow(link),
                _ if is(variable, "STAT") => Subject::Status(link),
                _ if is(variable, "SETT") => Subject::Setting(link),
                _ => return Err(line.unknown(3)),
            }
        } else {
            return Err(line.unknown(1));
        };
        let word = line.word(rest)?;
        let relation = match word {
            "=" => Relation::Equal,
            "<>" => Relation::Unequal,
            "<=" => Relation::AtMost,
            ">=" => Relation::AtLeast,
            "<" => Relation::Below,
            ">" => Relation::Above,
            _ if is(word, "IS") => Relation::Equal,
            _ if is(word, "NOT") => Relation::Unequal,
            _ if is(word, "BELOW") => Relation::Below,
            _ if is(word, "ABOVE") => Relation::Above,
            _ => return Err(line.unknown(rest)),
        };
        let operand = line.word(rest + 1)?;
        let status = [("OPEN", Status::Open), ("CLOSED", Status::Closed), ("ACTIVE", Status::Active)];
        let status = status.into_iter().find(|(word, _)| is(operand, word));
        let value = match (subject, status) {
            (Subject::Time | Subject::ClockTime, _) => {
                let unit = line.words.get(rest + 2).copied().unwrap_or_default();
                let at = hours(operand, unit).and_then(seconds);
                let at = at.ok_or_else(|| line.error(Problem::NotATime { word: short(operand) }))?;
                Operand::Number(at as f64)
            }
            (Subject::Status(_) | Subject::Setting(_) | Subject::Flow(_), Some((_, status))) => {
                Operand::Status(status)
            }
            (Subject::FillTime(_) | Subject::DrainTime(_), None) => {
                Operand::Number(line.number(rest + 1)? * 3_600.0)
            }
            (_, None) => Operand::Number(line.number(rest + 1)?),
            (_, Some(_)) => return Err(line.unknown(rest + 1)),
        };
        if let (Subject::Status(_), Operand::Number(_)) = (subject, value) {
            return Err(line.unknown(rest + 1));
        }
        Ok(Premise { or, subject, relation, value })
    }

    /// `THEN LINK id variable IS value`.
    fn consequence(&self, line: &Line<'a>) -> Result<Action, EpanetError> {
        let link = self.link_at(line, 2)?;
        let word = line.word(5)?;
        let to = match word {
            _ if is(word, "OPEN") => ActionTo::Open,
            _ if is(word, "CLOSED") => ActionTo::Closed,
            _ => ActionTo::Setting(
                number(word).ok_or_else(|| line.error(Problem::NotANumber { word: short(word) }))?,
            ),
        };
        Ok(Action { link, to: self.action(line, link, to)? })
    }
}
