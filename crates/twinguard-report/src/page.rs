//! The run report, from the answer to the proof.

use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::axis;
use crate::budget::Budget;
use crate::data::{Focus, Plot, RunReport, Side, Speaker, Verification};
use crate::plot::{self, Prepared, View};
use crate::{decimate, headline, icon, lanes, number, sections, text, tokens};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Small plots under the main one.
const SMALL: usize = 6;
/// Size that a page should have, bytes.
const GOAL: usize = 300 * 1024;
/// Size that no page may pass, bytes.
const HARD: usize = 1024 * 1024;

/// The page as one self-contained HTML text: the same report gives the same bytes, always.
///
/// Nothing outside the text is read or referred to. Foreign strings are escaped, cut and made visible.
///
/// ```
/// use twinguard_report::{RunReport, TimeAxis, render};
/// use twinguard_types::Timestamp;
///
/// let report = RunReport::new("cooling_loop", TimeAxis::dated(Timestamp::from_secs(1_772_443_200), 597_600.0));
/// let page = render(&report);
/// assert!(page.starts_with("<!DOCTYPE html>") && page.contains("2026-03-02 09:20:00 UTC"));
/// assert_eq!(page, render(&report));
/// ```
#[must_use]
pub fn render(report: &RunReport) -> String {
    let page = page(report, Budget::FULL).into_string();
    if page.len() <= GOAL {
        return page;
    }
    let page = self::page(report, Budget::HALVED).into_string();
    if page.len() <= HARD { page } else { self::page(report, Budget::LEAST).into_string() }
}

fn page(report: &RunReport, budget: Budget) -> Markup {
    let failed = matches!(report.evidence.verification, Verification::Failed { .. });
    let frame = Frame {
        title: format!("Run report, {}", text::visible(&report.meta.plant, 60)),
        name: "Run report",
        skip: ("happened", "Skip to what happened"),
        sections: &[
            ("happened", "What happened", true),
            ("who", "Who lies", !report.sources.is_empty()),
            ("findings", "Findings", true),
            ("commands", "Commands", true),
            ("actions", "Actions", true),
            ("evidence", "Evidence", true),
        ],
        style: "",
    };
    let body = html! {
        @if failed { (sections::evidence(report)) }
        (hero(report))
        (meta(report))
        (happened(report, budget))
        (sections::who_lies(report))
        (sections::findings(report, budget))
        (sections::commands(report, budget))
        (sections::actions(report, budget))
        @if !failed { (sections::evidence(report)) }
    };
    frame.around(&body, &footer(report))
}

/// What all pages have in common: head, policy, style, top line, script.
pub(crate) struct Frame<'a> {
    pub(crate) title: String,
    /// What kind of page it is.
    pub(crate) name: &'a str,
    /// Where the skip link leads, and its words.
    pub(crate) skip: (&'a str, &'a str),
    /// Anchor, name, and whether the page has it.
    pub(crate) sections: &'a [(&'a str, &'a str, bool)],
    /// Style of this kind of page alone.
    pub(crate) style: &'a str,
}

impl Frame<'_> {
    pub(crate) fn around(&self, body: &Markup, footer: &Markup) -> Markup {
        let hash = BASE64.encode(&Sha256::digest(SCRIPT.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"
        );
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(policy);
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    title { (self.title) }
                    style { (PreEscaped(tokens::custom_properties())) (PreEscaped(STYLE)) (PreEscaped(self.style)) }
                }
                body {
                    a.skip href={ "#" (self.skip.0) } { (self.skip.1) }
                    div.wrap {
                        header.top {
                            span.brand { "twinguard" } span { (self.name) } span.sp {}
                            nav.toc aria-label="Sections" {
                                @for (id, name, _) in self.sections.iter().filter(|section| section.2) {
                                    a href={ "#" (id) } { (name) }
                                }
                            }
                            button.theme type="button" { "light / dark" }
                        }
                        main { (body) }
                        (footer)
                    }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
    }
}

fn hero(report: &RunReport) -> Markup {
    let figures: Vec<_> = report.key_figures.iter().take(4).collect();
    let broken = headline::limit_passed(report);
    html! {
        section.card.hero {
            div {
                span.state {
                    @if let Some((severity, _)) = report.worst() { (icon::severity(severity)) }
                    @else if broken { (icon::severity(twinguard_types::Severity::Critical)) }
                    (headline::state(report))
                }
                h1 { (headline::headline(report)) }
                @if !report.lead.is_empty() { p { (text::prose(&report.lead)) } }
            }
            @if !figures.is_empty() {
                dl.facts {
                    @for figure in figures {
                        div {
                            dt { (text::visible(&figure.label, 40)) }
                            dd.c-crit[figure.beyond_limit] {
                                (text::visible(&figure.value, 24))
                                @if !figure.unit.is_empty() { (number::NNBSP) span { (text::visible(&figure.unit, 12)) } }
                            }
                            @if !figure.note.is_empty() { dd.n { (text::visible(&figure.note, 80)) } }
                        }
                    }
                }
            }
        }
    }
}

