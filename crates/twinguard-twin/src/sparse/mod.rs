//! Sparse symmetric equations whose pattern stays while their numbers change. The order of elimination is that of
//! [`crate::grid`].

mod scalar;

pub(crate) use crate::grid::sparse::minimum_degree;
pub(crate) use scalar::{Factor, Place};
