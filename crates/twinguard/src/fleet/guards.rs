//! Assets that have a guard of their own.

use twinguard_types::Timestamp;

use super::{Fleet, TenantId, named, refuse};
use crate::{Error, Guard, Input, Output};

/// Most guards in a fleet.
const GUARDS: usize = 1 << 16;

/// An asset with a guard of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GuardId(u32);

#[derive(Debug)]
pub(super) struct Watched {
    pub(super) tenant: TenantId,
    pub(super) name: Box<str>,
    pub(super) guard: Guard,
}

impl Fleet {
    /// Gives an asset a guard of its own: wire, physics, gate and responses as far as its plant file and its tenant's platform have them.
    ///
    /// Build the guards of one kind from clones of one plant: what never changes of a model is shared. A guard's journal is the one that it was
    /// built with; it is no other tenant's.
    ///
    /// ```
    /// use twinguard::fleet::{Fleet, Quota};
    /// use twinguard::{Guard, Input, twin::Plant, types::Timestamp};
    ///
    /// let plant = Plant::parse("format = 1\nname = \"tank\"\n[[signal]]\npath = \"level\"\n", "plant.toml")?;
    /// let mut fleet = Fleet::new();
    /// let north = fleet.tenant("north", Quota::default(), None)?;
    /// let tank = fleet.guard(north, "tank 3", Guard::builder_unsealed(plant).build()?)?;
    /// assert!(fleet.tell_guard(tank, Timestamp::from_secs(1), Input::Tick)?);
    /// # Ok::<(), twinguard::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fleet`] for an unknown tenant, a name that the tenant has already, or more assets than its quota or the fleet allows.
    pub fn guard(&mut self, tenant: TenantId, name: &str, guard: Guard) -> Result<GuardId, Error> {
        named("asset", name)?;
        if self.guards.len() == GUARDS {
            return Err(refuse(format!("more than {GUARDS} guards")));
        }
        let owner = self.tenants.get_mut(tenant.0 as usize).ok_or_else(|| refuse("no such tenant"))?;
        owner.enter(name)?;
        self.guards.push(Watched { tenant, name: name.into(), guard });
        Ok(GuardId(self.guards.len() as u32 - 1))
    }

    /// Tells a guard what happened; false where its tenant's quota refuses the input, which is counted. An error is that guard's alone.
    ///
    /// # Errors
    /// [`Error::Fleet`] for a guard that the fleet does not have; else as [`Guard::handle`].
    pub fn tell_guard(&mut self, id: GuardId, now: Timestamp, input: Input<'_>) -> Result<bool, Error> {
        let watched = self.guards.get_mut(id.0 as usize).ok_or_else(|| refuse("no such guard"))?;
        let owner = self.tenants.get_mut(watched.tenant.0 as usize);
        if !owner.is_some_and(|owner| owner.spend(now, true)) {
            return Ok(false);
        }
        watched.guard.handle(now, input)?;
        Ok(true)
    }

    /// The next answer of a guard.
    pub fn poll_guard(&mut self, id: GuardId) -> Option<Output> {
        self.guards.get_mut(id.0 as usize)?.guard.poll()
    }

    /// A guard, to ask it.
    #[must_use]
    pub fn guard_of(&self, id: GuardId) -> Option<&Guard> {
        self.guards.get(id.0 as usize).map(|watched| &watched.guard)
    }

    /// A guard, to change its plant file or to sign its journal.
    pub fn guard_of_mut(&mut self, id: GuardId) -> Option<&mut Guard> {
        self.guards.get_mut(id.0 as usize).map(|watched| &mut watched.guard)
    }

