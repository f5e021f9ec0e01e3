//! The plant description: one declarative file that people can read and a seal can cover.
//!
//! Source of the form: `docs/src/plant-file.md`; zones and conduits as in IEC 62443-3-2, limits as in ISA-18.2 and IEC 61511 practice.
//!
//! ```
//! let text = r#"
//! format = 1
//! name = "tank"
//! [[signal]]
//! path = "tank.level"
//! unit = "m"
//! sigma = 0.01
//! [[point]]
//! signal = "tank.level"
//! protocol = "modbus"
//! tag = "u1/ir/0"
//! type = "u16"
//! scale = 0.001
//! "#;
//! let plant = twinguard_twin::Plant::parse(text, "plant.toml")?;
//! assert_eq!(plant.bindings.len(), 1);
//! let error = twinguard_twin::Plant::parse(&text.replace("sigma", "sgima"), "plant.toml").unwrap_err();
//! assert_eq!(error.to_string(), "plant.toml:7:1: unknown key `sgima`, did you mean `sigma`?");
//! # Ok::<(), twinguard_twin::Error>(())
//! ```

mod document;
mod dynamics;
mod parse;
mod policy;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use twinguard_types::{Binding, Bundle, Catalogue, Digest, Duration, SignalId};

pub use self::{
    policy::{BadNetwork, Effect, Network, Party, Rule, Verb, Window, Zone},
    schema::{json_schema, reference},
};
use crate::{
    Error, Model,
    problem::{Located, Place, Problem},
};

/// A plant as its file describes it. Every id is of this plant's `catalogue`; every number is finite.
#[derive(Clone, Debug)]
pub struct Plant {
    /// Version of the file's form: 1.
    pub format: u32,
    /// The plant's name.
    pub name: String,
    /// The signals.
    pub catalogue: Catalogue,
    /// Where signals are found on the wire.
    pub bindings: Vec<Binding>,
    /// How the plant moves, where somebody knows.
    pub dynamics: Option<Dynamics>,
    /// Whether the dynamics are to be learnt from history (`kind = "learnt"`); `dynamics` is empty then.
    pub learn_dynamics: bool,
    /// What must not be crossed.
    pub limits: Vec<Limit>,
    /// Where actuators go when in doubt, in the order of the file.
    pub safe_state: Vec<(SignalId, f64)>,
    /// How detection is tuned.
    pub detection: Detection,
    /// Network zones.
    pub zones: Vec<Zone>,
    /// Who is known, with addresses.
    pub parties: Vec<Party>,
    /// Who may send what. Nothing is allowed that no rule allows; a `forbid` outweighs every `allow`.
    pub rules: Vec<Rule>,
    /// How the plant's clock and sampling work.
    pub time: TimeSettings,
    /// BLAKE3 of the file's bytes; of the canonical text for a plant that was built in memory.
    pub digest: Digest,
}

/// A model tied to signals.
#[derive(Clone)]
pub struct Dynamics {
    /// The model.
    pub model: Arc<dyn Model>,
    /// What the file says it is: enough to write it again or to build it with other parameters.
    pub form: Form,
    /// Which signal feeds input j; `None`: the constant `input_defaults[j]`.
    pub inputs: Vec<Option<SignalId>>,
    /// The value of input j before its signal is known, or always when it has none.
    pub input_defaults: Vec<f64>,
    /// Standard deviation of input j around what its signal says (or around the default), in its unit.
    pub input_sigma: Vec<f64>,
    /// Which signal measures output i; `None`: nobody asks for it.
    pub outputs: Vec<Option<SignalId>>,
    /// Standard deviation of the measurement noise of output i; 0 where no signal measures it.
    pub output_sigma: Vec<f64>,
    /// State to start from.
    pub initial_state: Vec<f64>,
    /// Standard deviation of the initial state.
    pub initial_sigma: Vec<f64>,
    /// Standard deviation of the process noise per state and per √second (random walk of the state).
    pub process_sigma: Vec<f64>,
    /// Largest step of integration; the period for difference equations.
    pub step: Duration,
    /// Standard deviation of each of `model.parameters()`, in the same order; 0 where none is stated.
    pub parameter_sigma: Vec<f64>,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// A built-in model by name, with the parameters that differ from the published ones.
    BuiltIn {
        /// Its name in [`registry`](crate::registry).
        name: String,
        /// Overridden parameters.
        parameters: Vec<(String, f64)>,
    },
    /// Equations as text.
    Equations(crate::equation::Source),
    /// Matrices.
    Linear(crate::models::linear::Matrices),
    /// A water network as an EPANET input file.
    Water(crate::water::Source),
}

