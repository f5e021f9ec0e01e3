//! Laws of the automatic suite: causal, the same in any chunks, bit by bit after a snapshot, silent about what cannot be.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use twinguard_anomaly::suite::{MOST_CHANNELS, State, Suite, Training, Verdict};
use twinguard_types::Timestamp;

/// A small plant: two driven channels, one that follows both, one binary, one constant.
fn plant(seed: u64, rows: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    let (mut a, mut b) = (0.0, 0.0);
    (0..rows)
        .flat_map(|t| {
            a = 0.9 * a + uniform();
            b = 0.7 * b + 0.2 * a + uniform();
            let binary = f64::from(u8::from(t % 50 < 20));
            [a, b, a + b + 0.1 * uniform(), binary, 7.0]
        })
        .collect()
}

const WIDTH: usize = 5;

fn suite() -> Suite {
    Suite::fit(&Training { channels: WIDTH, values: &plant(1, 900), times: None }).unwrap()
}

fn scores(suite: &Suite, state: &mut State, rows: &[f64]) -> Vec<Verdict> {
    rows.chunks_exact(WIDTH).map(|row| state.observe(suite, None, row)).collect()
}

fn bits(verdicts: &[Verdict]) -> Vec<(u64, u64, Option<usize>)> {
    verdicts.iter().map(|v| (v.surprise.to_bits(), v.score.to_bits(), v.top)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_past_does_not_know_the_future(seed in 2_u64..1000, cut in 1_usize..200) {
        let suite = suite();
        let (whole, other) = (plant(seed, 200), plant(seed + 1, 200));
        let mut changed = whole[..cut * WIDTH].to_vec();
        changed.extend_from_slice(&other[cut * WIDTH..]);
        let (a, b) = (scores(&suite, &mut suite.state(), &whole), scores(&suite, &mut suite.state(), &changed));
        prop_assert_eq!(bits(&a[..cut]), bits(&b[..cut]));
    }

    #[test]
    fn a_snapshot_continues_bit_by_bit(seed in 2_u64..1000, cut in 0_usize..200) {
        let suite = suite();
        let rows = plant(seed, 200);
        let whole = scores(&suite, &mut suite.state(), &rows);
        let mut state = suite.state();
        let mut parts = scores(&suite, &mut state, &rows[..cut * WIDTH]);
        let restored_suite = Suite::restore(&suite.save()).unwrap();
        prop_assert_eq!(restored_suite.digest(), suite.digest());
        let mut restored = restored_suite.restore_state(&state.save()).unwrap();
        parts.extend(scores(&restored_suite, &mut restored, &rows[cut * WIDTH..]));
        prop_assert_eq!(bits(&whole), bits(&parts));
    }

    #[test]
    fn nothing_that_a_wire_can_say_breaks_it(rows in prop::collection::vec(prop_oneof![
        Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::MAX), Just(f64::MIN_POSITIVE), -1e6..1e6_f64
    ], WIDTH..60 * WIDTH)) {
        let suite = suite();
        let mut state = suite.state();
        for verdict in scores(&suite, &mut state, &rows) {
            prop_assert!(verdict.surprise.is_finite() && verdict.surprise >= 0.0);
            prop_assert!(verdict.score.is_finite() && verdict.score >= 0.0);
        }
        // and it still hears what is normal
        let after = scores(&suite, &mut state, &plant(5, 200));
        prop_assert!(after.iter().all(|v| v.surprise.is_finite()));
    }

    #[test]
    fn forged_snapshots_are_refused_or_harmless(place in 0_usize..100_000, byte in 0_u8..=255) {
        let suite = suite();
        let mut bytes = suite.save();
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(forged) = Suite::restore(&bytes) {
            let mut state = forged.state();
            state.observe(&forged, None, &vec![0.5; forged.channels()]);
        }
        prop_assert!(Suite::restore(&bytes[..place]).is_err());
    }
}

#[test]
fn what_is_odd_stands_out() {
    let suite = suite();
    let mut rows = plant(3, 400);
    let quiet = scores(&suite, &mut suite.state(), &rows);
    assert!(quiet.iter().filter(|v| v.surprise > 3.0).count() <= 2);
    // the third no longer follows the first two
    rows[300 * WIDTH..].chunks_exact_mut(WIDTH).for_each(|row| row[2] = 0.0);
    let odd = scores(&suite, &mut suite.state(), &rows);
    let mean = |list: &[Verdict]| list.iter().map(|v| v.surprise).sum::<f64>() / list.len() as f64;
    assert!(mean(&odd[310..]) > 2.0 * mean(&quiet[310..]), "{} {}", mean(&odd[310..]), mean(&quiet[310..]));
    // a constant that moves
    rows = plant(3, 20);
    rows[15 * WIDTH + 4] = 8.0;
    let moved = scores(&suite, &mut suite.state(), &rows);
    assert!(moved[15].surprise > 2.0 && moved[15].top == Some(4), "{:?}", moved[15]);
}

