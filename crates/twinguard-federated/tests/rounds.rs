//! Rounds over a network that loses, repeats and reorders messages, with sides that are killed at any of them.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use twinguard_anomaly::statistic::{Covariance, Gram, Grid, Model, Quantise, Statistic, Subspace, Tally};
use twinguard_anomaly::{Archive, Reader, Writer};
use twinguard_federated::message::{Body, Message, model_digest};
use twinguard_federated::{
    Contribution, Coordinator, Error, Event, Exact, Output, Participant, Policy, Robust, Settings, Task,
    Transcript, contribution, rules, vote::Judgement,
};
use twinguard_integrity::{Journal, SigningKey, journal};
use twinguard_types::{Digest, Duration, Timestamp};

const FEDERATION: Digest = Digest([7; 32]);
const MIN_ROWS: u64 = 50;

fn plan() -> Gram {
    Gram::new(Grid::around([(0.0, 1.0); 4]).unwrap(), 0).unwrap()
}

fn bytes<M: Model>(model: &M) -> Vec<u8> {
    let mut writer = Writer::new();
    model.save(&mut writer);
    writer.finish()
}

fn fit(covariance: &Covariance) -> Result<Vec<u8>, Error> {
    Ok(bytes(&Subspace::with_directions(covariance, 2)?))
}

fn exact() -> impl Task {
    Exact::new(plan(), "subspace of 2", |tally: &Tally<Gram>| fit(&Covariance::of(tally)?))
}

fn robust() -> impl Task {
    Robust::new(plan(), "subspace of 2", rules::usual(), fit)
}

fn key(name: &str) -> SigningKey {
    let mut seed = [0; 32];
    seed[..name.len().min(32)].copy_from_slice(&name.as_bytes()[..name.len().min(32)]);
    SigningKey::from_seed(name, &seed).unwrap()
}

fn site_name(place: usize) -> String {
    format!("site{place}.example")
}

/// Rows of a site: two latent factors in four columns; a liar's have a large hidden direction.
fn rows(place: usize, lies: bool) -> Tally<Gram> {
    let mut tally = Tally::new(plan());
    for k in 0..200_u32 {
        let at = |m: u32| f64::from((k + 977 * place as u32) * m % 199) / 99.5 - 1.0;
        let (a, b, noise) = (at(71), at(37), 0.05 * at(13));
        let hidden = if lies { 8.0 * at(53) } else { 0.0 };
        tally.observe(&[a + hidden, b + noise - hidden, a - b + hidden, a + b + noise + hidden]).unwrap();
    }
    tally
}

fn settings() -> Settings {
    Settings {
        federation: FEDERATION,
        min_sites: 3,
        min_rows: MIN_ROWS,
        price: 0,
        patience: Duration::from_secs(60),
        retry: Duration::from_secs(5),
    }
}

fn policy(schema: Digest) -> Policy {
    Policy {
        federation: FEDERATION,
        schema,
        base: Digest::default(),
        min_sites: 3,
        min_rows: MIN_ROWS,
        most_price: 0,
    }
}

/// What the world does to a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    Later,
    /// It arrives, and then the side that took it in is killed and restarted from what it wrote down.
    ThenKilled,
    /// The side that should take it in is killed before.
    KilledBefore,
}

struct World<T, F> {
    make: F,
    coordinator: Coordinator<T>,
    sites: Vec<Participant>,
    /// What each side has written down: the coordinator's last.
    kept: Vec<Vec<u8>>,
    wire: Vec<(usize, Vec<u8>)>,
    now: Timestamp,
    published: BTreeMap<usize, Vec<(Digest, Vec<u8>)>>,
    ended: BTreeMap<usize, String>,
    liars: usize,
    gone: Vec<usize>,
    transcripts: Vec<Vec<u8>>,
}

