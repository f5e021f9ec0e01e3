//! People have the last word: findings, actions, outcomes.

use twinguard::types::{
    Action, ActionId, ActionKind, Duration, FindingId, FindingState, Outcome, OutcomeResult, Timestamp,
};
use twinguard::{Error, Guard, Input, Operator, Output};

use crate::site::{ATTACK_S, ORIGIN, Told, attacked, config, findings, guard, plant, poll};

/// A guard amid the attack, everything done that it asked for, and the finding that it works on.
fn amid() -> (Guard, Timestamp, FindingId) {
    let tape = attacked();
    let mut guard = Guard::builder_unsealed(plant()).config(config()).restore(&tape.state).unwrap();
    let now = tape.told.last().unwrap().0;
    guard.handle(now, Input::Tick).unwrap();
    poll(&mut guard);
    let finding = findings(&tape.said).last().unwrap();
    assert_ne!(finding.state, FindingState::Closed);
    (guard, now, finding.id)
}

/// A guard that was told of the attack, but never of what became of its actions.
fn unanswered() -> (Guard, Vec<Action>) {
    let tape = attacked();
    let mut guard = guard(config());
    let mut said = Vec::new();
    for (now, told) in tape.told.iter().filter(|(_, told)| !matches!(told, Told::Outcome(_))) {
        told.tell(&mut guard, *now).unwrap();
        said.extend(poll(&mut guard));
    }
    (guard, actions(&said).cloned().collect())
}

fn actions(said: &[Output]) -> impl Iterator<Item = &Action> {
    said.iter().filter_map(|output| match output {
        Output::Action(action) => Some(action),
        _ => None,
    })
}

fn done() -> impl Iterator<Item = &'static Action> {
    actions(&attacked().said).filter(|action| !action.recommended_only)
}

fn state(guard: &mut Guard, finding: FindingId) -> FindingState {
    findings(&poll(guard)).filter(|it| it.id == finding).last().unwrap().state
}

#[test]
fn findings_are_acknowledged_and_shelved() {
    let (mut guard, now, finding) = amid();
    guard.handle(now, Input::Operator(Operator::Acknowledge { finding })).unwrap();
    assert_eq!(state(&mut guard, finding), FindingState::Acknowledged);
    let until = now + Duration::from_secs(600);
    guard.handle(now, Input::Operator(Operator::Shelve { finding, until })).unwrap();
    assert_eq!(state(&mut guard, finding), FindingState::Shelved);
}

#[test]
fn an_isolated_peer_is_let_in_again_by_override() {
    let (mut guard, now, _) = amid();
    let isolate = done().find(|action| matches!(action.kind, ActionKind::IsolatePeer { .. })).unwrap();
    let why = |guard: &mut Guard, id| {
        let command =
            crate::site::command(id, twinguard::redteam::address::ATTACKER, "cooler.valve.command", 1.0, now);
        guard.handle(now, Input::Command(command)).unwrap();
        crate::site::verdicts(&poll(guard)).next().unwrap().verdict.reasons[0].text.clone()
    };
    assert!(why(&mut guard, 1_000).contains("isolated"));
    guard.handle(now, Input::Operator(Operator::Override { action: isolate.id })).unwrap();
    let released = ActionKind::Release { action: isolate.id };
    assert!(actions(&poll(&mut guard)).any(|action| action.kind == released), "the platform lets it in too");
    assert!(!why(&mut guard, 1_001).contains("isolated"));
}

#[test]
fn what_was_overridden_is_not_taken_again() {
    let (mut guard, now, _) = amid();
    for action in
        done().filter(|action| !matches!(action.kind, ActionKind::Notify { .. } | ActionKind::Verify { .. }))
    {
        guard.handle(now, Input::Operator(Operator::Override { action: action.id })).unwrap();
        let released: Vec<_> = actions(&poll(&mut guard)).map(|action| action.kind.clone()).collect();
        assert_eq!(released, [ActionKind::Release { action: action.id }], "{:?}", action.kind);
    }
    for second in 1..120 {
        guard.handle(now + Duration::from_secs(second), Input::Tick).unwrap();
    }
    let again = poll(&mut guard);
    assert!(
        actions(&again).all(|it| it.recommended_only
            || matches!(it.kind, ActionKind::Notify { .. } | ActionKind::Verify { .. })),
        "{again:?}"
    );
}

/// The attack, with an operator's word just before it.
fn with_word(word: Operator<'_>) -> (Guard, Vec<Output>) {
    let tape = attacked();
    let mut guard = guard(config());
    let at = ORIGIN + Duration::from_secs(ATTACK_S - 10);
    let (mut said, mut word) = (Vec::new(), Some(word));
    for (now, told) in tape.told.iter().filter(|(_, told)| !matches!(told, Told::Outcome(_))) {
        if *now >= at
            && let Some(word) = word.take()
        {
            guard.handle(*now, Input::Operator(word)).unwrap();
        }
        told.tell(&mut guard, *now).unwrap();
        said.extend(poll(&mut guard));
    }
    (guard, said)
}

