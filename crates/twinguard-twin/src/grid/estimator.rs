//! Weighted least squares state estimation: min Σ ((z − h(x))/σ)² over angles and magnitudes, by Gauss–Newton.
//!
//! Source: A. Abur, A. Gómez Expósito, *Power System State Estimation* (2004), §2.4 to 2.6 (normal equations
//! `HᵀWH Δx = HᵀW(z − h)`), §3.5 (zero injections as equality constraints; here with multipliers after M. R. Hestenes, *J.
//! Optim. Theory Appl.* 4 (1969) 303: the gain stays positive definite and constraints hold to rounding).
//!
//! **How it works.** Meters of the same quantity share a row; active and reactive rows of the same place share a *group*,
//! whose Jacobian is one 2 × 2 block for each bus that it touches. With complex currents `I = Σ y_j V_j`, power is
//! `S = V_i conj(I)` for injections and flows alike, and every block follows from `V_i conj(y_j V_j)`: two trigonometric
//! functions a bus are all. Pattern, order and places are fixed when the estimator is made; a repeat allocates nothing.
//! Once steps are small the factor is kept (the gradient stays exact, hence the result too).
//!
//! **When it lies.** Current magnitudes know no direction: where little else is measured there are two solutions. They
//! join after two steps, since their derivative at the flat start means nothing.

use super::network::Complex;
use super::observability::SUSPECT;
use super::sparse::{Block, Factor, minimum_degree, transposed_product};
use super::{BusKind, Grid, Meter, Quantity, Side};
use crate::Error;

/// Weight of a constraint, 1/σ² per unit: strong enough to converge at once, weak enough to keep digits.
const CONSTRAINT_WEIGHT: f64 = 1e8;
/// A step above this asks for a new factor.
const FRESH_FACTOR_STEP: f64 = 1e-3;
/// The largest step that is taken, radians or per unit.
const LONGEST_STEP: f64 = 0.7;

/// Where an estimate starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// Magnitudes one, angles as the phase shifters turn them.
    #[default]
    Flat,
    /// At the last estimate.
    Last,
}

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The largest last step, radians or per unit.
    pub tolerance: f64,
    /// The most steps.
    pub max_iterations: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { tolerance: 1e-10, max_iterations: 100 }
    }
}

/// What an estimate says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Steps taken.
    pub iterations: usize,
    /// Σ ((z − h)/σ)² over the meters in use.
    pub objective: f64,
    /// Meters in use and constraints, less states.
    pub dof: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    /// Rows: angle, magnitude.
    Voltage,
    /// Rows: active, reactive power.
    Power,
    /// Row: current magnitude; the second is empty.
    Current,
}

/// Two rows that touch the same buses.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) form: Form,
    /// Range of its members.
    first: u32,
    count: u32,
    /// First of its pairs.
    pair: u32,
    /// The member that it is measured at.
    anchor: u32,
    constrained: bool,
    pub(super) weight: [f64; 2],
    target: [f64; 2],
    multiplier: [f64; 2],
    pub(super) value: [f64; 2],
}

#[derive(Clone, Copy, Debug)]
struct Member {
    place: u32,
    y: Complex,
}

