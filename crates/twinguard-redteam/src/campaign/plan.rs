//! What a campaign is made of: a small TOML file, or the defaults.
//!
//! ```toml
//! format = 1
//! plants = ["cooling_loop", "boiler"]     # all, when absent
//! attacks = ["replay", "bias"]            # all
//! incidents = true                        # faults and everyday events of the plants as well
//! disturbances = ["calm", "load_steps"]   # calm
//! views = ["all", "no_vendor"]            # all; also no_wire, no_journal, no_model
//! seeds = 20                              # 3
//! first_seed = 1
//! life = 1                                # which plants of their kind
//! learn = 28800                           # samples of normal history
//! before = 900                            # samples before an attack
//! attack = 2400                           # samples of an attack
//! quiet = 100000                          # samples without any attack a plant and disturbance; 0 for none
//! trigger = "tank1.level > 6.5"          # attacks wait for this, see Trigger; at once, when absent
//!
//! [[variant]]                             # an attack with another aim, size and time than by default; none
//! name = "slow"                           # see Variant
//! plant = "boiler"
//! attack = "ramp"
//! sensor = "drum.level"
//! actuator = "feedwater.valve.command"
//! size = 0.25
//! start = 100
//! length = 2000
//! ```

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::error::nearest;
use crate::{ATTACKS, Disturbance, Error, Ground, Trigger, Variant, Views};

/// A campaign, checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Plants by name.
    pub plants: Vec<String>,
    /// Attacks by name.
    pub attacks: Vec<String>,
    /// Whether the plants' own faults and everyday events are run as well.
    pub incidents: bool,
    /// What goes on beside the attacks.
    pub disturbances: Vec<Disturbance>,
    /// What the defender is shown.
    pub views: Vec<Sight>,
    /// Seeds a cell.
    pub seeds: u64,
    /// The first of them.
    pub first_seed: u64,
    /// Seed of the plants themselves.
    pub life: u64,
    /// Samples of normal history.
    pub learn: u64,
    /// Samples before an attack.
    pub before: u64,
    /// Samples of an attack.
    pub attack: u64,
    /// Samples of attack-free running a plant and disturbance.
    pub quiet: u64,
    /// What attacks wait for from their start on; the plants' own incidents do not.
    pub trigger: Option<Trigger>,
    /// Attacks with aims of their own; those at other plants than the plan's are left out.
    pub variants: Vec<Variant>,
}

impl Default for Plan {
    /// All attacks and incidents on all plants, three seeds, everything in view.
    fn default() -> Self {
        Self {
            plants: Ground::names().into_iter().map(str::to_owned).collect(),
            attacks: ATTACKS.iter().map(|entry| entry.name.to_owned()).collect(),
            incidents: true,
            disturbances: vec![Disturbance::Calm],
            views: vec![Sight::All],
            seeds: 3,
            first_seed: 1,
            life: 1,
            learn: 28_800,
            before: 900,
            attack: 2_400,
            quiet: 0,
            trigger: None,
            variants: Vec::new(),
        }
    }
}

/// What a defender is shown, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// Everything.
    #[default]
    All,
    /// No bytes: values come from a broker behind the wire.
    NoWire,
    /// No journal of commands.
    NoJournal,
    /// No vendor's twin.
    NoVendor,
    /// No model: the plant file without its dynamics.
    NoModel,
}

impl Sight {
    const NAMES: [(&'static str, Self); 5] = [
        ("all", Self::All),
        ("no_journal", Self::NoJournal),
        ("no_model", Self::NoModel),
        ("no_vendor", Self::NoVendor),
        ("no_wire", Self::NoWire),
    ];

    /// All names, alphabetical.
    #[must_use]
    pub fn names() -> [&'static str; 5] {
        Self::NAMES.map(|(name, _)| name)
    }

    /// The view of a name.
    ///
    /// ```
    /// use twinguard_redteam::campaign::Sight;
    ///
    /// assert!(Sight::names().iter().all(|name| Sight::named(name).is_some_and(|it| it.as_str() == *name)));
    /// assert_eq!(Sight::named("everything"), None);
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, sight)| *sight)
    }

    /// The views that the range gives.
    #[must_use]
    pub fn views(self) -> Views {
        match self {
            Self::All | Self::NoModel => Views::ALL,
            Self::NoWire => Views { wire: false, ..Views::ALL },
            Self::NoJournal => Views { journal: false, ..Views::ALL },
            Self::NoVendor => Views { vendor: false, ..Views::ALL },
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, sight)| *sight == self).map_or("", |(name, _)| name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: Spanned<u32>,
    plants: Option<Vec<Spanned<String>>>,
    attacks: Option<Vec<Spanned<String>>>,
    incidents: Option<bool>,
    disturbances: Option<Vec<Spanned<String>>>,
    views: Option<Vec<Spanned<String>>>,
    seeds: Option<Spanned<u64>>,
    first_seed: Option<u64>,
    life: Option<u64>,
    learn: Option<Spanned<u64>>,
    before: Option<Spanned<u64>>,
    attack: Option<Spanned<u64>>,
    quiet: Option<Spanned<u64>>,
    trigger: Option<Spanned<String>>,
    #[serde(default)]
    variant: Vec<Spanned<Variant>>,
}

/// Largest number of samples of anything: a year of seconds.
const MOST_SAMPLES: u64 = 31_557_600;
/// Largest number of seeds.
const MOST_SEEDS: u64 = 10_000;

