//! Units of a network file: every quantity is kept in feet and cubic feet per second, and converted at the edge.
//!
//! Source: EPANET 2.2 Users Manual, appendix A (units of measurement), and the conversion constants of its toolkit, kept to their
//! four to six digits because results are compared in the file's own units.

use std::f64::consts::PI;

/// Flow units that a file may name; the first five mean US units elsewhere, the others SI.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum FlowUnit {
    /// Cubic feet per second.
    Cfs,
    /// US gallons per minute.
    Gpm,
    /// Million US gallons per day.
    Mgd,
    /// Million imperial gallons per day.
    Imgd,
    /// Acre-feet per day.
    Afd,
    /// Litres per second.
    Lps,
    /// Litres per minute.
    Lpm,
    /// Megalitres per day.
    Mld,
    /// Cubic metres per hour.
    Cmh,
    /// Cubic metres per day.
    Cmd,
}

impl FlowUnit {
    /// Its name in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cfs => "CFS",
            Self::Gpm => "GPM",
            Self::Mgd => "MGD",
            Self::Imgd => "IMGD",
            Self::Afd => "AFD",
            Self::Lps => "LPS",
            Self::Lpm => "LPM",
            Self::Mld => "MLD",
            Self::Cmh => "CMH",
            Self::Cmd => "CMD",
        }
    }

    /// Units of this kind in one cubic foot per second.
    #[must_use]
    pub fn per_cfs(self) -> f64 {
        match self {
            Self::Cfs => 1.0,
            Self::Gpm => 448.831,
            Self::Mgd => 0.64632,
            Self::Imgd => 0.5382,
            Self::Afd => 1.9837,
            Self::Lps => 28.317,
            Self::Lpm => 1_699.0,
            Self::Mld => 2.4466,
            Self::Cmh => 101.94,
            Self::Cmd => 2_446.6,
        }
    }

    /// Whether lengths, heads and diameters are metric.
    #[must_use]
    pub fn is_metric(self) -> bool {
        matches!(self, Self::Lps | Self::Lpm | Self::Mld | Self::Cmh | Self::Cmd)
    }
}

/// Pressure units.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PressureUnit {
    /// Pounds per square inch.
    Psi,
    /// Kilopascals.
    Kpa,
    /// Metres of water.
    Metres,
}

impl PressureUnit {
    /// Its symbol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::Kpa => "kPa",
            Self::Metres => "m",
        }
    }
}

/// How many of the file's units make one internal unit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Units {
    /// The file's flow unit.
    pub flow_unit: FlowUnit,
    /// The file's pressure unit.
    pub pressure_unit: PressureUnit,
    /// Flow units per cubic foot per second.
    pub flow: f64,
    /// Length, elevation and head units per foot.
    pub length: f64,
    /// Diameter units (inches, millimetres) per foot.
    pub diameter: f64,
    /// Pressure units per foot of water.
    pub pressure: f64,
    /// Power units (horsepower, kilowatts) per horsepower.
    pub power: f64,
}

impl Units {
    /// The factors for a flow unit, a wish for a pressure unit, and the specific gravity of the fluid.
    #[must_use]
    pub fn new(flow_unit: FlowUnit, pressure_unit: PressureUnit, specific_gravity: f64) -> Self {
        const METRES_PER_FOOT: f64 = 0.3048;
        const PSI_PER_FOOT: f64 = 0.4333;
        const KPA_PER_PSI: f64 = 6.895;
        let flow = flow_unit.per_cfs();
        if flow_unit.is_metric() {
            let (pressure_unit, pressure) = match pressure_unit {
                PressureUnit::Kpa => (PressureUnit::Kpa, KPA_PER_PSI * PSI_PER_FOOT * specific_gravity),
                _ => (PressureUnit::Metres, METRES_PER_FOOT * specific_gravity),
            };
            let (length, diameter) = (METRES_PER_FOOT, 1_000.0 * METRES_PER_FOOT);
            Self { flow_unit, pressure_unit, flow, length, diameter, pressure, power: 0.7457 }
        } else {
            let pressure = PSI_PER_FOOT * specific_gravity;
            let pressure_unit = PressureUnit::Psi;
            Self { flow_unit, pressure_unit, flow, length: 1.0, diameter: 12.0, pressure, power: 1.0 }
        }
    }

    /// Volume units per cubic foot.
    #[must_use]
    pub fn volume(&self) -> f64 {
        self.length * self.length * self.length
    }

    /// `ft` or `m`.
    #[must_use]
    pub fn length_name(&self) -> &'static str {
        if self.flow_unit.is_metric() { "m" } else { "ft" }
    }
}

/// Area of a circle.
pub(crate) fn circle(diameter: f64) -> f64 {
    PI * diameter * diameter / 4.0
}

/// A loss coefficient K (velocity heads) as feet per (cubic foot per second)²: 8 K / (g π² d⁴) with the manual's digits.
pub(crate) fn minor_loss(coefficient: f64, diameter_ft: f64) -> f64 {
    0.02517 * coefficient / (diameter_ft * diameter_ft) / (diameter_ft * diameter_ft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_agree_with_each_other() {
        let feet3_to_litres = 28.316_846_592;
        assert!((FlowUnit::Lps.per_cfs() - feet3_to_litres).abs() < 1e-3);
        assert!((FlowUnit::Gpm.per_cfs() * 3.785_411_784 / 60.0 - feet3_to_litres).abs() < 1e-3);
        assert!((FlowUnit::Cmh.per_cfs() / 3.6 - feet3_to_litres).abs() < 1e-3);
        let units = Units::new(FlowUnit::Lps, PressureUnit::Psi, 1.0);
        assert_eq!(units.pressure_unit, PressureUnit::Metres, "psi makes no sense in a metric file");
        assert_eq!(units.length_name(), "m");
        assert_eq!(Units::new(FlowUnit::Gpm, PressureUnit::Kpa, 1.0).pressure_unit, PressureUnit::Psi);
    }

    #[test]
    fn a_loss_coefficient_is_velocity_heads() {
        let (q, d, g): (f64, f64, f64) = (3.0, 0.8, 32.2);
        let velocity = q / circle(d);
        let exact = 2.5 * velocity * velocity / (2.0 * g);
        assert!((minor_loss(2.5, d) * q * q / exact - 1.0).abs() < 1e-3);
    }
}
