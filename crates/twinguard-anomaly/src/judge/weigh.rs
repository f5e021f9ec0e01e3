//! The decision: additive evidence in nats, physics by tempered gaps, one softmax.
//!
//! Score of a cause: S = prior + physics + Σ w, over the evidence; p = softmax(S / T); a party's probability is the sum over its causes.
//! The tempered gap d = (max L − L) / (1 + 0.02·max L), at most 25, keeps a model that is off by a few per cent from
//! supporting thousands of nats; T falls with the number of samples since the alarm: raise at once, name later.

use twinguard_types::{Confidence, FindingKind, Suspect};

use super::causes::{ALL, C, CAUSES, E, EVIDENCE, FACTS, Physics, Seen, WEIGHTS};

/// What is known when a decision is made.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Per piece of evidence.
    pub(crate) seen: [Seen; EVIDENCE],
    /// Whether field and model, or signals among each other, disagree; `Blind` without either view.
    pub(crate) residual: Seen,
    /// Best log-likelihood ratio of each class of explanations (sensor, actuator, load, fault), where a bank gave some.
    pub(crate) explained: [Option<f64>; 4],
    /// Samples since the alarm.
    pub(crate) samples: f64,
}

/// One term of a cause's score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Term {
    Prior,
    Physics,
    Evidence(E),
}

/// The decision.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) winner: usize,
    pub(crate) runner_up: usize,
    pub(crate) parties: Vec<Confidence>,
    pub(crate) kinds: [(FindingKind, f64); 3],
}

const SUSPECTS: [Suspect; 10] = [
    Suspect::Sensor,
    Suspect::Actuator,
    Suspect::CommandPath,
    Suspect::Network,
    Suspect::Feed,
    Suspect::Twin,
    Suspect::Model,
    Suspect::Identity,
    Suspect::Fault,
    Suspect::None,
];

impl Case {
    /// Whether this piece of evidence is there and nothing else accounts for it.
    pub(crate) fn accuses(&self, evidence: E) -> bool {
        self.seen[evidence as usize] == Seen::Yes
    }

    /// Whether this cause's own fact was found.
    pub(crate) fn has_fact(&self, cause: usize) -> bool {
        FACTS.iter().any(|(evidence, of)| is(cause, *of) && self.accuses(*evidence))
    }

    /// Whether anything that was found speaks for this party.
    pub(crate) fn speaks_for(&self, party: Suspect) -> bool {
        let found = |cause: usize| {
            let physical = !matches!(CAUSES[cause].physics, Physics::Any | Physics::Quiet);
            (physical && self.residual == Seen::Yes)
                || WEIGHTS
                    .iter()
                    .any(|(evidence, of, yes, _, _)| is(cause, *of) && *yes > 0.0 && self.accuses(*evidence))
        };
        (0..CAUSES.len()).any(|cause| CAUSES[cause].suspect == party && found(cause))
    }

    /// What the field's own trouble accounts for accuses nobody else: a twin that differs from a field which itself left
    /// the model, jumped, stood still or follows a stranger is no liar, and a value that stands still or repeats has lost
    /// its noise with it; while the plant is driven off, values change faster everywhere.
    pub(crate) fn explain_away(&mut self, vendor_frozen: bool, less_noise: bool, noise_elsewhere: bool) {
        let seen = |evidence: E| self.seen[evidence as usize] == Seen::Yes;
        let repeats = seen(E::Repeat);
        let field =
            self.residual == Seen::Yes || [E::Jump, E::Freeze, E::Unsent, E::NewWriter].into_iter().any(seen);
        let noise = repeats || if less_noise { seen(E::Freeze) } else { noise_elsewhere && field };
        let mut explained = |evidence: E, explained: bool| {
            let slot = &mut self.seen[evidence as usize];
            if explained && *slot == Seen::Yes {
                *slot = Seen::Explained;
            }
        };
        for evidence in [E::VendorOff, E::VendorFrozenOrMost, E::VendorFew, E::VendorSlow] {
            explained(evidence, repeats || (field && !vendor_frozen));
        }
        explained(E::Noise, noise);
    }

