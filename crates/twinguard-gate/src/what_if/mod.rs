//! The consequence of a command, from a fork of the twin.
//!
//! The command runs ahead on the twin over the horizon of each never-exceed limit, together with what was let through and
//! has not reached the twin yet, beside the same without it. The bound around the mean has three parts: k σ of the state,
//! process and parameters as the filter knows them, widened by how the twin does ([`Confidence`]); the mean innovation of
//! the output, and how far the plant moves in five sampling periods, by which telemetry may be late; and a share of the
//! excursion, for what the model itself gets wrong. Nothing is believed of a twin that is
//! stale, diverged or accused.
//!
//! All of it is asked twice: from where the twin is, and from where the plant would be if sensors had said lately what they
//! usually say ([`reckoning`]). A sensor that lies moves the twin's state, and the what-if would start from the lie.
//!
//! Source: simplex architecture, L. Sha, "Using simplicity to control complexity", IEEE Software 18(4), 2001 (admit a command
//! only if the plant can still be brought back); IEC 62443-3-3 SR 3.6 (deterministic output under attack).

mod certificate;
mod confidence;
mod path;
mod reckoning;
mod response;

use twinguard_twin::Twin;
use twinguard_twin::plant::{Dynamics, Form, LimitKind, Plant};
use twinguard_twin::whatif::{Margin, WhatIf};
use twinguard_types::{Duration, SignalId, Timestamp};

pub use certificate::{Certificate, Flaw, Start, Tube};
pub(crate) use certificate::{inputs_of, starts_of, state_digest};
pub use confidence::Confidence;
use response::Responses;

/// Sampling periods by which telemetry may be late, beyond what its times say.
const LATE_PERIODS: f64 = 5.0;

/// How the bound around the mean is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Width {
    /// Standard deviations.
    pub(crate) sigmas: f64,
    /// Share of the mean's excursion that the model may get wrong.
    pub(crate) model_error: f64,
}

/// What the simulation says about a command.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Foresight {
    /// No never-exceed limit is reached, worst case; the least margin with its signal, and the tube.
    Clear { margin: Option<(SignalId, f64)>, tubes: Vec<Tube> },
    /// A limit is reached, but no deeper than without the command.
    NoWorse { margin: (SignalId, f64) },
    /// A limit is reached because of the command.
    Crosses { margin: (SignalId, f64), after: Duration },
    /// The model does not hold this signal: a set-point acts through a controller.
    NotModelled,
    /// The twin cannot say, and why.
    Unknown(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Watched {
    index: usize,
    signal: SignalId,
    /// Which of the model's outputs it is.
    column: Option<usize>,
    min: f64,
    max: f64,
    rate: bool,
    horizon: usize,
}

/// A limit's least margin in one run, in the signal's unit, and when it is first crossed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Outlook {
    least: f64,
    crossed: Option<Duration>,
    rate: f64,
}

/// One future: means and standard deviations of all outputs over time.
#[derive(Clone, Debug, Default)]
struct Run {
    times: Vec<f64>,
    /// One for each start.
    means: Vec<Vec<f64>>,
    sigmas: Vec<f64>,
    /// How limits on inputs and on rates stand.
    margins: Vec<Margin>,
}

/// Looks ahead for one plant.
#[derive(Debug)]
pub(crate) struct Lookahead {
    limits: Vec<Watched>,
    horizons: Vec<Duration>,
    /// How late telemetry may be without anybody noticing, seconds.
    late_s: f64,
    pub(crate) dynamics: Option<Dynamics>,
    /// Whether what a command adds does not depend on the state, and every limit is on an output's value.
    linear: bool,
    /// Runs without the command, for as long as the twin stands where it stood.
    baseline: Option<Baseline>,
    responses: Responses,
}

impl Outlook {
    /// Takes in the margin at a time, which is given back.
    fn take(&mut self, time_s: f64, margin: f64) -> Duration {
        // What is not a number is beyond every limit.
        let margin = if margin.is_nan() { f64::NEG_INFINITY } else { margin };
        let after = Duration::from_secs_f64(time_s).unwrap_or(Duration::MAX);
        if margin < 0.0 && self.crossed.is_none() {
            self.crossed = Some(after);
        }
        self.least = self.least.min(margin);
        after
    }
}

#[derive(Debug)]
struct Baseline {
    clock: Timestamp,
    /// States and pushes of all starts, and inputs.
    state: Vec<u64>,
    /// Linear plants: without what is pending, which is added to it.
    bare: Vec<Run>,
    pending: Vec<(SignalId, f64)>,
    runs: Vec<Run>,
}

