//! Federated is centralised, bit for bit: every statistic, every model, any partition, any order, 2 to 100 sites.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use twinguard_anomaly::statistic::{
    Canonical, Clusters, Command, Covariance, Forest, Gram, Grid, Histogram, Marginal, Markov, Merge, Model,
    Moments, Plan, Quantise, Regression, Scorer, Sketch, Statistic, Subspace, Tally, Threshold, Trees,
};
use twinguard_anomaly::{Archive, Reader, Writer};

/// Runs of rows, each with the site that holds it.
#[derive(Clone, Debug)]
struct Spread {
    sites: usize,
    pieces: Vec<(usize, Vec<[f64; 3]>)>,
    order: Vec<usize>,
}

fn spread() -> impl Strategy<Value = Spread> {
    (2..=100_usize).prop_flat_map(|sites| {
        let value = prop_oneof![
            8 => -4.0..4.0_f64,
            1 => -1e9..1e9_f64,
            1 => Just(f64::NAN),
        ];
        let row = [value.clone(), value.clone(), value];
        let piece = (0..sites, prop::collection::vec(row, 1..12));
        let order = Just((0..sites).collect::<Vec<_>>()).prop_shuffle();
        (prop::collection::vec(piece, 1..60), order).prop_map(move |(pieces, order)| Spread {
            sites,
            pieces,
            order,
        })
    })
}

/// All rows in one place.
fn pooled<P: Plan>(plan: &P, spread: &Spread, columns: usize) -> Tally<P> {
    let mut tally = Tally::new(plan.clone());
    for (_, rows) in &spread.pieces {
        tally.begin();
        rows.iter().for_each(|row| assert!(tally.observe(&row[..columns]).is_ok()));
    }
    tally
}

/// Each site its own rows, merged in the given order, half of the sites first among themselves, and through bytes.
fn federated<P: Plan>(plan: &P, spread: &Spread, columns: usize) -> Tally<P> {
    let mut sites: Vec<Tally<P>> = (0..spread.sites).map(|_| Tally::new(plan.clone())).collect();
    for (site, rows) in &spread.pieces {
        sites[*site].begin();
        rows.iter().for_each(|row| assert!(sites[*site].observe(&row[..columns]).is_ok()));
    }
    let (near, far) = spread.order.split_at(spread.sites / 2);
    let merge = |places: &[usize]| {
        let mut sum = Tally::new(plan.clone());
        for place in places {
            let mut writer = Writer::new();
            sites[*place].save(&mut writer);
            let bytes = writer.finish();
            sum.merge(&Tally::load(&mut Reader::new(&bytes)).unwrap()).unwrap();
        }
        sum
    };
    let mut sum = merge(far);
    sum.merge(&merge(near)).unwrap();
    sum
}

