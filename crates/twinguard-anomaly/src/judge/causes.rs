//! The causes that the judge weighs, the evidence for and against each in nats, and what each means for a person.
//!
//! Additive evidence and one softmax; weights from the log ratios of simulated rates, rounded, circumstantial ones capped at
//! ±2.3 (a factor of ten). ATT&CK for ICS identifiers and names are MITRE's (attack.mitre.org, ICS matrix).

use twinguard_types::{FindingKind, Label, Suspect, Technique};

/// What physics must look like under a cause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Physics {
    /// Nothing is off between field and model.
    Quiet,
    /// Anything goes.
    Any,
    /// Explained by a biased sensor.
    Sensor,
    /// Explained by an actuator that is off.
    Actuator,
    /// Explained by a disturbance.
    Load,
    /// Explained by a declared fault mode.
    Fault,
}

/// A cause: who, whether on purpose, how likely beforehand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) suspect: Suspect,
    pub(crate) kind: FindingKind,
    pub(crate) prior: f64,
    pub(crate) physics: Physics,
    /// Short, for the title: the cause.
    pub(crate) cause: &'static str,
    /// Short, for the title: the effect.
    pub(crate) effect: &'static str,
    /// The one check that would settle most.
    pub(crate) check: &'static str,
    pub(crate) techniques: &'static [(&'static str, &'static str)],
}

macro_rules! causes {
    ($($name:ident: $suspect:ident $kind:ident $prior:literal $physics:ident
        $cause:literal => $effect:literal; $check:literal; $($techniques:ident)*,)*) => {
        /// A cause's place in the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum C { $($name),* }
        /// All causes.
        pub(crate) const CAUSES: [Row; [$(C::$name),*].len()] = [$(Row {
            suspect: Suspect::$suspect,
            kind: FindingKind::$kind,
            prior: $prior,
            physics: Physics::$physics,
            cause: $cause,
            effect: $effect,
            check: $check,
            techniques: &[$($techniques),*],
        }),*];
    };
}

type T = (&'static str, &'static str);
const UNAUTHORISED: T = ("T0855", "Unauthorized Command Message");
const CONTROL: T = ("T0831", "Manipulation of Control");
const SPOOF: T = ("T0856", "Spoof Reporting Message");
const VIEW: T = ("T0832", "Manipulation of View");
const AITM: T = ("T0830", "Adversary-in-the-Middle");
const PARAMETER: T = ("T0836", "Modify Parameter");
const ACCOUNTS: T = ("T0859", "Valid Accounts");
const DENIAL: T = ("T0814", "Denial of Service");
const PROGRAM: T = ("T0889", "Modify Program");
const DISCOVERY: T = ("T0846", "Remote System Discovery");

/// Every technique that a finding can name.
pub(crate) const TECHNIQUES: [T; 10] =
    [UNAUTHORISED, CONTROL, SPOOF, VIEW, AITM, PARAMETER, ACCOUNTS, DENIAL, PROGRAM, DISCOVERY];

