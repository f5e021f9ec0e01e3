//! What begins while a finding is open is told.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test")]

use twinguard_anomaly::{BankEntry, Coverage, Detail, Judge, JudgeConfig, Observation};
use twinguard_types::{
    Attribution, Catalogue, DetectorId, Finding, Role, Score, Signal, SignalId, Symptom, Timestamp,
};

/// A judge of one detector, and a catalogue of three levels.
fn judge() -> Judge {
    let mut catalogue = Catalogue::new();
    for path in ["upper", "lower", "third"] {
        catalogue.intern(Signal::new(path, Role::Measurement)).unwrap();
    }
    let entry = BankEntry {
        id: DetectorId(0),
        name: "cusum".to_owned(),
        symptom: Symptom::Residual,
        needs: None,
        threshold: 6.0,
        at_once: false,
        looks_per_day: 86_400.0,
        scale: 1.0,
        coverage: Coverage::Calibrated { samples: 10_000, excursions: 50 },
    };
    Judge::with_table(JudgeConfig::default(), &[entry], true, &catalogue)
}

/// Shows what the detector says for some seconds, and takes what is new.
fn watch(judge: &mut Judge, seconds: core::ops::Range<i64>, signal: u32, surprise: f64) -> Vec<Finding> {
    let mut raised = Vec::new();
    for second in seconds {
        let at = Timestamp::from_secs(second);
        let attribution = [Attribution { signal: SignalId(signal), share: 1.0 }];
        let score = Score {
            at,
            detector: DetectorId(0),
            symptom: Symptom::Residual,
            surprise,
            attribution: &attribution,
        };
        let detail = Detail::Level { signal: SignalId(signal), seen: 5.0, expected: 0.0 };
        judge.weigh(&Observation { score, detail, onset: None });
        while let Some(finding) = judge.poll(at) {
            raised.extend((finding.revision == 0).then_some(finding));
        }
    }
    raised
}

#[test]
fn a_disturbance_that_lasts_does_not_swallow_what_begins_elsewhere() {
    let mut judge = judge();
    watch(&mut judge, 0..600, 0, 0.0);
    let [first] = watch(&mut judge, 600..4_000, 0, 12.0).try_into().expect("one finding");
    assert_eq!(first.attribution.first().map(|share| share.signal), Some(SignalId(0)));
    // The same detector, quieter than it was of the other signal.
    let [second] = watch(&mut judge, 4_000..4_060, 1, 8.0).try_into().expect("another finding");
    assert_ne!(first.id, second.id);
    assert_eq!(second.attribution.first().map(|share| share.signal), Some(SignalId(1)));
    assert!(second.summary.contains("lower"), "{}", second.summary);
    // What goes on is no news, and a snapshot knows of both.
    assert!(watch(&mut judge, 4_060..4_100, 0, 12.0).is_empty());
    let bytes = judge.snapshot();
    let mut again = self::judge().restore(&bytes).unwrap();
    assert!(watch(&mut again, 4_100..4_200, 1, 8.0).is_empty() && again.is_open());
}

#[test]
fn while_it_is_young_an_incident_takes_what_comes_with_it() {
    let mut judge = judge();
    watch(&mut judge, 0..600, 0, 0.0);
    assert_eq!(watch(&mut judge, 600..640, 0, 12.0).len(), 1);
    assert!(watch(&mut judge, 640..700, 1, 12.0).is_empty());
}
