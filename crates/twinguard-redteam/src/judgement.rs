//! What can be said of an attack before it runs: whether it is possible, whether anybody could see it, and what nobody
//! could tell it from. Pure functions of plant, attack and resources; no run enters.
//!
//! Source: F. Pasqualetti, F. Dörfler, F. Bullo, "Attack detection and identification in cyber-physical systems", IEEE
//! TAC 58(11), 2013, §III: undetectable is what the outputs of the attacked and the untouched plant share; signatures and
//! their angles as in [`Isolability`](twinguard_twin::isolability::Isolability).

use twinguard_twin::isolability::Profile;
use twinguard_types::{Cause, Suspect};

use crate::profile::{Channel, Family, Onset, Requirement, Visibility};
use crate::theory;
use crate::{Entry, Error, Ground, Resources, Target, Trace, Views};

/// What is known of one attack at one plant.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Whether the attacker has what it needs, and the plant as well.
    pub feasible: bool,
    /// Whether it leaves anything that a defender with these views could see.
    pub detectable: bool,
    /// Parties that its evidence cannot be told from, beyond those who are right.
    pub ambiguity: Vec<Suspect>,
}

impl Judgement {
    /// Judges an attack at a plant, for an attacker with these resources and a defender with these views.
    ///
    /// ```
    /// use twinguard_redteam::{Entry, Ground, Judgement, Resources, Views};
    ///
    /// let ground = Ground::named("quadruple_tank")?;
    /// let bias = Entry::named("bias").ok_or("no such attack")?;
    /// let judged = Judgement::of(&ground, bias, &Resources::ALL, &Views::ALL)?;
    /// assert!(judged.feasible && judged.detectable);
    /// let mode = Entry::named("mode_change").ok_or("no such attack")?;
    /// assert!(!Judgement::of(&ground, mode, &Resources::ALL, &Views::ALL)?.feasible, "it has no such register");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Ground`] when the plant has nothing to aim at.
    pub fn of(ground: &Ground, entry: &Entry, resources: &Resources, views: &Views) -> Result<Self, Error> {
        let target = ground.target(ground.window(1_000, 1_000), 0)?;
        Ok(Self::at(ground, entry, &target, resources, views))
    }

    /// The same for an aim of the attacker's choice.
    #[must_use]
    pub fn at(ground: &Ground, entry: &Entry, target: &Target, resources: &Resources, views: &Views) -> Self {
        let feasible = resources.cover(&entry.needs) && meets(target, entry.requires);
        Self {
            feasible,
            detectable: feasible && visible(ground, target, entry, views),
            ambiguity: ambiguity(ground, target, entry),
        }
    }
}

/// Whether the plant has what the attack requires.
fn meets(target: &Target, requirement: Requirement) -> bool {
    match requirement {
        Requirement::Nothing => true,
        Requirement::SetPoint => !target.set_points.is_empty(),
        Requirement::Mode => target.mode.is_some(),
        Requirement::Limit => {
            target.sensors.iter().any(|place| place.band.0.is_finite() || place.band.1.is_finite())
        }
        Requirement::Pair => crate::attacks::swap::partner(target).is_some(),
        Requirement::Model => target.plant.dynamics.is_some(),
        Requirement::UnstableZero => theory::hidden_motion(target).is_some(),
        Requirement::SlowMode => theory::slow_motion(target).is_some(),
    }
}

/// Whether a defender with these views is shown this trace of an attack.
fn shown(entry: &Entry, trace: Trace, views: &Views) -> bool {
    match trace {
        Trace::Timing | Trace::Malformed => views.wire,
        Trace::Repeat => true,
        // A stranger on the network logs in nowhere.
        Trace::Identity => {
            views.wire || (views.access && entry.needs.disruption.contains(&Channel::Accounts))
        }
        Trace::Provenance => views.wire && views.journal,
        Trace::Seal => views.attestation > 0,
        Trace::Vendor => views.vendor,
    }
}

fn visible(ground: &Ground, target: &Target, entry: &Entry, views: &Views) -> bool {
    let by_trace = entry.traces.iter().any(|trace| shown(entry, *trace, views));
    let off = |times: f64, onset| {
        let rest = at_rest(target).unwrap_or(0.0);
        let off = times * (target.actuator.decode(target.injected) - rest).abs();
        off >= least(ground, Cause::ActuatorOffset(target.actuator.signal), onset)
    };
    match entry.visibility {
        Visibility::Never => false,
        // Who sees no message of a false command still sees the plant follow it.
        Visibility::Facts => by_trace || (entry.family == Family::Commands && off(1.0, Onset::Step)),
        Visibility::Noise => target.sensor.sigma >= 0.5 || by_trace,
        Visibility::Motion => target.plant.name.starts_with("robot_arm") || by_trace,
        Visibility::Sensor(times, onset) => {
            let error = (times * target.bias * target.sensor.scale).abs();
            by_trace || error >= least(ground, Cause::SensorBias(target.sensor.signal), onset)
        }
        Visibility::Actuator(times, onset) => by_trace || off(times, onset),
    }
}