#[test]
fn maintenance_holds_back_and_what_outlasts_it_is_told() {
    let tape = attacked();
    let until = tape.told.last().unwrap().0 + Duration::from_secs(60);
    let whole = Operator::Maintenance { until, signals: &[] };
    let (mut guard, said) = with_word(whole);
    assert_eq!((findings(&said).count(), actions(&said).count()), (0, 0));
    assert!(guard.evidence().size() > 3, "all is journalled");
    guard.handle(until, Input::Tick).unwrap();
    let said = poll(&mut guard);
    assert_eq!(findings(&said).last().unwrap().state, FindingState::Open);
    assert!(actions(&said).count() > 0);

    // Work on one signal explains no commands.
    let signals = [crate::site::signal("cooler.water.flow")];
    let (_, said) = with_word(Operator::Maintenance { until, signals: &signals });
    assert!(findings(&said).count() > 0 && actions(&said).count() > 0);
}

#[test]
fn what_is_shelved_is_silent_and_comes_back() {
    let (mut guard, now, finding) = amid();
    let until = now + Duration::from_secs(100);
    guard.handle(now, Input::Operator(Operator::Shelve { finding, until })).unwrap();
    assert_eq!(state(&mut guard, finding), FindingState::Shelved);
    assert!(guard.next_deadline().unwrap() <= until);
    let mut second = now;
    while second < until {
        guard.handle(second, Input::Tick).unwrap();
        assert_eq!(findings(&poll(&mut guard)).filter(|it| it.id == finding).count(), 0, "{second:?}");
        second = second + Duration::from_secs(1);
    }
    guard.handle(until, Input::Tick).unwrap();
    assert_eq!(state(&mut guard, finding), FindingState::Open);
}

#[test]
fn an_unknown_finding_is_an_error_and_changes_nothing() {
    let (mut guard, now, _) = amid();
    let before = (guard.snapshot().unwrap(), guard.evidence().size());
    let finding = FindingId(999);
    let words = [
        Operator::Acknowledge { finding },
        Operator::Shelve { finding, until: now + Duration::from_secs(60) },
        Operator::Close { finding, reason: "what?" },
    ];
    for word in words {
        let refused = guard.handle(now, Input::Operator(word));
        assert!(
            matches!(refused, Err(Error::UnknownFinding { finding: FindingId(999) })),
            "{word:?}: {refused:?}"
        );
        assert_eq!(poll(&mut guard), [], "{word:?}");
        assert_eq!(guard.evidence().size(), before.1, "{word:?} left a leaf");
        assert!(guard.snapshot().unwrap() == before.0, "{word:?} left a trace");
    }
}

#[test]
fn every_word_has_a_receipt() {
    let (mut guard, now, finding) = amid();
    let size = guard.evidence().size();
    guard.handle(now, Input::Operator(Operator::Acknowledge { finding })).unwrap();
    guard.handle(now, Input::Operator(Operator::Mode { mode: "service" })).unwrap();
    guard.handle(now, Input::Operator(Operator::Maintenance { until: now, signals: &[] })).unwrap();
    let receipts = poll(&mut guard).iter().filter(|output| matches!(output, Output::Receipt(_))).count();
    assert_eq!(receipts as u64, guard.evidence().size() - size);
}

#[test]
fn outcomes_of_unknown_actions_are_refused() {
    let (mut guard, now, _) = amid();
    let outcome = Outcome { action: ActionId(999), result: OutcomeResult::Done, at: now };
    assert!(matches!(guard.handle(now, Input::Outcome(outcome)), Err(Error::Response(_))));
}

#[test]
fn silence_escalates_to_a_person() {
    let (_, actions) = unanswered();
    let waited: Vec<&Action> =
        actions.iter().filter(|it| !it.recommended_only && it.reason.contains("silence")).collect();
    assert!(waited.len() >= 3, "{}", waited.len());
    assert!(waited.iter().all(|action| matches!(action.kind, ActionKind::Notify { .. })));
}

#[test]
fn what_failed_is_asked_for_again_and_what_was_refused_is_not() {
    let tape = attacked();
    for (result, times) in [(OutcomeResult::Failed, 2..20), (OutcomeResult::Refused, 1..2)] {
        let mut guard = guard(config());
        let mut asked = 0;
        for (now, told) in tape.told.iter().filter(|(_, told)| !matches!(told, Told::Outcome(_))) {
            told.tell(&mut guard, *now).unwrap();
            for output in poll(&mut guard) {
                let Output::Action(action) = output else { continue };
                if !action.recommended_only && matches!(action.kind, ActionKind::IsolatePeer { .. }) {
                    asked += 1;
                    guard
                        .handle(*now, Input::Outcome(Outcome { action: action.id, result, at: *now }))
                        .unwrap();
                }
            }
        }
        assert!(times.contains(&asked), "{result:?}: asked {asked} times");
    }
}