    /// The guards of a tenant with the names of their assets, in the order in which they were entered.
    pub fn guards(&self, tenant: TenantId) -> impl Iterator<Item = (GuardId, &str)> {
        let own = self.guards.iter().zip(0..).filter(move |(watched, _)| watched.tenant == tenant);
        own.map(|(watched, at)| (GuardId(at), &*watched.name))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use twinguard_anomaly::suite::{Suite, Training};
    use twinguard_protocol::{Frame, LinkType};
    use twinguard_twin::Plant;
    use twinguard_types::{Digest, Duration, Finding, Point, SignalId, Source, Value};

    use super::super::{MemberId, Quota, Reading, Usage};
    use super::*;
    use crate::Builder;

    const PLANT: &str = r#"format = 1
name = "two tanks"
[[signal]]
path = "upper.level"
range = [0, 4]
sigma = 0.01
[[signal]]
path = "lower.level"
[[limit]]
signal = "lower.level"
max = 3.5
[time]
sampling_s = 1
"#;

    pub(in crate::fleet) fn builder() -> Builder {
        Guard::builder_unsealed(Plant::parse(PLANT, "plant.toml").unwrap())
    }

    /// Two levels that follow each other; from second 3,100 on the lower one lies where `wrong`.
    fn levels(second: i64, wrong: bool) -> [Point; 2] {
        let noise = |salt: i64| ((second * 7919 + salt * 104_729) % 997) as f64 / 997.0 - 0.5;
        let upper = 2.0 + (second as f64 / 300.0).sin() + 0.02 * noise(1);
        let lower = 3.0 - 0.5 * upper + 0.02 * noise(2) + if wrong && second > 3_100 { 0.5 } else { 0.0 };
        let at = Timestamp::from_secs(second);
        let point =
            |signal, value: f64| Point::new(SignalId(signal), Value::real(value).unwrap(), Source::Field, at);
        [point(0, upper), point(1, lower)]
    }

    pub(in crate::fleet) fn suite() -> Arc<Suite> {
        let values: Vec<f64> = (0..3_000).flat_map(row).collect();
        Arc::new(Suite::fit(&Training { channels: 2, values: &values, times: None }).unwrap())
    }

    fn row(second: i64) -> [f64; 2] {
        levels(second, false).map(|point| point.value.as_f64())
    }

    /// A fleet of three tenants, each with two assets and a guard that has learnt.
    pub(in crate::fleet) fn fleet(suite: &Arc<Suite>) -> (Fleet, Vec<TenantId>) {
        let learn = |guard: &mut Guard| {
            for second in 0..3_000 {
                guard.handle(Timestamp::from_secs(second), Input::Points(&levels(second, false)))?;
                while guard.poll().is_some() {}
            }
            Ok(())
        };
        let learnt = builder().learn(learn).unwrap().build().unwrap().snapshot().unwrap();
        let mut fleet = Fleet::new();
        let model = fleet.model(suite.clone(), &["upper", "lower"], Duration::from_secs(1), 0.01).unwrap();
        let quota = Quota { assets: 3, readings_per_second: 6.0, queue: 64 };
        let tenants: Vec<TenantId> =
            (0..3).map(|at| fleet.tenant(&format!("tenant {at}"), quota, None).unwrap()).collect();
        for tenant in &tenants {
            for asset in ["pump", "fan"] {
                fleet.asset(*tenant, asset, model).unwrap();
            }
            fleet.guard(*tenant, "tanks", builder().restore(&learnt).unwrap()).unwrap();
        }
        (fleet, tenants)
    }

    /// What a tenant hears: findings of its assets, answers of its guard, what it used; and the root of its journal and of its guard's.
    pub(in crate::fleet) type Heard = (Vec<Finding>, Vec<Output>, Usage, [Digest; 2]);

    /// Runs seconds of all tenants; the lower level of the second one lies; the third is told garbage where `poisoned`.
    pub(in crate::fleet) fn run(
        fleet: &mut Fleet,
        tenants: &[TenantId],
        seconds: core::ops::Range<i64>,
        poisoned: bool,
    ) -> Vec<Heard> {
        let mut answers = vec![Vec::new(); tenants.len()];
        for second in seconds {
            let at = Timestamp::from_secs(second);
            for (place, tenant) in tenants.iter().enumerate() {
                let id = fleet.guard_named(*tenant, "tanks").unwrap();
                let assets: Vec<MemberId> = fleet.assets(*tenant).map(|(id, _)| id).collect();
                if poisoned && place == 2 {
                    let bytes: Vec<u8> = (0..200).map(|byte| (byte * second % 251) as u8).collect();
                    let link = LinkType::Ethernet;
                    let frame =
                        Frame { index: 0, at: Timestamp::MIN, link, bytes: &bytes, original_len: 9_999 };
                    let huge = Value::real(1e300).unwrap();
                    let points =
                        [0, 1, 77].map(|signal| Point::new(SignalId(signal), huge, Source::Field, at));
                    for _ in 0..10 {
                        let _ = fleet.tell_guard(id, Timestamp::MAX, Input::Frame(&frame));
                        let _ = fleet.tell_guard(id, at, Input::Points(&points));
                    }
                    for asset in assets {
                        let values = [f64::NAN, f64::INFINITY];
                        fleet.handle(at, &[Reading { asset, at, values: &values }]).unwrap();
                    }
                    continue;
                }
                assert!(fleet.tell_guard(id, at, Input::Points(&levels(second, place == 1))).unwrap());
                answers[place].extend(core::iter::from_fn(|| fleet.poll_guard(id)));
                for asset in assets {
                    let values = row(second);
                    fleet.handle(at, &[Reading { asset, at, values: &values }]).unwrap();
                }
            }
        }
        let heard = |(tenant, answers): (&TenantId, Vec<Output>)| {
            let findings = core::iter::from_fn(|| fleet.poll(*tenant)).collect();
            let guard = fleet.guard_of(fleet.guard_named(*tenant, "tanks").unwrap()).unwrap();
            let roots = [fleet.evidence(*tenant).unwrap().root(), guard.evidence().root()];
            (findings, answers, fleet.usage(*tenant).unwrap(), roots)
        };
        tenants.iter().zip(answers).map(heard).collect()
    }

    #[test]
    fn a_poisoned_tenants_guard_changes_nothing_elsewhere() {
        let suite = suite();
        let [calm, poisoned] = [false, true].map(|poisoned| {
            let (mut fleet, tenants) = fleet(&suite);
            run(&mut fleet, &tenants, 3_000..3_300, poisoned)
        });
        assert_eq!(calm[..2], poisoned[..2], "findings, answers, usage, journals of the others");
        let finds = |heard: &Heard| heard.1.iter().any(|output| matches!(output, Output::Finding(_)));
        assert!(!finds(&calm[0]) && finds(&calm[1]));
        assert!(poisoned[2].2.refused > 0);
    }

    #[test]
    fn guards_count_against_the_quota() {
        let (mut fleet, tenants) = fleet(&suite());
        let told = fleet.guard(tenants[0], "one more", builder().build().unwrap()).unwrap_err().to_string();
        assert_eq!(told, "fleet: tenant `tenant 0` has as many assets as it may");
        let told = fleet.tell_guard(GuardId(9), Timestamp::ZERO, Input::Tick).unwrap_err().to_string();
        assert_eq!(told, "fleet: no such guard");
        let id = fleet.guard_named(tenants[0], "tanks").unwrap();
        // Six a second: sixty at once, no more.
        let at = Timestamp::from_secs(3_000);
        let taken = (0..100).filter(|_| fleet.tell_guard(id, at, Input::Tick).unwrap()).count();
        assert_eq!((taken, fleet.usage(tenants[0]).unwrap().refused), (60, 40));
    }
}
