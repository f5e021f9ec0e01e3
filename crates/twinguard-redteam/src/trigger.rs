//! What an attacker waits for: a value on the wire, a command, the defender's silence.
//!
//! Source: start conditions of attacks on time and state, R. Taormina et al., "Characterizing cyber-physical attacks on water
//! distribution systems", J. Water Resour. Plann. Manage. 143(5), 2017; Stuxnet (MITRE S0603) waited for its drives to run at
//! a certain speed, and recorded meanwhile.

use core::str::FromStr;
use std::collections::VecDeque;

use twinguard_types::{Access, Duration, Intent, Point, Timestamp};

use crate::attack::Writing;
use crate::profile::Entry;
use crate::{Attack, Place, Reading, Target, Window};

/// When an attack begins, once its window is open: at once, without a trigger.
///
/// Written `SIGNAL > VALUE`, `SIGNAL < VALUE`, `SIGNAL`, or `silence SAMPLES`. A measurement is looked at as it passes on the
/// wire, a command as it is written; a signal alone means any value. Silence is that of the defender: no finding and no action
/// for so many samples.
///
/// ```
/// use twinguard_redteam::Trigger;
///
/// let trigger: Trigger = "tank1.level > 12.4".parse()?;
/// assert_eq!(trigger, Trigger::Above { signal: "tank1.level".to_owned(), value: 12.4 });
/// assert_eq!(trigger.to_string(), "tank1.level > 12.4");
/// assert_eq!("silence 300".parse(), Ok(Trigger::Silence { samples: 300 }));
/// assert!("tank1.level > high".parse::<Trigger>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trigger {
    /// The signal lies above a value.
    Above {
        /// Its path.
        signal: String,
        /// The value, in its unit.
        value: f64,
    },
    /// The signal lies below a value.
    Below {
        /// Its path.
        signal: String,
        /// The value, in its unit.
        value: f64,
    },
    /// The signal is read or written.
    Seen {
        /// Its path.
        signal: String,
    },
    /// The defender says and does nothing.
    Silence {
        /// For so many samples.
        samples: u64,
    },
}

impl Trigger {
    /// The signal that it looks at.
    #[must_use]
    pub fn signal(&self) -> Option<&str> {
        match self {
            Self::Above { signal, .. } | Self::Below { signal, .. } | Self::Seen { signal } => Some(signal),
            Self::Silence { .. } => None,
        }
    }

    fn holds(&self, seen: f64) -> bool {
        match self {
            Self::Above { value, .. } => seen > *value,
            Self::Below { value, .. } => seen < *value,
            Self::Seen { .. } => true,
            Self::Silence { .. } => false,
        }
    }
}

impl core::fmt::Display for Trigger {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Above { signal, value } => write!(f, "{signal} > {value}"),
            Self::Below { signal, value } => write!(f, "{signal} < {value}"),
            Self::Seen { signal } => f.write_str(signal),
            Self::Silence { samples } => write!(f, "silence {samples}"),
        }
    }
}

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORMS: &str = "`SIGNAL > VALUE`, `SIGNAL < VALUE`, `SIGNAL` or `silence SAMPLES`";
        let wrong = || format!("`{text}` is no trigger: {FORMS}");
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |word: &str| word.parse::<f64>().ok().filter(|it| it.is_finite()).ok_or_else(wrong);
        match words.as_slice() {
            ["silence", samples] => {
                let samples = samples.parse().ok().filter(|it| *it > 0).ok_or_else(wrong)?;
                Ok(Self::Silence { samples })
            }
            [signal, ">", value] => Ok(Self::Above { signal: (*signal).to_owned(), value: number(value)? }),
            [signal, "<", value] => Ok(Self::Below { signal: (*signal).to_owned(), value: number(value)? }),
            [signal] if !signal.is_empty() => Ok(Self::Seen { signal: (*signal).to_owned() }),
            _ => Err(wrong()),
        }
    }
}

/// How long an attacker who waits keeps what passed, in samples: as long as the longest recording that an attack makes.
const KEPT: i64 = 20 * 60;

/// What passed while the attacker waited.
#[derive(Clone, Debug)]
enum Heard {
    Reading { at: Timestamp, function: u8, address: u16, registers: Vec<u16>, feed: bool },
    Write(Writing),
    Intent(Intent),
    Show(Timestamp, Vec<Point>),
    Access(Timestamp, Vec<Access>),
}

