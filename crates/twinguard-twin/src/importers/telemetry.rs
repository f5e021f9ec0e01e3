//! History and live values as CSV: one time column, one column per signal.
//!
//! Source: RFC 4180 (comma-separated values; here also semicolon and tab, told from the header), RFC 3339 §5.6
//! (times; a time without offset is taken as UTC), and the `DD/MM/YY HH` stamps of the BATADAL competition data.

use std::io::Read;

use jiff::civil::DateTime;
use twinguard_types::{Catalogue, Point, Quality, Role, Signal, SignalId, Source, Timestamp, Value};

/// Names that a time column may have, compared without regard to case.
const TIME_COLUMNS: [&str; 4] = ["time", "datetime", "timestamp", "date"];
/// Most columns that are accepted.
const COLUMN_LIMIT: usize = 65_536;
/// Civil formats, tried in this order until one fits the first row; later rows try that one first.
const FORMATS: [&str; 8] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%d/%m/%y %H",
    "%d/%m/%y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H",
];

/// What can be wrong with a CSV file of telemetry; lines count from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The bytes could not be read, or a row has another number of columns than the header.
    #[error("line {line}: not a row of CSV text")]
    Csv {
        /// Line in the file.
        line: u64,
        /// What the reader says.
        source: csv::Error,
    },
    /// There is no header, or only a time column.
    #[error("line 1: no signal column in the header")]
    NoSignals,
    /// Two columns of one name, or a name that is not a valid path.
    #[error("line 1, column {column}: not usable as the name of a signal")]
    Header {
        /// Column, from 1.
        column: usize,
        /// What is wrong with the name.
        source: twinguard_types::Error,
    },
    /// More columns than are accepted.
    #[error("line 1: {count} columns, at most 65536 are accepted")]
    TooManyColumns {
        /// Columns found.
        count: usize,
    },
    /// A column to be ignored that does not exist.
    #[error("no column `{name}` to ignore{}", nearest.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default())]
    UnknownColumn {
        /// The name as given.
        name: String,
        /// The closest column name.
        nearest: Option<String>,
    },
    /// A time that fits none of the known forms.
    #[error("line {line}: `{text}` is not a time (ISO 8601, DD/MM/YY HH, or seconds)")]
    BadTime {
        /// Line in the file.
        line: u64,
        /// The text, shortened.
        text: String,
    },
    /// A value that is neither a number nor empty.
    #[error("line {line}, column `{column}`: `{text}` is not a number")]
    BadValue {
        /// Line in the file.
        line: u64,
        /// The column's name.
        column: String,
        /// The text, shortened.
        text: String,
    },
}

/// How to read a file of telemetry.
#[derive(Clone, Debug)]
pub struct TelemetryOptions {
    /// Columns that are no signals: labels, comments.
    pub ignore: Vec<String>,
    /// Who says so.
    pub source: Source,
    /// Signals that are known already; a column of the same name keeps its id and properties.
    pub catalogue: Catalogue,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self { ignore: Vec::new(), source: Source::Field, catalogue: Catalogue::new() }
    }
}

/// A stream of rows; memory does not grow with the file.
///
/// ```
/// use twinguard_twin::importers::{Telemetry, TelemetryOptions};
///
/// let text = "datetime;level;flow\n2020-03-09 10:14:33;1.5;\n2020-03-09 10:14:34;1.6;32.0\n";
/// let mut telemetry = Telemetry::open(text.as_bytes(), TelemetryOptions::default())?;
/// let row = telemetry.next_row()?.expect("two rows");
/// assert_eq!(row.points[0].value.as_f64(), 1.5);
/// assert!(!row.points[1].quality.is_usable(), "an empty field is a missing value");
/// # Ok::<(), twinguard_twin::importers::TelemetryError>(())
/// ```
#[derive(Debug)]
pub struct Telemetry<R> {
    reader: csv::Reader<std::io::Chain<std::io::Cursor<Vec<u8>>, R>>,
    record: csv::StringRecord,
    catalogue: Catalogue,
    time: Option<usize>,
    columns: Vec<(usize, SignalId)>,
    points: Vec<Point>,
    last: Vec<Value>,
    source: Source,
    format: usize,
    row: u64,
}

/// One row of the file.
#[derive(Clone, Copy, Debug)]
pub struct TelemetryRow<'a> {
    /// Its time; without a time column the row's number in seconds.
    pub at: Timestamp,
    /// One point per signal column, in the order of the columns.
    pub points: &'a [Point],
    /// Its number, from 0.
    pub row: u64,
}