impl Lookahead {
    pub(crate) fn new(plant: &Plant) -> Self {
        // What the twin knows is one to two slots old.
        let behind = Duration::from_nanos(plant.time.sampling.as_nanos().saturating_mul(2));
        let reach = |horizon: Duration| horizon + behind;
        let mut horizons: Vec<Duration> = plant
            .limits
            .iter()
            .filter(|limit| limit.kind == LimitKind::NeverExceed && limit.horizon > Duration::ZERO)
            .map(|limit| reach(limit.horizon))
            .collect();
        horizons.sort_unstable();
        horizons.dedup();
        let column = |signal: SignalId| {
            plant.dynamics.as_ref()?.outputs.iter().position(|output| *output == Some(signal))
        };
        let limits = plant.limits.iter().enumerate().filter_map(|(index, limit)| {
            Some(Watched {
                index,
                signal: limit.signal,
                column: column(limit.signal),
                min: limit.min.unwrap_or(f64::NEG_INFINITY),
                max: limit.max.unwrap_or(f64::INFINITY),
                rate: limit.rate.is_some(),
                horizon: horizons
                    .binary_search(&reach(limit.horizon))
                    .ok()
                    .filter(|_| limit.kind == LimitKind::NeverExceed)?,
            })
        });
        let limits: Vec<Watched> = limits.collect();
        let matrices = plant.dynamics.as_ref().is_some_and(|it| matches!(it.form, Form::Linear(_)));
        Self {
            linear: matrices && limits.iter().all(|limit| limit.column.is_some() && !limit.rate),
            limits,
            horizons,
            late_s: LATE_PERIODS * plant.time.sampling.as_secs_f64(),
            dynamics: plant.dynamics.clone(),
            baseline: None,
            responses: Responses::default(),
        }
    }

    /// Whether there is anything to look ahead for.
    pub(crate) fn watches(&self) -> bool {
        !self.limits.is_empty()
    }

    /// Looks ahead with a signal held at a value on top of what is `pending`, and without it.
    pub(crate) fn foresee(
        &mut self,
        twin: &Twin,
        confidence: &Confidence,
        pending: &[(SignalId, f64)],
        hold: (SignalId, f64),
        width: Width,
    ) -> Foresight {
        let Some(clock) = twin.clock() else {
            return Foresight::Unknown("the twin has not seen the plant yet".to_owned());
        };
        let modelled = self.dynamics.as_ref().is_some_and(|it| it.inputs.contains(&Some(hold.0)));
        if !modelled {
            return Foresight::NotModelled;
        }
        if let Err(why) = self.settle(twin, confidence, clock, pending) {
            return Foresight::Unknown(why);
        }
        let now = twin.estimate(hold.0).map_or(f64::NAN, |estimate| estimate.mean);
        let before = pending.iter().rev().find(|(signal, _)| *signal == hold.0).map_or(now, |(_, it)| *it);
        let with = match self.run(twin, confidence, pending, hold, hold.1 - before) {
            Ok(with) => with,
            Err(why) => return Foresight::Unknown(why),
        };
        let without = self.baseline.as_ref().map_or(&[][..], |baseline| baseline.runs.as_slice());
        let mut weighed = Weighed::default();
        let mut tubes = Vec::with_capacity(self.limits.len());
        for limit in &self.limits {
            let (Some(with), Some(without)) = (with.get(limit.horizon), without.get(limit.horizon)) else {
                continue;
            };
            let mut tube = Tube::new(limit.index, limit.signal);
            for (start, means) in without.means.iter().enumerate() {
                let bias = confidence.bias(limit.signal) + limit.motion(&without.times, means, self.late_s);
                let found = limit.outlook(with, start, width, bias, Some(&mut tube));
                weighed.weigh(limit.signal, found, || limit.outlook(without, start, width, bias, None));
            }
            tubes.push(tube);
        }
        tubes.retain(|tube| !tube.times.is_empty());
        match weighed {
            Weighed { worse: Some((margin, after)), .. } => Foresight::Crosses { margin, after },
            Weighed { beyond: Some(margin), .. } => Foresight::NoWorse { margin },
            Weighed { nearest, .. } => Foresight::Clear { margin: nearest, tubes },
        }
    }

