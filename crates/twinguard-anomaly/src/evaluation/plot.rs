//! Curves as a picture: one SVG file without scripts, styles or fonts from elsewhere, fit for a browser or an HTML page.
//!
//! Source: SVG 2 (W3C, 2018), elements `svg`, `path`, `text`, `title`. Ticks are one, two or five times a power of ten (Heckbert, *Graphics
//! Gems*, 1990, "Nice numbers for graph labels").

use core::fmt::Write;

/// One line of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve<'a> {
    /// What the legend says.
    pub name: &'a str,
    /// Places, in order; what is not finite is left out.
    pub points: &'a [(f64, f64)],
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const BOTTOM: f64 = 48.0;
const TOP: f64 = 36.0;
const RIGHT: f64 = 16.0;
/// Of equal lightness, and told apart by people who see few colours (Okabe, Ito, 2008).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
/// More points than this on one line are thinned out: the eye does not see them.
const MOST_POINTS: usize = 2000;

/// Draws curves over two linear axes.
///
/// ```
/// use twinguard_anomaly::evaluation::{Curve, svg};
/// let picture = svg("ROC", "false alarms", "detected", &[Curve { name: "suite", points: &[(0.0, 0.0), (0.1, 0.9), (1.0, 1.0)] }]);
/// assert!(picture.starts_with("<svg") && picture.contains(">suite</text>"));
/// ```
#[must_use]
pub fn svg(title: &str, across: &str, up: &str, curves: &[Curve<'_>]) -> String {
    let finite =
        || curves.iter().flat_map(|curve| curve.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let x = Axis::over(finite().map(|(x, _)| *x));
    let y = Axis::over(finite().map(|(_, y)| *y));
    let place = |(a, b): (f64, f64)| {
        (LEFT + x.share(a) * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y.share(b) * (HEIGHT - BOTTOM - TOP))
    };
    let mut out = String::new();
    // writing into a string cannot fail
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\">\
         <title>{0}</title><rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/><text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{0}</text>",
        escaped(title)
    );
    for tick in x.ticks() {
        let ((at, bottom), (_, top)) = (place((tick, y.low)), place((tick, y.high)));
        let _ = write!(
            out,
            "<path d=\"M{at:.1} {bottom:.1}V{top:.1}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            number(tick)
        );
    }
    for tick in y.ticks() {
        let ((left, at), (right, _)) = (place((x.low, tick)), place((x.high, tick)));
        let _ = write!(
            out,
            "<path d=\"M{left:.1} {at:.1}H{right:.1}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            at + 4.0,
            number(tick)
        );
    }
    let _ = write!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text><text x=\"14\" y=\"{:.1}\" text-anchor=\"middle\" \
         transform=\"rotate(-90 14 {:.1})\">{}</text>",
        LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
        HEIGHT - 10.0,
        escaped(across),
        HEIGHT / 2.0,
        HEIGHT / 2.0,
        escaped(up)
    );
    for (number, curve) in curves.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let step = curve.points.len().div_ceil(MOST_POINTS).max(1);
        let last = curve.points.len().saturating_sub(1);
        let mut path = String::new();
        let kept = curve.points.iter().enumerate().filter(|(k, _)| k % step == 0 || *k == last);
        for (_, point) in kept.filter(|(_, (x, y))| x.is_finite() && y.is_finite()) {
            let (a, b) = place(*point);
            let _ = write!(path, "{}{a:.1} {b:.1}", if path.is_empty() { 'M' } else { 'L' });
        }
        let at = TOP + 14.0 * (number as f64 + 1.0);
        let _ = write!(
            out,
            "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{at:.1}\" text-anchor=\"end\" fill=\"{colour}\">{}</text>",
            WIDTH - RIGHT - 6.0,
            escaped(curve.name)
        );
    }
    out.push_str("</svg>");
    out
}

struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = values.fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(x), h.max(x)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let bound = |x: f64| x.clamp(-1e300, 1e300);
        let span = (bound(high) - bound(low)).max(1e-12 * (1.0 + bound(high).abs()));
        let power = libm::pow(10.0, libm::floor(libm::log10(span / 5.0)));
        let step =
            [1.0, 2.0, 5.0, 10.0].iter().map(|k| k * power).find(|step| span / step <= 6.0).unwrap_or(span);
        Self { low: libm::floor(low / step) * step, high: libm::ceil((low + span) / step) * step, step }
    }

    fn share(&self, x: f64) -> f64 {
        ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let count = (((self.high - self.low) / self.step).round() as usize).min(12);
        let (low, step) = (self.low, self.step);
        (0..=count).map(move |k| low + k as f64 * step)
    }
}

fn number(x: f64) -> String {
    if x != 0.0 && !(1e-3..1e6).contains(&x.abs()) {
        return format!("{x:.1e}");
    }
    let text = format!("{x:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn escaped(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .map(|c| match c {
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '&' => "&amp;".to_owned(),
            '"' => "&quot;".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_odd_numbers_are_left_out() {
        let points = [(0.0, f64::NAN), (f64::INFINITY, 1.0), (0.0, 1.0), (2.0, 3.0)];
        let picture = svg("a<b>", "x & y", "\"z\"", &[Curve { name: "<script>", points: &points }]);
        assert!(
            !picture.contains("<script>") && !picture.contains("NaN") && !picture.contains("inf"),
            "{picture}"
        );
        assert!(picture.contains("a&lt;b&gt;") && picture.contains("x &amp; y"));
    }

    #[test]
    fn nothing_and_one_point_and_very_many_are_drawn() {
        let many: Vec<(f64, f64)> = (0..100_000).map(|k| (f64::from(k), f64::from(k % 7))).collect();
        for points in [&[][..], &[(5.0, 5.0)], &[(-1e300, 1e300), (1e300, -1e300)], &many] {
            let picture = svg("t", "x", "y", &[Curve { name: "n", points }]);
            assert!(
                picture.ends_with("</svg>") && !picture.contains("NaN") && picture.len() < 60_000,
                "{}",
                picture.len()
            );
        }
    }

    #[test]
    fn ticks_are_round() {
        let axis = Axis::over([0.03, 0.97].into_iter());
        assert_eq!(axis.ticks().map(number).collect::<Vec<_>>(), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
    }
}
