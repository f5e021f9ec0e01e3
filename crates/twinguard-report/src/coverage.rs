//! What the meters of a plant cover: which lies must show, from which size on, and what settles what they leave open.
//!
//! Source: the page plan of the scoreboard, whose figures and tables it shares.

use maud::{Markup, html};

use crate::data::KeyFigure;
use crate::page::Frame;
use crate::table::{column, table};
use crate::text;

/// One way in which a plant can be lied to, or made to do what it should not. Sizes are words with their unit.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CoverageRow {
    /// A sensor, an actuator, a disturbance or a fault.
    pub what: String,
    /// Which one.
    pub name: String,
    /// Least size that shows when it comes at once.
    pub shows_from: String,
    /// What can be reached in an hour without showing.
    pub hidden: String,
    /// Whether nothing of it ever shows.
    pub invisible: bool,
    /// What it cannot be told from.
    pub like: Vec<String>,
    /// The second reading that settles it; empty when none does.
    pub check: String,
}

/// What the meters of a plant cover: plain data, drawn by [`render_coverage`].
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Coverage {
    /// The plant.
    pub plant: String,
    /// The answer first.
    pub headline: String,
    /// The figures below it.
    pub key_figures: Vec<KeyFigure>,
    /// All causes, the worst first.
    pub rows: Vec<CoverageRow>,
    /// Digest of the plant file.
    pub digest: String,
    /// The signature line over the same figures; empty when nobody signed.
    pub signature: String,
    /// What this does not say, in sentences.
    pub unknowns: Vec<String>,
}

/// Rows that a page still carries.
const ROWS: usize = 1_000;

/// The page as one self-contained HTML text: the same coverage gives the same bytes.
///
/// ```
/// use twinguard_report::{Coverage, render_coverage};
///
/// let coverage = Coverage { headline: "Every lie shows.".into(), ..Coverage::default() };
/// let page = render_coverage(&coverage);
/// assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Every lie shows."));
/// ```
#[must_use]
pub fn render_coverage(coverage: &Coverage) -> String {
    let frame = Frame {
        title: format!("Coverage certificate, {}", text::visible(&coverage.plant, 60)),
        name: "Coverage certificate",
        skip: ("causes", "Skip to the causes"),
        sections: &[("causes", "Causes", true), ("signature", "Signature", true)],
        style: "",
    };
    let body = html! {
        section.card {
            h1 { (text::prose(&coverage.headline)) }
            p.small.dimmer { (text::visible(&coverage.plant, 60)) }
            (figures(coverage))
        }
        (causes(coverage))
        (signature(coverage))
    };
    let footer = html! {
        footer {
            p { @for sentence in &coverage.unknowns { (text::prose(&text::stopped(sentence))) " " } }
        }
    };
    frame.around(&body, &footer).into_string()
}

fn figures(coverage: &Coverage) -> Markup {
    html! {
        dl.facts {
            @for figure in coverage.key_figures.iter().take(8) {
                div {
                    dt { (text::visible(&figure.label, 40)) }
                    dd.c-crit[figure.beyond_limit] {
                        (text::visible(&figure.value, 24))
                        @if !figure.unit.is_empty() { " " span { (text::visible(&figure.unit, 24)) } }
                    }
                    @if !figure.note.is_empty() { dd.n { (text::visible(&figure.note, 80)) } }
                }
            }
        }
    }
}

fn causes(coverage: &Coverage) -> Markup {
    let columns = [
        column("What", "nw"),
        column("Which", ""),
        column("Shows from", "r"),
        column("Hidden in an hour", "r"),
        column("Not told from", ""),
        column("Settled by", ""),
    ];
    let cells = |row: &CoverageRow| {
        let like: Vec<String> = row.like.iter().map(|name| text::visible(name, 60)).collect();
        let cells = vec![
            html! { (text::visible(&row.what, 24)) },
            html! { (text::name(&row.name)) },
            html! { span.c-crit[row.invisible] { (text::visible(&row.shows_from, 40)) } },
            html! { (text::visible(&row.hidden, 40)) },
            html! { (like.join(", ")) },
            html! { @if !row.check.is_empty() { "a second reading of " (text::name(&row.check)) } },
        ];
        (None, cells)
    };
    let rows: Vec<_> = coverage.rows.iter().take(ROWS).map(cells).collect();
    html! {
        h2 #causes { "Lies, wrong commands and changes" }
        section.card {
            @if rows.is_empty() { p.dim { "No cause is known." } } @else { (table(&columns, &rows)) }
            @if coverage.rows.len() > ROWS { p.small.dim { "… and " (coverage.rows.len() - ROWS) " more." } }
        }
    }
}

fn signature(coverage: &Coverage) -> Markup {
    html! {
        h2 #signature { "Signature" }
        section.card {
            p { "Plant file: " code { (text::visible(&coverage.digest, 128)) } }
            @if coverage.signature.is_empty() {
                p.dim { "Nobody signed this." }
            } @else {
                p { "The signature covers the JSON beside this page, not the page." }
                pre { (text::visible(&coverage.signature, 4_000)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_and_foreign_text_is_escaped() {
        let coverage = Coverage {
            headline: "Two causes leave no trace.".into(),
            rows: vec![CoverageRow {
                what: "sensor".into(),
                name: "</script>".into(),
                shows_from: "never".into(),
                invisible: true,
                like: vec!["leak".into(), "<b>".into()],
                ..CoverageRow::default()
            }],
            ..Coverage::default()
        };
        let page = render_coverage(&coverage);
        assert_eq!(page.matches("</script>").count(), 1, "the page's own");
        assert!(page.contains("never") && page.contains("leak, &lt;b&gt;") && !page.contains("<b>"));
        assert!(page.contains("Nobody signed this."));
        assert_eq!(page, render_coverage(&coverage));
    }

    #[test]
    fn nothing_known_is_a_sentence() {
        assert!(render_coverage(&Coverage::default()).contains("No cause is known."));
    }
}