    /// Runs without the command, anew when the twin or what is pending has moved on.
    fn settle(
        &mut self,
        twin: &Twin,
        confidence: &Confidence,
        clock: Timestamp,
        pending: &[(SignalId, f64)],
    ) -> Result<(), String> {
        let Some(dynamics) = &self.dynamics else { return Ok(()) };
        let inputs = inputs_of(twin, dynamics);
        let starts = starts_of(twin, confidence);
        let stands = starts.iter().flat_map(|start| start.state.iter().chain(&start.push));
        let state: Vec<u64> = stands.chain(&inputs).map(|it| it.to_bits()).collect();
        let stands = |it: &Baseline| it.clock == clock && it.state == state;
        let before = self.baseline.take().filter(stands);
        if before.as_ref().is_some_and(|it| it.pending == pending) {
            self.baseline = before;
            return Ok(());
        }
        let anew = |holds| simulate(twin, dynamics, confidence, &self.horizons, holds);
        let bare = match before {
            Some(before) if self.linear => before.bare,
            _ if self.linear => anew(&[])?,
            _ => Vec::new(),
        };
        let mut held = inputs.clone();
        hold(dynamics, &mut held, pending);
        let mut changes =
            dynamics.inputs.iter().zip(held.iter().zip(&inputs)).filter(|(_, (to, from))| to != from);
        let mut runs = bare.clone();
        let added = self.linear
            && changes.all(|(signal, (to, from))| {
                let change = to - from;
                let added = signal.filter(|_| change.is_finite()).and_then(|signal| {
                    self.responses.add(dynamics, &self.horizons, &mut runs, signal, change)
                });
                added.is_some()
            });
        if !added {
            runs = anew(pending)?;
        }
        self.baseline = Some(Baseline { clock, state, bare, pending: pending.to_vec(), runs });
        Ok(())
    }

    fn run(
        &mut self,
        twin: &Twin,
        confidence: &Confidence,
        pending: &[(SignalId, f64)],
        hold: (SignalId, f64),
        change: f64,
    ) -> Result<Vec<Run>, String> {
        let Some(dynamics) = &self.dynamics else { return Ok(Vec::new()) };
        if self.linear
            && change.is_finite()
            && let Some(baseline) = &self.baseline
        {
            let mut with = baseline.runs.clone();
            if self.responses.add(dynamics, &self.horizons, &mut with, hold.0, change).is_some() {
                return Ok(with);
            }
        }
        let mut holds = pending.to_vec();
        holds.push(hold);
        simulate(twin, dynamics, confidence, &self.horizons, &holds)
    }
}

/// What all runs together say.
#[derive(Debug, Default)]
struct Weighed {
    /// The least margin of a limit that is kept.
    nearest: Option<(SignalId, f64)>,
    /// The least margin of one that is passed without the command as well.
    beyond: Option<(SignalId, f64)>,
    /// The least margin of one that the command passes, and when.
    worse: Option<((SignalId, f64), Duration)>,
}

impl Weighed {
    /// Takes in how a run stands to a limit, and the same run without the command.
    fn weigh(&mut self, signal: SignalId, found: Option<Outlook>, held: impl FnOnce() -> Option<Outlook>) {
        let Some(found) = found else { return };
        let deeper = |known: Option<(SignalId, f64)>, least: f64| known.is_none_or(|(_, it)| least < it);
        let least = found.least.min(found.rate);
        if least >= 0.0 {
            if deeper(self.nearest, least) {
                self.nearest = Some((signal, least));
            }
            return;
        }
        // The way to a safer state is never barred: what counts is whether the command makes it worse.
        let no_worse = held().is_some_and(|held| {
            (found.least >= 0.0 || found.least >= held.least)
                && (found.rate >= 0.0 || found.rate >= held.rate)
        });
        if no_worse {
            if deeper(self.beyond, least) {
                self.beyond = Some((signal, least));
            }
        } else if self.worse.is_none_or(|((_, it), _)| least < it) {
            self.worse = Some(((signal, least), found.crossed.unwrap_or(Duration::ZERO)));
        }
    }
}

/// One run for each horizon: the mean along a path of our own, the spread from the twin's fork.
fn simulate(
    twin: &Twin,
    dynamics: &Dynamics,
    confidence: &Confidence,
    horizons: &[Duration],
    holds: &[(SignalId, f64)],
) -> Result<Vec<Run>, String> {
    let mut fork = twin.fork();
    let mut inputs = inputs_of(twin, dynamics);
    hold(dynamics, &mut inputs, holds);
    let starts = starts_of(twin, confidence);
    let mut one = |horizon: &Duration| {
        let lost = || "the model leaves the finite numbers before the horizon".to_owned();
        let spread = fork
            .simulate(*horizon, holds)
            .map_err(|error| format!("the model cannot follow the command: {error}"))?;
        // A step of a discrete model may end beyond the horizon, one of a continuous model a rounding before it.
        if spread.reached + Duration::from_micros(1) < fork.at() + *horizon {
            return Err(lost());
        }
        let mut run = Run::default();
        for start in &starts {
            let path = path::run(dynamics, &start.state, &inputs, &start.push, *horizon).ok_or_else(lost)?;
            run.times = path.times;
            run.means.push(path.outputs);
        }
        run.sigmas = sigmas(dynamics, &run.times, &spread);
        run.margins = spread.margins;
        Ok(run)
    };
    horizons.iter().map(&mut one).collect()
}

