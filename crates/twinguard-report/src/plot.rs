//! One plot: paths in an SVG that is stretched, words in HTML that is not.
//!
//! The SVG is 10 000 units wide and high, drawn with whole relative numbers: a tenth of a thousandth of the plot.

use maud::{Markup, PreEscaped, html};

use crate::axis::{self, ValueAxis};
use crate::data::{Limit, Plot, Side, Speaker, Tag, Trace, Window};
use crate::decimate::{self, Drawn};
use crate::{number, text};

/// Units of the drawing in each direction.
const UNITS: f64 = 10_000.0;
/// Height of an end label, px.
const LABEL: f64 = 15.0;

/// What a plot shares with its group.
pub(crate) struct View<'a> {
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// The instant that counts as zero.
    pub(crate) zero: f64,
    pub(crate) columns: usize,
    pub(crate) attacks: &'a [Window],
    /// Findings: when raised, and their number.
    pub(crate) findings: &'a [(f64, u64)],
    /// Whether marks are named in the plot.
    pub(crate) close: bool,
}

impl View<'_> {
    /// Per cent from the left.
    pub(crate) fn percent(&self, t: f64) -> f64 {
        let share = (t - self.from) / (self.to - self.from) * 100.0;
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 100.0) }
    }

    fn inside(&self, t: f64) -> bool {
        (self.from..=self.to).contains(&t)
    }
}

/// A plot whose traces are decimated and whose range is known.
pub(crate) struct Prepared<'a> {
    pub(crate) plot: &'a Plot,
    pub(crate) drawn: Vec<Drawn>,
    /// Least and greatest value drawn.
    pub(crate) range: Option<(f64, f64)>,
}

/// The class of a speaker's line and text.
pub(crate) const fn class(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::True => "truth",
        Speaker::Reported => "field",
        Speaker::Vendor => "vendor",
        Speaker::Estimate => "model",
        Speaker::WithoutGuard => "other",
        Speaker::Score => "score",
        Speaker::Other => "plain",
    }
}

/// The word for a speaker.
pub(crate) const fn word(speaker: Speaker) -> &'static str {
    match speaker {
        Speaker::True => "true",
        Speaker::Reported => "reported",
        Speaker::Vendor => "vendor twin",
        Speaker::Estimate => "estimate",
        Speaker::WithoutGuard => "without guard",
        Speaker::Score => "surprise",
        Speaker::Other => "other",
    }
}

/// The name of a trace.
pub(crate) fn trace_name(trace: &Trace) -> String {
    trace.name.as_deref().map_or_else(|| word(trace.speaker).into(), |name| text::visible(name, 40))
}

/// Decimates the traces of a plot.
pub(crate) fn prepare<'a>(plot: &'a Plot, view: &View<'_>) -> Prepared<'a> {
    let drawn: Vec<Drawn> = plot
        .traces
        .iter()
        .map(|trace| decimate::draw(trace, view.from, view.to, view.columns, plot.clamp))
        .collect();
    let mut range: Option<(f64, f64)> = None;
    for one in &drawn {
        let wide =
            one.band.iter().flatten().filter(|(t, ..)| view.inside(*t)).map(|(_, low, high)| (*low, *high));
        // A band may widen the axis by half the span of the values at most, so that it cannot flatten them.
        let span = one.range.map_or(0.0, |(low, high)| (high - low).max(low.abs().max(high.abs()) * 0.01));
        let held = |(low, high): (f64, f64)| {
            one.range.map_or((low, high), |(least, most)| (low.max(least - span), high.min(most + span)))
        };
        for (low, high) in one.range.into_iter().chain(wide.map(held)) {
            range = Some(range.map_or((low, high), |(least, most)| (least.min(low), most.max(high))));
        }
    }
    Prepared { plot, drawn, range }
}