fn meta(report: &RunReport) -> Markup {
    let meta = &report.meta;
    let start =
        if report.time.utc { format!(" from {}", number::clock(report.time.start)) } else { String::new() };
    html! {
        p.small.dimmer {
            "Plant " (text::name(&meta.plant))
            @if !meta.source.is_empty() {
                " · " @if meta.simulated { (text::visible(&meta.source, text::NAME)) } @else { (text::name(&meta.source)) }
            }
            @if let Some(seed) = meta.seed { " · seed " (seed) }
            " · " (number::duration(report.time.span_s)) (start)
            @for (count, what) in meta.inputs.iter().take(4) { " · " (number::count(*count)) " " (text::visible(what, 60)) }
            @match &meta.seal {
                Some((digest, version)) => { " · model seal " code { "b3:" (digest.short()) } " version " (version) },
                None => { " · model not sealed" }
            }
            @if let Some(policy) = &meta.policy { " · policy " code { "b3:" (policy.short()) } }
            "."
        }
    }
}

/// The plots with a common x axis; small ones of one unit share their scale.
fn happened(report: &RunReport, budget: Budget) -> Markup {
    let findings: Vec<(f64, u64)> = report
        .ranked()
        .iter()
        .map(|card| (report.time.seconds(card.finding.raised_at), card.finding.id.0))
        .collect();
    let to =
        if report.time.span_s.is_finite() && report.time.span_s > 0.0 { report.time.span_s } else { 1.0 };
    let view = View {
        from: 0.0,
        to,
        zero: 0.0,
        columns: budget.columns,
        attacks: &report.attacks,
        findings: &findings,
        close: false,
    };
    let shown: Vec<Prepared<'_>> =
        report.plots.iter().take(1 + SMALL).map(|plot| plot::prepare(plot, &view)).collect();
    let hidden = report.plots.len().saturating_sub(shown.len());
    let events = events(report);
    let last = shown.len().saturating_sub(1);
    html! {
        h2 #happened { "What happened" }
        p.lead {
            @if report.happened.is_empty() { (quiet(report)) } @else { (text::prose(&report.happened)) }
            " Time counts from the start of the run."
        }
        section.card aria-labelledby="happened" {
            @if shown.is_empty() {
                p.dim { "No signals were recorded in this run." }
            } @else {
                (legend(report))
                div.tl tabindex="0" role="group" data-events=(events)
                    aria-label="Plots of the run. Left and right arrows move the cursor, with Shift ten steps; n and p jump to the next and previous event; Escape clears it." {
                    (lanes::lanes(report, &view, budget.cards + budget.rows))
                    @for (index, prepared) in shown.iter().enumerate() {
                        @let tall = height(index, prepared.plot, shown.len());
                        @let axis = prepared.axis(if index == 0 { None } else { shared(&shown, prepared.plot) }, tall);
                        (plot::figure(prepared, &view, &axis, tall, index == last))
                    }
                }
                @if hidden > 0 {
                    p.small.dim { (text::capital(&number::counted(hidden, "more signal"))) " with less to tell not drawn." }
                }
                @if budget.columns < Budget::FULL.columns {
                    p.small.dim { "Drawn in " (budget.columns) " columns to keep this page small; no peak is left out." }
                }
                (lanes::days(report))
                (as_table(&shown, &view))
            }
        }
        @for focus in report.focus.iter().take(budget.focus) { (focus_pair(report, focus, &findings, budget)) }
        @if report.focus.len() > budget.focus {
            p.small.dim { (text::capital(&number::counted(report.focus.len() - budget.focus, "more close view"))) " left out to keep this page small." }
        }
    }
}

fn height(index: usize, plot: &Plot, plots: usize) -> u32 {
    match index {
        0 => 250,
        _ if plot.clamp.is_some() => 88,
        _ if plots > 4 => 80,
        _ => 96,
    }
}

