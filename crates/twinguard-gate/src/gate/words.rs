//! A judgement in words, the deciding reason first.

use twinguard_types::{Command, Decision, Stage, Timestamp, Verdict, VerdictReason};

use super::judge::{Code, Judgement, Outlook};
use super::{Asking, Gate};

impl Gate {
    /// A judgement in words.
    #[must_use]
    pub fn verdict(
        &self,
        now: Timestamp,
        command: &Command,
        asking: &Asking<'_>,
        judgement: &Judgement,
    ) -> Verdict {
        let mut reasons = Vec::with_capacity(3);
        let mut say = |stage, text: String| reasons.push(VerdictReason { stage, text });
        if let Some(glass) = judgement.glass {
            say(Stage::Policy, self.glass_words(glass));
        }
        let text = self.deciding_words(command, judgement);
        if !text.is_empty() {
            say(judgement.stage, text);
        }
        let consequence = self.outlook_words(judgement);
        if !consequence.is_empty() {
            let stage = match judgement.outlook {
                Outlook::Unsure(_) => Stage::Trust,
                _ => Stage::WhatIf,
            };
            say(stage, consequence);
        }
        if let Some(ruling) = judgement.ruling {
            let key = (command.principal, command.from.map(|from| from.ip()));
            let subject = self.subjects.get(&key).map(|(_, subject)| subject);
            let request = self.request(now, command, command.value.as_f64(), asking.channel());
            let words = subject.map_or_else(
                || "no rule lets this sender write this signal".to_owned(),
                |subject| self.policy.words(ruling, subject, &request, |rule| self.rates.has(now, rule)),
            );
            say(Stage::Policy, words);
        }
        Verdict {
            command: command.id,
            at: now,
            decision: judgement.decision,
            reasons,
            margin: judgement.margin,
        }
    }

    fn deciding_words(&self, command: &Command, judgement: &Judgement) -> String {
        let text = match judgement.code {
            Code::Isolated => {
                return command.from.map_or_else(String::new, |from| format!("{} is isolated", from.ip()));
            }
            Code::Guard => {
                return judgement.guard.map_or_else(String::new, |(at, refusal)| {
                    format!("guard `{}`: {}", self.guards.name(at), refusal.words(&self.catalogue))
                });
            }
            Code::WrongChannel => judgement.words,
            Code::Token => return format!("token: {}", judgement.words),
            Code::Revoked => "revoked",
            Code::Expired => "the certificate has expired: telemetry passes, commands do not",
            Code::Distrusted if judgement.decision == Decision::StepUp => {
                "the last proof of identity is too old or too weak: prove it again"
            }
            Code::Distrusted => "trust is used up by what was found",
            Code::SecondPerson => "a second person has to agree",
            Code::SentAlone => "sent without the second person that the rule asks for",
            Code::Crowded => "too many commands wait for a person",
            Code::NobodyDecided => "nobody decided in time",
            Code::Fine | Code::Policy | Code::Crosses | Code::TwinUnsure => "",
        };
        text.to_owned()
    }

    fn outlook_words(&self, judgement: &Judgement) -> String {
        match &judgement.outlook {
            Outlook::NotAsked => String::new(),
            Outlook::NoModel => "no model to simulate its consequence with".to_owned(),
            Outlook::NotModelled => "it acts through a controller that the model does not hold".to_owned(),
            Outlook::Unchanged => "it is what it is already".to_owned(),
            Outlook::Clear => "no limit comes within reach".to_owned(),
            Outlook::NoWorse => {
                "a limit is within reach, and the command leaves the plant no worse".to_owned()
            }
            Outlook::TowardsSafety => "the way to the safe state is open".to_owned(),
            Outlook::Unsure(why) => why.clone(),
            Outlook::Crosses { after } => {
                let path = judgement.margin.map_or("", |(signal, _)| self.catalogue.path(signal));
                let after_s = after.as_secs_f64();
                let after = if after_s < 120.0 {
                    format!("{after_s:.1} s")
                } else {
                    format!("{:.0} min", after_s / 60.0)
                };
                let text = format!("a limit would be crossed after {after}, by `{path}`");
                match judgement.decision {
                    Decision::Clamp(safe) => {
                        format!("{text}; {:.4} is the nearest value that is safe", safe.as_f64())
                    }
                    _ => text,
                }
            }
        }
    }
}
