//! Several coupled thermal modules under attack, a fast simulator with explicit seeds: what planners are measured on.
//!
//! Sources: the lumped heat balance of Incropera et al., *Fundamentals of Heat and Mass Transfer*, §5.1, in discrete time; the
//! evaluation rules (delayed and false alarms, paired seeds, opponents kept back) of CAGE Challenge 4 and of Wolk et al.
//! (arXiv 2211.15557).
//!
//! xᵢ⁺ = keep xᵢ + c Σ (xⱼ − xᵢ) + aᵢ + wᵢ is the temperature of a module over its normal one, |w| ≤ W; an attacker adds
//! 0 ≤ a ≤ A to one module at a time. *Isolating* a module cuts the attacker's way to it and hands it to a local controller that
//! cools it, one step later, and costs production; no more modules than the budget can be isolated at once. After `evict`
//! isolated steps the attacker has lost the module. Alarms are late, missing, or false. Temperatures are measured with a bounded
//! error. Production is worth more at peak hours; heat wears a module out (as for insulation, IEC 60076-7, here with the square).
//!
//! A step draws the same random numbers whatever is chosen: planners that share a seed face the same noise, alarms' luck
//! and attackers.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::Error;
use crate::attacker::{Attacker, Foothold, Ground};
use crate::shield::{Guarded, Mode};

/// Modules at most.
pub const MOST_MODULES: usize = 8;
/// Steps an alarm may be late at most.
const MOST_DELAY: usize = 8;
/// A power of two above it.
const DELAYS: usize = 16;

/// A set of isolated modules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Isolation(pub u8);

impl Isolation {
    /// Nothing is isolated.
    pub const NONE: Self = Self(0);

    /// Whether this module is isolated.
    #[must_use]
    pub fn contains(self, module: usize) -> bool {
        module < MOST_MODULES && self.0 >> module & 1 == 1
    }

    /// With this module too.
    #[must_use]
    pub fn with(self, module: usize) -> Self {
        if module < MOST_MODULES { Self(self.0 | 1 << module) } else { self }
    }

    /// How many modules.
    #[must_use]
    pub fn count(self) -> usize {
        self.0.count_ones() as usize
    }
}

/// Which modules exchange heat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// Each with the next.
    Line,
    /// Each with the next, the last with the first.
    Ring,
    /// All with the first.
    Star,
}

/// Numbers of a task; [`Task::new`] checks them.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Modules, 1 to 8.
    pub modules: usize,
    /// Who exchanges heat with whom.
    pub topology: Topology,
    /// Share of the difference to each neighbour that flows in a step.
    pub coupling: f64,
    /// Modules that may be isolated at once.
    pub budget: usize,
    /// Share of the temperature that stays after a step.
    pub keep: f64,
    /// The same under the local controller.
    pub keep_isolated: f64,
    /// Largest disturbance of a step.
    pub disturbance: f64,
    /// Largest error of a measured temperature.
    pub error: f64,
    /// The limit.
    pub limit: f64,
    /// Weakest and strongest attack, heat a step.
    pub attack: (f64, f64),
    /// Probability that an attack begins in a step, and that it ends by itself.
    pub entry: f64,
    /// See `entry`.
    pub leave: f64,
    /// Isolated steps after which an attacker has lost the module.
    pub evict: u32,
    /// Probability of an alarm in a step: for an attacked module, and for another one.
    pub alarm: (f64, f64),
    /// Steps an alarm is late.
    pub delay: usize,
    /// Cost of the start of an isolation.
    pub start_cost: f64,
    /// Production lost in a step by isolating each module, outside peak hours; as many as modules.
    pub value: Vec<f64>,
    /// What production is worth at peak hours (1 outside), and the steps that each of the two lasts.
    pub peak: (f64, u32),
    /// Cost of wear of a module at its limit, a step; it grows with the square of the temperature.
    pub wear: f64,
    /// Cost of a module over its limit, a step.
    pub unsafe_cost: f64,
    /// Steps of an episode.
    pub steps: u32,
    /// Share of episodes that begin with a module near or over its limit.
    pub hot_start: f64,
}

/// A checked [`Setting`].
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    setting: Setting,
    /// n × n by rows, of nothing isolated.
    flow: Vec<f64>,
}

