//! The safety shield: whatever a planner proposes, only what keeps the plant within its limits for ever is let through.
//!
//! Sources: Gilbert, Tan, "Linear systems with state and control constraints: the theory and application of maximal output
//! admissible sets", *IEEE Trans. Autom. Control* 36(9) (1991) (the set and its finite determination); Alshiekh et al., "Safe
//! reinforcement learning via shielding", *AAAI* (2018), §4 (a shield that corrects as little as possible); Sha, "Using
//! simplicity to control complexity", *IEEE Software* 18(4) (2001) (a proved backup behind an unproved controller).
//!
//! The plant is x⁺ = Φₘ x + bₘ + w + a, where the mode m is what is chosen, |wᵢ| ≤ Wᵢ is any disturbance and a is any point of the
//! convex hull of 0 and the mode's attack vertices. A *backup* is a periodic sequence of modes. For each backup and phase the
//! states from which it keeps every limit for ever are a polytope {x : h x ≤ β}: one row for each limit and future step, with
//! the exact worst case Σ|hᵢ|Wᵢ + max(0, max h a) taken off β. A choice is let through when the state one decision later lies in
//! one of these polytopes whatever happens in between.
//!
//! Finite: the rows up to step K suffice when those of a whole period after K hold anywhere in the box of limits, since every
//! later step lies that far behind one at the same phase at which the state was in the box.
//!
//! When it lies: never within the declared bounds, rounding aside (a margin of 1e-9 of the limits' span is kept). It promises
//! nothing when a disturbance or an attack exceeds them, or the plant is another. It is not the largest set there is: a
//! cleverer backup may save a state that all of these give up. Cost of a decision: rows × states multiplications.

use twinguard_twin::reach::{Reach, Zonotope};

use crate::Error;

/// One way to run the plant: x⁺ = Φ x + b + w + a.
#[derive(Clone, Debug, PartialEq)]
pub struct Mode {
    /// Φ, n × n by rows.
    pub transition: Vec<f64>,
    /// b, n.
    pub offset: Vec<f64>,
    /// Largest |w| of each state.
    pub disturbance: Vec<f64>,
    /// What an attacker can add in one step: vertices of n entries each; any mixture of them and of nothing counts.
    pub attacks: Vec<Vec<f64>>,
}

/// What a [`Shield`] is made for.
#[derive(Clone, Debug, PartialEq)]
pub struct Guarded {
    /// The modes that may be chosen at all: what exceeds the isolation budget is not among them.
    pub modes: Vec<Mode>,
    /// Least allowed value of each state.
    pub least: Vec<f64>,
    /// Greatest allowed value of each state.
    pub greatest: Vec<f64>,
    /// Largest error of the state as it is told to the shield.
    pub error: Vec<f64>,
    /// Steps that pass before a choice takes effect (0…2): the modes chosen before run on.
    pub latency: usize,
    /// Periodic sequences of modes, by index.
    pub backups: Vec<Vec<usize>>,
}

/// Rows h x ≤ β, flat.
#[derive(Clone, Debug, Default)]
struct Polytope {
    rows: Vec<f64>,
    bounds: Vec<f64>,
}

impl Polytope {
    fn contains(&self, state: &[f64]) -> bool {
        self.margin(state, 0.0) >= 0.0
    }

    /// Least β − h x, or the first one below `floor`.
    fn margin(&self, state: &[f64], floor: f64) -> f64 {
        let mut least = f64::INFINITY;
        for (row, bound) in self.rows.chunks_exact(state.len().max(1)).zip(&self.bounds) {
            let margin = bound - dot(row, state);
            // A state that is not a number is in no set.
            if margin.is_nan() {
                return f64::NEG_INFINITY;
            }
            least = least.min(margin);
            if least < floor {
                break;
            }
        }
        least
    }
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The proposal is proved safe.
    Proposal,
    /// It is not; this one, later in the order of preference, is.
    Corrected,
    /// None is proved anew; the backup that was proved before runs on and is still safe.
    Backup,
    /// Outside the viable set: the choice with the most margin, without a proof.
    Unproved,
}

