//! Saving and restoring a tenant: its assets, its guards, its quotas and what waits for it.
//!
//! Form: the frame of a guard's snapshot, under a digest of its own in the plant's place, with three parts: what is small as JSON
//! text, the assets' states, the guards' snapshots, each state and snapshot after its length. Models are not in it: a model that never changes is kept
//! once, and named by its digest.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use twinguard_types::{Digest, Finding, FindingId, Timestamp};

use super::guards::Watched;
use super::{
    Fleet, GuardId, Incident, Member, MemberId, ModelId, Quota, TENANTS, Tenant, TenantId, Usage, refuse,
};
use crate::evidence::{Evidence, Head, JournalStorage};
use crate::{Builder, Error, snapshot};

/// What stands where a guard's snapshot has its plant's digest.
fn tenant_digest() -> Digest {
    Digest(*blake3::hash(b"twinguard fleet tenant").as_bytes())
}

/// The part that is JSON text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    name: String,
    quota: Quota,
    tokens: f64,
    filled: Option<Timestamp>,
    queue: VecDeque<Finding>,
    usage: Usage,
    next_finding: u64,
    journal: Head,
    members: Vec<SavedMember>,
    guards: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedMember {
    name: String,
    model: Digest,
    last: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incident: Option<Incident>,
    finding: FindingId,
}

fn put(list: &mut Vec<u8>, bytes: &[u8]) {
    list.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    list.extend_from_slice(bytes);
}

/// The next of a list; it borrows the bytes, so that a length costs nothing.
fn next<'b>(list: &mut &'b [u8]) -> Result<&'b [u8], Error> {
    let early = || snapshot::refuse("it ends too early");
    let (len, rest) = list.split_first_chunk::<8>().ok_or_else(early)?;
    let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
    let (bytes, rest) = rest.split_at_checked(len).ok_or_else(early)?;
    *list = rest;
    Ok(bytes)
}

impl Fleet {
    /// All that is one tenant's, as versioned bytes: [`Fleet::restore`] takes them, in this fleet's successor or in another one that has the
    /// models. The same state gives the same bytes. The leaves of the journals are not in it: sync them first.
    ///
    /// # Errors
    /// [`Error::Fleet`] for an unknown tenant; as [`Guard::snapshot`](crate::Guard::snapshot) of one of its guards.
    pub fn snapshot(&self, tenant: TenantId) -> Result<Vec<u8>, Error> {
        let owner = self.tenants.get(tenant.0 as usize).ok_or_else(|| refuse("no such tenant"))?;
        let (mut states, mut guards) = (Vec::new(), Vec::new());
        let (mut members, mut names) = (Vec::new(), Vec::new());
        for member in self.members.iter().filter(|member| member.tenant == tenant) {
            let model = self.models.get(member.model.0 as usize).ok_or_else(|| refuse("no such model"))?;
            let incident = member.incident.as_deref();
            members.push(SavedMember {
                name: member.name.to_string(),
                model: model.digest,
                last: member.last,
                incident: incident.map(|it| Incident { finding: it.finding.clone(), quiet: it.quiet }),
                finding: member.finding,
            });
            put(&mut states, &member.state.save());
        }
        for watched in self.guards.iter().filter(|watched| watched.tenant == tenant) {
            names.push(watched.name.to_string());
            put(&mut guards, &watched.guard.snapshot()?);
        }
        let saved = Saved {
            name: owner.name.clone(),
            quota: owner.quota,
            tokens: owner.tokens,
            filled: owner.filled,
            queue: owner.queue.clone(),
            usage: owner.usage,
            next_finding: owner.next_finding,
            journal: owner.evidence.head(),
            members,
            guards: names,
        };
        Ok(snapshot::write(tenant_digest(), &[&serde_json::to_vec(&saved)?, &states, &guards]))
    }

    /// Enters a tenant that goes on from a snapshot, with its assets and guards in their order. The models have to be entered already, with the same
    /// signals, sampling and rate; `builder` makes the builder of a guard, by the name of its asset. The storage must hold the tenant's journal;
    /// without one a new journal begins in memory. On an error the fleet is as it was.
    ///
    /// # Errors
    /// [`Error::Snapshot`] for bytes that are damaged or no tenant's; [`Error::Fleet`] for a tenant that is there already, a model that is not, or a
    /// guard without builder; as [`Builder::restore`] of a guard; from the storage.
    pub fn restore(
        &mut self,
        bytes: &[u8],
        journal: Option<JournalStorage>,
        mut builder: impl FnMut(&str) -> Option<Builder>,
    ) -> Result<TenantId, Error> {
        let [saved, mut states, mut snapshots] = snapshot::read(tenant_digest(), bytes)?;
        let saved: Saved =
            serde_json::from_slice(saved).map_err(|error| snapshot::refuse(error.to_string()))?;
        if self.tenant_names.contains(&saved.name) || self.tenants.len() == TENANTS {
            return Err(refuse(format!("tenant `{}` is known already, or there is no room", saved.name)));
        }
        let tenant = TenantId(self.tenants.len() as u32);
        let mut names = BTreeSet::new();
        let mut enter = |name: &str| {
            super::named("asset", name)?;
            let is_new = names.insert(name.to_owned());
            is_new.then_some(()).ok_or_else(|| refuse(format!("asset `{name}` is there twice")))
        };
        let (mut members, mut guards) = (Vec::new(), Vec::new());
        for SavedMember { name, model, last, incident, finding } in saved.members {
            enter(&name)?;
            let found = self.models.iter().position(|known| known.digest == model);
            let at =
                found.ok_or_else(|| refuse(format!("asset `{name}`: its model {model} is not there")))?;
            let known = self.models.get(at).ok_or_else(|| refuse("no such model"))?;
            let state = known.suite.restore_state(next(&mut states)?)?;
            let incident = incident.map(Box::new);
            let model = ModelId(at as u32);
            members.push(Member { tenant, model, name: name.into(), state, last, incident, finding });
        }
        for name in saved.guards {
            enter(&name)?;
            let builder = builder(&name).ok_or_else(|| refuse(format!("guard `{name}`: no builder")))?;
            let guard = builder.restore(next(&mut snapshots)?)?;
            guards.push(Watched { tenant, name: name.into(), guard });
        }
        if !states.is_empty() || !snapshots.is_empty() {
            return Err(snapshot::refuse("it goes on after its end"));
        }
        let given = journal.is_some();
        let mut evidence = Evidence::open(journal)?;
        evidence.resume(given, saved.journal)?;
        self.tenant_names.insert(saved.name.clone());
        self.tenants.push(Tenant {
            name: saved.name,
            names,
            evidence,
            quota: saved.quota,
            tokens: saved.tokens,
            filled: saved.filled,
            queue: saved.queue,
            usage: saved.usage,
            next_finding: saved.next_finding,
        });
        self.members.extend(members);
        self.guards.extend(guards);
        Ok(tenant)
    }

