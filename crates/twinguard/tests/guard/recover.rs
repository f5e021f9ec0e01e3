//! The way back: second readings, the staged return to normal, back to the sealed model.

use twinguard::integrity::journal::Archive;
use twinguard::integrity::{Leaf, SigningKey};
use twinguard::redteam::{Range, Reaction, Sample, Scenario, Target, Views, Window, address};
use twinguard::response::recovery::{Reading, Verify};
use twinguard::types::{
    Action, ActionId, ActionKind, Duration, Finding, FindingId, FindingKind, FindingState, SignalId, Suspect,
    Timestamp,
};
use twinguard::{Evidence, Guard, Input, Operator, Output};

use crate::shared::Shared;
use crate::site::{ATTACK_S, ORIGIN, Tape, config, findings, guard, learnt, plant, poll, range};

const LIMIT_C: f64 = 140.0;

/// An attack by name that lasts so many seconds.
fn attack(name: &str, lasts_s: i64) -> Scenario {
    let start = ORIGIN + Duration::from_secs(ATTACK_S);
    let window = Window { start, end: start + Duration::from_secs(lasts_s) };
    Scenario::build(name, &Target::of(&plant(), window, address::ATTACKER).unwrap()).unwrap()
}

/// What somebody finds who goes and looks: the truth, or what stands on the wire; or something else than either.
struct Meter<'a> {
    sample: &'a Sample,
    truth: bool,
    off: f64,
    now: Timestamp,
}

impl Verify for Meter<'_> {
    fn verify(&mut self, signal: SignalId) -> Option<Reading> {
        let spoken = self.sample.signals.iter().find(|(known, _)| *known == signal)?.1;
        let value = if self.truth { spoken.truth } else { spoken.field };
        Some(Reading { value: value? + self.off, sigma: 0.1, at: self.now })
    }
}

/// Goes on for so many seconds; somebody reads again whatever is wanted.
fn go_on(tape: &mut Tape, range: &mut Range, seconds: i64, truth: bool) {
    for _ in 0..seconds {
        let sample = range.step(tape).unwrap();
        tape.peak =
            tape.peak.max(sample.truth(crate::site::signal("transformer.hotspot.temperature")).unwrap());
        let now = tape.end();
        tape.guard.read_again(now, &mut Meter { sample: &sample, truth, off: 0.0, now }).unwrap();
    }
}

fn actions(said: &[Output]) -> impl Iterator<Item = &Action> {
    said.iter().filter_map(|output| match output {
        Output::Action(action) => Some(action),
        _ => None,
    })
}

/// What was given back, in order, and when.
fn released(said: &[Output]) -> Vec<(Timestamp, ActionId)> {
    let release = |action: &Action| match action.kind {
        ActionKind::Release { action: earlier } => Some((action.at, earlier)),
        _ => None,
    };
    actions(said).filter_map(release).collect()
}

fn operator(tape: &mut Tape, word: Operator<'_>) {
    let now = tape.end();
    tape.guard.handle(now, Input::Operator(word)).unwrap();
}

fn open(said: &[Output]) -> Option<&Finding> {
    let last = |id: FindingId| findings(said).filter(|it| it.id == id).last().unwrap();
    findings(said).map(|it| last(it.id)).find(|it| it.state != FindingState::Closed)
}

/// A guard that has learnt the site, and where it keeps its journal.
fn journalled() -> (Guard, Shared) {
    let journal = Shared::default();
    let builder = Guard::builder_unsealed(plant()).config(config()).journal(journal.clone());
    (builder.restore(learnt()).unwrap(), journal)
}

/// The steps of the way back that the journal tells.
fn steps(guard: &mut Guard, journal: &Shared) -> Vec<String> {
    let key = SigningKey::from_seed("twinguard.example/test", &[7; 32]).unwrap();
    guard.evidence_mut().checkpoint(&key).unwrap();
    let archive = Archive::open(journal, key.public()).unwrap();
    let text = |leaf| {
        let entry = archive.entry(leaf).unwrap();
        let leaf = Leaf::parse(&entry).unwrap();
        (leaf.kind.as_str() == "recovery").then(|| Evidence::text(&leaf).unwrap())
    };
    (0..guard.evidence().size()).filter_map(text).collect()
}

