//! What the suite fits to normal rows: one file a model, each with its source and its tests. A model turns rows into residuals or into one
//! statistic per row, out of fold in training and causally afterwards.

mod crossed;
mod patches;
mod recent;
mod subspace;
mod var;
mod windows;

pub(super) use crossed::{Crossed, CrossedState};
pub(super) use patches::Patches;
pub(super) use recent::{Due, Looks, Recent, shaped};
pub(super) use subspace::Subspace;
pub(super) use var::{Var, VarState};
pub(super) use windows::Windows;

/// Contiguous parts of the training rows; each is scored by models that did not see it.
pub(super) const FOLDS: usize = 5;

/// Which part a row belongs to.
pub(super) fn fold(t: usize, rows: usize) -> usize {
    (t * FOLDS / rows.max(1)).min(FOLDS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_contiguous() {
        let folds: Vec<usize> = (0..23).map(|t| fold(t, 23)).collect();
        assert!(folds.is_sorted() && folds[22] == FOLDS - 1);
    }
}
