//! The page of an onboarding: what was guessed of a plant, how good the learnt model is, and what is missing.
//!
//! Source: the order of the run report: the answer first, then the figures, then what speaks for them.

use maud::{Markup, html};

use crate::data::KeyFigure;
use crate::page::Frame;
use crate::table::{column, table};
use crate::{number, text};

/// Rows of a table at most; what comes after is a sentence.
const ROWS: usize = 400;

/// A signal on the page, as text.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SignalRow {
    /// Its path.
    pub path: String,
    /// Role and unit, as guessed or given.
    pub what: String,
    /// Share of its variance on the later part that the other signals explain, for example `97 %`; `–` where none was judged.
    pub explained: String,
    /// Share of later values inside the 99 % interval.
    pub covered: String,
    /// The smallest lasting lie that contradicts the other signals.
    pub shows_from: String,
    /// What was seen and what the guesses rest on.
    pub evidence: String,
}

/// What is missing.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct GapRow {
    /// What.
    pub what: String,
    /// What it would buy.
    pub buys: String,
}

/// The page: plain data, drawn by [`render_onboarding`].
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct OnboardingPage {
    /// The plant.
    pub plant: String,
    /// The answer first.
    pub headline: String,
    /// What it was drafted from, in a line.
    pub sources: String,
    /// The figures below it.
    pub key_figures: Vec<KeyFigure>,
    /// The signals.
    pub signals: Vec<SignalRow>,
    /// Signals that tell of each other, operating modes: a sentence each.
    pub found: Vec<String>,
    /// What is missing.
    pub gaps: Vec<GapRow>,
    /// What a person has to be asked.
    pub questions: Vec<String>,
    /// The command that guards the plant from here on.
    pub command: String,
}

/// The page as one self-contained HTML text: the same data give the same bytes.
///
/// ```
/// use twinguard_report::{OnboardingPage, render_onboarding};
///
/// let page = OnboardingPage { headline: "Nine of ten signals are told by the others.".into(), ..Default::default() };
/// assert!(render_onboarding(&page).contains("Nine of ten signals are told by the others."));
/// ```
#[must_use]
pub fn render_onboarding(page: &OnboardingPage) -> String {
    let frame = Frame {
        title: format!("Onboarding, {}", text::visible(&page.plant, 60)),
        name: "Onboarding",
        skip: ("signals", "Skip to the signals"),
        sections: &[
            ("signals", "Signals", true),
            ("found", "What hangs together", !page.found.is_empty()),
            ("gaps", "What is missing", !page.gaps.is_empty()),
            ("questions", "Questions", !page.questions.is_empty()),
        ],
        style: "",
    };
    let body = html! {
        section.card {
            h1 { (text::prose(&page.headline)) }
            p.small.dimmer { (text::visible(&page.sources, 300)) }
            (figures(&page.key_figures))
            @if !page.command.is_empty() { p { "Guard it: " code { (text::visible(&page.command, 400)) } } }
        }
        (signals(&page.signals))
        @if !page.found.is_empty() { h2 #found { "What hangs together" } (sentences(&page.found)) }
        (gaps(&page.gaps))
        @if !page.questions.is_empty() { h2 #questions { "Questions" } (sentences(&page.questions)) }
    };
    let footer = html! {
        footer {
            p {
                "Guesses come from the first part of the history and are judged on the later part, which they never saw. "
                "Each is marked in the plant file, with what it rests on. "
            }
        }
    };
    frame.around(&body, &footer).into_string()
}

fn figures(figures: &[KeyFigure]) -> Markup {
    html! {
        dl.facts {
            @for figure in figures.iter().take(8) {
                div {
                    dt { (text::visible(&figure.label, 40)) }
                    dd.c-crit[figure.beyond_limit] {
                        (text::visible(&figure.value, 24))
                        @if !figure.unit.is_empty() { (number::NNBSP) span { (text::visible(&figure.unit, 24)) } }
                    }
                    @if !figure.note.is_empty() { dd.n { (text::visible(&figure.note, 80)) } }
                }
            }
        }
    }
}

fn signals(signals: &[SignalRow]) -> Markup {
    let columns = [
        column("signal", "name"),
        column("what", ""),
        column("explained", "r nw"),
        column("in its interval", "r nw"),
        column("a lie shows from", "r nw"),
        column("evidence", "dim"),
    ];
    let row = |signal: &SignalRow| {
        let cells = vec![
            html! { (text::name(&signal.path)) },
            html! { (text::visible(&signal.what, 60)) },
            html! { (text::visible(&signal.explained, 24)) },
            html! { (text::visible(&signal.covered, 24)) },
            html! { (text::visible(&signal.shows_from, 40)) },
            html! { (text::visible(&signal.evidence, 300)) },
        ];
        (None, cells)
    };
    let rows: Vec<_> = signals.iter().take(ROWS).map(row).collect();
    html! {
        h2 #signals { "Signals" }
        section.card {
            @if rows.is_empty() { p.dim { "No signal was found." } } @else { (table(&columns, &rows)) }
            @if signals.len() > ROWS { p.dim { (signals.len() - ROWS) " more are in the plant file." } }
        }
    }
}

fn gaps(gaps: &[GapRow]) -> Markup {
    let columns = [column("what is missing", ""), column("what it would buy", "")];
    let row = |gap: &GapRow| {
        (None, vec![html! { (text::visible(&gap.what, 300)) }, html! { (text::visible(&gap.buys, 300)) }])
    };
    let rows: Vec<_> = gaps.iter().take(ROWS).map(row).collect();
    html! {
        @if !rows.is_empty() {
            h2 #gaps { "What is missing" }
            section.card { (table(&columns, &rows)) }
        }
    }
}

fn sentences(sentences: &[String]) -> Markup {
    html! {
        section.card { ul { @for sentence in sentences.iter().take(ROWS) { li { (text::visible(sentence, 400)) } } } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_escaped_and_long_tables_end_in_a_sentence() {
        let row = |at: usize| SignalRow { path: format!("<b>{at}"), ..SignalRow::default() };
        let page = OnboardingPage { signals: (0..500).map(row).collect(), ..OnboardingPage::default() };
        let text = render_onboarding(&page);
        assert!(!text.contains("<b>") && text.contains("100 more are in the plant file."));
        assert!(!text.contains("id=\"gaps\"") && text.len() < 1 << 20);
    }
}
