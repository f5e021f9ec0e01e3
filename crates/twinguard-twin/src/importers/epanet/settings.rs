//! The sections OPTIONS and TIMES.
//!
//! Source: EPANET 2.2 Users Manual, appendix C.2, with its defaults; steps are fitted to each other as the toolkit does.

use super::{
    Draft, EpanetError, Problem,
    text::{Line, hours, is, number, seconds, short},
};
use crate::water::{FlowUnit, HeadLoss, Options, PressureDriven, PressureUnit, Times, Units};

/// Kinematic viscosity of water at 20 °C, ft²/s.
const VISCOSITY: f64 = 1.1e-5;
/// Smallest distance between the pressures of a pressure-driven demand, in the file's units.
const LEAST_PRESSURE_RANGE: f64 = 0.1;

const FLOW_UNITS: [FlowUnit; 10] = [
    FlowUnit::Cfs,
    FlowUnit::Gpm,
    FlowUnit::Mgd,
    FlowUnit::Imgd,
    FlowUnit::Afd,
    FlowUnit::Lps,
    FlowUnit::Lpm,
    FlowUnit::Mld,
    FlowUnit::Cmh,
    FlowUnit::Cmd,
];

/// What the two sections say.
pub(super) struct Settings {
    pub(super) options: Options,
    pub(super) times: Times,
    pub(super) units: Units,
    default_pattern: String,
}

impl Settings {
    /// Gives the pattern of demands that name none its place.
    pub(super) fn default_pattern(&self, draft: &mut Draft<'_>) {
        draft.default_pattern = draft.patterns.get(self.default_pattern.as_str()).copied();
    }
}

/// As read, before units are known.
struct Raw {
    flow_unit: FlowUnit,
    pressure_unit: PressureUnit,
    specific_gravity: f64,
    viscosity: Option<f64>,
    least_pressure: f64,
    required_pressure: f64,
    pressure_exponent: f64,
    pressure_driven: bool,
    head_error: f64,
    flow_change: f64,
    default_pattern: String,
    options: Options,
    times: Times,
}

/// Reads both sections.
pub(super) fn read<'l, 'a: 'l>(lines: impl Iterator<Item = &'l Line<'a>>) -> Result<Settings, EpanetError> {
    let mut raw = Raw {
        flow_unit: FlowUnit::Gpm,
        pressure_unit: PressureUnit::Psi,
        specific_gravity: 1.0,
        viscosity: None,
        least_pressure: 0.0,
        required_pressure: LEAST_PRESSURE_RANGE,
        pressure_exponent: 0.5,
        pressure_driven: false,
        head_error: 0.0,
        flow_change: 0.0,
        default_pattern: "1".to_owned(),
        options: Options {
            head_loss: HeadLoss::HazenWilliams,
            viscosity: VISCOSITY,
            trials: 200,
            accuracy: 0.001,
            head_error_ft: None,
            flow_change_cfs: None,
            extra_trials: None,
            demand_multiplier: 1.0,
            emitter_power: 2.0,
            pressure_driven: None,
            head_tolerance_ft: 0.0005,
            flow_tolerance_cfs: 0.0001,
            least_gradient: 1e-7,
            check_every: 2,
            check_until: 10,
            damp_below: None,
        },
        times: Times {
            duration_s: 0,
            hydraulic_step_s: 3_600,
            pattern_step_s: 3_600,
            pattern_start_s: 0,
            report_step_s: 3_600,
            rule_step_s: 0,
            clock_start_s: 0,
        },
    };
    for line in lines {
        if line.section == "OPTIONS" { raw.option(line)? } else { raw.time(line)? }
    }
    Ok(raw.finish())
}

