//! Set-points of any plant that has a twin: sequential linear programs around what-if runs.
//!
//! Source: R. Fletcher, E. Sainz de la Maza, *Math. Program.* 43 (1989) 235 (successive linear programming with a trust
//! region and an exact penalty); slopes by one run a lever. What is advised is what was run: the last what-if, with the
//! plant's own uncertainty, keeps every limit with the reserve that was asked for, or there is no advice.
//!
//! **When it lies:** inputs that are no levers hold what they have; a local optimum is all that slopes can find.

use twinguard_types::{Duration, SignalId};

use super::{Program, Row};
use crate::{Error, Fork, WhatIf};

/// An input that may be set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lever {
    /// The input.
    pub signal: SignalId,
    /// Lowest value.
    pub min: f64,
    /// Highest value.
    pub max: f64,
    /// What it is set to now: where the search starts.
    pub now: f64,
    /// Cost of one unit.
    pub price: f64,
}

/// A signal of the model that should be near a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Track {
    /// The output.
    pub signal: SignalId,
    /// Where it should be.
    pub target: f64,
    /// Cost of a mean square deviation of one over the horizon.
    pub weight: f64,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What may be set.
    pub levers: Vec<Lever>,
    /// What should be near a value.
    pub track: Vec<Track>,
    /// How far ahead limits have to hold.
    pub horizon: Duration,
    /// How far every limit is kept clear of, in its signal's unit.
    pub reserve: f64,
    /// The most rounds.
    pub rounds: usize,
}

impl Request {
    /// The cheapest values of these levers, without a reserve beyond the twin's own uncertainty.
    #[must_use]
    pub fn new(levers: Vec<Lever>, horizon: Duration) -> Self {
        Self { levers, track: Vec::new(), horizon, reserve: 0.0, rounds: 30 }
    }
}

/// Values that were tried on the twin and hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// Each lever's signal and value.
    pub values: Vec<(SignalId, f64)>,
    /// Cost of these values.
    pub cost: f64,
    /// Cost of what is set now, whether or not it keeps the limits.
    pub cost_now: f64,
    /// What the twin says will happen with them.
    pub outlook: WhatIf,
    /// Rounds made.
    pub rounds: usize,
}

/// A run of the twin.
struct Trial {
    values: Vec<f64>,
    tracking: f64,
    outlook: WhatIf,
}

/// How much further than the reserve a step aims: solvers and slopes are not exact.
const CUSHION: f64 = 1e-6;
/// Cost of being one unit beyond a limit, in units of the largest slope of the cost.
const PENALTY: f64 = 1e4;

/// The cheapest values that keep all limits.
///
/// # Errors
/// [`Error::NotModelled`] for a lever that is no input; [`Error::NotFinite`] for a number that is not or a lever without a
/// range; [`Error::NoOptimum`] when nothing that was tried keeps every limit over the whole horizon.
pub fn set_points(fork: &mut Fork, request: &Request) -> Result<Advice, Error> {
    for lever in &request.levers {
        let numbers = [lever.min, lever.max, lever.now, lever.price];
        if !numbers.iter().all(|number| number.is_finite()) || lever.min > lever.max {
            return Err(Error::NotFinite { what: "range of a lever", time_s: 0.0 });
        }
    }
    let start = request.levers.iter().map(|lever| lever.now.clamp(lever.min, lever.max)).collect();
    let mut best = run(fork, request, start)?;
    let cost_now = price(request, &best.values) + best.tracking;
    let mut kept: Option<Trial> = None;
    let mut radius = 0.25;
    let mut rounds = 0;
    while rounds < request.rounds && radius > 1e-4 {
        rounds += 1;
        let slopes = slopes(fork, request, &best)?;
        let Some(values) = step(request, &best, &slopes, radius)? else { break };
        let trial = run(fork, request, values)?;
        if merit(request, &trial) < merit(request, &best) - 1e-12 {
            let left = core::mem::replace(&mut best, trial);
            // The cheapest that keeps every limit stays at hand.
            if violation(request, &left) <= 0.0 {
                kept = Some(left);
            }
            radius = (radius * 1.5).min(1.0);
        } else {
            radius *= 0.4;
        }
    }
    if violation(request, &best) > 0.0 {
        best = kept.ok_or(Error::NoOptimum { reason: "nothing that was tried keeps all limits" })?;
    }
    let cost = price(request, &best.values) + best.tracking;
    let signals = request.levers.iter().map(|lever| lever.signal);
    Ok(Advice { values: signals.zip(best.values).collect(), cost, cost_now, outlook: best.outlook, rounds })
}

