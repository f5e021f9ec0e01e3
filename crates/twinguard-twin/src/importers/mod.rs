//! Importers: what vendors already have, brought into the same structures. One file each.

mod telemetry;

pub use telemetry::{Telemetry, TelemetryError, TelemetryOptions, TelemetryRow};
