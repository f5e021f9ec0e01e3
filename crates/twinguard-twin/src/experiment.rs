//! Experiments on a plant's model: what it does under given inputs, its poles and zeros, its torques.
//!
//! Source of the form: the project's oracle files of reference plants (JSON: `plant`, `states`, `inputs`, `outputs`,
//! `parameters`, `operating_point`, `linear`, `cases` with `hold_s`, `x0`, `u`; robots `inverse_dynamics` and
//! `forward_dynamics`). Names, parameters and inputs come from the file, so that other files of the form run as well.
//!
//! `u[k]` is held from k · `hold_s` to (k + 1) · `hold_s`; `x[k]`, `y[k]` are at k · `hold_s`, `y[k]` with `u[k]` (the
//! last row with the last `u`). A closed-loop case is run on its recorded inputs.

use std::sync::Arc;

use serde_json::Value;

use crate::integrators::{DormandPrince, Tolerance};
use crate::modes::{Complex, System, eigenvalues};
use crate::problem::{Located, Place, Problem, nearest};
use crate::{Error, Model, TimeBase, registry};

/// Largest file in bytes, most cases, most samples of a case.
const BYTES: usize = 64 << 20;
const CASES: usize = 1_000;
const SAMPLES: usize = 1_000_000;

/// A course of inputs from a state.
#[derive(Clone, Debug, PartialEq)]
struct Case {
    name: String,
    hold_s: f64,
    start: Vec<f64>,
    inputs: Vec<Vec<f64>>,
    samples: usize,
}

/// A model with what is to be done with it.
#[derive(Clone)]
pub struct Experiment {
    /// The plant's name in the file.
    pub plant: String,
    model: Arc<dyn Model>,
    /// The model's outputs that the file asks for.
    shown: Vec<usize>,
    /// State and input of the linearisation.
    point: Option<(Vec<f64>, Vec<f64>)>,
    /// Inputs and outputs between which zeros are asked for.
    channels: Option<(Vec<usize>, Vec<usize>)>,
    cases: Vec<Case>,
    inverse: Vec<[Vec<f64>; 3]>,
    forward: Vec<[Vec<f64>; 3]>,
}

impl core::fmt::Debug for Experiment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "experiment on {} with {} cases", self.plant, self.cases.len())
    }
}

/// What a case came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its name.
    pub case: String,
    /// States, a row a sample.
    pub x: Vec<Vec<f64>>,
    /// Outputs, a row a sample.
    pub y: Vec<Vec<f64>>,
}

/// The linear system about the operating point, by rows, its poles and its zeros.
#[derive(Clone, Debug, PartialEq)]
pub struct Linearised {
    /// states × states.
    pub a: Vec<Vec<f64>>,
    /// states × inputs.
    pub b: Vec<Vec<f64>>,
    /// outputs × states.
    pub c: Vec<Vec<f64>>,
    /// outputs × inputs.
    pub d: Vec<Vec<f64>>,
    /// Poles, sorted.
    pub eigenvalues: Vec<Complex>,
    /// Zeros between the channels that the file names, sorted; `None` when it names none.
    pub transmission_zeros: Option<Vec<Complex>>,
}

struct Reader<'a> {
    file: &'a Arc<str>,
}

