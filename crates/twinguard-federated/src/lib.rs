//! Federated learning of detectors: exact, private, or robust, in signed rounds.
//!
//! ```
//! use twinguard_anomaly::statistic::{Covariance, Gram, Grid, Model, Quantise, Subspace, Tally};
//! use twinguard_anomaly::{Archive, Writer};
//! use twinguard_federated::{Coordinator, Event, Exact, Output, Participant, Policy, Settings, Task, contribution};
//! use twinguard_integrity::SigningKey;
//! use twinguard_types::{Digest, Duration, Timestamp};
//!
//! // What is learnt: known to all sides.
//! let plan = Gram::new(Grid::around([(60.0, 5.0), (3.0, 0.5)])?, 0)?;
//! let fit = |tally: &Tally<Gram>| {
//!     let mut bytes = Writer::new();
//!     Subspace::fit(&Covariance::of(tally)?, 0.9)?.save(&mut bytes);
//!     Ok(bytes.finish())
//! };
//! let task = Exact::new(plan.clone(), "subspace of 90 %", fit);
//! let (schema, federation) = (task.schema(), Digest([1; 32]));
//!
//! // Who takes part. Keys come from a good source of randomness.
//! let key = |name: &str, seed| SigningKey::from_seed(name, &[seed; 32]);
//! let hub = key("hub.example", 9)?;
//! let names = ["a.example", "b.example", "c.example"];
//! let roster = names.iter().zip(0..).map(|(name, seed)| Ok(key(name, seed)?.public().clone()));
//! let roster = roster.collect::<Result<Vec<_>, twinguard_integrity::Error>>()?;
//! let policy = Policy { federation, schema, base: Digest::default(), min_sites: 3, min_rows: 100, most_price: 0 };
//! let mut sites = Vec::new();
//! for (name, seed) in names.iter().zip(0..) {
//!     sites.push(Participant::new(key(name, seed)?, hub.public().clone(), policy.clone())?);
//! }
//! let (patience, retry) = (Duration::from_secs(60), Duration::from_secs(5));
//! let settings = Settings { federation, min_sites: 3, min_rows: 100, price: 0, patience, retry };
//! let mut hub = Coordinator::new(task, hub, roster, settings)?;
//!
//! // A round: messages are carried by whatever channel there is; time comes in.
//! let now = Timestamp::from_secs(1);
//! hub.open(now, Digest::default())?;
//! let mut model = None;
//! while let Some(output) = hub.poll() {
//!     match output {
//!         Output::Send { to, bytes } => {
//!             let Some(place) = names.iter().position(|name| *name == to) else { continue };
//!             sites[place].handle(now, &bytes)?;
//!             while let Some(event) = sites[place].poll() {
//!                 match event {
//!                     Event::Send(bytes) => hub.handle(now, &bytes)?,
//!                     Event::Contribute(_) => {
//!                         let mut tally = Tally::new(plan.clone());
//!                         for t in 0..200 {
//!                             let load = f64::from((t * 7919 + place as u32) % 101) / 101.0;
//!                             tally.observe(&[60.0 + 5.0 * load, 3.0 + 0.5 * load])?;
//!                         }
//!                         sites[place].contribute(contribution(&tally))?;
//!                     }
//!                     Event::Judge(_) => sites[place].vote(true)?, // by its own normal rows: see `vote`
//!                     Event::Published { .. } | Event::Ended { .. } => {}
//!                 }
//!             }
//!         }
//!         Output::Published { model: bytes, .. } => model = Some(bytes),
//!         Output::Aborted { reason } => panic!("{reason}"),
//!     }
//! }
//! assert!(model.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | what | where |
//! |---|---|
//! | what is learnt, exactly or robustly | [`Exact`], [`Robust`], [`Task`] |
//! | the two sides of a round | [`Coordinator`], [`Participant`] |
//! | what they say, and the evidence | [`message`], [`Transcript`] |
//! | rules against liars, and the sites' own judgement | [`rules`], [`vote`] |
//! | noise, its price, a site's budget | [`privacy`] |
//! | sums whose parts nobody sees (feature `secure`) | `secure` |
//!
//! It opens no socket and reads no clock. State is [saved](Coordinator::save) before it is sent, so any side may be lost at any message.
#![allow(clippy::needless_range_loop, reason = "square tables are walked by place")]

mod coordinator;
mod error;
pub mod message;
mod participant;
pub mod privacy;
pub mod rules;
#[cfg(feature = "secure")]
pub mod secure;
mod task;
pub mod transcript;
pub mod vote;
mod wire;

pub use coordinator::{Coordinator, Output, Settings};
pub use error::Error;
pub use message::{Candidate, Contribution, Terms};
pub use participant::{Event, Participant, Policy};
pub use task::{Exact, Robust, Task, combine, contribution, tally};
pub use transcript::Transcript;