impl Task {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`Error::Task`] with what does not hold.
    pub fn new(setting: Setting) -> Result<Self, Error> {
        let s = &setting;
        let share = |x: f64| (0.0..=1.0).contains(&x);
        let at_least_0 = |x: f64| x >= 0.0 && x.is_finite();
        let rules = [
            ((1..=MOST_MODULES).contains(&s.modules), "1 to 8 modules"),
            ((1..=s.modules).contains(&s.budget), "a budget of at least one module and at most all"),
            (s.value.len() == s.modules && s.value.iter().all(|v| at_least_0(*v)), "a value for each module"),
            (
                share(s.keep) && share(s.keep_isolated) && share(s.coupling * s.modules as f64),
                "shares between 0 and 1",
            ),
            ([s.entry, s.leave, s.alarm.0, s.alarm.1, s.hot_start].into_iter().all(share), "probabilities"),
            (
                [s.disturbance, s.error, s.start_cost, s.peak.0, s.wear, s.unsafe_cost, s.attack.0]
                    .into_iter()
                    .all(at_least_0),
                "magnitudes at or above 0",
            ),
            (s.attack.0 <= s.attack.1 && s.attack.1.is_finite(), "a weakest attack below the strongest"),
            (s.limit > 0.0 && s.limit.is_finite(), "a limit above 0"),
            (s.delay <= MOST_DELAY && s.evict > 0 && s.peak.1 > 0 && s.steps > 0, "counts within bounds"),
        ];
        if let Some((_, reason)) = rules.into_iter().find(|(holds, _)| !holds) {
            return Err(Error::Task { reason });
        }
        let n = s.modules;
        let mut flow = vec![0.0; n * n];
        for i in 0..n {
            for j in (0..n).filter(|j| s.topology.joins(n, i, *j)) {
                flow[i * n + j] += s.coupling;
                flow[i * n + i] -= s.coupling;
            }
            flow[i * n + i] += s.keep;
        }
        Ok(Self { setting, flow })
    }

    /// One module, alarms in time, exact temperatures: small enough for an exact plan.
    #[must_use]
    pub fn single() -> Self {
        Self {
            flow: vec![0.985],
            setting: Setting {
                modules: 1,
                topology: Topology::Line,
                coupling: 0.0,
                budget: 1,
                keep: 0.985,
                keep_isolated: 0.8,
                disturbance: 1.0,
                error: 0.0,
                limit: 40.0,
                attack: (1.2, 1.2),
                entry: 0.01,
                leave: 0.02,
                evict: 8,
                alarm: (0.3, 0.03),
                delay: 0,
                start_cost: 4.0,
                value: vec![1.0],
                peak: (1.0, 60),
                wear: 2.0,
                unsafe_cost: 50.0,
                steps: 240,
                hot_start: 0.02,
            },
        }
    }

    /// Four modules in a ring of which two can be isolated; alarms four steps late, measurements with an error, peak hours.
    ///
    /// # Errors
    /// None that can occur.
    pub fn multi() -> Result<Self, Error> {
        Self::new(Setting {
            modules: 4,
            topology: Topology::Ring,
            coupling: 0.01,
            budget: 2,
            error: 0.5,
            attack: (1.0, 2.2),
            entry: 0.02,
            delay: 4,
            value: vec![0.5, 1.0, 1.5, 2.0],
            peak: (3.0, 40),
            ..Self::single().setting
        })
    }

    /// A plant that no planner learnt on: three modules in a line of which one can be isolated.
    ///
    /// # Errors
    /// None that can occur.
    pub fn unseen() -> Result<Self, Error> {
        Self::new(Setting {
            modules: 3,
            topology: Topology::Line,
            budget: 1,
            value: vec![1.5, 0.5, 1.0],
            ..Self::multi()?.setting
        })
    }

    /// Its numbers.
    #[must_use]
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// Every choice that the budget allows.
    #[must_use]
    pub fn choices(&self) -> Vec<Isolation> {
        let all = (0..1u16 << self.setting.modules).map(|bits| Isolation(bits as u8));
        all.filter(|choice| choice.count() <= self.setting.budget).collect()
    }

    /// One choice as a mode of the plant.
    fn mode(&self, choice: Isolation) -> Mode {
        let s = &self.setting;
        let n = s.modules;
        let mut transition = self.flow.clone();
        for i in (0..n).filter(|i| choice.contains(*i)) {
            transition[i * n + i] += s.keep_isolated - s.keep;
        }
        let vertex = |i: usize| (0..n).map(|j| if i == j { s.attack.1 } else { 0.0 }).collect();
        Mode {
            transition,
            offset: vec![0.0; n],
            disturbance: vec![s.disturbance; n],
            attacks: (0..n).filter(|i| !choice.contains(*i)).map(vertex).collect(),
        }
    }

    /// What a shield of this task has to guard: modes are [`choices`](Self::choices) in order, backups take turns.
    #[must_use]
    pub fn guarded(&self) -> Guarded {
        let s = &self.setting;
        let (n, choices) = (s.modules, self.choices());
        let index = |choice: Isolation| choices.iter().position(|other| *other == choice).unwrap_or(0);
        // Groups as large as the budget take turns: neighbours together, or those that lie apart, shifted around.
        let mut backups: Vec<Vec<usize>> = Vec::new();
        for (stride, shift) in
            (1..=n.div_ceil(2)).flat_map(|stride| (0..s.budget).map(move |shift| (stride, shift)))
        {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|module| (module % stride, module / stride));
            order.rotate_left(shift % n);
            let group =
                |group: &[usize]| index(group.iter().fold(Isolation::NONE, |set, module| set.with(*module)));
            let groups: Vec<usize> = order.chunks(s.budget).map(group).collect();
            for dwell in [1, 2, 3] {
                let turns: Vec<usize> = groups.iter().flat_map(|group| vec![*group; dwell]).collect();
                if !backups.contains(&turns) && (dwell == 1 || groups.len() > 1) {
                    backups.push(turns);
                }
            }
        }
        // Far below what any disturbance reaches, so that only the limit counts.
        let floor = -10.0 * s.limit;
        Guarded {
            modes: choices.iter().map(|choice| self.mode(*choice)).collect(),
            least: vec![floor; n],
            greatest: vec![s.limit; n],
            error: vec![s.error; n],
            latency: 1,
            backups,
        }
    }

    /// What production is worth now.
    #[must_use]
    pub fn price(&self, step: u32) -> f64 {
        let (peak, lasts) = self.setting.peak;
        if (step / lasts) % 2 == 1 { peak } else { 1.0 }
    }

    /// An episode of this task: seed, number, who attacks; with an empty list nobody does.
    #[must_use]
    pub fn episode(&self, seed: u64, number: u64, attackers: &[Attacker]) -> Episode<'_> {
        Episode::new(self, seed, number, attackers)
    }
}

