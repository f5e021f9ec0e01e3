//! Somebody known who begins to do other things than they do: role drift of accounts and of clients on the wire.
//!
//! Source: a bet against the learnt mixture of each actor's actions (Shafer, J. R. Statist. Soc. A 184, 2021, §2; e-values as in Ramdas,
//! Grünwald, Vovk, Shafer, Statist. Sci. 38, 2023): with `p(a) = (c_a + ½) / (n + ½K)` the predictive law of the actor's next action (Krichevsky,
//! Trofimov, IEEE Trans. Inf. Theory 27, 1981) and q the plant-wide mixture, half of it uniform, each action multiplies the capital by
//! q(a)/p(a), whose mean is one while the actor acts as learnt. The capital is never below one (Page's restart), and log₁₀ of it is the
//! surprise. Actions are access actions by account, and function codes by client. What the actor did in the second half of the history more
//! often than in the first moves p; actors with fewer than 50 actions say nothing. Cost: two binary searches. It lies for actors whose work
//! comes in phases longer than the history.

use core::net::IpAddr;

use twinguard_types::{
    AccessOutcome, DetectorId, Event, Label, PrincipalId, Score, Symptom, Timestamp, View,
};

use crate::{
    Archive, Context, Coverage, Detail, Detector, Error, Fitted, History, Observation, Reader, Writer,
    archived, table::Table,
};

const MOST_ACTORS: usize = 1024;
const MOST_PAIRS: usize = 8192;
const FEWEST: u32 = 50;
/// Share of a bet that is laid; the rest is kept, so that no single action decides.
const STAKE: f64 = 0.5;
const MOST_NATS: f64 = 40.0;

/// Role drift.
#[derive(Clone, Copy, Debug, Default)]
pub struct Roles;

/// An account, or a client's address.
type Actor = (Option<IpAddr>, PrincipalId);
/// An access action, or a function code.
type Action = (Label, u16);

/// What is known of an actor, and its capital.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    count: u32,
    nats: f64,
    odd: u32,
    since: Timestamp,
}

archived!(Known { count, nats, odd, since });

struct State {
    id: DetectorId,
    actors: Table<Actor, Known>,
    pairs: Table<(Actor, Action), u32>,
    actions: Table<Action, u32>,
    samples: usize,
}

archived!(State { id, actors, pairs, actions, samples });

fn deed(event: &Event<'_>) -> Option<(Actor, Action, Timestamp, Option<IpAddr>)> {
    match event {
        Event::Access(access) if access.outcome == AccessOutcome::Granted => {
            Some(((None, access.principal), (access.action, 0), access.at, access.from))
        }
        Event::Exchange(exchange) => {
            let client = exchange.client.ip();
            let actor = (Some(client), PrincipalId::default());
            Some((actor, (exchange.family, exchange.function), exchange.at, Some(client)))
        }
        _ => None,
    }
}

impl State {
    fn learn(&mut self, actor: Actor, action: Action) {
        let counted = self.pairs.entry((actor, action), || 0).map(|count| *count = count.saturating_add(1));
        if counted.is_some() {
            self.samples += 1;
            if let Some(known) = self.actors.entry(actor, Known::default) {
                known.count = known.count.saturating_add(1);
            }
            if let Some(all) = self.actions.entry(action, || 0) {
                *all = all.saturating_add(1);
            }
        }
    }

    /// How much more probable the action is for anybody than for this actor, in nats.
    fn bet(&self, known: &Known, actor: Actor, action: Action) -> f64 {
        // one more kind than was seen: the one that nobody has done yet
        let kinds = self.actions.len() as f64 + 1.0;
        let own = f64::from(self.pairs.get(&(actor, action)).copied().unwrap_or(0));
        let p = (own + 0.5) / (f64::from(known.count) + 0.5 * kinds);
        let anybody = f64::from(self.actions.get(&action).copied().unwrap_or(0)) / self.samples.max(1) as f64;
        let q = 0.5 * anybody + 0.5 / kinds;
        libm::log(1.0 - STAKE + STAKE * q / p)
    }
}

impl Detector for Roles {
    fn name(&self) -> &'static str {
        "roles"
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
        let mut state = State {
            id: context.id,
            actors: Table::new(MOST_ACTORS),
            pairs: Table::new(MOST_PAIRS),
            actions: Table::new(MOST_PAIRS),
            samples: 0,
        };
        history
            .events()
            .filter_map(|event| deed(&event))
            .for_each(|(actor, action, ..)| state.learn(actor, action));
        Ok(Box::new(state))
    }
    fn restore(&self, reader: &mut Reader<'_>) -> Result<Box<dyn Fitted>, Error> {
        Ok(Box::new(State::load(reader)?))
    }
}

