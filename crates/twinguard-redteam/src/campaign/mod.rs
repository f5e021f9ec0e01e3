//! Plants × attacks × disturbances × seeds against a defender, and the board of what was missed.
//!
//! A defender learns each plant once; every cell starts from what was learnt, on another stretch of the same plant's
//! life. A board is a pure function of the plan and the defender: bit for bit the same on any number of threads, whether
//! it was made at once or taken up again.

mod board;
mod cell;
mod plan;
mod run;
mod scribe;
mod search;

pub use board::{Board, Quiet, Share, Summary};
pub use cell::{Cell, Key, Naming};
pub use plan::{Plan, Sight};
pub use run::{Campaign, Progress, Trainer};
pub use scribe::{Scribe, Scribes};
pub use search::{Found, Hunt, Search, regression};
