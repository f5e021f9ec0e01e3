//! The last rows of the channels whose shapes are learnt, and which of them are looked at in which row.
//!
//! Source: windows that overlap are trivial matches (Lin, Keogh, Lonardi, Patel, *Finding Motifs in Time Series*, 2002, definition 4).
//! Two windows that are one row apart share all values but one, so their statistics hardly differ: each row looks anew at four channels,
//! the others keep what was last seen of them. Up to four channels are looked at in every row.

use super::super::prepare::{History, Scales};

/// Longest window.
pub(super) const LONGEST: usize = 32;
/// Most channels whose shapes are learnt.
const SHAPED: usize = 8;
/// Channels that a row looks at.
const LOOKED_AT: usize = 4;

/// The last values of some channels.
#[derive(Clone, Debug)]
pub(in super::super) struct Recent {
    length: usize,
    /// By channel a ring of `length` values.
    values: Vec<f32>,
    at: usize,
    /// Rows so far, counted up to when all channels were looked at, then around.
    rows: usize,
}

crate::archived!(Recent { length, values, at, rows });

/// What was last seen of each channel.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Looks {
    distances: [f64; SHAPED],
}

crate::archived!(Looks { distances });

/// Windows of the channels that are due.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Due {
    channels: usize,
    first: usize,
    count: usize,
    length: usize,
    rows: usize,
    windows: [[f64; LONGEST]; LOOKED_AT],
}

impl Due {
    /// Mean of the channels' distances, those that are due computed anew from their last `length` values; `None` before all were seen.
    pub(super) fn look(
        &self,
        length: usize,
        looks: &mut Looks,
        mut distance: impl FnMut(usize, &[f64]) -> f64,
    ) -> Option<f64> {
        if self.rows < length {
            return None;
        }
        for (place, window) in self.windows[..self.count].iter().enumerate() {
            let window = &window[self.length.saturating_sub(length)..self.length];
            looks.distances[self.first + place] = distance(self.first + place, window);
        }
        let sum = looks.distances[..self.channels].iter().sum::<f64>();
        let all = self.rows >= length + rounds(self.channels) - 1;
        all.then(|| sum / self.channels.max(1) as f64)
    }
}

/// Rows in which every channel is looked at once.
fn rounds(channels: usize) -> usize {
    channels.div_ceil(LOOKED_AT).max(1)
}

impl Recent {
    /// For this many channels and windows of this length.
    pub(in super::super) fn new(channels: usize, length: usize) -> Self {
        Self { length, values: vec![0.0; length * channels], at: 0, rows: 0 }
    }

    /// Takes in a row; the windows that are due for a look.
    pub(in super::super) fn step(&mut self, channels: &[usize], row: &[f64]) -> Due {
        let length = self.length;
        for (ring, channel) in self.values.chunks_exact_mut(length.max(1)).zip(channels) {
            ring[self.at] = row[*channel] as f32;
        }
        self.at = if self.at + 1 < length { self.at + 1 } else { 0 };
        let (channels, round) = (self.channels(), rounds(self.channels()));
        self.rows += 1;
        if self.rows >= length + 2 * round {
            self.rows -= round;
        }
        let first = (self.rows - 1) % round * LOOKED_AT;
        let mut due = Due {
            channels,
            first,
            count: LOOKED_AT.min(channels - first.min(channels)),
            length,
            rows: self.rows,
            windows: [[0.0; LONGEST]; LOOKED_AT],
        };
        let rings = self.values.chunks_exact(length.max(1)).skip(first);
        for (window, ring) in due.windows[..due.count].iter_mut().zip(rings) {
            let (newer, older) = ring.split_at(self.at);
            let (head, tail) = window[..length].split_at_mut(older.len());
            head.iter_mut().zip(older).for_each(|(x, value)| *x = f64::from(*value));
            tail.iter_mut().zip(newer).for_each(|(x, value)| *x = f64::from(*value));
        }
        due
    }

    fn channels(&self) -> usize {
        self.values.len() / self.length.max(1)
    }

    pub(in super::super) fn sound(&self, channels: usize, length: usize) -> bool {
        self.length == length
            && self.values.len() == length * channels
            && channels <= SHAPED
            && (self.at < length || length == 0)
            && self.rows < length + 2 * rounds(channels)
    }
}

