//! What a finding tells: title, summary, element, attribution, reasons.

use twinguard_types::{
    Attribution, Catalogue, Cause, Explanation, FindingKind, Reason, SignalId, Suspect, Symptom, Timestamp,
};

use super::causes::{C, CAUSES, E, EITHER, Physics, Seen};
use super::state::Activity;
use super::weigh::{self, Case, Decision, Term};
use super::{Judge, words};
use crate::{BankEntry, Detail};

/// Physics' word is told from here on, nats.
const CLEAR: f64 = 10.0;

impl Judge {
    /// What is known, and no more: while nobody is named the title says what was seen, while fault or attack is open it
    /// says neither.
    pub(super) fn title(
        &self,
        causes: &[usize],
        kind: FindingKind,
        named: bool,
        case: &Case,
        active: &[(&BankEntry, &Activity)],
    ) -> String {
        if !named {
            match active.iter().find_map(|(_, activity)| activity.newcomer) {
                Some(Detail::NewWriter { .. }) => return "Commands from a new writer".to_owned(),
                Some(_) => return "A new client".to_owned(),
                None => {}
            }
            if case.accuses(E::FromStart) {
                return "Readings unlike the history from the start on".to_owned();
            }
            let first = active.iter().min_by_key(|(entry, activity)| (activity.confirmed, entry.id));
            return first.map_or("Something unusual", |(entry, _)| words::seen(entry.symptom)).to_owned();
        }
        let both = causes.iter().any(|cause| weigh::is(*cause, C::Replay))
            && causes.iter().any(|cause| weigh::is(*cause, C::Injection));
        if both {
            return "Commands nobody sent, hidden by replayed sensor values".to_owned();
        }
        let winner = causes.first().copied().unwrap_or(0);
        if malformed(winner, case) {
            return words::seen(Symptom::Malformed).to_owned();
        }
        let row = &CAUSES[winner];
        let open =
            EITHER.iter().find(|(attack, fault, _)| weigh::is(winner, *attack) || weigh::is(winner, *fault));
        let cause = match open {
            Some((_, _, either)) if kind == FindingKind::Undetermined => either,
            _ => row.cause,
        };
        words::cut(&format!("{cause}: {}", row.effect), 60)
    }

    /// Physics' best explanation of the winner's class, where it stands out.
    fn explanation(&self, winner: usize) -> Option<&Explanation> {
        let of_class = |held: &&Explanation| match (CAUSES[winner].physics, held.cause) {
            (Physics::Sensor, Cause::SensorBias(_))
            | (Physics::Actuator, Cause::ActuatorOffset(_))
            | (Physics::Load, Cause::Disturbance(_))
            | (Physics::Fault, Cause::FaultMode(_)) => held.log_likelihood_ratio > CLEAR,
            _ => false,
        };
        self.explanations
            .iter()
            .filter(of_class)
            .max_by(|a, b| a.log_likelihood_ratio.total_cmp(&b.log_likelihood_ratio))
    }

