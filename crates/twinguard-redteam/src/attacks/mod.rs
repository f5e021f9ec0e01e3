//! One attack per file.

pub(crate) mod bias;
pub(crate) mod command_injection;
pub(crate) mod freeze;
pub(crate) mod ramp;
pub(crate) mod replay;