/// A sparse weighted least squares estimator of one grid with one set of meters.
///
/// ```
/// use twinguard_twin::grid::{Branch, Bus, BusKind, Estimator, Grid, Meter, Options, Quantity, Side, Start};
///
/// let bus = Bus::default();
/// let reference = Bus { kind: BusKind::Reference, ..bus };
/// let grid = Grid::new(100.0, vec![reference, bus], vec![Branch::line(0, 1, 0.0, 0.1)])?;
/// let meter = |quantity| Meter { quantity, sigma: 0.01 };
/// let meters = [
///     Quantity::Voltage(0),
///     Quantity::Voltage(1),
///     Quantity::ActiveFlow(0, Side::From),
///     Quantity::ReactiveFlow(0, Side::From),
/// ];
/// let mut estimator = Estimator::new(&grid, &meters.map(meter), &[])?;
/// let fit = estimator.estimate(&[1.0, 1.0, 1.0, 0.05], Start::Flat, &Options::default())?;
/// assert_eq!(fit.dof, 1);
/// assert!((estimator.angles_rad()[1] + 0.1).abs() < 1e-3, "sin 0.1 = 0.1 · 1 pu");
/// # Ok::<(), twinguard_twin::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Estimator {
    pub(super) grid: Grid,
    pub(super) meters: Vec<Meter>,
    pub(super) in_use: Vec<bool>,
    /// Group and row of each meter.
    pub(super) row: Vec<(u32, u8)>,
    pub(super) groups: Vec<Group>,
    members: Vec<Member>,
    pairs: Vec<u32>,
    blocks: Vec<Block>,
    pub(super) factor: Factor,
    /// Place in the order of elimination of each bus.
    pub(super) place: Vec<u32>,
    /// By place: 1 where the state may move, 0 where it is held (angle, magnitude).
    free: Vec<[f64; 2]>,
    flat: Vec<[f64; 2]>,
    /// By place: angle and magnitude.
    x: Vec<[f64; 2]>,
    phasor: Vec<Complex>,
    step: Vec<[f64; 2]>,
    pub(super) values: Vec<f64>,
    injection: Vec<u32>,
    flow: Vec<[u32; 2]>,
    current: Vec<[u32; 2]>,
    currents_join: bool,
    has_currents: bool,
    /// Whether the meters in use were found to determine the state, and whether it takes the currents for that.
    determined: bool,
    currents_needed: bool,
    vm: Vec<f64>,
    va: Vec<f64>,
}

impl Estimator {
    /// Analyses a grid and its meters; `zero_injections` are buses that inject nothing, for certain.
    ///
    /// Reference buses hold their angle. An energised island without one and without an angle meter holds the angle of its
    /// lowest bus at 0. Isolated buses have no state.
    ///
    /// # Errors
    /// [`Error::Case`] for a meter or a zero injection that the grid has no place for.
    pub fn new(grid: &Grid, meters: &[Meter], zero_injections: &[usize]) -> Result<Self, Error> {
        meters.iter().enumerate().try_for_each(|(index, meter)| meter.check(index, grid))?;
        if let Some(bus) = zero_injections.iter().find(|bus| **bus >= grid.buses().len()) {
            let reason = format!("there is no bus {bus}, only {}", grid.buses().len());
            return Err(Error::Case { place: "zero_injection".into(), reason });
        }
        let admittances = grid.admittances();
        let mut builder = Builder::new(grid);
        let mut row = Vec::with_capacity(meters.len());
        for meter in meters {
            row.push(builder.row(&admittances, meter.quantity));
        }
        for bus in zero_injections {
            let (group, _) = builder.row(&admittances, Quantity::ActiveInjection(*bus));
            builder.groups[group as usize].constrained = true;
        }
        let Builder { mut groups, mut members, injection, flow, current, .. } = builder;
        let (place, factor) = analyse(grid.buses().len(), &groups, &members);
        let mut pairs = Vec::new();
        for group in &mut groups {
            let own = &mut members[group.first as usize..][..group.count as usize];
            let anchor = own.first().map_or(0, |member| place[member.place as usize]);
            own.iter_mut().for_each(|member| member.place = place[member.place as usize]);
            own.sort_unstable_by_key(|member| member.place);
            group.anchor = own.iter().position(|member| member.place == anchor).unwrap_or(0) as u32;
            group.pair = pairs.len() as u32;
            for (at, a) in own.iter().enumerate() {
                for b in &own[..at] {
                    // Every pair of a group is in the pattern that was analysed.
                    pairs.push(factor.position(a.place, b.place).unwrap_or_default() as u32);
                }
            }
        }
        let n = grid.buses().len();
        let has_currents = groups.iter().any(|group| group.form == Form::Current);
        let mut estimator = Self {
            in_use: vec![true; meters.len()],
            values: vec![0.0; meters.len()],
            meters: meters.to_vec(),
            row,
            blocks: vec![[0.0; 4]; members.len()],
            free: vec![[1.0; 2]; n],
            flat: vec![[0.0, 1.0]; n],
            x: vec![[0.0, 1.0]; n],
            phasor: vec![Complex::default(); n],
            step: vec![[0.0; 2]; n],
            vm: vec![1.0; n],
            va: vec![0.0; n],
            grid: grid.clone(),
            injection,
            flow,
            current,
            currents_join: true,
            has_currents,
            determined: false,
            currents_needed: false,
            groups,
            members,
            pairs,
            factor,
            place,
        };
        estimator.hold_references();
        estimator.publish();
        Ok(estimator)
    }