fn run(fork: &mut Fork, request: &Request, values: Vec<f64>) -> Result<Trial, Error> {
    let holds: Vec<(SignalId, f64)> =
        request.levers.iter().zip(&values).map(|(lever, value)| (lever.signal, *value)).collect();
    let outlook = fork.simulate(request.horizon, &holds)?;
    if outlook.reached < fork.at() + request.horizon {
        return Err(Error::NoOptimum { reason: "the model did not reach the horizon" });
    }
    let mut tracking = 0.0;
    for track in &request.track {
        let Some(column) = outlook.signals.iter().position(|signal| *signal == track.signal) else {
            return Err(Error::NotModelled { signal: track.signal.0 });
        };
        let means = outlook.trajectory.chunks_exact(outlook.signals.len()).map(|row| row[column].0);
        let square: f64 = means.map(|mean| (mean - track.target) * (mean - track.target)).sum();
        tracking += track.weight * square / outlook.times.len().max(1) as f64;
    }
    Ok(Trial { values, tracking, outlook })
}

fn price(request: &Request, values: &[f64]) -> f64 {
    request.levers.iter().zip(values).map(|(lever, value)| lever.price * value).sum()
}

/// How far the worst limit is from being kept.
fn violation(request: &Request, trial: &Trial) -> f64 {
    let beyond = trial.outlook.margins.iter().map(|margin| request.reserve - margin.least);
    beyond.fold(0.0, f64::max)
}

fn scale(request: &Request) -> f64 {
    request.levers.iter().map(|lever| (lever.price * (lever.max - lever.min)).abs()).fold(1.0, f64::max)
}

fn merit(request: &Request, trial: &Trial) -> f64 {
    price(request, &trial.values) + trial.tracking + PENALTY * scale(request) * violation(request, trial)
}

/// For each lever: how tracking and each margin change with it.
fn slopes(fork: &mut Fork, request: &Request, at: &Trial) -> Result<Vec<(f64, Vec<f64>)>, Error> {
    let mut slopes = Vec::with_capacity(request.levers.len());
    for (index, lever) in request.levers.iter().enumerate() {
        let range = lever.max - lever.min;
        // Towards the middle, so that the trial stays in range.
        let sign = if at.values[index] > lever.min + range / 2.0 { -1.0 } else { 1.0 };
        let change = sign * 1e-3 * range;
        if change == 0.0 {
            slopes.push((0.0, vec![0.0; at.outlook.margins.len()]));
            continue;
        }
        let mut values = at.values.clone();
        values[index] += change;
        let near = run(fork, request, values)?;
        let margins = near.outlook.margins.iter().zip(&at.outlook.margins);
        let margins = margins.map(|(near, at)| (near.least - at.least) / change).collect();
        slopes.push(((near.tracking - at.tracking) / change, margins));
    }
    Ok(slopes)
}

