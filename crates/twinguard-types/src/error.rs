/// What a checked constructor of this crate refuses.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number was NaN or infinite.
    #[error("value is not finite")]
    NotFinite,
    /// A range whose lower end is not below its upper end.
    #[error("range is empty: minimum `{min}` is not below maximum `{max}`")]
    EmptyRange {
        /// Lower end as given.
        min: f64,
        /// Upper end as given.
        max: f64,
    },
    /// A signal or asset path that is empty, too long, or holds control characters.
    #[error("path `{path}` is not valid: {reason}")]
    BadPath {
        /// The path as given, shortened to 120 characters.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A path that the catalogue already holds with other properties.
    #[error("path `{path}` is already declared with other properties")]
    Conflict {
        /// The path.
        path: String,
    },
    /// An id that this catalogue did not hand out.
    #[error("unknown id `{id}`")]
    UnknownId {
        /// The id's number.
        id: u32,
    },
    /// A text that is no unit.
    #[error("unit `{unit}` is not understood: {part}")]
    BadUnit {
        /// The text as given, shortened to 64 characters.
        unit: String,
        /// The part that is not understood, or why.
        part: String,
    },
    /// More entries than a 32-bit id can name.
    #[error("catalogue is full")]
    Full,
    /// A label longer than [`Label::CAPACITY`](crate::Label::CAPACITY) bytes.
    #[error("label `{label}` is longer than 23 bytes")]
    LabelTooLong {
        /// The text as given.
        label: String,
    },
    /// A digest that is not 64 hexadecimal digits.
    #[error("digest is not 64 hexadecimal digits")]
    BadDigest,
    /// A hardware address that is not six pairs of hexadecimal digits with colons between.
    #[error("hardware address is not six pairs of hexadecimal digits with colons between")]
    NotAMac,
    /// A time outside the range of 64-bit nanoseconds (years 1677 to 2262).
    #[error("time is out of range")]
    TimeOutOfRange,
}