impl Setting {
    /// Cost of a step's wear at this temperature.
    pub(crate) fn wear_at(&self, x: f64) -> f64 {
        let share = x.max(0.0) / self.limit;
        self.wear * share * share
    }
}

impl Topology {
    fn joins(self, modules: usize, a: usize, b: usize) -> bool {
        let (low, high) = (a.min(b), a.max(b));
        match self {
            _ if a == b => false,
            Self::Line => high == low + 1,
            Self::Ring => high == low + 1 || (low == 0 && high == modules - 1),
            Self::Star => low == 0,
        }
    }
}

/// What a planner knows: nothing here says who is attacked.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The task.
    pub task: &'a Task,
    /// The step.
    pub step: u32,
    /// Measured temperatures.
    pub measured: &'a [f64],
    /// Probability that each module is attacked, after all alarms that came and what the temperatures did.
    pub belief: &'a [f64],
    /// What was chosen last and is in effect from this step on.
    pub queued: Isolation,
    /// How long each module has been isolated, counted to this step.
    pub age: &'a [u32],
    /// What production is worth now.
    pub price: f64,
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Step {
    /// Cost of the step.
    pub cost: f64,
    /// Modules over the limit after it.
    pub hot: usize,
    /// Isolated modules nobody was on.
    pub needless: usize,
    /// Whether an attack was under way that was not isolated.
    pub loose: bool,
    /// Whether an attack began in this step.
    pub began: bool,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Episode<'a> {
    task: &'a Task,
    rng: ChaCha8Rng,
    attacker: Option<Attacker>,
    hold: Option<Foothold>,
    x: [f64; MOST_MODULES],
    measured: [f64; MOST_MODULES],
    belief: [f64; MOST_MODULES],
    age: [u32; MOST_MODULES],
    queued: Isolation,
    late: [u8; DELAYS],
    step: u32,
}

