//! Rows and cells: the one form of every statistic, and what may be done with it.

use twinguard_types::Digest;

use super::Grid;
use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// Two parts become the whole: commutative and associative, to the last bit.
pub trait Merge {
    /// Adds another part.
    ///
    /// # Errors
    /// [`Error::Training`] for a part of another plan, or one that no rows can have made; nothing has changed then.
    fn merge(&mut self, other: &Self) -> Result<(), Error>;
}

/// Rows become integers.
pub trait Quantise {
    /// Counts a row of physical values; false for one that is left out, because a value is not finite or it is the first of a piece.
    ///
    /// # Errors
    /// [`Error::Lengths`] for another number of values than columns; [`Error::Training`] when 2⁶⁴ rows are counted.
    fn observe(&mut self, row: &[f64]) -> Result<bool, Error>;

    /// The integers, in an order that the plan fixes.
    fn cells(&self) -> &[i128];
}

/// One row is bounded in what it can do.
pub trait Clip {
    /// By how much one row can change the cells.
    fn reach(&self) -> Reach;

    /// The same for each run of cells of one kind: how many, and by how much.
    fn blocks(&self) -> Vec<(usize, Reach)>;
}

/// A statistic that merges exactly.
pub trait Statistic: Merge + Quantise + Clip {
    /// Rows that were counted.
    fn rows(&self) -> u64;

    /// Names what is counted, and how; parts with the same schema merge.
    fn schema(&self) -> Digest;

    /// Names what was counted: equal for equal rows, however they were spread and ordered.
    fn digest(&self) -> Digest;
}

/// By how much one row, taken away or added, can change the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Any one cell.
    pub most: u128,
    /// All cells: square of the Euclidean length.
    pub squared: u128,
}

impl Reach {
    /// One of several cells, by one: a count.
    pub(super) const ONE: Self = Self { most: 1, squared: 1 };

    /// A row stands in so many windows.
    pub(super) fn times(self, windows: usize) -> Self {
        let windows = windows as u128;
        Self {
            most: self.most.saturating_mul(windows),
            squared: self.squared.saturating_mul(windows * windows),
        }
    }
}

/// What is counted: public, agreed on before any row is seen. A new statistic is one file with one of these.
pub trait Plan: Archive + Clone + PartialEq + core::fmt::Debug {
    /// Its name.
    const NAME: &'static str;

    /// Scales of the columns.
    fn grid(&self) -> &Grid;

    /// Rows before a row that are counted together with it.
    fn memory(&self) -> usize {
        0
    }

    /// Number of cells.
    fn width(&self) -> usize;

    /// Adds a row to the cells: the newest row first in `window`, then those before it. No cell changes by more than [`Reach::most`].
    fn count(&self, window: &[i64], cells: &mut [i128]);

    /// By how much one row can change the cells.
    fn reach(&self) -> Reach;

    /// The same for each run of cells of one kind: sums and products have different scales, and need different noise.
    fn blocks(&self) -> Vec<(usize, Reach)> {
        vec![(self.width(), self.reach())]
    }
}

/// Rows counted by a plan.
#[derive(Clone, Debug)]
pub struct Tally<P> {
    plan: P,
    rows: u64,
    cells: Vec<i128>,
    /// The newest row first; not part of what was counted.
    window: Vec<i64>,
    filled: usize,
}

impl<P: Plan> Tally<P> {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(plan: P) -> Self {
        let window = vec![0; plan.grid().width() * (plan.memory() + 1)];
        Self { rows: 0, cells: vec![0; plan.width()], window, filled: 0, plan }
    }

    /// A tally of rows and cells that came from elsewhere.
    ///
    /// # Errors
    /// [`Error::Training`] for another number of cells than the plan's, or for cells that so many rows cannot have made.
    pub fn from_parts(plan: P, rows: u64, cells: Vec<i128>) -> Result<Self, Error> {
        if cells.len() != plan.width() {
            return Err(Error::Training { reason: "another number of cells", count: cells.len() });
        }
        let most = plan.reach().most.saturating_mul(u128::from(rows));
        if let Some(cell) = cells.iter().position(|cell| cell.unsigned_abs() > most) {
            return Err(Error::Training {
                reason: "a cell is larger than its rows can make it",
                count: cell,
            });
        }
        Ok(Self { rows, cells, ..Self::new(plan) })
    }

