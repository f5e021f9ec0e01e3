//! The family: one file a detector, each with its source, its fitted form and its tests.

mod cusum;
mod ewma;
mod freeze;
mod identity;
mod malformed;
mod nis;
mod noise;
mod novelty;
mod provenance;
mod range;
mod rate;
mod redundancy;
mod replay;
mod seal;
mod timing;
mod vendor;

pub use cusum::Cusum;
pub use ewma::Ewma;
pub use freeze::Freeze;
pub use identity::Identity;
pub use malformed::Malformed;
pub use nis::Nis;
pub use noise::Noise;
pub use novelty::Novelty;
pub use provenance::Provenance;
pub use range::Range;
pub use rate::Rate;
pub use redundancy::Redundancy;
pub use replay::Replay;
pub use seal::Seal;
pub use timing::Timing;
pub use vendor::Vendor;