    /// Temperature by samples since the alarm: 4, 3, 2, 1.5 at 0, 10, 30, 100, straight lines between.
    fn temperature(&self) -> f64 {
        let knots = [(0.0, 4.0), (10.0, 3.0), (30.0, 2.0), (100.0, 1.5)];
        for pair in knots.windows(2) {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            if self.samples < x1 {
                return y0 + (y1 - y0) * (self.samples.max(x0) - x0) / (x1 - x0);
            }
        }
        1.5
    }

    fn physics(&self, physics: Physics) -> f64 {
        let class = match physics {
            Physics::Any => return 0.0,
            Physics::Quiet => {
                return if self.residual == Seen::Yes && !self.explained_away() { -8.0 } else { 0.0 };
            }
            Physics::Sensor => 0,
            Physics::Actuator => 1,
            Physics::Load => 2,
            Physics::Fault => 3,
        };
        // a filter follows what moves slowly: its silence clears nobody of that
        let residual = match self.residual {
            Seen::No if self.accuses(E::VendorSlow) => Seen::Blind,
            residual => residual,
        };
        let best = self.explained.iter().flatten().copied().fold(0.0, f64::max);
        match residual {
            Seen::No | Seen::Explained => -8.0,
            // nobody could see it: the cause is hardly helped nor cleared
            Seen::Blind if self.residual == Seen::Blind || best <= 0.0 => -1.0,
            Seen::Yes | Seen::Blind => {
                if best <= 0.0 {
                    // an alarm, but no bank of explanations: shape alone decides
                    return 0.0;
                }
                // the bank has no hypothesis of this class: it can neither be supported nor ruled out
                let Some(own) = self.explained[class] else { return -2.0 };
                let own = own.max(0.0);
                -((best - own) / (1.0 + 0.02 * best)).min(25.0)
            }
        }
    }

    /// Whether something else that was found accounts for readings that leave the model.
    fn explained_away(&self) -> bool {
        [E::Repeat, E::Freeze, E::Noise, E::Seal].into_iter().any(|it| self.accuses(it))
    }

    fn weight(&self, evidence: E, cause: usize) -> f64 {
        let line = WEIGHTS.iter().find(|line| line.0 == evidence && line.1 as usize == cause);
        line.map_or(0.0, |(_, _, yes, no, blind)| match self.seen[evidence as usize] {
            Seen::Yes => *yes,
            Seen::No | Seen::Explained => *no,
            Seen::Blind => *blind,
        })
    }

    fn score(&self, cause: usize) -> f64 {
        let row = &CAUSES[cause];
        row.prior
            + self.physics(row.physics)
            + ALL.iter().map(|evidence| self.weight(*evidence, cause)).sum::<f64>()
    }

    /// Nats for a cause against another, heaviest first.
    fn terms(&self, cause: usize, other: usize) -> Vec<(Term, f64)> {
        let mut terms = vec![
            (Term::Prior, CAUSES[cause].prior - CAUSES[other].prior),
            (Term::Physics, self.physics(CAUSES[cause].physics) - self.physics(CAUSES[other].physics)),
        ];
        for evidence in ALL {
            let gap = self.weight(evidence, cause) - self.weight(evidence, other);
            terms.push((Term::Evidence(evidence), gap));
        }
        terms.retain(|(_, nats)| *nats != 0.0);
        terms.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        terms
    }

    /// Whether a term is something that was found, rather than looked for and not found.
    pub(crate) fn found(&self, term: Term) -> bool {
        match term {
            Term::Evidence(evidence) => self.accuses(evidence),
            Term::Physics => self.residual == Seen::Yes,
            Term::Prior => false,
        }
    }