    pub(super) fn summary(
        &self,
        winner: usize,
        active: &[(&BankEntry, &Activity)],
        now: Timestamp,
    ) -> String {
        let mut sentences: Vec<String> = Vec::new();
        // facts speak before statistics
        let order = [
            Symptom::Provenance,
            Symptom::Repeat,
            Symptom::Seal,
            Symptom::Journal,
            Symptom::Novelty,
            Symptom::VendorOffset,
            Symptom::Freeze,
            Symptom::Range,
            Symptom::Redundancy,
            Symptom::Rate,
            Symptom::Noise,
            Symptom::Timing,
            Symptom::Malformed,
            Symptom::Identity,
        ];
        for symptom in order {
            for (_, activity) in active.iter().filter(|(entry, _)| entry.symptom == symptom) {
                let detail = activity.newcomer.as_ref().unwrap_or(&activity.detail);
                let since = activity.onset.or(activity.confirmed).map(|since| (since, now));
                let mut text = words::detail(detail, symptom, &self.catalogue, since);
                if symptom == Symptom::Repeat
                    && let Some(whose) = self.repeated(activity)
                {
                    text = text.replacen("one signal", &whose, 1);
                }
                if symptom == Symptom::Seal {
                    text = "the model's digest differed from its seal".to_owned();
                }
                if !text.is_empty() && sentences.len() < 2 {
                    sentences.push(capital(&text, &self.catalogue));
                }
            }
        }
        if let Some(held) = self.explanation(winner).filter(|_| sentences.len() < 2) {
            let text = words::explanation(held, &self.catalogue, &self.parameters, now);
            // a fault whose parameter has no name is nothing to tell
            sentences.extend((!text.is_empty()).then(|| capital(&text, &self.catalogue)));
        }
        if sentences.is_empty() {
            let signals: Vec<String> = self
                .attribution(active)
                .iter()
                .take(2)
                .map(|share| words::clean(self.catalogue.path(share.signal)))
                .collect();
            let who = if signals.is_empty() { "The readings".to_owned() } else { signals.join(" and ") };
            sentences.push(format!("{who} left what the model expects"));
        }
        sentences.iter().map(|sentence| format!("{sentence}.")).collect::<Vec<_>>().join(" ")
    }

    /// The signal that alone repeats itself.
    fn repeated(&self, activity: &Activity) -> Option<String> {
        let Detail::Repeat { signals: 1, .. } = activity.detail else { return None };
        let share = activity.shares[..activity.named].first()?;
        Some(words::clean(self.catalogue.path(share.signal)))
    }

