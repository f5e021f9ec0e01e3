//! What the run report shows, as plain data: the page is a pure function of it, and its JSON twin is this very structure.
//!
//! Times are seconds from the start of the run unless a type says otherwise; values are in the unit beside them.

use twinguard_types::{Decision, Digest, Finding, Timestamp};

/// One run of a guard, from the answer to the proof.
///
/// ```
/// use twinguard_report::{Plot, RunReport, Speaker, TimeAxis, Trace, render};
/// use twinguard_types::Timestamp;
///
/// let mut report = RunReport::new("cooling_loop", TimeAxis::new(Timestamp::ZERO, 1200.0));
/// let readings = (0..1200).map(|t| (f64::from(t), 72.0));
/// report.plots.push(Plot::new("Asset temperature", "°C").trace(Trace::new(Speaker::Reported, readings)));
/// assert!(render(&report).contains("Nothing abnormal in 20\u{202f}min."));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RunReport {
    /// What happened, and what it came to.
    pub headline: Headline,
    /// One to three sentences below the headline; empty when the headline says it all.
    pub lead: String,
    /// When the plant was back to normal.
    pub normal_again_s: Option<f64>,
    /// At most four figures beside the headline.
    pub key_figures: Vec<KeyFigure>,
    /// Which plant, which run.
    pub meta: Meta,
    /// When it began and how long it took.
    pub time: TimeAxis,
    /// The story in one to three sentences, above the plots.
    pub happened: String,
    /// The true attack windows: known in simulations and labelled data only.
    pub attacks: Vec<Window>,
    /// The first is the main plot (least margin without the guard), the others the small multiples in order of weight.
    pub plots: Vec<Plot>,
    /// Windows of time to look at closely; [`RunReport::focus_on_findings`] fills it.
    pub focus: Vec<Focus>,
    /// The sources side by side, largest distance first.
    pub sources: Vec<SourceRow>,
    /// What is wrong, worst first.
    pub findings: Vec<FindingCard>,
    /// How the detectors stood.
    pub detection: Detection,
    /// Every command and its verdict, in time order; equal ones are folded by the page.
    pub commands: Vec<CommandRow>,
    /// What was done, in time order.
    pub actions: Vec<ActionRow>,
    /// Why to believe this page.
    pub evidence: Evidence,
    /// What is not known, in sentences.
    pub unknowns: Vec<String>,
    /// Names of the machine-readable files beside the page.
    pub files: Vec<String>,
}

impl RunReport {
    /// A quiet run of a plant: nothing found, nothing commanded, nothing done.
    #[must_use]
    pub fn new(plant: impl Into<String>, time: TimeAxis) -> Self {
        Self {
            headline: Headline::Nothing,
            lead: String::new(),
            normal_again_s: None,
            key_figures: Vec::new(),
            meta: Meta::new(plant),
            time,
            happened: String::new(),
            attacks: Vec::new(),
            plots: Vec::new(),
            focus: Vec::new(),
            sources: Vec::new(),
            findings: Vec::new(),
            detection: Detection::default(),
            commands: Vec::new(),
            actions: Vec::new(),
            evidence: Evidence::default(),
            unknowns: Vec::new(),
            files: Vec::new(),
        }
    }
}

/// The first sentence of the page, by kind.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Headline {
    /// Somebody did it.
    Attack {
        /// What happened, as a sentence.
        what: String,
        /// What it came to, where a limit is known.
        outcome: Option<Outcome>,
    },
    /// Something broke or wore out.
    Fault {
        /// What happened, as a sentence.
        what: String,
        /// What it came to, where a limit is known.
        outcome: Option<Outcome>,
    },
    /// The evidence does not say whether it was meant.
    Unclear {
        /// What happened, as a sentence.
        what: String,
    },
    /// Findings of several kinds: their number, and the title of the first.
    Findings,
    /// Nothing was found.
    Nothing,
    /// Too little normal history to say.
    Learning {
        /// History so far, seconds.
        have_s: f64,
        /// History wanted, seconds.
        want_s: f64,
    },
    /// The run cannot be trusted in full.
    Gaps {
        /// Time without field data, seconds.
        missing_s: f64,
    },
}

/// How near an asset came to its limit.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Outcome {
    /// Who: “The asset”.
    pub subject: String,
    /// Least distance to the limit; negative when it was passed.
    pub margin: Quantity,
    /// On which side of the limit the damage lies.
    pub side: Side,
    /// Time beyond the limit, seconds.
    pub beyond_s: f64,
}