    /// What a reader wants to know first: what was found that speaks for the accusation, and against which other cause;
    /// what was found comes first, then what was looked for and not found, then how common each cause is.
    ///
    /// The accusation is the winner, or, while it rests on no fact, what a fact accuses of, or, while the winner accuses
    /// nobody and is not sure, whatever was found to speak for. The other cause is the most probable one of another party that
    /// something found speaks against.
    pub(crate) fn argue(&self, decision: &Decision, named: bool) -> (usize, Vec<(Term, f64)>) {
        let scores: Vec<f64> = (0..CAUSES.len()).map(|cause| self.score(cause)).collect();
        let mut order: Vec<usize> = (0..CAUSES.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let winner = decision.winner;
        let nobody = |cause: usize| CAUSES[cause].suspect == Suspect::None;
        let cause = if self.has_fact(winner) {
            winner
        } else if let Some(cause) = order.iter().copied().find(|cause| self.has_fact(*cause)) {
            cause
        } else if nobody(winner) && !named && !self.accuses(E::FromStart) {
            let spoken = |cause: &usize| !nobody(*cause) && self.speaks_for(CAUSES[*cause].suspect);
            order.iter().copied().find(spoken).unwrap_or(winner)
        } else {
            winner
        };
        let others = order.iter().copied().filter(|other| CAUSES[*other].suspect != CAUSES[cause].suspect);
        let against = others
            .clone()
            .find(|other| {
                self.terms(cause, *other).iter().any(|(term, nats)| *nats > 0.0 && self.found(*term))
            })
            .or_else(|| others.clone().next())
            .unwrap_or(decision.runner_up);
        let rank = |term: Term| match term {
            Term::Prior => 2,
            _ => u8::from(!self.found(term)),
        };
        let mut terms = self.terms(cause, against);
        terms.sort_by(|a, b| rank(a.0).cmp(&rank(b.0)).then(b.1.abs().total_cmp(&a.1.abs())));
        (against, terms)
    }

    pub(crate) fn decide(&self) -> Decision {
        let scores: Vec<f64> = (0..CAUSES.len()).map(|cause| self.score(cause)).collect();
        let best_of = |wanted: &dyn Fn(usize) -> bool| {
            (0..CAUSES.len())
                .filter(|cause| wanted(*cause))
                .max_by(|a, b| scores[*a].total_cmp(&scores[*b]).then(b.cmp(a)))
                .unwrap_or(0)
        };
        let temperature = self.temperature();
        let top = scores.iter().copied().fold(f64::MIN, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| libm::exp((score - top) / temperature)).collect();
        let sum: f64 = powers.iter().sum();
        let share = |wanted: &dyn Fn(usize) -> bool| {
            (0..CAUSES.len()).filter(|cause| wanted(*cause)).map(|cause| powers[cause]).sum::<f64>() / sum
        };
        let mut parties: Vec<Confidence> = SUSPECTS
            .iter()
            .map(|suspect| Confidence {
                suspect: *suspect,
                probability: share(&|cause| CAUSES[cause].suspect == *suspect),
            })
            .collect();
        parties.sort_by(|a, b| b.probability.total_cmp(&a.probability).then(a.suspect.cmp(&b.suspect)));
        // the party is named by its sum, the cause within it by its score
        let party = parties.first().map_or(Suspect::None, |party| party.suspect);
        let winner = best_of(&|cause| CAUSES[cause].suspect == party);
        let runner_up = best_of(&|cause| CAUSES[cause].suspect != party);
        let kinds = [FindingKind::Attack, FindingKind::Fault, FindingKind::Benign]
            .map(|kind| (kind, share(&|cause| CAUSES[cause].kind == kind)));
        Decision { winner, runner_up, parties, kinds }
    }
}

impl Decision {
    /// The winner's lead over the runner-up, nats.
    #[cfg(test)]
    pub(crate) fn gap(&self, case: &Case) -> f64 {
        case.score(self.winner) - case.score(self.runner_up)
    }
}

/// Whether a cause is that of a list.
pub(crate) fn is(cause: usize, one: C) -> bool {
    cause == one as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn case() -> Case {
        Case { seen: [Seen::No; EVIDENCE], residual: Seen::No, explained: [None; 4], samples: 100.0 }
    }

    fn party(case: &Case) -> (Suspect, f64) {
        let parties = case.decide().parties;
        (parties[0].suspect, parties[0].probability)
    }

    #[test]
    fn each_fact_alone_names_its_party() {
        let check = |evidence: &[E], suspect: Suspect| {
            let mut case = case();
            case.samples = 10.0;
            evidence.iter().for_each(|it| case.seen[*it as usize] = Seen::Yes);
            let (named, p) = party(&case);
            assert!(named == suspect && p >= 0.9, "{evidence:?}: {named:?} {p}");
        };
        check(&[E::Unsent], Suspect::CommandPath);
        check(&[E::Seal], Suspect::Model);
        check(&[E::Journal], Suspect::Identity);
        check(&[E::Repeat], Suspect::Network);
        check(&[E::VendorOff, E::VendorFrozenOrMost], Suspect::Twin);
    }

    #[test]
    fn scaling_what_physics_says_keeps_the_winner_and_never_makes_it_sure() {
        for scale in [1.0, 10.0, 100.0, 1e4] {
            let mut case = case();
            case.residual = Seen::Yes;
            case.explained = [Some(60.0 * scale), Some(20.0 * scale), Some(5.0 * scale), None];
            let (named, p) = party(&case);
            assert_eq!(named, Suspect::Sensor);
            assert!(p < 1.0);
        }
    }

    #[test]
    fn a_missing_view_never_helps_its_accusation() {
        for (evidence, suspect) in
            [(E::Seal, Suspect::Model), (E::Journal, Suspect::Identity), (E::VendorOff, Suspect::Twin)]
        {
            let belief = |seen| {
                let mut case = case();
                case.seen[evidence as usize] = seen;
                let parties = case.decide().parties;
                parties.iter().find(|party| party.suspect == suspect).unwrap().probability
            };
            assert!(belief(Seen::Blind) <= belief(Seen::No) && belief(Seen::No) <= belief(Seen::Yes));
        }
    }

    #[test]
    fn a_spot_check_moves_the_kind_the_right_way() {
        let kind = |evidence: Option<E>| {
            let mut case = case();
            case.residual = Seen::Yes;
            case.explained = [Some(60.0), Some(10.0), Some(5.0), Some(12.0)];
            if let Some(evidence) = evidence {
                case.seen[evidence as usize] = Seen::Yes;
            }
            case.decide().kinds[0].1
        };
        assert!(kind(Some(E::CheckDiffers)) > 0.9);
        assert!(kind(Some(E::CheckAgrees)) < kind(None));
    }

    proptest! {
        #[test]
        fn reasons_add_up_and_beliefs_sum_to_one(
            bits: [bool; EVIDENCE],
            residual: bool,
            explained in proptest::collection::vec(0.0_f64..1e4, 4),
            samples in 0.0_f64..1e4,
        ) {
            let mut case = case();
            for (seen, bit) in case.seen.iter_mut().zip(bits) {
                *seen = if bit { Seen::Yes } else { Seen::No };
            }
            case.residual = if residual { Seen::Yes } else { Seen::No };
            case.explained = core::array::from_fn(|class| Some(explained[class]));
            case.samples = samples;
            let decision = case.decide();
            let sum: f64 = case.terms(decision.winner, decision.runner_up).iter().map(|term| term.1).sum();
            prop_assert!((sum - decision.gap(&case)).abs() < 1e-9);
            let parties: f64 = decision.parties.iter().map(|party| party.probability).sum();
            let kinds: f64 = decision.kinds.iter().map(|kind| kind.1).sum();
            prop_assert!((parties - 1.0).abs() < 1e-9 && (kinds - 1.0).abs() < 1e-9);
        }
    }
}
