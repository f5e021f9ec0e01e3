//! Pictures of single results, as SVG that stands alone: panels one below the other, each with its own axes. (Runs of a guard have their own
//! page: `watch --out`.)

#![allow(clippy::disallowed_methods, reason = "a program writes its files")]

use std::iter::once;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const WIDTH: u32 = 720;
const PANEL: u32 = 180;
/// More panels than these are left out, and the picture says so.
const MOST_PANELS: usize = 12;
/// At most about one point a pixel: a picture does not grow with the history.
const MOST_POINTS: usize = WIDTH as usize;
const BLUE: RGBColor = RGBColor(0, 114, 178);
const RED: RGBColor = RGBColor(198, 40, 40);
/// Room on the left for numbers, and for the names of rows.
const NUMBERS: u32 = 64;
const NAMES: u32 = 150;

/// What is drawn into a panel; what is not finite is left out.
#[derive(Clone, Debug)]
pub enum Mark {
    /// A series.
    Line(Vec<[f64; 2]>),
    /// From low to high: x, low, high.
    Band(Vec<[f64; 3]>),
    /// A limit, dashed across the panel.
    Level(f64),
    /// Single values.
    Dots(Vec<[f64; 2]>),
    /// Single values that are to be looked at.
    Struck(Vec<[f64; 2]>),
    /// Bars of width one from 0 to their values, the first so many of them filled.
    Bars(Vec<f64>, usize),
    /// One below the other: what it is, its value, and the interval around it.
    Rows(Vec<(String, [f64; 3])>),
}

/// One pair of axes.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What is shown, with its unit.
    pub name: String,
    /// What lies along the horizontal axis, with its unit.
    pub across: String,
    /// From the back to the front.
    pub marks: Vec<Mark>,
}

impl Panel {
    /// Marks are drawn in their order.
    pub fn new(name: impl Into<String>, across: impl Into<String>, marks: Vec<Mark>) -> Self {
        Self { name: name.into(), across: across.into(), marks }
    }
}

/// Writes the picture of these panels to a file.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: &Path, title: &str, panels: &[Panel]) -> Result<()> {
    let svg = draw(title, panels)?;
    std::fs::write(file, svg).with_context(|| file.display().to_string())
}

/// Draws panels below a title.
///
/// # Errors
/// When a panel cannot be drawn: never for numbers, whatever they are.
pub fn draw(title: &str, panels: &[Panel]) -> Result<String> {
    let shown = panels.get(..MOST_PANELS).unwrap_or(panels);
    let title = match panels.len() - shown.len() {
        0 => title.to_owned(),
        more => format!("{title}; {more} more are not shown"),
    };
    let mut svg = String::new();
    let height = 40 + PANEL * shown.len().max(1) as u32;
    let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    root.fill(&WHITE)?;
    let below = root.titled(&title, ("sans-serif", 16))?;
    for (area, panel) in below.split_evenly((shown.len().max(1), 1)).iter().zip(shown) {
        draw_panel(area, panel).with_context(|| panel.name.clone())?;
    }
    root.present()?;
    drop((below, root));
    Ok(svg)
}

fn draw_panel(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel) -> Result<()> {
    let reach: Vec<_> = panel.marks.iter().map(Mark::reach).collect();
    let [across, up] = [0, 1].map(|axis| span(reach.iter().flat_map(|reach| &reach[axis])));
    let named = panel.marks.iter().any(|mark| matches!(mark, Mark::Rows(_)));
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.name, ("sans-serif", 13))
        .margin_right(16)
        .x_label_area_size(34)
        .y_label_area_size(if named { NAMES } else { NUMBERS })
        .build_cartesian_2d(across.clone(), up)?;
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT).x_desc(&panel.across).y_labels(if named { 0 } else { 4 });
    mesh.draw()?;
    for mark in &panel.marks {
        match mark {
            Mark::Line(points) => {
                chart.draw_series(LineSeries::new(thinned(points).map(place), &BLUE))?;
            }
            Mark::Band(points) => {
                let points: Vec<_> = thinned(points).collect();
                let (low, high) =
                    (points.iter().map(|p| (p[0], p[1])), points.iter().rev().map(|p| (p[0], p[2])));
                chart.draw_series(once(Polygon::new(low.chain(high).collect::<Vec<_>>(), BLUE.mix(0.18))))?;
            }
            Mark::Level(value) => {
                let ends = [[across.start, *value], [across.end, *value]];
                let ends: Vec<_> = thinned(&ends).map(place).collect();
                chart.draw_series(DashedLineSeries::new(ends, 6, 4, RED.stroke_width(1)))?;
            }
            Mark::Dots(points) => {
                chart
                    .draw_series(thinned(points).map(|point| Circle::new(place(point), 2, BLUE.filled())))?;
            }
            Mark::Struck(points) => {
                chart.draw_series(thinned(points).map(|point| Circle::new(place(point), 4, RED.filled())))?;
            }
            Mark::Bars(values, filled) => {
                let bars: Vec<_> = values.iter().enumerate().map(|(at, value)| [at as f64, *value]).collect();
                chart.draw_series(thinned(&bars).map(|[at, value]| {
                    let style = if at < *filled as f64 { BLUE.filled() } else { BLUE.mix(0.3).filled() };
                    Rectangle::new([(at + 0.1, 0.0), (at + 0.9, value)], style)
                }))?;
            }
            Mark::Rows(rows) => {
                let right = Pos::new(HPos::Right, VPos::Center);
                let font = ("sans-serif", 11).into_text_style(area).pos(right);
                let (_, top) = area.get_base_pixel();
                for (k, (name, row)) in rows.iter().enumerate() {
                    let y = -(k as f64);
                    let (_, down) = chart.backend_coord(&(across.start, y));
                    area.draw_text(name, &font, (NAMES as i32 - 8, down - top))?;
                    let [value, low, high] = row.map(|x| if x.is_finite() { held(x) } else { across.start });
                    chart.draw_series(once(PathElement::new([(low, y), (high, y)], BLUE.stroke_width(2))))?;
                    chart.draw_series(once(Circle::new((value, y), 3, BLUE.filled())))?;
                }
            }
        }
    }
    Ok(())
}