#[test]
fn a_second_reading_says_whether_it_is_a_fault_or_an_attack() {
    let kind = |truth: Option<bool>| {
        let mut tape = Tape::new(guard(config()));
        let mut range = range(0, attack("bias", 600));
        for _ in 0..ATTACK_S + 240 {
            let sample = range.step(&mut tape).unwrap();
            let now = tape.end();
            if let Some(truth) = truth {
                tape.guard.read_again(now, &mut Meter { sample: &sample, truth, off: 0.0, now }).unwrap();
            }
        }
        let finding = findings(&tape.said).last().expect("a finding").clone();
        assert!(finding.suspect_set.contains(&Suspect::Sensor), "{:?}", finding.suspect_set);
        finding.kind
    };
    assert_eq!(kind(Some(true)), FindingKind::Attack, "the sensor says something else than the wire");
    assert_eq!(kind(Some(false)), FindingKind::Fault, "the sensor says what the wire says");
    assert_eq!(kind(None), FindingKind::Undetermined, "nobody looked");
}

/// The main attack for so long, and a little more than three minutes of it and after it.
fn attacked(lasts_s: i64) -> (Tape, Range, FindingId, Shared) {
    let (guard, journal) = journalled();
    let mut range = range(0, attack("overheat", lasts_s));
    let mut tape = Tape::new(guard);
    go_on(&mut tape, &mut range, ATTACK_S + 240, true);
    let finding = open(&tape.said).expect("an open finding").id;
    (tape, range, finding, journal)
}

/// Actions that have to be given back.
fn taken(tape: &Tape, finding: FindingId) -> Vec<ActionId> {
    let reversible = |action: &&Action| {
        action.finding == finding
            && !action.recommended_only
            && matches!(action.kind, ActionKind::Substitute { .. } | ActionKind::Command(_))
    };
    actions(&tape.said).filter(reversible).map(|action| action.id).collect()
}

/// All is given back after a word of the operator, one by one; the story in the journal.
fn given_back(word: impl FnOnce(FindingId) -> Operator<'static>) -> Vec<String> {
    let (mut tape, mut range, finding, journal) = attacked(180);
    let taken = taken(&tape, finding);
    assert!(taken.len() >= 3, "{taken:?}");
    operator(&mut tape, word(finding));
    let begun = tape.end();
    go_on(&mut tape, &mut range, 600, true);

    let (given, steps) = (released(&tape.said), steps(&mut tape.guard, &journal));
    let order: Vec<ActionId> = given.iter().map(|(_, action)| *action).collect();
    let last_first: Vec<ActionId> = taken.into_iter().rev().collect();
    assert_eq!(order, last_first, "everything but the isolation of the peer: {steps:#?}");
    let settle = config().settle;
    assert!(given[0].0 >= begun + settle && given.windows(2).all(|pair| pair[1].0 - pair[0].0 >= settle));
    assert_eq!(tape.guard.recovery(finding), None);
    assert_eq!(open(&tape.said).map(|it| &it.title), None);
    assert!(tape.peak < LIMIT_C);
    steps
}

#[test]
fn what_tells_the_truth_again_is_believed_and_all_is_given_back_step_by_step() {
    let steps = given_back(|finding| Operator::Recover { finding });
    let told = |stage: &str| steps.iter().position(|step| step.contains(stage));
    let story = ["prepared", "verified", "{\"returning\":0}", "{\"returning\":1}", "normal"].map(told);
    assert!(story.iter().all(Option::is_some) && story.is_sorted(), "{steps:#?}");
}

#[test]
fn whoever_closes_a_finding_gets_back_what_was_taken_step_by_step() {
    let steps = given_back(|finding| Operator::Close { finding, reason: "dealt with" });
    assert!(!steps.iter().any(|step| step.contains("prepared") || step.contains("aborted")), "{steps:#?}");
}

#[test]
fn while_a_sensor_says_something_else_than_the_wire_nothing_is_given_back() {
    let (mut tape, mut range, finding, _) = attacked(180);
    operator(&mut tape, Operator::Recover { finding });
    for _ in 0..60 {
        let sample = range.step(&mut tape).unwrap();
        let now = tape.end();
        tape.guard.read_again(now, &mut Meter { sample: &sample, truth: true, off: 30.0, now }).unwrap();
    }
    assert_eq!((released(&tape.said), tape.guard.recovery(finding)), (Vec::new(), None));
    let told = |action: &Action| matches!(&action.kind, ActionKind::Notify { text } if text.contains("was broken off: signal"));
    assert_eq!(actions(&tape.said).filter(|it| told(it)).count(), 1);
    assert_eq!(open(&tape.said).unwrap().id, finding, "the finding stays open");
}