impl Prepared<'_> {
    /// The range with the limits that lie within 1.5 spans of the data.
    pub(crate) fn with_limits(&self) -> Option<(f64, f64)> {
        let (low, high) = self.range?;
        let reach = 1.5 * (high - low).max(low.abs().max(high.abs()) * 0.02);
        Some(self.plot.limits.iter().map(|limit| limit.value).filter(|v| v.is_finite()).fold(
            (low, high),
            |(least, most), value| {
                let near = value >= low - reach && value <= high + reach;
                if near { (least.min(value), most.max(value)) } else { (least, most) }
            },
        ))
    }

    /// The axis: of this plot alone, or of a shared range.
    pub(crate) fn axis(&self, shared: Option<(f64, f64)>, height: u32) -> ValueAxis {
        let (low, high) = shared.or_else(|| self.with_limits()).unwrap_or((0.0, 1.0));
        match self.plot.clamp {
            Some(top) => {
                let decimals = self.plot.resolution.map_or(1, number::step_decimals);
                ValueAxis {
                    low: 0.0,
                    high: top * 1.03,
                    ticks: vec![0.0, top / 2.0, top],
                    decimals: decimals.min(1),
                }
                .whole()
            }
            None => ValueAxis::new(low, high, self.plot.from_zero, if height > 120 { 5.0 } else { 3.0 }),
        }
    }

    /// Decimals of the values: from σ, the resolution, or the span.
    pub(crate) fn decimals(&self) -> usize {
        if let Some(step) = self.plot.resolution {
            return number::step_decimals(step);
        }
        let sigma = self.drawn.iter().filter_map(|drawn| drawn.last?.sigma).find(|sigma| *sigma > 0.0);
        let (low, high) = self.range.unwrap_or((0.0, 1.0));
        sigma.map_or_else(
            || number::step_decimals(((high - low) / 200.0).max(low.abs().max(high.abs()) * 1e-5)),
            number::decimals,
        )
    }

    /// Traces in the order in which they are drawn: the guard's absence below, then field, truth, vendor, model.
    fn order(&self) -> Vec<(&Trace, &Drawn)> {
        let mut order: Vec<_> = self.plot.traces.iter().zip(&self.drawn).collect();
        order.sort_by_key(|(trace, _)| match trace.speaker {
            Speaker::WithoutGuard => 0,
            Speaker::Other => 1,
            Speaker::Score => 2,
            Speaker::Reported => 3,
            Speaker::True => 4,
            Speaker::Vendor => 5,
            Speaker::Estimate => 6,
        });
        order
    }

    /// What the plot says, for people who do not see it.
    fn description(&self, decimals: usize) -> String {
        if !self.plot.description.is_empty() {
            return text::visible(&self.plot.description, text::PROSE);
        }
        let title = text::visible(&self.plot.title, text::NAME);
        let said: Vec<String> = (self.plot.traces.iter().zip(&self.drawn))
            .map(|(trace, drawn)| match drawn.range {
                None => format!("{} no data", trace_name(trace)),
                Some((low, high)) => format!(
                    "{} {} to {}",
                    trace_name(trace),
                    number::fixed(low, decimals),
                    number::with_unit(high, decimals, &self.plot.unit)
                ),
            })
            .collect();
        if said.is_empty() { format!("{title}: no data.") } else { format!("{title}: {}.", said.join(", ")) }
    }
}

impl ValueAxis {
    fn whole(mut self) -> Self {
        self.decimals = 0;
        self
    }
}

/// A path of relative whole numbers through runs of points.
fn path(runs: &[Vec<(f64, f64)>], view: &View<'_>, axis: &ValueAxis) -> String {
    let place = |(t, v): (f64, f64)| {
        let x = (t - view.from) / (view.to - view.from) * UNITS;
        let y = axis.place(v) * UNITS;
        (x.clamp(-1e6, 1e6).round() as i64, y.clamp(-1e6, 1e6).round() as i64)
    };
    let mut out = String::new();
    for run in runs {
        let mut last: Option<(i64, i64)> = None;
        for point in run {
            let (x, y) = place(*point);
            match last {
                None => out.push_str(&format!("M{x} {y}l0 0")),
                Some((before_x, before_y)) => {
                    let (dx, dy) = (x - before_x, y - before_y);
                    if (dx, dy) == (0, 0) {
                        continue;
                    }
                    for number in [dx, dy] {
                        if number >= 0 {
                            out.push(' ');
                        }
                        out.push_str(&number.to_string());
                    }
                }
            }
            last = Some((x, y));
        }
    }
    out
}