impl Raw {
    fn option(&mut self, line: &Line<'_>) -> Result<(), EpanetError> {
        let key = line.word(0)?;
        let second = line.words.get(1).copied().unwrap_or_default();
        // A key without a value leaves the default.
        let bare = |words: usize| line.words.len() < words;
        let options = &mut self.options;
        match key {
            _ if is(key, "UNITS") && !bare(2) => {
                self.flow_unit = if is(second, "SI") {
                    FlowUnit::Lps
                } else {
                    let unit = FLOW_UNITS.into_iter().find(|unit| is(second, unit.name()));
                    unit.ok_or_else(|| line.unknown(1))?
                };
            }
            _ if is(key, "PRESS") && is(second, "EXP") => self.pressure_exponent = line.positive(2)?,
            _ if is(key, "PRESS") && !bare(2) => {
                self.pressure_unit = match second {
                    _ if is(second, "PSI") => PressureUnit::Psi,
                    _ if is(second, "KPA") => PressureUnit::Kpa,
                    _ if is(second, "METERS") => PressureUnit::Metres,
                    _ => return Err(line.unknown(1)),
                }
            }
            _ if is(key, "HEADL") && !bare(2) => {
                options.head_loss = match second {
                    _ if is(second, "H-W") => HeadLoss::HazenWilliams,
                    _ if is(second, "D-W") => HeadLoss::DarcyWeisbach,
                    _ if is(second, "C-M") => HeadLoss::ChezyManning,
                    _ => return Err(line.unknown(1)),
                }
            }
            _ if is(key, "UNBA") && !bare(2) => {
                options.extra_trials = match second {
                    _ if is(second, "STOP") => None,
                    _ if is(second, "CONT") => Some(if bare(3) { 0 } else { count(line, 2, 0.0)? }),
                    _ => return Err(line.unknown(1)),
                }
            }
            _ if is(key, "PATT") && !bare(2) => self.default_pattern = short(second),
            _ if is(key, "DEMAND") && is(second, "MODEL") && !bare(3) => {
                let model = line.word(2)?;
                self.pressure_driven = match model {
                    _ if is(model, "DDA") => false,
                    _ if is(model, "PDA") => true,
                    _ => return Err(line.unknown(2)),
                }
            }
            _ if is(key, "DEMAND") && !bare(3) => options.demand_multiplier = line.positive(2)?,
            _ if is(key, "EMIT") && !bare(3) => options.emitter_power = 1.0 / line.positive(2)?,
            _ if is(key, "SPEC") && !bare(3) => self.specific_gravity = line.positive(2)?,
            _ if is(key, "MINIMUM") && !bare(3) => {
                self.least_pressure = line.size(2)?;
                if self.required_pressure == LEAST_PRESSURE_RANGE {
                    self.required_pressure = self.least_pressure + LEAST_PRESSURE_RANGE;
                }
                self.check_pressures(line)?;
            }
            _ if is(key, "REQUIRED") && !bare(3) => {
                self.required_pressure = line.size(2)?;
                self.check_pressures(line)?;
            }
            _ if bare(2) => known(line)?,
            _ if is(key, "VISC") => self.viscosity = Some(line.positive(1)?),
            _ if is(key, "TRIAL") => options.trials = count(line, 1, 1.0)?,
            _ if is(key, "ACCU") => options.accuracy = line.positive(1)?.clamp(1e-5, 1e-1),
            _ if is(key, "HEADERROR") => self.head_error = line.size(1)?,
            _ if is(key, "FLOWCHANGE") => self.flow_change = line.size(1)?,
            _ if is(key, "HTOL") => options.head_tolerance_ft = line.positive(1)?,
            _ if is(key, "QTOL") => options.flow_tolerance_cfs = line.positive(1)?,
            _ if is(key, "RQTOL") => {
                options.least_gradient = line.positive(1)?;
                if options.least_gradient >= 1.0 {
                    return Err(line.error(Problem::OutOfRange { word: short(second) }));
                }
            }
            _ if is(key, "CHECKFREQ") => options.check_every = count(line, 1, 1.0)?,
            _ if is(key, "MAXCHECK") => options.check_until = count(line, 1, 1.0)?,
            _ if is(key, "DAMPLIMIT") => {
                options.damp_below = Some(line.number(1)?).filter(|limit| *limit > 0.0)
            }
            _ => known(line)?,
        }
        Ok(())
    }

