//! Who lies, findings, commands, actions, evidence: the sections below the plots.

use maud::{Markup, html};
use twinguard_types::{Decision, Digest, FindingKind, FindingState, Suspect, Symptom};

use crate::budget::Budget;
use crate::data::{CommandRow, FindingCard, RunReport, SourceRow, Verification};
use crate::number::{self, NNBSP};
use crate::table::{Column, column, table};
use crate::{headline, icon, text};

/// Rows of the sources shown.
const SOURCES: usize = 8;
/// Half width of the strip of distances, σ.
const STRIP: f64 = 12.0;

/// The words for a suspect.
pub(crate) const fn suspect_words(suspect: Suspect) -> &'static str {
    match suspect {
        Suspect::Sensor => "a sensor, or whoever speaks for it",
        Suspect::Actuator => "an actuator",
        Suspect::CommandPath => "the path that commands take to the plant",
        Suspect::Network => "the network between controller and field",
        Suspect::Feed => "the data feed of the vendor’s twin",
        Suspect::Twin => "the vendor’s twin",
        Suspect::Model => "the sealed model",
        Suspect::Identity => "a user, service or device identity",
        Suspect::Fault => "the plant itself: a physical fault",
        Suspect::None => "nobody: operation outside the learnt normal",
    }
}

/// The short name of a suspect.
const fn suspect_name(suspect: Suspect) -> &'static str {
    match suspect {
        Suspect::Sensor => "sensor",
        Suspect::Actuator => "actuator",
        Suspect::CommandPath => "command path",
        Suspect::Network => "network path",
        Suspect::Feed => "feed of the twin",
        Suspect::Twin => "vendor’s twin",
        Suspect::Model => "model tampered",
        Suspect::Identity => "stolen identity",
        Suspect::Fault => "plant fault",
        Suspect::None => "nobody",
    }
}

const fn kind_words(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Attack => "It looks deliberate",
        FindingKind::Fault => "It looks like a fault",
        FindingKind::Benign => "It looks like normal operation outside what was learnt",
        FindingKind::Undetermined => "Attack or fault is not told apart yet",
    }
}

/// Number with unit per source, decimals from σ.
fn source_value(row: &SourceRow, value: Option<f64>, with_sigma: bool) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return number::ABSENT.into() };
    let decimals =
        row.sigma.filter(|sigma| *sigma > 0.0).map_or_else(|| number::significant(value), number::decimals);
    match row.sigma.filter(|sigma| with_sigma && *sigma > 0.0) {
        Some(sigma) => {
            let unit = number::unit(&row.unit);
            format!("{} ± {}{NNBSP}{unit}", number::fixed(value, decimals), number::fixed(sigma, decimals))
        }
        None => number::with_unit(value, decimals, &row.unit),
    }
}

fn strip(row: &SourceRow) -> Markup {
    let sigma = row.sigma.filter(|sigma| *sigma > 0.0);
    let place = |value: Option<f64>| {
        let distance = (value? - row.model?) / sigma?;
        let share = (distance / (2.0 * STRIP) + 0.5) * 100.0;
        Some(share.clamp(3.0, 97.0)).filter(|share| share.is_finite())
    };
    html! {
        div.dots {
            @if sigma.is_some() && row.model.is_some() {
                svg.strip viewBox="0 0 240 20" preserveAspectRatio="none" aria-hidden="true" {
                    rect.f-band x="100" y="3" width="40" height="14" {} path.k-model d="M120 2v16" {}
                }
                @if let Some(share) = place(row.vendor) { (icon::source(true, share)) }
                @if let Some(share) = place(row.reported) { (icon::source(false, share)) }
            } @else { span.dimmer { "uncertainty unknown" } }
        }
    }
}