#[test]
fn bad_training_is_refused_with_its_reason() {
    let fit = |channels, values: &[f64]| Suite::fit(&Training { channels, values, times: None });
    assert!(fit(0, &[]).is_err());
    assert!(fit(2, &[1.0, 2.0, 3.0]).is_err(), "a row that is cut");
    assert!(fit(1, &[1.0; 3]).is_err(), "too few rows");
    assert!(fit(MOST_CHANNELS + 1, &vec![0.0; (MOST_CHANNELS + 1) * 100]).is_err());
    assert!(fit(1, &[f64::NAN; 200]).is_err(), "nothing usable");
    let times = [Timestamp::ZERO; 3];
    let values = vec![1.0; 200];
    assert!(Suite::fit(&Training { channels: 1, values: &values, times: Some(&times) }).is_err());
    // constants alone: only news of them
    let suite = fit(2, &[3.0, 4.0].repeat(100)).unwrap();
    let mut state = suite.state();
    assert!(state.observe(&suite, None, &[3.0, 4.0]).surprise < 1.0);
    assert!(state.observe(&suite, None, &[3.0, 5.0]).surprise > 1.0);
    // short rows and long rows: what is missing is missing, what is too much is not looked at
    assert!(state.observe(&suite, None, &[]).surprise.is_finite());
    assert!(state.observe(&suite, None, &[3.0; 9]).surprise.is_finite());
}

#[test]
fn reversed_and_repeated_times_do_no_harm() {
    let times: Vec<Timestamp> = (0..900).map(|t| Timestamp::from_secs((t % 7) * 86_400 * 3)).collect();
    let values = plant(1, 900);
    let suite = Suite::fit(&Training { channels: WIDTH, values: &values, times: Some(&times) }).unwrap();
    let mut state = suite.state();
    for (t, row) in plant(2, 50).chunks_exact(WIDTH).enumerate() {
        let at = if t % 2 == 0 { Timestamp::MAX } else { Timestamp::MIN };
        assert!(state.observe(&suite, Some(at), row).surprise.is_finite());
    }
}

#[test]
fn nothing_is_allocated_after_the_fit() {
    let suite = suite();
    let mut state = suite.state();
    let rows = plant(9, 300);
    let count = allocation_counter::measure(|| {
        for row in rows.chunks_exact(WIDTH) {
            state.observe(&suite, None, row);
        }
    });
    assert_eq!(count.count_total, 0);
}

#[test]
fn a_state_is_small() {
    for (channels, most) in [(8, 4096), (52, 16_384)] {
        let values: Vec<f64> = (0..900 * channels).map(|k| (k * 7919 % 10_007) as f64).collect();
        let suite = Suite::fit(&Training { channels, values: &values, times: None }).unwrap();
        let mut state = None;
        let held = allocation_counter::measure(|| state = Some(suite.state()));
        let bytes = held.bytes_total as usize + size_of::<State>();
        assert!(bytes <= most, "{channels} channels: {bytes} bytes");
    }
}

#[test]
fn what_is_held_is_not_followed() {
    let suite = suite();
    // a shift that lasts: followed it fades, held it does not
    let mut rows = plant(3, 4000);
    rows.chunks_exact_mut(WIDTH).for_each(|row| row[2] += 0.4);
    let late = |follow: bool| {
        let mut state = suite.state();
        state.follow(follow);
        scores(&suite, &mut state, &rows)[3000..].iter().map(|v| v.surprise).sum::<f64>()
    };
    assert!(late(false) > late(true), "{} {}", late(false), late(true));
}

#[test]
fn limits_widen_for_short_histories() {
    let limits = |rows: usize| {
        let suite = Suite::fit(&Training { channels: WIDTH, values: &plant(1, rows), times: None }).unwrap();
        let report = suite.report();
        assert!(report.independent >= 3.0 && (report.attainable - 1.0 / report.independent).abs() < 1e-12);
        [0.2, 0.05, 0.01, 0.001].map(|rate| suite.limit(rate).unwrap())
    };
    for rows in [300, 3000] {
        assert!(limits(rows).is_sorted(), "{:?}", limits(rows));
    }
    assert!(suite().limit(0.0).is_err() && suite().limit(1.0).is_err());
}