/// What the shield lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// The mode.
    pub mode: usize,
    /// On what ground.
    pub ground: Ground,
}

/// See the module's documentation.
///
/// ```
/// use twinguard_response::shield::{Ground, Guarded, Mode, Shield};
///
/// // Heat that an attacker may raise by 1 a step unless the module is isolated, which cools it by a tenth a step.
/// let open = Mode { transition: vec![1.0], offset: vec![0.0], disturbance: vec![0.1], attacks: vec![vec![1.0]] };
/// let isolated = Mode { transition: vec![0.9], attacks: vec![], ..open.clone() };
/// let mut shield = Shield::new(Guarded {
///     modes: vec![open, isolated],
///     least: vec![-10.0],
///     greatest: vec![10.0],
///     error: vec![0.0],
///     latency: 0,
///     backups: vec![vec![1]],
/// })?;
/// assert_eq!(shield.rule(&[5.0], &[], &[0, 1]).ground, Ground::Proposal);
/// assert_eq!(shield.rule(&[9.5], &[], &[0, 1]).mode, 1, "one more step in the open could reach the limit");
/// # Ok::<(), twinguard_response::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shield {
    guarded: Guarded,
    /// Those of the backups that can be proved; each (backup, phase) has a place.
    places: Vec<(usize, usize)>,
    next: Vec<usize>,
    /// By (queued modes and choice) × place.
    sets: Vec<Polytope>,
    /// The place at which the last proof stands once the last choice is in effect.
    proved: Option<usize>,
}

const MOST_STATES: usize = 64;
const MOST_SETS: usize = 1 << 20;
const MOST_STEPS: usize = 400;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Mode {
    /// The most that disturbance and attack can add to h x in one step, with the offset.
    fn worst(&self, row: &[f64]) -> f64 {
        let attack = self.attacks.iter().map(|vertex| dot(row, vertex)).fold(0.0, f64::max);
        let disturbance: f64 = row.iter().zip(&self.disturbance).map(|(h, w)| h.abs() * w).sum();
        dot(row, &self.offset) + disturbance + attack
    }

    /// h Φ.
    fn pull(&self, row: &[f64]) -> Vec<f64> {
        let mut pulled = vec![0.0; row.len()];
        for (h, of_state) in row.iter().zip(self.transition.chunks_exact(row.len().max(1))) {
            pulled.iter_mut().zip(of_state).for_each(|(pulled, entry)| *pulled += h * entry);
        }
        pulled
    }
}

impl Guarded {
    fn check(&self) -> Result<usize, Error> {
        let n = self.least.len();
        let wrong = |reason| Err(Error::Shield { reason });
        if n == 0 || n > MOST_STATES || self.greatest.len() != n || self.error.len() != n {
            return wrong("limits and errors are not one for each of 1 to 64 states");
        }
        let limits = self.least.iter().zip(&self.greatest);
        if limits.clone().any(|(least, greatest)| !(least < greatest && (greatest - least).is_finite())) {
            return wrong("a least value is not below its greatest value");
        }
        let at_or_above_0 = |value: &f64| *value >= 0.0 && value.is_finite();
        if !self.error.iter().all(at_or_above_0) {
            return wrong("an error of the state is not a number at or above 0");
        }
        if self.modes.is_empty() || self.latency > 2 {
            return wrong("there is no mode, or a latency above two steps");
        }
        for mode in &self.modes {
            let sizes =
                mode.transition.len() == n * n && mode.offset.len() == n && mode.disturbance.len() == n;
            if !sizes || mode.attacks.iter().any(|vertex| vertex.len() != n) {
                return wrong("a mode has not the sizes of the states");
            }
            let numbers = mode.transition.iter().chain(&mode.offset).chain(mode.attacks.iter().flatten());
            if !numbers.clone().all(|x| x.is_finite()) || !mode.disturbance.iter().all(at_or_above_0) {
                return wrong("a mode has an entry that is not a number, or a negative disturbance");
            }
        }
        let period = |backup: &Vec<usize>| backup.is_empty() || backup.len() > MOST_STEPS / 2;
        if self.backups.iter().any(|b| period(b) || b.iter().any(|mode| *mode >= self.modes.len())) {
            return wrong("a backup is empty, too long, or names a mode that is not there");
        }
        let keys = self.modes.len().checked_pow(self.latency as u32 + 1);
        let places: usize = self.backups.iter().map(Vec::len).sum();
        match keys.and_then(|keys| keys.checked_mul(places)) {
            Some(sets) if sets <= MOST_SETS => Ok(n),
            _ => wrong("modes, latency and backups make more than a million sets"),
        }
    }

