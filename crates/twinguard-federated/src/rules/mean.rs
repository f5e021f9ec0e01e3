//! The mean: no defence, and the best where nobody lies.
//!
//! Source: `McMahan` et al., *Communication-efficient learning of deep networks from decentralized data*, AISTATS 2017 (federated averaging).
//! One liar among any number moves it anywhere (Blanchard et al., `NeurIPS` 2017, lemma 1).

use super::Rule;

/// Every point counts alike.
#[derive(Clone, Copy, Debug)]
pub struct Mean;

impl Rule for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_mean() {
        assert_eq!(Mean.combine(&[vec![1.0], vec![4.0]], &[1.0, 2.0]).unwrap(), [3.0]);
    }
}
