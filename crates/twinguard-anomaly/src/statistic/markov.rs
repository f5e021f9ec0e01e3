//! Pairs of symbols that follow each other: function codes, commands, modes.
//!
//! Source: Norris, *Markov Chains*, Cambridge 1997, §1.10: counts of pairs are sufficient for the transition probabilities.

use super::tally::{Plan, Reach};
use super::{Grid, refused};
use crate::Error;

/// How often each symbol was followed by each: `symbols`² cells. Symbols are whole numbers from 0; larger ones count as the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Markov {
    grid: Grid,
    symbols: u32,
}

impl Markov {
    /// Over so many symbols.
    ///
    /// # Errors
    /// [`Error::Setting`] for other than 2 to 1,024 symbols.
    pub fn new(symbols: u32) -> Result<Self, Error> {
        if !(2..=1024).contains(&symbols) {
            return Err(refused("symbols", f64::from(symbols), "2 to 1024"));
        }
        let column = super::Column { centre: 0.0, unit: 1.0 };
        Ok(Self { grid: Grid::new(vec![column], 0, symbols, None)?, symbols })
    }

    /// Number of symbols.
    #[must_use]
    pub fn symbols(&self) -> usize {
        self.symbols as usize
    }

    /// The symbol of a value in steps.
    pub(super) fn symbol(&self, steps: i64) -> usize {
        steps.clamp(0, i64::from(self.symbols) - 1) as usize
    }
}

impl crate::archive::Archive for Markov {
    fn save(&self, writer: &mut crate::Writer) {
        self.symbols.save(writer);
    }
    fn load(reader: &mut crate::Reader<'_>) -> Result<Self, Error> {
        let symbols = u32::load(reader)?;
        Self::new(symbols).map_err(|_| reader.refuse("a number of symbols that cannot be"))
    }
}

impl Plan for Markov {
    const NAME: &'static str = "markov";

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn memory(&self) -> usize {
        1
    }

    fn width(&self) -> usize {
        self.symbols() * self.symbols()
    }

    fn count(&self, window: &[i64], cells: &mut [i128]) {
        let (next, last) = (self.symbol(window[0]), self.symbol(window[1]));
        cells[last * self.symbols() + next] += 1;
    }

    fn reach(&self) -> Reach {
        Reach::ONE.times(2)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Quantise, Statistic, Tally};
    use super::*;

    #[test]
    fn pairs_are_counted_within_pieces() {
        let mut tally = Tally::new(Markov::new(3).unwrap());
        for symbol in [0.0, 1.0, 1.0, 9.0] {
            tally.observe(&[symbol]).unwrap();
        }
        tally.begin();
        tally.observe(&[0.0]).unwrap();
        assert_eq!(tally.cells(), [0, 1, 0, 0, 1, 1, 0, 0, 0]);
        assert_eq!(tally.rows(), 3);
    }
}
