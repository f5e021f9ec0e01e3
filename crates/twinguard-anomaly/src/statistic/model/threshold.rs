//! From scores to a limit and a surprise: the second round of a federation, over sketches of the first round's scores.
//!
//! Source: Masson, Rim, Lee, VLDB 12, 2019 for the sketch; the share of normal scores at least as large, with one added above and below
//! (Davison, Hinkley, *Bootstrap Methods*, 1997, §4.2.3), is a p-value that does not promise more than the rows show.

use super::super::{Grid, Quantise, Sketch, Statistic, Tally, tally::Plan};
use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// Scores of normal rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    scores: Tally<Sketch>,
}

impl Threshold {
    /// A sketch for scores of zero or more: up to about 4 million, within 1.6 %, in steps of 1/256.
    ///
    /// # Errors
    /// None: the settings are fixed ones.
    pub fn plan() -> Result<Sketch, Error> {
        let column = super::super::Column { centre: 0.0, unit: 1.0 };
        Sketch::new(Grid::new(vec![column], 8, 1 << 22, None)?, 5)
    }

    /// From a sketch of the scores of normal rows.
    ///
    /// # Errors
    /// [`Error::Training`] without rows, or with more than one column.
    pub fn fit(scores: Tally<Sketch>) -> Result<Self, Error> {
        let columns = scores.plan().grid().width();
        if scores.rows() == 0 || columns != 1 {
            return Err(Error::Training { reason: "there must be scores, one a row", count: columns });
        }
        Ok(Self { scores })
    }

    /// How many scores there were.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.scores.rows()
    }

    /// The score above which this share of normal rows lies.
    #[must_use]
    pub fn limit(&self, rate: f64) -> Option<f64> {
        self.scores.quantile(0, 1.0 - rate)
    }

    /// −log₁₀ of the share of normal rows with a score at least as large; at most log₁₀ of their number.
    #[must_use]
    pub fn surprise(&self, score: f64) -> f64 {
        let above = self.scores.at_least(0, score).unwrap_or_default();
        -libm::log10((above as f64 + 1.0) / (self.scores.rows() as f64 + 1.0))
    }
}

impl Archive for Threshold {
    fn save(&self, writer: &mut Writer) {
        self.scores.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let scores = Tally::<Sketch>::load(reader)?;
        let sound =
            scores.plan().width() == scores.cells().len() && scores.cells().iter().all(|cell| *cell >= 0);
        if !sound {
            return Err(reader.refuse("a sketch that cannot be"));
        }
        Self::fit(scores).map_err(|_| reader.refuse("scores that cannot be"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_surprises_are_those_of_the_scores() {
        let mut tally = Tally::new(Threshold::plan().unwrap());
        (0..10_000).for_each(|k| assert!(tally.observe(&[f64::from(k) / 100.0]).is_ok()));
        let threshold = Threshold::fit(tally).unwrap();
        assert!((threshold.limit(0.01).unwrap() - 99.0).abs() < 2.0);
        assert!((threshold.surprise(90.0) - 1.0).abs() < 0.1);
        assert!((threshold.surprise(1e9) - 4.0).abs() < 0.01);
        assert!(threshold.surprise(-1.0) < 1e-3);
        let mut writer = Writer::new();
        threshold.save(&mut writer);
        assert_eq!(Threshold::load(&mut Reader::new(&writer.finish())).unwrap(), threshold);
    }
}