    /// The same with other cells: after noise was added. The bound of [`Tally::from_parts`] is not asked of them.
    ///
    /// # Errors
    /// [`Error::Training`] for another number of cells.
    pub fn with_cells(self, cells: Vec<i128>) -> Result<Self, Error> {
        if cells.len() != self.cells.len() {
            return Err(Error::Training { reason: "another number of cells", count: cells.len() });
        }
        Ok(Self { cells, ..self })
    }

    /// A new piece begins: the next row does not follow the last one.
    pub fn begin(&mut self) {
        self.filled = 0;
    }

    /// What is counted.
    #[must_use]
    pub fn plan(&self) -> &P {
        &self.plan
    }
}

impl<P: Plan> Quantise for Tally<P> {
    fn observe(&mut self, row: &[f64]) -> Result<bool, Error> {
        let d = self.plan.grid().width();
        let end = self.window.len() - d;
        self.window.copy_within(..end, d);
        if !self.plan.grid().quantise(row, &mut self.window[..d])? {
            self.filled = 0;
            return Ok(false);
        }
        if self.filled < self.plan.memory() {
            self.filled += 1;
            return Ok(false);
        }
        let full = Error::Training { reason: "2^64 rows are counted", count: usize::MAX };
        self.rows = self.rows.checked_add(1).ok_or(full)?;
        self.plan.count(&self.window, &mut self.cells);
        Ok(true)
    }

    fn cells(&self) -> &[i128] {
        &self.cells
    }
}

impl<P: Plan> Merge for Tally<P> {
    fn merge(&mut self, other: &Self) -> Result<(), Error> {
        if self.plan != other.plan {
            return Err(Error::Training { reason: "a part of another plan", count: other.cells.len() });
        }
        let over = Error::Training { reason: "the sum is too large", count: other.cells.len() };
        let rows = self.rows.checked_add(other.rows).ok_or(over.clone())?;
        let sums: Option<Vec<i128>> =
            self.cells.iter().zip(&other.cells).map(|(a, b)| a.checked_add(*b)).collect();
        self.cells = sums.ok_or(over)?;
        self.rows = rows;
        Ok(())
    }
}

impl<P: Plan> Clip for Tally<P> {
    fn reach(&self) -> Reach {
        self.plan.reach()
    }

    fn blocks(&self) -> Vec<(usize, Reach)> {
        self.plan.blocks()
    }
}

impl<P: Plan> Statistic for Tally<P> {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn schema(&self) -> Digest {
        let mut writer = Writer::new();
        self.plan.save(&mut writer);
        let mut hasher = blake3::Hasher::new_derive_key("twinguard statistic schema v1");
        hasher.update(P::NAME.as_bytes()).update(&[0]).update(&writer.finish());
        Digest(hasher.finalize().into())
    }

    fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("twinguard statistic v1");
        hasher.update(&self.schema().0).update(&self.rows.to_le_bytes());
        for cell in &self.cells {
            hasher.update(&cell.to_le_bytes());
        }
        Digest(hasher.finalize().into())
    }
}

impl<P: Plan> PartialEq for Tally<P> {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.cells == other.cells && self.plan == other.plan
    }
}

/// Plan, rows, cells: the window is left out, so a tally that is read back begins a new piece.
impl<P: Plan> Archive for Tally<P> {
    fn save(&self, writer: &mut Writer) {
        self.plan.save(writer);
        self.rows.save(writer);
        self.cells.iter().for_each(|cell| writer.put(&cell.to_le_bytes()));
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let plan = P::load(reader)?;
        let rows = u64::load(reader)?;
        if reader.left() / 16 < plan.width() {
            return Err(reader.refuse("there are fewer cells than the plan has"));
        }
        let cell = |bytes: [u8; 16]| i128::from_le_bytes(bytes);
        let cells =
            (0..plan.width()).map(|_| <[u8; 16]>::load(reader).map(cell)).collect::<Result<_, _>>()?;
        Self::new(plan).with_cells(cells).map(|tally| Self { rows, ..tally })
    }
}
