//! Security for digital twins: parse, model, prove, score, gate, heal. [`Guard`] is the front door.
//!
#![doc = include_str!("../README.md")]

pub mod behaviour;
mod builder;
mod config;
#[cfg(feature = "redteam")]
mod defender;
mod error;
mod evidence;
pub mod fleet;
mod guard;
mod input;
pub mod onboard;
mod output;
#[cfg(feature = "report")]
mod record;
mod sense;
pub mod shadow;
mod snapshot;

pub use builder::{Builder, History};
pub use config::Config;
#[cfg(feature = "redteam")]
pub use defender::Drill;
pub use error::Error;
pub use evidence::{Evidence, JournalStorage, Seal};
pub use fleet::Fleet;
pub use guard::{Counters, Guard};
pub use input::{
    Approval, Artefact, Attested, Check, Input, LineReport, LineStanding, Operator, Recalibration,
};
pub use output::{Output, Verdicted};
#[cfg(feature = "report")]
pub use record::{Recorder, Run};
pub use sense::DetectionReport;
#[cfg(feature = "federated")]
pub use twinguard_federated as federated;
#[cfg(feature = "redteam")]
pub use twinguard_redteam as redteam;
#[cfg(feature = "report")]
pub use twinguard_report as report;
pub use {
    twinguard_anomaly as anomaly, twinguard_gate as gate, twinguard_integrity as integrity,
    twinguard_protocol as protocol, twinguard_response as response, twinguard_twin as twin,
    twinguard_types as types,
};
