//! Values as rows of a Parquet file, so that each place is a time series. Needs the feature `parquet`.
//!
//! Source: Apache Parquet format 2.x (logical types `TIMESTAMP(NANOS, UTC)`, `STRING`); written by the crate `parquet`.
//!
//! | column | type | what |
//! |---|---|---|
//! | `time` | timestamp, ns, UTC | when the message was captured |
//! | `family`, `device`, `tag` | string | the place: family, the end that serves it, tag |
//! | `access` | string | `read`, `write`, `echo`, `select`, `argument` |
//! | `value` | double, may be null | the number or state; of whole numbers beyond 2⁵³ the nearest double |
//! | `text` | string, may be null | text, where the value is one |
//! | `raw` | bytes | as on the wire; a single bit is the byte 0 or 1 |
//! | `quality` | string | `good`, `uncertain`, `bad`, `stale`, `substituted` |
//! | `device_time` | timestamp, ns, UTC, may be null | when it held, by the device's clock |

use std::io::Write;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::error::Error;
use crate::protocol::{Raw, Scalar};
use crate::stack::Message;

const SCHEMA: &str = "message twinguard {
    REQUIRED INT64 time (TIMESTAMP(NANOS,true));
    REQUIRED BYTE_ARRAY family (STRING);
    REQUIRED BYTE_ARRAY device (STRING);
    REQUIRED BYTE_ARRAY tag (STRING);
    REQUIRED BYTE_ARRAY access (STRING);
    OPTIONAL DOUBLE value;
    OPTIONAL BYTE_ARRAY text (STRING);
    REQUIRED BYTE_ARRAY raw;
    REQUIRED BYTE_ARRAY quality (STRING);
    OPTIONAL INT64 device_time (TIMESTAMP(NANOS,true));
}";

/// Rows of one row group; so many are held at a time.
pub const GROUP_ROWS: usize = 1 << 16;
/// Bytes of names, texts and raw values of one row group, at most, beyond those of one message.
pub const GROUP_BYTES: usize = 16 << 20;

/// Writes values as a Parquet file, compressed with Snappy. The same messages give the same bytes.
///
/// ```
/// use twinguard_protocol::{Frame, Item, LinkType, Stack, emit, protocols::modbus::Repr, series::ParquetWriter, stack::Config};
/// use twinguard_types::Timestamp;
///
/// let (mut stack, mut bytes) = (Stack::new(Config::default()), Vec::new());
/// let write = Repr::write_register(1, 17, 107, 644)?;
/// emit::datagram("10.0.0.1:40000".parse()?, "10.0.0.2:502".parse()?, write.emit().as_bytes(), &mut bytes)?;
/// let frame = Frame { index: 1, at: Timestamp::ZERO, link: LinkType::Ethernet, bytes: &bytes, original_len: bytes.len() as u32 };
/// stack.handle(&frame);
/// let mut series = ParquetWriter::new(Vec::new())?;
/// while let Some(item) = stack.poll() {
///     if let Item::Message(message) = item {
///         series.take(&message)?;
///     }
/// }
/// let file = series.finish()?;
/// assert_eq!((&file[..4], &file[file.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ParquetWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    rows: Rows,
}

impl<W: Write + Send> core::fmt::Debug for ParquetWriter<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ParquetWriter").field("rows", &self.rows.times.len()).finish_non_exhaustive()
    }
}

/// The columns of a row group that is being filled.
#[derive(Default)]
struct Rows {
    times: Vec<i64>,
    /// Family, device, tag, access.
    names: [Vec<ByteArray>; 4],
    values: Optional<f64>,
    texts: Optional<ByteArray>,
    raws: Vec<ByteArray>,
    qualities: Vec<ByteArray>,
    device_times: Optional<i64>,
    /// Of names, texts and raw values.
    bytes: usize,
}

/// A column with holes: the values that are there, and for each row whether one is.
struct Optional<T> {
    values: Vec<T>,
    there: Vec<i16>,
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self { values: Vec::new(), there: Vec::new() }
    }
}