/// Bands as closed shapes: along the lower edge, back along the upper one.
fn band(runs: &[Vec<(f64, f64, f64)>], view: &View<'_>, axis: &ValueAxis) -> String {
    let mut out = String::new();
    for run in runs {
        let edge: Vec<(f64, f64)> = run
            .iter()
            .map(|(t, low, _)| (*t, *low))
            .chain(run.iter().rev().map(|(t, _, high)| (*t, *high)))
            .collect();
        out.push_str(&path(&[edge], view, axis));
        out.push('z');
    }
    out
}

/// Per cent from the top.
fn top(axis: &ValueAxis, value: f64) -> String {
    format!("{:.2}%", (axis.place(value) * 100.0).clamp(0.0, 100.0))
}

fn limit(limit: &Limit, plot: &Plot, axis: &ValueAxis, decimals: usize, close: bool) -> Markup {
    if !limit.value.is_finite() {
        return html! {};
    }
    let value = number::with_unit(limit.value, decimals, &plot.unit);
    let above = limit.value > axis.high;
    if above || limit.value < axis.low {
        // A close view leaves it to the overview.
        if close {
            return html! {};
        }
        return html! {
            span.tag.offscale.(if above { "up" } else { "down" }) {
                (if above { "↑ " } else { "↓ " }) "limit " (value) ", off scale"
                @if !limit.reason.is_empty() { span.opt { ": " (text::visible(&limit.reason, 60)) } }
            }
        };
    }
    let place = top(axis, limit.value);
    let words = html! {
        "limit " (value) @if !limit.reason.is_empty() { span.opt { ": " (text::visible(&limit.reason, 60)) } }
    };
    match limit.side {
        Side::Level => html! { div.level style={ "top:" (place) } {} },
        Side::Above => {
            html! { div.forbid.tight[axis.place(limit.value) < 0.12] style={ "height:" (place) } { span { (words) } } }
        }
        Side::Below => {
            html! { div.forbid.low.tight[axis.place(limit.value) > 0.88] style={ "top:" (place) } { span { (words) } } }
        }
    }
}