/// A boundary for one signal, measured or only modelled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// The signal.
    pub signal: SignalId,
    /// Not below this.
    pub min: Option<f64>,
    /// Not above this.
    pub max: Option<f64>,
    /// Not faster than this, in the signal's unit per second, either way.
    pub rate: Option<f64>,
    /// How grave a crossing is.
    pub kind: LimitKind,
    /// How far ahead a command must keep clear of it.
    pub horizon: Duration,
}

/// How grave the crossing of a limit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum LimitKind {
    /// Harm: the gate keeps clear of it by the what-if run.
    #[default]
    NeverExceed,
    /// The band of good operation: worth a word, not a refusal.
    Operating,
    /// Where an independent safety layer trips: never commanded, never relied on.
    Interlock,
}

/// How detection is tuned.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// How many false alarms per day the operator accepts.
    pub false_alarms_per_day: f64,
    /// Names of the detectors to run; empty: all.
    pub detectors: Vec<String>,
    /// How much time from the start counts as normal history when none is given.
    pub learn_first: Option<Duration>,
    /// A file of normal history beside the plant file.
    pub learn_from: Option<String>,
}

/// How the plant's clock and sampling work.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeSettings {
    /// IANA name of the plant's time zone, for people; the files count in UTC.
    pub zone: String,
    /// How often a signal is usually sampled.
    pub sampling: Duration,
    /// From which age on a value is stale.
    pub stale: Option<Duration>,
    /// How late a sample may come and still be used in order.
    pub lateness: Duration,
}

/// The names under which a plant file is looked for in a bundle, first come first served.
const FILES: [&str; 2] = ["plant.toml", "plant.json"];

impl Plant {
    /// Reads a plant file: TOML, or JSON when the first visible character is `{`. `file` is its name in errors.
    ///
    /// # Errors
    /// [`Error::Plant`] with line and column: unreadable text, an unknown or missing key, a wrong type, a name that
    /// nothing carries, numbers that contradict each other, equations that cannot be compiled, more than a bound allows.
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        parse::plant(text, file)
    }

    /// A plant of which only the signals are known: a tag list.
    ///
    /// ```
    /// use twinguard_types::{Catalogue, Role, Signal};
    ///
    /// let mut catalogue = Catalogue::new();
    /// catalogue.intern(Signal::new("flow", Role::Measurement))?;
    /// let plant = twinguard_twin::Plant::from_signals("site", catalogue);
    /// let again = twinguard_twin::Plant::parse(&plant.to_toml(), "plant.toml")?;
    /// assert_eq!((plant.catalogue, plant.digest), (again.catalogue, again.digest));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn from_signals(name: &str, catalogue: Catalogue) -> Self {
        let mut plant = Self {
            format: 1,
            name: name.to_owned(),
            catalogue,
            bindings: Vec::new(),
            dynamics: None,
            learn_dynamics: false,
            limits: Vec::new(),
            safe_state: Vec::new(),
            detection: Detection::default(),
            zones: Vec::new(),
            parties: Vec::new(),
            rules: Vec::new(),
            time: TimeSettings::default(),
            digest: Digest::default(),
        };
        plant.seal();
        plant
    }

    /// The plant as a file; parsing it gives the same plant, comments and layout apart.
    #[must_use]
    pub fn to_toml(&self) -> String {
        write::toml(self)
    }

    /// Sets the digest to that of [`Plant::to_toml`]: for a plant that was built or changed in memory.
    pub fn seal(&mut self) {
        self.digest = Digest(*blake3::hash(self.to_toml().as_bytes()).as_bytes());
    }
}

/// Two plants are the same when their files would be, comments and layout apart; digests are not compared.
impl PartialEq for Plant {
    fn eq(&self, other: &Self) -> bool {
        self.to_toml() == other.to_toml()
    }
}