    fn hold_references(&mut self) {
        let (island, count) = self.grid.islands(|_, branch| branch.in_service);
        let mut referred = vec![false; count];
        for (bus, island) in self.grid.buses().iter().zip(&island) {
            referred[*island] |= bus.kind == BusKind::Reference;
        }
        for meter in &self.meters {
            if let Quantity::Angle(bus) = meter.quantity {
                referred[island[bus]] = true;
            }
        }
        for (bus, angle) in self.grid.flat_angles().into_iter().enumerate() {
            let place = self.place[bus] as usize;
            self.flat[place][0] = angle;
            let kind = self.grid.buses()[bus].kind;
            let alone = !core::mem::replace(&mut referred[island[bus]], true);
            if kind == BusKind::Reference || kind == BusKind::Isolated || alone {
                self.free[place][0] = 0.0;
            }
            if kind == BusKind::Isolated {
                self.free[place][1] = 0.0;
            }
        }
        self.x.copy_from_slice(&self.flat);
    }

    /// The grid.
    #[must_use]
    pub fn grid(&self) -> &Grid {
        &self.grid
    }

    /// The meters.
    #[must_use]
    pub fn meters(&self) -> &[Meter] {
        &self.meters
    }

    /// Voltage magnitudes of the last estimate, by bus.
    #[must_use]
    pub fn magnitudes_pu(&self) -> &[f64] {
        &self.vm
    }

    /// Voltage angles of the last estimate, by bus.
    #[must_use]
    pub fn angles_rad(&self) -> &[f64] {
        &self.va
    }

    /// Whether a meter takes part.
    #[must_use]
    pub fn is_in_use(&self, meter: usize) -> bool {
        self.in_use.get(meter).copied().unwrap_or(false)
    }

    /// Takes a meter out of estimates, or back in; unknown numbers are ignored.
    pub fn set_in_use(&mut self, meter: usize, in_use: bool) {
        if let Some(flag) = self.in_use.get_mut(meter) {
            let same = *flag == in_use;
            *flag = in_use;
            self.determined &= same;
            self.currents_needed &= same;
        }
    }

    /// Opens or closes a branch: numbers change, the pattern does not; unknown numbers are ignored.
    ///
    /// An island that loses its reference is found out by the next estimate.
    pub fn switch(&mut self, branch: usize, in_service: bool) {
        self.grid.set_in_service(branch, in_service);
        (self.determined, self.currents_needed) = (false, false);
        let Some(ends) = self.grid.branches().get(branch).copied() else { return };
        let [ff, ft, tf, tt] = ends.admittance();
        for list in [&self.flow, &self.current] {
            for (group, (own, y_own, y_other)) in
                list[branch].iter().zip([(ends.from, ff, ft), (ends.to, tt, tf)])
            {
                let Some(group) = self.groups.get(*group as usize) else { continue };
                for member in &mut self.members[group.first as usize..][..group.count as usize] {
                    member.y = if member.place == self.place[own] { y_own } else { y_other };
                }
            }
        }
        for bus in [ends.from, ends.to] {
            let Some(group) = self.groups.get(self.injection[bus] as usize) else { continue };
            let members = &mut self.members[group.first as usize..][..group.count as usize];
            members.iter_mut().for_each(|member| member.y = Complex::default());
            self.grid.admittance_row(bus, |other, y| {
                // Every neighbour is a member, those behind open branches too.
                if let Ok(at) = members.binary_search_by_key(&self.place[other], |member| member.place) {
                    members[at].y = members[at].y + y;
                }
            });
        }
    }

    /// Takes over the state of another estimator of the same grid.
    pub(super) fn restart_from(&mut self, other: &Self) {
        self.x.copy_from_slice(&other.x);
    }

    /// Blocks below the diagonal of the gain's factor.
    #[must_use]
    pub fn factor_blocks(&self) -> usize {
        self.factor.fill()
    }

