//! Days and dates of the Gregorian calendar, for formats that write them: some hundred million years around 1970, far more than a
//! [`Timestamp`](crate::Timestamp) reaches.
//!
//! Source: H. Hinnant, "chrono-compatible low-level date algorithms", 2013.

/// Days from 1970-01-01 to a date; the month from 1. What is no date counts on into the next month.
///
/// ```
/// use twinguard_types::calendar::{date_of, days_since_1970};
///
/// assert_eq!(days_since_1970(2026, 12, 1), 20_788);
/// assert_eq!(date_of(20_788), (2026, 12, 1));
/// ```
#[must_use]
pub const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of the month of a day, the other way round.
#[must_use]
pub const fn date_of(days: i64) -> (i64, u8, u8) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + (month <= 2) as i64, month as u8, day as u8)
}
