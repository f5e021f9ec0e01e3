//! Security for digital twins.

#[cfg(feature = "report")]
pub use twinguard_report as report;
#[cfg(feature = "redteam")]
pub use twinguard_redteam as redteam;
pub use {
    twinguard_anomaly as anomaly, twinguard_gate as gate, twinguard_integrity as integrity,
    twinguard_protocol as protocol, twinguard_response as response, twinguard_twin as twin,
    twinguard_types as types,
};
