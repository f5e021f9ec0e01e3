//! Water networks: what they are made of, what flows at an instant, and how it goes on.
//!
//! [`Network`] is plain data (an importer makes it, [`crate::importers::epanet`]); [`Hydraulics`] runs it:
//! [`Hydraulics::solve`] balances heads and flows at an instant, [`Hydraulics::advance`] moves to the next one.
//! [`Estimator`] follows meters and says what they should have shown; [`NetworkModel`] is the same as a model that a plant file
//! names. Cost of a trial: one pass over links and Σ c²/2 over the columns of the factor; nothing is allocated after
//! [`Hydraulics::new`] but what a rule that fires needs.

mod balance;
mod clock;
mod coefficients;
mod estimator;
mod hydraulics;
mod model;
mod network;
mod power;
mod rules;
mod status;
mod tangent;
mod units;

pub use estimator::{Assumptions, Estimator, Meter};
pub use hydraulics::{Accuracy, Balance, Hydraulics, WaterError};
pub use model::{ModelError, NetworkModel, Source};
pub use network::{
    Action, ActionTo, Control, Curve, CurveId, Demand, HeadLoss, Junction, Link, LinkId, LinkKind, Network,
    NodeId, Operand, Options, Pattern, PatternId, Premise, PressureDriven, PumpCurve, Relation, Rule, Status,
    Store, Subject, Tank, Times, ValveKind, When,
};
pub use units::{FlowUnit, PressureUnit, Units};

pub(crate) use network::interpolate;
pub(crate) use units::{circle, minor_loss};