/// The sources side by side, largest distance first.
pub(crate) fn who_lies(report: &RunReport) -> Markup {
    if report.sources.is_empty() {
        return html! {};
    }
    let mut rows: Vec<&SourceRow> = report.sources.iter().collect();
    let size = |row: &SourceRow| row.distance().map_or(-1.0, f64::abs);
    rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let vendor = rows.iter().any(|row| row.vendor.is_some());
    let mut columns = vec![
        column("Signal", "name"),
        Column { head: html! { "● Reported" }, label: "Reported", class: "r nw c-field" },
        Column { head: html! { "◇ Vendor twin" }, label: "Vendor twin", class: "r nw c-vendor" },
        Column { head: html! { "┃ Sealed model, ± σ" }, label: "Sealed model", class: "r nw c-model" },
        Column {
            head: html! { "Distance from the model" span.ax { span { "−12" (NNBSP) "σ" } span { "0" } span { "+12" (NNBSP) "σ" } } },
            label: "Distance, σ",
            class: "sig",
        },
        column("Reported − model", "r nw"),
        column("Reading", "dim"),
    ];
    if !vendor {
        columns.remove(2);
    }
    let body: Vec<(Option<String>, Vec<Markup>)> = rows
        .iter()
        .take(SOURCES)
        .map(|row| {
            let distance = match row.distance() {
                None => number::ABSENT.into(),
                Some(d) if d.abs() > 20.0 => {
                    format!("beyond {}20{NNBSP}σ", if d < 0.0 { "\u{2212}" } else { "" })
                }
                Some(d) => format!("{}{NNBSP}σ", number::fixed(d, 1)),
            };
            let mut cells = vec![
                text::name(&row.signal),
                html! { (source_value(row, row.reported, false)) },
                html! { (source_value(row, row.vendor, false)) },
                html! { (source_value(row, row.model, true)) },
                strip(row),
                html! { (distance) },
                text::prose(&row.reading),
            ];
            if !vendor {
                cells.remove(2);
            }
            (None, cells)
        })
        .collect();
    html! {
        h2 #who { "Who lies" }
        p.lead {
            @if vendor { "Three sources for each signal at the moment of the finding. Where field and vendor agree but the sealed model differs, the reading was changed on its way." }
            @else { "No vendor twin was given; two sources are compared at the moment of the finding." }
        }
        section.card {
            (table(&columns, &body))
            @if rows.len() > SOURCES { p.small.dim { (text::capital(&number::counted(rows.len() - SOURCES, "more signal"))) " with a smaller distance." } }
        }
    }
}

fn detectors(report: &RunReport) -> String {
    let detection = &report.detection;
    if detection.detectors == 0 {
        return String::new();
    }
    let mut sentence = format!("{} ran", number::counted(detection.detectors as usize, "detector"));
    for (word, value) in
        [("quietest", detection.quietest), ("loudest", detection.loudest), ("alarm at", detection.alarm)]
    {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            sentence.push_str(&format!(", {word} {}", surprise(value)));
        }
    }
    format!(" {}.", text::capital(&sentence))
}

/// Findings as cards, worst first; beyond the budget as rows.
pub(crate) fn findings(report: &RunReport, budget: Budget) -> Markup {
    let ranked = report.ranked();
    let (cards, rest) = ranked.split_at(ranked.len().min(budget.cards));
    let (rows, more) = rest.split_at(rest.len().min(budget.rows));
    let columns = [
        column("Finding", "nw"),
        column("Time", "nw"),
        column("What", ""),
        column("Suspect", "dim"),
        column("Surprise", "r nw"),
    ];
    let body: Vec<_> = rows
        .iter()
        .map(|card| {
            let finding = &card.finding;
            let cells = vec![
                html! { span.badge { (icon::severity(finding.severity)) "F-" (finding.id) } },
                html! { (number::duration(report.time.seconds(finding.raised_at))) },
                html! { (text::visible(&finding.title, text::NAME)) },
                html! { (suspect_name(finding.suspect)) },
                html! { (surprise(finding.surprise)) },
            ];
            (Some(format!("f{}", finding.id)), cells)
        })
        .collect();
    html! {
        h2 #findings { "Findings" }
        @if ranked.is_empty() {
            p.lead { "No findings." (detectors(report)) }
        } @else {
            p.lead { (text::capital(&number::counted(ranked.len(), "finding"))) ", worst first." (detectors(report)) }
            @for card in cards { (finding_card(report, card)) }
            @if !rows.is_empty() {
                section.card { (table(&columns, &body)) @if !more.is_empty() { p.small.dim { "… and " (number::count(more.len() as u64)) " more in the machine-readable files." } } }
            }
        }
    }
}