/// What the aimed actuator is commanded at rest, by the plant file.
fn at_rest(target: &Target) -> Option<f64> {
    let dynamics = target.plant.dynamics.as_ref()?;
    let input = dynamics.inputs.iter().position(|signal| *signal == Some(target.actuator.signal))?;
    dynamics.input_defaults.get(input).copied()
}

fn profile(onset: Onset) -> Profile {
    match onset {
        Onset::Step => Profile::Step,
        Onset::Ramp => Profile::Ramp,
    }
}

/// The least size of a cause that the meters tell; infinite for one that leaves no trace or that nobody computes.
fn least(ground: &Ground, cause: Cause, onset: Onset) -> f64 {
    let found = ground.isolability().and_then(|meters| {
        let at = meters.causes().iter().position(|known| *known == cause)?;
        meters.size(profile(onset), at)
    });
    found.unwrap_or(f64::INFINITY)
}

/// Parties whose signature is parallel to the attack's, at once or slowly.
fn ambiguity(ground: &Ground, target: &Target, entry: &Entry) -> Vec<Suspect> {
    let cause = match entry.visibility {
        Visibility::Sensor(..) => Cause::SensorBias(target.sensor.signal),
        Visibility::Actuator(..) => Cause::ActuatorOffset(target.actuator.signal),
        _ => return Vec::new(),
    };
    let Some(meters) = ground.isolability() else { return Vec::new() };
    let Some(own) = meters.causes().iter().position(|known| *known == cause) else { return Vec::new() };
    let mut parties = Vec::new();
    for profile in [Profile::Step, Profile::Ramp] {
        for (one, other, _) in meters.pairs(profile) {
            let partner = if one == own {
                other
            } else if other == own {
                one
            } else {
                continue;
            };
            parties.extend(meters.causes().get(partner).map(|cause| party(*cause)));
        }
    }
    parties.retain(|party| !entry.parties.contains(party));
    parties.sort_unstable();
    parties.dedup();
    parties
}

/// Whom a cause accuses.
fn party(cause: Cause) -> Suspect {
    match cause {
        Cause::SensorBias(_) => Suspect::Sensor,
        Cause::ActuatorOffset(_) => Suspect::Actuator,
        Cause::Disturbance(_) => Suspect::None,
        _ => Suspect::Fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ATTACKS;

    #[test]
    fn theory_is_never_detectable_and_facts_need_their_view() {
        let ground = Ground::named("quadruple_tank").unwrap();
        let judge = |name: &str, views: &Views| {
            Judgement::of(&ground, Entry::named(name).unwrap(), &Resources::ALL, views).unwrap()
        };
        for entry in ATTACKS.iter().filter(|entry| entry.visibility == Visibility::Never) {
            assert!(!judge(entry.name, &Views::ALL).detectable, "{}", entry.name);
        }
        let blind = Views { attestation: 0, ..Views::ALL };
        assert!(judge("model_tamper", &Views::ALL).detectable && !judge("model_tamper", &blind).detectable);
        let no_vendor = Views { vendor: false, ..Views::ALL };
        assert!(!judge("feed_poison", &no_vendor).detectable);
        let no_wire = Views { wire: false, ..Views::ALL };
        let seen =
            ["scan", "stolen_credential", "command_injection"].map(|name| judge(name, &no_wire).detectable);
        assert_eq!(seen, [false, true, true]);
    }

    #[test]
    fn nobody_does_what_needs_more_than_they_have() {
        let ground = Ground::named("boiler").unwrap();
        let replay = Entry::named("replay").unwrap();
        let deaf = Resources { disclosure: &[], ..Resources::ALL };
        assert!(!Judgement::of(&ground, replay, &deaf, &Views::ALL).unwrap().feasible);
    }

    #[test]
    fn judgements_repeat() {
        let ground = Ground::named("cooling_loop").unwrap();
        for entry in ATTACKS {
            let judge = || Judgement::of(&ground, entry, &Resources::ALL, &Views::ALL).unwrap();
            assert_eq!(judge(), judge());
        }
    }
}