    /// The assets of a tenant without a guard of their own, with their names, in the order in which they were entered.
    pub fn assets(&self, tenant: TenantId) -> impl Iterator<Item = (MemberId, &str)> {
        let own = self.members.iter().zip(0..).filter(move |(member, _)| member.tenant == tenant);
        own.map(|(member, at)| (MemberId(at), &*member.name))
    }

    /// The guard of a tenant's asset.
    #[must_use]
    pub fn guard_named(&self, tenant: TenantId, name: &str) -> Option<GuardId> {
        self.guards(tenant).find(|(_, own)| *own == name).map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::Duration;

    use super::super::guards::tests::{builder, fleet, run, suite};
    use super::*;
    use crate::Output;

    fn successor(suite: &std::sync::Arc<twinguard_anomaly::suite::Suite>) -> Fleet {
        let mut fleet = Fleet::new();
        fleet.model(suite.clone(), &["upper", "lower"], Duration::from_secs(1), 0.01).unwrap();
        fleet
    }

    #[test]
    fn a_restored_fleet_goes_on_as_if_never_stopped() {
        let suite = suite();
        let (mut old, tenants) = fleet(&suite);
        // In the middle of what is found.
        run(&mut old, &tenants, 3_000..3_150, false);
        let saved: Vec<Vec<u8>> = tenants.iter().map(|tenant| old.snapshot(*tenant).unwrap()).collect();
        let mut new = successor(&suite);
        let again: Vec<TenantId> =
            saved.iter().map(|bytes| new.restore(bytes, None, |_| Some(builder())).unwrap()).collect();
        for (bytes, tenant) in saved.iter().zip(&again) {
            let guard = new.guard_of_mut(new.guard_named(*tenant, "tanks").unwrap()).unwrap();
            assert_eq!(guard.counters().restored, 2, "once from what was learnt, once now");
            assert!(new.snapshot(*tenant).unwrap().len() + 256 > bytes.len());
        }
        let told = |heard: Vec<super::super::guards::tests::Heard>| -> Vec<_> {
            let heard = heard.into_iter();
            // Roots and receipts are those of new journals.
            let answers = |(findings, answers, usage, _): (Vec<Finding>, Vec<Output>, Usage, _)| {
                let said = answers.into_iter().filter(|output| !matches!(output, Output::Receipt(_)));
                (findings, said.collect::<Vec<_>>(), usage)
            };
            heard.map(answers).collect()
        };
        let on = told(run(&mut old, &tenants, 3_150..3_300, false));
        assert_eq!(on, told(run(&mut new, &again, 3_150..3_300, false)));
        assert!(on.iter().any(|(.., said, _)| !said.is_empty()));
    }

    #[test]
    fn what_is_damaged_or_does_not_fit_is_refused_and_changes_nothing() {
        let suite = suite();
        let (old, tenants) = fleet(&suite);
        let bytes = old.snapshot(tenants[0]).unwrap();
        assert_eq!(bytes, old.snapshot(tenants[0]).unwrap());
        let mut new = successor(&suite);
        let refused = |fleet: &mut Fleet, bytes: &[u8]| {
            fleet.restore(bytes, None, |_| Some(builder())).unwrap_err().to_string()
        };
        for place in (0..bytes.len()).step_by(97) {
            let mut damaged = bytes.clone();
            damaged[place] ^= 4;
            refused(&mut new, &damaged);
            refused(&mut new, &bytes[..place]);
        }
        assert!(refused(&mut Fleet::new(), &bytes).contains("its model"));
        let told = new.restore(&bytes, None, |_| None).unwrap_err().to_string();
        assert_eq!(told, "fleet: guard `tanks`: no builder");
        assert!(new.tenants.is_empty() && new.members.is_empty() && new.guards.is_empty());
        new.restore(&bytes, None, |_| Some(builder())).unwrap();
        assert!(refused(&mut new, &bytes).contains("is known already"));
    }
}
