//! Access that is refused again and again, or by somebody who was never there.
//!
//! Source: sequential test of failed connections (Jung, Paxson, Berger, Balakrishnan, IEEE Symposium on Security and
//! Privacy 2004, threshold random walk) as a CUSUM of their rate; new principals with the rate at which the history
//! shows new ones. It lies for an intruder who uses a known account at a usual place.

use core::net::IpAddr;

use twinguard_types::{Access, AccessOutcome, DetectorId, Event, Label, PrincipalId, Score, Symptom, View};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Rare, Reader, Writer,
    archived, table::Table, tail::Burst,
};

/// Refused and unknown access.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

type Key = (PrincipalId, Label, Option<IpAddr>);

struct State {
    id: DetectorId,
    known: Table<Key, u8>,
    refused: Burst,
    strange: Burst,
    count: u32,
    events: usize,
}

archived!(State { id, known, refused, strange, count, events });

fn key(access: &Access) -> Key {
    (access.principal, access.action, access.from)
}

impl Detector for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }
    fn symptom(&self) -> Symptom {
        Symptom::Identity
    }
    fn needs(&self) -> Option<View> {
        Some(View::Access)
    }
    fn at_once(&self) -> bool {
        true
    }
    fn fit(&self, history: &History<'_>, context: &Context<'_>) -> Result<Box<dyn Fitted>, Error> {
        let mut known = Table::new(4096);
        let (mut refused, mut strange, mut events) = (0, 0, 0);
        let half = history.len() / 2;
        for (place, event) in history.events().enumerate() {
            let Event::Access(access) = event else { continue };
            events += 1;
            if access.outcome != AccessOutcome::Granted {
                refused += 1;
                continue;
            }
            strange += usize::from(place >= half && known.get(&key(&access)).is_none());
            known.entry(key(&access), || 0);
        }
        let days = history.days();
        Ok(Box::new(State {
            id: context.id,
            known,
            refused: Burst::new(Rare::new(refused, days)),
            strange: Burst::new(Rare::new(strange, days / 2.0)),
            count: 0,
            events,
        }))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let Event::Access(access) = event else { return None };
        let odd = match access.outcome {
            AccessOutcome::Granted if self.events < 20 || self.known.get(&key(access)).is_some() => None,
            AccessOutcome::Granted => Some(self.strange.hit(access.at)),
            _ => Some(self.refused.hit(access.at)),
        };
        let (surprise, since) = odd.unwrap_or((0.0, access.at));
        self.count = if odd.is_some() { self.count.saturating_add(1) } else { self.count };
        let detail = Detail::Count { count: self.count, from: access.from };
        let (at, detector) = (access.at, self.id);
        let score = Score { at, detector, symptom: Symptom::Identity, surprise, attribution: &[] };
        Some(Observation { score, detail, onset: odd.map(|_| since) })
    }
    fn coverage(&self) -> Coverage {
        match self.events {
            0 => Coverage::Assumed,
            samples => Coverage::Calibrated { samples, excursions: 0 },
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Access, AccessOutcome, Event, Label, PrincipalId, Timestamp};

    use crate::testing::{self, Plant};

    #[test]
    fn repeated_refusals_grow_surprising() {
        let mut fitted = testing::fit(&super::Identity, Plant::new(1).run(1_000));
        let mut last = 0.0;
        for second in 0..8 {
            let access = Access {
                at: Timestamp::from_secs(5_000 + second),
                principal: PrincipalId(7),
                action: Label::literal("login"),
                outcome: AccessOutcome::Refused,
                from: None,
            };
            last = fitted.observe(&Event::Access(access)).unwrap().score.surprise;
        }
        assert!(last > 7.0, "{last}");
    }
}
