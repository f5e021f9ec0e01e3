//! Lanes above the plots: attack, findings, verdicts, actions on the same time axis. Marks that would touch fold into
//! one with a count, once for wide pages and once for phones.

use std::collections::BTreeSet;

use maud::{Markup, html};
use twinguard_types::{Decision, Severity};

use crate::data::{RunReport, Window};
use crate::plot::View;
use crate::{icon, number, text};

/// Marks closer than this fold, px.
const NEAR: f64 = 22.0;
/// Widths of the lane for which marks are folded, px, and the class that shows the set.
const WIDTHS: [(f64, &str); 2] = [(1000.0, "wide"), (330.0, "slim")];
/// Longest label beside a mark or in a bar, characters.
const LABEL: usize = 60;

/// Neighbours merged: the places of the first and the last, and all members.
struct Fold<T> {
    t: f64,
    end: f64,
    members: Vec<T>,
}

/// Folds marks (in time order) that stand closer than [`NEAR`] px, twice that where a count needs room. Marks that
/// `chain` with the one before them fold however long the run gets.
fn fold<T>(
    marks: impl IntoIterator<Item = (f64, T)>,
    view: &View<'_>,
    width: f64,
    chain: impl Fn(&T, &T) -> bool,
) -> Vec<Fold<T>> {
    let near = NEAR / width * (view.to - view.from);
    let mut folds: Vec<Fold<T>> = Vec::new();
    for (t, mark) in marks {
        let joins = |last: &Fold<T>| {
            let room = if last.members.len() > 1 { 2.6 * near } else { near };
            let chained = t - last.end < 2.6 * near && last.members.iter().all(|member| chain(member, &mark));
            t - last.t < room || chained
        };
        match folds.last_mut() {
            Some(last) if joins(last) => {
                last.members.push(mark);
                last.end = t;
            }
            _ => folds.push(Fold { t, end: t, members: vec![mark] }),
        }
    }
    folds
}

fn left(view: &View<'_>, t: f64) -> String {
    format!("left:{:.2}%", view.percent(t))
}

/// Bars that overlap in time become one, their labels joined.
fn bars(windows: impl IntoIterator<Item = Window>, view: &View<'_>, class: &str) -> Markup {
    let mut windows: Vec<Window> = windows.into_iter().collect();
    windows.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
    let slack = (view.to - view.from) * 0.003;
    let mut merged: Vec<(Window, usize)> = Vec::new();
    for window in windows {
        match merged.last_mut() {
            Some((last, count)) if window.from_s <= last.to_s + slack => {
                last.to_s = last.to_s.max(window.to_s);
                *count += 1;
                if !last.label.contains(&window.label) && last.label.chars().count() < LABEL {
                    last.label = format!("{}, {}", last.label, window.label);
                }
            }
            _ => merged.push((window, 1)),
        }
    }
    html! {
        @for (window, count) in merged.iter().take(400) {
            @let (from, to) = (view.percent(window.from_s), view.percent(window.to_s));
            @let label = text::visible(&window.label, LABEL + 20);
            @let words = format!("{label}: {} to {}", number::duration(window.from_s), number::duration(window.to_s));
            @let room = to - from > label.chars().count() as f64 * 0.85;
            div.bar.(class) title=(words) style=(format!("left:{from:.2}%;width:{:.2}%", to - from)) {
                @if room { b { (label) } } @else if *count > 1 && to - from > 4.0 { b { (count) } }
            }
            @if !room && merged.len() == 1 {
                @let place = if to < 60.0 { format!("left:calc({to:.2}% + 6px)") } else { format!("right:calc({:.2}% + 6px)", 100.0 - from) };
                span.beside.opt style=(place) { (text::visible(&label, LABEL)) }
            }
        }
    }
}

fn lane(name: &str, content: Markup) -> Markup {
    html! { div.lane { span.nm { (name) } (content) } }
}