    /// Every limit as a row and its bound, less a little for rounding.
    fn limits(&self) -> impl Iterator<Item = (Vec<f64>, f64)> + '_ {
        let n = self.least.len();
        (0..n).flat_map(move |state| {
            let slack = 1e-9 * (self.greatest[state] - self.least[state]);
            [(1.0, self.greatest[state] - slack), (-1.0, -self.least[state] - slack)]
                .map(|(sign, bound)| ((0..n).map(|i| if i == state { sign } else { 0.0 }).collect(), bound))
        })
    }

    /// The most that h x can be within the limits.
    fn most_in_box(&self, row: &[f64]) -> f64 {
        let limits = self.least.iter().zip(&self.greatest);
        row.iter().zip(limits).map(|(h, (least, greatest))| (h * least).max(h * greatest)).sum()
    }

    /// The row at the start of a sequence of modes that stands for h x ≤ β at its end.
    fn pulled(
        &self,
        row: Vec<f64>,
        bound: f64,
        modes: impl DoubleEndedIterator<Item = usize>,
    ) -> (Vec<f64>, f64) {
        modes.rev().fold((row, bound), |(row, bound), mode| {
            let mode = &self.modes[mode];
            (mode.pull(&row), bound - mode.worst(&row))
        })
    }

    /// States from which the backup, entered at this phase, keeps all limits for ever; none if that cannot be proved.
    fn polytope(&self, backup: &[usize], phase: usize) -> Option<Polytope> {
        let period = backup.len();
        let mut set = Polytope::default();
        // Steps in a row whose rows hold anywhere in the box.
        let mut idle = 0;
        for step in 0..=MOST_STEPS {
            let mut holds = step > 0;
            for (row, limit) in self.limits() {
                let modes = (0..step).map(|at| backup[(phase + at) % period]);
                let (row, bound) = self.pulled(row, limit, modes);
                if step > 0 && self.most_in_box(&row) <= bound {
                    continue;
                }
                holds = false;
                set.rows.extend(row);
                set.bounds.push(bound);
            }
            idle = if holds { idle + 1 } else { 0 };
            if idle == period {
                return Some(set);
            }
        }
        None
    }
}