fn end_labels(
    prepared: &Prepared<'_>,
    axis: &ValueAxis,
    height: f64,
    decimals: usize,
    close: bool,
) -> Markup {
    let mut labels: Vec<(f64, &'static str, String, String)> = Vec::new();
    for (trace, drawn) in prepared.order() {
        let Some(last) = drawn.last else { continue };
        let Some(value) = last.value else { continue };
        if trace.speaker == Speaker::Score {
            continue;
        }
        let mut figure = number::fixed(value, decimals);
        if let Some(sigma) = last.sigma.filter(|sigma| *sigma > 0.0) {
            figure.push_str(&format!(
                " ± {}",
                number::fixed(2.0 * sigma, decimals.max(number::decimals(2.0 * sigma)))
            ));
        }
        let name = text::visible(trace.name.as_deref().unwrap_or(word(trace.speaker)), 18);
        labels.push((
            axis.place(value) * height,
            class(trace.speaker),
            name,
            if close { String::new() } else { figure },
        ));
    }
    if let Some(clamp) =
        prepared.plot.clamp.filter(|clamp| prepared.range.is_some_and(|(_, high)| high >= *clamp))
    {
        let reached = format!("{} and above", number::fixed(clamp, 0));
        labels.push((axis.place(clamp) * height, "dim", String::new(), reached));
    }
    for limit in prepared.plot.limits.iter().filter(|limit| limit.side == Side::Level) {
        if (axis.low..=axis.high).contains(&limit.value) {
            labels.push((
                axis.place(limit.value) * height,
                "dim",
                text::visible(&limit.reason, 22),
                String::new(),
            ));
        }
    }
    labels.truncate((height / LABEL) as usize);
    let wished: Vec<f64> = labels.iter().map(|label| label.0.clamp(0.0, height)).collect();
    let places = axis::dodge(&wished, LABEL, height);
    html! {
        @for ((_, class, name, figure), place) in labels.iter().zip(places) {
            span.end.{ "c-" (class) } style=(format!("top:{place:.0}px")) { (name) @if !figure.is_empty() { " " i { (figure) } } }
        }
    }
}

/// Notes at their points, on the side where fewer lines pass.
fn tags(prepared: &Prepared<'_>, view: &View<'_>, axis: &ValueAxis, height: f64) -> Markup {
    let plot = prepared.plot;
    let inside = |tag: &&Tag| view.inside(tag.t_s) && (axis.low..=axis.high).contains(&tag.value);
    let crowd = |tag: &Tag, from: f64, to: f64| {
        // About 0.75 % of the width per character.
        let wide = 0.0075 * tag.text.chars().count().min(28) as f64 * (view.to - view.from);
        let (begin, end) =
            if view.percent(tag.t_s) > 60.0 { (tag.t_s - wide, tag.t_s) } else { (tag.t_s, tag.t_s + wide) };
        let hit = |(t, v): &&(f64, f64)| {
            (begin..=end).contains(t)
                && (from..=to).contains(&((axis.place(*v) - axis.place(tag.value)) * height))
        };
        let limits =
            plot.limits.iter().map(|limit| (axis.place(limit.value) - axis.place(tag.value)) * height);
        prepared.drawn.iter().flat_map(|drawn| drawn.runs.iter().flatten()).filter(hit).count()
            + 100 * limits.filter(|y| (from - 10.0..=to + 4.0).contains(y)).count()
    };
    html! {
        @for tag in plot.tags.iter().filter(inside).take(4) {
            @let x = view.percent(tag.t_s);
            @let side = if x > 60.0 { format!("right:{:.2}%", 100.0 - x) } else { format!("left:{x:.2}%") };
            @let (above, below) = (crowd(tag, -20.0, 0.0), crowd(tag, 0.0, 20.0));
            @let up = if above == below { axis.place(tag.value) > 0.5 } else { above < below };
            @let rise = if up { format!("bottom:{:.2}%", 100.0 - axis.place(tag.value) * 100.0) } else { format!("top:{:.2}%", axis.place(tag.value) * 100.0) };
            span.tag.opt.{ "c-" (tag.speaker.map_or("ink", class)) } style={ (side) ";" (rise) } { (text::visible(&tag.text, 28)) }
        }
    }
}

/// Vertical lines: findings always, named marks in close views.
fn lines(plot: &Plot, view: &View<'_>) -> Markup {
    let named = |t: f64, label: &str, class: &str, end: &str| {
        let x = view.percent(t);
        let side = if x > 75.0 { format!("right:{:.2}%", 100.0 - x) } else { format!("left:{x:.2}%") };
        html! { span.tag.near.opt.(class).(end) style=(side) { (label) } }
    };
    html! {
        @for (t, id) in view.findings.iter().filter(|(t, _)| view.inside(*t)).take(40) {
            div.vl.f style=(format!("left:{:.2}%", view.percent(*t))) {}
            @if view.close { (named(*t, &format!("F-{id}"), "c-crit", "head")) }
        }
        @if view.close {
            @for (t, label) in plot.marks.iter().filter(|(t, _)| view.inside(*t)).take(4) {
                div.vl style=(format!("left:{:.2}%", view.percent(*t))) {}
                (named(*t, &text::visible(label, 28), "c-ink", "foot"))
            }
        }
    }
}

/// Spans without data, the longest twelve; whose, when there are several traces.
fn gaps(prepared: &Prepared<'_>, view: &View<'_>) -> Markup {
    let alone = prepared.drawn.len() == 1;
    let mut gaps: Vec<(f64, f64, String)> = (prepared.plot.traces.iter().zip(&prepared.drawn))
        .flat_map(|(trace, drawn)| {
            let whose = if alone { String::new() } else { format!("{}: ", trace_name(trace)) };
            drawn.gaps.iter().map(move |(from, to)| (*from, *to, whose.clone()))
        })
        .collect();
    // What is thinner than its own edges hides more than it shows.
    gaps.retain(|(from, to, _)| view.percent(*to) - view.percent(*from) > 0.4);
    gaps.sort_by(|a, b| (b.1 - b.0).total_cmp(&(a.1 - a.0)).then(a.0.total_cmp(&b.0)));
    gaps.truncate(12);
    html! {
        @for (from, to, whose) in gaps {
            @let (left, right) = (view.percent(from), view.percent(to));
            @let words = format!("{whose}no data {}", number::duration(to.min(view.to) - from.max(view.from)));
            div.gap title=(words) style=(format!("left:{left:.2}%;width:{:.2}%", right - left)) {
                @if right - left > 10.0 { span.opt { (words) } }
            }
        }
    }
}

/// The figure.
pub(crate) fn figure(
    prepared: &Prepared<'_>,
    view: &View<'_>,
    axis: &ValueAxis,
    height: u32,
    ticks: bool,
) -> Markup {
    let (plot, decimals) = (prepared.plot, prepared.decimals());
    let unit = number::unit(&plot.unit);
    let silent = prepared.range.is_none();
    html! {
        figure.plot style=(format!("--h:{height}px")) role="group" aria-label=(prepared.description(decimals))
            data-t0=(view.from) data-t1=(view.to) data-y0=(axis.low) data-y1=(axis.high) data-d=(decimals) data-u=(unit) {
            figcaption.cap { b { (text::visible(&plot.title, 60)) } " " span.u { (unit) } output {} }
            div.area {
                @for tick in &axis.ticks {
                    div.gy style={ "top:" (top(axis, *tick)) } { span { (axis.label(*tick)) } }
                }
                (gaps(prepared, view))
                @for one in &plot.limits { (limit(one, plot, axis, decimals, view.close)) }
                @for attack in view.attacks.iter().filter(|attack| attack.to_s >= view.from && attack.from_s <= view.to) {
                    @let (left, right) = (view.percent(attack.from_s), view.percent(attack.to_s));
                    div.win.soft[attack.to_s > view.to] style=(format!("left:{left:.2}%;right:{:.2}%", 100.0 - right)) {}
                }
                svg viewBox="0 0 10000 10000" preserveAspectRatio="none" aria-hidden="true" {
                    @for (trace, drawn) in prepared.order() {
                        @if !drawn.band.is_empty() {
                            path.b-model d=(PreEscaped(band(&drawn.band, view, axis))) {}
                        }
                        path.{ "s-" (class(trace.speaker)) } data-k=(trace_name(trace)) data-o=(trace.speaker as u8)
                            data-c=[drawn.by_column.then_some(view.columns)]
                            d=(PreEscaped(path(&drawn.runs, view, axis))) {}
                    }
                }
                (lines(plot, view))
                (tags(prepared, view, axis, f64::from(height)))
                (end_labels(prepared, axis, f64::from(height), decimals, view.close))
                @if silent { p.nodata { "No usable value in this run: every sample was missing, stale or of bad quality." } }
                div.cross {}
            }
            @if ticks {
                div.xax {
                    @for (index, t) in axis::time_ticks(view.from, view.to, view.zero).iter().enumerate() {
                        span.odd[index % 2 == 1].edge[view.percent(*t) > 95.0] style=(format!("left:{:.2}%", view.percent(*t))) {
                            (axis::time_label(t - view.zero, view.zero != 0.0))
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View<'static> =
        View { from: 0.0, to: 10.0, zero: 0.0, columns: 500, attacks: &[], findings: &[], close: false };

    #[test]
    fn paths_are_relative_whole_numbers() {
        let axis = ValueAxis { low: 0.0, high: 1.0, ticks: vec![], decimals: 0 };
        let runs = [vec![(0.0, 0.0), (5.0, 1.0), (10.0, 0.5)], vec![(1.0, 0.0)]];
        assert_eq!(path(&runs, &VIEW, &axis), "M0 10000l0 0 5000-10000 5000 5000M1000 10000l0 0");
        assert_eq!(
            band(&[vec![(0.0, 0.0, 1.0), (10.0, 0.0, 1.0)]], &VIEW, &axis),
            "M0 10000l0 0 10000 0 0-10000-10000 0z"
        );
    }

    #[test]
    fn limits_far_away_become_a_sentence() {
        let plot = Plot::new("T", "degC").trace(Trace::new(Speaker::Reported, [(0.0, 70.0), (10.0, 72.0)]));
        let near = plot.clone().limit(Limit::above(74.0, ""));
        let far = plot.limit(Limit::above(140.0, "melts"));
        let check = |plot: &Plot, expect: &str| {
            let prepared = prepare(plot, &VIEW);
            let axis = prepared.axis(None, 100);
            let text = figure(&prepared, &VIEW, &axis, 100, true).into_string().replace(number::NNBSP, " ");
            assert!(text.contains(expect), "{text}");
        };
        check(&near, "class=\"forbid tight\"");
        check(&far, "↑ limit 140.00 °C, off scale");
    }
}
