//! Sparse factorisations of faer and nalgebra-sparse beside a whole estimate of a power grid.
//!
//! ```sh
//! cargo run --release --manifest-path benches/peers/sparse/Cargo.toml -- ../shared/data/twin/powergrid/case*.json
//! ```
//!
//! The matrix is the gain of the normal equations (2n unknowns, pattern of the grid's own meters, seeded values). The peers are given it ready
//! made and are timed for the numbers of one Cholesky factor and one solution; the pattern is analysed before. Ours is timed for a
//! whole estimate from the last state: powers, Jacobian, gain, factor and solution, until it has converged. nalgebra-sparse does not order its
//! unknowns; faer orders them by minimum degree.
#![allow(missing_docs, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench")]

use std::time::Instant;

use faer::Side as Triangle;
use faer::prelude::Solve;
use faer::sparse::linalg::solvers::{Llt, SymbolicLlt};
use faer::sparse::{SparseColMat, Triplet};
use nalgebra::DMatrix;
use nalgebra_sparse::factorization::{CscCholesky, CscSymbolicCholesky};
use nalgebra_sparse::{CooMatrix, CscMatrix};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use twinguard_twin::grid::{Case, Options, Quantity, Start};

type Failure = Box<dyn std::error::Error>;

fn least(times: usize, mut run: impl FnMut()) -> f64 {
    (0..times).fold(f64::INFINITY, |best, _| {
        let start = Instant::now();
        run();
        best.min(start.elapsed().as_secs_f64() * 1e3)
    })
}

/// The gain's entries, both triangles, sums not yet taken.
fn gain(case: &Case) -> Vec<(usize, usize, f64)> {
    let grid = &case.grid;
    let mut around: Vec<Vec<usize>> = (0..grid.buses().len()).map(|bus| vec![bus]).collect();
    for branch in grid.branches().iter().filter(|branch| branch.in_service) {
        around[branch.from].push(branch.to);
        around[branch.to].push(branch.from);
    }
    let mut random = StdRng::seed_from_u64(1);
    let mut entries: Vec<(usize, usize, f64)> = (0..2 * around.len()).map(|at| (at, at, 1.0)).collect();
    for meter in &case.meters {
        let buses = match meter.quantity {
            Quantity::Voltage(bus) | Quantity::Angle(bus) => vec![bus],
            Quantity::ActiveInjection(bus) | Quantity::ReactiveInjection(bus) => around[bus].clone(),
            Quantity::ActiveFlow(branch, _)
            | Quantity::ReactiveFlow(branch, _)
            | Quantity::Current(branch, _) => {
                let branch = &grid.branches()[branch];
                vec![branch.from, branch.to]
            }
        };
        // Every power depends on angle and magnitude of its buses.
        let row: Vec<(usize, f64)> = buses
            .iter()
            .flat_map(|bus| [2 * bus, 2 * bus + 1])
            .map(|at| (at, random.random_range(-1.0..1.0)))
            .collect();
        for (i, a) in &row {
            entries.extend(row.iter().map(|(j, b)| (*i, *j, a * b)));
        }
    }
    entries
}

fn main() -> Result<(), Failure> {
    println!(
        "{:<12} {:>6} {:>16} {:>10} {:>16}",
        "grid", "buses", "ours, estimate", "faer", "nalgebra-sparse"
    );
    for path in std::env::args().skip(1) {
        let case = Case::parse(&std::fs::read_to_string(&path)?)?;
        let buses = case.grid.buses().len();
        let times = (40_000 / buses).clamp(5, 200);

        let mut estimator = case.estimator()?;
        let options = Options { tolerance: 1e-8, ..Options::default() };
        estimator.estimate(&case.values, Start::Flat, &options)?;
        let ours = least(times, || {
            estimator.estimate(&case.values, Start::Last, &options).expect("it was observable");
        });

        let entries = gain(&case);
        let triplets: Vec<_> = entries.iter().map(|(i, j, value)| Triplet::new(*i, *j, *value)).collect();
        let matrix = SparseColMat::<usize, f64>::try_new_from_triplets(2 * buses, 2 * buses, &triplets)?;
        let symbolic = SymbolicLlt::try_new(matrix.symbolic(), Triangle::Lower)?;
        let right = faer::Mat::<f64>::ones(2 * buses, 1);
        let faer_ms = least(times, || {
            let factor = Llt::try_new_with_symbolic(symbolic.clone(), matrix.as_ref(), Triangle::Lower)
                .expect("positive definite");
            std::hint::black_box(factor.solve(&right));
        });

        let mut coordinates = CooMatrix::new(2 * buses, 2 * buses);
        entries.iter().for_each(|(i, j, value)| coordinates.push(*i, *j, *value));
        let matrix = CscMatrix::from(&coordinates);
        let symbolic = CscSymbolicCholesky::factor(matrix.pattern().clone());
        let mut factor = CscCholesky::factor_numerical(symbolic, matrix.values())?;
        let right = DMatrix::<f64>::from_element(2 * buses, 1, 1.0);
        let nalgebra_ms = least(times.min(10), || {
            factor.refactor(matrix.values()).expect("positive definite");
            std::hint::black_box(factor.solve(&right));
        });
        let name = std::path::Path::new(&path).file_stem().unwrap_or_default().to_string_lossy();
        println!("{name:<12} {buses:>6} {ours:>13.3} ms {faer_ms:>7.3} ms {nalgebra_ms:>13.3} ms");
    }
    Ok(())
}
