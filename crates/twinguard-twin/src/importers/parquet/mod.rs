//! Columns of a Parquet file, row by row: what [`super::Telemetry`] reads where a file begins with `PAR1`.
//!
//! Source: Apache Parquet format 2.11 and its `LogicalTypes.md` (timestamps, dates, decimals); the decoding is the crate `parquet`'s, of
//! the Apache Arrow project. Here stands what that reader may reserve ([`pages`]) and which columns are numbers. A reader of
//! that size may panic on a malformed file: that is caught and becomes a refusal.

mod pages;

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};

use ::parquet::{
    basic::{ConvertedType, LogicalType, TimeUnit, Type},
    column::reader::ColumnReader,
    data_type::{ByteArray, Int96},
    errors::ParquetError,
    file::{
        metadata::ColumnChunkMetaData,
        reader::{FileReader, SerializedFileReader},
    },
    schema::types::ColumnDescriptor,
};
use bytes::Bytes;
use twinguard_types::Timestamp;

/// Rows that are decoded at once.
const BATCH: usize = 1_024;
const NANOS: i64 = 1_000_000_000;

/// Where in the file, and what is wrong.
pub(super) type Wrong = (String, String);

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// Nothing, or no finite number.
    Empty,
    Number(f64),
    Truth(bool),
    Time(Timestamp),
    Text(String),
}

/// What a column's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    /// Times this factor.
    Number(f64),
    /// As a number without a sign.
    Unsigned,
    /// Times of so many nanoseconds.
    Time(i64),
    Text,
    /// Repeated values, and types without a number.
    Nothing,
}

impl Meaning {
    fn of(column: &ColumnDescriptor) -> Self {
        if column.max_rep_level() > 0 {
            return Self::Nothing;
        }
        let integer = matches!(column.physical_type(), Type::INT32 | Type::INT64);
        match (column.physical_type(), column.logical_type_ref(), column.converted_type()) {
            (Type::INT64, Some(LogicalType::Timestamp(timestamp)), _) => Self::Time(match timestamp.unit {
                TimeUnit::MILLIS => 1_000_000,
                TimeUnit::MICROS => 1_000,
                TimeUnit::NANOS => 1,
            }),
            (Type::INT64, None, ConvertedType::TIMESTAMP_MILLIS) => Self::Time(1_000_000),
            (Type::INT64, None, ConvertedType::TIMESTAMP_MICROS) => Self::Time(1_000),
            (Type::INT96, ..) => Self::Time(1),
            (Type::INT32, Some(LogicalType::Date), _) | (Type::INT32, None, ConvertedType::DATE) => {
                Self::Time(86_400 * NANOS)
            }
            (_, Some(LogicalType::Decimal(_)), _) | (_, _, ConvertedType::DECIMAL) if integer => {
                Self::Number(libm::pow(10.0, -f64::from(column.type_scale())))
            }
            (_, Some(LogicalType::Integer(number)), _) if integer && !number.is_signed => Self::Unsigned,
            (_, None, ConvertedType::UINT_32 | ConvertedType::UINT_64) if integer => Self::Unsigned,
            (Type::BOOLEAN | Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE, ..) => Self::Number(1.0),
            (Type::BYTE_ARRAY, ..) => Self::Text,
            (Type::FIXED_LEN_BYTE_ARRAY, ..) => Self::Nothing,
        }
    }
}

/// A file's columns in memory.
pub(super) struct Columns {
    bytes: Bytes,
    reader: SerializedFileReader<Bytes>,
    names: Vec<String>,
    meanings: Vec<Meaning>,
    /// Columns that are read.
    wanted: Vec<usize>,
    /// Readers of the row group that is being read, and its rows that are left.
    open: Vec<(ColumnReader, i16)>,
    left: usize,
    group: usize,
    /// Decoded rows, a queue a wanted column.
    cells: Vec<VecDeque<Cell>>,
}

impl std::fmt::Debug for Columns {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Columns").field("names", &self.names).finish_non_exhaustive()
    }
}

/// Runs the reader; what makes it panic is the file.
fn contained<T>(place: &str, run: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Wrong> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(|error| (place.to_owned(), error.to_string().chars().take(200).collect())),
        Err(_) => Err((place.to_owned(), "malformed".to_owned())),
    }
}