impl<T> Optional<T> {
    fn push(&mut self, value: Option<T>) {
        self.there.push(i16::from(value.is_some()));
        self.values.extend(value);
    }
}

impl<W: Write + Send> ParquetWriter<W> {
    /// A file without rows.
    ///
    /// # Errors
    /// [`Error::Table`] when the output cannot be written.
    pub fn new(out: W) -> Result<Self, Error> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("twinguard ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let file = SerializedFileWriter::new(out, schema, Arc::new(properties))?;
        Ok(Self { file, rows: Rows::default() })
    }

    /// Adds the values of a message, a row each.
    ///
    /// # Errors
    /// [`Error::Table`] when the output cannot be written.
    pub fn take(&mut self, message: &Message<'_>) -> Result<(), Error> {
        let family = message.family();
        for point in message.points() {
            let rows = &mut self.rows;
            rows.times.push(message.at.as_nanos());
            let names =
                [family.to_string(), message.server().to_string(), family.show_tag(point.tag).to_string()];
            for (column, name) in
                rows.names.iter_mut().zip(names.into_iter().chain([point.access.as_str().to_owned()]))
            {
                rows.bytes += name.len();
                column.push(name.into_bytes().into());
            }
            let (value, text) = match point.raw.scalar() {
                Some(Scalar::Boolean(state)) => (Some(f64::from(u8::from(state))), None),
                Some(Scalar::Signed(number)) => (Some(number as f64), None),
                Some(Scalar::Unsigned(number)) => (Some(number as f64), None),
                Some(Scalar::Float(number)) => (Some(number), None),
                Some(Scalar::Text(text)) => (None, Some(String::from_utf8_lossy(text).into_owned())),
                Some(Scalar::Opaque) | None => (None, None),
            };
            rows.bytes += text.as_ref().map_or(0, String::len);
            rows.values.push(value);
            rows.texts.push(text.map(|text| text.into_bytes().into()));
            let raw = raw(point.raw);
            rows.bytes += raw.len();
            rows.raws.push(raw.into());
            rows.qualities.push(point.quality.as_str().into());
            rows.device_times.push(point.at.map(|at| at.as_nanos()));
        }
        if self.rows.times.len() >= GROUP_ROWS || self.rows.bytes >= GROUP_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what is held and the file's end; gives the output back.
    ///
    /// # Errors
    /// [`Error::Table`] when the output cannot be written.
    pub fn finish(mut self) -> Result<W, Error> {
        self.flush()?;
        Ok(self.file.into_inner()?)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Rows { times, names, values, texts, raws, qualities, device_times, .. } =
            core::mem::take(&mut self.rows);
        if times.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        column::<Int64Type, W>(&mut group, &times, None)?;
        for name in &names {
            column::<ByteArrayType, W>(&mut group, name, None)?;
        }
        column::<DoubleType, W>(&mut group, &values.values, Some(&values.there))?;
        column::<ByteArrayType, W>(&mut group, &texts.values, Some(&texts.there))?;
        column::<ByteArrayType, W>(&mut group, &raws, None)?;
        column::<ByteArrayType, W>(&mut group, &qualities, None)?;
        column::<Int64Type, W>(&mut group, &device_times.values, Some(&device_times.there))?;
        group.close()?;
        Ok(())
    }
}

/// Writes the next column of a row group.
fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    there: Option<&[i16]>,
) -> Result<(), ParquetError> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, there, None)?;
        column.close()?;
    }
    Ok(())
}

/// The bytes of a value.
fn raw(raw: Raw<'_>) -> Vec<u8> {
    match raw {
        Raw::Bit(state) => vec![u8::from(state)],
        Raw::Word(word) | Raw::Switch(word) => word.to_vec(),
        Raw::Mask { and, or } => [and.to_be_bytes(), or.to_be_bytes()].concat(),
        Raw::Bytes(bytes) | Raw::Scalar { raw: bytes, .. } => bytes.to_vec(),
        Raw::Number { raw, .. } => raw.to_be_bytes().to_vec(),
    }
}
