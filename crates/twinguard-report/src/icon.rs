//! Small shapes that carry meaning without colour: severities, verdicts, actions, sources.

use maud::{Markup, html};
use twinguard_types::{Decision, Severity};

/// The word for a severity.
pub(crate) const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
    }
}

/// Shape, digit and word for a severity.
pub(crate) fn severity(severity: Severity) -> Markup {
    let label = format!("severity {}", severity_word(severity));
    let digit = |text: &str, class: &str, y: &str| html! { text.(class) x="10" y=(y) text-anchor="middle" { (text) } };
    html! {
        svg.ic viewBox="0 0 20 20" role="img" aria-label=(label) {
            @match severity {
                Severity::Critical => { rect.f-crit x="2" y="2" width="16" height="16" rx="2" {} (digit("1", "i-crit", "14.4")) }
                Severity::High => { path.f-high d="M10 1 19.5 18H.5Z" {} (digit("2", "i-sev", "16")) }
                Severity::Medium => { path.f-medium d="M10 .5 19.5 10 10 19.5.5 10Z" {} (digit("3", "i-sev", "14.2")) }
                Severity::Low => { circle.k cx="10" cy="10" r="8" {} (digit("4", "i-low", "14.2")) }
            }
        }
    }
}

/// The word for a decision.
pub(crate) const fn decision_word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Allow => "allowed",
        Decision::Clamp(_) => "clamped",
        Decision::StepUp => "step up",
        Decision::Hold => "held",
        Decision::Deny => "denied",
    }
}

/// How grave a decision is, for folding marks: the gravest is shown.
pub(crate) const fn decision_rank(decision: &Decision) -> u8 {
    match decision {
        Decision::Allow => 0,
        Decision::Clamp(_) => 1,
        Decision::StepUp => 2,
        Decision::Hold => 3,
        Decision::Deny => 4,
    }
}

/// The shape for a decision; the word stands beside it.
pub(crate) fn decision(decision: &Decision) -> Markup {
    html! {
        svg.ic viewBox="0 0 20 20" aria-hidden="true" {
            @match decision {
                Decision::Allow => { path.k2 d="M4.5 10.5 8.5 14.5 15.5 6" {} }
                Decision::Clamp(_) => { path.k2 d="M4 4h12M4 16h12M10 7v6" {} }
                Decision::StepUp => { path.k2 d="M3 16h5v-5h5V6h4" {} }
                Decision::Hold => { path.k3 d="M7 5v10M13 5v10" {} }
                Decision::Deny => { circle.f-ink cx="10" cy="10" r="8" {} path.x d="M6.5 6.5l7 7M13.5 6.5l-7 7" {} }
            }
        }
    }
}

/// The shape for an action.
pub(crate) fn action() -> Markup {
    html! { svg.ic viewBox="0 0 20 20" aria-hidden="true" { path.f-model d="M3 3l14 7-14 7z" {} } }
}

/// A tick in a circle, or a cross in one.
pub(crate) fn checked(good: bool) -> Markup {
    html! {
        svg.ic viewBox="0 0 20 20" aria-hidden="true" {
            circle.k cx="10" cy="10" r="7.5" {}
            @if good { path.k d="M6.5 10.3 9 12.8 13.6 7.5" {} } @else { path.k d="M7 7l6 6M13 7l-6 6" {} }
        }
    }
}

/// Field (dot) or vendor's twin (open diamond), placed at a share of the strip.
pub(crate) fn source(vendor: bool, percent: f64) -> Markup {
    html! {
        svg.pt width="16" height="16" viewBox="0 0 12 12" style=(format!("left:calc({percent:.1}% - 8px)")) aria-hidden="true" {
            @if vendor { path.k-vendor d="M1 6 6 1 11 6 6 11Z" {} } @else { circle.f-field cx="6" cy="6" r="2.7" {} }
        }
    }
}

/// Leaf to root as a small staircase: dot, siblings as squares, root.
pub(crate) fn staircase(hashes: u32) -> Markup {
    let steps = hashes.clamp(1, 24);
    let place = |step: u32| {
        let share = f64::from(step) / f64::from(steps);
        (10.0 + 200.0 * share, 60.0 - 48.0 * share)
    };
    let mut path = format!("M{:.1} {:.1}", place(0).0, place(0).1);
    for step in 1..=steps {
        let (x, y) = place(step);
        path.push_str(&format!("L{x:.1} {y:.1}"));
    }
    html! {
        svg.stair viewBox="0 0 220 74" role="img" aria-label={ "path of " (hashes) " hashes from the leaf to the root" } {
            path.k d=(path) {}
            @for step in 1..=steps {
                @let (x, y) = place(step);
                path.thin d=(format!("M{x:.1} {y:.1}l-7 8")) {}
                rect.sq x=(format!("{:.1}", x - 10.0)) y=(format!("{:.1}", y + 6.0)) width="6" height="6" {}
                @if step < steps { circle.f-ink cx=(format!("{x:.1}")) cy=(format!("{y:.1}")) r="2.4" {} }
            }
            circle.f-ink cx="10" cy="60" r="4.5" {}
            circle.f-ink cx="210" cy="12" r="5.5" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_severity_has_a_digit_and_a_word() {
        for (level, digit) in [
            (Severity::Critical, ">1<"),
            (Severity::High, ">2<"),
            (Severity::Medium, ">3<"),
            (Severity::Low, ">4<"),
        ] {
            let text = severity(level).into_string();
            assert!(text.contains(digit) && text.contains(severity_word(level)), "{text}");
        }
    }
}