causes! {
    Nothing: None Benign 3.0 Quiet
        "Unusual operation" => "alarm, nothing disagrees";
        "Ask operations whether something was changed on purpose.";,
    Load: None Benign 2.0 Load
        "Load left its usual range" => "readings moved with it";
        "Confirm the load with operations, or read its meter.";,
    OtherRegime: None Benign 1.0 Any
        "Readings unlike the history" => "it does not cover this";
        "Ask operations whether this way of running is normal; if so, let the guard learn from it.";,
    SensorBias: Sensor Attack 0.0 Sensor
        "Sensor reading falsified" => "display is wrong";
        "Read the value again over an independent or signed path, or with a hand instrument."; SPOOF VIEW,
    SensorDrift: Sensor Fault 1.0 Sensor
        "Sensor off its calibration" => "display is wrong";
        "Read the value again over an independent or signed path, or with a hand instrument.";,
    SensorFrozen: Sensor Attack 0.0 Any
        "Sensor reading held still" => "changes are hidden";
        "Read the value again over an independent or signed path, or with a hand instrument."; SPOOF VIEW,
    SensorStuck: Sensor Fault 1.0 Any
        "Transmitter stuck" => "changes are not shown";
        "Read the value again at the transmitter, then stroke or replace it.";,
    SensorNoise: Sensor Attack 0.0 Any
        "Sensor noise changed" => "readings cannot be trusted";
        "Look at the raw signal at the transmitter."; SPOOF,
    SensorFailing: Sensor Fault 1.0 Any
        "Sensor or its wiring failing" => "readings cannot be trusted";
        "Look at the raw signal at the transmitter.";,
    Replay: Network Attack 0.0 Any
        "Old sensor values replayed" => "plant hidden from view";
        "Look at a local gauge, or move a command by a little and see whether the readings follow."; SPOOF VIEW AITM,
    Injection: CommandPath Attack 0.0 Quiet
        "Commands nobody sent" => "plant driven by a stranger";
        "Compare the writes with the controller's journal, and block the writer."; UNAUTHORISED CONTROL,
    HiddenInjection: CommandPath Attack -1.0 Actuator
        "Command changed on its way" => "actuator follows a stranger";
        "Read the actuator's command at the device itself."; UNAUTHORISED CONTROL AITM,
    ActuatorStuck: Actuator Fault 1.0 Actuator
        "Actuator does not follow" => "plant not as commanded";
        "Stroke the actuator and watch its position and the flow.";,
    SetpointTamper: Identity Attack 0.0 Quiet
        "Set-point changed without order" => "plant follows it";
        "Call the account's owner, and revoke the session."; PARAMETER ACCOUNTS,
    StolenAccount: Identity Attack 0.0 Quiet
        "Unusual access" => "account may be stolen";
        "Call the account's owner, and revoke the session."; ACCOUNTS,
    Stranger: Identity Attack 1.0 Any
        "Unknown client on the network" => "it may read and write";
        "Find out who it is: a new station, a scan, or somebody who should not be there."; DISCOVERY,
    NewStation: Identity Benign -1.5 Any
        "New client on the network" => "nothing else changed";
        "Find out who it is: a new station, a scan, or somebody who should not be there.";,
    TwinFrozen: Twin Fault 0.5 Quiet
        "Vendor's twin shows old values" => "screens are wrong";
        "Reload the vendor's twin from its seal, and check what feeds it."; VIEW,
    TwinFalsified: Twin Attack 0.0 Quiet
        "Vendor's twin falsified" => "screens are wrong";
        "Reload the vendor's twin from its seal, and check what feeds it."; VIEW,
    FeedPoison: Feed Attack 0.0 Quiet
        "Feed of the vendor's twin falsified" => "screens are wrong";
        "Compare the twin's input with the field at the same second."; VIEW AITM,
    ModelTamper: Model Attack -1.5 Any
        "Model differs from its seal" => "estimates untrusted";
        "Restore the model from its seal, and look who wrote it."; PROGRAM PARAMETER,
    NetworkAttack: Network Attack 0.0 Any
        "Traffic disturbed" => "values late or missing";
        "Capture on both sides of the switch and compare."; DENIAL AITM,
    NetworkTrouble: Network Fault 1.0 Any
        "Network trouble" => "values late or missing";
        "Check the switch's counters and the clocks.";,
    PlantFault: Fault Fault 1.0 Fault
        "Plant fault" => "plant behaves differently";
        "Inspect the part, or isolate it and see whether the deviation goes.";,
}

/// A piece of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum E {
    Unsent,
    NewWriter,
    NewClient,
    NewCommand,
    Seal,
    Journal,
    Repeat,
    Freeze,
    Noise,
    VendorOff,
    VendorFrozenOrMost,
    VendorFew,
    VendorSlow,
    Network,
    Timing,
    Identity,
    Level,
    Jump,
    OneSensor,
    ManySignals,
    FromStart,
    CheckDiffers,
    CheckAgrees,
}

/// Number of pieces of evidence.
pub(crate) const EVIDENCE: usize = 23;

/// Whether the evidence is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is.
    Yes,
    /// It is not, although it would have been seen.
    No,
    /// There is no view that could show it.
    Blind,
    /// It is, but something else that was found accounts for it.
    Explained,
}