fn findings(report: &RunReport, view: &View<'_>, shown: &BTreeSet<u64>) -> Markup {
    let mut marks: Vec<(f64, (Severity, u64, &str))> = report
        .findings
        .iter()
        .map(|card| &card.finding)
        .map(|finding| {
            (report.time.seconds(finding.raised_at), (finding.severity, finding.id.0, &*finding.title))
        })
        .filter(|(t, _)| (view.from..=view.to).contains(t))
        .collect();
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    html! {
        @for (width, class) in WIDTHS {
            @let folds = fold(marks.iter().copied(), view, width, |_, _| false);
            @for (index, one) in folds.iter().enumerate().take(400) {
                @let worst = one.members.iter().copied().max_by_key(|member| (member.0, core::cmp::Reverse(member.1)));
                @if let Some((severity, id, title)) = worst {
                    @let x = view.percent(one.t);
                    @let next = folds.get(index + 1).map_or(100.0, |next| view.percent(next.t));
                    @let count = one.members.len();
                    @let words = if count > 1 { format!("{count} findings, worst F-{id}") } else { format!("F-{id} {}", text::visible(title, LABEL)) };
                    @let left_side = x > 60.0 && folds.len() == 1;
                    @let named = left_side || next - x > 3.5 + 0.85 * words.chars().count() as f64;
                    a.mk.lb.(class).rev[left_side] href=(if shown.contains(&id) { format!("#f{id}") } else { "#findings".into() }) title=(words) style=(left(view, one.t)) {
                        (icon::severity(severity))
                        @if named { span { (words) } } @else if count > 1 { i { "×" (count) } } @else if next - x > 7.0 { span { "F-" (id) } }
                    }
                }
            }
        }
    }
}

fn verdicts(report: &RunReport, view: &View<'_>) -> Markup {
    let mut marks: Vec<(f64, (&Decision, String))> = report
        .commands
        .iter()
        .filter(|row| (view.from..=view.to).contains(&row.t_s))
        .map(|row| {
            let what = text::visible(&format!("{} := {}", row.signal, row.value), 60);
            (row.t_s, (&row.decision, format!("{}: {what}", icon::decision_word(&row.decision))))
        })
        .collect();
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    html! {
        @for (width, class) in WIDTHS {
            @for one in fold(marks.iter().cloned(), view, width, |before, mark| before.0 == mark.0).iter().take(400) {
                @let gravest = one.members.iter().max_by_key(|member| icon::decision_rank(member.0));
                @if let Some((decision, words)) = gravest {
                    @let count = one.members.len();
                    @let words = if count > 1 { format!("{count} verdicts, gravest {words}") } else { words.clone() };
                    @if one.end - one.t > 0.05 * (view.to - view.from) && class == "wide" {
                        div.run style=(format!("left:calc({:.2}% + 40px);right:{:.2}%", view.percent(one.t), 100.0 - view.percent(one.end))) {}
                    }
                    span.mk.(class) role="img" aria-label=(words) title=(words) style=(left(view, one.t)) {
                        (icon::decision(decision)) @if count > 1 { i { "×" (count) } }
                    }
                }
            }
        }
    }
}

fn actions(report: &RunReport, view: &View<'_>) -> Markup {
    let (lasting, instant): (Vec<_>, Vec<_>) = report
        .actions
        .iter()
        .filter(|row| (view.from..=view.to).contains(&row.t_s))
        .partition(|row| row.until_s.is_some());
    let windows = lasting.iter().map(|row| {
        let to = row.until_s.unwrap_or(row.t_s).min(view.to);
        Window::new(row.t_s, to, format!("A-{}", row.id))
    });
    let mut marks: Vec<(f64, u64)> = instant.iter().map(|row| (row.t_s, row.id)).collect();
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let single = match lasting.as_slice() {
        [row] => {
            Some(Window::new(row.t_s, row.until_s.unwrap_or(row.t_s).min(view.to), row.what.replace('`', "")))
        }
        _ => None,
    };
    html! {
        (bars(single.into_iter().chain(windows.filter(|_| lasting.len() > 1)), view, "act"))
        @for (width, class) in WIDTHS {
            @for one in fold(marks.iter().copied(), view, width, |_, _| false).iter().take(400) {
                @let words = match one.members.as_slice() { [id] => format!("A-{id}"), many => format!("{} actions", many.len()) };
                span.mk.(class) role="img" aria-label=(words) title=(words) style=(left(view, one.t)) { (icon::action()) }
            }
        }
    }
}

