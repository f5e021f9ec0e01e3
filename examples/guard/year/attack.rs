//! What a guard makes of attacks after an event, beside what it makes of the same attacks where nothing happened.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use twinguard::redteam::{
    Entry, Ground, Judgement, Range, Reaction, Resources, Scenario, Target, Views, Window, address,
};
use twinguard::types::{Duration, Finding, FindingState, Suspect, Timestamp};

use super::platform::{Plain, Platform};

/// The attacks: a lie at once, a lie by and by, old values again, a command that nobody sent.
pub(super) const ATTACKS: [&str; 4] = ["bias", "ramp", "replay", "command_injection"];
/// Samples before the attack, from which a replay records, and of the attack.
const BEFORE: i64 = 240;
const DURING: i64 = 480;
/// An alarm is named within so many samples, as on the board.
const NAMED_AFTER: i64 = 100;

/// One attack on a copy of site and guard.
#[derive(Clone, Debug)]
pub(super) struct Attacked {
    pub(super) event: &'static str,
    pub(super) attack: &'static str,
    pub(super) detectable: bool,
    pub(super) delay_s: Option<f64>,
    pub(super) suspect: Option<Suspect>,
    pub(super) suspect_set: Vec<Suspect>,
    /// Which one is accused, and which was attacked.
    pub(super) element: Option<String>,
    pub(super) attacked: String,
    /// Who else leaves the same traces.
    pub(super) ambiguity: Vec<Suspect>,
    /// Whether the accused did it, a declared ambiguity that holds the truth included.
    pub(super) named: bool,
    /// Findings between the fork and the attack.
    pub(super) before: u32,
}

impl Attacked {
    pub(super) fn json(&self) -> Value {
        json!({
            "event": self.event, "attack": self.attack, "detectable": self.detectable,
            "seen": self.delay_s.is_some(), "delay_s": self.delay_s, "suspect": self.suspect,
            "suspect_set": self.suspect_set, "element": self.element, "attacked": self.attacked,
            "ambiguity": self.ambiguity, "named": self.named, "before": self.before,
        })
    }
}

/// Attacks copies of the site and of the guard as they stand; the run itself goes on as if nothing had happened.
pub(super) fn attack(
    range: &Range,
    platform: &Platform<'_>,
    ground: &Ground,
    (event, at): (&'static str, Timestamp),
    seed: u64,
) -> Result<Vec<Attacked>> {
    let copy = platform.copy()?;
    let minutes = |count: i64| Duration::from_secs(60 * count);
    let window = Window { start: at + minutes(BEFORE), end: at + minutes(BEFORE + DURING) };
    let mut all = Vec::with_capacity(ATTACKS.len());
    for attack in ATTACKS {
        let entry = Entry::named(attack).with_context(|| format!("no attack `{attack}`"))?;
        let target = Target::of(ground.plant(), window, address::ATTACKER)
            .with_context(|| format!("nothing is known to be attacked in `{}`", ground.name()))?;
        let judged = Judgement::of(ground, entry, &Resources::ALL, &Views::ALL)?;
        let attacked =
            if entry.parties.contains(&Suspect::Sensor) { &target.sensor } else { &target.actuator };
        let attacked = ground.plant().catalogue.path(attacked.signal).to_owned();
        let mut range = range.fork(Scenario::of(entry, &target.seeded(seed)));
        let (mut guard, honest, ahead) = platform.restore(&copy)?;
        let mut plain = Plain { guard: &mut guard, honest, ahead };
        let (mut before, mut first): (u32, Option<(Timestamp, Finding)>) = (0, None);
        let mut accused = platform.accused();
        for _ in 0..BEFORE + DURING {
            let sample = range.step(&mut plain)?;
            for reaction in &sample.reactions {
                let Reaction::Finding(finding) = reaction else { continue };
                if finding.at < window.start + ahead {
                    before += u32::from(finding.revision == 0);
                    accused.insert(finding.id, finding.suspect_set.clone());
                    continue;
                }
                // What was open before tells of the attack once it accuses somebody whom it did not accuse.
                let set = accused.get(&finding.id);
                let other = |suspect: &Suspect| {
                    *suspect != Suspect::None && set.is_none_or(|set| !set.contains(suspect))
                };
                let news = set.is_none() || finding.suspect_set.iter().any(other);
                if first.is_none() && !news {
                    continue;
                }
                let (seen, known) = first.get_or_insert_with(|| (finding.at, finding.clone()));
                let soon = finding.at.since(*seen) <= minutes(NAMED_AFTER);
                if known.id == finding.id && soon && finding.state != FindingState::Closed {
                    *known = finding.clone();
                }
            }
            if first.as_ref().is_some_and(|(seen, _)| sample.at + ahead > *seen + minutes(NAMED_AFTER)) {
                break;
            }
        }
        let right = |finding: &Finding| {
            let truth_in_set = finding.suspect_set.iter().any(|it| entry.parties.contains(it));
            entry.parties.contains(&finding.suspect)
                || (judged.ambiguity.contains(&finding.suspect) && truth_in_set)
        };
        let (seen, first) = first.unzip();
        all.push(Attacked {
            event,
            attack,
            detectable: judged.detectable,
            delay_s: seen.map(|at| at.since(window.start + ahead).as_secs_f64()),
            element: first.as_ref().and_then(|it| it.suspect_element.clone()),
            attacked,
            ambiguity: judged.ambiguity.clone(),
            suspect: first.as_ref().map(|it| it.suspect),
            suspect_set: first.as_ref().map(|it| it.suspect_set.clone()).unwrap_or_default(),
            named: first.as_ref().is_some_and(right),
            before,
        });
    }
    Ok(all)
}
