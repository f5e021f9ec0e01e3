//! Plants in normal operation: stationary, each with its own law drawn from its seed.

use twinguard::twin::simulator::Noise;

/// Student's with this many degrees of freedom; normal for 0.
fn heavy(draw: &mut Noise, freedom: usize) -> f64 {
    let x = draw.gaussian();
    if freedom == 0 {
        return x;
    }
    let square: f64 = (0..freedom).map(|_| draw.gaussian().powi(2)).sum();
    x / (square / freedom as f64).sqrt()
}

/// A kind of plant.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// What it is called in the table.
    pub name: &'static str,
    /// Columns of a row.
    pub channels: usize,
    /// Hidden states.
    states: usize,
    /// Largest weight of a state's own past.
    memory: f64,
    /// Degrees of freedom of the noise; 0 for the normal law.
    tail: usize,
    /// Rows of a cycle that all channels share; 0 for none.
    cycle: usize,
}

/// All kinds.
pub const KINDS: [Kind; 6] = [
    Kind { name: "ar", channels: 1, states: 1, memory: 0.9, tail: 0, cycle: 0 },
    Kind { name: "heavy", channels: 1, states: 1, memory: 0.6, tail: 4, cycle: 0 },
    Kind { name: "loop", channels: 4, states: 2, memory: 0.95, tail: 0, cycle: 0 },
    Kind { name: "var8", channels: 8, states: 8, memory: 0.8, tail: 0, cycle: 0 },
    Kind { name: "cycle", channels: 6, states: 3, memory: 0.7, tail: 6, cycle: 97 },
    Kind { name: "var20", channels: 20, states: 8, memory: 0.9, tail: 0, cycle: 0 },
];

impl Kind {
    /// Rows of the plant of this seed, row by row, after it has settled.
    pub fn run(&self, seed: u64, rows: usize) -> Vec<f64> {
        let mut draw = Noise::new(seed, (16 * self.channels + self.tail) as u64);
        let n = self.states;
        // each state follows itself and a little of its neighbour
        let own: Vec<f64> =
            (0..n).map(|_| self.memory * (1.0 - 0.3 * draw.gaussian().abs().min(1.0))).collect();
        let next: Vec<f64> =
            own.iter().map(|own| 0.5 * (1.0 - own) * draw.gaussian().clamp(-1.0, 1.0)).collect();
        let seen: Vec<f64> = (0..self.channels * n).map(|_| draw.gaussian()).collect();
        let swing: Vec<f64> = (0..self.channels).map(|_| 2.0 * draw.gaussian()).collect();
        let noise = if self.channels > 1 { 0.3 } else { 0.0 };
        let mut x = vec![0.0; n];
        let mut out = Vec::with_capacity(rows * self.channels);
        for t in 0..rows + 200 {
            let before = x.clone();
            for j in 0..n {
                x[j] = own[j] * before[j] + next[j] * before[(j + 1) % n] + heavy(&mut draw, self.tail);
            }
            if t < 200 {
                continue;
            }
            let phase = std::f64::consts::TAU * t as f64 / self.cycle.max(1) as f64;
            for channel in 0..self.channels {
                let weights = &seen[channel * n..(channel + 1) * n];
                let inner: f64 = weights.iter().zip(&x).map(|(w, x)| w * x).sum();
                let wave = if self.cycle > 0 { swing[channel] * (phase + channel as f64).sin() } else { 0.0 };
                out.push(inner + wave + noise * heavy(&mut draw, self.tail));
            }
        }
        out
    }
}
