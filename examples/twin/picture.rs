//! Pictures of single results, as SVG that stands alone. (Runs of a guard have their own page: `watch --out`.)

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 56.0;
const STYLE: &str = "<style>text{font:12px system-ui,sans-serif;fill:#333}.l{stroke:#333;fill:none}\
    .a{stroke:#1f6feb;fill:none;stroke-width:1.5}.b{fill:#1f6feb;fill-opacity:.15}.c{fill:#1f6feb}.d{fill:#b8c4d6}\
    .r{stroke:#c62828;stroke-dasharray:6 4}@media(prefers-color-scheme:dark){text{fill:#ccc}.l{stroke:#ccc}}</style>";

fn open(title: &str) -> String {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{title}</title>{STYLE}\
         <text x=\"{MARGIN}\" y=\"20\">{title}</text>"
    )
}

/// Bars from 0 to 1, the first `chosen` of them filled.
pub(crate) fn bars(title: &str, values: &[f64], chosen: usize) -> String {
    let mut svg = open(title);
    let shown = values.len().min(40);
    let (floor, span) = (HEIGHT - MARGIN, HEIGHT - 2.0 * MARGIN);
    let step = (WIDTH - 2.0 * MARGIN) / shown.max(1) as f64;
    for (at, value) in values.iter().take(shown).enumerate() {
        let height = value.clamp(0.0, 1.0) * span;
        let (x, class) = (MARGIN + step * at as f64, if at < chosen { "c" } else { "d" });
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            floor - height,
            step * 0.8
        );
    }
    let _ = write!(
        svg,
        "<path class=\"l\" d=\"M{MARGIN} {MARGIN}V{floor}H{}\"/><text x=\"20\" y=\"{}\">1</text><text x=\"20\" y=\"{floor}\">0</text>\
         <text x=\"{MARGIN}\" y=\"{}\">{chosen} states taken</text></svg>",
        WIDTH - MARGIN,
        MARGIN + 4.0,
        floor + 24.0
    );
    svg
}

/// A history with its limit, and the times (probability, time from the last sample) at which the limit is reached.
pub(crate) fn fan(signal: &str, history: &[(f64, f64)], limit: f64, quantiles: &[(f64, f64)]) -> String {
    let mut svg = open(&format!("{signal}: when {limit} is reached"));
    let last = history.last().copied().unwrap_or_default();
    let reach = quantiles.iter().map(|(_, time)| *time).filter(|time| time.is_finite()).fold(0.0, f64::max);
    let end = last.0 + reach.max(last.0 * 0.2).max(f64::MIN_POSITIVE);
    let values = history.iter().map(|(_, value)| *value).chain([limit]);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let span = (high - low).max(f64::MIN_POSITIVE);
    let x = |time: f64| MARGIN + (WIDTH - 2.0 * MARGIN) * (time / end).min(1.0);
    let y = |value: f64| HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * (value - low) / span;
    // At most one point a pixel: a picture does not grow with the history.
    let every = history.len().div_ceil(WIDTH as usize).max(1);
    let mut path = String::new();
    for (at, (time, value)) in history.iter().step_by(every).enumerate() {
        let _ = write!(path, "{}{:.1} {:.1}", if at == 0 { "M" } else { "L" }, x(*time), y(*value));
    }
    let (x0, y0, y1) = (x(last.0), y(last.1), y(limit));
    for ((_, early), (_, late)) in quantiles.iter().zip(quantiles.iter().rev()).take(quantiles.len() / 2) {
        let late = if late.is_finite() { last.0 + late } else { end };
        if early.is_finite() {
            let (a, b) = (x(last.0 + early), x(late));
            let _ = write!(svg, "<path class=\"b\" d=\"M{x0:.1} {y0:.1}L{a:.1} {y1:.1}H{b:.1}Z\"/>");
        }
    }
    let (floor, right) = (HEIGHT - MARGIN, WIDTH - MARGIN);
    let _ = write!(
        svg,
        "<path class=\"l\" d=\"M{MARGIN} {MARGIN}V{floor}H{right}\"/><path class=\"a\" d=\"{path}\"/>\
         <path class=\"r\" d=\"M{MARGIN} {y1:.1}H{right}\"/><text x=\"4\" y=\"{:.1}\">{low:.4}</text>\
         <text x=\"4\" y=\"{:.1}\">{high:.4}</text></svg>",
        floor, MARGIN
    );
    svg
}