impl Reader<'_> {
    fn refuse(&self, problem: Problem) -> Error {
        Located { place: Place { file: self.file.clone(), line: 0, column: 0 }, problem }.into()
    }

    fn bad(&self, key: &str, reason: impl Into<String>) -> Error {
        self.refuse(Problem::Value { key: key.to_owned(), reason: reason.into() })
    }

    fn names(&self, value: &Value, key: &str) -> Result<Vec<String>, Error> {
        let list = value[key].as_array().ok_or_else(|| self.bad(key, "must be a list of names"))?;
        let text = |name: &Value| {
            name.as_str().map(str::to_owned).ok_or_else(|| self.bad(key, "must be a list of names"))
        };
        list.iter().map(text).collect()
    }

    fn numbers(&self, value: &Value, key: &str, length: usize) -> Result<Vec<f64>, Error> {
        let list = value.as_array().ok_or_else(|| self.bad(key, "must be a list of numbers"))?;
        if list.len() != length {
            return Err(self.bad(key, format!("has {} numbers, {length} are needed", list.len())));
        }
        list.iter()
            .map(|number| number.as_f64().filter(|number| number.is_finite()))
            .map(|number| number.ok_or_else(|| self.bad(key, "must be a list of numbers")))
            .collect()
    }

    fn rows(&self, value: &Value, key: &str, length: usize) -> Result<Vec<Vec<f64>>, Error> {
        let list = value.as_array().ok_or_else(|| self.bad(key, "must be a list of rows"))?;
        if list.len() > SAMPLES {
            return Err(self.refuse(Problem::TooMuch { what: "samples", count: list.len(), limit: SAMPLES }));
        }
        list.iter().map(|row| self.numbers(row, key, length)).collect()
    }

    /// Where each wanted name stands among the known ones.
    fn places(&self, what: &'static str, wanted: &[String], known: &[String]) -> Result<Vec<usize>, Error> {
        let place = |name: &String| {
            known.iter().position(|own| own == name).ok_or_else(|| {
                let nearest = nearest(name, known.iter().map(String::as_str));
                self.refuse(Problem::Unknown { what, name: name.clone(), nearest })
            })
        };
        wanted.iter().map(place).collect()
    }
}

/// The built-in model whose name begins the plant's name, with the file's parameters; lists are numbered from 0, lists of
/// lists by row and column. Numbers that the model does not know (derived ones) are left out.
fn model(reader: &Reader<'_>, file: &Value, plant: &str) -> Result<Arc<dyn Model>, Error> {
    let candidates = registry::models().iter().filter(|model| plant.starts_with(model.name));
    let built_in = candidates.max_by_key(|model| model.name.len()).ok_or_else(|| {
        let nearest = nearest(plant, registry::models().iter().map(|model| model.name));
        reader.refuse(Problem::Unknown { what: "plant", name: plant.to_owned(), nearest })
    })?;
    let mut given: Vec<(String, f64)> = Vec::new();
    for (name, value) in file["parameters"].as_object().into_iter().flatten() {
        given.extend(value.as_f64().map(|value| (name.clone(), value)));
        for (at, value) in value.as_array().into_iter().flatten().enumerate() {
            given.extend(value.as_f64().map(|value| (format!("{name}{at}"), value)));
            let inner = value.as_array().into_iter().flatten().enumerate();
            given.extend(inner.filter_map(|(to, value)| Some((format!("{name}{at}_{to}"), value.as_f64()?))));
        }
    }
    let plain = built_in.model(&[])?;
    given.retain(|(name, _)| plain.parameters().iter().any(|(own, _)| own == name));
    let given: Vec<(&str, f64)> = given.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    built_in.model(&given)
}

