//! What a reference plant is, beyond its plant file: equations, surroundings, control law, set-points, faults.
//!
//! One static of this type per plant; everything that all plants share (wire, noise, vendor's twin, journal) is in
//! [`Site`](super::Site) and its parts. Source of the split: IEC 62264-1 levels 0 (process), 1 (sensing, actuation)
//! and 2 (control).

use core::fmt::Debug;
use std::borrow::Cow;

/// The equations of motion of a simulated plant; pure functions of their arguments.
///
/// They are written a second time, beside the model that a guard runs, so that an error in one shows against the other.
pub trait Physics: Debug + Send + Sync {
    /// Writes dx/dt to `out`.
    fn rate(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]);
    /// Writes what can be measured to `out`.
    fn output(&self, parameters: &[f64], state: &[f64], input: &[f64], out: &mut [f64]);
    /// What happens at once, after each step of integration: end stops, overflow, switching. Nothing by default.
    fn settle(&self, _parameters: &[f64], _state: &mut [f64], _input: &[f64], _step_s: f64) {}
}

/// A constant of the equations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Constant {
    /// Its name.
    pub name: &'static str,
    /// Its published value.
    pub value: f64,
    /// Half width of the band, relative, in which a plant of this kind has it.
    pub spread: f64,
}

pub(crate) const fn constant(name: &'static str, value: f64, spread: f64) -> Constant {
    Constant { name, value, spread }
}

/// How an input that nobody commands moves: weather, load, demand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Surrounding {
    /// The input's name.
    pub input: &'static str,
    /// Amplitude of the daily wave.
    pub day: f64,
    /// Hour of the day at which the daily wave is highest.
    pub peak_h: f64,
    /// Added on Saturdays and Sundays.
    pub weekend: f64,
    /// Amplitude of the yearly wave, highest in mid-July.
    pub season: f64,
    /// Standard deviation of the slow wander around it.
    pub sigma: f64,
    /// Time constant of the wander, seconds.
    pub tau_s: f64,
    /// Steps of the level in this band, at random times this many seconds apart on average; none when the time is 0.
    pub steps: (f64, f64, f64),
    /// The input never leaves this band.
    pub band: (f64, f64),
}

impl Surrounding {
    /// An input that stays where it starts.
    #[must_use]
    pub const fn still(input: &'static str) -> Self {
        Self {
            input,
            day: 0.0,
            peak_h: 0.0,
            weekend: 0.0,
            season: 0.0,
            sigma: 0.0,
            tau_s: 1.0,
            steps: (0.0, 0.0, 0.0),
            band: (f64::MIN, f64::MAX),
        }
    }

    /// With a slow wander.
    #[must_use]
    pub const fn wander(mut self, sigma: f64, tau_s: f64) -> Self {
        self.sigma = sigma;
        self.tau_s = tau_s;
        self
    }

    /// With a daily and a yearly wave.
    #[must_use]
    pub const fn waves(mut self, day: f64, peak_h: f64, season: f64) -> Self {
        self.day = day;
        self.peak_h = peak_h;
        self.season = season;
        self
    }

    /// With another level on Saturdays and Sundays.
    #[must_use]
    pub const fn weekend(mut self, added: f64) -> Self {
        self.weekend = added;
        self
    }

    /// With steps of the level between `low` and `high`, every `mean_s` seconds on average, while
    /// [`Options::load_steps`](super::Options::load_steps) asks for them.
    #[must_use]
    pub const fn steps(mut self, low: f64, high: f64, mean_s: f64) -> Self {
        self.steps = (low, high, mean_s);
        self
    }

    /// Kept within a band.
    #[must_use]
    pub const fn within(mut self, low: f64, high: f64) -> Self {
        self.band = (low, high);
        self
    }
}

/// A set-point that lies in the device and that the operator moves now and then.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SetPoint {
    /// The signal's path.
    pub signal: &'static str,
    /// Where it rests.
    pub value: f64,
    /// How far the operator moves it, either way.
    pub spread: f64,
    /// Seconds between two moves, from and to.
    pub every_s: (f64, f64),
}

/// What a control law has at hand when it decides.
#[derive(Debug)]
pub struct Scan<'a> {
    /// Seconds since 1970 by the plant's calendar: what its schedules go by.
    pub date_s: f64,
    /// Seconds since the last decision.
    pub period_s: f64,
    /// Whether this is its first decision.
    pub first: bool,
    /// What it read last, in the order of [`Control::reads`].
    pub seen: &'a [f64],
    /// What it remembers.
    pub memory: &'a mut [f64],
    /// What it wrote last, in the order of [`Control::writes`]; it leaves here what it writes now.
    pub commands: &'a mut [f64],
}

/// The control law: a function of what the wire told and of its own memory.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// Seconds between two decisions.
    pub period_s: f64,
    /// Paths of the signals that it reads, in the order of `seen`.
    pub reads: &'static [&'static str],
    /// Paths of the signals that it writes, in the order of `commands`.
    pub writes: &'static [&'static str],
    /// What it remembers at first.
    pub memory: &'static [f64],
    /// Decides.
    pub law: fn(scan: &mut Scan<'_>),
}