#[test]
fn without_another_path_nothing_is_believed() {
    let (mut tape, mut range, finding, journal) = attacked(180);
    operator(&mut tape, Operator::Recover { finding });
    (0..100).for_each(|_| drop(range.step(&mut tape).unwrap()));
    assert_eq!((released(&tape.said), tape.guard.recovery(finding)), (Vec::new(), None));
    assert!(steps(&mut tape.guard, &journal).iter().any(|step| step.contains("not verified in time")));
}

#[test]
fn what_was_given_back_too_early_is_taken_again() {
    let (mut tape, mut range, finding, journal) = attacked(1 << 20);
    let before = taken(&tape, finding);
    operator(&mut tape, Operator::Close { finding, reason: "it is over, I think" });
    go_on(&mut tape, &mut range, 400, true);
    let later = open(&tape.said).expect("it was not over");
    assert!(later.id != finding);
    assert!(
        steps(&mut tape.guard, &journal)
            .iter()
            .any(|step| step.contains("aborted") && step.contains("came: "))
    );
    let given: Vec<ActionId> = released(&tape.said).into_iter().map(|(_, action)| action).collect();
    assert!(given.len() < before.len(), "{given:?} of {before:?}");
    let kind = |id: ActionId| actions(&tape.said).find(|it| it.id == id).unwrap().kind.clone();
    let same = |a: &ActionKind, b: &ActionKind| match (a, b) {
        (ActionKind::Substitute { signal: a, .. }, ActionKind::Substitute { signal: b, .. }) => a == b,
        (ActionKind::Command(a), ActionKind::Command(b)) => a.signal == b.signal,
        _ => false,
    };
    for early in given {
        let again =
            |it: &&Action| it.finding == later.id && !it.recommended_only && same(&it.kind, &kind(early));
        assert!(actions(&tape.said).any(|it| again(&it)), "{early} was not taken again");
    }
    assert!(tape.peak < LIMIT_C, "{}", tape.peak);
}

#[test]
fn a_restart_in_the_middle_goes_on_where_it_was() {
    // Restarted while readings are wanted, and amid the steps; or never.
    let run = |restarts: &[i64]| {
        let (mut tape, mut range, finding, journal) = attacked(180);
        operator(&mut tape, Operator::Recover { finding });
        for second in 0..300 {
            if restarts.contains(&second) {
                let state = tape.guard.snapshot().unwrap();
                let builder = Guard::builder_unsealed(plant()).config(config()).journal(journal.clone());
                tape.guard = builder.restore(&state).unwrap();
                assert!(tape.guard.recovery(finding).is_some(), "{second}");
            }
            go_on(&mut tape, &mut range, 1, true);
        }
        let _ = poll(&mut tape.guard);
        (released(&tape.said), tape.guard.evidence().root(), tape.guard.counters().restored)
    };
    let (through, root, once) = run(&[]);
    let (restarted, same, thrice) = run(&[0, 47]);
    assert!(through.len() >= 3);
    assert_eq!((through, root, once + 2), (restarted, same, thrice));
}

#[test]
fn a_model_that_was_changed_goes_back_to_what_was_sealed() {
    let (mut guard, journal) = journalled();
    let views = Views { running: 10, ..Views::default() };
    let mut range = range(0, attack("twin_parameter", 1 << 20)).views(views);
    let (mut said, mut reverts) = (Vec::new(), Vec::new());
    for _ in 0..ATTACK_S + 900 {
        let sample = range.step(&mut guard).unwrap();
        for reaction in sample.reactions {
            match reaction {
                Reaction::Action(action) => {
                    if let ActionKind::Revert { sealed, commit } = action.kind {
                        assert!(!action.recommended_only && sealed == plant().digest);
                        reverts.push(commit);
                    }
                }
                Reaction::Finding(finding) => said.push(Output::Finding(finding)),
                _ => {}
            }
        }
    }
    assert_eq!(reverts, [false, true], "beside what runs first, then in its place");
    assert!(findings(&said).any(|it| it.suspect_set.contains(&Suspect::Model)));
    assert_eq!(open(&said).map(|it| &it.title), None, "it is over, and nothing comes again");
    let steps = steps(&mut guard, &journal);
    let told = |stage: &str| steps.iter().position(|step| step.contains(stage));
    let story = ["prepared", "verified", "{\"returning\":0}", "normal"].map(told);
    assert!(story.iter().all(Option::is_some) && story.is_sorted(), "{steps:#?}");
}