impl Columns {
    pub(super) fn open(bytes: Vec<u8>) -> Result<Self, Wrong> {
        let bytes = Bytes::from(bytes);
        let reader = contained("footer", || SerializedFileReader::new(bytes.clone()))?;
        let columns = reader.metadata().file_metadata().schema_descr().columns();
        let names = columns.iter().map(|column| column.path().string()).collect();
        let meanings =
            contained("footer", || Ok(columns.iter().map(|column| Meaning::of(column)).collect()))?;
        let (wanted, open, cells) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { bytes, reader, names, meanings, wanted, open, left: 0, group: 0, cells })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The only column that holds times by its type.
    pub(super) fn only_time(&self) -> Option<usize> {
        let mut times = (0..self.meanings.len()).filter(|at| matches!(self.meanings[*at], Meaning::Time(_)));
        times.next().filter(|_| times.next().is_none())
    }

    /// Says which columns are read, the first of them perhaps as time.
    pub(super) fn want(&mut self, time: Option<usize>, signals: &[usize]) -> Result<(), Wrong> {
        let place = |at: usize| format!("column `{}`", self.names.get(at).map_or("?", String::as_str));
        for at in signals {
            if !matches!(self.meanings.get(*at), Some(Meaning::Number(_) | Meaning::Unsigned)) {
                return Err((place(*at), "no numbers in this column".to_owned()));
            }
        }
        if let Some(at) = time.filter(|at| self.meanings.get(*at) == Some(&Meaning::Nothing)) {
            return Err((place(at), "no times in this column".to_owned()));
        }
        self.wanted = time.iter().chain(signals).copied().collect();
        self.cells = vec![VecDeque::new(); self.wanted.len()];
        Ok(())
    }

    /// The next row's cells in the order in which columns were wanted; `false` at the end.
    pub(super) fn next_row(&mut self, row: &mut Vec<Cell>) -> Result<bool, Wrong> {
        row.clear();
        while self.cells.first().is_none_or(VecDeque::is_empty) {
            if self.left > 0 {
                self.decode()?;
            } else if !self.next_group()? {
                return Ok(false);
            }
        }
        row.extend(self.cells.iter_mut().filter_map(VecDeque::pop_front));
        Ok(true)
    }

    /// Opens the next row group.
    fn next_group(&mut self) -> Result<bool, Wrong> {
        let (group, reader, bytes) = (self.group, &self.reader, &self.bytes);
        if group >= reader.num_row_groups() {
            return Ok(false);
        }
        self.group += 1;
        let place = format!("row group {group}");
        let metadata = reader.metadata().row_group(group);
        let rows = usize::try_from(metadata.num_rows());
        self.left = rows.map_err(|_| (place.clone(), "a negative number of rows".to_owned()))?;
        for at in &self.wanted {
            let place = || format!("{place}, column `{}`", self.names[*at]);
            let chunk = metadata.columns().get(*at);
            let pages = chunk.and_then(|chunk| pages_of(bytes, chunk));
            let pages = pages.ok_or_else(|| (place(), "its pages lie outside of the file".to_owned()))?;
            pages::check(pages).map_err(|reason| (place(), reason.to_owned()))?;
        }
        self.open = contained(&place, || {
            let columns = reader.metadata().file_metadata().schema_descr().columns();
            let group = reader.get_row_group(group)?;
            let level = |at: usize| columns.get(at).map_or(0, |column| column.max_def_level());
            self.wanted.iter().map(|at| Ok((group.get_column_reader(*at)?, level(*at)))).collect()
        })?;
        Ok(true)
    }

    /// Decodes some rows of every column.
    fn decode(&mut self) -> Result<(), Wrong> {
        let count = self.left.min(BATCH);
        let place = format!("row group {}", self.group.saturating_sub(1));
        for ((column, cells), at) in self.open.iter_mut().zip(&mut self.cells).zip(&self.wanted) {
            let meaning = self.meanings[*at];
            let found = contained(&place, || cells_of(column, meaning, count))?;
            if found.len() != count {
                let reason = format!("column `{}` has fewer rows than the row group says", self.names[*at]);
                return Err((place, reason));
            }
            cells.extend(found);
        }
        self.left -= count;
        Ok(())
    }
}

/// The bytes of a column's pages.
fn pages_of<'a>(bytes: &'a Bytes, chunk: &ColumnChunkMetaData) -> Option<&'a [u8]> {
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(chunk.compressed_size()).ok()?)?;
    bytes.get(start..end)
}

