//! OT traffic to points and commands, and back.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

mod bytes;
pub mod capture;
mod error;
mod frame;
pub mod ip;
pub mod link;
pub mod tcp;
pub mod udp;

pub use error::{DecodeError, Error, Layer};
pub use frame::{Frame, LinkType};
