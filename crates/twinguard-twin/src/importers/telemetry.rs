//! History and live values as CSV or, with the feature `parquet`, as Parquet: one time column, one column per signal.
//!
//! Source: RFC 4180 (comma-separated values; here also semicolon and tab, told from the header), RFC 3339 §5.6
//! (times; a time without offset is taken as UTC), and the `DD/MM/YY HH` stamps of the BATADAL competition data; for Parquet see
//! `parquet/mod.rs`.

mod text;
mod times;

use std::io::{Chain, Cursor, Read};

use twinguard_types::{Catalogue, Point, Quality, Role, Signal, SignalId, Source, Timestamp, Value};

use self::times::Clock;

/// Most columns that are accepted.
const COLUMN_LIMIT: usize = 65_536;
/// Bytes of the first rows that say how times are written, where one row does not.
const SAMPLE: u64 = 1 << 18;

/// What a Parquet file begins with.
const PARQUET: &[u8] = b"PAR1";
/// Most bytes of a Parquet file, which is read in memory.
#[cfg(feature = "parquet")]
const PARQUET_LIMIT: u64 = 1 << 30;

/// What can be wrong with a file of telemetry; lines count from 1.
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
    /// A Parquet file that is malformed, too large, has columns without numbers, or whose reader was left out of this build.
    #[error("{place}: {reason}")]
    Parquet {
        /// Footer, row group, or column.
        place: String,
        /// What is wrong.
        reason: String,
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
    /// Takes the file as a stranger wrote it: a field that is no number is a missing value; a row whose time cannot be read is passed over
    /// and counted ([`Telemetry::skipped`]); rows may be shorter or longer than the header; a second column of the same name, and one
    /// without a usable name, is no signal. Where `catalogue` names signals, other columns are none.
    pub lenient: bool,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self { ignore: Vec::new(), source: Source::Field, catalogue: Catalogue::new(), lenient: false }
    }
}

/// A stream of rows; memory does not grow with a CSV file. A file that begins as Parquet does (`PAR1`) is taken into memory, and
/// one row group after the other is decoded.
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
    rows: Rows<R>,
    catalogue: Catalogue,
    clock: Clock,
    columns: Vec<(usize, SignalId)>,
    points: Vec<Point>,
    last: Vec<Value>,
    source: Source,
    lenient: bool,
    skipped: u64,
    row: u64,
}

/// Where rows come from.
#[derive(Debug)]
enum Rows<R> {
    /// The reader, its row, and whether a comma may be a decimal sign.
    Csv(Box<csv::Reader<Chain<Cursor<Vec<u8>>, R>>>, csv::ByteRecord, bool),
    #[cfg(feature = "parquet")]
    Parquet(Box<super::parquet::Columns>, Vec<super::parquet::Cell>),
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
    /// Reads the header, or the footer of a Parquet file.
    ///
    /// # Errors
    /// Every [`TelemetryError`] that names line 1 or a column to be ignored; [`TelemetryError::Parquet`].
    pub fn open(mut input: R, options: TelemetryOptions) -> Result<Self, TelemetryError> {
        let refuse = |error: std::io::Error| TelemetryError::Csv { line: 1, source: error.into() };
        let mut head = text::line(&mut input).map_err(refuse)?;
        if head.starts_with(PARQUET) {
            return Self::open_parquet(head, input, options);
        }
        if head.starts_with(b"\xEF\xBB\xBF") {
            head.drain(..3);
        }
        let delimiter = [b',', b';', b'\t']
            .into_iter()
            .max_by_key(|delimiter| {
                (head.iter().filter(|byte| *byte == delimiter).count(), u8::MAX - delimiter)
            })
            .unwrap_or(b',');
        let header = text::decode(&head).into_owned();
        let header = first_rows(header.as_bytes(), delimiter).pop().unwrap_or_default();
        let names: Vec<&str> = header.iter().map(String::as_str).collect();
        let width = head.len();
        head.extend(text::line(&mut input).map_err(refuse)?);
        let known = |at: usize| names.get(at).is_some_and(|name| options.catalogue.id(name).is_some());
        let ignored =
            |at: usize| names.get(at).is_some_and(|name| options.ignore.iter().any(|own| own == name));
        let find = |bytes: &[u8]| {
            let rows = first_rows(bytes, delimiter);
            let rows: Vec<Vec<&str>> =
                rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
            Clock::find(&names, &rows, known, ignored)
        };
        let mut clock = find(head.get(width..).unwrap_or_default());
        if clock.needs_more() {
            Read::take(&mut input, SAMPLE).read_to_end(&mut head).map_err(refuse)?;
            let rows = head.get(width..).unwrap_or_default();
            // The last line may have been cut.
            let whole = rows.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            clock = find(rows.get(..whole).unwrap_or_default());
        }
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .trim(csv::Trim::All)
            .has_headers(true)
            .flexible(options.lenient)
            .from_reader(Cursor::new(head).chain(input));
        reader.byte_headers().map_err(|source| TelemetryError::Csv { line: 1, source })?;
        let rows = Rows::Csv(Box::new(reader), csv::ByteRecord::new(), delimiter != b',');
        Self::with_columns(&names, clock, options, rows)
    }

