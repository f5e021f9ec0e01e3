//! A site of three values for the tests of attacks: what each path carries, second by second.

use core::net::Ipv4Addr;

use twinguard_twin::Plant;
use twinguard_types::{
    Access, Digest, Duration, Intent, Point, PrincipalId, SignalId, Source, Timestamp, Value,
};

use crate::attack::{Transit, Writer, Writing};
use crate::{Entry, Injection, Reading, Scenario, Target, Utterance, Window};

/// The attack is on from here …
pub(crate) const START: i64 = 20;
/// … until here.
pub(crate) const END: i64 = 40;
/// Length of a trial.
pub(crate) const LENGTH: i64 = 60;

const PLANT: &str = r#"
format = 1
name = "trial"
[[signal]]
path = "a"
unit = "degC"
sigma = 0.2
[[signal]]
path = "b"
unit = "degC"
sigma = 0.2
[[signal]]
path = "c"
sigma = 0.2
[[signal]]
path = "valve"
role = "actuator"
range = [0.0, 1.0]
[[signal]]
path = "a.setpoint"
unit = "degC"
role = "setpoint"
[[point]]
signal = "a"
protocol = "modbus"
tag = "u1/ir/0"
type = "i16"
scale = 0.1
[[point]]
signal = "b"
protocol = "modbus"
tag = "u1/ir/1"
type = "i16"
scale = 0.1
[[point]]
signal = "c"
protocol = "modbus"
tag = "u1/ir/2"
type = "i16"
scale = 0.1
[[point]]
signal = "valve"
protocol = "modbus"
tag = "u1/hr/0"
type = "u16"
scale = 0.001
direction = "write"
[[point]]
signal = "a.setpoint"
protocol = "modbus"
tag = "u1/hr/2"
type = "i16"
scale = 0.1
direction = "write"
[[limit]]
signal = "a"
max = 40.0
kind = "operating"
"#;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(second)
}

/// The bias is 50 raw steps downwards; the valve is closed to 5 %.
pub(crate) fn target() -> Target {
    let plant = Plant::parse(PLANT, "trial.toml").unwrap();
    let window = Window { start: at(START), end: at(END) };
    let attacker = Ipv4Addr::new(10, 0, 0, 66);
    let mut target = Target::new(&plant, ("a", -5.0), ("valve", 0.05), window, attacker).unwrap();
    target.mode = Some(9);
    target.seeded(1)
}

/// What went over every path in each second.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub(crate) clean: Vec<[i16; 3]>,
    pub(crate) shown: Vec<[i16; 3]>,
    pub(crate) fed: Vec<[i16; 3]>,
    pub(crate) transits: Vec<Transit>,
    pub(crate) writes: Vec<Writing>,
    pub(crate) injections: Vec<(i64, Injection)>,
    pub(crate) utterances: Vec<(i64, Utterance)>,
    pub(crate) intents: Vec<Option<Intent>>,
    pub(crate) vendor: Vec<Vec<Point>>,
    pub(crate) accesses: Vec<(i64, Access)>,
    pub(crate) digests: Vec<Digest>,
}

impl Played {
    /// The aimed value, as shown less as it is.
    pub(crate) fn error(&self, second: i64) -> i32 {
        i32::from(self.shown[second as usize][0]) - i32::from(self.clean[second as usize][0])
    }

    /// The errors over the window.
    pub(crate) fn errors(&self) -> Vec<i32> {
        (START..END).map(|second| self.error(second)).collect()
    }

    /// Whether a second went as if nobody attacked.
    fn is_clean(&self, second: i64) -> bool {
        let index = second as usize;
        let said = |at: &i64| *at == second;
        let shown: Vec<f64> = self.vendor[index].iter().map(|point| point.value.as_f64()).collect();
        let clean: Vec<f64> = self.clean[index].iter().map(|value| f64::from(*value)).collect();
        self.shown[index] == self.clean[index]
            && self.fed[index] == self.shown[index]
            && self.transits[index] == transit(second)
            && self.writes[index] == writing(second)
            && self.intents[index] == Some(intent(second))
            && shown == clean
            && !self.injections.iter().any(|(at, _)| said(at))
            && !self.utterances.iter().any(|(at, _)| said(at))
            && !self.accesses.iter().any(|(at, _)| said(at))
            && self.digests[index] == Digest([7; 32])
    }

