//! The attestor that a platform keeps beside the vendor's twin: what that runs with is compared with what was sealed.

use twinguard::integrity::attest::{Attestor, Look, Running};
use twinguard::integrity::{Error, Parameter, ParameterValue, Parameters};
use twinguard::twin::Plant;
use twinguard::types::{Digest, Timestamp};

/// The sealed file in which the parameters stand.
const FILE: &str = "plant.toml";
/// Steps between two looks.
pub const EVERY: u32 = 10;

/// The attestor, and what it has to tell.
pub struct Beside {
    attestor: Attestor,
    /// What is to be told, once.
    told: Option<String>,
    /// The parameters that were changed.
    pub changed: Vec<String>,
}

/// What one look found, for the guard.
pub struct Found {
    pub expected: Digest,
    pub measured: Digest,
    pub look: Look,
}

/// The twin's present parameters.
struct Twin<'a> {
    sealed: Parameters,
    running: &'a [(String, f64)],
}

impl Running for Twin<'_> {
    fn parameter(&self, index: usize) -> Option<ParameterValue> {
        let name = self.sealed.all().get(index)?.name();
        self.running.iter().find(|(known, _)| known == name).map(|(_, value)| (*value).into())
    }
}

impl Beside {
    /// For the parameters of a plant file that was loaded through its seal.
    pub fn new(plant: &Plant) -> Result<Self, Error> {
        let given = plant.dynamics.iter().flat_map(|dynamics| dynamics.model.parameters());
        let sealed = given.map(|(name, value)| Parameter::new(FILE, name, "", (*value).into()));
        let sealed = Parameters::new(sealed.collect::<Result<_, _>>()?)?;
        Ok(Self { attestor: Attestor::new(&plant.name, sealed), told: None, changed: Vec::new() })
    }

    /// Looks at all of it. As long as everything is as sealed, the values are kept as those to go back to.
    pub fn look(&mut self, at: Timestamp, running: &[(String, f64)]) -> Result<Found, Error> {
        let twin = Twin { sealed: self.attestor.parameters().clone(), running };
        let snapshot: String = running.iter().map(|(name, value)| format!("{name} = {value}\n")).collect();
        let measured = self.attestor.measure(&twin)?.parameters;
        let look = self.attestor.sweep(&twin, u64::MAX);
        if !self.attestor.keep_good(at, snapshot.into_bytes()) && self.changed.is_empty() {
            let names = look.alarms.iter().filter_map(|alarm| match alarm {
                twinguard::integrity::attest::Alarm::Parameter { sealed, .. } => {
                    Some(sealed.name().to_owned())
                }
                _ => None,
            });
            self.changed = names.collect();
            let alarms: Vec<String> = look.alarms.iter().map(ToString::to_string).collect();
            self.told = Some(alarms.join("; "));
        }
        Ok(Found { expected: self.attestor.expected().parameters, measured, look })
    }

    /// What was found, and since when it can be gone back, once.
    pub fn tell(&mut self, clock: impl Fn(Timestamp) -> String) -> Option<String> {
        let words = self.told.take()?;
        Some(match self.attestor.last_good() {
            Some(good) => {
                let (at, root) = (clock(good.at), good.parameters.short());
                format!("{words}; the good values of {} are kept, root {root}", at.trim())
            }
            None => words,
        })
    }
}