    #[cfg(not(feature = "parquet"))]
    fn open_parquet(_: Vec<u8>, _: R, _: TelemetryOptions) -> Result<Self, TelemetryError> {
        let reason = "a Parquet file, whose reader is the feature `parquet`".to_owned();
        Err(TelemetryError::Parquet { place: "start".to_owned(), reason })
    }

    #[cfg(feature = "parquet")]
    fn open_parquet(mut bytes: Vec<u8>, input: R, options: TelemetryOptions) -> Result<Self, TelemetryError> {
        let refuse = |(place, reason)| TelemetryError::Parquet { place, reason };
        let whole = input.take(PARQUET_LIMIT).read_to_end(&mut bytes);
        whole.map_err(|error| refuse(("start".to_owned(), error.to_string())))?;
        if bytes.len() as u64 >= PARQUET_LIMIT {
            return Err(refuse(("start".to_owned(), "longer than 1 GiB".to_owned())));
        }
        let columns = super::parquet::Columns::open(bytes).map_err(refuse)?;
        let time = columns.only_time();
        let owned = columns.names().to_vec();
        let names: Vec<&str> = owned.iter().map(String::as_str).collect();
        let rows = Rows::Parquet(Box::new(columns), Vec::new());
        let known = |at: usize| names.get(at).is_some_and(|name| options.catalogue.id(name).is_some());
        let ignored =
            |at: usize| names.get(at).is_some_and(|name| options.ignore.iter().any(|own| own == name));
        let mut clock = Clock::find(&names, &[], known, ignored);
        clock.column = clock.column.or(time.filter(|at| !ignored(*at)));
        let mut telemetry = Self::with_columns(&names, clock, options, rows)?;
        let signals: Vec<usize> = telemetry.columns.iter().map(|(index, _)| *index).collect();
        if let Rows::Parquet(columns, _) = &mut telemetry.rows {
            columns.want(telemetry.clock.column, &signals).map_err(refuse)?;
        }
        Ok(telemetry)
    }

