//! A signed change of the model's parameters takes effect, and only a signed one.

use twinguard::integrity::{SigningKey, note};
use twinguard::types::{Digest, Duration, Timestamp};
use twinguard::{Error, Guard, Input, Recalibration};

use crate::site::{Tape, config, learnt, plant, poll, range};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed("vendor.example/calibration", &[seed; 32]).unwrap()
}

/// A guard that watched two minutes and may be recalibrated by the first key.
fn watching() -> (Guard, Timestamp) {
    let builder = Guard::builder_unsealed(plant()).config(config()).calibrator(key(1).public().clone());
    let guard = builder.restore(learnt()).unwrap();
    let tape = Tape::new(guard).run(&mut range(2, twinguard::redteam::Scenario::none()), 120);
    let end = tape.end();
    (tape.guard, end)
}

fn text(plant: Digest, number: u64, parameters: &str) -> String {
    format!("twinguard recalibration v1\nplant {plant}\nnumber {number}\n{parameters}")
}

fn apply(guard: &mut Guard, now: Timestamp, signed: &str) -> Result<(), String> {
    let input = Input::Recalibration(Recalibration { sealed: signed.as_bytes() });
    let size = guard.evidence().size();
    let answer = guard.handle(now, input);
    // One that takes effect makes another model, of which is said besides that nobody knows what it is off by.
    let said = 1 + u64::from(answer.is_ok());
    assert_eq!(guard.evidence().size(), size + said, "the journal says so either way");
    assert!(matches!(
        answer,
        Ok(()) | Err(Error::Recalibration { .. } | Error::Integrity(_) | Error::Twin(_))
    ));
    answer.map_err(|error| error.to_string())
}

#[test]
fn a_signed_change_takes_effect_and_survives_a_restart() {
    let (mut guard, now) = watching();
    let model = |guard: &Guard| guard.twin().unwrap().digest_parameters();
    let sealed = model(&guard);
    let signed = note::sign(&text(plant().digest, 1, "U_r_W_K 36000\n"), &key(1)).unwrap();
    apply(&mut guard, now, &signed).unwrap();
    let changed = model(&guard);
    assert_ne!(changed, sealed);
    poll(&mut guard);
    guard.handle(now + Duration::from_millis(1), Input::Tick).unwrap();

    let again = Guard::builder_unsealed(plant()).config(config()).calibrator(key(1).public().clone());
    let mut again = again.restore(&guard.snapshot().unwrap()).unwrap();
    assert_eq!(model(&again), changed);
    again.handle(now + Duration::from_millis(1), Input::Tick).unwrap();

    // The same again, and an older one, would undo what came since.
    assert!(apply(&mut again, now + Duration::from_millis(2), &signed).unwrap_err().contains("not newer"));
    let back = note::sign(&text(plant().digest, 2, ""), &key(1)).unwrap();
    apply(&mut again, now + Duration::from_millis(3), &back).unwrap();
    assert_eq!(model(&again), sealed);
}

#[test]
fn whatever_else_is_refused_with_its_reason() {
    let (mut guard, now) = watching();
    let before = guard.twin().unwrap().digest_parameters();
    let mine = plant().digest;
    let signed = |text: &str, seed| note::sign(text, &key(seed)).unwrap();
    let good = text(mine, 1, "U_r_W_K 36000\n");
    let cases = [
        (signed(&good, 2), "key"),
        (signed(&good, 1).replace("36000", "46000"), "signature"),
        (signed(&text(Digest([7; 32]), 1, ""), 1), "another plant file"),
        (signed(&text(mine, 1, "U_r_W_K NaN\n"), 1), "not a finite number"),
        (signed(&text(mine, 1, "U_r_W_K\n"), 1), "not a parameter and its value"),
        (signed(&text(mine, 1, "U_q 1\n"), 1), "U_q"),
        (signed("hello\n", 1), "not headed"),
        ("hello".to_owned(), ""),
    ];
    for (sealed, reason) in cases {
        let refused = apply(&mut guard, now, &sealed).unwrap_err();
        assert!(refused.contains(reason), "{refused} is not about {reason}");
    }
    assert_eq!(guard.twin().unwrap().digest_parameters(), before);
}
