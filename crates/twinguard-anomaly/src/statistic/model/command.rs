//! Commands and function codes in an order that was not seen before.
//!
//! Source: Goldenberg, Wool, *Accurate modeling of Modbus/TCP for intrusion detection in SCADA systems*, IJCIP 6, 2013 (order of messages
//! as an automaton), here as a Markov chain with Krichevsky–Trofimov's half a count for what was never seen (IEEE Trans. Inf. Theory 27,
//! 1981). Blind to values and to timing. Cost: one lookup.

use super::super::{Grid, Quantise, Tally, markov::Markov, tally::Plan};
use super::Model;
use crate::{
    Error,
    archive::{Archive, Reader, Writer},
};

/// Surprise of each pair: −log₁₀ of the probability of the next symbol after the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    plan: Markov,
    surprise: Vec<f64>,
}

impl Command {
    /// From counts of pairs.
    #[must_use]
    pub fn fit(tally: &Tally<Markov>) -> Self {
        let symbols = tally.plan().symbols();
        let mut surprise = Vec::with_capacity(symbols * symbols);
        for row in tally.cells().chunks_exact(symbols) {
            let all: i128 = row.iter().sum();
            let total = all as f64 + symbols as f64 / 2.0;
            surprise.extend(row.iter().map(|count| -libm::log10((*count as f64 + 0.5) / total)));
        }
        Self { plan: tally.plan().clone(), surprise }
    }
}

impl Archive for Command {
    fn save(&self, writer: &mut Writer) {
        self.plan.save(writer);
        self.surprise.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let (plan, surprise) = <(Markov, Vec<f64>)>::load(reader)?;
        if surprise.len() != plan.width() {
            return Err(reader.refuse("a table of pairs that cannot be"));
        }
        Ok(Self { plan, surprise })
    }
}

impl Model for Command {
    const NAME: &'static str = "command";

    fn grid(&self) -> &Grid {
        self.plan.grid()
    }

    fn memory(&self) -> usize {
        1
    }

    fn score(&self, window: &[i64]) -> f64 {
        let (next, last) = (self.plan.symbol(window[0]), self.plan.symbol(window[1]));
        self.surprise[last * self.plan.symbols() + next]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scorer;
    use super::*;

    #[test]
    fn an_unseen_order_is_odd() {
        let mut tally = Tally::new(Markov::new(8).unwrap());
        for k in 0..3000 {
            tally.observe(&[[1.0, 3.0, 6.0][k % 3]]).unwrap();
        }
        let model = Command::fit(&tally);
        let mut scorer = Scorer::new(&model);
        scorer.observe(&[1.0]).unwrap();
        assert!(scorer.observe(&[3.0]).unwrap().unwrap() < 0.01);
        assert!(scorer.observe(&[1.0]).unwrap().unwrap() > 3.0);
    }
}
