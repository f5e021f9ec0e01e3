//! A decision in words, and how each rule that could have mattered stands to it.

use twinguard_twin::plant::Effect;

use super::compile::{Miss, Policy, Request, Ruling, Subject, miss};
use super::source::Clause;

/// How a rule that speaks of sender and target stands to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The rule's name.
    pub rule: String,
    /// What it does.
    pub effect: Effect,
    /// Why it does not hold; `None`: it holds.
    pub miss: Option<Miss>,
    /// The same in words.
    pub text: String,
}

/// Why a policy says what it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What it says.
    pub ruling: Ruling,
    /// In one clause.
    pub text: String,
    /// Every rule that speaks of sender and target, forbidding ones first.
    pub steps: Vec<Step>,
}

impl Policy {
    /// Decides and says why: for people, not for the hot path.
    #[must_use]
    pub fn explain(&self, subject: &Subject, request: &Request, usable: impl Fn(u32) -> bool) -> Explanation {
        let ruling = self.decide(subject, request, &usable);
        let steps = self.candidates(subject, request).map(|(index, clause)| {
            let miss = self.miss(index, clause, request, &usable);
            let text = miss.map_or_else(
                || {
                    let does = if clause.rule.effect == Effect::Forbid { "forbids" } else { "allows" };
                    format!("rule `{}` {does} it", clause.rule.name)
                },
                |miss| self.words_of(miss, clause, request),
            );
            Step { rule: clause.rule.name.clone(), effect: clause.rule.effect, miss, text }
        });
        let steps = steps.collect();
        Explanation { ruling, text: self.words(ruling, subject, request, usable), steps }
    }

    /// A ruling in one clause.
    pub(crate) fn words(
        &self,
        ruling: Ruling,
        subject: &Subject,
        request: &Request,
        usable: impl Fn(u32) -> bool,
    ) -> String {
        let name =
            |index: u32| self.clauses().get(index as usize).map_or("", |clause| clause.rule.name.as_str());
        match ruling {
            Ruling::Allowed(index) => format!("rule `{}` allows it", name(index)),
            Ruling::Forbidden(index) => format!("rule `{}` forbids it", name(index)),
            Ruling::NoConduit => format!(
                "no conduit leads there by such a channel: the signal lies in zone `{}`",
                self.target_zone(request.signal).unwrap_or_default()
            ),
            Ruling::Own => "rule `safe state of the plant file` allows it".to_owned(),
            Ruling::NotOwn => match self.safe_value(request.signal) {
                Some(safe) => {
                    format!("the safe value of the plant file is {safe}, nothing else may be written")
                }
                None => "the plant file names no safe value for this signal".to_owned(),
            },
            Ruling::Refused => {
                let allows = self
                    .candidates(subject, request)
                    .filter(|(_, clause)| clause.rule.effect == Effect::Allow);
                allows
                    .filter_map(|(index, clause)| {
                        Some(self.words_of(self.miss(index, clause, request, &usable)?, clause, request))
                    })
                    .next()
                    .unwrap_or_else(|| "no rule lets this sender write this signal".to_owned())
            }
        }
    }

    fn miss(
        &self,
        index: u32,
        clause: &Clause,
        request: &Request,
        usable: &impl Fn(u32) -> bool,
    ) -> Option<Miss> {
        let rule = &clause.rule;
        let mode = self.mode_name(request.mode);
        if !rule.modes.is_empty() && !rule.modes.iter().any(|known| known == mode) {
            return Some(Miss::Mode);
        }
        miss(clause, request).or_else(|| {
            let limited = rule.effect == Effect::Allow && rule.commands_per_minute.is_some();
            (limited && !usable(index)).then_some(Miss::Rate)
        })
    }

    fn words_of(&self, miss: Miss, clause: &Clause, request: &Request) -> String {
        let rule = &clause.rule;
        match miss {
            Miss::Mode => format!("rule `{}` does not hold in this mode", rule.name),
            Miss::Hour => format!("rule `{}` does not hold at this hour", rule.name),
            Miss::Range => {
                let (min, max) = rule.range.map_or((f64::NAN, f64::NAN), |it| (it.min(), it.max()));
                let does = if rule.effect == Effect::Forbid { "forbids" } else { "allows" };
                format!("{} is outside {min} to {max}, which rule `{}` {does}", request.value, rule.name)
            }
            Miss::Rate => {
                let limit = rule.commands_per_minute.unwrap_or_default();
                format!("rule `{}` allows {limit} commands a minute, which are used up", rule.name)
            }
        }
    }
}
