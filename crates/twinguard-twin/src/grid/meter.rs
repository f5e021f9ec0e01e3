//! What a meter measures and how well.
//!
//! Source: the measurement functions of A. Abur, A. Gómez Expósito, *Power System State Estimation* (2004), §2.4, and for
//! angles §2.9 (synchronised phasors).

use crate::Error;

use super::{Grid, network::MAX_ELEMENTS};

/// Which end of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The end with the ideal transformer.
    From,
    /// The other end.
    To,
}

/// What is measured, per unit (angles in radians); power into the bus, or from the bus into the branch, is positive.
///
/// A shunt belongs to the grid: it is no part of the injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Voltage magnitude of a bus.
    Voltage(usize),
    /// Voltage angle of a bus, in the frame of the reference bus: a synchronised phasor's.
    Angle(usize),
    /// Active power injected at a bus.
    ActiveInjection(usize),
    /// Reactive power injected at a bus.
    ReactiveInjection(usize),
    /// Active power into a branch.
    ActiveFlow(usize, Side),
    /// Reactive power into a branch.
    ReactiveFlow(usize, Side),
    /// Magnitude of the current into a branch. It has no sign: alone it does not say which way power flows.
    Current(usize, Side),
}

impl Quantity {
    /// The bus that it is measured at.
    pub(super) fn bus(self, grid: &Grid) -> usize {
        match self {
            Self::Voltage(bus)
            | Self::Angle(bus)
            | Self::ActiveInjection(bus)
            | Self::ReactiveInjection(bus) => bus,
            Self::ActiveFlow(branch, side)
            | Self::ReactiveFlow(branch, side)
            | Self::Current(branch, side) => {
                let branch = &grid.branches()[branch];
                if side == Side::From { branch.from } else { branch.to }
            }
        }
    }
}

/// A meter: a quantity and the standard deviation of its noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meter {
    /// What it measures.
    pub quantity: Quantity,
    /// Standard deviation, in the quantity's unit.
    pub sigma: f64,
}

impl Meter {
    /// Refuses what the grid does not have, and a σ that is not a positive number.
    pub(super) fn check(self, index: usize, grid: &Grid) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Case { place: format!("meter[{index}]"), reason });
        let (what, at, count) = match self.quantity {
            Quantity::Voltage(bus)
            | Quantity::Angle(bus)
            | Quantity::ActiveInjection(bus)
            | Quantity::ReactiveInjection(bus) => ("bus", bus, grid.buses().len()),
            Quantity::ActiveFlow(branch, _)
            | Quantity::ReactiveFlow(branch, _)
            | Quantity::Current(branch, _) => ("branch", branch, grid.branches().len()),
        };
        if at >= count {
            return refuse(format!("there is no {what} {at}, only {count}"));
        }
        // 1/σ² has to stay a number that others can be added to.
        if !(1e-9..=1e9).contains(&self.sigma) {
            return refuse(format!("sigma {} is not within 1e-9 and 1e9", self.sigma));
        }
        if index >= MAX_ELEMENTS {
            return refuse(format!("is beyond the limit of {MAX_ELEMENTS}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{Branch, Bus};

    #[test]
    fn meters_of_nothing_are_refused() {
        let grid = Grid::new(1.0, vec![Bus::default(); 2], vec![Branch::line(0, 1, 0.0, 1.0)]).unwrap();
        let check = |quantity, sigma, expected: &str| {
            let error = Meter { quantity, sigma }.check(3, &grid).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(Quantity::Voltage(2), 1.0, "meter[3]: there is no bus 2, only 2");
        check(Quantity::Current(1, Side::To), 1.0, "meter[3]: there is no branch 1, only 1");
        check(Quantity::Angle(0), 0.0, "meter[3]: sigma 0 is not within 1e-9 and 1e9");
        check(Quantity::Angle(0), f64::NAN, "meter[3]: sigma NaN is not within 1e-9 and 1e9");
    }
}