    /// Tells columns apart by their names.
    fn with_columns(
        header: &[&str],
        clock: Clock,
        options: TelemetryOptions,
        rows: Rows<R>,
    ) -> Result<Self, TelemetryError> {
        if header.len() > COLUMN_LIMIT {
            return Err(TelemetryError::TooManyColumns { count: header.len() });
        }
        for name in &options.ignore {
            if !header.contains(&name.as_str()) {
                let nearest = header
                    .iter()
                    .map(|column| (strsim::damerau_levenshtein(column, name), column))
                    .min()
                    .filter(|(distance, _)| *distance <= 3)
                    .map(|(_, column)| (*column).to_owned());
                return Err(TelemetryError::UnknownColumn { name: name.clone(), nearest });
            }
        }
        let lenient = options.lenient;
        let mut catalogue = options.catalogue;
        let declared = !catalogue.is_empty();
        let mut columns: Vec<(usize, SignalId)> = Vec::with_capacity(header.len());
        let mut taken = std::collections::BTreeSet::new();
        for (index, name) in header.iter().enumerate() {
            let time = clock.column == Some(index) || clock.second == Some(index);
            if time || options.ignore.iter().any(|ignored| ignored == name) {
                continue;
            }
            let refuse = |source| TelemetryError::Header { column: index + 1, source };
            let signal = match catalogue.id(name) {
                Some(known) => Ok(known),
                None if lenient && declared => continue,
                None => catalogue.intern(Signal::new(*name, Role::Measurement)).map_err(refuse),
            };
            match signal {
                Ok(signal) if taken.insert(signal) => columns.push((index, signal)),
                _ if lenient => {}
                Ok(_) => {
                    return Err(refuse(twinguard_types::Error::Conflict { path: (*name).to_owned() }));
                }
                Err(error) => return Err(error),
            }
        }
        if columns.is_empty() {
            return Err(TelemetryError::NoSignals);
        }
        let width = columns.len();
        Ok(Self {
            rows,
            catalogue,
            clock,
            columns,
            points: Vec::with_capacity(width),
            last: vec![Value::Real(twinguard_types::Finite::ZERO); width],
            source: options.source,
            lenient,
            skipped: 0,
            row: 0,
        })
    }

    /// Rows that were passed over because their times could not be read ([`TelemetryOptions::lenient`]).
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Whether rows have times; without them a row's number stands for seconds.
    #[must_use]
    pub const fn has_times(&self) -> bool {
        self.clock.column.is_some()
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
    /// [`TelemetryError::Csv`], [`TelemetryError::BadTime`], [`TelemetryError::BadValue`], [`TelemetryError::Parquet`].
    pub fn next_row(&mut self) -> Result<Option<TelemetryRow<'_>>, TelemetryError> {
        let row = self.row;
        let at = match &mut self.rows {
            Rows::Csv(reader, record, comma) => loop {
                let line = reader.position().line();
                if !reader.read_byte_record(record).map_err(|source| TelemetryError::Csv { line, source })? {
                    return Ok(None);
                }
                let line = record.position().map_or(line, csv::Position::line);
                let field = |index: usize| text::decode(record.get(index).unwrap_or_default());
                let shown = |text: &str| text.chars().take(60).collect();
                let at = match self.clock.column {
                    None => row_time(row),
                    Some(first) => {
                        let mut text = field(first);
                        if let Some(second) = self.clock.second {
                            text = format!("{text} {}", field(second)).into();
                        }
                        match self.clock.read(&text) {
                            Some(at) => at,
                            None if self.lenient => {
                                self.skipped += 1;
                                continue;
                            }
                            None => return Err(TelemetryError::BadTime { line, text: shown(&text) }),
                        }
                    }
                };
                self.points.clear();
                for ((index, signal), last) in self.columns.iter().zip(&mut self.last) {
                    let text = field(*index);
                    let value = match text::value(&text, *comma) {
                        Ok(value) => value,
                        Err(()) if self.lenient => None,
                        Err(()) => {
                            let column = self.catalogue.path(*signal).to_owned();
                            return Err(TelemetryError::BadValue { line, column, text: shown(&text) });
                        }
                    };
                    self.points.push(point(*signal, value, last, self.source, at));
                }
                break at;
            },
            #[cfg(feature = "parquet")]
            Rows::Parquet(columns, cells) => {
                use super::parquet::Cell;
                let refuse = |(place, reason)| TelemetryError::Parquet { place, reason };
                if !columns.next_row(cells).map_err(refuse)? {
                    return Ok(None);
                }
                let (time, values) =
                    cells.split_at(usize::from(self.clock.column.is_some()).min(cells.len()));
                let bad = |text: &str| TelemetryError::BadTime { line: row + 1, text: text.to_owned() };
                let at = match time.first() {
                    None => row_time(row),
                    Some(Cell::Time(at)) => *at,
                    Some(Cell::Number(secs)) => Clock::number(*secs).ok_or_else(|| bad(&secs.to_string()))?,
                    Some(Cell::Text(text)) => self.clock.read(text).ok_or_else(|| bad(text))?,
                    Some(Cell::Truth(_) | Cell::Empty) => return Err(bad("")),
                };
                self.points.clear();
                for (((_, signal), last), cell) in self.columns.iter().zip(&mut self.last).zip(values) {
                    let value = match cell {
                        Cell::Number(number) => Value::real(*number).ok(),
                        Cell::Truth(truth) => Some(Value::Boolean(*truth)),
                        Cell::Time(_) | Cell::Text(_) | Cell::Empty => None,
                    };
                    self.points.push(point(*signal, value, last, self.source, at));
                }
                at
            }
        };
        self.row += 1;
        Ok(Some(TelemetryRow { at, points: &self.points, row }))
    }
}