impl Heard {
    fn at(&self) -> Timestamp {
        match self {
            Self::Reading { at, .. } | Self::Show(at, _) | Self::Access(at, _) => *at,
            Self::Write(writing) => writing.at,
            Self::Intent(intent) => intent.at,
        }
    }

    fn tell(self, attack: &mut dyn Attack) {
        match self {
            Self::Reading { at, function, address, mut registers, feed } => {
                let mut reading = Reading { at, function, address, registers: &mut registers };
                if feed { attack.on_feed(&mut reading) } else { attack.on_reading(&mut reading) }
            }
            Self::Write(mut writing) => attack.on_write(&mut writing),
            Self::Intent(mut intent) => {
                attack.on_intent(&mut intent);
            }
            Self::Show(at, mut points) => attack.on_show(at, &mut points),
            Self::Access(at, mut accesses) => attack.on_access(at, &mut accesses),
        }
    }
}

/// Attacks that act on what passes as if they had been there all the time, from the instant on at which they are built.
pub(crate) struct Armed {
    build: fn(&Target) -> Vec<Box<dyn Attack>>,
    target: Target,
    trigger: Trigger,
    /// The register that is looked at, and whether writes to it are.
    place: Option<(Place, bool)>,
    silent: u64,
    memory: Duration,
    heard: VecDeque<Heard>,
}

impl Armed {
    /// `None` when the target has no register of the trigger's signal.
    pub(crate) fn new(entry: &Entry, target: &Target, trigger: &Trigger) -> Option<Self> {
        let place = match trigger.signal() {
            None => None,
            Some(path) => {
                let signal = target.plant.catalogue.id(path)?;
                let find = |places: &[Place]| places.iter().find(|place| place.signal == signal).cloned();
                let read = find(&target.sensors).map(|place| (place, false));
                let written = || find(&target.actuators).or_else(|| find(&target.set_points));
                Some(read.or_else(|| written().map(|place| (place, true)))?)
            }
        };
        Some(Self {
            build: entry.build,
            memory: target.samples(KEPT),
            target: target.clone(),
            trigger: trigger.clone(),
            place,
            silent: 0,
            heard: VecDeque::new(),
        })
    }

    /// The attacks, with all that was heard told to them, and the window that is left of theirs from here on.
    pub(crate) fn launch(mut self, at: Timestamp) -> (Window, Vec<Box<dyn Attack>>) {
        self.target.window.start = at;
        let mut attacks = (self.build)(&self.target);
        for attack in &mut attacks {
            let before = self.heard.iter().filter(|heard| heard.at() < at);
            before.for_each(|heard| heard.clone().tell(&mut **attack));
        }
        (self.target.window, attacks)
    }

    fn keep(&mut self, heard: Heard) {
        let oldest = heard.at() - self.memory;
        while self.heard.front().is_some_and(|first| first.at() < oldest) {
            self.heard.pop_front();
        }
        self.heard.push_back(heard);
    }

    fn is_open(&self, at: Timestamp) -> bool {
        self.target.window.contains(at)
    }

    /// A response passes; says whether that is what was waited for.
    pub(crate) fn on_reading(&mut self, reading: &mut Reading<'_>, feed: bool) -> bool {
        let seen = match &self.place {
            Some((place, false)) if !feed => place.read(reading).map(|raw| raw * place.scale + place.offset),
            _ => None,
        };
        let fires = self.is_open(reading.at) && seen.is_some_and(|seen| self.trigger.holds(seen));
        if !fires {
            let (at, function, address) = (reading.at, reading.function, reading.address);
            let registers = reading.registers.to_vec();
            self.keep(Heard::Reading { at, function, address, registers, feed });
        }
        fires
    }

    /// A write passes.
    pub(crate) fn on_write(&mut self, writing: &Writing) -> bool {
        let seen = match &self.place {
            Some((place, true)) if place.address == writing.address => {
                writing.seen.map(|raw| place.decode(raw))
            }
            _ => None,
        };
        let fires = self.is_open(writing.at) && seen.is_some_and(|seen| self.trigger.holds(seen));
        if !fires {
            self.keep(Heard::Write(*writing));
        }
        fires
    }

    /// A sample is over, in which the defender spoke or not.
    pub(crate) fn on_sample(&mut self, at: Timestamp, spoke: bool) -> bool {
        self.silent = if spoke { 0 } else { self.silent.saturating_add(1) };
        let wanted = match self.trigger {
            Trigger::Silence { samples } => samples,
            _ => return false,
        };
        self.is_open(at) && self.silent >= wanted
    }