/// Two numbers uniform in 0…1 from one draw.
fn pair(rng: &mut ChaCha8Rng) -> (f64, f64) {
    const SCALE: f64 = 1.0 / (1u64 << 32) as f64;
    let bits = rng.next_u64();
    ((bits >> 32) as f64 * SCALE, (bits & 0xffff_ffff) as f64 * SCALE)
}

impl<'a> Episode<'a> {
    fn new(task: &'a Task, seed: u64, number: u64, attackers: &[Attacker]) -> Self {
        let s = &task.setting;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        let (which, hot) = pair(&mut rng);
        let attacker = attackers.get((which * attackers.len() as f64) as usize).copied();
        let mut x = [0.0; MOST_MODULES];
        for x in &mut x[..s.modules] {
            *x = -5.0 + 20.0 * pair(&mut rng).0;
        }
        let (place, far) = pair(&mut rng);
        if hot < s.hot_start {
            x[(place * s.modules as f64) as usize] = s.limit * (0.8 + 0.3 * far);
        }
        let mut episode = Self {
            task,
            rng,
            attacker,
            hold: None,
            x,
            measured: x,
            belief: [s.entry / s.modules as f64; MOST_MODULES],
            age: [0; MOST_MODULES],
            queued: Isolation::NONE,
            late: [0; DELAYS],
            step: 0,
        };
        episode.measure();
        episode
    }

    fn measure(&mut self) {
        let s = &self.task.setting;
        if s.error > 0.0 {
            for at in 0..s.modules {
                self.measured[at] = self.x[at] + s.error * (2.0 * pair(&mut self.rng).0 - 1.0);
            }
        } else {
            self.measured = self.x;
        }
    }

