//! A sensor that was replaced: two instruments of one kind differ, and the difference is nobody's lie.
//!
//! Source: ISO/IEC Guide 98-3 (GUM) §3.2 (a known systematic effect is corrected, the rest is uncertainty). The new instrument is compared with
//! what the model expects of it from all the others, and does not enter the model meanwhile; the mean difference is its correction. Beyond what
//! instruments of its kind differ by there is no correction: then it shows as a sensor that is wrong.

use twinguard_twin::Twin;
use twinguard_types::{Point, SignalId, Value};

/// Steps over which it is compared.
const COMPARED: u32 = 30;
/// Largest correction, in deviations of the sensor's noise and of the model's expectation together.
const MOST: f64 = 4.0;

/// What is known of a replaced instrument.
#[derive(Clone, Copy, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Instrument {
    compared: u32,
    sum: f64,
    offset: f64,
}

impl Instrument {
    /// Whether it is still compared, and not believed yet.
    pub(super) const fn is_compared(&self) -> bool {
        self.compared < COMPARED
    }

    /// One step of the model; true when the comparison is over and the instrument enters the model from now on.
    pub(super) fn compare(
        &mut self,
        signal: SignalId,
        field: Option<f64>,
        sigma: f64,
        twin: &mut Twin,
    ) -> bool {
        if !self.is_compared() {
            return false;
        }
        let Some((field, expected)) = field.zip(twin.estimate(signal)) else { return false };
        self.compared += 1;
        self.sum += field - expected.mean;
        if self.is_compared() {
            return false;
        }
        let offset = self.sum / f64::from(COMPARED);
        if offset.abs() <= MOST * sigma.hypot(expected.sigma) {
            self.offset = offset;
        }
        twin.exclude(signal, false);
        true
    }

    /// Its value without what it is off by.
    pub(super) fn corrected(&self, point: &Point) -> Point {
        let value = Value::real(point.value.as_f64() - self.offset);
        Point { value: value.unwrap_or(point.value), ..*point }
    }
}

#[cfg(test)]
mod tests {
    use twinguard_twin::simulator::{self, Options, Simulator, Site};
    use twinguard_types::Source;

    use super::*;

    /// A twin that follows four tanks, and what becomes of a level sensor that shows so much more from then on.
    fn replaced(off: f64) -> Instrument {
        let reference = simulator::reference("quadruple_tank").unwrap();
        let mut site = Site::new(reference, 3, &Options::default()).unwrap();
        let plant = site.file().clone();
        let mut twin = Twin::new(&plant).unwrap();
        let signal = plant.catalogue.id("tank1.level").unwrap();
        let mut instrument = Instrument::default();
        for step in 0..600 {
            site.step();
            let at = site.plant.now();
            let mut level = None;
            for register in site.plant.registers() {
                let Some((own, value)) = site.decode(register) else { continue };
                let value = value + if own == signal && step >= 300 { off } else { 0.0 };
                level = if own == signal { Some(value) } else { level };
                twin.observe(&Point::new(own, Value::real(value).unwrap(), Source::Field, at));
            }
            if step == 300 {
                twin.exclude(signal, true);
            }
            while twin.advance(at).is_some() {}
            if step >= 300 && instrument.compare(signal, level, 0.05, &mut twin) {
                break;
            }
        }
        assert!(!instrument.is_compared());
        instrument
    }

    #[test]
    fn a_small_difference_is_its_own_and_a_large_one_is_not() {
        let sound = replaced(0.0);
        let off = replaced(0.1);
        assert!((off.offset - sound.offset - 0.1).abs() < 0.02, "{off:?} {sound:?}");
        assert_eq!(replaced(5.0).offset, 0.0);
        let point = Point::new(
            SignalId(0),
            Value::real(12.0).unwrap(),
            Source::Field,
            twinguard_types::Timestamp::ZERO,
        );
        assert!((off.corrected(&point).value.as_f64() - 12.0 + off.offset).abs() < 1e-12);
    }
}
