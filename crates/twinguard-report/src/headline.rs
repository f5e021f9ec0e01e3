//! The first sentences of the page, by kind of run.

use twinguard_types::FindingState;

use crate::data::{Headline, Outcome, RunReport, Side};
use crate::icon::severity_word;
use crate::number::{self, counted};
use crate::text::{PROSE, capital, stopped, visible};

fn outcome(outcome: &Outcome) -> String {
    let subject = visible(&outcome.subject, 60);
    let margin = &outcome.margin;
    let distance =
        number::with_unit(margin.value.abs(), margin.decimals(), &number::difference_unit(&margin.unit));
    if margin.value >= 0.0 {
        let side = if outcome.side == Side::Below { "above" } else { "below" };
        format!(" {subject} stayed {distance} {side} its limit.")
    } else if outcome.beyond_s > 0.0 {
        format!(" {subject} passed its limit by {distance} for {}.", number::duration(outcome.beyond_s))
    } else {
        format!(" {subject} passed its limit by {distance}.")
    }
}

/// Whether the headline says that a limit was passed.
pub(crate) fn limit_passed(report: &RunReport) -> bool {
    match &report.headline {
        Headline::Attack { outcome, .. } | Headline::Fault { outcome, .. } => {
            outcome.as_ref().is_some_and(|outcome| outcome.margin.value < 0.0)
        }
        _ => false,
    }
}

/// What happened, and what it came to.
pub(crate) fn headline(report: &RunReport) -> String {
    let span = number::duration(report.time.span_s);
    let came_to = |what: &str, came: &Option<Outcome>, otherwise: &str| {
        let end = came.as_ref().map_or_else(|| otherwise.to_owned(), outcome);
        format!("{}{end}", stopped(&visible(what, PROSE)))
    };
    match &report.headline {
        Headline::Attack { what, outcome } => came_to(what, outcome, ""),
        Headline::Fault { what, outcome } => match outcome {
            Some(passed) if passed.margin.value < 0.0 => came_to(what, outcome, ""),
            _ => came_to(what, &None, " No sign of an attack."),
        },
        Headline::Unclear { what } => {
            came_to(what, &None, " The evidence does not say whether it was meant.")
        }
        Headline::Nothing if report.findings.is_empty() => {
            let speakers = sources(report);
            let agreed = if speakers > 1 { " Every source agreed." } else { "" };
            format!("Nothing abnormal in {span}.{agreed}")
        }
        Headline::Findings | Headline::Nothing => match report.worst() {
            None => format!("No findings in {span}."),
            Some((_, card)) => {
                let count = report.ranked().len();
                let lead = if count > 1 { "The first to look at: " } else { "" };
                format!(
                    "{} in {span}. {lead}{}",
                    capital(&counted(count, "finding")),
                    stopped(&visible(&card.finding.title, 120))
                )
            }
        },
        Headline::Learning { have_s, want_s } => format!(
            "Learning: {} of {} of normal history. Limits are wide until then.",
            number::duration(*have_s),
            number::duration(*want_s)
        ),
        Headline::Gaps { missing_s } => {
            format!("This run has gaps: {} without field data.", number::duration(*missing_s))
        }
    }
}

/// Sources that speak of the plant: field, vendor's twin, sealed model.
pub(crate) fn sources(report: &RunReport) -> usize {
    use crate::data::Speaker::{Estimate, Reported, Vendor};
    [Reported, Vendor, Estimate].iter().filter(|speaker| speaks(report, **speaker)).count()
}

/// Whether somebody speaks in any plot.
pub(crate) fn speaks(report: &RunReport, speaker: crate::data::Speaker) -> bool {
    report.plots.iter().flat_map(|plot| &plot.traces).any(|trace| trace.speaker == speaker)
}

/// The word for a finding's state.
pub(crate) const fn state_word(state: FindingState) -> &'static str {
    match state {
        FindingState::Open => "open",
        FindingState::Acknowledged => "acknowledged",
        FindingState::Contained => "contained",
        FindingState::Shelved => "shelved",
        FindingState::Closed => "closed",
    }
}

/// The line above the headline.
pub(crate) fn state(report: &RunReport) -> String {
    let mut text = match report.worst() {
        Some((severity, card)) => {
            format!("{}, {}.", capital(severity_word(severity)), state_word(card.finding.state))
        }
        None => match report.headline {
            Headline::Learning { .. } => "Learning.".into(),
            Headline::Gaps { .. } => "Incomplete.".into(),
            _ => "Normal.".into(),
        },
    };
    if let Some(t) = report.normal_again_s {
        text.push_str(&format!(" Plant back to normal at {}.", number::duration(t)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Quantity, TimeAxis};
    use twinguard_types::Timestamp;

    #[test]
    fn by_kind() {
        let check = |kind: Headline, expect: &str| {
            let mut report = RunReport::new("p", TimeAxis::new(Timestamp::ZERO, 597_600.0));
            report.headline = kind;
            let text = headline(&report).replace(number::NNBSP, " ");
            assert_eq!(text, expect);
            assert!(text.chars().count() <= 110);
        };
        let cut = || "Old sensor values were replayed while the cooling was cut.".to_owned();
        let margin = |value: f64| Quantity::new(value, "degC").resolution(0.1);
        check(
            Headline::Attack { what: cut(), outcome: Some(Outcome::below(margin(23.0))) },
            "Old sensor values were replayed while the cooling was cut. The asset stayed 23.0 K below its limit.",
        );
        check(
            Headline::Attack {
                what: "The cooling was cut".into(),
                outcome: Some(Outcome::beyond(margin(4.1), 130.0)),
            },
            "The cooling was cut. The asset passed its limit by 4.1 K for 2 min 10 s.",
        );
        check(
            Headline::Fault { what: "The coolant pump wore out.".into(), outcome: None },
            "The coolant pump wore out. No sign of an attack.",
        );
        check(Headline::Nothing, "Nothing abnormal in 6 d 22 h.");
        check(
            Headline::Learning { have_s: 11_400.0, want_s: 86_400.0 },
            "Learning: 3 h 10 min of 1 d of normal history. Limits are wide until then.",
        );
        check(Headline::Gaps { missing_s: 840.0 }, "This run has gaps: 14 min without field data.");
        check(Headline::Findings, "No findings in 6 d 22 h.");
    }
}
