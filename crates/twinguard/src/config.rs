//! One configuration for the whole guard.

use twinguard_gate::GateConfig;
use twinguard_response::Autonomy;
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
}

impl Default for Config {
    fn default() -> Self {
        Self {
            false_alarms_per_day: None,
            detectors: Vec::new(),
            autonomy: Autonomy::default(),
            gate: GateConfig::default(),
            queue: 65_536,
            history: 20_000_000,
            discover: 10_000,
            seed: 0,
            stale: None,
            attest_every: Duration::from_secs(10),
        }
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
