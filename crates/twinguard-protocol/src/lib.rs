//! OT traffic to points and commands, and back.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

mod bytes;
pub mod capture;
pub mod emit;
mod encoding;
mod error;
mod frame;
pub mod ip;
pub mod link;
mod pairing;
pub mod point_map;
pub mod protocol;
pub mod protocols;
mod registry;
pub mod stack;
pub mod tcp;
pub mod udp;

pub use error::{DecodeError, Error, Layer};
pub use frame::{Frame, LinkType};
pub use point_map::PointMap;
pub use protocol::{Access, Address, Kind, Protocol, Sender, Tag};
pub use registry::{Blocks, Family, Memo, Pdu, Session};
pub use stack::{Item, Message, Stack};