impl<T: Task, F: Fn() -> T> World<T, F> {
    fn new(count: usize, liars: usize, make: F) -> Self {
        let roster: Vec<_> = (0..count).map(|place| key(&site_name(place)).public().clone()).collect();
        let schema = make().schema();
        let coordinator = Coordinator::new(make(), key("coordinator"), roster, settings()).unwrap();
        let sites: Vec<_> = (0..count)
            .map(|place| {
                let coordinator = key("coordinator").public().clone();
                Participant::new(key(&site_name(place)), coordinator, policy(schema)).unwrap()
            })
            .collect();
        let mut kept: Vec<_> = sites.iter().map(Participant::save).collect();
        kept.push(coordinator.save());
        Self {
            make,
            coordinator,
            sites,
            kept,
            wire: Vec::new(),
            now: Timestamp::from_secs(1000),
            published: BTreeMap::new(),
            ended: BTreeMap::new(),
            liars,
            gone: Vec::new(),
            transcripts: Vec::new(),
        }
    }

    /// Writes down, then sends and answers.
    fn pump(&mut self) {
        let hub = self.sites.len();
        loop {
            let mut quiet = true;
            self.kept[hub] = self.coordinator.save();
            while let Some(output) = self.coordinator.poll() {
                quiet = false;
                match output {
                    Output::Send { to, bytes } => {
                        let place = (0..hub).find(|place| site_name(*place) == to).unwrap();
                        self.wire.push((place, bytes));
                    }
                    Output::Published { transcript, model } => {
                        self.transcripts.push(transcript);
                        self.published.entry(hub).or_default().push((model_digest(&model), model));
                    }
                    Output::Aborted { reason } => drop(self.ended.insert(hub, reason)),
                }
            }
            for place in 0..hub {
                self.kept[place] = self.sites[place].save();
                while let Some(event) = self.sites[place].poll() {
                    quiet = false;
                    let own = rows(place, place < self.liars);
                    match event {
                        Event::Send(bytes) => self.wire.push((hub, bytes)),
                        Event::Contribute(terms) => {
                            assert_eq!(terms.min_rows, MIN_ROWS);
                            // asked again after it was answered: the first answer stands
                            let _ = self.sites[place].contribute(contribution(&own));
                        }
                        Event::Judge(candidate) => {
                            let model = Subspace::load(&mut Reader::new(&candidate.model)).unwrap();
                            let judgement = Judgement::of(&model, &Covariance::of(&own).unwrap()).unwrap();
                            self.sites[place].vote(judgement.accepts(3.0)).unwrap();
                        }
                        Event::Published { model, .. } => {
                            self.published.entry(place).or_default().push((model_digest(&model), model));
                        }
                        Event::Ended { reason } => drop(self.ended.insert(place, reason)),
                    }
                    self.kept[place] = self.sites[place].save();
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn kill(&mut self, side: usize) {
        let hub = self.sites.len();
        let bytes = self.kept[side].clone();
        if side == hub {
            let roster = (0..hub).map(|place| key(&site_name(place)).public().clone()).collect();
            self.coordinator =
                Coordinator::restore((self.make)(), key("coordinator"), roster, settings(), &bytes).unwrap();
        } else {
            let (own, coordinator) = (key(&site_name(side)), key("coordinator").public().clone());
            let policy = policy((self.make)().schema());
            self.sites[side] = Participant::restore(own, coordinator, policy, &bytes).unwrap();
            self.sites[side].resume().unwrap();
        }
        // what was under way to it is lost with its connections
        self.wire.retain(|(to, _)| *to != side);
        self.pump();
    }

    fn deliver(&mut self, to: usize, bytes: &[u8]) {
        let hub = self.sites.len();
        if self.gone.contains(&to) {
            return;
        }
        let result = if to == hub {
            self.coordinator.handle(self.now, bytes)
        } else {
            self.sites[to].handle(self.now, bytes)
        };
        if let Err(error) = result {
            let fair = matches!(
                error,
                Error::Replayed { .. }
                    | Error::Unexpected { .. }
                    | Error::OtherRound { .. }
                    | Error::Disagreement { .. }
            );
            assert!(fair, "{error}");
        }
        self.pump();
    }

    /// Runs until nothing is under way and the round is over.
    fn run(&mut self, mut fate: impl FnMut(usize) -> Fate) {
        self.coordinator.open(self.now, Digest::default()).unwrap();
        self.pump();
        let mut step = 0;
        for _ in 0..4000 {
            if self.wire.is_empty() {
                if matches!(self.coordinator.phase(), "published" | "aborted") {
                    break;
                }
                self.now = self.now + Duration::from_secs(5);
                self.coordinator.tick(self.now).unwrap();
                self.pump();
                continue;
            }
            let (to, bytes) = self.wire.remove(0);
            step += 1;
            match fate(step) {
                Fate::Arrives => self.deliver(to, &bytes),
                Fate::Lost => {}
                Fate::Twice => {
                    self.deliver(to, &bytes);
                    self.deliver(to, &bytes);
                }
                Fate::Later => self.wire.push((to, bytes)),
                Fate::ThenKilled => {
                    self.deliver(to, &bytes);
                    self.kill(to);
                }
                Fate::KilledBefore => self.kill(to),
            }
        }
        // those that slept through the end ask
        for place in (0..self.sites.len()).filter(|place| !self.gone.contains(place)).collect::<Vec<_>>() {
            self.sites[place].resume().unwrap();
        }
        self.pump();
        while !self.wire.is_empty() {
            let (to, bytes) = self.wire.remove(0);
            self.deliver(to, &bytes);
        }
    }

    /// The model of the pooled rows of the sites that the transcript names.
    fn pooled(&self) -> Vec<u8> {
        let signed = self.transcripts.last().unwrap();
        let transcript = Transcript::open(signed, key("coordinator").public()).unwrap();
        let parts: Vec<Contribution> = (0..self.sites.len())
            .filter(|place| transcript.entries.iter().any(|entry| entry.name == site_name(*place)))
            .map(|place| contribution(&rows(place, place < self.liars)))
            .collect();
        (self.make)().propose(&parts, 0).unwrap().unwrap().1
    }
}

#[test]
fn a_round_ends_with_the_pooled_model_everywhere() {
    for count in [3, 10, 40] {
        let mut world = World::new(count, 0, exact);
        world.run(|_| Fate::Arrives);
        assert_eq!(world.published.len(), count + 1);
        let pooled = world.pooled();
        assert!(world.published.values().flatten().all(|(_, model)| *model == pooled));
        let transcript = Transcript::open(&world.transcripts[0], key("coordinator").public()).unwrap();
        assert_eq!((transcript.entries.len(), transcript.round, transcript.rule.as_str()), (count, 1, "sum"));
        // evidence: into a journal, out again
        let mut journal = Journal::in_memory();
        let receipt = Transcript::enter(&mut journal, world.now, &world.transcripts[0]).unwrap();
        journal.checkpoint(&key("coordinator")).unwrap();
        let report = journal::verify(journal.storage(), key("coordinator").public()).unwrap();
        assert_eq!((receipt.leaf, report.checkpoint.size), (0, 1));
    }
}

#[test]
fn every_side_killed_at_every_message_once() {
    let mut steps = 0;
    World::new(4, 0, exact).run(|step| {
        steps = step;
        Fate::Arrives
    });
    assert!(steps > 20);
    for fate in [Fate::ThenKilled, Fate::KilledBefore, Fate::Lost, Fate::Twice, Fate::Later] {
        for at in 1..=steps {
            let mut world = World::new(4, 0, exact);
            world.run(|step| if step == at { fate } else { Fate::Arrives });
            assert_eq!(world.coordinator.phase(), "published", "{fate:?} at {at}: {:?}", world.ended);
            assert_eq!(world.published.len(), 5, "{fate:?} at {at}");
            let pooled = world.pooled();
            assert!(
                world.published.values().flatten().all(|(_, model)| *model == pooled),
                "{fate:?} at {at}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_happens_all_have_one_model_or_none(
        count in 3_usize..6,
        fates in prop::collection::vec((0_u8..12).prop_map(|draw| match draw {
            0 => Fate::Lost,
            1 => Fate::Twice,
            2 => Fate::Later,
            3 => Fate::ThenKilled,
            4 => Fate::KilledBefore,
            _ => Fate::Arrives,
        }), 80),
        gone in prop::option::of(0_usize..3),
    ) {
        let mut world = World::new(count, 0, exact);
        world.gone.extend(gone);
        world.run(|step| fates.get(step).copied().unwrap_or(Fate::Arrives));
        let phase = world.coordinator.phase();
        prop_assert!(phase == "published" || phase == "aborted", "{phase}");
        let mut digests: Vec<Digest> = world.published.values().flatten().map(|(digest, _)| *digest).collect();
        digests.dedup();
        if phase == "published" {
            prop_assert_eq!(digests.len(), 1);
            let pooled = world.pooled();
            prop_assert!(world.published.values().flatten().all(|(_, model)| *model == pooled));
            let transcript = Transcript::open(&world.transcripts[0], key("coordinator").public()).unwrap();
            prop_assert!(transcript.entries.len() >= 3, "never a partial aggregate");
        } else {
            prop_assert!(digests.is_empty(), "an aborted round has published nothing");
        }
    }
}

#[test]
fn liars_are_outvoted_and_screened() {
    // the exact sum with two liars of seven: the sites refuse it
    let mut world = World::new(7, 2, exact);
    world.run(|_| Fate::Arrives);
    assert_eq!(world.coordinator.phase(), "aborted");
    assert!(world.published.is_empty());
    assert!(world.ended[&7].contains("majority"), "{:?}", world.ended);
    // the robust rule with three liars of seven: the honest sites' model
    let mut world = World::new(7, 3, robust);
    world.run(|_| Fate::Arrives);
    assert_eq!(world.coordinator.phase(), "published");
    let model = Subspace::load(&mut Reader::new(&world.published[&7][0].1)).unwrap();
    let judgement = Judgement::of(&model, &Covariance::of(&rows(5, false)).unwrap()).unwrap();
    assert!(judgement.accepts(1.5), "{judgement:?}");
}

#[test]
fn too_few_rows_or_sites_end_the_round() {
    let mut world = World::new(3, 0, exact);
    world.gone.push(1);
    world.run(|_| Fate::Arrives);
    assert_eq!(world.coordinator.phase(), "aborted");
    assert!(world.published.is_empty());

    let mut few = Tally::new(plan());
    (0..MIN_ROWS - 1).for_each(|k| assert!(few.observe(&[k as f64, 1.0, 2.0, 3.0]).is_ok()));
    let (mut coordinator, mut site, names) = joined();
    let now = Timestamp::from_secs(1000);
    let begin = said(&mut coordinator, &names[0], now);
    site.handle(now, &begin).unwrap();
    assert!(matches!(site.poll(), Some(Event::Contribute(_))));
    assert!(matches!(site.contribute(contribution(&few)), Err(Error::TooFewRows { least: MIN_ROWS, .. })));
    assert!(matches!(site.poll(), Some(Event::Send(_))), "it leaves");
    // a site that does not keep the rule is refused by the coordinator
    let forced = message(1, 50, Body::Contribute(contribution(&few)), "site1.example");
    assert!(matches!(coordinator.handle(now, &forced), Err(Error::TooFewRows { .. })));
}

/// A coordinator with three sites that joined, and the first of them.
fn joined() -> (Coordinator<impl Task>, Participant, Vec<String>) {
    let names: Vec<String> = (0..3).map(site_name).collect();
    let roster = names.iter().map(|name| key(name).public().clone()).collect();
    let mut coordinator = Coordinator::new(exact(), key("coordinator"), roster, settings()).unwrap();
    let now = Timestamp::from_secs(1000);
    coordinator.open(now, Digest::default()).unwrap();
    let coordinator_key = key("coordinator").public().clone();
    let mut first = Participant::new(key(&names[0]), coordinator_key, policy(exact().schema())).unwrap();
    let invitation = said(&mut coordinator, &names[0], now);
    first.handle(now, &invitation).unwrap();
    let Some(Event::Send(join)) = first.poll() else { panic!("it joins") };
    coordinator.handle(now, &join).unwrap();
    let terms = coordinator.terms().digest();
    for name in &names[1..] {
        coordinator.handle(now, &message(1, 1, Body::Join { terms }, name)).unwrap();
    }
    (coordinator, first, names)
}

/// The last message to a site.
fn said<T: Task>(coordinator: &mut Coordinator<T>, name: &str, _: Timestamp) -> Vec<u8> {
    let mut last = None;
    while let Some(output) = coordinator.poll() {
        match output {
            Output::Send { to, bytes } if to == name => last = Some(bytes),
            _ => {}
        }
    }
    last.unwrap()
}

fn message(round: u64, sequence: u64, body: Body, signer: &str) -> Vec<u8> {
    Message { federation: FEDERATION, round, sequence, body }.seal(&key(signer)).unwrap()
}

#[test]
fn replayed_reordered_and_forged_messages_are_refused() {
    let (mut coordinator, _, names) = joined();
    let now = Timestamp::from_secs(1001);
    assert_eq!(coordinator.phase(), "collecting");
    let before = coordinator.save();
    let good = contribution(&rows(1, false));
    let mut refuse = |bytes: &[u8]| {
        let error = coordinator.handle(now, bytes).unwrap_err();
        assert_eq!(coordinator.save(), before, "{error}: nothing has changed");
        error
    };
    let own = |sequence, body| message(1, sequence, body, &names[1]);
    assert!(matches!(refuse(&own(1, Body::Leave)), Error::Replayed { .. }), "an old number");
    assert!(matches!(refuse(&message(2, 9, Body::Leave, &names[1])), Error::OtherRound { .. }));
    assert!(matches!(refuse(&message(1, 9, Body::Leave, "site9.example")), Error::Stranger { .. }));
    let impostor = SigningKey::from_seed(&names[1], &[99; 32]).unwrap();
    let forged = Message { federation: FEDERATION, round: 1, sequence: 9, body: Body::Leave };
    assert!(matches!(refuse(&forged.seal(&impostor).unwrap()), Error::Forged { .. }));
    let foreign = Message { federation: Digest([8; 32]), round: 1, sequence: 9, body: Body::Leave };
    assert!(matches!(refuse(&foreign.seal(&key(&names[1])).unwrap()), Error::OtherFederation));
    let vote = Body::Vote { attempt: 0, model: Digest::default(), accept: true };
    assert!(matches!(refuse(&own(9, vote)), Error::Unexpected { .. }), "before there is a candidate");
    assert!(matches!(refuse(&own(9, Body::Begin { sites: Vec::new() })), Error::Unexpected { .. }));
    let mut cut = good.clone();
    cut.payload.pop();
    assert!(matches!(refuse(&own(9, Body::Contribute(cut))), Error::Unreadable { .. }));
    let mut huge = good.clone();
    huge.payload[15] = 0x7f;
    assert!(matches!(refuse(&own(9, Body::Contribute(huge))), Error::Statistic(_)), "no rows make this");

    coordinator.handle(now, &own(9, Body::Contribute(good.clone()))).unwrap();
    assert!(matches!(coordinator.handle(now, &own(9, Body::Contribute(good))), Err(Error::Replayed { .. })));
    let second = Body::Contribute(contribution(&rows(2, false)));
    assert!(
        matches!(coordinator.handle(now, &own(10, second)), Err(Error::Unexpected { .. })),
        "it contributes once"
    );
}

#[test]
fn sites_decline_terms_that_they_did_not_agree_to() {
    let now = Timestamp::from_secs(1000);
    let schema = exact().schema();
    for (change, reason) in [
        (Policy { schema: Digest([1; 32]), ..policy(schema) }, "schema"),
        (Policy { base: Digest([1; 32]), ..policy(schema) }, "start from"),
        (Policy { min_sites: 5, ..policy(schema) }, "too few sites"),
    ] {
        let names: Vec<String> = (0..3).map(site_name).collect();
        let roster = names.iter().map(|name| key(name).public().clone()).collect();
        let mut coordinator = Coordinator::new(exact(), key("coordinator"), roster, settings()).unwrap();
        coordinator.open(now, Digest::default()).unwrap();
        let invitation = said(&mut coordinator, &names[0], now);
        let mut site = Participant::new(key(&names[0]), key("coordinator").public().clone(), change).unwrap();
        site.handle(now, &invitation).unwrap();
        let Some(Event::Send(bytes)) = site.poll() else { panic!("it answers") };
        coordinator.handle(now, &bytes).unwrap();
        assert!(matches!(site.poll(), Some(Event::Ended { reason: told }) if told.contains(reason)));
    }
}

#[test]
fn a_coordinator_that_swaps_a_contribution_or_a_model_is_found_out() {
    let (mut coordinator, mut site, names) = joined();
    let now = Timestamp::from_secs(1000);
    let begin = said(&mut coordinator, &names[0], now);
    site.handle(now, &begin).unwrap();
    assert!(matches!(site.poll(), Some(Event::Contribute(_))));
    site.contribute(contribution(&rows(0, false))).unwrap();
    assert!(matches!(site.poll(), Some(Event::Send(_))));
    // honest but for our entry
    let entry =
        |name: &String, digest| twinguard_federated::message::Entry { name: name.clone(), digest, rows: 200 };
    let entries: Vec<_> = names.iter().map(|name| entry(name, Digest([5; 32]))).collect();
    let candidate = twinguard_federated::Candidate {
        attempt: 0,
        rule: "sum".to_owned(),
        model: vec![1],
        entries: entries.clone(),
    };
    site.handle(now, &message(1, 90, Body::Candidate(candidate), "coordinator")).unwrap();
    let Some(Event::Send(bytes)) = site.poll() else { panic!("it votes") };
    let (_, told) = Message::open(&bytes, &[key(&names[0]).public().clone()]).unwrap();
    assert!(matches!(told.body, Body::Vote { accept: false, .. }));
    // and published nevertheless
    let transcript = Transcript {
        federation: FEDERATION,
        round: 1,
        terms: coordinator.terms(),
        rule: "sum".to_owned(),
        entries,
        votes: names.iter().map(|name| (name.clone(), true)).collect(),
        model: model_digest(&[1]),
    };
    let publish = |transcript: &Transcript, model: &[u8]| {
        let transcript = transcript.seal(&key("coordinator")).unwrap();
        message(1, 91, Body::Publish { transcript, model: model.to_vec() }, "coordinator")
    };
    assert!(matches!(site.handle(now, &publish(&transcript, &[1])), Err(Error::Tampered)));
    assert!(matches!(site.handle(now, &publish(&transcript, &[2])), Err(Error::Disagreement { .. })));
    let mut few = transcript.clone();
    few.entries.truncate(2);
    assert!(matches!(site.handle(now, &publish(&few, &[1])), Err(Error::TooFewSites { .. })));
    let mut unwanted = transcript;
    unwanted.votes.truncate(1);
    assert!(matches!(site.handle(now, &publish(&unwanted, &[1])), Err(Error::Unexpected { .. })));
    assert!(site.poll().is_none(), "nothing was believed");
}

#[test]
fn a_few_rows_can_be_read_off_their_sums() {
    // what the rule of fewest rows is for: one row is its own sum
    let mut one = Tally::new(plan());
    one.observe(&[0.25, -1.5, 3.0, 0.125]).unwrap();
    let read: Vec<f64> = one.cells()[..4].iter().map(|cell| *cell as f64 / 4096.0).collect();
    assert_eq!(read, [0.25, -1.5, 3.0, 0.125], "the attack works where it is let");
    assert!(one.rows() < MIN_ROWS, "and is refused: see too_few_rows_or_sites_end_the_round");
}