impl Experiment {
    /// Reads an experiment; `name` is the file's, for messages.
    ///
    /// # Errors
    /// [`Error::Plant`]: no JSON of this form, an unknown plant or name, lists of another length.
    pub fn parse(text: &str, name: &str) -> Result<Self, Error> {
        let file: Arc<str> = name.into();
        let reader = Reader { file: &file };
        if text.len() > BYTES {
            return Err(reader.refuse(Problem::TooMuch { what: "bytes", count: text.len(), limit: BYTES }));
        }
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            let place =
                Place { file: file.clone(), line: short(error.line()), column: short(error.column()) };
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default().to_owned();
            Error::from(Located { place, problem: Problem::Syntax { reason } })
        })?;
        let plant = value["plant"].as_str().ok_or_else(|| reader.bad("plant", "must be a name"))?.to_owned();
        let model = model(&reader, &value, &plant)?;
        for (what, key, own) in
            [("state", "states", model.state_names()), ("input", "inputs", model.input_names())]
        {
            let theirs = reader.names(&value, key)?;
            reader.places(what, &theirs, own)?;
            if own != theirs {
                return Err(reader.bad(key, format!("must be {}", own.join(", "))));
            }
        }
        let shown = reader.places("output", &reader.names(&value, "outputs")?, model.output_names())?;
        let (n, m) = (model.state_names().len(), model.input_names().len());
        let linear = &value["linear"];
        let at = if linear["at"].is_object() { &linear["at"] } else { &value["operating_point"] };
        let point = match at.is_object() {
            true => Some((reader.numbers(&at["x"], "x", n)?, reader.numbers(&at["u"], "u", m)?)),
            false => None,
        };
        let channels = match linear["zeros_for"].is_object() {
            true => Some((
                reader.places(
                    "input",
                    &reader.names(&linear["zeros_for"], "inputs")?,
                    model.input_names(),
                )?,
                reader.places(
                    "output",
                    &reader.names(&linear["zeros_for"], "outputs")?,
                    model.output_names(),
                )?,
            )),
            false => None,
        };
        let list = value["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
        if list.len() > CASES {
            return Err(reader.refuse(Problem::TooMuch { what: "cases", count: list.len(), limit: CASES }));
        }
        let case = |case: &Value| -> Result<Case, Error> {
            let hold_s = case["hold_s"].as_f64().filter(|hold| hold.is_finite() && *hold > 0.0);
            let inputs = reader.rows(&case["u"], "u", m)?;
            if inputs.is_empty() {
                return Err(reader.bad("u", "is empty"));
            }
            // One row of inputs may stand for a long run.
            let rows = |key: &str| case[key].as_array().map_or(0, Vec::len);
            Ok(Case {
                name: case["name"].as_str().unwrap_or_default().to_owned(),
                hold_s: hold_s.ok_or_else(|| reader.bad("hold_s", "must be a positive number"))?,
                start: reader.numbers(&case["x0"], "x0", n)?,
                samples: (inputs.len() + 1).max(rows("x")).max(rows("y")).min(SAMPLES),
                inputs,
            })
        };
        let torques = |key: &str, last: &str| -> Result<Vec<[Vec<f64>; 3]>, Error> {
            let list = value[key].as_array().map(Vec::as_slice).unwrap_or_default();
            let read = |entry: &Value, key: &str| reader.numbers(&entry[key], key, m);
            list.iter().map(|entry| Ok([read(entry, "q")?, read(entry, "qd")?, read(entry, last)?])).collect()
        };
        Ok(Self {
            cases: list.iter().map(case).collect::<Result<_, _>>()?,
            inverse: torques("inverse_dynamics", "qdd")?,
            forward: torques("forward_dynamics", "tau")?,
            plant,
            model,
            shown,
            point,
            channels,
        })
    }

    /// The outputs that a run shows, in its order.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.shown.iter().filter_map(|at| self.model.output_names().get(*at)).map(String::as_str)
    }

    /// How many cases it has.
    #[must_use]
    pub fn cases(&self) -> usize {
        self.cases.len()
    }

    /// Runs case `index`: adaptive Dormand–Prince steps (tolerance 1e-11), restarted at each hold.
    ///
    /// # Errors
    /// [`Error::NotFinite`] and [`Error::TooManySteps`] as the integrator, [`Error::Dimension`] for no such case.
    pub fn run(&self, index: usize) -> Result<Run, Error> {
        let case = self.cases.get(index).ok_or(Error::Dimension {
            what: "cases",
            expected: self.cases.len(),
            found: index + 1,
        })?;
        let model = &*self.model;
        let mut state = case.start.clone();
        let mut integrator = DormandPrince::new(state.len());
        let tolerance = Tolerance { absolute: 1e-11, relative: 1e-11, max_steps: 10_000_000 };
        let mut run = Run { case: case.name.clone(), x: Vec::new(), y: Vec::new() };
        let mut output = vec![0.0; model.output_names().len()];
        for sample in 0..case.samples {
            let Some(input) = case.inputs.get(sample).or(case.inputs.last()) else { break };
            model.output(0.0, &state, input, &mut output);
            run.y.push(self.shown.iter().filter_map(|at| output.get(*at).copied()).collect());
            run.x.push(state.clone());
            if sample + 1 == case.samples {
                break;
            }
            match model.time_base() {
                TimeBase::Continuous => {
                    let slope = |time: f64, x: &[f64], out: &mut [f64]| model.dynamics(time, x, input, out);
                    integrator.integrate(slope, 0.0, case.hold_s, tolerance, &mut state)?;
                }
                TimeBase::Discrete { step_s } => {
                    for _ in 0..(case.hold_s / step_s).round().clamp(1.0, 1e6) as u64 {
                        let mut next = vec![0.0; state.len()];
                        model.dynamics(0.0, &state, input, &mut next);
                        state = next;
                    }
                }
            }
        }
        Ok(run)
    }

    /// The linear system at the operating point; `None` when the file has none.
    ///
    /// # Errors
    /// As [`eigenvalues`] and [`System::zeros`].
    pub fn linearised(&self) -> Result<Option<Linearised>, Error> {
        let Some((state, input)) = &self.point else { return Ok(None) };
        let model = &*self.model;
        let (n, m, p) = (state.len(), input.len(), model.output_names().len());
        let [mut a, mut b, mut c, mut d] = [n * n, n * m, p * n, p * m].map(|size| vec![0.0; size]);
        model.dynamics_jacobian(0.0, state, input, &mut a, &mut b);
        model.output_jacobian(0.0, state, input, &mut c, &mut d);
        let entry = |matrix: &[f64], width: usize, row: usize, column: usize| {
            matrix.get(row * width + column).copied().unwrap_or_default()
        };
        let zeros = match &self.channels {
            Some((inputs, outputs)) if inputs.len() == outputs.len() => {
                let pick = |matrix: &[f64], width: usize, rows: &[usize], columns: &[usize]| -> Vec<f64> {
                    let cells = rows.iter().flat_map(|row| columns.iter().map(move |column| (*row, *column)));
                    cells.map(|(row, column)| entry(matrix, width, row, column)).collect()
                };
                let all: Vec<usize> = (0..n).collect();
                let system = System {
                    states: n,
                    inputs: inputs.len(),
                    a: a.clone(),
                    b: pick(&b, m, &all, inputs),
                    c: pick(&c, n, outputs, &all),
                    d: pick(&d, m, outputs, inputs),
                };
                Some(system.zeros()?)
            }
            _ => None,
        };
        let rows = |matrix: &[f64], width: usize| -> Vec<Vec<f64>> {
            matrix.chunks(width.max(1)).map(<[f64]>::to_vec).collect()
        };
        let asked = |matrix: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            self.shown.iter().filter_map(|at| matrix.get(*at).cloned()).collect()
        };
        Ok(Some(Linearised {
            eigenvalues: eigenvalues(&a, n)?,
            transmission_zeros: zeros,
            a: rows(&a, n),
            b: rows(&b, m),
            c: asked(rows(&c, n)),
            d: asked(rows(&d, m)),
        }))
    }

    /// Accelerations under the torques that the file asks about, a row each: the second half of the states' rates.
    #[must_use]
    pub fn accelerations(&self) -> Vec<Vec<f64>> {
        self.forward.iter().map(|[q, speed, torque]| self.acceleration(q, speed, torque)).collect()
    }

    fn acceleration(&self, q: &[f64], speed: &[f64], torque: &[f64]) -> Vec<f64> {
        let state = [q, speed].concat();
        let mut rate = vec![0.0; state.len()];
        self.model.dynamics(0.0, &state, torque, &mut rate);
        rate.split_off(q.len())
    }

    /// Torques for the accelerations that the file asks about, a row each: accelerations are affine in the torques.
    ///
    /// # Errors
    /// [`Error::NotPositive`] when the accelerations do not answer to the inputs one to one.
    pub fn torques(&self) -> Result<Vec<Vec<f64>>, Error> {
        let n = self.model.input_names().len();
        let solve = |[q, speed, wanted]: &[Vec<f64>; 3]| -> Result<Vec<f64>, Error> {
            let state = [q.as_slice(), speed].concat();
            let (mut by_state, mut by_input) =
                (vec![0.0; state.len() * state.len()], vec![0.0; state.len() * n]);
            let still = vec![0.0; n];
            self.model.dynamics_jacobian(0.0, &state, &still, &mut by_state, &mut by_input);
            let mut rows: Vec<Vec<f64>> =
                by_input.chunks(n.max(1)).skip(q.len()).map(<[f64]>::to_vec).collect();
            let mut right: Vec<f64> = wanted
                .iter()
                .zip(self.acceleration(q, speed, &still))
                .map(|(wanted, free)| wanted - free)
                .collect();
            if rows.len() != n || right.len() != n {
                return Err(Error::Dimension { what: "accelerations", expected: n, found: rows.len() });
            }
            for column in 0..n {
                let best =
                    (column..n).max_by(|i, j| rows[*i][column].abs().total_cmp(&rows[*j][column].abs()));
                let best = best.unwrap_or(column);
                if rows[best][column] == 0.0 {
                    return Err(Error::NotPositive { what: "answer to torques", index: column });
                }
                rows.swap(column, best);
                right.swap(column, best);
                for at in column + 1..n {
                    let factor = rows[at][column] / rows[column][column];
                    let pivot = rows[column].clone();
                    rows[at].iter_mut().zip(pivot).for_each(|(entry, pivot)| *entry -= factor * pivot);
                    right[at] -= factor * right[column];
                }
            }
            for row in (0..n).rev() {
                let known: f64 = (row + 1..n).map(|column| rows[row][column] * right[column]).sum();
                right[row] = (right[row] - known) / rows[row][row];
            }
            Ok(right)
        };
        self.inverse.iter().map(solve).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TANKS: &str = r#"{"plant": "quadruple_tank_small", "states": ["h1_cm", "h2_cm", "h3_cm", "h4_cm"],
        "inputs": ["v1_V", "v2_V"], "outputs": ["y2_V"], "parameters": {"k1": 3.0, "derived": 1},
        "operating_point": {"x": [12.0, 12.0, 1.6, 1.4], "u": [3.0, 3.0]},
        "linear": {"zeros_for": {"inputs": ["v2_V"], "outputs": ["y2_V"]}},
        "cases": [{"name": "rest", "hold_s": 5.0, "x0": [1.0, 2.0, 3.0, 4.0], "u": [[0.0, 0.0], [1.0, 0.0]]}]}"#;

    #[test]
    fn an_experiment_reads_everything_from_its_file() {
        let experiment = Experiment::parse(TANKS, "tanks.json").unwrap();
        let run = experiment.run(0).unwrap();
        assert_eq!((run.x.len(), run.y.len(), run.y[0].clone()), (3, 3, vec![1.0]));
        assert!(run.x[1][2] < 3.0, "{:?}", run.x);
        let linear = experiment.linearised().unwrap().unwrap();
        assert_eq!((linear.eigenvalues.len(), linear.c.len()), (4, 1));
        assert!(experiment.run(1).is_err());
    }

    #[test]
    fn mistakes_are_named() {
        for (from, to, expected) in [
            ("quadruple_tank_small", "quadruple", "unknown plant `quadruple`"),
            ("\"y2_V\"],", "\"y3_V\"],", "unknown output `y3_V`, did you mean"),
            ("[1.0, 2.0, 3.0, 4.0]", "[1.0]", "`x0` has 1 numbers, 4 are needed"),
            ("5.0", "-5.0", "`hold_s` must be a positive number"),
            ("\"cases\"", "\"cases", "tanks.json:5:"),
        ] {
            let error = Experiment::parse(&TANKS.replace(from, to), "tanks.json").unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
