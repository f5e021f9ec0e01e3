//! What of Noise needs no socket and no randomness: keys as text, messages on a stream.

pub mod frame;
mod key;

pub(crate) use key::KEY;
pub use key::{PublicKey, SecretKey};

/// Which handshake is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// The client knows the server's key; its own is told encrypted.
    #[default]
    Ik,
    /// Both are told on the way.
    Xx,
}
