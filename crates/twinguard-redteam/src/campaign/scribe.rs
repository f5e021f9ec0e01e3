//! Whoever takes down what happens in a cell: every frame at the tap, every sample with its label.
//!
//! Source: labelled series and captures beside each other, as BATADAL (R. Taormina et al., J. Water Resour. Plann. Manage. 144(8),
//! 2018) and the testbed of J. Goh et al., CRITIS 2016, publish them.

use twinguard_types::{SignalId, Timestamp};

use super::cell::Key;
use crate::{Defender, Ground, Reaction, Sample, Stimulus};

/// Takes down one cell as it ran, with the defender in the loop.
pub trait Scribe {
    /// A frame as the tap has it; none where the defender is shown no wire.
    fn frame(&mut self, at: Timestamp, bytes: &[u8]);

    /// A sample is over; `attacked` is its label.
    fn sample(&mut self, sample: &Sample, attacked: bool);
}

/// Who takes down which cell; `None` for one that nobody wants.
pub type Scribes<'a> = dyn Fn(&Key, &Ground) -> Option<Box<dyn Scribe>> + Sync + 'a;

/// A defender, with somebody who takes down the frames on their way to it.
pub(crate) struct Overheard<'a, D> {
    pub(crate) defender: &'a mut D,
    pub(crate) scribe: &'a mut Option<Box<dyn Scribe>>,
}

impl<D: Defender> Defender for Overheard<'_, D> {
    type Error = D::Error;

    fn handle(&mut self, now: Timestamp, stimulus: Stimulus<'_>) -> Result<(), D::Error> {
        if let (Some(scribe), Stimulus::Frame(frame)) = (self.scribe.as_mut(), &stimulus) {
            scribe.frame(frame.at, frame.bytes);
        }
        self.defender.handle(now, stimulus)
    }

    fn poll(&mut self) -> Option<Reaction> {
        self.defender.poll()
    }

    fn estimate(&self, signal: SignalId) -> Option<(f64, f64)> {
        self.defender.estimate(signal)
    }
}