/// So many cells of a column.
fn cells_of(
    (column, level): &mut (ColumnReader, i16),
    meaning: Meaning,
    count: usize,
) -> Result<Vec<Cell>, ParquetError> {
    let level = *level;
    let number = |value: f64| if value.is_finite() { Cell::Number(value) } else { Cell::Empty };
    let integer = |value: i64, unsigned: u64| match meaning {
        Meaning::Time(nanos) => {
            let at = value.checked_mul(nanos).map(Timestamp::from_nanos);
            at.map_or(Cell::Empty, Cell::Time)
        }
        Meaning::Unsigned => number(unsigned as f64),
        Meaning::Number(factor) => number(value as f64 * factor),
        Meaning::Text | Meaning::Nothing => Cell::Empty,
    };
    let mut levels = Vec::new();
    macro_rules! read {
        ($reader:expr, $kind:ty, $cell:expr) => {{
            let mut values: Vec<$kind> = Vec::new();
            let (rows, ..) = $reader.read_records(count, Some(&mut levels), None, &mut values)?;
            let mut values = values.into_iter().map($cell);
            if level == 0 {
                values.collect()
            } else {
                let present = levels.iter().take(rows).map(|found| *found == level);
                present.map(|is| if is { values.next() } else { None }.unwrap_or(Cell::Empty)).collect()
            }
        }};
    }
    let text = |text: ByteArray| match text.as_utf8() {
        Ok(text) => Cell::Text(text.chars().take(100).collect()),
        Err(_) => Cell::Empty,
    };
    Ok(match column {
        ColumnReader::BoolColumnReader(reader) => read!(reader, bool, Cell::Truth),
        ColumnReader::Int32ColumnReader(reader) => {
            read!(reader, i32, |value: i32| integer(value.into(), value.cast_unsigned().into()))
        }
        ColumnReader::Int64ColumnReader(reader) => {
            read!(reader, i64, |value: i64| integer(value, value.cast_unsigned()))
        }
        ColumnReader::Int96ColumnReader(reader) => read!(reader, Int96, |value: Int96| julian(&value)),
        ColumnReader::FloatColumnReader(reader) => {
            read!(reader, f32, |value: f32| number(f64::from(value)))
        }
        ColumnReader::DoubleColumnReader(reader) => read!(reader, f64, number),
        ColumnReader::ByteArrayColumnReader(reader) => read!(reader, ByteArray, text),
        ColumnReader::FixedLenByteArrayColumnReader(_) => Vec::new(),
    })
}

