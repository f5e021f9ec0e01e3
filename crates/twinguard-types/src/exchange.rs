use core::net::SocketAddr;

use crate::{Duration, Label, Timestamp};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ExchangeOutcome {
    /// Request and response were paired.
    Answered,
    /// Request and response were paired, and the response is a protocol exception with this code.
    Exception(u8),
    /// No response came within the session's window.
    Unanswered,
    /// A response without a request that could have caused it.
    Unsolicited,
    /// A message that expects no answer.
    OneWay,
}

/// A request and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Exchange {
    /// When the exchange was complete (the response's arrival, or the moment it was given up).
    pub at: Timestamp,
    /// Protocol family, for example `modbus`.
    pub family: Label,
    /// Who asked.
    pub client: SocketAddr,
    /// Who was asked.
    pub server: SocketAddr,
    /// Sub-address behind the server (Modbus unit identifier, DNP3 outstation), 0 where the protocol has none.
    pub unit: u16,
    /// The family's function or service code.
    pub function: u16,
    /// Time from request to response.
    pub latency: Option<Duration>,
    /// How it ended.
    pub outcome: ExchangeOutcome,
}

/// What is odd about bytes that could still be read, at least in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Oddity {
    /// A length field disagrees with the bytes that came.
    LengthMismatch,
    /// A quantity or count outside what the standard allows.
    BadQuantity,
    /// A value that the standard does not allow in this field.
    BadValue,
    /// An address range that ends beyond the address space.
    BadAddress,
    /// A protocol identifier that is not the family's.
    BadProtocolId,
    /// A function or service that the standard does not define.
    UnknownFunction,
    /// The message ends before its fields do.
    Truncated,
    /// Bytes after the end of the message.
    TrailingBytes,
    /// A checksum that does not match.
    BadChecksum,
    /// A response whose request was not seen.
    UnmatchedResponse,
    /// A request that was never answered.
    UnansweredRequest,
    /// A transaction identifier that was used again before its answer came.
    DuplicateTransaction,
    /// A response that does not fit its request.
    ResponseMismatch,
    /// Bytes that are not of the family that the port or the earlier traffic says.
    NotThisProtocol,
    /// Stream bytes that were never seen (lost by the tap, or not sent).
    Gap,
    /// Overlapping segments or fragments with different content.
    ConflictingOverlap,
    /// A bound on memory was reached, and bytes were dropped.
    Dropped,
}

/// Something odd on the wire, never dropped in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Malformed {
    /// When.
    pub at: Timestamp,
    /// Protocol family or layer, for example `modbus`, `tcp`.
    pub family: Label,
    /// Sender, where the layer has one.
    pub source: Option<SocketAddr>,
    /// Receiver, where the layer has one.
    pub destination: Option<SocketAddr>,
    /// Byte offset within the message.
    pub offset: u32,
    /// What is odd.
    pub oddity: Oddity,
}