fn digest(digest: &Digest) -> Markup {
    html! { details.digest { summary { code { "b3:" (digest.short()) } } code { "b3:" (digest.to_string()) } } }
}

fn finding_card(report: &RunReport, card: &FindingCard) -> Markup {
    let finding = &card.finding;
    let aside = matches!(finding.state, FindingState::Shelved | FindingState::Closed);
    let raised = report.time.seconds(finding.raised_at);
    let reasons: Vec<String> = (finding.reasons.iter())
        .filter(|reason| reason.nats > 0.0)
        .map(|reason| text::within(reason.text.trim().trim_end_matches('.')))
        .take(4)
        .collect();
    let others: Vec<&str> = finding
        .suspect_set
        .iter()
        .filter(|other| **other != finding.suspect)
        .map(|other| suspect_name(*other))
        .collect();
    let listed = |label: &str, content: Markup| html! { dt { (label) } dd { (content) } };
    html! {
        section.card.aside[aside] id={ "f" (finding.id) } {
            div.fhead {
                (icon::severity(finding.severity))
                h3 { "F-" (finding.id) "\u{2002}" (text::visible(&finding.title, text::NAME)) }
                span.small.dim {
                    (number::duration(raised)) " · " (icon::severity_word(finding.severity)) " · " (headline::state_word(finding.state))
                }
            }
            div.fgrid {
                div {
                    dl.dl {
                        (listed("What happened", text::prose(&finding.summary)))
                        (listed("Suspect, and why", html! {
                            b { (text::capital(suspect_words(finding.suspect))) }
                            @if let Some(element) = &finding.suspect_element { " (" (text::name(element)) ")" }
                            @if !reasons.is_empty() {
                                ", because " @for (index, reason) in reasons.iter().enumerate() { @if index > 0 { "; " } (text::prose(reason)) }
                            }
                            ". " (kind_words(finding.kind)) "."
                            @if !others.is_empty() { " Not ruled out: " (others.join(", ")) "." }
                        }))
                        @if let Some(consequence) = &card.consequence {
                            (listed("Consequence", html! {
                                (text::prose(consequence.text.trim_end_matches('.')))
                                @if let Some((middle, low, high)) = consequence.after_s {
                                    " in " (number::duration(middle)) " (" (number::duration(low)) " to " (number::duration(high)) ")"
                                }
                                "."
                                @if let Some(margin) = &consequence.margin {
                                    " Margin when seen: " (number::with_unit(margin.value, margin.decimals(), &number::difference_unit(&margin.unit))) "."
                                }
                            }))
                        }
                        @if !card.symptoms.is_empty() {
                            (listed("Symptoms", html! { ul { @for symptom in card.symptoms.iter().take(8) { li { (text::prose(symptom)) } } } }))
                        }
                        @if !finding.techniques.is_empty() {
                            dt { "Techniques" }
                            dd.chips { @for technique in finding.techniques.iter().take(12) {
                                span.chip { (text::visible(technique.id.as_str(), 24)) " " (text::visible(technique.name, 60)) }
                            } }
                        }
                        (listed("Evidence", html! {
                            (number::counted(usize::try_from(finding.inputs_count).unwrap_or(usize::MAX), "input"))
                            @if let Some(leaf) = card.leaf { " · journal leaf " a href="#evidence" { (number::count(leaf)) } }
                            (digest(&finding.inputs))
                        }))
                        @if !finding.missing.is_empty() {
                            (listed("Not available", html! { @for view in &finding.missing { (text::capital(view.adds())) ". " } }))
                        }
                    }
                    @if !finding.next_step.is_empty() {
                        div.next { div.eyebrow { "Next step" } p { (text::prose(&finding.next_step)) } }
                    }
                }
                div { (confidence(card)) (raised_by(card)) }
            }
        }
    }
}

fn bar(name: &str, share: f64, red: bool, value: &str) -> Markup {
    html! {
        span { (name) }
        span.t { i.x[red] style=(format!("width:{:.0}%", (share * 100.0).clamp(0.0, 100.0))) {} }
        span.v { (value) }
    }
}

