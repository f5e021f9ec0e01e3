//! Who is accused decides what is done: the playbook's table, as data.
//!
//! Source: NIST SP 800-61r3 §3.5 (containment is chosen beforehand, by effect and evidence).

use twinguard_types::Suspect;

/// What a playbook can do about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Measure {
    /// Let nothing through from whoever sent commands that nobody says they sent.
    Isolate,
    /// Use the model's estimate in place of each accused signal.
    Substitute,
    /// Ask for an independent reading of each accused signal.
    Verify,
    /// Bring the actuators to their safe values, through the gate.
    SafeState,
    /// Load a model that is not the sealed one again from its seal.
    Revert,
    /// Tell a person, and name the next check.
    Notify,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Isolate, Self::Substitute, Self::Verify, Self::SafeState, Self::Revert, Self::Notify];

    /// Its name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Isolate => "isolate",
            Self::Substitute => "substitute",
            Self::Verify => "verify",
            Self::SafeState => "safe_state",
            Self::Revert => "revert",
            Self::Notify => "notify",
        }
    }

    /// What it is, for a person who has to do it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Isolate => {
                "Let nothing through from the peer that sent commands which nobody says they sent."
            }
            Self::Substitute => "Use the model's estimate in place of each accused signal.",
            Self::Verify => "Read each accused signal again over an independent path.",
            Self::SafeState => "Bring the actuators to their safe values, through the gate.",
            Self::Revert => {
                "Load the model again from its seal, beside what runs; let it take over once it is verified."
            }
            Self::Notify => "Tell the person on duty, and name the check that would settle most.",
        }
    }
}

/// One line of the table: when, and what then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
pub struct Play {
    /// When one of these is accused, and not while nobody may be to blame.
    pub accused: Vec<Suspect>,
    /// Also when a limit can be reached within its horizon, whoever is accused.
    pub limit_within_reach: bool,
    /// What is done, in this order. How surely enough of it is known, what is granted, and what is done already, decides whether it is done
    /// or recommended.
    pub measures: Vec<Measure>,
}

impl Play {
    /// Whether it is for every finding.
    #[must_use]
    pub fn always(&self) -> bool {
        self.accused.is_empty() && !self.limit_within_reach
    }

    /// The usual table.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        use Suspect::{Actuator, CommandPath, Identity, Model, Network, Sensor};
        let when = |accused: &[Suspect], measures: &[Measure]| Self {
            accused: accused.to_vec(),
            limit_within_reach: measures.contains(&Measure::SafeState),
            measures: measures.to_vec(),
        };
        vec![
            when(&[CommandPath, Identity], &[Measure::Isolate]),
            when(&[Sensor, Network], &[Measure::Substitute, Measure::Verify]),
            when(&[CommandPath, Actuator, Identity], &[Measure::SafeState]),
            when(&[Model], &[Measure::Revert]),
            when(&[], &[Measure::Notify]),
        ]
    }
}
