//! Device time: `CP24Time2a` and `CP56Time2a` (IEC 60870-5-101 §7.2.6.18, §7.2.6.20; IEC 60870-5-4 §6.8).
//!
//! The standard leaves the zone to the plant; the clock's standard time is read as UTC here. An hour of summer time
//! (bit SU) is taken off, so that device time runs on when clocks are changed.

use twinguard_types::Timestamp;
use twinguard_types::calendar::{date_of, days_since_1970};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Milliseconds in the hour, from the first three octets; `None` when they are marked invalid or cannot be.
fn in_hour([low, high, minute]: [u8; 3]) -> Option<i64> {
    let (millis, minutes) = (u16::from_le_bytes([low, high]), minute & 0x3f);
    let fits = minute & 0x80 == 0 && millis < 60_000 && minutes < 60;
    fits.then(|| i64::from(minutes) * MINUTE_MS + i64::from(millis))
}

/// The instant near `at` that has these milliseconds and minutes; `None` when they are invalid.
///
/// ```
/// use twinguard_protocol::iec60870::cp24;
/// use twinguard_types::Timestamp;
///
/// // 59 min 58.5 s, told two seconds into the next hour.
/// let told = cp24([0x84, 0xe4, 59], Timestamp::from_secs(7202));
/// assert_eq!(told, Some(Timestamp::from_millis(7_198_500)));
/// assert_eq!(cp24([0, 0, 0x80], Timestamp::ZERO), None, "marked invalid");
/// ```
#[must_use]
pub fn cp24(bytes: [u8; 3], at: Timestamp) -> Option<Timestamp> {
    let offset = in_hour(bytes)?;
    let now = at.as_nanos().div_euclid(1_000_000);
    let this = now.div_euclid(HOUR_MS).saturating_mul(HOUR_MS).saturating_add(offset);
    let candidates = [this, this.saturating_sub(HOUR_MS), this.saturating_add(HOUR_MS)];
    candidates.into_iter().min_by_key(|told| told.abs_diff(now)).map(Timestamp::from_millis)
}

/// The instant; `None` when it is marked invalid or is none of the calendar (2000 to 2099).
///
/// ```
/// use twinguard_protocol::iec60870::cp56;
/// use twinguard_types::Timestamp;
///
/// let told = cp56([0xcb, 0xac, 6, 20, 22, 11, 26]);
/// assert_eq!(told, Some(Timestamp::from_millis(1_795_378_004_235)), "2026-11-22T20:06:44.235");
/// ```
#[must_use]
pub fn cp56([low, high, minute, hour, day, month, year]: [u8; 7]) -> Option<Timestamp> {
    let offset = in_hour([low, high, minute])?;
    let (summer, hours) = (hour & 0x80 != 0, hour & 0x1f);
    let (day, month, year) = (day & 0x1f, month & 0x0f, year & 0x7f);
    if hours > 23 || year > 99 || day == 0 || day > days_of(month, year) {
        return None;
    }
    let hours = days_since_1970(2000 + i64::from(year), i64::from(month), i64::from(day)) * 24
        + i64::from(hours)
        - i64::from(summer);
    Some(Timestamp::from_millis(hours * HOUR_MS + offset))
}

/// The octets of an instant in standard time; `None` outside 2000 to 2099.
#[must_use]
pub fn write_cp56(at: Timestamp) -> Option<[u8; 7]> {
    let millis = at.as_nanos().div_euclid(1_000_000);
    let (days, rest) = (millis.div_euclid(24 * HOUR_MS), millis.rem_euclid(24 * HOUR_MS));
    let (year, month, day) = date_of(days);
    let year = u8::try_from(year - 2000).ok().filter(|year| *year < 100)?;
    let [low, high] = ((rest % MINUTE_MS) as u16).to_le_bytes();
    // Monday is 1; 1970-01-01 was a Thursday.
    let weekday = (days + 3).rem_euclid(7) as u8 + 1;
    let minute = (rest / MINUTE_MS % 60) as u8;
    Some([low, high, minute, (rest / HOUR_MS) as u8, day | weekday << 5, month, year])
}

const fn days_of(month: u8, year: u8) -> u8 {
    match month {
        // 2000 is a leap year, and so is every fourth until 2099.
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_calendar_does_not_have_is_no_time() {
        let good = [0, 0, 0, 0, 1, 1, 0];
        assert_eq!(cp56(good), Some(Timestamp::from_secs(946_684_800)));
        assert_eq!(cp56([0, 0, 0, 0x80, 1, 1, 0]), Some(Timestamp::from_secs(946_681_200)), "summer time");
        assert_eq!(cp56([0, 0, 0, 0, 0xe1, 1, 0]), cp56(good), "the day of the week does not count");
        for bad in [
            [0x60, 0xea, 0, 0, 1, 1, 0], // 60 000 ms
            [0, 0, 60, 0, 1, 1, 0],
            [0, 0, 0x80, 0, 1, 1, 0], // marked invalid
            [0, 0, 0, 24, 1, 1, 0],
            [0, 0, 0, 0, 0, 1, 0],
            [0, 0, 0, 0, 29, 2, 1],
            [0, 0, 0, 0, 31, 4, 1],
            [0, 0, 0, 0, 1, 13, 0],
            [0, 0, 0, 0, 1, 0, 0],
            [0, 0, 0, 0, 1, 1, 100],
        ] {
            assert_eq!(cp56(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn short_times_take_the_nearest_hour() {
        let check = |now: i64, told: i64| {
            let bytes = [0, 0, (told / 60 % 60) as u8];
            assert_eq!(cp24(bytes, Timestamp::from_secs(now)), Some(Timestamp::from_secs(told)));
        };
        check(7200, 7200);
        check(7205, 7140);
        check(7190, 7260);
        check(-10, 0);
    }

    proptest! {
        #[test]
        fn time_is_read_as_it_was_written(millis in 946_684_800_000..4_102_444_800_000i64) {
            let at = Timestamp::from_millis(millis);
            prop_assert_eq!(cp56(write_cp56(at).unwrap()), Some(at));
        }
    }
}
