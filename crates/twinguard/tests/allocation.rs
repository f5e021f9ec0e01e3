//! Normal traffic costs no allocation once a guard is warm: frames, batches of points, words of the controller, ticks.

#![cfg(feature = "redteam")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, unreachable_pub)]

#[path = "guard/site.rs"]
mod site;

use allocation_counter::measure;
use twinguard::redteam::Scenario;
use twinguard::types::Duration;

use site::{ORIGIN, Tape, Told, config, guard, poll, range};

/// Until then a few buffers grow to the size they keep.
const WARM_S: i64 = 600;

#[test]
fn a_frame_in_the_steady_state_allocates_nothing() {
    let told = Tape::new(guard(config())).run(&mut range(2, Scenario::none()), WARM_S + 3_600).told;
    let mut guard = guard(config());
    let (mut frames, mut spoke, mut allocations) = (0_u64, 0_u64, 0_u64);
    for (now, told) in &told {
        let seen = measure(|| told.tell(&mut guard, *now).unwrap());
        let silent = poll(&mut guard).is_empty();
        if *now - ORIGIN < Duration::from_secs(WARM_S) {
            continue;
        }
        frames += u64::from(matches!(told, Told::Frame(..)));
        // A verdict is news, is entered in the journal and handed out: it may cost.
        if silent {
            allocations += seen.count_total;
        } else {
            assert!(seen.count_total > 0, "allocations are counted");
            spoke += 1;
        }
    }
    assert!(frames > 2_000 && spoke < frames / 5, "{frames} frames, {spoke} with a verdict");
    assert_eq!(allocations, 0, "in all but {spoke} of {} inputs", told.len());
}
