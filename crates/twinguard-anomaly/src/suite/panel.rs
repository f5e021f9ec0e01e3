//! A matrix laid out for one product per row of telemetry: eight outputs side by side, input by input, so that a product needs no
//! horizontal sums and every machine adds in the same order. Inputs before a block's first weight are skipped, so a triangle costs little
//! more than half.

use wide::f64x4;

use crate::Error;
use crate::archive::{Archive, Reader, Writer};

const LANES: usize = 8;

/// The sum of squares, in eight lanes of fixed order.
pub(super) fn squares(x: &[f64]) -> f64 {
    let (eights, rest) = x.as_chunks::<LANES>();
    let mut sums = [f64x4::ZERO; 2];
    for eight in eights {
        let [low, high] = halves(eight);
        sums[0] += low * low;
        sums[1] += high * high;
    }
    let [a, b, c, d] = (sums[0] + sums[1]).to_array();
    (a + b) + (c + d) + rest.iter().map(|x| x * x).sum::<f64>()
}

fn halves(eight: &[f64; LANES]) -> [f64x4; 2] {
    let [a, b, c, d, e, f, g, h] = *eight;
    [f64x4::new([a, b, c, d]), f64x4::new([e, f, g, h])]
}

fn multiply(sums: &mut [f64x4; 2], x: f64, column: &[f64; LANES]) {
    let (x, [low, high]) = (f64x4::splat(x), halves(column));
    sums[0] += x * low;
    sums[1] += x * high;
}

/// A matrix of `rows` outputs and `width` inputs.
#[derive(Clone, Debug, Default)]
pub(super) struct Panel {
    rows: usize,
    width: usize,
    /// By block of eight outputs: the first input that has a weight.
    first: Vec<usize>,
    weights: Vec<f64>,
}

impl Panel {
    /// From rows of weights.
    pub(super) fn new(matrix: &[f64], width: usize) -> Self {
        let rows = matrix.len() / width.max(1);
        let mut panel = Self { rows, width, ..Self::default() };
        for block in matrix.chunks(LANES * width.max(1)) {
            let lead = |row: &[f64]| row.iter().position(|weight| *weight != 0.0).unwrap_or(width);
            let first = block.chunks_exact(width).map(lead).min().unwrap_or(width);
            for input in first..width {
                let column = |lane: usize| block.get(lane * width + input).copied().unwrap_or(0.0);
                panel.weights.extend((0..LANES).map(column));
            }
            panel.first.push(first);
        }
        panel
    }

    /// Adds to `out` the product with the inputs from `at` on.
    pub(super) fn add(&self, at: usize, x: &[f64], out: &mut [f64]) {
        let mut weights = self.weights.as_chunks::<LANES>().0;
        for (out, first) in out.chunks_mut(LANES).zip(&self.first) {
            let (block, others) = weights.split_at((self.width - first).min(weights.len()));
            weights = others;
            let skipped = first.saturating_sub(at).min(x.len());
            let x = &x[skipped..];
            let block = block.get((at + skipped).saturating_sub(*first)..).unwrap_or_default();
            // two sums by turns, so that an addition need not wait for the last one
            let mut sums = [[f64x4::ZERO; 2]; 2];
            let (pairs, last) = x.as_chunks::<2>();
            let (columns, rest) = block.as_chunks::<2>();
            for (x, column) in pairs.iter().zip(columns) {
                multiply(&mut sums[0], x[0], &column[0]);
                multiply(&mut sums[1], x[1], &column[1]);
            }
            if let ([x], Some(column)) =
                (last, columns.get(pairs.len()).map(|pair| &pair[0]).or(rest.first()))
            {
                multiply(&mut sums[0], *x, column);
            }
            let [[a, b], [c, d]] = sums;
            let whole = [(a + c).to_array(), (b + d).to_array()];
            out.iter_mut().zip(whole.as_flattened()).for_each(|(out, sum)| *out += sum);
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn is(&self, rows: usize, width: usize) -> bool {
        self.rows == rows && self.width == width
    }
}

impl Archive for Panel {
    fn save(&self, writer: &mut Writer) {
        self.rows.save(writer);
        self.width.save(writer);
        self.first.save(writer);
        self.weights.save(writer);
    }
    fn load(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let panel = Self {
            rows: usize::load(reader)?,
            width: usize::load(reader)?,
            first: Archive::load(reader)?,
            weights: Archive::load(reader)?,
        };
        let held = |first: &usize| panel.width.checked_sub(*first);
        let columns = panel.first.iter().map(held).try_fold(0_usize, |sum, held| sum.checked_add(held?));
        let sound = panel.first.len() == panel.rows.div_ceil(LANES)
            && columns.and_then(|columns| columns.checked_mul(LANES)) == Some(panel.weights.len());
        if sound { Ok(panel) } else { Err(reader.refuse("a matrix without its weights")) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::prepare::tests::noise;
    use super::*;

    fn check(rows: usize, width: usize, triangle: bool) {
        let mut state = 1 + (rows * 100 + width) as u64;
        let matrix: Vec<f64> = (0..rows * width)
            .map(|place| if triangle && place % width < place / width { 0.0 } else { noise(&mut state) })
            .collect();
        let x: Vec<f64> = (0..width).map(|_| noise(&mut state)).collect();
        let panel = Panel::new(&matrix, width);
        assert!(panel.is(rows, width));
        let dense = rows.div_ceil(LANES) * LANES * width;
        assert!(!triangle || rows < 16 || panel.weights.len() <= dense * 3 / 4, "what is zero is not held");
        let plain: Vec<f64> =
            matrix.chunks_exact(width).map(|row| row.iter().zip(&x).map(|(a, b)| a * b).sum()).collect();
        for cut in [0, 1, width / 2, width] {
            let mut out = vec![1.0; rows];
            panel.add(0, &x[..cut], &mut out);
            panel.add(cut, &x[cut..], &mut out);
            for (got, want) in out.iter().zip(&plain) {
                assert!((got - 1.0 - want).abs() < 1e-12, "{rows} × {width} cut at {cut}: {got} for {want}");
            }
        }
        let mut writer = Writer::new();
        panel.save(&mut writer);
        let bytes = writer.finish();
        assert_eq!(Panel::load(&mut Reader::new(&bytes)).unwrap().weights, panel.weights);
        let mut forged = bytes;
        forged[0] ^= 64;
        assert!(Panel::load(&mut Reader::new(&forged)).is_err());
    }

    #[test]
    fn it_is_the_plain_product() {
        for (rows, width) in [(1, 1), (8, 8), (7, 5), (52, 107), (9, 16), (3, 2)] {
            check(rows, width, false);
        }
        for size in [8, 16, 32] {
            check(size, size, true);
        }
    }
}
