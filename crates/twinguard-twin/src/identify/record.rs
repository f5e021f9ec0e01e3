//! History as identification wants it: equally spaced rows of inputs and outputs, with gaps.
//!
//! Source: the usual input–output data of identification, L. Ljung, *System Identification* (2nd ed. 1999), §4.1; gaps
//! split a record into experiments, §14.3.

use crate::Error;

/// Rows of inputs u and outputs y at a fixed period. A row with a missing value is a gap: what lies on either side is
/// never joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    step_s: f64,
    inputs: usize,
    outputs: usize,
    /// Inputs, then outputs of a row; all finite.
    rows: Vec<f64>,
    /// First row and number of rows of each unbroken stretch, in order.
    stretches: Vec<(usize, usize)>,
}

/// Most channels (inputs and outputs together) of a record.
const CHANNELS: usize = 1024;

impl Record {
    /// From one pair (u, y) a row, `step_s` seconds apart. A number that is not finite makes its row a gap.
    ///
    /// # Errors
    /// [`Error::Dimension`] for rows of different widths, without outputs, or with more than 1024 channels;
    /// [`Error::NotPositive`] for the period.
    pub fn new(step_s: f64, rows: &[(Vec<f64>, Vec<f64>)]) -> Result<Self, Error> {
        let (inputs, outputs) = rows.first().map_or((0, 0), |(u, y)| (u.len(), y.len()));
        let mut record = Self::empty(step_s, inputs, outputs)?;
        for (u, y) in rows {
            for (what, expected, found) in [("inputs", inputs, u.len()), ("outputs", outputs, y.len())] {
                if expected != found {
                    return Err(Error::Dimension { what, expected, found });
                }
            }
            record.push(u.iter().chain(y).copied());
        }
        Ok(record)
    }

    /// A record without rows yet.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn empty(step_s: f64, inputs: usize, outputs: usize) -> Result<Self, Error> {
        if !(step_s > 0.0 && step_s.is_finite()) {
            return Err(Error::NotPositive { what: "sampling period", index: 0 });
        }
        if outputs == 0 || inputs.saturating_add(outputs) > CHANNELS {
            let found = inputs.saturating_add(outputs);
            return Err(Error::Dimension {
                what: "channels with one output at least",
                expected: CHANNELS,
                found,
            });
        }
        Ok(Self { step_s, inputs, outputs, rows: Vec::new(), stretches: vec![(0, 0)] })
    }

    /// Appends a row, inputs first. A number that is not finite, or a wrong width, makes it a gap.
    pub fn push(&mut self, row: impl IntoIterator<Item = f64>) {
        let width = self.inputs + self.outputs;
        let start = self.rows.len();
        self.rows.extend(row.into_iter().take(width));
        let whole = self.rows.len() == start + width;
        if whole && self.rows.iter().skip(start).all(|value| value.is_finite()) {
            if let Some((_, count)) = self.stretches.last_mut() {
                *count += 1;
            }
            return;
        }
        self.rows.truncate(start);
        self.gap();
    }

    /// Ends the current stretch.
    pub fn gap(&mut self) {
        if self.stretches.last().is_some_and(|(_, count)| *count > 0) {
            self.stretches.push((self.len(), 0));
        }
    }

    /// Period in seconds.
    #[must_use]
    pub fn step_s(&self) -> f64 {
        self.step_s
    }

    /// Number of inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of outputs.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of whole rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / (self.inputs + self.outputs)
    }

    /// Whether there is no whole row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Inputs and outputs of a row.
    pub(super) fn row(&self, index: usize) -> (&[f64], &[f64]) {
        let width = self.inputs + self.outputs;
        self.rows.get(index * width..(index + 1) * width).unwrap_or_default().split_at(self.inputs)
    }

    /// The unbroken stretches of at least `least` rows, as first row and number of rows.
    pub(super) fn stretches(&self, least: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.stretches.iter().copied().filter(move |(_, count)| *count >= least.max(1))
    }

    /// The first part, of `fraction` (0 to 1) of the rows, and the rest.
    #[must_use]
    pub fn split(&self, fraction: f64) -> (Self, Self) {
        let cut = (self.len() as f64 * fraction.clamp(0.0, 1.0)) as usize;
        let width = self.inputs + self.outputs;
        let part = |from: usize, to: usize| Self {
            rows: self.rows.get(from * width..to * width).unwrap_or_default().to_vec(),
            stretches: self
                .stretches
                .iter()
                .map(|(first, count)| ((*first).clamp(from, to), (first + count).clamp(from, to)))
                .map(|(first, end)| (first - from, end - first))
                .filter(|(_, count)| *count > 0)
                .collect(),
            ..*self
        };
        (part(0, cut), part(cut, self.len()))
    }

    /// Mean and standard deviation of every channel, inputs first.
    pub(super) fn scales(&self) -> Vec<(f64, f64)> {
        let width = self.inputs + self.outputs;
        let count = self.len().max(1) as f64;
        let mut scales = vec![(0.0, 0.0); width];
        for row in self.rows.chunks_exact(width) {
            for ((mean, _), value) in scales.iter_mut().zip(row) {
                *mean += value / count;
            }
        }
        for row in self.rows.chunks_exact(width) {
            for ((mean, spread), value) in scales.iter_mut().zip(row) {
                *spread += (value - *mean) * (value - *mean) / count;
            }
        }
        for (_, spread) in &mut scales {
            *spread = spread.sqrt();
        }
        scales
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_split_and_are_never_joined() {
        let rows: Vec<_> =
            (0..10).map(|k| (vec![f64::from(k)], vec![if k == 4 { f64::NAN } else { 1.0 }])).collect();
        let record = Record::new(1.0, &rows).unwrap();
        assert_eq!(record.len(), 9);
        assert_eq!(record.stretches(1).collect::<Vec<_>>(), [(0, 4), (4, 5)]);
        assert_eq!(record.row(4).0, [5.0]);
        let (first, rest) = record.split(0.7);
        assert_eq!(first.stretches(1).collect::<Vec<_>>(), [(0, 4), (4, 2)]);
        assert_eq!(rest.stretches(1).collect::<Vec<_>>(), [(0, 3)]);
        assert_eq!(rest.row(0).0, [7.0]);
    }

    #[test]
    fn odd_records_are_refused() {
        assert!(matches!(Record::new(0.0, &[]), Err(Error::NotPositive { .. })));
        assert!(matches!(Record::new(1.0, &[]), Err(Error::Dimension { .. })));
        let rows = [(vec![1.0], vec![1.0]), (vec![], vec![1.0])];
        assert!(matches!(Record::new(1.0, &rows), Err(Error::Dimension { what: "inputs", .. })));
    }
}