    fn check_pressures(&self, line: &Line<'_>) -> Result<(), EpanetError> {
        if self.required_pressure - self.least_pressure < LEAST_PRESSURE_RANGE - 1e-12 {
            return Err(line.error(Problem::OutOfRange { word: short(line.word(2)?) }));
        }
        Ok(())
    }

    fn time(&mut self, line: &Line<'_>) -> Result<(), EpanetError> {
        let (key, second) = (line.word(0)?, line.word(1)?);
        if is(key, "STAT") || is(key, "QUAL") || is(key, "MINI") {
            return Ok(());
        }
        let last = line.last();
        let before = line.words[line.words.len() - 2];
        let value = number(last).or_else(|| hours(last, "")).or_else(|| hours(before, last));
        let value =
            value.and_then(seconds).ok_or_else(|| line.error(Problem::NotATime { word: short(last) }))?;
        let times = &mut self.times;
        match key {
            _ if is(key, "DURA") => times.duration_s = value,
            _ if is(key, "HYDR") => times.hydraulic_step_s = value,
            _ if is(key, "RULE") => times.rule_step_s = value,
            _ if is(key, "PATT") && is(second, "TIME") => times.pattern_step_s = value,
            _ if is(key, "PATT") && is(second, "START") => times.pattern_start_s = value,
            _ if is(key, "REPO") && is(second, "TIME") => times.report_step_s = value,
            _ if is(key, "REPO") && is(second, "START") => {}
            _ if is(key, "PATT") || is(key, "REPO") => return Err(line.unknown(1)),
            _ if is(key, "START") => times.clock_start_s = value % 86_400,
            _ => return Err(line.unknown(0)),
        }
        Ok(())
    }

    fn finish(mut self) -> Settings {
        let times = &mut self.times;
        let or_hour = |step: i64| if step > 0 { step } else { 3_600 };
        times.pattern_step_s = or_hour(times.pattern_step_s);
        if times.report_step_s == 0 {
            times.report_step_s = times.pattern_step_s;
        }
        times.hydraulic_step_s =
            or_hour(times.hydraulic_step_s).min(times.pattern_step_s).min(times.report_step_s);
        if times.rule_step_s == 0 {
            times.rule_step_s = times.hydraulic_step_s / 10;
        }
        // Not so short that looking at rules takes for ever.
        const MOST_LOOKS: i64 = 100_000;
        let shortest = (times.hydraulic_step_s / MOST_LOOKS).max(1);
        times.rule_step_s = times.rule_step_s.clamp(shortest, times.hydraulic_step_s);
        let units = Units::new(self.flow_unit, self.pressure_unit, self.specific_gravity);
        let mut options = self.options;
        options.viscosity = match self.viscosity {
            None => VISCOSITY,
            // A large number is a multiple of water's.
            Some(value) if value > 1e-3 => value * VISCOSITY,
            Some(value) => value / (units.length * units.length),
        };
        options.head_error_ft = Some(self.head_error / units.length).filter(|limit| *limit > 0.0);
        options.flow_change_cfs = Some(self.flow_change / units.flow).filter(|limit| *limit > 0.0);
        options.pressure_driven = self.pressure_driven.then(|| PressureDriven {
            least_ft: self.least_pressure / units.pressure,
            required_ft: self.required_pressure / units.pressure,
            exponent: self.pressure_exponent,
        });
        Settings { options, times: self.times, units, default_pattern: self.default_pattern }
    }
}

