#![doc = include_str!("../README.md")]
#![allow(
    clippy::disallowed_methods,
    reason = "the floor of clocks, files, sockets and threads; `core` alone keeps off them"
)]

mod accept;
mod api;
pub mod certificate;
pub mod config;
pub mod core;
mod doors;
mod error;
mod gateway;
mod iec104;
mod modbus;
mod mqtt;
pub mod noise;
mod one_way;
mod opcua;
mod pem;
mod places;
mod rate;
mod relay;
mod stats;
mod tls;
mod wire;
mod worker;

pub use crate::core::{Core, Mode};
pub use api::OPENAPI;
pub use config::Config;
pub use error::Error;
pub use gateway::{Checked, Gateway, Listening, build, stand_by};
pub use worker::{Handle, Shown};