/// Belief in each suspect; what is below one per cent is one row.
fn confidence(card: &FindingCard) -> Markup {
    let finding = &card.finding;
    let shown = finding.confidence.iter().filter(|one| one.probability >= 0.01);
    let rest: f64 = finding.confidence.iter().map(|one| one.probability).filter(|p| *p < 0.01).sum();
    let few = finding.confidence.iter().any(|one| one.probability < 0.01);
    html! {
        @if !finding.confidence.is_empty() {
            div.eyebrow { "Confidence in the suspect" }
            div.hb {
                @for one in shown {
                    (bar(suspect_name(one.suspect), one.probability, one.suspect == finding.suspect, &number::percent(one.probability)))
                }
                @if few { (bar("all others", rest, false, &number::percent(rest))) }
            }
        }
    }
}

/// A surprise; beyond what the plot shows a probability is a matter of the model more than of the data.
fn surprise(value: f64) -> String {
    const MOST: f64 = 16.0;
    if value > MOST { format!("over {MOST:.0}") } else { number::fixed(value, 1) }
}

/// What a detector looks for.
const fn symptom_words(symptom: Symptom) -> &'static str {
    match symptom {
        Symptom::Residual => "field against model",
        Symptom::Redundancy => "signals against each other",
        Symptom::Range => "range",
        Symptom::Rate => "rate of change",
        Symptom::Freeze => "stillness",
        Symptom::Noise => "noise",
        Symptom::Repeat => "repeated values",
        Symptom::VendorOffset => "vendor against field",
        Symptom::Provenance => "commands nobody sent",
        Symptom::Novelty => "unfamiliar commands",
        Symptom::Timing => "timing of traffic",
        Symptom::Malformed => "odd messages",
        Symptom::Identity => "unusual access",
        Symptom::Journal => "set-points without an order",
        Symptom::Seal => "model against seal",
        _ => "other",
    }
}

fn raised_by(card: &FindingCard) -> Markup {
    let finding = &card.finding;
    let most =
        finding.evidence.iter().map(|one| one.surprise).fold(finding.threshold, f64::max).clamp(1.0, 16.0);
    let head = format!(
        "What raised it: surprise {}, alarm at {}",
        surprise(finding.surprise),
        number::fixed(finding.threshold, 1)
    );
    html! {
        @if !finding.evidence.is_empty() {
            div.eyebrow title="surprise: −log₁₀ of the probability under normal operation" { (head) }
            div.hb {
                @for one in finding.evidence.iter().take(8) {
                    (bar(symptom_words(one.symptom), one.surprise / most, false, &surprise(one.surprise)))
                }
            }
        }
    }
}

/// A run of equal verdicts.
struct Folded<'a> {
    row: &'a CommandRow,
    times: usize,
}

/// Equal verdicts fold: routine ones over the whole run, others while they follow each other.
fn fold(rows: &[CommandRow]) -> Vec<Folded<'_>> {
    let mut folded: Vec<Folded<'_>> = Vec::new();
    let same = |a: &CommandRow, b: &CommandRow| {
        let key = |row: &CommandRow| {
            (icon::decision_rank(&row.decision), row.ended.clone(), row.clamped_to.clone())
        };
        (&a.who, &a.address, &a.signal, &a.why) == (&b.who, &b.address, &b.signal, &b.why) && key(a) == key(b)
    };
    for row in rows {
        let routine = row.decision == Decision::Allow;
        let window = if routine { folded.len().saturating_sub(64) } else { folded.len().saturating_sub(1) };
        match folded.iter_mut().skip(window).find(|other| same(other.row, row)) {
            Some(other) => other.times += 1,
            None => folded.push(Folded { row, times: 1 }),
        }
    }
    folded
}