impl TryFrom<&Bundle> for Plant {
    type Error = Error;

    /// Reads `plant.toml`, or else `plant.json`, at the top of the bundle.
    fn try_from(bundle: &Bundle) -> Result<Self, Error> {
        let refuse = |file: &str, problem| {
            let place = Place { file: file.into(), line: 0, column: 0 };
            Err(Located { place, problem }.into())
        };
        let Some((file, bytes)) = FILES.iter().find_map(|file| Some((*file, bundle.get(file)?))) else {
            return refuse("bundle", Problem::Missing { what: "file", name: FILES.join("` or `") });
        };
        match core::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text, file),
            Err(error) => {
                let reason = format!("not UTF-8 from byte {} on", error.valid_up_to());
                refuse(file, Problem::Syntax { reason })
            }
        }
    }
}

impl Dynamics {
    /// A model tied to no signal yet: inputs at their defaults, nothing measured.
    ///
    /// # Errors
    /// [`Error::Plant`]: an unknown built-in model or parameter, equations or matrices that do not fit.
    pub fn new(form: Form) -> Result<Self, Error> {
        dynamics::build(form).map_err(|flaw| {
            let place = Place { file: "dynamics".into(), line: 0, column: 0 };
            Located { place, problem: flaw.problem }.into()
        })
    }

    /// The same dynamics with other values of some parameters (or constant intermediates) by name: a vendor's twin
    /// that is slightly off, a fault, a hypothesis.
    ///
    /// ```
    /// use twinguard_twin::{Model, plant::{Dynamics, Form}};
    ///
    /// let form = Form::BuiltIn { name: "cooling_loop".into(), parameters: vec![] };
    /// let healthy = Dynamics::new(form)?;
    /// let fouled = healthy.with_parameters(&[("U_r_W_K", 36_000.0)])?;
    /// assert_ne!(healthy.model.parameters(), fouled.model.parameters());
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Plant`] for a name that the model does not have, a value that is not finite, a linear model or a water network.
    pub fn with_parameters(&self, parameters: &[(&str, f64)]) -> Result<Self, Error> {
        let mut form = self.form.clone();
        let own = match &mut form {
            Form::BuiltIn { parameters, .. } => parameters,
            Form::Equations(source) => &mut source.parameters,
            Form::Linear(_) | Form::Water(_) => {
                let place = Place { file: "dynamics".into(), line: 0, column: 0 };
                let (key, reason) = match &self.form {
                    Form::Linear(_) => ("linear model", "has matrices, not parameters"),
                    _ => ("water network", "has a file of its own, not parameters"),
                };
                let problem = Problem::Value { key: key.to_owned(), reason: reason.to_owned() };
                return Err(Located { place, problem }.into());
            }
        };
        let built_in = matches!(self.form, Form::BuiltIn { .. });
        for (name, value) in parameters {
            match own.iter_mut().find(|(known, _)| known == name) {
                Some((_, slot)) => *slot = *value,
                None if built_in => own.push(((*name).to_owned(), *value)),
                None => {
                    let place = Place { file: "dynamics".into(), line: 0, column: 0 };
                    let problem =
                        Problem::Unknown { what: "parameter", name: (*name).to_owned(), nearest: None };
                    return Err(Located { place, problem }.into());
                }
            }
        }
        let Self { model, form, .. } = Self::new(form)?;
        Ok(Self { model, form, ..self.clone() })
    }
}

impl core::fmt::Debug for Dynamics {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Dynamics")
            .field("form", &self.form)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .field("initial_state", &self.initial_state)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

impl Default for Detection {
    /// One false alarm in ten days, all detectors, no history.
    fn default() -> Self {
        Self { false_alarms_per_day: 0.1, detectors: Vec::new(), learn_first: None, learn_from: None }
    }
}

impl Default for TimeSettings {
    /// UTC, one sample a second, nothing stale, nothing late.
    fn default() -> Self {
        Self {
            zone: "UTC".to_owned(),
            sampling: Duration::from_secs(1),
            stale: None,
            lateness: Duration::ZERO,
        }
    }
}