    /// Estimates the state from one value a meter; no allocation, unless it fails or
    /// is the first since the meters in use changed and meets a small pivot: then it looks whether they determine the state.
    ///
    /// # Errors
    /// [`Error::Dimension`] for another number of values than meters, [`Error::Case`] for one that is not finite,
    /// [`Error::NotObservable`] when the meters in use do not determine the state, [`Error::NotConverged`].
    pub fn estimate(&mut self, values: &[f64], start: Start, options: &Options) -> Result<Fit, Error> {
        if values.len() != self.meters.len() {
            let (expected, found) = (self.meters.len(), values.len());
            return Err(Error::Dimension { what: "measured values", expected, found });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::Case { place: format!("value[{index}]"), reason: "is not finite".into() });
        }
        self.values.copy_from_slice(values);
        self.weigh();
        if start == Start::Flat {
            self.x.copy_from_slice(&self.flat);
        }
        self.currents_join = start == Start::Last || self.currents_needed;
        let (mut last, mut stale) = (f64::INFINITY, true);
        for iteration in 1..=options.max_iterations {
            let joining = self.has_currents && !self.currents_join && iteration > 2;
            self.currents_join |= joining;
            self.linearise();
            let refresh = stale || joining;
            if refresh {
                self.gain();
            }
            self.gradient(iteration > 1);
            if refresh && !self.factorise()? {
                // What was measured beside the currents is not enough: they have to help from the start.
                self.currents_join = true;
                self.linearise();
                self.gain();
                self.gradient(false);
                self.factorise()?;
            }
            let longest = self.advance();
            if !longest.is_finite() {
                self.x.copy_from_slice(&self.flat);
                return Err(Error::NotConverged { iterations: iteration, step: longest });
            }
            if longest <= options.tolerance && (self.currents_join || !self.has_currents) {
                self.publish();
                let objective = self.objective();
                return Ok(Fit { iterations: iteration, objective, dof: self.dof() });
            }
            stale = longest > FRESH_FACTOR_STEP || longest > 0.1 * last;
            last = longest;
        }
        self.publish();
        Err(Error::NotConverged { iterations: options.max_iterations, step: last })
    }

    /// Degrees of freedom: meters in use and constraints, less states; 0 when nothing is redundant.
    #[must_use]
    pub fn dof(&self) -> usize {
        let meters = self.in_use.iter().filter(|used| **used).count();
        let constraints = 2 * self.groups.iter().filter(|group| group.constrained).count();
        let states = self.free.iter().flatten().filter(|free| **free > 0.0).count();
        (meters + constraints).saturating_sub(states)
    }

    /// What each row should be: Σ w z and Σ w over the meters in use.
    fn weigh(&mut self) {
        for group in &mut self.groups {
            group.weight = if group.constrained { [CONSTRAINT_WEIGHT; 2] } else { [0.0; 2] };
            group.target = [0.0; 2];
            group.multiplier = [0.0; 2];
        }
        for (((meter, in_use), value), (group, row)) in
            self.meters.iter().zip(&self.in_use).zip(&self.values).zip(&self.row)
        {
            if *in_use {
                let weight = 1.0 / (meter.sigma * meter.sigma);
                let group = &mut self.groups[*group as usize];
                group.weight[usize::from(*row)] += weight;
                group.target[usize::from(*row)] += weight * value;
            }
        }
    }

    /// Values and Jacobian blocks of all groups at the state.
    pub(super) fn linearise(&mut self) {
        for (phasor, x) in self.phasor.iter_mut().zip(&self.x) {
            *phasor = Complex::polar(x[1], x[0]);
        }
        for group in &mut self.groups {
            let range = group.first as usize..(group.first + group.count) as usize;
            let (members, blocks) = (&self.members[range.clone()], &mut self.blocks[range]);
            let anchor = group.anchor as usize;
            match group.form {
                Form::Voltage => {
                    let place = members[anchor].place as usize;
                    group.value = self.x[place];
                    let free = self.free[place];
                    blocks[anchor] = [free[0], 0.0, 0.0, free[1]];
                }
                Form::Power => {
                    let at = members[anchor].place as usize;
                    let own = self.phasor[at];
                    let mut s = Complex::default();
                    for (member, block) in members.iter().zip(blocks.iter_mut()) {
                        let place = member.place as usize;
                        let t = own * (member.y * self.phasor[place]).conj();
                        s = s + t;
                        let (free, v) = (self.free[place], self.x[place][1]);
                        let by_magnitude = free[1] / v;
                        *block = [free[0] * t.im, by_magnitude * t.re, -free[0] * t.re, by_magnitude * t.im];
                    }
                    group.value = [s.re, s.im];
                    let (free, v) = (self.free[at], self.x[at][1]);
                    let by_magnitude = free[1] / v;
                    let block = &mut blocks[anchor];
                    block[0] -= free[0] * s.im;
                    block[1] += by_magnitude * s.re;
                    block[2] += free[0] * s.re;
                    block[3] += by_magnitude * s.im;
                }
                Form::Current => {
                    let current = members.iter().fold(Complex::default(), |sum, member| {
                        sum + member.y * self.phasor[member.place as usize]
                    });
                    let size = libm::hypot(current.re, current.im);
                    group.value = [size, 0.0];
                    // Where no current flows its magnitude has no derivative.
                    let scale = if size > 1e-9 && self.currents_join { 1.0 / size } else { 0.0 };
                    for (member, block) in members.iter().zip(blocks.iter_mut()) {
                        let place = member.place as usize;
                        let t = (member.y * self.phasor[place]) * current.conj();
                        let (free, v) = (self.free[place], self.x[place][1]);
                        *block = [-scale * free[0] * t.im, scale * free[1] * t.re / v, 0.0, 0.0];
                    }
                }
            }
        }
    }

    /// The gain `HᵀWH` from the blocks.
    fn gain(&mut self) {
        self.factor.clear();
        for group in &self.groups {
            let range = group.first as usize..(group.first + group.count) as usize;
            let (members, blocks) = (&self.members[range.clone()], &self.blocks[range]);
            let [w0, w1] = group.weight;
            let mut pair = group.pair as usize;
            for (at, (member, block)) in members.iter().zip(blocks).enumerate() {
                let weighted = [w0 * block[0], w0 * block[1], w1 * block[2], w1 * block[3]];
                for (other, position) in blocks[..at].iter().zip(&self.pairs[pair..pair + at]) {
                    let share = transposed_product(&weighted, other);
                    let entry = &mut self.factor.lower[*position as usize];
                    entry.iter_mut().zip(share).for_each(|(entry, share)| *entry += share);
                }
                pair += at;
                let share = transposed_product(&weighted, block);
                let entry = &mut self.factor.diagonal[member.place as usize];
                entry.iter_mut().zip(share).for_each(|(entry, share)| *entry += share);
            }
        }
        for (diagonal, free) in self.factor.diagonal.iter_mut().zip(&self.free) {
            // A held state is its own equation: it does not move.
            diagonal[0] += 1.0 - free[0];
            diagonal[3] += 1.0 - free[1];
        }
    }

    /// `HᵀW(z − h)` from the blocks, into `step`.
    fn gradient(&mut self, after_step: bool) {
        self.step.fill([0.0; 2]);
        for group in &mut self.groups {
            if group.constrained && after_step {
                // The method of multipliers: λ ← λ − w c after each step.
                for (multiplier, value) in group.multiplier.iter_mut().zip(group.value) {
                    *multiplier -= CONSTRAINT_WEIGHT * value;
                }
            }
            let range = group.first as usize..(group.first + group.count) as usize;
            let pull: [f64; 2] = core::array::from_fn(|row| {
                group.target[row] - group.weight[row] * group.value[row] + group.multiplier[row]
            });
            for (member, block) in self.members[range.clone()].iter().zip(&self.blocks[range]) {
                let step = &mut self.step[member.place as usize];
                step[0] += block[0] * pull[0] + block[2] * pull[1];
                step[1] += block[1] * pull[0] + block[3] * pull[1];
            }
        }
    }

    /// Factors the gain; `false` when currents that have not joined yet are needed.
    fn factorise(&mut self) -> Result<bool, Error> {
        self.factor.factor(0.0);
        if self.determined {
            return Ok(true);
        }
        if self.factor.least_pivot() <= SUSPECT {
            if let Some(unseen) = self.unseen() {
                if self.has_currents && !self.currents_join {
                    self.currents_needed = true;
                    return Ok(false);
                }
                return Err(Error::NotObservable { island: self.first_unseen_island(&unseen) });
            }
            // Poorly seen, but seen.
            self.factor.factor(0.0);
        }
        self.determined = true;
        Ok(true)
    }

    /// Solves for the step and takes it; gives its largest entry.
    fn advance(&mut self) -> f64 {
        self.factor.solve(&mut self.step, |_| 0.0);
        // A comparison with NaN is false: the sum keeps what is not finite.
        let sum: f64 = self.step.iter().flatten().sum();
        if !sum.is_finite() {
            return f64::NAN;
        }
        let longest = self.step.iter().flatten().fold(0.0, |longest: f64, step| longest.max(step.abs()));
        let scale = if longest > LONGEST_STEP { LONGEST_STEP / longest } else { 1.0 };
        for (x, step) in self.x.iter_mut().zip(&self.step) {
            x[0] += scale * step[0];
            x[1] = (x[1] + scale * step[1]).max(0.05);
        }
        longest
    }

    fn objective(&mut self) -> f64 {
        self.linearise();
        let meters = self.meters.iter().zip(&self.in_use).zip(&self.values).zip(&self.row);
        meters
            .filter(|(((_, in_use), _), _)| **in_use)
            .map(|(((meter, _), value), (group, row))| {
                let residual = (value - self.groups[*group as usize].value[usize::from(*row)]) / meter.sigma;
                residual * residual
            })
            .sum()
    }

    fn publish(&mut self) {
        for ((place, vm), va) in self.place.iter().zip(&mut self.vm).zip(&mut self.va) {
            [*va, *vm] = self.x[*place as usize];
        }
    }

    /// What a meter showed less what the last estimate says; after [`Self::invert`].
    pub(super) fn residual(&self, meter: usize) -> f64 {
        self.values[meter] - self.predicted(meter)
    }

    /// What the grid would do at the state of the last estimate, meter by meter.
    fn predicted(&self, meter: usize) -> f64 {
        let (group, row) = self.row[meter];
        self.groups[group as usize].value[usize::from(row)]
    }

    /// Renews gain, factor and selected inverse at the last estimate.
    pub(super) fn invert(&mut self) {
        self.linearise();
        self.gain();
        self.factor.factor(0.0);
        self.factor.invert();
    }

    /// Variances of a group's two rows at the estimate: the diagonal of H G⁻¹ Hᵀ; after [`Self::invert`].
    pub(super) fn explained(&self, group: &Group) -> [f64; 2] {
        let range = group.first as usize..(group.first + group.count) as usize;
        let (members, blocks) = (&self.members[range.clone()], &self.blocks[range]);
        let mut sum = [0.0; 2];
        let mut pair = group.pair as usize;
        for (at, (member, a)) in members.iter().zip(blocks).enumerate() {
            let mut add = |z: &Block, b: &Block, times: f64| {
                sum[0] += times * (a[0] * (z[0] * b[0] + z[1] * b[1]) + a[1] * (z[2] * b[0] + z[3] * b[1]));
                sum[1] += times * (a[2] * (z[0] * b[2] + z[1] * b[3]) + a[3] * (z[2] * b[2] + z[3] * b[3]));
            };
            for (b, position) in blocks[..at].iter().zip(&self.pairs[pair..pair + at]) {
                add(self.factor.inverse_at(*position as usize), b, 2.0);
            }
            pair += at;
            add(self.factor.inverse_diagonal(member.place as usize), a, 1.0);
        }
        sum
    }

    /// How much each group's rows change along a direction, at the last linearisation.
    pub(super) fn change(&self, group: &Group, direction: &[[f64; 2]]) -> [f64; 2] {
        let range = group.first as usize..(group.first + group.count) as usize;
        self.members[range.clone()].iter().zip(&self.blocks[range]).fold([0.0; 2], |sum, (member, block)| {
            let [a, b] = direction[member.place as usize];
            [sum[0] + block[0] * a + block[1] * b, sum[1] + block[2] * a + block[3] * b]
        })
    }

    /// Adds a group's share of `HᵀWH` times a direction, at the last linearisation.
    pub(super) fn pull(&self, group: &Group, direction: &[[f64; 2]], sum: &mut [[f64; 2]]) {
        let [change, weight] = [self.change(group, direction), group.weight];
        let pull = [weight[0] * change[0], weight[1] * change[1]];
        let range = group.first as usize..(group.first + group.count) as usize;
        for (member, block) in self.members[range.clone()].iter().zip(&self.blocks[range]) {
            let entry = &mut sum[member.place as usize];
            entry[0] += block[0] * pull[0] + block[2] * pull[1];
            entry[1] += block[1] * pull[0] + block[3] * pull[1];
        }
    }

    /// Prepares the gain at the flat start for [`Self::unseen`].
    pub(super) fn linearise_flat(&mut self) {
        self.weigh();
        self.x.copy_from_slice(&self.flat);
        self.currents_join = true;
        self.linearise();
        self.gain();
    }
}