/// A whole number that has to be there.
fn count(line: &Line<'_>, at: usize, least: f64) -> Result<u32, EpanetError> {
    let value = line.number(at)?;
    if (least..=1e4).contains(&value) {
        // Between 0 and ten thousand.
        Ok(value as u32)
    } else {
        Err(line.error(Problem::OutOfRange { word: short(line.word(at)?) }))
    }
}

/// Whether the format has an option of this name that does not matter here, or whose value is missing.
fn known(line: &Line<'_>) -> Result<(), EpanetError> {
    const KEYS: [&str; 27] = [
        "UNITS",
        "PRESS",
        "HEADL",
        "HYDR",
        "QUAL",
        "MAP",
        "VERI",
        "UNBA",
        "PATT",
        "DEMAND",
        "BACKFLOW",
        "EMIT",
        "VISC",
        "DIFF",
        "SPEC",
        "TRIAL",
        "ACCU",
        "HEADERROR",
        "FLOWCHANGE",
        "MINIMUM",
        "REQUIRED",
        "TOLER",
        "SEGM",
        "CHECKFREQ",
        "MAXCHECK",
        "DAMPLIMIT",
        "HTOL",
    ];
    if KEYS.iter().any(|key| is(line.words[0], key)) { Ok(()) } else { Err(line.unknown(0)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::importers::epanet::text::lines;

    fn settings(text: &str) -> Result<Settings, EpanetError> {
        read(lines(text).unwrap().iter())
    }

    #[test]
    fn defaults_and_steps_that_fit() {
        let plain = settings("").unwrap();
        assert_eq!((plain.options.trials, plain.options.accuracy), (200, 0.001));
        assert_eq!(plain.times.rule_step_s, 360);
        let fitted =
            settings("[TIMES]\nHydraulic Timestep 2:00\nPattern Timestep 1:00\nReport Timestep 0:30\n")
                .unwrap();
        assert_eq!(fitted.times.hydraulic_step_s, 1_800);
        let clock = settings("[TIMES]\nStart ClockTime 6 pm\nDuration 2 DAYS\n").unwrap();
        assert_eq!((clock.times.clock_start_s, clock.times.duration_s), (18 * 3_600, 48 * 3_600));
    }

    #[test]
    fn options() {
        let text = "[OPTIONS]\nUnits LPS\nHeadloss D-W\nPressure KPA\nViscosity 1.2\nUnbalanced Continue 10\nDemand Model PDA\n\
                    Minimum Pressure 1\nRequired Pressure 15\nPressure Exponent 0.7\nEmitter Exponent 0.8\nAccuracy 1e-9\n";
        let settings = settings(text).unwrap();
        assert_eq!(settings.options.head_loss, HeadLoss::DarcyWeisbach);
        assert_eq!(settings.units.pressure_unit, PressureUnit::Kpa);
        assert_eq!(settings.options.extra_trials, Some(10));
        assert_eq!(settings.options.accuracy, 1e-5, "the format's lower limit");
        let driven = settings.options.pressure_driven.unwrap();
        assert_eq!(driven.exponent, 0.7);
        assert!((driven.required_ft - 15.0 / settings.units.pressure).abs() < 1e-12);
        assert_eq!(settings.options.emitter_power, 1.25);
    }

    #[test]
    fn refusals_name_the_line() {
        let refuse =
            |text: &str, expected: &str| assert_eq!(settings(text).err().unwrap().to_string(), expected);
        refuse("[OPTIONS]\nUnits XYZ\n", "line 2, [OPTIONS]: `XYZ` is not known here");
        refuse("[OPTIONS]\n\nTrials -1\n", "line 3, [OPTIONS]: `-1` is out of range");
        refuse("[OPTIONS]\nWhat 1\n", "line 2, [OPTIONS]: `What` is not known here");
        refuse("[TIMES]\nDuration soon\n", "line 2, [TIMES]: `soon` is not a time");
        refuse("[TIMES]\nDuration -3\n", "line 2, [TIMES]: `-3` is not a time");
    }
}