impl<R: Read> Telemetry<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Every [`TelemetryError`] that names line 1 or a column to be ignored.
    pub fn open(mut input: R, options: TelemetryOptions) -> Result<Self, TelemetryError> {
        let head =
            header_line(&mut input).map_err(|error| TelemetryError::Csv { line: 1, source: error.into() })?;
        let delimiter = [b',', b';', b'\t']
            .into_iter()
            .max_by_key(|delimiter| {
                (head.iter().filter(|byte| *byte == delimiter).count(), u8::MAX - delimiter)
            })
            .unwrap_or(b',');
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .has_headers(true)
            .from_reader(std::io::Cursor::new(head).chain(input));
        let header = reader.headers().map_err(|source| TelemetryError::Csv { line: 1, source })?.clone();
        if header.len() > COLUMN_LIMIT {
            return Err(TelemetryError::TooManyColumns { count: header.len() });
        }
        for name in &options.ignore {
            if !header.iter().any(|column| column == name) {
                let nearest = header
                    .iter()
                    .map(|column| (strsim::damerau_levenshtein(column, name), column))
                    .min()
                    .filter(|(distance, _)| *distance <= 3)
                    .map(|(_, column)| column.to_owned());
                return Err(TelemetryError::UnknownColumn { name: name.clone(), nearest });
            }
        }
        let time = header
            .iter()
            .position(|column| TIME_COLUMNS.iter().any(|name| column.eq_ignore_ascii_case(name)));
        let mut catalogue = options.catalogue;
        let mut columns = Vec::with_capacity(header.len());
        for (index, name) in header.iter().enumerate() {
            if Some(index) == time || options.ignore.iter().any(|ignored| ignored == name) {
                continue;
            }
            let refuse = |source| TelemetryError::Header { column: index + 1, source };
            let signal = match catalogue.id(name) {
                Some(known) => known,
                None => catalogue.intern(Signal::new(name, Role::Measurement)).map_err(refuse)?,
            };
            if columns.iter().any(|(_, other)| *other == signal) {
                return Err(refuse(twinguard_types::Error::Conflict { path: name.to_owned() }));
            }
            columns.push((index, signal));
        }
        if columns.is_empty() {
            return Err(TelemetryError::NoSignals);
        }
        let width = columns.len();
        Ok(Self {
            reader,
            record: csv::StringRecord::new(),
            catalogue,
            time,
            columns,
            points: Vec::with_capacity(width),
            last: vec![Value::Real(twinguard_types::Finite::ZERO); width],
            source: options.source,
            format: 0,
            row: 0,
        })
    }

    /// The signals: the columns of the file, after those that were known before.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The signals of the columns, in their order.
    pub fn signals(&self) -> impl ExactSizeIterator<Item = SignalId> {
        self.columns.iter().map(|(_, signal)| *signal)
    }

    /// The next row, or `None` at the end. An empty field, `NaN` and infinities become a point of bad quality that
    /// holds the last good value.
    ///
    /// # Errors
    /// [`TelemetryError::Csv`], [`TelemetryError::BadTime`], [`TelemetryError::BadValue`].
    pub fn next_row(&mut self) -> Result<Option<TelemetryRow<'_>>, TelemetryError> {
        let line = self.reader.position().line();
        if !self
            .reader
            .read_record(&mut self.record)
            .map_err(|source| TelemetryError::Csv { line, source })?
        {
            return Ok(None);
        }
        let line = self.record.position().map_or(line, csv::Position::line);
        let row = self.row;
        self.row += 1;
        let at = match self.time.and_then(|index| self.record.get(index)) {
            Some(text) => parse_time(text, &mut self.format)
                .ok_or_else(|| TelemetryError::BadTime { line, text: text.chars().take(60).collect() })?,
            None => Timestamp::from_secs(i64::try_from(row).unwrap_or(i64::MAX)),
        };
        self.points.clear();
        for ((index, signal), last) in self.columns.iter().zip(&mut self.last) {
            let text = self.record.get(*index).unwrap_or_default();
            let value = parse_value(text).map_err(|()| TelemetryError::BadValue {
                line,
                column: self.catalogue.path(*signal).to_owned(),
                text: text.chars().take(60).collect(),
            })?;
            let mut point = Point::new(*signal, value.unwrap_or(*last), self.source, at);
            match value {
                Some(value) => *last = value,
                None => point.quality = Quality::Bad,
            }
            self.points.push(point);
        }
        Ok(Some(TelemetryRow { at, points: &self.points, row }))
    }
}

/// The bytes up to and with the first line feed, at most 4 MiB.
fn header_line(input: &mut impl Read) -> std::io::Result<Vec<u8>> {
    const LIMIT: usize = 4 << 20;
    let mut head = Vec::new();
    let mut byte = [0];
    while head.len() < LIMIT && input.read(&mut byte)? == 1 {
        head.extend_from_slice(&byte);
        if byte == *b"\n" {
            break;
        }
    }
    if head.starts_with(b"\xEF\xBB\xBF") {
        head.drain(..3);
    }
    Ok(head)
}