/// The forbidden side of a limit.
#[derive(Clone, Debug, PartialEq, Copy, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Side {
    /// Values above it.
    Above,
    /// Values below it.
    Below,
    /// Neither: a level to compare with, such as an alarm threshold.
    Level,
}

/// A number with its unit and what is known of its uncertainty, from which the decimals follow.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Quantity {
    /// The number.
    pub value: f64,
    /// Its unit, `°C` or `degC`.
    pub unit: String,
    /// Its standard deviation.
    pub sigma: Option<f64>,
    /// The smallest step of whatever measured it.
    pub resolution: Option<f64>,
}

/// A large number beside the headline.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct KeyFigure {
    /// What it is.
    pub label: String,
    /// The number as text.
    pub value: String,
    /// Its unit, set smaller.
    pub unit: String,
    /// One short line below.
    pub note: String,
    /// Whether it lies beyond its limit: set in red.
    pub beyond_limit: bool,
}

/// Which plant, which run.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Meta {
    /// The plant's name.
    pub plant: String,
    /// Where the data came from: `simulated`, a file name, a tap.
    pub source: String,
    /// Whether the plant is simulated, so that true values may be known.
    pub simulated: bool,
    /// The seed of a simulation.
    pub seed: Option<u64>,
    /// What was read: 4 802 × `Modbus TCP frames`.
    pub inputs: Vec<(u64, String)>,
    /// Digest of the sealed model, with its series and version; absent when loaded unsealed.
    pub seal: Option<(Digest, u64)>,
    /// Digest of the policy.
    pub policy: Option<Digest>,
}

/// When a run began and how long it took.
#[derive(Clone, Debug, PartialEq, Copy)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TimeAxis {
    /// The start.
    pub start: Timestamp,
    /// Length, seconds.
    pub span_s: f64,
    /// Whether the start is a date (UTC) rather than the zero of a simulation.
    pub utc: bool,
}

/// A span of the run with a name.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Window {
    /// Begin, seconds.
    pub from_s: f64,
    /// End, seconds.
    pub to_s: f64,
    /// In a few words.
    pub label: String,
}

/// Who says so. One hue, one line style, one word each.
#[derive(Clone, Debug, PartialEq, Copy, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Speaker {
    /// The true value; simulations only.
    True,
    /// The field, over the wire.
    Reported,
    /// The vendor's twin.
    Vendor,
    /// The sealed model.
    Estimate,
    /// What would have happened without the guard.
    WithoutGuard,
    /// A detector.
    Score,
    /// Anything else; give the trace a name.
    Other,
}

/// One sample of a trace.
#[derive(Clone, Debug, PartialEq, Copy)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Sample {
    /// Seconds from the start of the run.
    pub t_s: f64,
    /// The value; `None` where there was none or its quality was bad.
    pub value: Option<f64>,
    /// Its standard deviation, where known.
    pub sigma: Option<f64>,
}

/// What one speaker says over time.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Trace {
    /// Who.
    pub speaker: Speaker,
    /// A name of its own, in place of the speaker's word.
    pub name: Option<String>,
    /// In time order.
    pub samples: Vec<Sample>,
    /// A pause longer than this is shown as missing data; without it only samples without a value are.
    pub gap_s: Option<f64>,
}

/// A limit or level in a plot.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Limit {
    /// Where.
    pub value: f64,
    /// Which side is forbidden.
    pub side: Side,
    /// Why, in a few words.
    pub reason: String,
}

/// A short note at a point of a plot; decoration only, hidden on phones.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Tag {
    /// Seconds from the start of the run.
    pub t_s: f64,
    /// Value.
    pub value: f64,
    /// At most 28 characters.
    pub text: String,
    /// Whose colour it takes.
    pub speaker: Option<Speaker>,
}

/// One signal, or a few of one unit, over the whole run.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Plot {
    /// Name of the quantity.
    pub title: String,
    /// Unit, `°C` or `degC`.
    pub unit: String,
    /// Whether the axis starts at zero: flows, speeds, counts, surprise.
    pub from_zero: bool,
    /// Values from here on are drawn here and labelled “and above”.
    pub clamp: Option<f64>,
    /// Smallest step of the measurement, for the decimals.
    pub resolution: Option<f64>,
    /// What the speakers say.
    pub traces: Vec<Trace>,
    /// Limits and levels.
    pub limits: Vec<Limit>,
    /// Notes in the plot, at most four are shown.
    pub tags: Vec<Tag>,
    /// Named instants, shown in the focus plots.
    pub marks: Vec<(f64, String)>,
    /// One sentence that states the finding, for people who do not see the plot; empty: ranges of the traces.
    pub description: String,
}

