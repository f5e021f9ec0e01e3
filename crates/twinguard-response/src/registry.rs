//! All responders, one line each, in alphabetical order.

/// Names of the responders that ship.
pub const RESPONDERS: &[&str] = &["playbook"];
