//! What several examples share.

pub mod dice;
pub mod picture;