/// A window of time, shown larger, counted from its own zero.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Focus {
    /// Heading.
    pub title: String,
    /// One sentence.
    pub lead: String,
    /// Begin, seconds.
    pub from_s: f64,
    /// End, seconds.
    pub to_s: f64,
    /// The instant that counts as 0, seconds.
    pub zero_s: f64,
    /// Which of [`RunReport::plots`], usually two.
    pub plots: Vec<usize>,
}

/// One signal at the moment of a finding, as the three sources have it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SourceRow {
    /// The signal's path.
    pub signal: String,
    /// Its unit.
    pub unit: String,
    /// Reported by the field.
    pub reported: Option<f64>,
    /// Shown by the vendor's twin.
    pub vendor: Option<f64>,
    /// Estimated by the sealed model.
    pub model: Option<f64>,
    /// Standard deviation of reported minus model.
    pub sigma: Option<f64>,
    /// In at most ten words.
    pub reading: String,
}

/// A finding and what the page shows beside it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FindingCard {
    /// The finding, in its last revision.
    pub finding: Finding,
    /// What would break, and when.
    pub consequence: Option<Consequence>,
    /// Its leaf in the journal.
    pub leaf: Option<u64>,
    /// Other symptoms of the same cause.
    pub symptoms: Vec<String>,
}

/// What would break, and when.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Consequence {
    /// “With the cooling cut, the asset passes 95.0 °C”, without a full stop.
    pub text: String,
    /// After which time, with its 90 % interval: middle, low, high, seconds.
    pub after_s: Option<(f64, f64, f64)>,
    /// Distance to the limit when the finding was raised.
    pub margin: Option<Quantity>,
}

/// How the detectors stood over the run.
#[derive(Clone, Debug, PartialEq, Copy, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Detection {
    /// How many ran.
    pub detectors: u32,
    /// Least of their highest surprises, −log₁₀ p.
    pub quietest: Option<f64>,
    /// Highest surprise.
    pub loudest: Option<f64>,
    /// Surprise at which a finding is raised.
    pub alarm: Option<f64>,
    /// False alarms a day that were asked for.
    pub asked_per_day: Option<f64>,
    /// Alarms that were false, where the truth is known.
    pub false_alarms: Option<u32>,
    /// Share of the expected field samples that arrived, 0 to 1.
    pub coverage: Option<f64>,
}

/// A command and the gate's answer.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct CommandRow {
    /// Seconds from the start of the run.
    pub t_s: f64,
    /// Identity.
    pub who: String,
    /// Network address, where known.
    pub address: Option<String>,
    /// Which signal.
    pub signal: String,
    /// To which value, with its unit.
    pub value: String,
    /// What the gate decided.
    pub decision: Decision,
    /// The value it was clamped to, with its unit.
    pub clamped_to: Option<String>,
    /// How it ended, when somebody else decided: “refused by operator”.
    pub ended: Option<String>,
    /// Rule or physics, one clause.
    pub why: String,
    /// Least margin to a limit in the what-if run, worst case; negative when crossed.
    pub margin: Option<Quantity>,
}

/// Something the guard did, or recommends.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ActionRow {
    /// Its number.
    pub id: u64,
    /// Begin, seconds from the start of the run.
    pub t_s: f64,
    /// End, where it has one.
    pub until_s: Option<f64>,
    /// What.
    pub what: String,
    /// Why, and at what cost.
    pub why: String,
    /// How it is undone, and when.
    pub undo: String,
    /// Whether it was only recommended.
    pub recommended_only: bool,
}

/// Why to believe this page.
#[derive(Clone, Debug, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Evidence {
    /// The signed checkpoint of the journal at the end of the run, as it stands.
    pub checkpoint: Option<String>,
    /// Whether the writer of the page checked the journal.
    pub verification: Verification,
    /// Who signed.
    pub signers: Vec<String>,
    /// Witnesses that signed, and how many were asked.
    pub witnesses: Option<(u32, u32)>,
    /// Lost leaves: how many, why.
    pub gaps: Vec<(u64, String)>,
    /// The proof of one leaf: its index and the number of hashes to the root.
    pub proof: Option<(u64, u32)>,
    /// How the model was loaded, in a sentence; empty: from the seal in [`Meta`].
    pub model: String,
    /// Commands to check all this offline.
    pub commands: Vec<String>,
}

/// Whether the writer of the page checked the journal.
#[derive(Clone, Debug, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Verification {
    /// It did not.
    #[default]
    NotChecked,
    /// The root was recomputed from this many leaves.
    Verified {
        /// Leaves.
        leaves: u64,
    },
    /// It does not match.
    Failed {
        /// What does not match, and where.
        reason: String,
    },
}