/// Weight in nats when present, absent, and when nobody could see it.
///
/// A view that is missing counts like silence for the causes that it alone could accuse, so that taking a view away never helps an
/// accusation; only commands have a second witness (novelty), hence −4 instead of −10.
pub(crate) const WEIGHTS: &[(E, C, f64, f64, f64)] = &[
    (E::Unsent, C::Injection, 16.0, -10.0, -4.0),
    (E::NewWriter, C::Injection, 10.0, 0.0, 0.0),
    (E::NewWriter, C::SetpointTamper, 2.3, 0.0, 0.0),
    (E::NewClient, C::Stranger, 8.0, -9.0, -9.0),
    (E::NewClient, C::NewStation, 8.0, -9.0, -9.0),
    (E::NewClient, C::NetworkAttack, 4.0, 0.0, 0.0),
    (E::NewCommand, C::Injection, 2.3, -0.5, -0.5),
    (E::NewCommand, C::SetpointTamper, 2.3, -0.5, -0.5),
    (E::Seal, C::ModelTamper, 14.0, -2.3, -2.3),
    (E::Journal, C::SetpointTamper, 12.0, -3.0, -3.0),
    (E::Repeat, C::Replay, 14.0, -6.0, -6.0),
    (E::Freeze, C::SensorFrozen, 9.0, -9.0, -9.0),
    (E::Freeze, C::SensorStuck, 9.0, -9.0, -9.0),
    (E::Noise, C::SensorNoise, 12.0, -9.0, -9.0),
    (E::Noise, C::SensorFailing, 12.0, -9.0, -9.0),
    (E::VendorOff, C::TwinFrozen, 6.0, -9.0, -9.0),
    (E::VendorOff, C::TwinFalsified, 6.0, -9.0, -9.0),
    (E::VendorOff, C::FeedPoison, 6.0, -9.0, -9.0),
    (E::VendorFrozenOrMost, C::TwinFrozen, 6.0, -3.0, -3.0),
    (E::VendorFrozenOrMost, C::TwinFalsified, 6.0, -3.0, -3.0),
    (E::VendorFew, C::FeedPoison, 2.0, -4.0, -4.0),
    (E::VendorSlow, C::SensorBias, 6.0, 0.0, 0.0),
    (E::VendorSlow, C::SensorDrift, 6.0, 0.0, 0.0),
    (E::VendorSlow, C::PlantFault, 6.0, 0.0, 0.0),
    (E::VendorSlow, C::ActuatorStuck, 5.0, 0.0, 0.0),
    (E::VendorSlow, C::Load, 5.0, 0.0, 0.0),
    (E::VendorSlow, C::FeedPoison, -2.0, 0.0, 0.0),
    (E::Network, C::NetworkAttack, 10.0, -9.0, -9.0),
    (E::Network, C::NetworkTrouble, 10.0, -9.0, -9.0),
    (E::Timing, C::SensorBias, 2.3, -0.6, -0.6),
    (E::Timing, C::SensorFrozen, 2.3, -0.6, -0.6),
    (E::Timing, C::SensorNoise, 2.3, -0.6, -0.6),
    (E::Timing, C::Replay, 2.3, -0.6, -0.6),
    (E::Timing, C::HiddenInjection, 2.3, -0.6, -0.6),
    (E::Timing, C::NetworkAttack, 2.3, -0.6, -0.6),
    (E::Identity, C::SensorBias, 1.6, -0.5, -0.5),
    (E::Identity, C::SensorFrozen, 1.6, -0.5, -0.5),
    (E::Identity, C::SensorNoise, 1.6, -0.5, -0.5),
    (E::Identity, C::Replay, 1.6, -0.5, -0.5),
    (E::Identity, C::Injection, 1.6, -0.5, -0.5),
    (E::Identity, C::HiddenInjection, 1.6, -0.5, -0.5),
    (E::Identity, C::SetpointTamper, 1.6, -0.5, -0.5),
    (E::Identity, C::StolenAccount, 9.0, -9.0, -9.0),
    (E::Identity, C::FeedPoison, 1.6, -0.5, -0.5),
    (E::Identity, C::TwinFalsified, 1.6, -0.5, -0.5),
    (E::Identity, C::ModelTamper, 1.6, -0.5, -0.5),
    (E::Identity, C::NetworkAttack, 1.6, -0.5, -0.5),
    (E::Level, C::SensorBias, 2.3, 0.0, 0.0),
    (E::Level, C::SensorDrift, 2.3, 0.0, 0.0),
    (E::Level, C::PlantFault, 2.3, 0.0, 0.0),
    (E::Level, C::Load, 1.0, 0.0, 0.0),
    (E::Jump, C::SensorBias, 2.3, 0.0, 0.0),
    (E::OneSensor, C::SensorBias, 2.3, 0.0, 0.0),
    (E::OneSensor, C::SensorDrift, 2.3, 0.0, 0.0),
    (E::OneSensor, C::Load, -2.3, 0.0, 0.0),
    (E::OneSensor, C::PlantFault, -1.5, 0.0, 0.0),
    (E::OneSensor, C::ActuatorStuck, -1.5, 0.0, 0.0),
    (E::OneSensor, C::HiddenInjection, -1.5, 0.0, 0.0),
    (E::ManySignals, C::PlantFault, 1.6, 0.0, 0.0),
    (E::ManySignals, C::ActuatorStuck, 1.0, 0.0, 0.0),
    (E::ManySignals, C::HiddenInjection, 1.0, 0.0, 0.0),
    (E::ManySignals, C::Load, 1.6, 0.0, 0.0),
    (E::ManySignals, C::OtherRegime, 1.6, 0.0, 0.0),
    (E::OneSensor, C::OtherRegime, -1.5, 0.0, 0.0),
    (E::Level, C::OtherRegime, 1.0, 0.0, 0.0),
    (E::FromStart, C::OtherRegime, 5.0, -9.0, -9.0),
    (E::CheckDiffers, C::OtherRegime, -6.0, 0.0, 0.0),
    (E::CheckDiffers, C::SensorBias, 6.0, 0.0, 0.0),
    (E::CheckDiffers, C::SensorFrozen, 6.0, 0.0, 0.0),
    (E::CheckDiffers, C::SensorNoise, 6.0, 0.0, 0.0),
    (E::CheckDiffers, C::Replay, 6.0, 0.0, 0.0),
    (E::CheckDiffers, C::NetworkAttack, 6.0, 0.0, 0.0),
    (E::CheckDiffers, C::SensorDrift, -6.0, 0.0, 0.0),
    (E::CheckDiffers, C::SensorStuck, -6.0, 0.0, 0.0),
    (E::CheckDiffers, C::SensorFailing, -6.0, 0.0, 0.0),
    (E::CheckDiffers, C::PlantFault, -6.0, 0.0, 0.0),
    (E::CheckDiffers, C::ActuatorStuck, -6.0, 0.0, 0.0),
    (E::CheckDiffers, C::Load, -6.0, 0.0, 0.0),
    (E::CheckDiffers, C::Nothing, -6.0, 0.0, 0.0),
    (E::CheckAgrees, C::SensorBias, -4.0, 0.0, 0.0),
    (E::CheckAgrees, C::SensorFrozen, -4.0, 0.0, 0.0),
    (E::CheckAgrees, C::SensorNoise, -4.0, 0.0, 0.0),
    (E::CheckAgrees, C::Replay, -4.0, 0.0, 0.0),
    (E::CheckAgrees, C::NetworkAttack, -4.0, 0.0, 0.0),
];

