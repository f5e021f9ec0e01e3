//! Models by name, one file each: source, parameters with units, equations as text where text does, so that
//! there is one code path; Rust over dual numbers where it does not.

use std::sync::Arc;

use crate::{
    Error, Model, TimeBase,
    equation::{Flaw, Source},
    problem::{Located, Place, Problem, nearest},
};

pub mod battery;
pub mod boiler;
pub mod conveyor;
pub mod cooling_loop;
pub mod dc_motor;
pub mod hvac_zone;
pub mod linear;
pub mod power_grid;
pub mod quadruple_tank;
pub mod robot_arm_2;
pub mod serial_arm;
pub mod water_network;

/// A state of a built-in model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Its name, with the unit as suffix.
    pub name: &'static str,
    /// Where it starts when the plant file does not say: an equilibrium together with the inputs' defaults.
    pub initial: f64,
    /// Standard deviation of that, when the plant file does not say.
    pub sigma: f64,
    /// Standard deviation of its process noise per √second, when the plant file does not say.
    pub process_sigma: f64,
}

/// A parameter of a built-in model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Its name, with the unit as suffix where it has one.
    pub name: &'static str,
    /// Its published value.
    pub value: f64,
    /// What it is.
    pub about: &'static str,
}

const fn parameter(name: &'static str, value: f64, about: &'static str) -> Parameter {
    Parameter { name, value, about }
}

const fn state(name: &'static str, initial: f64, sigma: f64, process_sigma: f64) -> State {
    State { name, initial, sigma, process_sigma }
}

/// A model that is shipped by name.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its name in plant files.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// Continuous or discrete.
    pub base: TimeBase,
    /// States, in order.
    pub states: &'static [State],
    /// Inputs with the values they have when nothing feeds them, in order.
    pub inputs: &'static [(&'static str, f64)],
    /// Outputs, in order.
    pub outputs: &'static [&'static str],
    /// Parameters; constant intermediates of the equations can be replaced by name as well.
    pub parameters: &'static [Parameter],
    /// The equations, in the language of [`equation`](crate::equation); empty for a model that is written in Rust.
    pub equations: &'static str,
    /// Builds a model that is written in Rust from all its parameters.
    pub native: Option<Native>,
}

/// A model from its parameters, in the order of its list.
pub type Native = fn(Vec<(String, f64)>) -> Result<Arc<dyn Model>, Problem>;

impl BuiltIn {
    /// Its equations with the names they use.
    #[must_use]
    pub fn source(&self) -> Source {
        Source {
            text: self.equations.to_owned(),
            base: self.base,
            states: self.states.iter().map(|state| state.name.to_owned()).collect(),
            inputs: self.inputs.iter().map(|(name, _)| (*name).to_owned()).collect(),
            outputs: self.outputs.iter().map(|name| (*name).to_owned()).collect(),
            parameters: self.parameters.iter().map(|p| (p.name.to_owned(), p.value)).collect(),
        }
    }

    /// The model, with some parameters or constant intermediates replaced by name.
    ///
    /// ```
    /// use twinguard_twin::{Model, registry};
    ///
    /// let cooling = registry::model("cooling_loop").unwrap();
    /// let fouled = cooling.model(&[("U_r_W_K", 36_000.0)])?;
    /// assert!(fouled.parameters().contains(&("U_r_W_K".to_owned(), 36_000.0)));
    /// assert!(cooling.model(&[("U_r_WK", 36_000.0)]).is_err());
    /// # Ok::<(), twinguard_twin::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Plant`] for a name that is neither, or a value that is not finite.
    pub fn model(&self, parameters: &[(&str, f64)]) -> Result<Arc<dyn Model>, Error> {
        self.build(parameters).map_err(|flaw| {
            let place = Place { file: self.name.into(), line: 0, column: 0 };
            Located { place, problem: flaw.problem }.into()
        })
    }

    pub(crate) fn build(&self, given: &[(&str, f64)]) -> Result<Arc<dyn Model>, Flaw> {
        let Some(native) = self.native else { return Ok(Arc::new(self.source().compile(given)?)) };
        let mut all: Vec<(String, f64)> =
            self.parameters.iter().map(|own| (own.name.to_owned(), own.value)).collect();
        for (name, value) in given {
            let Some((_, slot)) = all.iter_mut().find(|(own, _)| own == name) else {
                let nearest = nearest(name, self.parameters.iter().map(|own| own.name));
                return Err(Problem::Unknown { what: "parameter", name: (*name).to_owned(), nearest }.into());
            };
            if !value.is_finite() {
                let reason = "must be a finite number".to_owned();
                return Err(Problem::Value { key: (*name).to_owned(), reason }.into());
            }
            *slot = *value;
        }
        Ok(native(all)?)
    }
}

/// f and h at the state and the inputs that the model starts with.
#[cfg(test)]
fn start(model: &BuiltIn) -> (Vec<f64>, Vec<f64>) {
    let compiled = model.model(&[]).unwrap();
    let state: Vec<f64> = model.states.iter().map(|state| state.initial).collect();
    let input: Vec<f64> = model.inputs.iter().map(|(_, default)| *default).collect();
    let (mut rate, mut output) = (vec![0.0; state.len()], vec![0.0; model.outputs.len()]);
    compiled.dynamics(0.0, &state, &input, &mut rate);
    compiled.output(0.0, &state, &input, &mut output);
    (rate, output)
}