struct Builder<'a> {
    grid: &'a Grid,
    groups: Vec<Group>,
    members: Vec<Member>,
    voltage: Vec<u32>,
    injection: Vec<u32>,
    flow: Vec<[u32; 2]>,
    current: Vec<[u32; 2]>,
}

impl<'a> Builder<'a> {
    fn new(grid: &'a Grid) -> Self {
        let (buses, branches) = (grid.buses().len(), grid.branches().len());
        Self {
            grid,
            groups: Vec::new(),
            members: Vec::new(),
            voltage: vec![u32::MAX; buses],
            injection: vec![u32::MAX; buses],
            flow: vec![[u32::MAX; 2]; branches],
            current: vec![[u32::MAX; 2]; branches],
        }
    }

    /// Group and row of a quantity; makes the group when it is the first to ask. A group's anchor comes first here, and
    /// members hold buses until the order is known.
    fn row(&mut self, admittances: &[Vec<(usize, Complex)>], quantity: Quantity) -> (u32, u8) {
        let next = self.groups.len() as u32;
        let (slot, form, row) = match quantity {
            Quantity::Angle(bus) => (&mut self.voltage[bus], Form::Voltage, 0),
            Quantity::Voltage(bus) => (&mut self.voltage[bus], Form::Voltage, 1),
            Quantity::ActiveInjection(bus) => (&mut self.injection[bus], Form::Power, 0),
            Quantity::ReactiveInjection(bus) => (&mut self.injection[bus], Form::Power, 1),
            Quantity::ActiveFlow(branch, side) => (&mut self.flow[branch][side as usize], Form::Power, 0),
            Quantity::ReactiveFlow(branch, side) => (&mut self.flow[branch][side as usize], Form::Power, 1),
            Quantity::Current(branch, side) => (&mut self.current[branch][side as usize], Form::Current, 0),
        };
        if *slot != u32::MAX {
            return (*slot, row);
        }
        *slot = next;
        let first = self.members.len();
        let mut add = |bus: usize, y: Complex| self.members.push(Member { place: bus as u32, y });
        match quantity {
            Quantity::Voltage(bus) | Quantity::Angle(bus) => add(bus, Complex::default()),
            Quantity::ActiveInjection(bus) | Quantity::ReactiveInjection(bus) => {
                admittances[bus].iter().for_each(|(bus, y)| add(*bus, *y));
            }
            Quantity::ActiveFlow(branch, side)
            | Quantity::ReactiveFlow(branch, side)
            | Quantity::Current(branch, side) => {
                let branch = self.grid.branches()[branch];
                let [ff, ft, tf, tt] = branch.admittance();
                let (own, y_own, other, y_other) = match side {
                    Side::From => (branch.from, ff, branch.to, ft),
                    Side::To => (branch.to, tt, branch.from, tf),
                };
                add(own, y_own);
                add(other, y_other);
            }
        }
        self.groups.push(Group {
            form,
            first: first as u32,
            count: (self.members.len() - first) as u32,
            pair: 0,
            anchor: 0,
            constrained: false,
            weight: [0.0; 2],
            target: [0.0; 2],
            multiplier: [0.0; 2],
            value: [0.0; 2],
        });
        (next, row)
    }
}

/// Order of elimination and the gain's pattern: two buses that share a group share a block.
fn analyse(buses: usize, groups: &[Group], members: &[Member]) -> (Vec<u32>, Factor) {
    let mut neighbours: Vec<Vec<u32>> = vec![Vec::new(); buses];
    for group in groups {
        let own = &members[group.first as usize..][..group.count as usize];
        for a in own {
            let others = own.iter().filter(|b| b.place != a.place).map(|b| b.place);
            neighbours[a.place as usize].extend(others);
        }
    }
    for list in &mut neighbours {
        list.sort_unstable();
        list.dedup();
    }
    let mut place = vec![0; buses];
    minimum_degree(&neighbours).iter().zip(0..).for_each(|(bus, at)| place[*bus as usize] = at);
    let mut rows = vec![Vec::new(); buses];
    for (list, at) in neighbours.iter().zip(&place) {
        let left: &mut Vec<u32> = &mut rows[*at as usize];
        left.extend(list.iter().map(|other| place[*other as usize]).filter(|other| other < at));
        left.sort_unstable();
    }
    let factor = Factor::new(&rows);
    (place, factor)
}