/// Causes that differ only in whether somebody meant it, and how the pair is called while that is open.
pub(crate) const EITHER: &[(C, C, &str)] = &[
    (C::SensorBias, C::SensorDrift, "Sensor reading wrong"),
    (C::SensorFrozen, C::SensorStuck, "Sensor reading stands still"),
    (C::SensorNoise, C::SensorFailing, "Sensor noise changed"),
    (C::TwinFalsified, C::TwinFrozen, "Vendor's twin left the field"),
    (C::NetworkAttack, C::NetworkTrouble, "Traffic disturbed"),
    (C::Stranger, C::NewStation, "Unknown client on the network"),
];

/// Evidence that accuses by itself, whatever else is found, and whom.
pub(crate) const FACTS: &[(E, C)] = &[
    (E::Unsent, C::Injection),
    (E::NewWriter, C::Injection),
    (E::NewClient, C::Stranger),
    (E::Seal, C::ModelTamper),
    (E::Journal, C::SetpointTamper),
    (E::Repeat, C::Replay),
    (E::VendorFrozenOrMost, C::TwinFrozen),
    (E::VendorFew, C::FeedPoison),
];

/// All evidence, by number.
pub(crate) const ALL: [E; EVIDENCE] = [
    E::Unsent,
    E::NewWriter,
    E::NewClient,
    E::NewCommand,
    E::Seal,
    E::Journal,
    E::Repeat,
    E::Freeze,
    E::Noise,
    E::VendorOff,
    E::VendorFrozenOrMost,
    E::VendorFew,
    E::VendorSlow,
    E::Network,
    E::Timing,
    E::Identity,
    E::Level,
    E::Jump,
    E::OneSensor,
    E::ManySignals,
    E::FromStart,
    E::CheckDiffers,
    E::CheckAgrees,
];

/// The technique as a finding names it.
pub(crate) fn technique((id, name): T) -> Technique {
    Technique { id: Label::literal(id), name }
}

/// The identifiers and names of all ATT&CK for ICS techniques that a finding can name.
#[must_use]
pub fn techniques() -> Vec<Technique> {
    TECHNIQUES.into_iter().map(technique).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_numbered_as_listed() {
        assert!(ALL.iter().enumerate().all(|(place, evidence)| *evidence as usize == place));
    }

    #[test]
    fn titles_fit_and_steps_are_said() {
        for row in CAUSES {
            let title = format!("{}: {}", row.cause, row.effect);
            assert!(title.chars().count() <= 60, "{title}");
            assert!(row.check.ends_with('.'));
        }
    }

    #[test]
    fn every_attack_names_a_technique_and_no_fault_needs_one() {
        for row in CAUSES {
            assert!(row.kind != FindingKind::Attack || !row.techniques.is_empty(), "{}", row.cause);
        }
    }
}