/// The time of a row of a file without times.
fn row_time(row: u64) -> Timestamp {
    Timestamp::from_secs(i64::try_from(row).unwrap_or(i64::MAX))
}

/// A value, or one of bad quality that holds the last good one.
fn point(signal: SignalId, value: Option<Value>, last: &mut Value, source: Source, at: Timestamp) -> Point {
    let mut point = Point::new(signal, value.unwrap_or(*last), source, at);
    match value {
        Some(value) => *last = value,
        None => point.quality = Quality::Bad,
    }
    point
}

/// Rows of a piece of the file.
fn first_rows(bytes: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .trim(csv::Trim::All)
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    let row = |row: csv::ByteRecord| row.iter().map(|field| text::decode(field).into_owned()).collect();
    reader.byte_records().map_while(Result::ok).map(row).collect()
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
        assert!(matches!(rows("PAR1, no more"), Err(TelemetryError::Parquet { .. })));
    }

    #[test]
    fn a_strangers_file_is_taken_as_it_is() {
        let text =
            b";a;a;;zustand;b\n09.03.2020 10:14:33;1,5;9;x;l\xe4uft;2\nSumme;4\n09.03.2020 10:14:34;Bad;9\n";
        let open = |catalogue| {
            let options = TelemetryOptions { lenient: true, catalogue, ..TelemetryOptions::default() };
            Telemetry::open(text.as_slice(), options)
        };
        let mut telemetry = open(Catalogue::new()).unwrap();
        let names: Vec<&str> = telemetry.catalogue().iter().map(|(_, signal)| &*signal.path).collect();
        assert_eq!(names, ["a", "zustand", "b"], "an index is none, and a name counts once");
        let mut seen = Vec::new();
        while let Some(row) = telemetry.next_row().unwrap() {
            let value = |p: &Point| p.quality.is_usable().then(|| p.value.as_f64());
            seen.push((row.at.as_nanos() / 1_000_000_000, row.points.iter().map(value).collect::<Vec<_>>()));
        }
        let at = 1_583_748_873;
        assert_eq!(seen, [(at, vec![Some(1.5), None, Some(2.0)]), (at + 1, vec![None, None, None])]);
        assert_eq!((telemetry.skipped(), telemetry.has_times()), (1, true));

        let mut known = Catalogue::new();
        known.intern(Signal::new("b", Role::Measurement)).unwrap();
        assert_eq!(open(known.clone()).unwrap().signals().len(), 1, "other columns are no signals");
        let other = TelemetryOptions { lenient: true, catalogue: known, ..TelemetryOptions::default() };
        assert!(matches!(Telemetry::open("x,y\n1,2\n".as_bytes(), other), Err(TelemetryError::NoSignals)));
    }
}
