//! Who may write what: default deny, forbid outweighs allow, every decision names its rule.
//!
//! Source: NIST SP 800-207 §2.1 (tenets 4 and 6: access by policy, per request), IEC 62443-3-3 SR 2.1
//! (authorisation enforcement); the order "forbid overrides allow, nothing is allowed by default" as in Cedar.

use core::net::IpAddr;
use std::collections::VecDeque;

use twinguard_twin::plant::{Effect, Plant, Rule, Verb};
use twinguard_types::{Duration, Principal, PrincipalKind, Range, SignalId, Timestamp};

use crate::{Error, Identities};

/// What is asked of the policy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) from: Option<IpAddr>,
    pub(crate) signal: SignalId,
    pub(crate) value: f64,
    pub(crate) mode: &'a str,
}

/// What the policy says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ruling {
    /// Allowed by a rule; a second person may be needed.
    Allowed { rule: String, two_person: bool },
    /// Refused, and why.
    Refused { reason: String },
}

/// The rules of a plant, indexed by signal.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    /// Per signal, the rules that speak of it; forbidding ones first.
    by_signal: Vec<Vec<usize>>,
    /// Values that this guard itself may write.
    own: Vec<(SignalId, f64)>,
    /// Per rule, the instants of the last commands that it let through.
    recent: Vec<VecDeque<Timestamp>>,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Policy {
    /// The policy of a plant file: its rules, and for this guard's own commands the safe state.
    ///
    /// # Errors
    /// [`Error::UnknownSignal`] when a rule names a signal outside the plant's catalogue.
    pub fn from_plant(plant: &Plant) -> Result<Self, Error> {
        let mut by_signal = vec![Vec::new(); plant.catalogue.len()];
        let mut order: Vec<usize> = (0..plant.rules.len()).collect();
        order.sort_by_key(|index| plant.rules.get(*index).is_none_or(|rule| rule.effect != Effect::Forbid));
        for index in order {
            let Some(rule) = plant.rules.get(index) else { continue };
            for signal in &rule.signals {
                by_signal
                    .get_mut(signal.index())
                    .ok_or_else(|| Error::UnknownSignal { rule: rule.name.clone() })?
                    .push(index);
            }
        }
        Ok(Self {
            recent: vec![VecDeque::new(); plant.rules.len()],
            rules: plant.rules.clone(),
            by_signal,
            own: plant.safe_state.clone(),
        })
    }

    pub(crate) fn rule(&mut self, now: Timestamp, request: &Request<'_>, identities: &Identities) -> Ruling {
        if request.principal.kind == PrincipalKind::Guard {
            return self.own_command(request);
        }
        let mut nearest_miss = None;
        let candidates = self.by_signal.get(request.signal.index()).map(Vec::as_slice).unwrap_or_default();
        for &index in candidates {
            let Some(rule) = self.rules.get(index) else { continue };
            if !rule.verbs.contains(&Verb::Write) || !who_matches(rule, request, identities) {
                continue;
            }
            match (rule.effect, miss(rule, now, request)) {
                (Effect::Forbid, None) => {
                    return Ruling::Refused { reason: format!("rule `{}` forbids it", rule.name) };
                }
                (Effect::Forbid, Some(_)) => {}
                (Effect::Allow, Some(reason)) => nearest_miss = nearest_miss.or(Some(reason)),
                (Effect::Allow, None) => {
                    let Some(recent) = self.recent.get_mut(index) else { continue };
                    if let Some(limit) = rule.commands_per_minute {
                        while recent.front().is_some_and(|at| *at + MINUTE <= now) {
                            recent.pop_front();
                        }
                        if recent.len() as f64 >= limit {
                            let reason = format!(
                                "rule `{}` allows {limit} commands a minute, which are used up",
                                rule.name
                            );
                            nearest_miss = nearest_miss.or(Some(reason));
                            continue;
                        }
                        recent.push_back(now);
                    }
                    return Ruling::Allowed { rule: rule.name.clone(), two_person: rule.two_person };
                }
            }
        }
        Ruling::Refused {
            reason: nearest_miss.unwrap_or_else(|| "no rule lets this sender write this signal".to_owned()),
        }
    }

    /// Whether a rule of this name speaks of this principal: by role and by name, wherever they are.
    pub(crate) fn entitles(&self, rule: &str, principal: &Principal) -> bool {
        let speaks_of = |rule: &Rule| {
            (rule.roles.is_empty() || rule.roles.iter().any(|role| principal.has_role(role)))
                && (rule.principals.is_empty()
                    || rule.principals.iter().any(|name| **name == *principal.name))
        };
        principal.kind != PrincipalKind::Guard
            && self.rules.iter().any(|it| it.name == rule && it.two_person && speaks_of(it))
    }

    /// Per rule, the instants of the last commands that it let through.
    pub(crate) fn recent(&self) -> &[VecDeque<Timestamp>] {
        &self.recent
    }

    /// The same of a policy of the same rules.
    pub(crate) fn set_recent(&mut self, recent: Vec<VecDeque<Timestamp>>) -> Result<(), Error> {
        if recent.len() != self.rules.len() {
            return Err(Error::State { reason: "it is of a plant with other rules" });
        }
        self.recent = recent;
        Ok(())
    }

    fn own_command(&self, request: &Request<'_>) -> Ruling {
        match self.own.iter().find(|(signal, _)| *signal == request.signal) {
            Some((_, safe)) if *safe == request.value => {
                Ruling::Allowed { rule: "safe state of the plant file".to_owned(), two_person: false }
            }
            Some((_, safe)) => Ruling::Refused {
                reason: format!("the safe value of the plant file is {safe}, nothing else may be written"),
            },
            None => {
                Ruling::Refused { reason: "the plant file names no safe value for this signal".to_owned() }
            }
        }
    }

    /// Whether any rule is there; without rules every command is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

fn who_matches(rule: &Rule, request: &Request<'_>, identities: &Identities) -> bool {
    let zones = rule.zones.is_empty()
        || request.from.is_some_and(|from| {
            identities.zones(from).any(|zone| rule.zones.iter().any(|wanted| wanted == zone))
        });
    let roles = rule.roles.is_empty() || rule.roles.iter().any(|role| request.principal.has_role(role));
    let named = (rule.principals.is_empty() && rule.networks.is_empty())
        || rule.principals.iter().any(|name| **name == *request.principal.name)
        || request.from.is_some_and(|from| rule.networks.iter().any(|network| network.contains(from)));
    zones && roles && named
}

/// Why a rule that fits the sender and the signal does not fit this command; `None` when it does.
fn miss(rule: &Rule, now: Timestamp, request: &Request<'_>) -> Option<String> {
    if !rule.modes.is_empty() && !rule.modes.iter().any(|mode| mode == request.mode) {
        return Some(format!("rule `{}` does not hold in this mode", rule.name));
    }
    if !rule.windows.is_empty() && !rule.windows.iter().any(|window| window.contains(now)) {
        return Some(format!("rule `{}` does not hold at this hour", rule.name));
    }
    let outside = |range: &Range| !range.contains(request.value);
    if let Some(range) = rule.range.as_ref().filter(|range| outside(range)) {
        let (value, min, max) = (request.value, range.min(), range.max());
        return Some(format!("{value} is outside {min} to {max}, which rule `{}` allows", rule.name));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANT: &str = r#"
        format = 1
        name = "p"
        [[signal]]
        path = "valve"
        role = "actuator"
        [[signal]]
        path = "pump"
        role = "actuator"
        [[principal]]
        name = "plc"
        roles = ["controller"]
        addresses = ["10.0.0.10"]
        [[rule]]
        name = "controller writes"
        effect = "allow"
        roles = ["controller"]
        verbs = ["write"]
        signals = ["*"]
        range = [0.1, 1.0]
        commands_per_minute = 2
        [[rule]]
        name = "never a closed pump"
        effect = "forbid"
        verbs = ["write"]
        signals = ["pump"]
        range = [0.0, 0.2]
        [safe_state]
        valve = 1.0
    "#;

    fn ask(policy: &mut Policy, plant: &Plant, from: &str, path: &str, value: f64, secs: i64) -> Ruling {
        let identities = Identities::from_plant(plant);
        let from: IpAddr = from.parse().unwrap();
        let principal = identities.identify(from);
        let signal = plant.catalogue.id(path).unwrap();
        let request = Request { principal: &principal, from: Some(from), signal, value, mode: "" };
        policy.rule(Timestamp::from_secs(secs), &request, &identities)
    }

    fn refused(ruling: Ruling) -> String {
        match ruling {
            Ruling::Refused { reason } => reason,
            Ruling::Allowed { rule, .. } => panic!("allowed by {rule}"),
        }
    }

    #[test]
    fn default_is_deny_and_forbid_outweighs() {
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let mut policy = Policy::from_plant(&plant).unwrap();
        let mut ask = |from, path, value, secs| ask(&mut policy, &plant, from, path, value, secs);
        assert!(matches!(ask("10.0.0.10", "valve", 0.5, 0), Ruling::Allowed { .. }));
        assert_eq!(refused(ask("10.0.0.66", "valve", 0.5, 0)), "no rule lets this sender write this signal");
        assert_eq!(
            refused(ask("10.0.0.10", "valve", 0.05, 0)),
            "0.05 is outside 0.1 to 1, which rule `controller writes` allows"
        );
        assert_eq!(refused(ask("10.0.0.10", "pump", 0.15, 0)), "rule `never a closed pump` forbids it");
    }

    #[test]
    fn rates_are_kept_over_a_sliding_minute() {
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let mut policy = Policy::from_plant(&plant).unwrap();
        let allowed: Vec<bool> = [0, 1, 2, 59, 60, 61, 62]
            .into_iter()
            .map(|secs| {
                matches!(ask(&mut policy, &plant, "10.0.0.10", "valve", 0.5, secs), Ruling::Allowed { .. })
            })
            .collect();
        assert_eq!(allowed, [true, true, false, false, true, true, false]);
    }

    #[test]
    fn this_guard_may_write_the_safe_state_and_nothing_else() {
        let plant = Plant::parse(PLANT, "plant.toml").unwrap();
        let mut policy = Policy::from_plant(&plant).unwrap();
        let guard = Principal::new("twinguard").kind(PrincipalKind::Guard);
        let mut own = |path: &str, value| {
            let signal = plant.catalogue.id(path).unwrap();
            let request = Request { principal: &guard, from: None, signal, value, mode: "" };
            policy.rule(Timestamp::ZERO, &request, &Identities::default())
        };
        assert!(matches!(own("valve", 1.0), Ruling::Allowed { .. }));
        assert!(matches!(own("valve", 0.9), Ruling::Refused { .. }));
        assert!(matches!(own("pump", 1.0), Ruling::Refused { .. }));
    }
}