/// The lanes of a run; `anchored` is the number of findings that have a place on the page.
pub(crate) fn lanes(report: &RunReport, view: &View<'_>, anchored: usize) -> Markup {
    let shown: BTreeSet<u64> = report.ranked().iter().take(anchored).map(|card| card.finding.id.0).collect();
    html! {
        div.lanes { div.in {
            @if !report.attacks.is_empty() { (lane("attack", bars(report.attacks.iter().cloned(), view, "atk"))) }
            (lane("findings", html! {
                @if report.findings.is_empty() { span.none { "none" } } @else { (findings(report, view, &shown)) }
            }))
            @if !report.commands.is_empty() { (lane("verdicts", verdicts(report, view))) }
            @if !report.actions.is_empty() { (lane("actions", actions(report, view))) }
        } }
    }
}

/// Alarms per day as one strip, for runs of two days and more.
pub(crate) fn days(report: &RunReport) -> Markup {
    let days = (report.time.span_s / 86_400.0).ceil();
    if !(2.0..=4000.0).contains(&days) {
        return html! {};
    }
    let mut counts = vec![0_u32; days as usize];
    for card in &report.findings {
        let day = (report.time.seconds(card.finding.raised_at) / 86_400.0).floor().max(0.0) as usize;
        if let Some(count) = counts.get_mut(day) {
            *count += 1;
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(4);
    let width = 10_000.0 / days;
    let mut path = String::new();
    for (day, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = f64::from(*count) / f64::from(most) * 9_000.0;
        path.push_str(&format!(
            "M{:.0} 10000v-{height:.0}h{:.0}v{height:.0}z",
            day as f64 * width,
            width * 0.8
        ));
    }
    let busiest = counts.iter().copied().max().unwrap_or(0);
    let quiet = counts.iter().filter(|count| **count == 0).count();
    html! {
        div.days role="img" aria-label=(format!("{quiet} of {days} days without a finding, at most {busiest} on one day")) {
            span.small.dim { "Findings per day: " (quiet) " of " (days) " days without one" @if !report.findings.is_empty() { ", at most " (busiest) " on one day" } "." }
            @if !path.is_empty() { svg viewBox="0 0 10000 10000" preserveAspectRatio="none" aria-hidden="true" { path d=(path) {} } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_marks_fold_by_width() {
        let view =
            View { from: 0.0, to: 1000.0, zero: 0.0, columns: 1, attacks: &[], findings: &[], close: false };
        let marks = || [0.0, 10.0, 21.0, 60.0, 500.0].into_iter().map(|t| (t, ()));
        let sizes = |width| {
            fold(marks(), &view, width, |(), ()| false)
                .iter()
                .map(|one| one.members.len())
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(1000.0), [3, 1, 1]);
        let chained = fold(marks(), &view, 1000.0, |(), ()| true);
        assert_eq!(chained.iter().map(|one| one.end - one.t).collect::<Vec<_>>(), [60.0, 0.0]);
        assert_eq!(sizes(330.0), [4, 1]);
    }

    #[test]
    fn overlapping_bars_become_one() {
        let view =
            View { from: 0.0, to: 100.0, zero: 0.0, columns: 1, attacks: &[], findings: &[], close: false };
        let windows = [Window::new(50.0, 90.0, "A-2"), Window::new(10.0, 60.0, "A-1")];
        let text = bars(windows, &view, "act").into_string();
        assert!(text.contains("left:10.00%;width:80.00%") && text.contains("A-1, A-2"), "{text}");
    }
}
