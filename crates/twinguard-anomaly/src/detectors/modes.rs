//! Levels by operating mode: what is normal while the pump runs is not normal while it stands.
//!
//! Source: monitoring by operating mode (Zhao, Zhang, Xu, Ind. Eng. Chem. Res. 43, 2004, multiple models, one per mode), modes read from the
//! signals that take few values: states, commands, set-points, at most eight of them with at most six values each. A mode is their values
//! together, and for how long they have stood: fewer than 5 rows, fewer than 30, longer, since a plant needs time to follow. Each other
//! signal has a level and a deviation in each mode of 30 rows or more; its moving mean (λ = 0.1) in these deviations, squared, is asked of the
//! learnt tail. A mode that the history hardly shows says nothing: that it is new is the matter of `novelty` and of `automatic`. Cost: a
//! binary search a row, two multiplications a signal. It lies where the mode is not among the signals.

use twinguard_types::Symptom;

use crate::{
    archived, row_detector,
    rows::{RowModel, Standard},
    table::Table,
};

const MOST_SWITCHES: usize = 8;
const MOST_VALUES: usize = 6;
const MOST_MODES: usize = 512;
const FEWEST_ROWS: usize = 30;
const PHASES: [u32; 2] = [5, 30];
const WEIGHT: f64 = 0.1;
/// Least deviation of a level in a mode, in the signal's own.
const FLOOR: f64 = 0.05;
const FAR: f64 = 30.0;

/// Levels by operating mode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Modes;

row_detector!(Modes, Model, "modes", Symptom::Redundancy);

/// Values of the switches in sixes, and the phase.
type Mode = (u64, u8);

#[derive(Clone, Debug, Default)]
struct Law {
    count: usize,
    /// By channel: level and deviation; sums while learning.
    levels: Vec<(f64, f64)>,
}

archived!(Law { count, levels });

struct Model {
    channels: usize,
    /// Channels that say the mode, and the values they take.
    switches: Vec<(usize, Vec<f64>)>,
    laws: Table<Mode, Law>,
    means: Vec<f64>,
    code: u64,
    stood: u32,
    begun: bool,
}

archived!(Model { channels, switches, laws, means, code, stood, begun });

fn values(column: &[f64]) -> Option<Vec<f64>> {
    let mut out: Vec<f64> = Vec::with_capacity(MOST_VALUES);
    for x in column {
        if !out.iter().any(|held| (held - x).abs() < 1e-6) {
            if out.len() == MOST_VALUES {
                return None;
            }
            out.push(*x);
        }
    }
    (out.len() > 1).then_some(out)
}

impl Model {
    fn mode(&mut self, z: &[f64]) -> Mode {
        let mut code = 0;
        for (channel, values) in &self.switches {
            let x = z.get(*channel).copied().unwrap_or(0.0);
            // a value that was never there is one more
            let place = values.iter().position(|held| (held - x).abs() < 1e-6).unwrap_or(MOST_VALUES);
            code = code * (MOST_VALUES as u64 + 1) + place as u64;
        }
        if code != self.code || !self.begun {
            (self.code, self.stood, self.begun) = (code, 0, true);
        }
        let phase = PHASES.iter().filter(|rows| self.stood >= **rows).count();
        self.stood = self.stood.saturating_add(1);
        (code, phase as u8)
    }
}

impl RowModel for Model {
    fn learn(rows: &Standard<'_>) -> Option<Self> {
        let m = rows.channels;
        let found = (0..m).filter_map(|channel| Some((channel, values(&rows.column(channel))?)));
        let switches: Vec<(usize, Vec<f64>)> = found.take(MOST_SWITCHES).collect();
        if switches.is_empty() || switches.len() == m {
            return None;
        }
        let laws = Table::new(MOST_MODES);
        let mut model =
            Self { channels: m, switches, laws, means: vec![0.0; m], code: 0, stood: 0, begun: false };
        for t in 0..rows.rows() {
            let mode = model.mode(rows.row(t));
            let Some(law) = model.laws.entry(mode, || Law { count: 0, levels: vec![(0.0, 0.0); m] }) else {
                continue;
            };
            law.count += 1;
            for ((sum, square), z) in law.levels.iter_mut().zip(rows.row(t)) {
                *sum += z;
                *square += z * z;
            }
        }
        for (_, law) in model.laws.iter_mut() {
            let n = law.count as f64;
            for (sum, square) in &mut law.levels {
                let mean = *sum / n;
                (*sum, *square) = (mean, (*square / n - mean * mean).max(0.0).sqrt().max(FLOOR));
            }
        }
        Some(model)
    }

    fn statistics(&self) -> usize {
        self.channels
    }

    fn step(&mut self, z: &[f64], out: &mut [f64]) -> Option<usize> {
        let mode = self.mode(z);
        out.fill(0.0);
        let law = self.laws.get(&mode).filter(|law| law.count >= FEWEST_ROWS)?;
        let (mut most, mut place) = (0.0, 0);
        let parts = law.levels.iter().zip(z).zip(self.means.iter_mut().zip(out)).enumerate();
        for (channel, (((level, deviation), z), (mean, out))) in parts {
            let off = ((z - level) / deviation).clamp(-FAR, FAR);
            *mean += WEIGHT * (off - *mean);
            *out = *mean * *mean;
            if *out > most {
                (most, place) = (*out, channel);
            }
        }
        Some(place)
    }

    fn begin(&mut self) {
        self.means.fill(0.0);
        self.begun = false;
    }

    fn forget(&mut self, channel: usize) {
        if let Some(mean) = self.means.get_mut(channel) {
            *mean = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(k: usize) -> f64 {
        ((k * 7919) % 1009) as f64 / 1009.0 - 0.5
    }

    /// A pump that runs for forty rows and stands for forty, and a pressure that is high while it runs.
    fn rows(count: usize, stuck: bool) -> Vec<f64> {
        (0..count)
            .flat_map(|t| {
                let runs = t / 40 % 2 == 0;
                let high = runs || stuck;
                [if runs { 1.0 } else { -1.0 }, if high { 1.0 } else { -1.0 } + 0.1 * noise(t)]
            })
            .collect()
    }

    fn loudest(stuck: bool) -> f64 {
        let history = rows(2000, false);
        let mut model = Model::learn(&Standard { channels: 2, values: &history, seed: 0 }).unwrap();
        let (mut out, mut most) = ([0.0; 2], 0.0_f64);
        for z in rows(400, stuck).chunks_exact(2) {
            model.step(z, &mut out);
            most = most.max(out[1]);
        }
        most
    }

    #[test]
    fn a_level_of_the_wrong_mode_stands_out_although_it_is_usual() {
        let (normal, stuck) = (loudest(false), loudest(true));
        assert!(normal < 10.0 && stuck > 100.0 * normal.max(0.1), "{normal} {stuck}");
    }

    #[test]
    fn plants_without_modes_and_modes_never_seen_say_nothing() {
        let smooth: Vec<f64> = (0..2000).map(noise).collect();
        assert!(Model::learn(&Standard { channels: 2, values: &smooth, seed: 0 }).is_none());
        let history = rows(2000, false);
        let mut model = Model::learn(&Standard { channels: 2, values: &history, seed: 0 }).unwrap();
        assert!(model.step(&[0.3, 5.0], &mut [0.0; 2]).is_none());
    }
}
