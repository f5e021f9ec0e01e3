//! Whatever is attacked: the red team knows it by this trait alone.

use twinguard_protocol::Frame;
use twinguard_types::{
    Access, Action, Digest, Finding, Intent, Outcome, Point, SignalId, Timestamp, Verdict,
};

/// What a defender is told.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Stimulus<'a> {
    /// Bytes on the wire, as the tap sees them: after the attacker had its hands on them.
    Frame(&'a Frame<'a>),
    /// Values as a broker or historian behind the wire has them, where there is no tap.
    Field(&'a [Point]),
    /// What the vendor's twin shows.
    Vendor(&'a [Point]),
    /// What the controller's own journal says it sent.
    Intent(Intent),
    /// Somebody logged in, or was refused.
    Access(Access),
    /// What a measurement of the running model found.
    Measured(Digest),
    /// The parameters that the vendor's twin runs with, by name, as an attestor beside it reads them.
    Running(&'a [(String, f64)]),
    /// What became of an action.
    Outcome(Outcome),
    /// Time passed.
    Tick,
}

/// What a defender answers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reaction {
    /// Something is wrong.
    Finding(Finding),
    /// A command was judged.
    Verdict(Verdict),
    /// Something is to be done.
    Action(Action),
}

/// A guarded system under attack.
pub trait Defender {
    /// Why a stimulus could not be taken.
    type Error: std::error::Error;

    /// Takes one stimulus.
    ///
    /// # Errors
    /// Whatever the defender cannot digest; the red team counts it as a failure of the defender.
    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), Self::Error>;

    /// The next answer, until there is none.
    fn poll(&mut self) -> Option<Reaction>;

    /// The model's own estimate of a signal and its standard deviation, for use in place of a measured value.
    fn estimate(&self, signal: SignalId) -> Option<(f64, f64)>;
}

/// Nobody watches: what a run comes to without a guard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Defender for Nobody {
    type Error = core::convert::Infallible;

    fn handle(&mut self, _now: Timestamp, _stimulus: Stimulus<'_>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn poll(&mut self) -> Option<Reaction> {
        None
    }

    fn estimate(&self, _signal: SignalId) -> Option<(f64, f64)> {
        None
    }
}
