//! OT traffic to points and commands, and back: frames, streams, messages, exchanges, values; sans-IO.
//!
//! ```
//! use twinguard_protocol::{Frame, LinkType, PointMap, Stack, emit, protocols::modbus::Repr, stack::Config};
//! use twinguard_types::{Event, Timestamp, Value};
//!
//! let (mut stack, mut map, mut events, mut bytes) = (Stack::new(Config::default()), PointMap::discover(100), vec![], vec![]);
//! let write = Repr::write_register(1, 17, 107, 644)?;
//! emit::datagram("10.0.0.1:40000".parse()?, "10.0.0.2:502".parse()?, write.emit().as_bytes(), &mut bytes)?;
//! let frame = Frame { index: 1, at: Timestamp::ZERO, link: LinkType::Ethernet, bytes: &bytes, original_len: bytes.len() as u32 };
//! stack.handle(&frame);
//! while let Some(item) = stack.poll() {
//!     map.bind(&item, &mut events);
//! }
//! assert!(matches!(events[..], [Event::Command(command)] if command.value == Value::Integer(644)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | arrow | by |
//! |---|---|
//! | file → [`Frame`] | [`capture::Reader`] |
//! | frame → packet → stream bytes | [`link::decode`], [`ip::Defragmenter`], [`tcp::Assembler`] |
//! | frame → [`Item`]: messages, exchanges, oddities | [`Stack`], all of the above and the [`protocols`] |
//! | item → points, commands, events | [`PointMap`] |
//! | events of an unknown plant → a draft of its point map | [`survey::Survey`] |
//! | value → message → frame | [`PointMap::encode`], [`protocols::modbus::Repr`], [`emit`] |
//!
//! A further protocol is one file that implements [`Protocol`] and one line in the registry; outside this crate it is the
//! same file and [`Family::vendor`]. Not here: sockets, clocks,
//! decryption, and any guess at values behind encryption.
#![deny(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::indexing_slicing))]

mod ber;
mod bytes;
pub mod capture;
pub mod checksum;
pub mod emit;
mod encoding;
mod error;
mod frame;
pub mod iec60870;
pub mod iec61850;
pub mod ip;
pub mod link;
pub mod outline;
mod pairing;
pub mod point_map;
pub mod protocol;
pub mod protocols;
mod registry;
#[cfg(feature = "parquet")]
pub mod series;
pub mod stack;
pub mod survey;
pub mod tcp;
pub mod udp;
pub mod vendor;

pub use error::{DecodeError, Error, Layer};
pub use frame::{Frame, LinkType};
pub use point_map::PointMap;
pub use protocol::{Access, Address, Context, Kind, Protocol, Sender, Tag};
pub use registry::{Blocks, Family, Memo, Pdu, Session, Shared};
pub use stack::{Item, Message, Stack};