fn same<P: Plan>(plan: &P, spread: &Spread, columns: usize) -> Result<(Tally<P>, Tally<P>), TestCaseError> {
    let (one, other) = (pooled(plan, spread, columns), federated(plan, spread, columns));
    prop_assert_eq!(one.digest(), other.digest(), "{}", P::NAME);
    let parts = Tally::from_parts(plan.clone(), one.rows(), one.cells().to_vec());
    prop_assert!(parts.is_ok(), "what rows made is believed");
    Ok((one, other))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_statistic_and_model_is_the_pooled_one(spread in spread()) {
        let grid = Grid::around([(0.0, 1.0), (1.0, 2.0), (-0.5, 0.25)]).unwrap();
        let long = grid.clone().with_norm(3.0).unwrap();
        same(&Moments::new(grid.clone()), &spread, 3)?;
        let (a, b) = same(&Histogram::new(grid.clone(), 32, 4).unwrap(), &spread, 3)?;
        if a.rows() > 0 {
            prop_assert_eq!(Marginal::fit(&a).unwrap().digest(), Marginal::fit(&b).unwrap().digest());
        }
        same(&Sketch::new(grid.clone(), 5).unwrap(), &spread, 3)?;
        let (a, b) = same(&Markov::new(6).unwrap(), &spread, 1)?;
        prop_assert_eq!(Command::fit(&a).digest(), Command::fit(&b).digest());
        let (a, b) = same(&Trees::new(grid.clone(), 10, 5, 4, 7).unwrap(), &spread, 3)?;
        prop_assert_eq!(Forest::fit(&a).digest(), Forest::fit(&b).digest());
        let mut plan = Clusters::seeded(grid.clone(), 4, 4, 5).unwrap();
        for _ in 0..3 {
            let (a, b) = same(&plan, &spread, 3)?;
            prop_assert_eq!(a.next_round().unwrap(), b.next_round().unwrap());
            plan = a.next_round().unwrap();
        }
        for (grid, lags) in [(grid, 0), (long.clone(), 0), (long, 3)] {
            let (a, b) = same(&Gram::new(grid, lags).unwrap(), &spread, 3)?;
            if a.rows() < 2 {
                continue;
            }
            let (a, b) = (Covariance::of(&a).unwrap(), Covariance::of(&b).unwrap());
            let model = Subspace::fit(&a, 0.9).unwrap();
            prop_assert_eq!(model.digest(), Subspace::fit(&b, 0.9).unwrap().digest());
            let digest = |c: &Covariance| Regression::redundancy(c, 1e-3).unwrap().digest();
            prop_assert_eq!(digest(&a), digest(&b));
            if lags > 0 {
                let digest = |c: &Covariance| Regression::var(c, 1e-3).unwrap().digest();
                prop_assert_eq!(digest(&a), digest(&b));
                let digest = |c: &Covariance| Canonical::fit(c, 2, 2).unwrap().digest();
                prop_assert_eq!(digest(&a), digest(&b));
            }
            // the second round: a sketch of the first round's scores
            let scores = |only: Option<usize>| {
                let mut tally = Tally::new(Threshold::plan().unwrap());
                let mut scorer = Scorer::new(&model);
                for (_, rows) in spread.pieces.iter().filter(|(site, _)| only.is_none_or(|only| only == *site)) {
                    scorer.begin();
                    for row in rows {
                        if let Some(score) = scorer.observe(row).unwrap() {
                            tally.observe(&[score]).unwrap();
                        }
                    }
                }
                tally
            };
            let mut sum = Tally::new(Threshold::plan().unwrap());
            spread.order.iter().for_each(|site| sum.merge(&scores(Some(*site))).unwrap());
            prop_assert_eq!(sum.digest(), scores(None).digest());
        }
    }
}

#[test]
fn forged_parts_are_refused() {
    let plan = Gram::new(Grid::around([(0.0, 1.0); 2]).unwrap(), 0).unwrap();
    let most = i128::from(plan.grid().most());
    assert!(Tally::from_parts(plan.clone(), 3, vec![0; 4]).is_err(), "too few cells");
    assert!(Tally::from_parts(plan.clone(), 3, vec![3 * most * most, 0, 0, 0, 0]).is_ok());
    assert!(Tally::from_parts(plan.clone(), 3, vec![3 * most * most + 1, 0, 0, 0, 0]).is_err());
    assert!(Tally::from_parts(plan.clone(), 3, vec![i128::MIN; 5]).is_err());
    let full = Tally::new(plan.clone()).with_cells(vec![i128::MAX; 5]).unwrap();
    let mut sum = full.clone();
    assert!(sum.merge(&full).is_err(), "the sum is too large");
    assert_eq!(sum, full, "and nothing has changed");
    let other = Gram::new(Grid::around([(0.0, 2.0); 2]).unwrap(), 0).unwrap();
    assert!(sum.merge(&Tally::new(other)).is_err(), "another grid");
}

#[test]
fn a_bit_more_or_less_is_another_digest() {
    let mut tally = Tally::new(Moments::new(Grid::around([(0.0, 1.0)]).unwrap()));
    tally.observe(&[1.0]).unwrap();
    let cells = tally.cells().to_vec();
    let other = Tally::from_parts(tally.plan().clone(), 1, vec![cells[0], cells[1] - 1]).unwrap();
    assert_ne!(tally.digest(), other.digest());
    assert_eq!(tally.schema(), other.schema());
    let mut writer = Writer::new();
    tally.save(&mut writer);
    let bytes = writer.finish();
    for cut in 0..bytes.len() {
        assert!(Tally::<Moments>::load(&mut Reader::new(&bytes[..cut])).is_err(), "{cut}");
    }
}
