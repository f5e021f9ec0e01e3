//! One configuration for the whole guard.

use twinguard_gate::GateConfig;
use twinguard_response::{Autonomy, Play, Playbook};
use twinguard_twin::Plant;
use twinguard_types::Duration;

/// How a guard is tuned. The defaults are meant to be used.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// False alarms per day that the operator accepts, over all detectors together. `None`: what the plant file says.
    pub false_alarms_per_day: Option<f64>,
    /// Names of the detectors to run; empty: what the plant file says, else all.
    pub detectors: Vec<String>,
    /// What may be done without asking a person. Nothing by default: actions are recommended.
    pub autonomy: Autonomy,
    /// Who is accused decides what is done: the playbook's table. `None`: the usual one ([`Play::usual`]);
    /// [`cacao`](twinguard_response::cacao) reads others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plays: Option<Vec<Play>>,
    /// How commands are admitted.
    pub gate: GateConfig,
    /// Answers that may wait to be polled; from half of it on a newer revision of a finding takes the place of the one that
    /// still waits, and that is counted. Nothing else is dropped: when it is full the next input is refused.
    pub queue: usize,
    /// Events of normal history that are kept for fitting; later ones are counted and not used.
    pub history: usize,
    /// Signals that may be discovered in traffic when the plant file names none.
    pub discover: usize,
    /// Seed of everything that needs chance (weights, tie-breaks); the same seed gives the same run.
    pub seed: u64,
    /// A field value older than this is stale. `None`: what the plant file says, else ten times the sampling.
    pub stale: Option<Duration>,
    /// How often the parameters that the guard's own twin runs with are compared with those of its plant file.
    pub attest_every: Duration,
    /// How long all has to be quiet after each step of a return to normal.
    pub settle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            false_alarms_per_day: None,
            detectors: Vec::new(),
            autonomy: Autonomy::default(),
            plays: None,
            gate: GateConfig::default(),
            queue: 65_536,
            history: 20_000_000,
            discover: 10_000,
            seed: 0,
            stale: None,
            attest_every: Duration::from_secs(10),
            settle: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// The playbook of a plant.
    pub(crate) fn playbook(&self, plant: &Plant) -> Result<Playbook, twinguard_response::Error> {
        let playbook = Playbook::new(plant.safe_state.clone(), self.autonomy)?;
        Ok(match &self.plays {
            Some(plays) => playbook.with_plays(plays.clone()),
            None => playbook,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_and_absent_ones_have_defaults() {
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
        assert!(serde_json::from_str::<Config>("{\"quene\": 3}").is_err());
    }
}
