//! Signed changes of the model's parameters, while the plant runs.
//!
//! A change is a text that one of the keys of [`Builder::calibrator`](crate::Builder::calibrator) signed, as a C2SP signed note:
//! ```text
//! twinguard recalibration v1
//! plant 3f0c…            digest of the plant file that it changes
//! number 2               higher than that of the change before
//! U_r_W_K 36000          a parameter of the model and its value, one a line
//! ```
//! A change holds what differs from the plant file: parameters that it does not name have the file's value again.

use serde::{Deserialize, Serialize};
use twinguard_integrity::note::Note;
use twinguard_twin::Plant;
use twinguard_types::{Digest, Timestamp};

use super::Guard;
use crate::sense::Senses;
use crate::{Error, Recalibration};

const HEADER: &str = "twinguard recalibration v1";
/// Longest text, and most parameters in it.
const LONGEST: usize = 65_536;
const MOST: usize = 1_024;

/// The change in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Calibration {
    /// 0: none.
    number: u64,
    parameters: Vec<(String, f64)>,
}

/// What the journal says of it.
#[derive(Serialize)]
struct Word<'a> {
    digest: Digest,
    refused: Option<String>,
    calibration: Option<&'a Calibration>,
}

impl Calibration {
    fn parse(text: &str, plant: Digest) -> Result<Self, &'static str> {
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err("it is not headed as a recalibration");
        }
        let mut value = |key: &str| lines.next().and_then(|line| line.strip_prefix(key)?.strip_prefix(' '));
        if value("plant") != Some(plant.to_string().as_str()) {
            return Err("it is of another plant file");
        }
        let number = value("number").and_then(|number| number.parse().ok()).ok_or("it is not numbered")?;
        let mut parameters = Vec::new();
        for line in lines {
            let (name, value) = line.split_once(' ').ok_or("a line is not a parameter and its value")?;
            let value = value.parse().ok().filter(|value: &f64| value.is_finite());
            parameters.push((name.to_owned(), value.ok_or("a value is not a finite number")?));
            if parameters.len() > MOST {
                return Err("it changes too many parameters");
            }
        }
        Ok(Self { number, parameters })
    }

    /// The plant with these parameters.
    pub(super) fn of(&self, plant: &Plant) -> Result<Plant, Error> {
        let mut plant = plant.clone();
        if self.number > 0
            && let Some(dynamics) = &plant.dynamics
        {
            let parameters: Vec<(&str, f64)> =
                self.parameters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            plant.dynamics = Some(dynamics.with_parameters(&parameters)?);
        }
        Ok(plant)
    }
}

impl Guard {
    /// Applies a change, or says why not; both are journalled. The twin starts anew with it, and is not scored until it has
    /// settled.
    pub(super) fn recalibrate(&mut self, now: Timestamp, delta: Recalibration<'_>) -> Result<(), Error> {
        let digest = Digest(*blake3::hash(delta.sealed).as_bytes());
        let (senses, calibration) = match self.judge(delta.sealed) {
            Ok(applied) => applied,
            Err(error) => {
                let refused = Some(error.to_string());
                self.word(now, "recalibration", &Word { digest, refused, calibration: None });
                return Err(error);
            }
        };
        let word = Word { digest, refused: None, calibration: Some(&calibration) };
        self.word(now, "recalibration", &word);
        let before = self.calibrated()?;
        self.calibration = calibration;
        let after = self.calibrated()?;
        self.watch = super::attest::Watch::of(&after)?;
        self.go_on_as(now, senses, [&before, &after]);
        Ok(())
    }

    /// The plant as the model of it runs.
    pub(super) fn calibrated(&self) -> Result<Plant, Error> {
        self.calibration.of(&self.plant)
    }

    fn judge(&self, sealed: &[u8]) -> Result<(Senses, Calibration), Error> {
        let refuse = |reason| Error::Recalibration { reason };
        if sealed.len() > LONGEST {
            return Err(refuse("it is longer than 65536 bytes"));
        }
        let text = core::str::from_utf8(sealed).map_err(|_| refuse("it is not UTF-8"))?;
        let note = Note::parse(text)?;
        let signed = self.calibrators.iter().map(|key| note.verify(key));
        let mut refusal = Err(refuse("no key may recalibrate this guard"));
        for signed in signed {
            match signed {
                Ok(text) => {
                    refusal = Ok(text);
                    break;
                }
                Err(error) => refusal = Err(error.into()),
            }
        }
        let calibration = Calibration::parse(refusal?, self.plant.digest).map_err(refuse)?;
        if calibration.number <= self.calibration.number {
            return Err(refuse("it is not newer than the one in force"));
        }
        if self.plant.dynamics.is_none() {
            return Err(refuse("this plant has no model"));
        }
        let plant = calibration.of(&self.plant)?;
        Ok((Senses::new(&plant, &self.config, None)?, calibration))
    }
}