impl Fitted for State {
    fn observe(&mut self, event: &Event<'_>) -> Option<Observation<'_>> {
        let (actor, action, at, from) = deed(event)?;
        let known = *self.actors.get(&actor).filter(|known| known.count >= FEWEST)?;
        let nats = self.bet(&known, actor, action);
        let held = self.actors.get_mut(&actor)?;
        if held.nats == 0.0 {
            (held.since, held.odd) = (at, 0);
        }
        held.nats = (held.nats + nats).clamp(0.0, MOST_NATS);
        held.odd = held.odd.saturating_add(u32::from(nats > 0.0));
        let surprise = held.nats / core::f64::consts::LN_10;
        let (onset, detail) =
            ((surprise > 0.0).then_some(held.since), Detail::Count { count: held.odd, from });
        let score = Score { at, detector: self.id, symptom: Symptom::Identity, surprise, attribution: &[] };
        Some(Observation { score, detail, onset })
    }
    fn coverage(&self) -> Coverage {
        match self.samples {
            0 => Coverage::Silent("nobody does anything in the history"),
            samples => Coverage::Calibrated { samples, excursions: 0 },
        }
    }
    fn save(&self, writer: &mut Writer) {
        Archive::save(self, writer);
    }
}

#[cfg(test)]
mod tests {
    use twinguard_types::{Access, Catalogue};

    use super::*;
    use crate::{Recording, testing};

    /// Account 1 reads and now and then writes, account 2 does everything.
    fn access(k: i64, account: u32, action: &'static str) -> Event<'static> {
        Event::Access(Access {
            at: Timestamp::from_secs(k),
            principal: PrincipalId(account),
            action: Label::literal(action),
            outcome: AccessOutcome::Granted,
            from: None,
        })
    }

    fn fitted() -> Box<dyn Fitted> {
        let mut recording = Recording::new();
        let all = ["read", "write", "configure", "export"];
        for k in 0..4000_i64 {
            recording.push(&access(k, 1, if k % 40 == 0 { "write" } else { "read" }));
            recording.push(&access(k, 2, all[(k * 7919 % 4) as usize]));
        }
        let catalogue = Catalogue::new();
        Roles
            .fit(&recording.history(), &Context { id: DetectorId(0), catalogue: &catalogue, seed: 1 })
            .unwrap()
    }

    #[test]
    fn a_reader_that_configures_is_seen_and_an_engineer_is_not() {
        let mut state = fitted();
        let mut at = |k, account, action| state.observe(&access(k, account, action)).unwrap().score.surprise;
        for k in 0..400 {
            assert!(at(k, 1, if k % 40 == 0 { "write" } else { "read" }) < 2.0);
            assert!(at(k, 2, "configure") < 5.0, "one kind of its own work");
        }
        let loudest = (0..4).map(|k| at(500 + k, 1, "configure")).fold(0.0, f64::max);
        assert!(loudest > 7.0, "{loudest}");
    }

    #[test]
    fn the_capital_is_fair() {
        // the mean of q/p under p is one, so the mean of the capital's factor is one at most
        let recorded = fitted();
        let mut writer = Writer::new();
        recorded.save(&mut writer);
        let bytes = writer.finish();
        let state = State::load(&mut Reader::new(&bytes)).unwrap();
        let actor = (None, PrincipalId(1));
        let known = *state.actors.get(&actor).unwrap();
        let kinds = state.actions.len() as f64 + 1.0;
        let mut mean = 0.0;
        for action in ["read", "write", "configure", "export", "never seen"] {
            let action = (Label::literal(action), 0);
            let own = f64::from(state.pairs.get(&(actor, action)).copied().unwrap_or(0));
            let p = (own + 0.5) / (f64::from(known.count) + 0.5 * kinds);
            mean += p * libm::exp(state.bet(&known, actor, action));
        }
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn strangers_and_quiet_plants_are_not_judged() {
        let mut state = fitted();
        assert!(state.observe(&access(1, 77, "read")).is_none());
        let plant = testing::fit(&Roles, testing::Plant::new(1).run(4_000));
        assert!(!matches!(plant.coverage(), Coverage::Silent(_)));
        let mut plant = plant;
        assert!(testing::loudest(&mut *plant, &mut testing::Plant::new(2), 2_000) < 4.0);
    }
}
