//! The protocol families, one file or folder each; `registry.rs` lists them.

pub mod modbus;