/// Every command and its verdict, equal ones folded.
pub(crate) fn commands(report: &RunReport, budget: Budget) -> Markup {
    let rows = &report.commands;
    let count = |rank: u8| rows.iter().filter(|row| icon::decision_rank(&row.decision) == rank).count();
    let counts: Vec<String> = ["allowed", "clamped", "asked to step up", "held", "denied"]
        .iter()
        .zip(0..)
        .filter(|(_, rank)| count(*rank) > 0)
        .map(|(word, rank)| format!("{} {word}", number::count(count(rank) as u64)))
        .collect();
    let columns = [
        column("Time", "nw"),
        column("Who", "who"),
        column("Command", "cmd"),
        column("Verdict", ""),
        column("Why", ""),
        column("Least margin", "r nw"),
    ];
    let folded = fold(rows);
    let body: Vec<_> = folded.iter().take(budget.rows).map(|one| (None, command_row(one))).collect();
    let more = folded.len().saturating_sub(budget.rows);
    html! {
        h2 #commands { "Commands and verdicts" }
        @if rows.is_empty() {
            p.lead { "No commands in this run." }
        } @else {
            p.lead {
                (text::capital(&number::counted(rows.len(), "command"))) ": " (counts.join(", ")) "."
                @if rows.iter().any(|row| row.margin.is_some()) { " Margin is the smallest distance to a limit in the what-if run, worst case." }
            }
            section.card { (table(&columns, &body)) @if more > 0 { p.small.dim { "… and " (number::count(more as u64)) " more in the machine-readable files." } } }
        }
    }
}

fn command_row(folded: &Folded<'_>) -> Vec<Markup> {
    let (row, times) = (folded.row, folded.times);
    let routine = row.decision == Decision::Allow && times > 1;
    let crossed = row.margin.as_ref().is_some_and(|margin| margin.value < 0.0);
    vec![
        html! { (number::duration(row.t_s)) },
        html! {
            (text::name(&row.who))
            @if let Some(address) = row.address.as_ref().filter(|address| **address != row.who) { br; (text::name(address)) }
        },
        html! { code { (text::visible(&row.signal, text::NAME)) " := " (text::visible(&row.value, 40)) } },
        html! {
            span.badge {
                (icon::decision(&row.decision))
                span {
                    (icon::decision_word(&row.decision))
                    @if let Some(to) = &row.clamped_to { " to " (text::visible(to, 40)) }
                    @if times > 1 && !routine { " ×" (times) }
                    @if let Some(ended) = &row.ended { ", " (text::visible(ended, 60)) }
                }
            }
        },
        html! {
            @if row.why.is_empty() && !routine { (number::ABSENT) }
            (text::prose(&row.why)) @if routine { @if !row.why.is_empty() { "; " } (number::count(times as u64 - 1)) " more like it" }
        },
        html! {
            @match &row.margin {
                Some(margin) => { span.c-crit[crossed] { (number::with_unit(margin.value, margin.decimals(), &margin.unit)) } },
                None => { (number::ABSENT) }
            }
        },
    ]
}

/// What the guard did.
pub(crate) fn actions(report: &RunReport, budget: Budget) -> Markup {
    let rows = &report.actions;
    let columns = [
        column("Action", "nw"),
        column("Time", "nw"),
        column("What", ""),
        column("Why, and at what cost", "dim"),
        column("Undo", "dim"),
    ];
    let body: Vec<_> = rows
        .iter()
        .take(budget.rows)
        .map(|row| {
            let cells = vec![
                html! { span.badge { (icon::action()) "A-" (row.id) } },
                html! { (number::duration(row.t_s)) },
                html! { (text::prose(&row.what)) @if row.recommended_only { " (recommended only)" } },
                text::prose(&row.why),
                text::prose(&row.undo),
            ];
            (None, cells)
        })
        .collect();
    let more = rows.len().saturating_sub(budget.rows);
    html! {
        h2 #actions { "What twinguard did" }
        @if rows.is_empty() {
            p.lead { "Nothing: no action was asked for." }
        } @else {
            p.lead { "Every action that touches the plant passed the gate as a command." }
            section.card { (table(&columns, &body)) @if more > 0 { p.small.dim { "… and " (number::count(more as u64)) " more in the machine-readable files." } } }
        }
    }
}