/// The same statistic over a history, from each channel's distance at the rows where it is due.
pub(super) fn looked(
    rows: usize,
    length: usize,
    columns: &[Vec<f64>],
    mut distance: impl FnMut(usize, usize, &[f64]) -> f64,
) -> Vec<f64> {
    let (channels, round) = (columns.len(), rounds(columns.len()));
    let mut looks = Looks::default();
    let mut sample = Vec::with_capacity(rows);
    // a look is due at row t where t mod rounds is the channel's turn, as in the stream
    for t in 0..rows {
        if t + 1 < length {
            continue;
        }
        let due = t % round * LOOKED_AT;
        for place in due..(due + LOOKED_AT).min(channels) {
            looks.distances[place] = distance(place, t, &columns[place][t + 1 - length..=t]);
        }
        if t + 1 >= length + round - 1 {
            sample.push(looks.distances[..channels].iter().sum::<f64>() / channels.max(1) as f64);
        }
    }
    let lead = vec![sample.first().copied().unwrap_or(0.0); rows - sample.len()];
    [lead, sample].concat()
}

/// Channels whose shapes are learnt, the first that take many values, and the length of the longest window that so many rows can
/// teach: a twelfth of them at most. Below eight rows no shapes are learnt.
pub(in super::super) fn shaped(scales: &Scales, rows: usize) -> (&[usize], usize) {
    let mut length = LONGEST;
    while length >= 8 && rows < 12 * length {
        length /= 2;
    }
    if length < 8 { (&[], 0) } else { (&scales.continuous[..scales.continuous.len().min(SHAPED)], length) }
}

/// These channels' rows, with the precision that a stream remembers.
pub(super) fn columns(history: &History, channels: &[usize]) -> Vec<Vec<f64>> {
    let column =
        |channel: &usize| (0..history.rows).map(|t| f64::from(history.slow(t)[*channel] as f32)).collect();
    channels.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_slide() {
        let mut recent = Recent::new(1, 3);
        let mut looks = Looks::default();
        let mut seen = Vec::new();
        for t in 0..17 {
            let due = recent.step(&[0], &[f64::from(t)]);
            let got = due.look(3, &mut looks, |_, window| {
                seen.push(window.to_vec());
                window[2]
            });
            assert_eq!(got, (t >= 2).then_some(f64::from(t)));
            assert!(recent.sound(1, 3));
        }
        assert_eq!(seen[0], [0.0, 1.0, 2.0]);
        assert_eq!(seen[14], [14.0, 15.0, 16.0]);
    }

    #[test]
    fn a_short_history_teaches_short_windows() {
        let mut scales = Scales::default();
        scales.continuous = (0..9).collect();
        let lengths = [500, 200, 100, 90].map(|rows| shaped(&scales, rows).1);
        assert_eq!((lengths, shaped(&scales, 500).0.len()), ([32, 16, 8, 0], SHAPED));
    }

    #[test]
    fn a_history_is_looked_at_as_a_stream_is() {
        for channels in [1, 2, 3, 5, 8] {
            let (rows, length) = (60, 8);
            let value = |t: usize, channel: usize| ((t * 31 + channel * 17) % 97) as f64;
            let columns: Vec<Vec<f64>> =
                (0..channels).map(|channel| (0..rows).map(|t| value(t, channel)).collect()).collect();
            let of = |window: &[f64]| window.iter().enumerate().map(|(k, x)| k as f64 * x).sum::<f64>();
            let batch = looked(rows, 4, &columns, |_, _, window| of(window));
            let places: Vec<usize> = (0..channels).collect();
            let (mut recent, mut looks) = (Recent::new(channels, length), Looks::default());
            let mut begun = false;
            for t in 0..rows {
                let row: Vec<f64> = places.iter().map(|channel| value(t, *channel)).collect();
                let due = recent.step(&places, &row);
                let got = due.look(4, &mut looks, |_, window| of(window));
                assert!(got.is_some() || !begun);
                begun |= got.is_some();
                assert!(got.is_none_or(|got| got == batch[t]), "{channels} channels, row {t}");
            }
            assert!(begun);
        }
    }
}
