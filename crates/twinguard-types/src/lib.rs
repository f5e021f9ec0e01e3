//! The nouns of twinguard: plain data that every floor shares.
//!
//! ```
//! use twinguard_types::{Catalogue, Point, Quality, Role, Signal, Source, Timestamp, Value};
//!
//! let mut catalogue = Catalogue::new();
//! let oil = catalogue.intern(Signal::new("oil.temperature", Role::Measurement).unit("degC").range(-40.0, 160.0)?)?;
//! let point = Point::new(oil, Value::real(64.4)?, Source::Field, Timestamp::from_secs(12));
//! assert_eq!(point.quality, Quality::Good);
//! assert!(Value::real(f64::NAN).is_err(), "NaN stops here");
//! # Ok::<(), twinguard_types::Error>(())
//! ```
//!
//! The flow is `frame → pdu → exchange → event → residual → score → finding → action → verdict → receipt`;
//! the nouns from `exchange` on live here, so that no two crates need each other to speak of them.
//! Values are finite by construction, time is integer nanoseconds, signals are interned ids.
//! Nothing here reads a clock, a file or a random number.

mod access;
mod action;
mod binding;
mod bundle;
pub mod calendar;
mod catalogue;
mod command;
mod digest;
mod error;
mod event;
mod exchange;
mod finding;
mod id;
mod label;
mod point;
mod principal;
mod residual;
mod score;
mod time;
mod unit;
mod value;
mod verdict;

pub use access::{Access, AccessOutcome, Attestation, AttestationOutcome};
pub use action::{Action, ActionKind, Outcome, OutcomeResult};
pub use binding::{Binding, ByteOrder, Direction, Encoding, Endpoint, Mac, Word};
pub use bundle::Bundle;
pub use catalogue::{Asset, Catalogue, Edge, EdgeKind, Range, Role, Signal, Tie, TieKind};
pub use command::{Command, CommandOrigin, Intent};
pub use digest::Digest;
pub use error::Error;
pub use event::{Event, Row};
pub use exchange::{Exchange, ExchangeOutcome, Malformed, Oddity};
pub use finding::{
    Confidence, Evidence, Finding, FindingKind, FindingState, Reason, Severity, Suspect, Technique, View,
};
pub use id::{ActionId, AssetId, CommandId, DetectorId, FindingId, PrincipalId, SignalId};
pub use label::Label;
pub use point::{Point, Quality, Source};
pub use principal::{Principal, PrincipalKind, Principals};
pub use residual::{Cause, Explanation, Residual};
pub use score::{Attribution, Score, Symptom};
pub use time::{Duration, Timestamp};
pub use unit::{Dimensions, Unit};
pub use value::{Finite, Value};
pub use verdict::{Decision, Receipt, Stage, Verdict, VerdictReason};