/// How the vendor's twin leans towards what is measured: its state moves by gain · (measured − shown) per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lean {
    /// The output's name.
    pub output: &'static str,
    /// The state's index.
    pub state: usize,
    /// Share per second (state's unit per output's unit).
    pub gain: f64,
}

/// What an event does to the plant while it lasts.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A constant of the equations times this.
    Constant(Cow<'static, str>, f64),
    /// This much is added to an input, by name: a load, the weather, an actuator that does more than it is told.
    Input(Cow<'static, str>, f64),
    /// An actuator, by its input's name, does this share of what it is told.
    Weak(Cow<'static, str>, f64),
    /// An actuator, by its input's name, stays where it is.
    Stuck(Cow<'static, str>),
    /// A sensor, by its signal's path, shows this much more.
    Bias(Cow<'static, str>, f64),
    /// A sensor shows this multiple.
    Scale(Cow<'static, str>, f64),
    /// A sensor keeps its last value.
    Frozen(Cow<'static, str>),
    /// The device answers no poll.
    Silence,
}

/// Something that may happen to the plant, other than an attack.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// Its name.
    pub name: &'static str,
    /// What it is, for people.
    pub about: &'static str,
    /// Whether something is broken (a fault), or whether this is everyday life.
    pub fault: bool,
    /// Seconds until it is fully there.
    pub ramp_s: f64,
    /// How long it usually lasts, seconds; infinite for what stays.
    pub lasts_s: f64,
    /// What it does.
    pub effects: &'static [Effect],
}

pub(crate) const fn fault(
    name: &'static str,
    about: &'static str,
    ramp_s: f64,
    effects: &'static [Effect],
) -> Incident {
    Incident { name, about, fault: true, ramp_s, lasts_s: f64::INFINITY, effects }
}

pub(crate) const fn benign(
    name: &'static str,
    about: &'static str,
    ramp_s: f64,
    lasts_s: f64,
    effects: &'static [Effect],
) -> Incident {
    Incident { name, about, fault: false, ramp_s, lasts_s, effects }
}

/// A reference plant.
#[derive(Debug)]
pub struct Reference {
    /// Its name, in registries and on command lines.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// The plant file that describes it to a guard: what a vendor would seal.
    pub plant: &'static str,
    /// Constants of the equations.
    pub constants: &'static [Constant],
    /// States with the values from which it runs in.
    pub states: &'static [(&'static str, f64)],
    /// Inputs with their resting values; names are those of the plant file's model.
    pub inputs: &'static [(&'static str, f64)],
    /// Outputs; names are those of the plant file's model.
    pub outputs: &'static [&'static str],
    /// The equations.
    pub physics: &'static dyn Physics,
    /// Longest step of integration, seconds; the sampling of the plant file is a multiple of it.
    pub step_s: f64,
    /// Seconds of undisturbed running before the run begins.
    pub run_in_s: f64,
    /// Inputs that nobody commands; one that is not listed stays where it starts.
    pub surroundings: &'static [Surrounding],
    /// Set-points in the device.
    pub set_points: &'static [SetPoint],
    /// The controller.
    pub control: Control,
    /// The vendor's twin.
    pub leans: &'static [Lean],
    /// The signal whose never-exceed limit the plant is about, by path: what a run is judged by.
    pub hazard: &'static str,
    /// Faults and benign events that it knows.
    pub incidents: &'static [Incident],
}

/// One incremental PI loop: Δu = Kp (eₖ − eₖ₋₁) + Kp Ts / Ti eₖ, clipped, with e = set-point − measured.
///
/// Source: Åström, Wittenmark, *Computer-Controlled Systems*, 3rd ed. 1997, §8.5 (incremental form, no wind-up).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loop {
    pub(crate) gain: f64,
    pub(crate) reset_s: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Most change per decision, down and up.
    pub(crate) most: (f64, f64),
}

impl Loop {
    pub(crate) const fn new(gain: f64, reset_s: f64, low: f64, high: f64) -> Self {
        Self { gain, reset_s, low, high, most: (f64::MIN, f64::MAX) }
    }

    pub(crate) const fn limited(mut self, down: f64, up: f64) -> Self {
        self.most = (down, up);
        self
    }

    /// Loop `at` of a scan: its error is kept in memory `at`, its command is command `at`.
    pub(crate) fn decide(&self, scan: &mut Scan<'_>, at: usize, error: f64) {
        let (Some(before), Some(command)) = (scan.memory.get_mut(at), scan.commands.get_mut(at)) else {
            return;
        };
        let last = if scan.first { error } else { *before };
        *before = error;
        let change = self.gain * (error - last) + self.gain * scan.period_s / self.reset_s * error;
        *command = (*command + change.clamp(self.most.0, self.most.1)).clamp(self.low, self.high);
    }
}