    /// Which one: a signal's path or an address.
    pub(super) fn element(&self, winner: usize, active: &[(&BankEntry, &Activity)]) -> Option<String> {
        let detail = |symptom: Symptom| {
            let found = active.iter().find(|(entry, _)| entry.symptom == symptom);
            found.map(|(_, activity)| activity.newcomer.unwrap_or(activity.detail))
        };
        let path = |signal: SignalId| Some(words::clean(self.catalogue.path(signal)));
        let explained = |wanted: fn(&Cause) -> Option<SignalId>| {
            self.explanations
                .iter()
                .filter_map(|held| wanted(&held.cause).map(|signal| (signal, held.log_likelihood_ratio)))
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(signal, _)| signal)
        };
        match CAUSES[winner].suspect {
            Suspect::CommandPath | Suspect::Identity => {
                let writer = [Symptom::Provenance, Symptom::Novelty].into_iter().find_map(|symptom| {
                    match detail(symptom)? {
                        Detail::Unsent { signal, from, .. } | Detail::NewWriter { signal, from } => {
                            from.map(|from| from.to_string()).or_else(|| path(signal))
                        }
                        Detail::NewCommand { signal, .. } => path(signal),
                        Detail::NewFunction { client, .. } | Detail::NewClient { client, .. } => {
                            Some(client.to_string())
                        }
                        _ => None,
                    }
                });
                writer.or_else(|| match detail(Symptom::Identity)? {
                    Detail::Count { from, .. } => from.map(|from| from.to_string()),
                    _ => None,
                })
            }
            Suspect::Sensor => {
                let sensor = |cause: &Cause| match cause {
                    Cause::SensorBias(signal) => Some(*signal),
                    _ => None,
                };
                let frozen = match detail(Symptom::Freeze) {
                    Some(Detail::Frozen { signal, .. }) => Some(signal),
                    _ => None,
                };
                let signal = frozen.or_else(|| explained(sensor));
                signal.or_else(|| Some(self.attribution(active).first()?.signal)).and_then(path)
            }
            Suspect::Actuator => explained(|cause| match cause {
                Cause::ActuatorOffset(signal) => Some(*signal),
                _ => None,
            })
            .and_then(path),
            Suspect::Twin | Suspect::Feed => match detail(Symptom::VendorOffset)? {
                Detail::Vendor { signal, .. } => path(signal),
                _ => None,
            },
            Suspect::Network => match detail(Symptom::Timing)? {
                Detail::Traffic { server, .. } | Detail::Unanswered { server, .. } => {
                    Some(server.to_string())
                }
                _ => None,
            },
            Suspect::Fault => match self.explanation(winner)?.cause {
                Cause::FaultMode(number) => {
                    self.parameters.get(number as usize).map(|name| words::clean(name))
                }
                _ => None,
            },
            Suspect::Model | Suspect::None => None,
        }
    }

    /// Shares of the signals over all active detectors, each weighed by its surprise.
    pub(super) fn attribution(&self, active: &[(&BankEntry, &Activity)]) -> Vec<Attribution> {
        let mut shares: Vec<Attribution> = Vec::new();
        let mut total = 0.0;
        for (_, activity) in active {
            for share in &activity.shares[..activity.named] {
                let weight = share.share * activity.peak;
                total += weight;
                match shares.iter_mut().find(|held| held.signal == share.signal) {
                    Some(held) => held.share += weight,
                    None => shares.push(Attribution { signal: share.signal, share: weight }),
                }
            }
        }
        shares.iter_mut().for_each(|share| share.share /= f64::max(total, 1e-300));
        shares.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.signal.cmp(&b.signal)));
        shares
    }

    /// Facts speak for themselves; what was not found, or is a matter of degree, names the other cause.
    pub(super) fn reasons(&self, case: &Case, decision: &Decision, named: bool) -> Vec<Reason> {
        let (other, terms) = case.argue(decision, named);
        let other = CAUSES[other].cause.to_lowercase();
        let text = |term: &Term, nats: f64| {
            let side = if nats > 0.0 { "against" } else { "for" };
            match term {
                Term::Prior if nats > 0.0 => format!("this is more common to begin with than: {other}"),
                Term::Prior => format!("this is less common to begin with than: {other}"),
                Term::Physics => match case.residual {
                    Seen::Yes if nats > 0.0 => {
                        format!("size and course of the deviation fit this better than: {other}")
                    }
                    Seen::Yes => format!("size and course of the deviation fit this worse than: {other}"),
                    Seen::Blind => {
                        format!(
                            "there was nothing to compare the readings with, which speaks {side}: {other}"
                        )
                    }
                    _ => format!("the readings agreed with what was expected, which speaks {side}: {other}"),
                },
                Term::Evidence(evidence) => {
                    let seen = case.seen[*evidence as usize];
                    let found = matches!(seen, Seen::Yes | Seen::Explained);
                    let text = match evidence {
                        E::Network if found && case.seen[E::Timing as usize] == Seen::Yes => {
                            "traffic was late or missing"
                        }
                        E::Network if found => "messages were malformed",
                        _ => words::evidence(*evidence, found),
                    };
                    match seen {
                        Seen::Yes if nats > 0.0 => text.to_owned(),
                        Seen::Explained => {
                            format!("{text}, which the rest accounts for; speaks {side}: {other}")
                        }
                        _ => format!("{text}, which speaks {side}: {other}"),
                    }
                }
            }
        };
        let reason = |(term, nats): &(Term, f64)| Reason {
            text: capital(&text(term, *nats), &self.catalogue),
            nats: *nats,
        };
        terms.iter().map(reason).collect()
    }
}

/// Whether all that speaks of the network is odd bytes: nothing was late or missing.
pub(super) fn malformed(winner: usize, case: &Case) -> bool {
    (weigh::is(winner, C::NetworkAttack) || weigh::is(winner, C::NetworkTrouble)) && !case.accuses(E::Timing)
}

/// With a capital letter, unless it begins with something that has a spelling of its own: a path, an address.
fn capital(text: &str, catalogue: &Catalogue) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let word = text.split(' ').next().unwrap_or_default();
    if catalogue.id(word).is_none() && word.chars().all(|c| c.is_ascii_lowercase()) {
        return first.to_uppercase().chain(chars).collect();
    }
    text.to_owned()
}