/// A time as nanoseconds of a day and its Julian day number, which is 2 440 588 on 1970-01-01.
fn julian(value: &Int96) -> Cell {
    let [low, high, day] = value.data() else { return Cell::Empty };
    let of_day = (i64::from(*high) << 32) | i64::from(*low);
    let day = (i64::from(*day) - 2_440_588).checked_mul(86_400 * NANOS);
    day.and_then(|day| day.checked_add(of_day))
        .map_or(Cell::Empty, |nanos| Cell::Time(Timestamp::from_nanos(nanos)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::parquet::{
        basic::{Compression, GzipLevel},
        column::writer::ColumnWriter,
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    use twinguard_types::Quality;

    use super::*;
    use crate::importers::{Telemetry, TelemetryOptions};

    const SCHEMA: &str = "message m { required int64 at (TIMESTAMP(MILLIS, true)); optional double level; required boolean open; \
        optional int32 price (DECIMAL(9, 2)); required int64 count (INTEGER(64, false)); optional binary note (UTF8); required float flow; }";

    /// Rows of every kind of column, `None` in every third of those that may be empty.
    fn file(schema: &str, rows: i64, compression: Compression) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
        let mut from = 0;
        while from < rows {
            let batch: Vec<i64> = (from..rows.min(from + 1_500)).collect();
            let levels: Vec<i16> = batch.iter().map(|row| i16::from(row % 3 != 2)).collect();
            let there = || batch.iter().filter(|row| *row % 3 != 2);
            let mut group = writer.next_row_group().unwrap();
            let mut whole = 0;
            while let Some(mut column) = group.next_column().unwrap() {
                match column.untyped() {
                    ColumnWriter::Int64ColumnWriter(column) => {
                        let values: Vec<i64> =
                            batch.iter().map(|row| if whole == 0 { 1_000 * row } else { -row }).collect();
                        whole += 1;
                        column.write_batch(&values, None, None).unwrap();
                    }
                    ColumnWriter::DoubleColumnWriter(column) => {
                        let values: Vec<f64> = there().map(|row| *row as f64 / 4.0).collect();
                        column.write_batch(&values, Some(&levels), None).unwrap();
                    }
                    ColumnWriter::BoolColumnWriter(column) => {
                        let values: Vec<bool> = batch.iter().map(|row| row % 2 == 0).collect();
                        column.write_batch(&values, None, None).unwrap();
                    }
                    ColumnWriter::Int32ColumnWriter(column) => {
                        let values: Vec<i32> = there().map(|row| *row as i32).collect();
                        column.write_batch(&values, Some(&levels), None).unwrap();
                    }
                    ColumnWriter::ByteArrayColumnWriter(column) => {
                        let values: Vec<ByteArray> = there().map(|_| ByteArray::from("calm")).collect();
                        column.write_batch(&values, Some(&levels), None).unwrap();
                    }
                    ColumnWriter::FloatColumnWriter(column) => {
                        let values: Vec<f32> = batch.iter().map(|_| f32::NAN).collect();
                        column.write_batch(&values, None, None).unwrap();
                    }
                    _ => panic!("a column of another kind"),
                }
                column.close().unwrap();
            }
            group.close().unwrap();
            from += 1_500;
        }
        writer.into_inner().unwrap()
    }

    fn options(ignore: &[&str]) -> TelemetryOptions {
        TelemetryOptions {
            ignore: ignore.iter().map(|name| (*name).to_owned()).collect(),
            ..TelemetryOptions::default()
        }
    }

    #[test]
    fn columns_become_rows_with_times_and_qualities() {
        for compression in
            [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::GZIP(GzipLevel::default())]
        {
            let bytes = file(SCHEMA, 4_000, compression);
            let mut telemetry = Telemetry::open(bytes.as_slice(), options(&["note"])).unwrap();
            let names: Vec<String> =
                telemetry.signals().map(|signal| telemetry.catalogue().path(signal).to_owned()).collect();
            assert_eq!(names, ["level", "open", "price", "count", "flow"]);
            let mut rows = 0_i64;
            while let Some(row) = telemetry.next_row().unwrap() {
                assert_eq!(row.at, Timestamp::from_secs(rows));
                let last = if rows % 3 == 2 { rows - 1 } else { rows };
                let quality = if rows % 3 == 2 { Quality::Bad } else { Quality::Good };
                let value = |at: usize| (row.points[at].value.as_f64(), row.points[at].quality);
                assert_eq!(value(0), (last as f64 / 4.0, quality));
                assert_eq!(value(1), (f64::from(u8::from(rows % 2 == 0)), Quality::Good));
                assert!((value(2).0 - last as f64 / 100.0).abs() < 1e-9 && value(2).1 == quality);
                assert_eq!(value(3), ((-rows).cast_unsigned() as f64, Quality::Good));
                assert_eq!(value(4).1, Quality::Bad);
                rows += 1;
            }
            assert_eq!(rows, 4_000);
        }
    }

    #[test]
    fn what_is_no_history_is_refused_with_its_place() {
        let refuse = |bytes: &[u8], ignore: &[&str], expected: &str| {
            let error = Telemetry::open(bytes, options(ignore)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        let bytes = file(SCHEMA, 10, Compression::SNAPPY);
        refuse(&bytes, &[], "column `note`: no numbers in this column");
        refuse(&bytes[..bytes.len() - 1], &["note"], "footer: ");
        refuse(b"PAR1", &[], "footer: ");
        let repeated = "message m { repeated double a; }";
        let schema = Arc::new(parse_message_type(repeated).unwrap());
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
        refuse(&writer.into_inner().unwrap(), &[], "column `a`: no numbers in this column");
    }

    #[test]
    fn times_of_every_kind_are_times() {
        assert_eq!(julian(&Int96::from(vec![0, 0, 2_440_589])), Cell::Time(Timestamp::from_secs(86_400)));
        assert_eq!(
            julian(&Int96::from(vec![1, 1, 2_440_588])),
            Cell::Time(Timestamp::from_nanos((1 << 32) + 1))
        );
        assert_eq!(julian(&Int96::from(vec![0, 0, u32::MAX])), Cell::Empty);
    }

    /// Bytes that fell over: read to the end or refused, never more.
    #[test]
    fn damaged_files_are_read_or_refused() {
        let whole = file(SCHEMA, 300, Compression::SNAPPY);
        let mut seed = 1_u64;
        let mut next = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..=next(3) {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
            let Ok(mut telemetry) = Telemetry::open(bytes.as_slice(), options(&["note"])) else { continue };
            let mut rows = 0;
            while let Ok(Some(_)) = telemetry.next_row() {
                rows += 1;
                if rows > 10_000 {
                    break;
                }
            }
        }
    }
}