    /// Whether something was done in the window, and nothing outside it.
    pub(crate) fn acts_in_its_window_only(&self) -> Result<(), String> {
        if let Some(early) = (0..START).find(|second| !self.is_clean(*second)) {
            return Err(format!("acts at {early} s, before its window"));
        }
        if let Some(late) = (END..LENGTH).find(|second| !self.is_clean(*second)) {
            return Err(format!("acts at {late} s, after its window"));
        }
        if (START..END).all(|second| self.is_clean(second)) {
            return Err("does nothing".to_owned());
        }
        Ok(())
    }
}

fn transit(second: i64) -> Transit {
    Transit { at: at(second), latency: Duration::from_millis(4), answered: true }
}

fn writing(second: i64) -> Writing {
    let value = Some(500 + second as u16);
    Writing { at: at(second), by: Writer::Controller, address: 0, seen: value, done: value }
}

fn intent(second: i64) -> Intent {
    let value = Value::real(0.5 + second as f64 * 0.001).unwrap();
    Intent { principal: PrincipalId(0), signal: SignalId(3), value, at: at(second) }
}

/// The second's values in raw steps: two that move with the second, one that follows them.
pub(crate) fn course(second: i64) -> [i16; 3] {
    let wave = [0, 3, 5, 2, -1, -4, 1][(second % 7) as usize];
    [300 + wave + second as i16, 200 - wave, 500 + second as i16]
}

/// Plays an attack against the course.
pub(crate) fn play(entry: &Entry) -> Played {
    play_over(entry, &target(), course)
}

/// The same with another target and course.
pub(crate) fn play_over(entry: &Entry, target: &Target, course: impl Fn(i64) -> [i16; 3]) -> Played {
    let mut scenario = Scenario::of(entry, target);
    let mut played = Played::default();
    for second in 0..LENGTH {
        let now = at(second);
        let clean = course(second);
        let mut registers = clean.map(i16::cast_unsigned);
        let mut delivery = transit(second);
        scenario.on_transit(&mut delivery);
        played.transits.push(delivery);
        scenario.on_reading(&mut Reading { at: now, function: 4, address: 0, registers: &mut registers });
        played.clean.push(clean);
        played.shown.push(registers.map(u16::cast_signed));
        scenario.on_feed(&mut Reading { at: now, function: 4, address: 0, registers: &mut registers });
        played.fed.push(registers.map(u16::cast_signed));
        let mut it = writing(second);
        scenario.on_write(&mut it);
        played.writes.push(it);
        let mut it = intent(second);
        played.intents.push(scenario.on_intent(&mut it).then_some(it));
        let mut injections = Vec::new();
        scenario.inject(now, &mut injections);
        played.injections.extend(injections.into_iter().map(|it| (second, it)));
        let mut utterances = Vec::new();
        scenario.speak(now, &mut utterances);
        played.utterances.extend(utterances.into_iter().map(|it| (second, it)));
        let points = clean.iter().zip(0..).map(|(value, signal)| {
            Point::new(SignalId(signal), Value::real(f64::from(*value)).unwrap(), Source::Vendor, now)
        });
        let mut points: Vec<Point> = points.collect();
        scenario.on_show(now, &mut points);
        played.vendor.push(points);
        let mut accesses = Vec::new();
        scenario.on_access(now, &mut accesses);
        played.accesses.extend(accesses.into_iter().map(|it| (second, it)));
        let mut digest = Digest([7; 32]);
        scenario.on_measured(now, &mut digest);
        played.digests.push(digest);
    }
    played
}
