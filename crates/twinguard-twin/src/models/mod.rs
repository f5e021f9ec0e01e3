//! Models by name, one file each: source, parameters with units, equations as text, so that there is one code path.

use crate::{
    Error, TimeBase,
    equation::{Compiled, Source},
    problem::{Located, Place},
};

pub mod cooling_loop;
pub mod linear;

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

/// A model that is shipped by name.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// The equations, in the language of [`equation`](crate::equation).
    pub equations: &'static str,
}

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
    pub fn model(&self, parameters: &[(&str, f64)]) -> Result<Compiled, Error> {
        self.source().compile(parameters).map_err(|flaw| {
            let place = Place { file: self.name.into(), line: 0, column: 0 };
            Located { place, problem: flaw.problem }.into()
        })
    }
}