/// Puts values that are held in the place of inputs; the last one of a signal counts.
fn hold(dynamics: &Dynamics, inputs: &mut [f64], holds: &[(SignalId, f64)]) {
    for (signal, value) in holds {
        let place = dynamics.inputs.iter().position(|input| *input == Some(*signal));
        if let Some(input) = place.and_then(|at| inputs.get_mut(at)) {
            *input = *value;
        }
    }
}

/// Standard deviations of all outputs at other times: the larger one of the two samples around each.
fn sigmas(dynamics: &Dynamics, times: &[f64], spread: &WhatIf) -> Vec<f64> {
    let columns: Vec<Option<usize>> = dynamics
        .outputs
        .iter()
        .map(|output| spread.signals.iter().position(|signal| Some(*signal) == *output))
        .collect();
    let start = spread.times.first().copied().unwrap_or(Timestamp::ZERO);
    let known: Vec<f64> = spread.times.iter().map(|at| at.since(start).as_secs_f64()).collect();
    let width = spread.signals.len();
    let at = |row: usize, column: usize| {
        spread.trajectory.get(row * width + column).map_or(f64::NAN, |(_, sigma)| *sigma)
    };
    let mut row = 0;
    let mut sigmas = Vec::with_capacity(times.len() * columns.len());
    for time in times {
        while row + 1 < known.len() && known.get(row + 1).is_some_and(|next| next < time) {
            row += 1;
        }
        let next = (row + 1).min(known.len().saturating_sub(1));
        sigmas.extend(
            columns.iter().map(|column| column.map_or(0.0, |column| at(row, column).max(at(next, column)))),
        );
    }
    sigmas
}

impl Watched {
    /// How far the plant moves without the command while telemetry may be late.
    fn motion(&self, times: &[f64], means: &[f64], late_s: f64) -> f64 {
        let columns = (means.len() / times.len().max(1)).max(1);
        let Some(column) = self.column else { return 0.0 };
        let mut values = means.chunks_exact(columns).filter_map(|row| row.get(column));
        let Some(first) = values.next() else { return 0.0 };
        let later = times.iter().skip(1).zip(values);
        // One sample beyond: samples may be further apart than telemetry is late.
        let mut most = 0.0f64;
        for (time_s, value) in later {
            let share = (late_s / time_s).min(1.0);
            most = most.max(share * (value - first).abs());
            if *time_s >= late_s {
                break;
            }
        }
        most
    }

    /// How a run from one of its starts stands to this limit; `None` where the model does not know its signal. Widens a tube where
    /// one is given.
    fn outlook(
        &self,
        run: &Run,
        start: usize,
        width: Width,
        bias: f64,
        mut tube: Option<&mut Tube>,
    ) -> Option<Outlook> {
        let means = run.means.get(start)?;
        let margin = || run.margins.iter().find(|margin| margin.limit == self.index);
        let rate = if self.rate { margin()?.least_rate.unwrap_or(f64::INFINITY) } else { f64::INFINITY };
        let Some(column) = self.column else {
            // A limit on an input: it is what it is held at.
            let least = margin()?.least;
            return Some(Outlook { least, crossed: None, rate });
        };
        let columns = means.len() / run.times.len().max(1);
        let mut found = Outlook { least: f64::INFINITY, crossed: None, rate };
        let (mut first, mut excursion) = (f64::NAN, 0.0f64);
        let rows = means.chunks_exact(columns.max(1)).zip(run.sigmas.chunks_exact(columns.max(1)));
        for (row, (time_s, (means, sigmas))) in run.times.iter().zip(rows).enumerate() {
            let (Some(mean), Some(sigma)) = (means.get(column), sigmas.get(column)) else { continue };
            if first.is_nan() {
                first = *mean;
            }
            excursion = excursion.max((mean - first).abs());
            let spread = width.sigmas * sigma + bias + width.model_error * excursion;
            let (low, high) = (mean - spread, mean + spread);
            let after = found.take(*time_s, (self.max - high).min(low - self.min));
            if let Some(tube) = tube.as_deref_mut() {
                tube.cover(row, after, low, high);
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests;