impl Plan {
    /// Reads a plan; `file` is its name in errors.
    ///
    /// ```
    /// use twinguard_redteam::campaign::Plan;
    ///
    /// let plan = Plan::parse("format = 1\nplants = [\"boiler\"]\nseeds = 20\n", "night.toml")?;
    /// assert_eq!((plan.plants.len(), plan.seeds), (1, 20));
    /// let wrong = Plan::parse("format = 1\nplants = [\"boyler\"]\n", "night.toml").unwrap_err();
    /// assert_eq!(wrong.to_string(), "night.toml:2: no plant `boyler`; the nearest is `boiler`");
    /// # Ok::<(), twinguard_redteam::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Plan`] with the line: unreadable text, an unknown key or name, a number out of range.
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let fail = |at: usize, reason: String| {
            let line = text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
            Error::Plan { file: file.to_owned(), line, reason }
        };
        let document: Document = toml::from_str(text).map_err(|error| {
            fail(error.span().map_or(0, |span| span.start), error.message().replace('\n', ", "))
        })?;
        if *document.format.get_ref() != 1 {
            let reason = format!("format {} is not known; 1 is", document.format.get_ref());
            return Err(fail(document.format.span().start, reason));
        }
        let names = |what: &str, given: Option<Vec<Spanned<String>>>, known: &[&str]| {
            let Some(given) = given else { return Ok(None) };
            for name in &given {
                if !known.contains(&name.get_ref().as_str()) {
                    let nearest = nearest(name.get_ref(), known.iter().copied());
                    let reason = format!("no {what} `{}`; the nearest is `{nearest}`", name.get_ref());
                    return Err(fail(name.span().start, reason));
                }
            }
            Ok(Some(given.into_iter().map(Spanned::into_inner).collect::<Vec<String>>()))
        };
        let number = |what: &str, given: Option<Spanned<u64>>, (least, most): (u64, u64), default: u64| {
            let Some(given) = given else { return Ok(default) };
            let value = *given.get_ref();
            if (least..=most).contains(&value) {
                return Ok(value);
            }
            Err(fail(given.span().start, format!("{what} has to be from {least} to {most}, not {value}")))
        };
        let trigger = match &document.trigger {
            None => None,
            Some(text) => {
                let read = text.get_ref().parse();
                Some(read.map_err(|reason| fail(text.span().start, reason))?)
            }
        };
        for variant in &document.variant {
            let (of, at) = (variant.get_ref(), variant.span().start);
            of.entry().map_err(|error| fail(at, error.to_string()))?;
            if !Ground::names().contains(&of.plant.as_str()) {
                return Err(fail(at, format!("variant `{}`: no plant `{}`", of.name, of.plant)));
            }
            if !of.size.is_finite() || of.length == 0 {
                let reason =
                    format!("variant `{}`: its size has to be finite and its length at least 1", of.name);
                return Err(fail(at, reason));
            }
        }
        let default = Self::default();
        let attacks: Vec<&str> = ATTACKS.iter().map(|entry| entry.name).collect();
        let views = names("view", document.views, &Sight::names())?;
        let disturbances = names("disturbance", document.disturbances, &["calm", "load_steps"])?;
        let disturbance = |name: &String| match name.as_str() {
            "load_steps" => Disturbance::LoadSteps,
            _ => Disturbance::Calm,
        };
        Ok(Self {
            plants: names("plant", document.plants, &Ground::names())?.unwrap_or(default.plants),
            attacks: names("attack", document.attacks, &attacks)?.unwrap_or(default.attacks),
            incidents: document.incidents.unwrap_or(default.incidents),
            disturbances: disturbances
                .map_or(default.disturbances, |names| names.iter().map(disturbance).collect()),
            views: views
                .map_or(default.views, |names| names.iter().filter_map(|name| Sight::named(name)).collect()),
            seeds: number("seeds", document.seeds, (1, MOST_SEEDS), default.seeds)?,
            first_seed: document.first_seed.unwrap_or(default.first_seed),
            life: document.life.unwrap_or(default.life),
            learn: number("learn", document.learn, (600, MOST_SAMPLES), default.learn)?,
            before: number("before", document.before, (0, MOST_SAMPLES), default.before)?,
            attack: number("attack", document.attack, (1, MOST_SAMPLES), default.attack)?,
            quiet: number("quiet", document.quiet, (0, MOST_SAMPLES), default.quiet)?,
            trigger,
            variants: document.variant.into_iter().map(Spanned::into_inner).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let told = Plan::parse(text, "p.toml").map_or_else(|error| error.to_string(), |_| "read".to_owned());
        assert!(told.starts_with(expected), "{told}");
    }

    #[test]
    fn errors_name_the_line() {
        check("format = 1\n", "read");
        check("format = 2\n", "p.toml:1: format 2 is not known");
        check("format = 1\nseeds = 0\n", "p.toml:2: seeds has to be from 1");
        check(
            "format = 1\n\nattacks = [\"bias\",\n \"ramb\"]\n",
            "p.toml:4: no attack `ramb`; the nearest is `ramp`",
        );
        check("format = 1\nviews = [\"none\"]", "p.toml:2: no view `none`");
        check("format = 1\nseed = 3\n", "p.toml:2: unknown field `seed`");
        check("format = 1\nplants = 3\n", "p.toml:2: ");
        check("seeds = \n", "p.toml:1: ");
        check("format = 1\ntrigger = \"silence 30\"\n", "read");
        check("format = 1\ntrigger = \"level high\"\n", "p.toml:2: `level high` is no trigger");
    }

    #[test]
    fn what_is_absent_is_the_default() {
        assert_eq!(Plan::parse("format = 1", "p.toml").unwrap(), Plan::default());
        let sights = Sight::NAMES.map(|(_, sight)| sight.as_str());
        assert_eq!(sights, ["all", "no_journal", "no_model", "no_vendor", "no_wire"]);
    }
}
