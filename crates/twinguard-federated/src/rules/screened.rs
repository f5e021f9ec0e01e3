//! The mean of all sites that the majority finds near: the default.
//!
//! A site's distance to the crowd is its lower-median distance to all sites: for honest sites it is one between honest sites as long as they
//! are the majority (the argument of Krum's §4 lemma, Blanchard et al., `NeurIPS` 2017). Sites beyond twice the middle of these distances
//! are left out; the rest are averaged, so that where nobody lies nearly everybody counts, and against liars who hide inside the honest
//! spread (ALIE: Baruch, Baruch, Goldberg, `NeurIPS` 2019) the mean's small bias is what remains. Coordinates are not scaled by their spread
//! over the sites: liars who agree could make that as small as they like.

use super::{Rule, at_least, distances};
use crate::Error;

/// Leaves out who is far from most.
#[derive(Clone, Copy, Debug)]
pub struct Screened;

/// Times the middle distance.
const FAR: f64 = 2.0;

impl Rule for Screened {
    fn name(&self) -> &'static str {
        "screened"
    }

    fn weights(&self, points: &[Vec<f64>]) -> Result<Vec<f64>, Error> {
        at_least(points, 1)?;
        let n = points.len();
        let squares = distances(points);
        let near = |i: usize| {
            let mut row = squares[i * n..(i + 1) * n].to_vec();
            row.sort_by(f64::total_cmp);
            // the site itself is among them, at distance zero
            row.get(n / 2).copied().unwrap_or_default().sqrt()
        };
        let crowd: Vec<f64> = (0..n).map(near).collect();
        let mut sorted = crowd.clone();
        sorted.sort_by(f64::total_cmp);
        let limit = FAR * sorted.get((n - 1) / 2).copied().unwrap_or_default();
        Ok(crowd.iter().map(|distance| f64::from(u8::from(*distance <= limit))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn honest_sites_that_differ_are_kept_and_a_far_group_is_not() {
        let mut points: Vec<Vec<f64>> =
            (0..11_u32).map(|k| (0..6).map(|c| f64::from(k * (c + 3) * 37 % 19) / 10.0).collect()).collect();
        assert!(Screened.weights(&points).unwrap().iter().all(|weight| *weight == 1.0));
        points.extend((0..9).map(|_| vec![30.0, 0.5, 0.5, 0.5, 0.5, 0.5]));
        let weights = Screened.weights(&points).unwrap();
        assert_eq!(weights, [[1.0; 11].as_slice(), &[0.0; 9]].concat());
    }
}
