//! From physical values to integers: a public scale by column, a bound on every value and on every row.
//!
//! A value x becomes round((x − centre) / unit · 2^bits), kept within ± limit · 2^bits. With a norm, a row longer than it is shortened
//! to it (its Euclidean length, in units), which bounds what one row can add to second moments (Dwork, Talwar, Thakurta, Zhang,
//! *Analyze Gauss*, STOC 2014, §2). Centres and units are public: nameplates and ranges of the plant file, never the data.

use super::refused;
use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// Public scale of one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// What counts as zero, in the signal's unit.
    pub centre: f64,
    /// What counts as one, in the signal's unit.
    pub unit: f64,
}

/// Public scales of all columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    columns: Vec<Column>,
    bits: u32,
    limit: u32,
    norm: Option<f64>,
}

/// Most columns of a row.
const MOST_COLUMNS: usize = 4096;
/// Places behind the binary point, units on either side: what a usual value needs.
const BITS: u32 = 12;
const LIMIT: u32 = 64;
/// A whole row stays below this many steps, so that products of two values are far from 64 bits.
const MOST_STEPS: u64 = 1 << 30;

impl Grid {
    /// Twelve binary places, values up to 64 units on either side, rows of any length; columns by (centre, unit).
    ///
    /// # Errors
    /// [`Error::Setting`] for no column or more than 4,096, a unit that is not positive, a number that is not finite.
    pub fn around(columns: impl IntoIterator<Item = (f64, f64)>) -> Result<Self, Error> {
        let columns = columns.into_iter().map(|(centre, unit)| Column { centre, unit }).collect();
        Self::new(columns, BITS, LIMIT, None)
    }

    /// All settings by hand: binary places (0 to 24), largest value in units, largest Euclidean length of a row in units.
    ///
    /// # Errors
    /// As [`Grid::around`]; [`Error::Setting`] for more than 2³⁰ steps.
    pub fn new(columns: Vec<Column>, bits: u32, limit: u32, norm: Option<f64>) -> Result<Self, Error> {
        if columns.is_empty() || columns.len() > MOST_COLUMNS {
            return Err(refused("columns", columns.len() as f64, "1 to 4096"));
        }
        for column in &columns {
            if !column.centre.is_finite() || column.centre.abs() > 1e100 {
                return Err(refused("centre", column.centre, "a physical value"));
            }
            if !(column.unit > 1e-100 && column.unit < 1e100) {
                return Err(refused("unit", column.unit, "above zero"));
            }
        }
        if bits > 24 || limit == 0 || u64::from(limit) << bits > MOST_STEPS {
            return Err(refused("limit", f64::from(limit), "at least 1 and below 2^30 steps"));
        }
        if let Some(norm) = norm.filter(|norm| !(*norm > 0.0 && *norm <= 1e6)) {
            return Err(refused("norm", norm, "above zero and at most a million units"));
        }
        Ok(Self { columns, bits, limit, norm })
    }

    /// The same with a largest Euclidean length of a row, in units.
    ///
    /// # Errors
    /// [`Error::Setting`] for one that is not positive.
    pub fn with_norm(self, norm: f64) -> Result<Self, Error> {
        Self::new(self.columns, self.bits, self.limit, Some(norm))
    }

    /// The same columns with other binary places: coarse where noise is added anyway.
    ///
    /// # Errors
    /// As [`Grid::new`].
    pub fn with_bits(self, bits: u32) -> Result<Self, Error> {
        Self::new(self.columns, bits, self.limit, self.norm)
    }

    /// The same units around other centres: a site's own levels, which never leave it.
    ///
    /// # Errors
    /// As [`Grid::new`]; [`Error::Lengths`] for another number of centres than columns.
    pub fn centred_at(&self, centres: &[f64]) -> Result<Self, Error> {
        if centres.len() != self.width() {
            return Err(Error::Lengths { labels: self.width(), scores: centres.len() });
        }
        let columns = self.columns.iter().zip(centres);
        let columns = columns.map(|(column, centre)| Column { centre: *centre, ..*column }).collect();
        Self::new(columns, self.bits, self.limit, self.norm)
    }

    /// Number of columns.
    #[must_use]
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Steps to a unit.
    #[must_use]
    pub fn steps(&self) -> f64 {
        (1_u64 << self.bits) as f64
    }