/// Why to believe the page; on ink ground and first when the journal does not match.
pub(crate) fn evidence(report: &RunReport) -> Markup {
    let evidence = &report.evidence;
    let failed = match &evidence.verification {
        Verification::Failed { reason } => Some(reason),
        _ => None,
    };
    let listed = |label: &str, content: Markup| html! { dt { (label) } dd { (content) } };
    html! {
        @if failed.is_none() {
            h2 #evidence { "Evidence" }
            p.lead {
                @if evidence.checkpoint.is_some() { "Each finding, verdict and action is a leaf of one append-only tree. Change one and the root changes." }
                @else { "This run kept no journal, so nothing on this page can be proved later." }
            }
        }
        section.card.fail[failed.is_some()] id=[failed.map(|_| "evidence")] aria-label="Evidence" {
            @if let Some(reason) = failed {
                p.alarm { "This report does not match its journal. Do not rely on it." }
                p { (text::prose(&text::stopped(reason))) }
            }
            div.fgrid[evidence.checkpoint.is_some() || !evidence.commands.is_empty()] {
                @if evidence.checkpoint.is_some() || !evidence.commands.is_empty() { div {
                    @if let Some(checkpoint) = &evidence.checkpoint {
                        div.eyebrow { "Checkpoint at the end of this run" }
                        pre { (text::lines(checkpoint, 200)) }
                    }
                    @if !evidence.commands.is_empty() {
                        div.eyebrow { "Check it yourself, offline" }
                        pre { (text::lines(&evidence.commands.join("\n"), 300)) }
                    }
                } }
                dl.dl.narrow {
                    (listed("Verified", html! {
                        @match &evidence.verification {
                            Verification::Verified { leaves } => { span.badge { (icon::checked(true)) span { "by the writer of this page: root recomputed from " (number::count(*leaves)) " leaves" } } },
                            Verification::Failed { .. } => { span.badge { (icon::checked(false)) "no" } },
                            Verification::NotChecked => { "not by the writer of this page" }
                        }
                    }))
                    @if !evidence.signers.is_empty() || evidence.witnesses.is_some() {
                        (listed("Signed by", html! {
                            @for (index, signer) in evidence.signers.iter().enumerate().take(6) { @if index > 0 { ", " } (text::name(signer)) }
                            @if let Some((signed, asked)) = evidence.witnesses { @if !evidence.signers.is_empty() { ", " } (signed) " of " (asked) " witnesses" }
                        }))
                    }
                    @if evidence.checkpoint.is_some() {
                        (listed("Gaps", html! {
                            @if evidence.gaps.is_empty() { "none: 0 leaves dropped" }
                            @for (index, (leaves, reason)) in evidence.gaps.iter().enumerate().take(6) {
                                @if index > 0 { "; " } (number::count(*leaves)) " leaves dropped: " (text::prose(reason))
                            }
                        }))
                    }
                    @if let Some((leaf, hashes)) = evidence.proof.filter(|_| failed.is_none()) {
                        (listed("Proof", html! { "leaf " (number::count(leaf)) ", " (hashes) @if hashes == 1 { " hash" } @else { " hashes" } (icon::staircase(hashes)) }))
                    }
                    (listed("Model", html! {
                        @if !evidence.model.is_empty() { (text::prose(&text::stopped(&evidence.model))) " " }
                        @match &report.meta.seal {
                            Some((seal, version)) => { @if evidence.model.is_empty() { "sealed, version " (version) " " } (digest(seal)) },
                            None => { @if evidence.model.is_empty() { "not sealed: nobody vouches for it" } }
                        }
                    }))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(who: &str, decision: Decision) -> CommandRow {
        CommandRow {
            t_s: 0.0,
            who: who.into(),
            address: None,
            signal: "pump.speed".into(),
            value: "20 %".into(),
            decision,
            clamped_to: None,
            ended: None,
            why: "routine".into(),
            margin: None,
        }
    }

    #[test]
    fn equal_verdicts_fold() {
        let (allow, deny) = (Decision::Allow, Decision::Deny);
        let rows = [row("a", allow), row("b", deny), row("b", deny), row("a", allow), row("b", deny)];
        let sizes: Vec<_> = fold(&rows).iter().map(|one| one.times).collect();
        assert_eq!(sizes, [2, 3]);
        let rows = [row("b", deny), row("c", deny), row("b", deny)];
        assert_eq!(fold(&rows).len(), 3, "what was refused keeps its order");
    }
}