impl Mark {
    /// What has to lie within the axes: x, then y.
    fn reach(&self) -> [Vec<f64>; 2] {
        match self {
            Self::Line(points) | Self::Dots(points) | Self::Struck(points) => {
                [0, 1].map(|axis| points.iter().map(|p| p[axis]).collect())
            }
            Self::Band(points) => {
                [points.iter().map(|p| p[0]).collect(), points.iter().flat_map(|p| [p[1], p[2]]).collect()]
            }
            Self::Level(value) => [vec![], vec![*value]],
            Self::Bars(values, _) => {
                [vec![0.0, values.len() as f64], values.iter().copied().chain([0.0]).collect()]
            }
            Self::Rows(rows) => {
                [rows.iter().flat_map(|(_, row)| *row).collect(), vec![0.5, 0.5 - rows.len() as f64]]
            }
        }
    }
}

/// What the finite ones of these cover, with some air; a series that stays where it is lies in the middle.
fn span<'a>(values: impl Iterator<Item = &'a f64>) -> Range<f64> {
    let values = values.filter(|value| value.is_finite()).map(|value| held(*value));
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
    if low > high {
        return 0.0..1.0;
    }
    let air = (0.04 * (high - low)).max(1e-6 * low.abs().max(high.abs())).max(1e-12);
    low - air..high + air
}

/// Points of which every coordinate is a number, thinned out; the last one stays.
fn thinned<const N: usize>(points: &[[f64; N]]) -> impl Iterator<Item = [f64; N]> + '_ {
    let (every, last) = (points.len().div_ceil(MOST_POINTS).max(1), points.len().saturating_sub(1));
    let kept = points.iter().enumerate().filter(move |(at, _)| at.is_multiple_of(every) || *at == last);
    kept.map(|(_, point)| *point)
        .filter(|point| point.iter().all(|x| x.is_finite()))
        .map(|point| point.map(held))
}

/// Differences of such numbers are numbers.
fn held(x: f64) -> f64 {
    x.clamp(-1e150, 1e150)
}

fn place([x, y]: [f64; 2]) -> (f64, f64) {
    (x, y)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(marks: Vec<Mark>) -> String {
        let panel = Panel::new("level <m>", "hours", marks);
        let svg = draw("a & b", &[panel]).unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(svg.contains("a &amp; b") && svg.contains("level &lt;m&gt;"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        svg
    }

    #[test]
    fn every_mark_is_drawn() {
        let points = vec![[0.0, 1.0], [1.0, 3.0], [2.0, 2.0]];
        assert_eq!(
            check(vec![Mark::Line(points.clone())])
                .matches("<polyline fill=\"none\" opacity=\"1\" stroke=\"#0072B2\"")
                .count(),
            1
        );
        assert!(check(vec![Mark::Band(vec![[0.0, 1.0, 2.0], [1.0, 0.0, 4.0]])]).contains("<polygon"));
        assert_eq!(
            check(vec![Mark::Dots(points.clone()), Mark::Struck(points)]).matches("<circle").count(),
            6
        );
        assert_eq!(check(vec![Mark::Bars(vec![1.0, 0.5, 0.1], 2)]).matches("fill=\"#0072B2\"").count(), 3);
        let rows = vec![("a".to_owned(), [2.0, 1.0, 3.0]), ("b & c".to_owned(), [4.0, 4.0, 4.0])];
        let svg = check(vec![Mark::Rows(rows)]);
        assert!(svg.matches("<circle").count() == 2 && svg.contains("b &amp; c"), "{svg}");
        assert!(check(vec![Mark::Level(2.0), Mark::Line(vec![[0.0, 1.0], [1.0, 3.0]])]).contains("#C62828"));
    }

    #[test]
    fn odd_numbers_and_very_many_are_drawn() {
        let many: Vec<_> = (0..100_000).map(|k| [f64::from(k), f64::from(k % 7)]).collect();
        assert!(check(vec![Mark::Line(many)]).len() < 40_000);
        let odd = [f64::NAN, f64::INFINITY, -1e300, 1e300, 5.0, 5.0, 0.0, 5e-324];
        for y in odd {
            check(vec![Mark::Line(odd.map(|x| [x, y]).to_vec()), Mark::Dots(vec![[y, y]]), Mark::Level(y)]);
            check(vec![Mark::Band(odd.map(|x| [x, y, -y]).to_vec()), Mark::Bars(odd.to_vec(), 1)]);
            check(vec![Mark::Rows(odd.map(|x| (String::new(), [x, y, -y])).to_vec())]);
        }
        check(vec![]);
        check(vec![Mark::Line(vec![]), Mark::Bars(vec![], 0)]);
        assert!(draw("t", &vec![Panel::new("", "", vec![]); 14]).unwrap().contains("2 more are not shown"));
        assert!(draw("t", &[]).unwrap().contains("</svg>"));
    }
}
