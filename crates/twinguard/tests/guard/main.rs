//! A whole guard, from the outside: what goes in, what comes out, over all floors.

#![cfg(feature = "redteam")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, unreachable_pub)]

mod attest;
mod away;
mod bounds;
mod forged;
mod gate;
mod operator;
mod recalibrate;
mod recover;
mod replay;
mod scenario;
mod sealed;
mod shared;
mod site;
mod views;
