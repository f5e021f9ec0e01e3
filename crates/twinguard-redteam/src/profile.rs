//! What is known of an attack before it runs: what it needs, what it leaves, who did it.
//!
//! Source: A. Teixeira, I. Shames, H. Sandberg, K. H. Johansson, "A secure control framework for resource-limited
//! adversaries", Automatica 51, 2015, §3: the attack space of model knowledge, disclosure and disruption resources.

use twinguard_types::Suspect;

use crate::{Attack, Target};

/// What the attacker knows of the plant.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// Addresses at most.
    #[default]
    None,
    /// Which register holds what, and its limits.
    Points,
    /// The model with its parameters.
    Model,
    /// The model and the detector's setting.
    Detector,
}

/// A path that the attacker can read or change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Measured values on the wire.
    Readings,
    /// Commands on the wire.
    Commands,
    /// Commands between tap and actuator.
    Actuators,
    /// A place on the network from which to speak.
    Network,
    /// The controller and its journal.
    Controller,
    /// The vendor's twin or its feed.
    Vendor,
    /// Clocks.
    Clocks,
    /// Accounts.
    Accounts,
    /// Files and memory of the model.
    Model,
}

/// What an attacker has, or what an attack needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Resources {
    /// What is known.
    pub knowledge: Knowledge,
    /// What can be read.
    pub disclosure: &'static [Channel],
    /// What can be changed.
    pub disruption: &'static [Channel],
}

impl Resources {
    /// Everything: knows the model and the detector, reads and changes every path.
    pub const ALL: Self = Self { knowledge: Knowledge::Detector, disclosure: ALL, disruption: ALL };

    /// Whether these are enough for what is needed.
    #[must_use]
    pub fn cover(&self, needed: &Self) -> bool {
        let within = |needed: &[Channel], had: &[Channel]| needed.iter().all(|it| had.contains(it));
        needed.knowledge <= self.knowledge
            && within(needed.disclosure, self.disclosure)
            && within(needed.disruption, self.disruption)
    }
}

const ALL: &[Channel] = &[
    Channel::Readings,
    Channel::Commands,
    Channel::Actuators,
    Channel::Network,
    Channel::Controller,
    Channel::Vendor,
    Channel::Clocks,
    Channel::Accounts,
    Channel::Model,
];

/// Rows of the scoreboard belong together by family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// False values.
    Telemetry,
    /// Late, lost and mixed up messages.
    Timing,
    /// Messages of a stranger.
    Frames,
    /// Commands that nobody meant.
    Commands,
    /// What the platform shows.
    Twin,
    /// Models and parameters.
    Model,
    /// Accounts.
    Identity,
    /// Built from the plant's model so that nothing shows.
    Theory,
    /// Several at once.
    Combined,
    /// Faults of the plant.
    Fault,
    /// Everyday life.
    Benign,
}

/// What an attack leaves beside what it does to the values: the circumstances by which attack and fault are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trace {
    /// Messages come at other times.
    Timing,
    /// A peer or an account that was not there, or does what it never did.
    Identity,
    /// Commands that the journal does not know.
    Provenance,
    /// The same values again, to the last digit.
    Repeat,
    /// Bytes that no standard allows.
    Malformed,
    /// A digest that is not the sealed one.
    Seal,
    /// The twin shows what the wire does not say.
    Vendor,
}

/// By what an attack can be seen at all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Visibility {
    /// By what it leaves on the wire, in journals or in digests, whatever the plant does.
    Facts,
    /// By the error on the aimed measurement: this multiple of the aim's error, at once or slowly.
    Sensor(f64, Onset),
    /// By a disagreement between command and plant: the aimed actuator is off by this multiple of the aim.
    Actuator(f64, Onset),
    /// By the noise of the aimed measurement alone.
    Noise,
    /// By the values, while the plant moves: several measurements at once no longer follow the commands.
    Motion,
    /// By nothing in the data, as theory says.
    Never,
}

/// How an error comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onset {
    /// At once.
    Step,
    /// Evenly.
    Ramp,
}

/// What the plant must have for an attack to be possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing beyond a sensor and an actuator.
    Nothing,
    /// A set-point in the device.
    SetPoint,
    /// A register for the mode of operation.
    Mode,
    /// Limits within which a value raises no alarm.
    Limit,
    /// A second measurement of the same unit.
    Pair,
    /// A model that the attacker can run.
    Model,
    /// An unstable zero from the commands to the measurements that the controller holds.
    UnstableZero,
    /// A slow motion of the state that the aimed measurement sees.
    SlowMode,
}

/// One line of the registry.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What happens, in words.
    pub story: &'static str,
    /// Where it stands on the board.
    pub family: Family,
    /// Techniques of MITRE ATT&CK for ICS, the first one leading.
    pub techniques: &'static [&'static str],
    /// Who is to be accused: any of these is right.
    pub parties: &'static [Suspect],
    /// What the attacker needs.
    pub needs: Resources,
    /// What the plant needs.
    pub requires: Requirement,
    /// What it leaves besides.
    pub traces: &'static [Trace],
    /// By what it can be seen.
    pub visibility: Visibility,
    /// Puts it together for a target; nothing when the target lacks what it requires.
    pub build: fn(&Target) -> Vec<Box<dyn Attack>>,
}

impl core::fmt::Debug for Entry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("story", &self.story).finish_non_exhaustive()
    }
}

/// What every attack on one value has in common; the files say what differs.
pub(crate) const FALSE_VALUE: Entry = Entry {
    name: "",
    story: "",
    family: Family::Telemetry,
    techniques: &["T0856", "T0832"],
    parties: &[Suspect::Sensor, Suspect::Network],
    needs: Resources { knowledge: Knowledge::Points, disclosure: &[], disruption: &[Channel::Readings] },
    requires: Requirement::Nothing,
    traces: &[],
    visibility: Visibility::Sensor(1.0, Onset::Step),
    build: |_| Vec::new(),
};

/// What every command of a stranger has in common.
pub(crate) const FALSE_COMMAND: Entry = Entry {
    name: "",
    story: "",
    family: Family::Commands,
    techniques: &["T0855", "T0831"],
    parties: &[Suspect::CommandPath, Suspect::Identity],
    needs: Resources { knowledge: Knowledge::Points, disclosure: &[], disruption: &[Channel::Network] },
    requires: Requirement::Nothing,
    traces: &[Trace::Identity, Trace::Provenance],
    visibility: Visibility::Facts,
    build: |_| Vec::new(),
};

/// What all attacks on the platform's twin have in common.
pub(crate) const FALSE_TWIN: Entry = Entry {
    name: "",
    story: "",
    family: Family::Twin,
    techniques: &["T0832"],
    parties: &[Suspect::Twin, Suspect::Feed],
    needs: Resources {
        knowledge: Knowledge::Points,
        disclosure: &[Channel::Vendor],
        disruption: &[Channel::Vendor],
    },
    requires: Requirement::Nothing,
    traces: &[Trace::Vendor],
    visibility: Visibility::Facts,
    build: |_| Vec::new(),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_cover_what_is_within_them() {
        let replay = Resources {
            knowledge: Knowledge::None,
            disclosure: &[Channel::Readings],
            disruption: &[Channel::Readings],
        };
        assert!(Resources::ALL.cover(&replay));
        let deaf = Resources { disclosure: &[], ..replay };
        assert!(!deaf.cover(&replay) && replay.cover(&deaf));
        let knowing = Resources { knowledge: Knowledge::Model, ..replay };
        assert!(!replay.cover(&knowing));
    }
}