fn parse_value(text: &str) -> Result<Option<Value>, ()> {
    if text.is_empty() || text.eq_ignore_ascii_case("null") || text.eq_ignore_ascii_case("na") {
        return Ok(None);
    }
    if let Ok(number) = text.parse::<f64>() {
        return Ok(Value::real(number).ok());
    }
    match text {
        "true" | "True" | "TRUE" => Ok(Some(Value::Boolean(true))),
        "false" | "False" | "FALSE" => Ok(Some(Value::Boolean(false))),
        _ => Err(()),
    }
}

fn parse_time(text: &str, format: &mut usize) -> Option<Timestamp> {
    let civil = |index: usize| {
        let parsed = DateTime::strptime(FORMATS.get(index)?, text)
            .ok()
            .or_else(|| hours_only(FORMATS.get(index)?, text))?;
        let instant = jiff::tz::TimeZone::UTC.to_timestamp(parsed).ok()?;
        i64::try_from(instant.as_nanosecond()).ok().map(Timestamp::from_nanos)
    };
    if let Some(at) = civil(*format) {
        return Some(at);
    }
    for index in 0..FORMATS.len() {
        if let Some(at) = civil(index) {
            *format = index;
            return Some(at);
        }
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(instant.as_nanosecond()).ok().map(Timestamp::from_nanos);
    }
    text.parse::<f64>().ok().and_then(|secs| Timestamp::from_secs_f64(secs).ok())
}

/// `strptime` wants minutes; `DD/MM/YY HH` has none.
fn hours_only(format: &str, text: &str) -> Option<DateTime> {
    if !format.ends_with("%H") {
        return None;
    }
    DateTime::strptime(format!("{format}:%M"), format!("{text}:00")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<(i64, Vec<f64>)>, TelemetryError> {
        let mut telemetry = Telemetry::open(text.as_bytes(), TelemetryOptions::default())?;
        let mut rows = Vec::new();
        while let Some(row) = telemetry.next_row()? {
            let values =
                row.points.iter().filter(|p| p.quality.is_usable()).map(|p| p.value.as_f64()).collect();
            rows.push((row.at.as_nanos() / 1_000_000_000, values));
        }
        Ok(rows)
    }

    #[test]
    fn delimiters_and_times() {
        let iso = 1_583_748_873;
        assert_eq!(rows("time,a,b\n2020-03-09 10:14:33,1,2\n").unwrap(), [(iso, vec![1.0, 2.0])]);
        assert_eq!(rows("datetime;a;b\n2020-03-09T10:14:33Z;1;2\n").unwrap(), [(iso, vec![1.0, 2.0])]);
        assert_eq!(rows("timestamp\ta\n2020-03-09T11:14:33+01:00\t1\n").unwrap(), [(iso, vec![1.0])]);
        assert_eq!(
            rows("DATETIME, a\n06/01/14 00, 5\n06/01/14 01, 6\n").unwrap(),
            [(1_388_966_400, vec![5.0]), (1_388_970_000, vec![6.0])]
        );
        assert_eq!(rows("time,a\n12.5,1\n").unwrap(), [(12, vec![1.0])]);
        assert_eq!(rows("a,b\n1,2\n3,4\n").unwrap(), [(0, vec![1.0, 2.0]), (1, vec![3.0, 4.0])]);
    }

    #[test]
    fn missing_values_are_bad_and_hold_the_last_good_one() {
        let mut telemetry =
            Telemetry::open("a\n1\nNaN\n\"\"\n2\n".as_bytes(), TelemetryOptions::default()).unwrap();
        let mut seen = Vec::new();
        while let Some(row) = telemetry.next_row().unwrap() {
            seen.push((row.points[0].value.as_f64(), row.points[0].quality));
        }
        assert_eq!(
            seen,
            [(1.0, Quality::Good), (1.0, Quality::Bad), (1.0, Quality::Bad), (2.0, Quality::Good)]
        );
    }

    #[test]
    fn errors_name_the_place() {
        let check = |text: &str, expected: &str| assert_eq!(rows(text).unwrap_err().to_string(), expected);
        check(
            "time,a\nyesterday,1\n",
            "line 2: `yesterday` is not a time (ISO 8601, DD/MM/YY HH, or seconds)",
        );
        check("time,a\n1,2\n2,x\n", "line 3, column `a`: `x` is not a number");
        check("time\n1\n", "line 1: no signal column in the header");
        check("a,a\n1,2\n", "line 1, column 2: not usable as the name of a signal");
        let error = rows("a,a\n1,2\n").unwrap_err();
        let cause = core::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), "path `a` is already declared with other properties");
        assert!(matches!(rows("a,b\n1\n"), Err(TelemetryError::Csv { line: 2, .. })));
        let options = TelemetryOptions { ignore: vec!["anomly".into()], ..TelemetryOptions::default() };
        let error = Telemetry::open("a,anomaly\n".as_bytes(), options).unwrap_err();
        assert_eq!(error.to_string(), "no column `anomly` to ignore, did you mean `anomaly`?");
    }
}
