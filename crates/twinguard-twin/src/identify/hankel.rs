//! Past and future of a record as one triangular factor: what every subspace method starts from.
//!
//! Source: P. Van Overschee, B. De Moor, *Subspace Identification for Linear Systems* (1996), §4.1 (block Hankel
//! matrices, the RQ decomposition). With s block rows the columns are
//! `[u(k+s) … u(k+2s−1) | u(k), y(k) … u(k+s−1), y(k+s−1) | y(k+s) … y(k+2s−1)]`. Their Gram matrix obeys
//! R(i+1, j+1) = R(i, j) + w(N+i) w(N+j)ᵀ − w(i) w(j)ᵀ, so that it costs O(s N (m+p)²) and no Hankel matrix is stored;
//! its Cholesky factor is the L of the RQ decomposition. Where the Gram matrix is singular to working precision
//! (records without noise), the Hankel matrix is decomposed itself.

use nalgebra::DMatrix;

use super::record::Record;

/// The lower factor L of the stacked rows, divided by √columns.
pub(super) struct Factor {
    /// Lower triangular, rows in the order future inputs, past, future outputs.
    pub(super) lower: DMatrix<f64>,
    /// Columns of the Hankel matrix behind it.
    pub(super) columns: usize,
    /// Rows of future inputs, of the past, of future outputs.
    pub(super) heights: [usize; 3],
}

/// Rows of the stacked matrix as (block row, channel), channels counted inputs first.
fn layout(inputs: usize, outputs: usize, horizon: usize) -> (Vec<(usize, usize)>, [usize; 3]) {
    let future_inputs = (horizon..2 * horizon).flat_map(|block| (0..inputs).map(move |at| (block, at)));
    let past = (0..horizon).flat_map(|block| (0..inputs + outputs).map(move |at| (block, at)));
    let future_outputs =
        (horizon..2 * horizon).flat_map(|block| (inputs..inputs + outputs).map(move |at| (block, at)));
    let heights = [horizon * inputs, horizon * (inputs + outputs), horizon * outputs];
    (future_inputs.chain(past).chain(future_outputs).collect(), heights)
}

/// The factor of a record with every channel shifted and scaled by `scales`; `None` when there are fewer columns than
/// rows.
pub(super) fn factor(record: &Record, scales: &[(f64, f64)], horizon: usize) -> Option<Factor> {
    let width = record.inputs() + record.outputs();
    let span = 2 * horizon;
    let mut gram = vec![0.0; span * width * span * width];
    let mut columns = 0;
    let mut scaled = Vec::new();
    for (first, count) in record.stretches(span) {
        scaled.clear();
        for index in first..first + count {
            let (u, y) = record.row(index);
            scaled
                .extend(u.iter().chain(y).zip(scales).map(|(value, (mean, spread))| (value - mean) / spread));
        }
        columns += count - span + 1;
        add(&mut gram, &scaled, width, span, count - span + 1);
    }
    let (order, heights) = layout(record.inputs(), record.outputs(), horizon);
    if columns < order.len() {
        return None;
    }
    let size = span * width;
    let entry = |(block, channel): (usize, usize)| block * width + channel;
    let gathered = DMatrix::from_fn(size, size, |i, j| {
        let (low, high) = (entry(order[i]).min(entry(order[j])), entry(order[i]).max(entry(order[j])));
        gram[low * size + high] / columns as f64
    });
    let worst = |lower: &DMatrix<f64>| {
        (0..size).map(|at| lower[(at, at)] / gathered[(at, at)].sqrt()).fold(f64::INFINITY, f64::min)
    };
    if let Some(factor) = gathered.clone().cholesky() {
        let lower = factor.l();
        // Half of the digits are lost to the squaring: what is left has to carry four.
        if worst(&lower) > 1e-6 {
            return Some(Factor { lower, columns, heights });
        }
    }
    Some(Factor { lower: exact(record, scales, &order, span, columns), columns, heights })
}

/// Adds the Gram matrix of one stretch: upper blocks, the first block row by sums, the others by the recursion.
pub(super) fn add(gram: &mut [f64], rows: &[f64], width: usize, span: usize, columns: usize) {
    let size = span * width;
    let row = |index: usize| rows.get(index * width..(index + 1) * width).unwrap_or_default();
    let mut blocks = vec![0.0; span * width * width];
    for (lag, block) in blocks.chunks_exact_mut(width * width).enumerate() {
        for index in 0..columns {
            let (left, right) = (row(index), row(index + lag));
            for (line, left) in block.chunks_exact_mut(width).zip(left) {
                for (slot, right) in line.iter_mut().zip(right) {
                    *slot += left * right;
                }
            }
        }
    }
    for (lag, block) in blocks.chunks_exact_mut(width * width).enumerate() {
        for first in 0..span - lag {
            if first > 0 {
                let (gone, come) = (first - 1, columns + first - 1);
                for i in 0..width {
                    for j in 0..width {
                        block[i * width + j] +=
                            row(come)[i] * row(come + lag)[j] - row(gone)[i] * row(gone + lag)[j];
                    }
                }
            }
            for i in 0..width {
                for j in 0..width {
                    gram[(first * width + i) * size + (first + lag) * width + j] += block[i * width + j];
                }
            }
        }
    }
}

/// The factor by orthogonal transformations of the Hankel matrix itself.
fn exact(
    record: &Record,
    scales: &[(f64, f64)],
    order: &[(usize, usize)],
    span: usize,
    columns: usize,
) -> DMatrix<f64> {
    let starts: Vec<usize> =
        record.stretches(span).flat_map(|(first, count)| first..first + count - span + 1).collect();
    let norm = (columns as f64).sqrt();
    let tall = DMatrix::from_fn(starts.len(), order.len(), |column, line| {
        let (block, channel) = order[line];
        let (u, y) = record.row(starts[column] + block);
        let value = u.iter().chain(y).nth(channel).copied().unwrap_or_default();
        let (mean, spread) = scales[channel];
        (value - mean) / spread / norm
    });
    tall.qr().r().transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_give_the_same_factor() {
        let mut record = Record::empty(1.0, 1, 1).unwrap();
        let mut value = 0.3_f64;
        for k in 0..120 {
            value = 3.9 * value * (1.0 - value);
            if k == 50 {
                record.gap();
            }
            record.push([value, (value * 7.0).sin()]);
        }
        let scales = record.scales();
        let fast = factor(&record, &scales, 3).unwrap();
        let (order, _) = layout(1, 1, 3);
        let slow = exact(&record, &scales, &order, 6, fast.columns);
        assert_eq!(fast.columns, 45 + 65);
        let gap = (&fast.lower * fast.lower.transpose() - &slow * slow.transpose()).amax();
        assert!(gap < 1e-12, "{gap}");
    }
}