/// The common range of the small plots of one unit; none when this unit stands alone.
fn shared(shown: &[Prepared<'_>], of: &Plot) -> Option<(f64, f64)> {
    let same: Vec<_> = shown.iter().skip(1).filter(|other| other.plot.unit == of.unit).collect();
    if same.len() < 2 || of.unit.is_empty() {
        return None;
    }
    same.iter()
        .filter_map(|other| other.with_limits())
        .reduce(|(least, most), (low, high)| (least.min(low), most.max(high)))
}

fn quiet(report: &RunReport) -> String {
    match report.ranked().len() {
        0 => format!("{} without a finding.", number::duration(report.time.span_s)),
        n => format!(
            "{} in {}.",
            text::capital(&number::counted(n, "finding")),
            number::duration(report.time.span_s)
        ),
    }
}

/// Instants to jump to, seconds, in order.
fn events(report: &RunReport) -> String {
    let mut events: Vec<f64> = (report.attacks.iter().flat_map(|attack| [attack.from_s, attack.to_s]))
        .chain(report.findings.iter().map(|card| report.time.seconds(card.finding.raised_at)))
        .chain(report.commands.iter().map(|row| row.t_s))
        .chain(report.actions.iter().flat_map(|row| [Some(row.t_s), row.until_s]).flatten())
        .filter(|t| t.is_finite() && (0.0..=report.time.span_s).contains(t))
        .collect();
    events.sort_by(f64::total_cmp);
    events.dedup();
    events.truncate(300);
    events.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}

fn legend(report: &RunReport) -> Markup {
    let entries = [
        (Speaker::True, "true (simulation only; the guard never sees it)"),
        (Speaker::Reported, "reported by the field"),
        (Speaker::Vendor, "shown by the vendor’s twin"),
        (Speaker::Estimate, "estimated by the sealed model, ± 2 σ"),
        (Speaker::WithoutGuard, "without guard"),
        (Speaker::Other, "other"),
    ];
    let known = |t: &&crate::data::Trace| {
        t.speaker == Speaker::Estimate && t.samples.iter().any(|s| s.sigma.is_some())
    };
    let uncertain = report.plots.iter().flat_map(|plot| &plot.traces).any(|trace| known(&trace));
    let mut named: Vec<String> = (report.plots.iter().flat_map(|plot| &plot.traces))
        .filter(|trace| trace.speaker == Speaker::Other && trace.name.is_some())
        .map(plot::trace_name)
        .collect();
    named.sort();
    named.dedup();
    named.truncate(4);
    let missing = if !headline::speaks(report, Speaker::Vendor) && headline::speaks(report, Speaker::Reported)
    {
        Some("No vendor twin was given.")
    } else {
        None
    };
    html! {
        ul.legend {
            @for (speaker, words) in entries.iter().filter(|(speaker, _)| headline::speaks(report, *speaker)) {
                @let banded = *speaker == Speaker::Estimate && uncertain;
                li {
                    svg.sw viewBox="0 0 28 10" aria-hidden="true" {
                        @if banded { rect.f-band width="28" height="10" {} }
                        path.{ "s-" (plot::class(*speaker)) } d="M1 5H28" {}
                    }
                    @if *speaker == Speaker::Estimate && !uncertain { "estimated by the model, uncertainty unknown" }
                    @else if *speaker == Speaker::Other && !named.is_empty() { (named.join(", ")) }
                    @else { (words) }
                }
            }
            @if !report.attacks.is_empty() { li { span.hx {} "attack" } }
            @if !report.meta.simulated && !headline::speaks(report, Speaker::True) {
                li { "True values unknown: this is a real plant." }
            }
            @if let Some(missing) = missing { li { (missing) } }
        }
    }
}

/// Values at the ticks, for people and programs that do not see the plots.
fn as_table(shown: &[Prepared<'_>], view: &View<'_>) -> Markup {
    let ticks = axis::time_ticks(view.from, view.to, view.zero);
    let reach = (view.to - view.from) / 40.0;
    let columns: Vec<_> = shown
        .iter()
        .flat_map(|prepared| prepared.plot.traces.iter().map(move |trace| (prepared, trace)))
        .take(24)
        .collect();
    html! {
        details {
            summary { "The same as a table" }
            div.scroll tabindex="0" role="region" aria-label="Values at the ticks" {
                table.values {
                    thead { tr {
                        th scope="col" { "Time" }
                        @for (prepared, trace) in &columns {
                            th.r scope="col" { (text::broken(&prepared.plot.title, 40)) br; (plot::trace_name(trace)) " " (number::unit(&prepared.plot.unit)) }
                        }
                    } }
                    tbody {
                        @for t in ticks {
                            tr {
                                th.nw scope="row" { (axis::time_label(t, false)) }
                                @for (prepared, trace) in &columns {
                                    td.r { (decimate::nearest(trace, t, reach).map_or_else(|| number::ABSENT.into(), |value| number::fixed(value, prepared.decimals()))) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A window of time, larger, counted from its own zero.
fn focus_pair(report: &RunReport, focus: &Focus, findings: &[(f64, u64)], budget: Budget) -> Markup {
    let view = View {
        from: focus.from_s,
        to: focus.to_s,
        zero: focus.zero_s,
        columns: budget.columns / 2,
        attacks: &report.attacks,
        findings,
        close: true,
    };
    // A close view is of the window alone: limits far from it and notes of the overview stay out.
    let plots: Vec<Plot> = focus
        .plots
        .iter()
        .filter_map(|index| report.plots.get(*index))
        .take(4)
        .map(|plot| {
            let traces =
                plot.traces.iter().filter(|trace| trace.speaker != Speaker::WithoutGuard).cloned().collect();
            Plot { tags: Vec::new(), description: String::new(), traces, ..plot.clone() }
        })
        .collect();
    if plots.is_empty() || !(view.to > view.from && view.to - view.from < f64::INFINITY) {
        return html! {};
    }
    html! {
        section.card {
            h3 { (text::visible(&focus.title, 80)) }
            @if !focus.lead.is_empty() { p.small.dim.below { (text::prose(&focus.lead)) } }
            div.tl.duo[plots.len() > 1] tabindex="0" role="group" data-zero=(view.zero) data-events=(events(report))
                aria-label={ (text::visible(&focus.title, 80)) ". Left and right arrows move the cursor; n and p jump to events; Escape clears it." } {
                @for plot in &plots {
                    @let prepared = plot::prepare(plot, &view);
                    @let axis = close_axis(&prepared);
                    (plot::figure(&prepared, &view, &axis, 150, true))
                }
            }
        }
    }
}

/// In a close view a limit counts only when the data comes near it.
fn close_axis(prepared: &Prepared<'_>) -> axis::ValueAxis {
    let near = prepared.range.is_some_and(|(low, high)| {
        let reach = 0.5 * (high - low);
        let holds = |value: f64| value >= low - reach && value <= high + reach;
        prepared.plot.limits.iter().any(|limit| limit.side != Side::Level && holds(limit.value))
    });
    prepared.axis(if near { None } else { prepared.range }, 121)
}

fn footer(report: &RunReport) -> Markup {
    let detection = &report.detection;
    let span = number::duration(report.time.span_s);
    let days = report.time.span_s / 86_400.0;
    let alarms = report.ranked().len();
    html! {
        footer {
            p {
                @if headline::speaks(report, Speaker::True) {
                    "The true values are known only because this run is a simulation; on a real plant that line is absent. "
                }
                @if headline::speaks(report, Speaker::WithoutGuard) {
                    "“Without guard” is the same plant and seed with the guard off. "
                }
                @for sentence in &report.unknowns { (text::prose(&text::stopped(sentence))) " " }
                "Alarm load in this run: " (alarms) " in " (span)
                @if let Some(asked) = detection.asked_per_day {
                    "; false alarms asked for: " (number::fixed(asked, number::decimals(asked))) " a day, measured: "
                    @match detection.false_alarms {
                        Some(n) => { (n) " in " (span) @if days >= 1.0 { ", " (number::fixed(f64::from(n) / days, 2)) " a day" } },
                        None => { "unknown without the truth" @if days >= 1.0 { ", at most " (number::fixed(alarms as f64 / days, 2)) " a day" } }
                    }
                }
                ". About one alarm in 10 min is manageable for one operator (EEMUA 191, as quoted). "
                @if let Some(coverage) = detection.coverage { (number::percent(coverage)) " of the expected field samples arrived. " }
                "Times in UTC; intervals in brackets are 90 %; ± is 2 σ unless it says 1 σ."
            }
            p {
                @if !report.files.is_empty() {
                    "Machine-readable: "
                    @for (index, file) in report.files.iter().enumerate().take(12) { @if index > 0 { ", " } (text::name(file)) }
                    ". "
                }
                "Keys: ← → move the cursor, n and p jump to the next and previous event, Esc clears it."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_are_small() {
        assert!(SCRIPT.len() <= 4096, "{}", SCRIPT.len());
        let style = tokens::custom_properties().len() + STYLE.len();
        assert!(style + SCRIPT.len() <= 24 * 1024, "{style}");
        for forbidden in ["innerHTML", "eval(", "http", "</"] {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
    }
}
