//! One round of k-means: how many rows lie nearest to each centre, and their sum.
//!
//! Source: Lloyd, *Least squares quantization in PCM*, IEEE Trans. Inf. Theory 28, 1982: a round of the pooled rows is the sum of the
//! sites' rounds. Distances and means are integers, ties go to the first centre, so every round is exact.

use super::random::Draws;
use super::tally::{Plan, Reach, Tally};
use super::{Grid, Quantise, refused};
use crate::Error;
use crate::archive::{Archive, Reader, Writer};

/// k·(1 + d) cells: rows, then sums, centre by centre.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    grid: Grid,
    centres: Vec<Vec<i64>>,
}

impl Clusters {
    /// The first round: `k` centres drawn from a public seed within `span` units.
    ///
    /// # Errors
    /// [`Error::Setting`] for other than 1 to 256 centres, or a span of nothing or beyond the grid.
    pub fn seeded(grid: Grid, k: u32, span: u32, seed: u64) -> Result<Self, Error> {
        let range = u64::from(span) * grid.steps() as u64;
        if !(1..=256).contains(&k) {
            return Err(refused("k", f64::from(k), "1 to 256"));
        }
        if span == 0 || range > grid.most().unsigned_abs() {
            return Err(refused("span", f64::from(span), "above zero and within the grid's limit"));
        }
        let mut draws = Draws::new("first centres", seed);
        let mut centre = || (0..grid.width()).map(|_| draws.below(2 * range) as i64 - range as i64).collect();
        let centres = (0..k).map(|_| centre()).collect();
        Ok(Self { grid, centres })
    }

    /// The centres, in steps of the grid.
    #[must_use]
    pub fn centres(&self) -> &[Vec<i64>] {
        &self.centres
    }

    /// The nearest centre, and the square of its distance in steps.
    #[must_use]
    pub fn nearest(&self, row: &[i64]) -> (usize, u128) {
        let distance = |centre: &Vec<i64>| {
            centre.iter().zip(row).map(|(a, b)| u128::from(a.abs_diff(*b)).pow(2)).sum::<u128>()
        };
        let places = self.centres.iter().map(distance).enumerate();
        places.min_by_key(|(place, distance)| (*distance, *place)).unwrap_or_default()
    }
}

impl Archive for Clusters {
    fn save(&self, writer: &mut Writer) {
        self.grid.save(writer);
        self.centres.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let grid = Grid::load(reader)?;
        let centres = Vec::<Vec<i64>>::load(reader)?;
        let inside = |centre: &Vec<i64>| {
            centre.len() == grid.width()
                && centre.iter().all(|step| step.unsigned_abs() <= grid.most().unsigned_abs())
        };
        if centres.is_empty() || centres.len() > 256 || !centres.iter().all(inside) {
            return Err(reader.refuse("centres that cannot be"));
        }
        Ok(Self { grid, centres })
    }
}

impl Plan for Clusters {
    const NAME: &'static str = "clusters";

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn width(&self) -> usize {
        self.centres.len() * (1 + self.grid.width())
    }

    fn count(&self, window: &[i64], cells: &mut [i128]) {
        let (nearest, _) = self.nearest(window);
        let width = 1 + window.len();
        let own = &mut cells[nearest * width..(nearest + 1) * width];
        own[0] += 1;
        own[1..].iter_mut().zip(window).for_each(|(sum, x)| *sum += i128::from(*x));
    }

    fn reach(&self) -> Reach {
        Reach {
            most: self.grid.most().unsigned_abs().into(),
            squared: self.grid.longest_squared().saturating_add(1),
        }
    }
}

impl Tally<Clusters> {
    /// The next round's plan: each centre moves to the mean of its rows; one without rows stays.
    ///
    /// # Errors
    /// [`Error::Training`] for sums that no rows can have made.
    pub fn next_round(&self) -> Result<Clusters, Error> {
        let plan = self.plan();
        let (width, most) = (1 + plan.grid.width(), i128::from(plan.grid.most()));
        let move_one = |(cells, old): (&[i128], &Vec<i64>)| match cells.split_first() {
            Some((rows, sums)) if *rows > 0 => {
                let mean = |sum: &i128| i64::try_from(sum.div_euclid(*rows).clamp(-most, most)).ok();
                let bad = Error::Training { reason: "a centre beyond the grid", count: cells.len() };
                sums.iter().map(mean).collect::<Option<Vec<i64>>>().ok_or(bad)
            }
            _ => Ok(old.clone()),
        };
        let centres =
            self.cells().chunks_exact(width).zip(&plan.centres).map(move_one).collect::<Result<_, _>>()?;
        Ok(Clusters { grid: plan.grid.clone(), centres })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn centres_move_to_the_heaps() {
        let grid = Grid::around([(0.0, 1.0); 2]).unwrap();
        let mut plan = Clusters::seeded(grid, 2, 4, 3).unwrap();
        for _ in 0..10 {
            let mut tally = Tally::new(plan);
            for k in 0..40 {
                let side = if k % 2 == 0 { 2.0 } else { -2.0 };
                tally.observe(&[side + f64::from(k % 5) / 100.0, side]).unwrap();
            }
            plan = tally.next_round().unwrap();
        }
        let mut ends: Vec<i64> = plan.centres().iter().map(|centre| centre[1] / 4096).collect();
        ends.sort_unstable();
        assert_eq!(ends, [-2, 2]);
    }
}