    /// What a planner may know.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let n = self.task.setting.modules;
        View {
            task: self.task,
            step: self.step,
            measured: &self.measured[..n],
            belief: &self.belief[..n],
            queued: self.queued,
            age: &self.age[..n],
            price: self.task.price(self.step),
        }
    }

    /// True temperatures, for those who judge.
    #[must_use]
    pub fn truth(&self) -> &[f64] {
        &self.x[..self.task.setting.modules]
    }

    /// Whether all steps are run.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.step >= self.task.setting.steps
    }

    /// Runs one step: what was chosen before is in effect, `choice` is from the next step on.
    ///
    /// What is over the budget is dropped, the last modules first.
    pub fn advance(&mut self, choice: Isolation) -> Step {
        let s = &self.task.setting;
        let n = s.modules;
        let (isolated, price) = (self.queued, self.task.price(self.step));
        let mut choice = Isolation(choice.0 & ((1u16 << n) - 1) as u8);
        while choice.count() > s.budget {
            choice = Isolation(choice.0 & !(1 << (7 - choice.0.leading_zeros())));
        }
        let mut done = Step::default();

        // The attacker's move.
        let (comes_or_goes, place) = pair(&mut self.rng);
        let (luck, strength) = pair(&mut self.rng);
        let mut heat = 0.0;
        match &mut self.hold {
            None if comes_or_goes < s.entry && self.attacker.is_some() => {
                let module = (place * n as f64) as usize;
                let intensity = s.attack.0 + (s.attack.1 - s.attack.0) * strength;
                self.hold = Some(Foothold { module, intensity, age: 0 });
                done.began = true;
            }
            None => {}
            Some(hold) => {
                let here = isolated.contains(hold.module);
                if comes_or_goes < s.leave || (here && self.age[hold.module] >= s.evict) {
                    self.hold = None;
                } else {
                    let ground = Ground { temperatures: &self.x[..n], isolated: here, most: s.attack.1 };
                    heat = self.attacker.map_or(0.0, |attacker| attacker.act(hold, &ground, luck, place));
                }
            }
        }
        let target = self.hold.map(|hold| hold.module);

        // The plant's move, and the alarms it raises.
        let before = self.x;
        let mut alarms = 0u8;
        for i in 0..n {
            let (noise, alarm) = pair(&mut self.rng);
            let row = &self.task.flow[i * n..(i + 1) * n];
            let mut next: f64 = row.iter().zip(&before).map(|(flow, x)| flow * x).sum();
            if isolated.contains(i) {
                next += (s.keep_isolated - s.keep) * before[i];
                done.cost += s.value[i] * price;
                done.needless += usize::from(target != Some(i));
            } else if target == Some(i) {
                next += heat;
            }
            self.x[i] = next + s.disturbance * (2.0 * noise - 1.0);
            alarms |= u8::from(alarm < if target == Some(i) { s.alarm.0 } else { s.alarm.1 }) << i;
            done.hot += usize::from(self.x[i] > s.limit);
            done.cost += s.wear_at(self.x[i]);
        }
        done.loose = target.is_some_and(|module| !isolated.contains(module));
        done.cost += s.unsafe_cost * done.hot as f64;
        done.cost += s.start_cost * f64::from((choice.0 & !isolated.0).count_ones());

        // What is known of it.
        let told = self.measured;
        self.measure();
        let now = self.step as usize;
        self.late[now % DELAYS] = alarms;
        let heard = self.late[(now + DELAYS - s.delay) % DELAYS];
        self.believe(&told, isolated, heard);
        for i in 0..n {
            self.age[i] =
                if choice.contains(i) { if isolated.contains(i) { self.age[i] + 1 } else { 0 } } else { 0 };
        }
        self.queued = choice;
        self.step += 1;
        done
    }

    /// Bayes over "this module is attacked", each module by itself.
    fn believe(&mut self, told: &[f64; MOST_MODULES], isolated: Isolation, alarms: u8) {
        const SURE: f64 = 0.999;
        let s = &self.task.setting;
        let n = s.modules;
        let entry = s.entry / n as f64;
        let (hit, false_alarm) = s.alarm;
        for i in 0..n {
            let gone = isolated.contains(i) && self.age[i] >= s.evict;
            let kept = if gone { 0.0 } else { self.belief[i] * (1.0 - s.leave) };
            let prior = kept + (1.0 - kept) * entry;
            let alarmed = alarms >> i & 1 == 1;
            let (if_attacked, if_not) =
                if alarmed { (hit, false_alarm) } else { (1.0 - hit, 1.0 - false_alarm) };
            let weight = prior * if_attacked;
            let mut belief = weight / (weight + (1.0 - prior) * if_not).max(1e-12);
            if !isolated.contains(i) {
                let row = &self.task.flow[i * n..(i + 1) * n];
                let (mut expected, mut doubt) = (0.0, s.disturbance + s.error);
                for (flow, x) in row.iter().zip(told) {
                    expected += flow * x;
                    doubt += flow.abs() * s.error;
                }
                let rise = self.measured[i] - expected;
                if rise > doubt {
                    belief = SURE;
                } else if s.attack.0 > 0.0 && rise < s.attack.0 - doubt {
                    belief = belief.min(1.0 - SURE);
                }
            }
            self.belief[i] = belief.clamp(1.0 - SURE, SURE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacker::{SEEN, UNSEEN};

    fn quiet(change: impl FnOnce(&mut Setting)) -> Task {
        let mut setting = Task::multi().unwrap().setting().clone();
        (setting.entry, setting.error, setting.hot_start, setting.alarm) = (0.0, 0.0, 0.0, (0.0, 0.0));
        change(&mut setting);
        Task::new(setting).unwrap()
    }

    /// The heat balance written out neighbour by neighbour.
    #[test]
    fn without_noise_a_step_is_the_heat_balance() {
        for topology in [Topology::Line, Topology::Ring, Topology::Star] {
            let task = quiet(|s| (s.topology, s.disturbance) = (topology, 0.0));
            let s = task.setting();
            let joined: &[(usize, usize)] = match topology {
                Topology::Line => &[(0, 1), (1, 2), (2, 3)],
                Topology::Ring => &[(0, 1), (1, 2), (2, 3), (3, 0)],
                Topology::Star => &[(0, 1), (0, 2), (0, 3)],
            };
            let mut episode = task.episode(1, 1, SEEN);
            for choice in [0b0000, 0b0101, 0b1000, 0b0011] {
                let (x, isolated) = (episode.truth().to_vec(), episode.view().queued);
                episode.advance(Isolation(choice));
                for i in 0..4 {
                    let keep = if isolated.contains(i) { s.keep_isolated } else { s.keep };
                    let mut want = keep * x[i];
                    for (a, b) in joined {
                        want += if *a == i { s.coupling * (x[*b] - x[i]) } else { 0.0 };
                        want += if *b == i { s.coupling * (x[*a] - x[i]) } else { 0.0 };
                    }
                    assert!((episode.truth()[i] - want).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn noise_and_attackers_do_not_depend_on_what_is_chosen() {
        let task = Task::multi().unwrap();
        let run = |choice: Isolation| {
            let mut episode = task.episode(7, 3, SEEN);
            let mut begun = Vec::new();
            while !episode.is_over() && begun.is_empty() {
                if episode.advance(choice).began {
                    begun.push(episode.step);
                }
            }
            (begun, episode.rng.get_word_pos())
        };
        assert_eq!(run(Isolation::NONE), run(Isolation(0b0011)), "the same attack at the same draw");
    }

    #[test]
    fn without_attackers_nobody_attacks() {
        let task = Task::multi().unwrap();
        let began = |attackers: &[Attacker]| {
            let mut episode = task.episode(7, 3, attackers);
            let mut began = 0;
            while !episode.is_over() {
                let step = episode.advance(Isolation::NONE);
                began += usize::from(step.began || step.loose);
            }
            began
        };
        assert!(began(&[]) == 0 && began(SEEN) > 0);
    }

    #[test]
    fn an_attack_heats_one_module_until_isolation_ends_it() {
        let task = quiet(|s| (s.entry, s.leave, s.disturbance) = (1.0, 0.0, 0.0));
        let mut episode = task.episode(2, 0, &[Attacker::Steady]);
        assert!(episode.advance(Isolation::NONE).began);
        let module = episode.hold.unwrap().module;
        let before = episode.truth().to_vec();
        assert!(episode.advance(Isolation::NONE.with(module)).loose, "isolation takes a step");
        assert!(episode.truth()[module] > before[module]);
        let mut steps = 0;
        while episode.hold.is_some() {
            assert!(!episode.advance(Isolation::NONE.with(module)).loose);
            steps += 1;
        }
        assert_eq!(steps, task.setting().evict + 1);
        episode.advance(Isolation(0b1111));
        assert_eq!(episode.view().queued, Isolation(0b0011), "no more than the budget");
    }

    #[test]
    fn alarms_come_late_and_move_the_belief() {
        let task = quiet(|s| (s.entry, s.leave, s.alarm, s.disturbance) = (1.0, 0.0, (1.0, 0.0), 40.0));
        let mut episode = task.episode(5, 0, &[Attacker::Steady]);
        let mut first = None;
        for step in 0..10u32 {
            let known = (0..4).find(|module| episode.view().belief[*module] > 0.99);
            if let (Some(module), None) = (known, first) {
                assert_eq!(Some(module), episode.hold.map(|hold| hold.module));
                first = Some(step);
            }
            episode.advance(Isolation::NONE);
        }
        assert_eq!(first, Some(task.setting().delay as u32 + 1));
    }

    #[test]
    fn costs_add_up_and_prices_change() {
        let task = quiet(|s| (s.wear, s.disturbance) = (0.0, 0.0));
        let mut episode = task.episode(1, 0, UNSEEN);
        assert_eq!(episode.advance(Isolation(0b1001)).cost, 8.0, "two starts");
        assert_eq!(episode.advance(Isolation(0b1001)).cost, 2.5, "a step of the first and the last");
        while episode.step < 40 {
            episode.advance(Isolation::NONE);
        }
        episode.advance(Isolation(0b0001));
        assert_eq!(episode.advance(Isolation::NONE).cost, 1.5, "three times the value at peak hours");
        assert_eq!((task.price(39), task.price(40), task.price(80)), (1.0, 3.0, 1.0));
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let base = Task::multi().unwrap().setting().clone();
        let wrong: [fn(&mut Setting); 8] = [
            |s| s.modules = 9,
            |s| s.budget = 0,
            |s| s.value = vec![1.0],
            |s| s.keep = f64::NAN,
            |s| s.entry = 1.5,
            |s| s.attack = (2.0, 1.0),
            |s| s.delay = 9,
            |s| s.peak.1 = 0,
        ];
        for change in wrong {
            let mut setting = base.clone();
            change(&mut setting);
            assert!(matches!(Task::new(setting), Err(Error::Task { .. })));
        }
        assert_eq!(Task::new(base).unwrap(), Task::multi().unwrap());
    }
}