/// The best step of the linearised problem within the radius (a share of each range); `None` when there is none to take.
fn step(
    request: &Request,
    at: &Trial,
    slopes: &[(f64, Vec<f64>)],
    radius: f64,
) -> Result<Option<Vec<f64>>, Error> {
    // Variables: one step a lever, and one by which limits may be missed.
    let n = request.levers.len();
    let mut linear: Vec<f64> =
        request.levers.iter().zip(slopes).map(|(lever, (tracking, _))| lever.price + tracking).collect();
    linear.push(PENALTY * scale(request));
    let mut rows = vec![Row { terms: vec![(n, 1.0)], min: 0.0, max: f64::INFINITY }];
    for (index, lever) in request.levers.iter().enumerate() {
        let (value, reach) = (at.values[index], radius * (lever.max - lever.min));
        let (min, max) = ((lever.min - value).max(-reach), (lever.max - value).min(reach));
        rows.push(Row { terms: vec![(index, 1.0)], min, max });
    }
    for (limit, margin) in at.outlook.margins.iter().enumerate() {
        let mut terms: Vec<(usize, f64)> =
            slopes.iter().enumerate().map(|(index, (_, margins))| (index, margins[limit])).collect();
        terms.push((n, 1.0));
        rows.push(Row {
            terms,
            min: request.reserve + CUSHION * margin.least.abs().max(1.0) - margin.least,
            max: f64::INFINITY,
        });
    }
    let found = Program { quadratic: vec![], linear, rows }.solve()?;
    let moved = found.x.iter().take(n).zip(&request.levers);
    if moved.clone().all(|(step, lever)| step.abs() <= 1e-7 * (lever.max - lever.min)) {
        return Ok(None);
    }
    let values =
        moved.zip(&at.values).map(|((step, lever), value)| (value + step).clamp(lever.min, lever.max));
    Ok(Some(values.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plant, Twin};

    /// A tank that leaks a tenth a second, filled by a pump; it must hold at least one and at most three metres.
    const TANK: &str = "format = 1\nname = 'tank'\n\
        [[signal]]\npath = 'tank.level'\nunit = 'm'\nsigma = 0.01\n\
        [[signal]]\npath = 'tank.pump'\nrole = 'actuator'\nrange = [0, 1]\n\
        [dynamics]\nkind = 'differential'\nequations = 'd(h)/dt = 0.4 * pump - 0.1 * h'\n\
        states = { h = { initial = 2.0, sigma = 1e-6, process_sigma = 1e-9 } }\n\
        inputs = { pump = 'tank.pump' }\noutputs = { h = 'tank.level' }\n\
        [[limit]]\nsignal = 'tank.level'\nmin = 1.0\nmax = 3.0\n";

    fn advise(change: impl FnOnce(&mut Request)) -> Result<Advice, Error> {
        let plant = Plant::parse(TANK, "tank.toml")?;
        let [level, pump] = ["tank.level", "tank.pump"].map(|path| plant.catalogue.id(path).unwrap());
        let lever = Lever { signal: pump, min: 0.0, max: 1.0, now: 0.6, price: 1.0 };
        let mut request = Request::new(vec![lever], Duration::from_secs(600));
        request.track.push(Track { signal: level, target: 2.0, weight: 0.0 });
        change(&mut request);
        set_points(&mut Twin::new(&plant)?.fork(), &request)
    }

    #[test]
    fn the_cheapest_pump_holds_the_lower_limit() {
        // At rest h = 4 pump: a quarter holds one metre.
        let advice = advise(|_| {}).unwrap();
        assert!((advice.values[0].1 - 0.25).abs() < 1e-3, "{advice:?}");
        assert!(advice.values[0].1 >= 0.25 - 1e-6 && advice.cost < advice.cost_now);
        let advice = advise(|request| request.reserve = 0.4).unwrap();
        assert!((advice.values[0].1 - 0.35).abs() < 1e-3, "{advice:?}");
    }

    #[test]
    fn limits_come_before_prices_and_wishes() {
        // More level is wanted than the limit allows.
        let advice = advise(|request| {
            request.levers[0].price = -10.0;
            request.track[0].weight = 0.0;
        })
        .unwrap();
        assert!((advice.values[0].1 - 0.75).abs() < 1e-3 && advice.values[0].1 <= 0.75 + 1e-6, "{advice:?}");
        // From outside the envelope it comes back.
        let advice = advise(|request| request.levers[0].now = 0.0).unwrap();
        assert!(advice.values[0].1 >= 0.25 - 1e-6);
    }

    #[test]
    fn a_target_is_followed() {
        let advice = advise(|request| {
            request.levers[0].price = 0.0;
            (request.track[0].target, request.track[0].weight) = (2.0, 1.0);
        })
        .unwrap();
        assert!((advice.values[0].1 - 0.5).abs() < 0.01, "{advice:?}");
    }

    #[test]
    fn nothing_is_advised_where_nothing_holds() {
        let error = advise(|request| request.reserve = 1.2).unwrap_err();
        assert!(matches!(error, Error::NoOptimum { .. }));
        assert!(advise(|request| request.levers[0].min = 2.0).is_err());
    }
}
