//! Which column holds the time, and how it is written.
//!
//! Source: RFC 3339 §5.6 (a time without offset is taken as UTC); POSIX `strptime` for the civil forms. Where days and months can be
//! mistaken for each other, the order that lets more rows be read, and then the one in which time goes forward, is taken.

use jiff::civil::DateTime;
use twinguard_types::Timestamp;

/// Names that a time column may have, compared without regard to case.
const NAMES: [&str; 6] = ["time", "datetime", "timestamp", "date", "t", "ts"];
/// Seconds beyond which a number must be milliseconds; a thousand times as many, microseconds; a million times, nanoseconds. As seconds it would
/// lie after the year 5000.
const FAR_S: f64 = 1e11;

/// In which order a date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Year,
    Day,
    Month,
}

/// Civil forms; those of one order are tried one after the other.
const FORMS: [(Order, &str); 20] = [
    (Order::Year, "%Y-%m-%d %H:%M:%S%.f"),
    (Order::Year, "%Y-%m-%dT%H:%M:%S%.f"),
    (Order::Year, "%Y-%m-%d %H:%M"),
    (Order::Day, "%d/%m/%y %H"),
    (Order::Day, "%d/%m/%y %H:%M"),
    (Order::Day, "%d/%m/%Y %H:%M:%S"),
    (Order::Day, "%d/%m/%Y %H:%M"),
    (Order::Day, "%d/%m/%Y %H"),
    (Order::Day, "%d/%m/%Y %I:%M:%S %p"),
    (Order::Day, "%d.%m.%Y %H:%M:%S%.f"),
    (Order::Day, "%d.%m.%Y %H:%M"),
    (Order::Day, "%d-%b-%y %H:%M:%S%.f"),
    (Order::Day, "%d-%b-%Y %H:%M:%S%.f"),
    (Order::Year, "%Y/%m/%d %H:%M:%S%.f"),
    (Order::Year, "%Y/%m/%d %H:%M"),
    (Order::Year, "%Y-%m-%d"),
    (Order::Month, "%m/%d/%Y %H:%M:%S%.f"),
    (Order::Month, "%m/%d/%Y %H:%M"),
    (Order::Month, "%m/%d/%Y %I:%M:%S %p"),
    (Order::Month, "%m/%d/%y %H:%M"),
];

/// Where the forms begin that have the day, and the month, first.
const DAY: usize = 3;
const MONTH: usize = 16;

/// Where the time stands and how it is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    /// Its column, and a second one where date and time of day have a column each.
    pub(super) column: Option<usize>,
    pub(super) second: Option<usize>,
    form: usize,
}

impl Clock {
    /// Finds the column by its name, or else as the first whose texts are dates; `signal`: columns that are known to be signals, `ignored`:
    /// those that only their name can make a time. `rows` are the first ones of the file.
    pub(super) fn find(
        header: &[&str],
        rows: &[Vec<&str>],
        signal: impl Fn(usize) -> bool,
        ignored: impl Fn(usize) -> bool,
    ) -> Self {
        let named = |names: &[&str]| {
            let is = |name: &&str| names.iter().any(|known| name.trim().eq_ignore_ascii_case(known));
            (0..header.len()).find(|at| header.get(*at).is_some_and(is) && !signal(*at))
        };
        let mut clock = Self { column: named(&NAMES), second: None, form: 0 };
        if let (Some(date), Some(time)) = (named(&["date", "datum"]), named(&["time", "zeit", "uhrzeit"])) {
            // A column of dates beside one of times of day is one time; a time that is whole needs no date.
            let first = |at: usize| rows.first().and_then(|row| row.get(at)).copied().unwrap_or_default();
            if parse(first(time), &mut 0).is_none() && !first(time).is_empty() {
                clock = Self { column: Some(date), second: Some(time), form: 0 };
            }
        }
        if clock.column.is_none() {
            let date = |at: usize| {
                let texts = || rows.iter().filter_map(|row| row.get(at)).filter(|text| !text.is_empty());
                // A line of totals among them is no reason to miss the others.
                let most = |form: usize| {
                    2 * texts().filter(|text| civil(text, &mut form.clone()).is_some()).count()
                        > texts().count()
                };
                most(0) || most(MONTH)
            };
            clock.column = (0..header.len()).find(|at| !signal(*at) && !ignored(*at) && date(*at));
        }
        clock.settle(rows);
        clock
    }

    /// Whether one row is not enough to tell: day and month could be mistaken for each other.
    pub(super) fn needs_more(&self) -> bool {
        FORMS.get(self.form).is_some_and(|(order, _)| *order != Order::Year)
    }

    /// Chooses the order of day and month by the rows.
    fn settle(&mut self, rows: &[Vec<&str>]) {
        let mut best: Option<(usize, usize, usize)> = None;
        for start in [DAY, MONTH] {
            let (mut form, mut before, mut read, mut back) = (start, None, 0, 0);
            for row in rows {
                let Some(at) = self.text(row).and_then(|text| in_order(&text, &mut form)) else { continue };
                read += 1;
                back += usize::from(before.is_some_and(|before| at < before));
                before = Some(at);
            }
            if read > best.map_or(0, |(read, ..)| read)
                || best.is_some_and(|(most, least, _)| read == most && back < least)
            {
                best = Some((read, back, form));
            }
        }
        if let Some((.., form)) = best {
            self.form = form;
        }
    }