    /// Largest number of steps of one value.
    #[must_use]
    pub fn most(&self) -> i64 {
        i64::from(self.limit) << self.bits
    }

    /// Square of the longest row, in steps.
    #[must_use]
    pub fn longest_squared(&self) -> u128 {
        let of_box = (self.most().unsigned_abs() as u128).pow(2) * self.columns.len() as u128;
        self.norm_steps().map_or(of_box, |norm| of_box.min((norm * norm) as u128 + 1))
    }

    fn norm_steps(&self) -> Option<f64> {
        self.norm.map(|norm| norm * self.steps())
    }

    /// Clips and rounds a row; false, and nothing useful in `out`, for a row with a value that is not finite.
    ///
    /// # Errors
    /// [`Error::Lengths`] for another number of values than columns.
    pub fn quantise(&self, row: &[f64], out: &mut [i64]) -> Result<bool, Error> {
        if row.len() != self.width() || out.len() != self.width() {
            return Err(Error::Lengths { labels: self.width(), scores: row.len() });
        }
        let (steps, most) = (self.steps(), self.most());
        let mut sum = 0_u128;
        for ((out, value), column) in out.iter_mut().zip(row).zip(&self.columns) {
            if !value.is_finite() {
                return Ok(false);
            }
            // the cast saturates
            *out = (((value - column.centre) / column.unit * steps).round() as i64).clamp(-most, most);
            sum += u128::from(out.unsigned_abs()).pow(2);
        }
        if let Some(norm) = self.norm_steps().filter(|norm| sum as f64 > norm * norm) {
            // towards zero, and a little less: the shortened row is never longer than the norm
            let factor = norm / (sum as f64).sqrt() * (1.0 - 1e-12);
            out.iter_mut().for_each(|value| *value = (*value as f64 * factor) as i64);
        }
        Ok(true)
    }

    /// A place on the grid, which may lie between steps, as a physical value.
    #[must_use]
    pub fn value(&self, column: usize, steps: f64) -> Option<f64> {
        let column = self.columns.get(column)?;
        Some(column.centre + steps / self.steps() * column.unit)
    }
}

impl Archive for Grid {
    fn save(&self, writer: &mut Writer) {
        let pairs: Vec<(f64, f64)> = self.columns.iter().map(|c| (c.centre, c.unit)).collect();
        pairs.save(writer);
        self.bits.save(writer);
        self.limit.save(writer);
        self.norm.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let columns = Vec::<(f64, f64)>::load(reader)?;
        let columns = columns.into_iter().map(|(centre, unit)| Column { centre, unit }).collect();
        let (bits, limit, norm) = (u32::load(reader)?, u32::load(reader)?, Option::<f64>::load(reader)?);
        Self::new(columns, bits, limit, norm).map_err(|_| reader.refuse("a grid that cannot be"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_clipped_and_rounded() {
        let grid = Grid::around([(60.0, 5.0), (0.0, 1.0)]).unwrap();
        let mut out = [0; 2];
        assert!(grid.quantise(&[65.0, 1e300], &mut out).unwrap());
        assert_eq!(out, [4096, 64 * 4096]);
        assert_eq!(grid.value(0, 4096.0), Some(65.0));
        assert!(!grid.quantise(&[f64::NAN, 0.0], &mut out).unwrap());
        assert!(grid.quantise(&[0.0], &mut out).is_err());
        assert!(Grid::around([(0.0, 0.0)]).is_err() && Grid::around([(f64::NAN, 1.0)]).is_err());
    }

    proptest! {
        #[test]
        fn no_row_is_longer_than_the_norm(row in prop::collection::vec(-1e6..1e6, 5), norm in 0.1..20.0) {
            let grid = Grid::around([(0.0, 1.0); 5]).unwrap().with_norm(norm).unwrap();
            let mut out = [0; 5];
            grid.quantise(&row, &mut out).unwrap();
            let length: u128 = out.iter().map(|v| u128::from(v.unsigned_abs()).pow(2)).sum();
            prop_assert!(length <= grid.longest_squared());
            prop_assert!((length as f64) <= (norm * 4096.0).powi(2));
        }
    }
}
