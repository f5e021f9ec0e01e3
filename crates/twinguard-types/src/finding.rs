use crate::{Attribution, Digest, FindingId, Label, Symptom, Timestamp};

/// Who or what is accused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Suspect {
    /// A sensor, or whoever speaks for it.
    Sensor,
    /// An actuator.
    Actuator,
    /// The path that commands take to the plant.
    CommandPath,
    /// The network between field and tap.
    Network,
    /// The data feed of the vendor's twin.
    Feed,
    /// The vendor's twin.
    Twin,
    /// The sealed model.
    Model,
    /// A user, service or device identity.
    Identity,
    /// The plant itself: a physical fault.
    Fault,
    /// Nobody: a disturbance or operation outside the learnt normal.
    None,
}

impl Suspect {
    /// The name used in machine output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sensor => "sensor",
            Self::Actuator => "actuator",
            Self::CommandPath => "command_path",
            Self::Network => "network",
            Self::Feed => "feed",
            Self::Twin => "twin",
            Self::Model => "model",
            Self::Identity => "identity",
            Self::Fault => "fault",
            Self::None => "none",
        }
    }
}

/// Whether somebody did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum FindingKind {
    /// Deliberate.
    Attack,
    /// Something broke or wore out.
    Fault,
    /// Normal operation outside what was learnt.
    Benign,
    /// The evidence does not say; the finding names the check that would.
    Undetermined,
}

impl FindingKind {
    /// The name used in machine output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attack => "attack",
            Self::Fault => "fault",
            Self::Benign => "benign",
            Self::Undetermined => "undetermined",
        }
    }
}

/// How soon somebody must act; from the margin to a limit, not from the score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Look into it this shift.
    Medium,
    /// Look into it now.
    High,
    /// A limit can be reached within the mitigation horizon.
    Critical,
}

/// Where a finding stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum FindingState {
    /// Nobody has dealt with it.
    #[default]
    Open,
    /// Somebody has seen it.
    Acknowledged,
    /// Its effect is held.
    Contained,
    /// Put aside until a time.
    Shelved,
    /// Dealt with.
    Closed,
}

/// A view of the plant that a guard may or may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum View {
    /// The bytes on the wire.
    Wire,
    /// What the controller says it sent.
    ControllerJournal,
    /// What the vendor's twin shows.
    VendorTwin,
    /// A physics model.
    Model,
    /// Who logged in where.
    Access,
    /// A normal history.
    History,
}

impl View {
    /// What this view would add to a finding that had to do without it.
    #[must_use]
    pub const fn adds(self) -> &'static str {
        match self {
            Self::Wire => {
                "with the wire, repeated values, odd timing and the writer of each command would show"
            }
            Self::ControllerJournal => {
                "with the controller's journal, commands that it never sent would show"
            }
            Self::VendorTwin => "with the vendor twin's values, a twin or feed that lies would show",
            Self::Model => "with a physics model, sensor, actuator and plant could be told apart",
            Self::Access => "with login records, a stolen identity would show",
            Self::History => "with a normal history, alarm limits would be calibrated",
        }
    }
}

/// A technique of MITRE ATT&CK for ICS, for example `T0856`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Technique {
    /// The identifier.
    pub id: Label,
    /// Its published name.
    #[cfg_attr(feature = "serde", serde(skip_deserializing))]
    pub name: &'static str,
}

/// One piece of the argument: what speaks for or against the suspect, and how much.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Reason {
    /// In words, with times and values.
    pub text: String,
    /// Weight for the accusation against the other cause that the text names, nats.
    pub nats: f64,
}

/// Belief in one suspect.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Confidence {
    /// The suspect.
    pub suspect: Suspect,
    /// Probability, 0 to 1; over all suspects they sum to 1.
    pub probability: f64,
}

/// What one detector contributed.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Evidence {
    /// The detector's name.
    pub detector: String,
    /// What it looks for.
    pub symptom: Symptom,
    /// Highest surprise, −log₁₀ p.
    pub surprise: f64,
    /// The surprise at which it alarms, from the asked false-alarm rate.
    pub threshold: f64,
    /// When it first passed its threshold.
    pub since: Timestamp,
}

/// Something is wrong: what, since when, who lies, how sure, why, what next.
///
/// A finding is raised at once and named later: the same `id` comes again with a higher `revision` as evidence grows.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Finding {
    /// The incident.
    pub id: FindingId,
    /// Counts from 0.
    pub revision: u32,
    /// When this revision was made.
    pub at: Timestamp,
    /// When the finding was first raised.
    pub raised_at: Timestamp,
    /// Estimated onset of the cause.
    pub onset: Timestamp,
    /// How soon somebody must act.
    pub severity: Severity,
    /// Cause and effect, at most 60 characters.
    pub title: String,
    /// What happened, in one or two sentences.
    pub summary: String,
    /// The most probable suspect, [`Suspect::None`] when nobody is.
    pub suspect: Suspect,
    /// Which one: a signal's path, an address, an account.
    pub suspect_element: Option<String>,
    /// All suspects that the evidence does not separate or accuses independently, sorted; holds `suspect`.
    pub suspect_set: Vec<Suspect>,
    /// Attack, fault, benign or undetermined.
    pub kind: FindingKind,
    /// Belief in each suspect, highest first.
    pub confidence: Vec<Confidence>,
    /// Fused surprise, −log₁₀ p.
    pub surprise: f64,
    /// The fused surprise at which a finding is raised.
    pub threshold: f64,
    /// Shares of the signals, largest first.
    pub attribution: Vec<Attribution>,
    /// What the detectors contributed, largest surprise first.
    pub evidence: Vec<Evidence>,
    /// The argument: what was found, heaviest first, then what was looked for and not found.
    pub reasons: Vec<Reason>,
    /// ATT&CK for ICS techniques that the evidence fits.
    pub techniques: Vec<Technique>,
    /// The one check that would settle most, in words.
    pub next_step: String,
    /// Views that were missing.
    pub missing: Vec<View>,
    /// BLAKE3 digest of the events behind it.
    pub inputs: Digest,
    /// Number of events behind the digest.
    pub inputs_count: u64,
    /// Where it stands.
    pub state: FindingState,
}