    /// The text of the time in a row.
    pub(super) fn text<'a>(&self, row: &[&'a str]) -> Option<std::borrow::Cow<'a, str>> {
        let first = row.get(self.column?).copied()?;
        Some(match self.second.and_then(|second| row.get(second)) {
            Some(second) => format!("{first} {second}").into(),
            None => first.into(),
        })
    }

    /// Reads a time.
    pub(super) fn read(&mut self, text: &str) -> Option<Timestamp> {
        parse(text, &mut self.form)
    }

    /// A number as a time.
    pub(super) fn number(secs: f64) -> Option<Timestamp> {
        let mut value = secs;
        for _ in 0..3 {
            if value.abs() > FAR_S {
                value /= 1e3;
            }
        }
        Timestamp::from_secs_f64(value).ok()
    }
}

fn parse(text: &str, form: &mut usize) -> Option<Timestamp> {
    civil(text, form).or_else(|| text.parse::<f64>().ok().and_then(Clock::number))
}

/// A date, by the form that fitted last, by another of the same order or one that begins with the year, or with an offset.
fn civil(text: &str, form: &mut usize) -> Option<Timestamp> {
    // Numbers are by far the most frequent texts.
    if text.parse::<f64>().is_ok() {
        return None;
    }
    in_order(text, form).or_else(|| {
        let instant = text.parse::<jiff::Timestamp>().ok()?;
        i64::try_from(instant.as_nanosecond()).ok().map(Timestamp::from_nanos)
    })
}

fn in_order(text: &str, form: &mut usize) -> Option<Timestamp> {
    if let Some(at) = by_form(text, *form) {
        return Some(at);
    }
    let own = FORMS.get(*form)?.0;
    let may =
        |order: Order| order == own || order == Order::Year || (own == Order::Year && order == Order::Day);
    for index in (0..FORMS.len()).filter(|index| FORMS.get(*index).is_some_and(|(order, _)| may(*order))) {
        if let Some(at) = by_form(text, index) {
            *form = index;
            return Some(at);
        }
    }
    None
}

fn by_form(text: &str, index: usize) -> Option<Timestamp> {
    let (_, form) = FORMS.get(index)?;
    let parsed = DateTime::strptime(form, text).ok().or_else(|| hours_only(form, text))?;
    let instant = jiff::tz::TimeZone::UTC.to_timestamp(parsed).ok()?;
    i64::try_from(instant.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

/// `strptime` wants minutes; `DD/MM/YY HH` has none.
fn hours_only(form: &str, text: &str) -> Option<DateTime> {
    if !form.ends_with("%H") {
        return None;
    }
    DateTime::strptime(format!("{form}:%M"), format!("{text}:00")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(header: &[&str], rows: &[&[&str]]) -> (Option<usize>, Vec<i64>) {
        let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.to_vec()).collect();
        let mut clock = Clock::find(header, &rows, |_| false, |_| false);
        let column = clock.column;
        let mut seconds = |row: &Vec<&str>| {
            let text = clock.text(row)?;
            Some(clock.read(&text)?.as_nanos() / 1_000_000_000)
        };
        (column, rows.iter().filter_map(&mut seconds).collect())
    }

    #[test]
    fn the_time_is_found_by_name_or_as_the_first_date() {
        assert_eq!(found(&["a", "T"], &[&["1", "300"]]), (Some(1), vec![300]));
        assert_eq!(found(&["", "a"], &[&["2020-03-09 10:14:33", "5"]]), (Some(0), vec![1_583_748_873]));
        assert_eq!(found(&["id", "logged", "a"], &[&["7", "09.03.2020 10:14:33", "5"]]).0, Some(1));
        assert_eq!(found(&["a", "b"], &[&["1", "2"]]), (None, vec![]));
        assert_eq!(found(&["runtime", "a"], &[&["1", "2"]]).0, None);
        let both = found(&["Row", "Date", "Time"], &[&["1", "9/3/2020", "10:14:33"]]);
        assert_eq!(both, (Some(1), vec![1_583_748_873]));
    }

    #[test]
    fn day_and_month_are_told_by_the_rows() {
        let day = |text| found(&["time"], &[&[text], &["13/01/2020 00:00"]]).1;
        assert_eq!(day("12/01/2020 00:00"), [1_578_787_200, 1_578_873_600]);
        let month = found(&["time"], &[&["01/12/2020 00:00"], &["01/13/2020 00:00"]]).1;
        assert_eq!(month, [1_578_787_200, 1_578_873_600]);
        let forward = found(&["time"], &[&["01/31/2020 1:00:00 PM"], &["02/01/2020 1:00:00 PM"]]).1;
        assert_eq!(forward[1] - forward[0], 86_400);
    }

    #[test]
    fn numbers_are_seconds_or_parts_of_them() {
        for number in ["1583748873", "1583748873000", "1583748873000000", "1583748873000000000"] {
            assert_eq!(found(&["ts"], &[&[number]]).1, [1_583_748_873], "{number}");
        }
    }
}
