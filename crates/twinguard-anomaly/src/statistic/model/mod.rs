//! Detectors that are functions of a statistic: the same tally gives the same bytes. One file each, and a line here.

mod canonical;
mod command;
mod forest;
mod marginal;
mod regression;
mod subspace;
mod threshold;

pub use canonical::Canonical;
pub use command::Command;
pub use forest::Forest;
pub use marginal::Marginal;
pub use regression::Regression;
pub use subspace::Subspace;
pub use threshold::Threshold;

use twinguard_types::Digest;

use super::Grid;
use crate::{
    Error,
    archive::{Archive, Writer},
};

/// A detector fitted from a statistic.
pub trait Model: Archive {
    /// Its name.
    const NAME: &'static str;

    /// Scales of the columns.
    fn grid(&self) -> &Grid;

    /// Rows before a row that its score looks at.
    fn memory(&self) -> usize {
        0
    }

    /// How odd the newest row is, the newest row first in `window`: larger is odder. The scale is the model's own; a [`Threshold`] makes a
    /// surprise of it.
    fn score(&self, window: &[i64]) -> f64;

    /// Names the model: equal for equal bytes.
    fn digest(&self) -> Digest {
        let mut writer = Writer::new();
        self.save(&mut writer);
        let mut hasher = blake3::Hasher::new_derive_key("twinguard statistic model v1");
        hasher.update(Self::NAME.as_bytes()).update(&[0]).update(&writer.finish());
        Digest(hasher.finalize().into())
    }
}

/// Scores rows as they come. After it is made it allocates nothing.
#[derive(Clone, Debug)]
pub struct Scorer<'m, M> {
    model: &'m M,
    window: Vec<i64>,
    filled: usize,
}

impl<'m, M: Model> Scorer<'m, M> {
    /// At the beginning of a piece.
    #[must_use]
    pub fn new(model: &'m M) -> Self {
        let window = vec![0; model.grid().width() * (model.memory() + 1)];
        Self { model, window, filled: 0 }
    }

    /// A new piece begins.
    pub fn begin(&mut self) {
        self.filled = 0;
    }

    /// The score of a row; nothing for a row with a value that is not finite, and for the first rows of a piece.
    ///
    /// # Errors
    /// [`Error::Lengths`] for another number of values than columns.
    pub fn observe(&mut self, row: &[f64]) -> Result<Option<f64>, Error> {
        let d = self.model.grid().width();
        let end = self.window.len() - d;
        self.window.copy_within(..end, d);
        if !self.model.grid().quantise(row, &mut self.window[..d])? {
            self.filled = 0;
            return Ok(None);
        }
        if self.filled < self.model.memory() {
            self.filled += 1;
            return Ok(None);
        }
        Ok(Some(self.model.score(&self.window)))
    }
}

/// Places of a window in units, less a mean.
fn centred<'a>(window: &'a [i64], steps: f64, mean: &'a [f64]) -> impl Iterator<Item = f64> + Clone + 'a {
    window.iter().zip(mean).map(move |(x, mean)| *x as f64 / steps - mean)
}