    pub(crate) fn on_intent(&mut self, intent: &Intent) {
        self.keep(Heard::Intent(*intent));
    }

    pub(crate) fn on_show(&mut self, at: Timestamp, points: &[Point]) {
        self.keep(Heard::Show(at, points.to_vec()));
    }

    pub(crate) fn on_access(&mut self, at: Timestamp, accesses: &[Access]) {
        self.keep(Heard::Access(at, accesses.to_vec()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial;
    use crate::{Entry, Scenario};

    fn check(text: &str, expected: &str) {
        let told = text.parse::<Trigger>().map_or_else(|error| error, |trigger| trigger.to_string());
        assert!(told.starts_with(expected), "{told}");
    }

    #[test]
    fn triggers_are_read_and_written_alike() {
        check("a > 1.5", "a > 1.5");
        check("  a   <  -2 ", "a < -2");
        check("valve", "valve");
        check("silence 30", "silence 30");
        check("silence 0", "`silence 0` is no trigger");
        check("a > nan", "`a > nan` is no trigger");
        check("a = 1", "`a = 1` is no trigger");
        check("", "`` is no trigger");
    }

    /// Second by second: what is shown of the first value, and the window in the end.
    fn play(attack: &str, trigger: &str, spoken: impl Fn(i64) -> bool) -> (Vec<i16>, Option<Window>) {
        let entry = Entry::named(attack).unwrap();
        let mut scenario = Scenario::armed(entry, &trial::target(), &trigger.parse().unwrap()).unwrap();
        let mut shown = Vec::new();
        for second in 0..trial::LENGTH {
            let at = trial::at(second);
            let mut registers = trial::course(second).map(i16::cast_unsigned);
            scenario.on_reading(&mut Reading { at, function: 4, address: 0, registers: &mut registers });
            shown.push(registers[0].cast_signed());
            let value = Some(500 + second as u16);
            let by = crate::Writer::Controller;
            scenario.on_write(&mut Writing { at, by, address: 0, seen: value, done: value });
            scenario.on_sample(at, spoken(second));
        }
        (shown, scenario.window)
    }

    fn first_change(shown: &[i16]) -> Option<i64> {
        (0..trial::LENGTH).find(|second| shown[*second as usize] != trial::course(*second)[0])
    }

    #[test]
    fn an_attack_waits_for_a_value() {
        // The course passes 33.0 degC at 30 s for the first time: 300 + 5 + 30 > 330.
        let expected = (trial::START..trial::END).find(|second| trial::course(*second)[0] > 330);
        let (shown, window) = play("bias", "a > 33.0", |_| false);
        assert_eq!(first_change(&shown), expected);
        assert_eq!(window.map(|window| window.start), expected.map(trial::at));
        let (shown, window) = play("bias", "a > 99.0", |_| false);
        assert_eq!((first_change(&shown), window), (None, None), "what never comes starts nothing");
        let (shown, _) = play("bias", "a > 0.0", |_| false);
        assert_eq!(first_change(&shown), Some(trial::START), "and nothing starts before the window");
    }

    #[test]
    fn an_attack_waits_for_a_command_or_for_silence() {
        // 0.530 is written at 30 s, after that second's reading.
        let (shown, window) = play("bias", "valve > 0.5295", |_| false);
        assert_eq!(window.map(|window| window.start), Some(trial::at(30)));
        assert_eq!(first_change(&shown), Some(31));
        let (shown, _) = play("bias", "silence 5", |second| second <= 27);
        assert_eq!(first_change(&shown), Some(33));
    }

    #[test]
    fn who_waits_records_meanwhile() {
        let (shown, window) = play("replay", "valve > 0.5295", |_| false);
        assert_eq!(window.map(|window| window.start), Some(trial::at(30)));
        // Everything since the start was heard: the oldest reading comes first.
        let recorded: Vec<i16> = (0..9).map(|second| trial::course(second)[0]).collect();
        assert_eq!(shown[31..40], recorded);
    }

    #[test]
    fn a_signal_that_is_not_there_starts_nothing() {
        let entry = Entry::named("bias").unwrap();
        assert!(Scenario::armed(entry, &trial::target(), &"nothing > 1".parse().unwrap()).is_none());
    }
}
