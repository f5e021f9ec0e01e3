//! What several examples share.

pub mod picture;