impl Shield {
    /// Proves what can be proved of the backups.
    ///
    /// # Errors
    /// [`Error::Shield`] when sizes do not fit, or no backup keeps the limits from anywhere.
    pub fn new(guarded: Guarded) -> Result<Self, Error> {
        let n = guarded.check()?;
        let (mut places, mut next, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for (index, backup) in guarded.backups.iter().enumerate() {
            let sets: Option<Vec<Polytope>> =
                (0..backup.len()).map(|phase| guarded.polytope(backup, phase)).collect();
            let Some(sets) = sets else { continue };
            let first = places.len();
            for (phase, set) in sets.into_iter().enumerate() {
                places.push((index, phase));
                next.push(first + (phase + 1) % backup.len());
                ends.push(set);
            }
        }
        if places.is_empty() {
            return Err(Error::Shield { reason: "no backup can be proved to keep the limits" });
        }
        let (modes, length) = (guarded.modes.len(), guarded.latency + 1);
        let mut sets = Vec::with_capacity(modes.pow(length as u32) * places.len());
        for key in 0..modes.pow(length as u32) {
            let sequence = (0..length).map(|at| key / modes.pow((length - 1 - at) as u32) % modes);
            for end in &ends {
                let mut rows: Vec<(Vec<f64>, f64)> = Vec::new();
                // The limits while the queue runs, then the backup's set.
                let on_the_way =
                    (1..length).flat_map(|steps| guarded.limits().map(move |limit| (steps, limit)));
                let at_the_end = end
                    .rows
                    .chunks_exact(n)
                    .zip(&end.bounds)
                    .map(|(row, bound)| (length, (row.to_vec(), *bound)));
                for (steps, (row, bound)) in on_the_way.chain(at_the_end) {
                    let (row, bound) = guarded.pulled(row, bound, sequence.clone().take(steps));
                    let error: f64 = row.iter().zip(&guarded.error).map(|(h, error)| h.abs() * error).sum();
                    if guarded.most_in_box(&row) > bound - error {
                        rows.push((row, bound - error));
                    }
                }
                // Those that refuse most come first.
                let tightness = |(row, bound): &(Vec<f64>, f64)| guarded.most_in_box(row) - bound;
                rows.sort_by(|a, b| tightness(b).total_cmp(&tightness(a)));
                sets.push(Polytope {
                    bounds: rows.iter().map(|(_, bound)| *bound).collect(),
                    rows: rows.into_iter().flat_map(|(row, _)| row).collect(),
                });
            }
        }
        Ok(Self { guarded, places, next, sets, proved: None })
    }

    /// What it was made for.
    #[must_use]
    pub fn guarded(&self) -> &Guarded {
        &self.guarded
    }

    /// Indices of the backups that could be proved.
    #[must_use]
    pub fn backups(&self) -> Vec<usize> {
        let mut proved: Vec<usize> = self.places.iter().map(|(backup, _)| *backup).collect();
        proved.dedup();
        proved
    }

    /// Forgets the proof that stands: another plant, or another run.
    pub fn reset(&mut self) {
        self.proved = None;
    }

    /// Lets the first of `choices` (modes, the proposal first) through that is proved safe.
    ///
    /// `state` is the state as it is known, `queued` the modes that run before the choice takes effect, the next one first. Each
    /// ruling has to be carried out, and the next one asked for one step later: proofs follow each other.
    pub fn rule(&mut self, state: &[f64], queued: &[usize], choices: &[usize]) -> Ruling {
        let follows = self.proved.map(|place| self.next[place]);
        if let Some(base) = self.base(state, queued) {
            for (rank, choice) in
                choices.iter().enumerate().filter(|(_, mode)| **mode < self.guarded.modes.len())
            {
                if let Some(place) = self.find(state, base + choice, follows) {
                    self.proved = Some(place);
                    let ground = if rank == 0 { Ground::Proposal } else { Ground::Corrected };
                    return Ruling { mode: *choice, ground };
                }
            }
        }
        if let Some(place) = self.proved {
            self.proved = Some(self.next[place]);
            let (backup, phase) = self.places[place];
            return Ruling { mode: self.guarded.backups[backup][phase], ground: Ground::Backup };
        }
        Ruling { mode: self.least_bad(state, queued, choices), ground: Ground::Unproved }
    }

    /// Whether this choice is proved safe from here.
    #[must_use]
    pub fn admits(&self, state: &[f64], queued: &[usize], choice: usize) -> bool {
        choice < self.guarded.modes.len()
            && self.base(state, queued).is_some_and(|base| self.find(state, base + choice, None).is_some())
    }

    /// Whether any choice is proved safe from here: the state is in the viable set.
    #[must_use]
    pub fn viable(&self, state: &[f64], queued: &[usize]) -> bool {
        (0..self.guarded.modes.len()).any(|choice| self.admits(state, queued, choice))
    }

    /// The mitigation horizon: how many steps (at most `most`) `choice` can be kept, whatever happens, before the shield has to step
    /// in; `None` when it may not be chosen even once.
    #[must_use]
    pub fn horizon(&self, state: &[f64], queued: &[usize], choice: usize, most: usize) -> Option<usize> {
        self.base(state, queued)?;
        if choice >= self.guarded.modes.len() {
            return None;
        }
        let n = state.len();
        let mut sequence = queued.to_vec();
        let mut kept = None;
        for steps in 1..=most.max(1) {
            sequence.push(choice);
            // A set begins `latency + 1` steps before its backup takes over; the rest runs before.
            let (before, last) = sequence.split_at(steps - 1);
            let key = last.iter().fold(0, |key, mode| key * self.guarded.modes.len() + mode);
            let holds = |set: &Polytope| {
                set.rows.chunks_exact(n).zip(&set.bounds).all(|(row, bound)| {
                    // The set's own bound allows for the error already, for the row as it was.
                    let own: f64 = row.iter().zip(&self.guarded.error).map(|(h, e)| h.abs() * e).sum();
                    let (row, bound) = self.guarded.pulled(row.to_vec(), bound + own, before.iter().copied());
                    let error: f64 = row.iter().zip(&self.guarded.error).map(|(h, e)| h.abs() * e).sum();
                    dot(&row, state) <= bound - error
                })
            };
            let sets = self.sets.get(key * self.places.len()..(key + 1) * self.places.len())?;
            if !sets.iter().any(holds) {
                break;
            }
            kept = Some(steps);
        }
        kept
    }

    /// Bounds on every state after each step of a sequence of modes, from `state` with its error: the evidence behind a ruling.
    ///
    /// # Errors
    /// [`Error::Shield`] for a mode that is not there or a state of another size; [`Error::Reach`].
    pub fn tube(&self, state: &[f64], modes: &[usize]) -> Result<Vec<Vec<(f64, f64)>>, Error> {
        let n = self.guarded.least.len();
        if state.len() != n {
            return Err(Error::Shield { reason: "the state has another size" });
        }
        let rows: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect();
        let mut set = Zonotope::around(state, &self.guarded.error)?;
        let mut tube = Vec::with_capacity(modes.len());
        for mode in modes {
            let mode =
                self.guarded.modes.get(*mode).ok_or(Error::Shield { reason: "there is no such mode" })?;
            // The smallest box around the attacks, half of it as an input that is known.
            let low: Vec<f64> =
                (0..n).map(|i| mode.attacks.iter().map(|vertex| vertex[i]).fold(0.0, f64::min)).collect();
            let high: Vec<f64> =
                (0..n).map(|i| mode.attacks.iter().map(|vertex| vertex[i]).fold(0.0, f64::max)).collect();
            let centre: Vec<f64> = (0..n).map(|i| mode.offset[i] + 0.5 * (low[i] + high[i])).collect();
            let radius: Vec<f64> = (0..n).map(|i| mode.disturbance[i] + 0.5 * (high[i] - low[i])).collect();
            let reach = Reach::new(n, &mode.transition, &rows.concat())?;
            set = reach.step(&set, &centre, &vec![0.0; n], &radius)?;
            tube.push(rows.iter().map(|row| set.bounds(row)).collect());
        }
        Ok(tube)
    }

    /// Index of the sets for this queue and choice 0, if the state is within its limits.
    fn base(&self, state: &[f64], queued: &[usize]) -> Option<usize> {
        let Guarded { modes, least, greatest, error, latency, .. } = &self.guarded;
        if state.len() != least.len() || queued.len() != *latency {
            return None;
        }
        let within = |i: usize| state[i] - error[i] >= least[i] && state[i] + error[i] <= greatest[i];
        if !(0..state.len()).all(within) {
            return None;
        }
        let place = |key: Option<usize>, mode: &usize| {
            key.filter(|_| *mode < modes.len()).map(|k| k * modes.len() + mode)
        };
        queued.iter().fold(Some(0), place).map(|key| key * modes.len())
    }

    /// A place whose set holds the state; the one that follows the last proof is tried first.
    fn find(&self, state: &[f64], key: usize, first: Option<usize>) -> Option<usize> {
        let sets = self.sets.get(key * self.places.len()..(key + 1) * self.places.len())?;
        let holds = |place: &usize| sets.get(*place).is_some_and(|set| set.contains(state));
        first.filter(holds).or_else(|| (0..sets.len()).find(holds))
    }

    fn least_bad(&self, state: &[f64], queued: &[usize], choices: &[usize]) -> usize {
        let modes = self.guarded.modes.len();
        let key = queued.iter().filter(|mode| **mode < modes).fold(0, |key, mode| key * modes + mode) * modes;
        let mut best = (choices.first().copied().unwrap_or(0).min(modes - 1), f64::NEG_INFINITY);
        for choice in choices.iter().copied().filter(|mode| *mode < modes) {
            for place in 0..self.places.len() {
                let Some(set) = self.sets.get((key + choice) * self.places.len() + place) else { continue };
                let margin = set.margin(state, best.1);
                if margin > best.1 {
                    best = (choice, margin);
                }
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two coupled modules of which one at a time may be isolated; an attacker heats one of them.
    fn pair(error: f64, latency: usize) -> Guarded {
        let mode = |isolated: Option<usize>| Mode {
            transition: [0, 1]
                .map(|i| {
                    let keep = if isolated == Some(i) { 0.8 } else { 0.97 };
                    [0, 1].map(|j| if i == j { keep - 0.02 } else { 0.02 })
                })
                .concat(),
            offset: vec![0.0, 0.1],
            disturbance: vec![0.5, 0.3],
            attacks: (0..2)
                .filter(|i| isolated != Some(*i))
                .map(|i| (0..2).map(|j| if i == j { 1.5 } else { 0.0 }).collect())
                .collect(),
        };
        Guarded {
            modes: vec![mode(None), mode(Some(0)), mode(Some(1))],
            least: vec![-40.0; 2],
            greatest: vec![30.0, 25.0],
            error: vec![error; 2],
            latency,
            backups: vec![vec![0], vec![1], vec![1, 2], vec![1, 1, 2, 2]],
        }
    }

    fn step(mode: &Mode, x: &[f64], pick: &mut impl FnMut() -> f64) -> Vec<f64> {
        let n = x.len();
        let attack = (mode.attacks.len() as f64 * pick().abs() * 1.25) as usize;
        (0..n)
            .map(|i| {
                let kick = mode.attacks.get(attack).map_or(0.0, |vertex| vertex[i]);
                dot(&mode.transition[i * n..(i + 1) * n], x)
                    + mode.offset[i]
                    + mode.disturbance[i] * pick()
                    + kick
            })
            .collect()
    }

    #[test]
    fn what_cannot_be_proved_is_dropped_and_none_at_all_is_refused() {
        let shield = Shield::new(pair(0.0, 0)).unwrap();
        assert_eq!(shield.backups(), [2, 3], "an attacker breaks the open plant and a fixed isolation");
        let open = Guarded { backups: vec![vec![0]], ..pair(0.0, 0) };
        assert!(matches!(Shield::new(open), Err(Error::Shield { .. })));
        assert!(Shield::new(Guarded { backups: vec![vec![9]], ..pair(0.0, 0) }).is_err());
        assert!(Shield::new(Guarded { least: vec![50.0; 2], ..pair(0.0, 0) }).is_err());
        assert!(Shield::new(Guarded { latency: 3, ..pair(0.0, 0) }).is_err());
        assert!(Shield::new(Guarded { error: vec![f64::NAN; 2], ..pair(0.0, 0) }).is_err());
    }

    #[test]
    fn the_set_is_exact_for_its_backup() {
        // x⁺ = x + 1 in the open, x⁺ = 0.5 x isolated, limit 10, one step of latency: 9 is the last viable start.
        let open = Mode {
            transition: vec![1.0],
            offset: vec![0.0],
            disturbance: vec![0.0],
            attacks: vec![vec![1.0]],
        };
        let isolated = Mode { transition: vec![0.5], attacks: vec![], ..open.clone() };
        let shield = Shield::new(Guarded {
            modes: vec![open, isolated],
            least: vec![-10.0],
            greatest: vec![10.0],
            error: vec![0.0],
            latency: 1,
            backups: vec![vec![1]],
        })
        .unwrap();
        assert!(shield.admits(&[8.9], &[0], 1) && !shield.admits(&[9.1], &[0], 1));
        assert!(shield.admits(&[7.9], &[0], 0) && !shield.admits(&[8.1], &[0], 0));
        assert_eq!(shield.horizon(&[3.5], &[0], 0, 20), Some(5));
        assert_eq!(shield.horizon(&[9.5], &[0], 0, 20), None);
        assert!(!shield.viable(&[11.0], &[1]) && !shield.viable(&[f64::NAN], &[1]));
    }

    #[test]
    fn the_tube_holds_the_worst_case_of_every_row() {
        let guarded = pair(0.2, 0);
        let shield = Shield::new(guarded.clone()).unwrap();
        let (start, modes) = ([10.0, 5.0], [1, 2, 0, 1, 1, 2]);
        let tube = shield.tube(&start, &modes).unwrap();
        for (at, bounds) in tube.iter().enumerate() {
            for (state, (low, high)) in bounds.iter().enumerate() {
                for (sign, far) in [(1.0, *high), (-1.0, -*low)] {
                    let row: Vec<f64> = (0..2).map(|i| if i == state { sign } else { 0.0 }).collect();
                    let (row, spent) = guarded.pulled(row, 0.0, modes[..=at].iter().copied());
                    let exact = dot(&row, &start) - spent + 0.2 * row.iter().map(|h| h.abs()).sum::<f64>();
                    // One attacked module at a time is less than a box of both.
                    assert!(exact <= far + 1e-12 && exact > far - 1.5 * (at + 1) as f64, "{exact} {far}");
                }
            }
        }
        assert!(shield.tube(&[0.0], &[0]).is_err() && shield.tube(&start, &[7]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is proposed and whatever happens within the bounds, from a viable start no limit is broken.
        #[test]
        fn no_proposal_breaks_a_limit(seed in 1u64.., latency in 0usize..3, noisy: bool, corners: bool) {
            let error = if noisy { 0.5 } else { 0.0 };
            let mut shield = Shield::new(pair(error, latency)).unwrap();
            let mut state = seed;
            let mut pick = move || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let value = (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
                if corners { value.signum() } else { value }
            };
            let mut x = vec![15.0, 10.0];
            let mut queue = vec![0usize; latency];
            prop_assert!(shield.viable(&x, &queue));
            for _ in 0..500 {
                let told: Vec<f64> = x.iter().map(|x| x + error * pick()).collect();
                let proposal = ((pick() + 1.0) * 1.4) as usize;
                let choices: Vec<usize> = [proposal].into_iter().chain((0..3).filter(|m| *m != proposal)).collect();
                let ruling = shield.rule(&told, &queue, &choices);
                prop_assert!(ruling.ground != Ground::Unproved);
                queue.push(ruling.mode);
                let mode = queue.remove(0);
                x = step(&shield.guarded().modes[mode], &x, &mut pick);
                prop_assert!(x[0] <= 30.0 && x[1] <= 25.0 && x.iter().all(|x| *x >= -40.0), "{x:?}");
            }
        }
    }
}
