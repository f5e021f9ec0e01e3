//! The red team's scoreboard: attacks by plants, what was missed and why, who was named.
//!
//! Source: the page plan of the scoreboard. Grey is time to detect, hue marks trouble only; each meaning has a shape and a word
//! as well.

use maud::{Markup, html};

use crate::data::KeyFigure;
use crate::page::Frame;
use crate::table::{column, table};
use crate::{number, text};

/// Style of this page alone.
const STYLE: &str = "\
.sb{border-collapse:separate;border-spacing:2px;width:100%;min-width:680px;font-size:13px;line-height:20px}\
.sb th{font-weight:450;text-align:left;padding:2px 8px 2px 0}\
.sb thead th{color:var(--ink2);font-size:12px;line-height:16px;vertical-align:bottom;text-align:center}\
.sb thead th:first-child{text-align:left}\
.sb .g th{padding-top:12px;color:var(--ink2);font-size:12px}\
.sb td{text-align:center;padding:3px 4px;border:1px solid transparent;min-width:56px;white-space:nowrap}\
.sb .q1{background:var(--inset)}.sb .q2{background:var(--line)}.sb .q3{background:var(--line2);color:var(--surface)}\
.sb .late{background:var(--high);color:var(--sevink)}.sb .miss{background:var(--crit);color:var(--critink);font-weight:600}\
.sb .none{border-color:var(--line2)}.sb .cannot{color:var(--ink3);background:repeating-linear-gradient(135deg,var(--hatch) 0 1px,transparent 1px 5px)}\
.sb .wrong{border:1.5px dashed var(--ink)}.sb .n{color:var(--ink3);text-align:right}\
.key{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:13px;line-height:20px;margin:8px 0 12px;color:var(--ink2)}\
.key .sb{display:inline-block;width:auto;min-width:0;margin-right:6px}.key .sb span{display:inline-block;min-width:28px;text-align:center;border:1px solid transparent}\
.cm td.d{font-weight:650}.cm td.x{background:var(--high);color:var(--sevink)}";

/// How a square of the board is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum SquareState {
    /// Nothing was run.
    #[default]
    Empty,
    /// Seen at once.
    Fast,
    /// Seen soon.
    Soon,
    /// Seen slowly, and in time.
    Slow,
    /// Seen after the damage.
    Late,
    /// Not seen in some or all runs.
    Missed,
    /// Nothing could be seen, by theory.
    Undetectable,
    /// Not possible at this plant.
    Infeasible,
    /// An everyday event that raised no alarm.
    Quiet,
}

impl SquareState {
    const fn class(self) -> &'static str {
        match self {
            Self::Empty => "",
            Self::Fast | Self::Quiet => "q1",
            Self::Soon => "q2",
            Self::Slow => "q3",
            Self::Late => "late",
            Self::Missed => "miss",
            Self::Undetectable => "none",
            Self::Infeasible => "cannot",
        }
    }
}

/// One attack on one plant.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Square {
    /// What stands in it.
    pub text: String,
    /// How it is drawn.
    pub state: SquareState,
    /// Whether the wrong party was accused in more than one run of ten.
    pub wrong: bool,
}

/// One attack.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SquareRow {
    /// Its name.
    pub name: String,
    /// One square a plant.
    pub squares: Vec<Square>,
    /// How many plants saw it in time, in words.
    pub in_time: String,
}

/// Attacks of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SquareGroup {
    /// What kind.
    pub name: String,
    /// Its attacks.
    pub rows: Vec<SquareRow>,
}

/// What was missed.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct MissRow {
    /// The attack.
    pub attack: String,
    /// The plant.
    pub plant: String,
    /// In how many runs of how many.
    pub runs: String,
    /// Why.
    pub why: String,
    /// How to run it again.
    pub again: String,
}

/// Who was accused of what who did, in runs.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Confusion {
    /// The parties, in order of rows and columns.
    pub parties: Vec<String>,
    /// By row who did it, by column who was accused.
    pub counts: Vec<Vec<u64>>,
}

/// Attack-free running of one plant.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct QuietRow {
    /// The plant.
    pub plant: String,
    /// Its length in hours.
    pub hours: f64,
    /// Findings.
    pub alarms: u32,
    /// Per week.
    pub per_week: f64,
    /// Upper bound of that, 95 %.
    pub bound: f64,
}

/// What a defender who is shown less still sees: shares in words, such as `97 %`.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ViewRow {
    /// What is shown.
    pub view: String,
    /// Attacks of which anything could be seen with it.
    pub detectable: u64,
    /// Of these, seen before damage.
    pub in_time: String,
    /// Faults seen.
    pub faults: String,
    /// Suspect right, of what was seen.
    pub right: String,
    /// Attack told from fault by its traces.
    pub told: String,
    /// Everyday events with an alarm.
    pub everyday: String,
}

/// The scoreboard: plain data, drawn by [`render_scoreboard`].
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Scoreboard {
    /// What was run, in a line.
    pub campaign: String,
    /// The answer first.
    pub headline: String,
    /// The figures below it.
    pub key_figures: Vec<KeyFigure>,
    /// The plants.
    pub plants: Vec<String>,
    /// The board.
    pub groups: Vec<SquareGroup>,
    /// What each view is worth; drawn when there are two or more.
    pub views: Vec<ViewRow>,
    /// What was missed.
    pub misses: Vec<MissRow>,
    /// Who was named.
    pub confusion: Confusion,
    /// Running without attacks.
    pub quiet: Vec<QuietRow>,
    /// What is not known, in sentences.
    pub unknowns: Vec<String>,
}

/// The page as one self-contained HTML text: the same board gives the same bytes.
///
/// ```
/// use twinguard_report::{Scoreboard, render_scoreboard};
///
/// let board = Scoreboard { headline: "Every attack was seen.".into(), ..Scoreboard::default() };
/// let page = render_scoreboard(&board);
/// assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Every attack was seen."));
/// ```
#[must_use]
pub fn render_scoreboard(board: &Scoreboard) -> String {
    let frame = Frame {
        title: "Red-team scoreboard".to_owned(),
        name: "Red-team scoreboard",
        skip: ("board", "Skip to the board"),
        sections: &[
            ("board", "Attacks × plants", true),
            ("views", "Views", board.views.len() > 1),
            ("missed", "Missed", true),
            ("named", "Who was named", !board.confusion.parties.is_empty()),
            ("quiet", "False alarms", true),
        ],
        style: STYLE,
    };
    let body = html! {
        section.card {
            h1 { (text::prose(&board.headline)) }
            p.small.dimmer { (text::visible(&board.campaign, 200)) }
            (figures(board))
        }
        (squares(board))
        (views(board))
        (missed(board))
        (named(board))
        (quiet(board))
    };
    let footer = html! {
        footer {
            p {
                "Time to detect counts from the attack’s start, median over the seeds. "
                "What could be seen at all is declared before a run, from the plant file alone. "
                @for sentence in &board.unknowns { (text::prose(&text::stopped(sentence))) " " }
            }
        }
    };
    frame.around(&body, &footer).into_string()
}

fn figures(board: &Scoreboard) -> Markup {
    html! {
        dl.facts {
            @for figure in board.key_figures.iter().take(8) {
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

fn squares(board: &Scoreboard) -> Markup {
    let key = |class: &str, sign: &str, words: &str| {
        html! { li { span.sb { span.(class) { (sign) } } (words) } }
    };
    html! {
        h2 #board { "Attacks × plants" }
        section.card {
            @if board.groups.is_empty() {
                p.dim { "No attack was run." }
            } @else {
                ul.key {
                    (key("q1", " ", "under 10 s"))
                    (key("q2", " ", "under a minute"))
                    (key("q3", " ", "slower, still in time"))
                    (key("late", "▲", "seen after damage"))
                    (key("miss", "✕", "missed n of N"))
                    (key("wrong", " ", "seen, wrong suspect in over 10 %"))
                    (key("none", "∅", "nothing to see, by theory"))
                    (key("cannot", "–", "not feasible"))
                }
                div.scroll tabindex="0" role="region" aria-label="Attacks by plants" {
                    table.sb {
                        thead { tr {
                            th scope="col" { "time to detect" }
                            @for plant in &board.plants { th scope="col" { (text::broken(plant, 40)) } }
                            th.n scope="col" { "in time" }
                        } }
                        @for group in &board.groups {
                            tbody {
                                tr.g { th scope="rowgroup" colspan=(board.plants.len() + 2) { (text::visible(&group.name, 40)) } }
                                @for row in &group.rows {
                                    tr {
                                        th scope="row" { (text::broken(&row.name, 60)) }
                                        @for square in &row.squares {
                                            td.(square.state.class()).wrong[square.wrong] { (text::visible(&square.text, 16)) }
                                        }
                                        td.n { (text::visible(&row.in_time, 16)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn views(board: &Scoreboard) -> Markup {
    let columns = [
        column("What the guard is shown", ""),
        column("Could be seen", "r"),
        column("Seen before damage", "r"),
        column("Faults seen", "r"),
        column("Suspect right", "r"),
        column("Attack told", "r"),
        column("Everyday alarms", "r"),
    ];
    let cells = |row: &ViewRow| {
        let word = |word: &str| html! { (text::visible(word, 40)) };
        let mut cells = vec![word(&row.view), html! { (number::count(row.detectable)) }];
        cells.extend([&row.in_time, &row.faults, &row.right, &row.told, &row.everyday].map(|it| word(it)));
        (None, cells)
    };
    let rows: Vec<_> = board.views.iter().take(ROWS).map(cells).collect();
    html! {
        @if rows.len() > 1 {
            h2 #views { "What each view is worth" }
            section.card { (table(&columns, &rows)) }
        }
    }
}

/// Rows of a table that a page still carries.
const ROWS: usize = 200;

fn missed(board: &Scoreboard) -> Markup {
    let columns = [
        column("Attack", "nw"),
        column("Plant", "nw"),
        column("Runs", "nw"),
        column("Why", ""),
        column("Run it again", ""),
    ];
    let cells = |row: &MissRow| {
        let cells = vec![
            html! { (text::name(&row.attack)) },
            html! { (text::name(&row.plant)) },
            html! { (text::visible(&row.runs, 24)) },
            html! { (text::visible(&row.why, 200)) },
            html! { code { (text::visible(&row.again, 200)) } },
        ];
        (None, cells)
    };
    let rows: Vec<_> = board.misses.iter().take(ROWS).map(cells).collect();
    html! {
        h2 #missed { "What was missed" }
        section.card {
            @if rows.is_empty() { p.dim { "Nothing that could be seen was missed." } }
            @else { (table(&columns, &rows)) }
            @if board.misses.len() > ROWS { p.small.dim { "… and " (board.misses.len() - ROWS) " more." } }
        }
    }
}

fn named(board: &Scoreboard) -> Markup {
    let confusion = &board.confusion;
    let share = |row: &[u64], at: usize| {
        let all: u64 = row.iter().sum();
        row.get(at).filter(|_| all > 0).map(|count| (*count as f64 / all as f64 * 100.0).round() as u64)
    };
    html! {
        @if !confusion.parties.is_empty() {
            h2 #named { "Who was named" }
            section.card {
                p.lead { "Per cent of rows, 100 samples after the alarm. Rows: who did it; columns: who was accused." }
                div.scroll tabindex="0" role="region" aria-label="Who was named" {
                    table.sb.cm {
                        thead { tr {
                            th scope="col" { "did it ↓ accused →" }
                            @for party in &confusion.parties { th scope="col" { (text::visible(party, 24)) } }
                            th.n scope="col" { "runs" }
                        } }
                        tbody {
                            @for (line, (party, row)) in confusion.parties.iter().zip(&confusion.counts).enumerate() {
                                tr {
                                    th scope="row" { (text::visible(party, 24)) }
                                    @for at in 0..confusion.parties.len() {
                                        @let value = share(row, at);
                                        td.d[line == at].x[line != at && value.is_some_and(|value| value >= 5)] {
                                            @match value { Some(0) | None => { "·" }, Some(value) => { (value) } }
                                        }
                                    }
                                    td.n { (number::count(row.iter().sum())) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn quiet(board: &Scoreboard) -> Markup {
    let columns = [
        column("Plant", "nw"),
        column("Hours", "r"),
        column("Alarms", "r"),
        column("A week", "r"),
        column("95 % below", "r"),
    ];
    let cells = |row: &QuietRow| {
        let cells = vec![
            html! { (text::name(&row.plant)) },
            html! { (number::fixed(row.hours, 1)) },
            html! { (row.alarms) },
            html! { (number::fixed(row.per_week, 2)) },
            html! { (number::fixed(row.bound, 2)) },
        ];
        (None, cells)
    };
    let rows: Vec<_> = board.quiet.iter().take(ROWS).map(cells).collect();
    html! {
        h2 #quiet { "False alarms without any attack" }
        section.card {
            @if rows.is_empty() { p.dim { "No attack-free run was made in this campaign." } }
            @else { (table(&columns, &rows)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Scoreboard {
        let square = |text: &str, state| Square { text: text.into(), state, wrong: false };
        Scoreboard {
            headline: "Most were seen.".into(),
            plants: vec!["boiler".into(), "</script>".into()],
            groups: vec![SquareGroup {
                name: "Telemetry".into(),
                rows: vec![SquareRow {
                    name: "bias".into(),
                    squares: vec![square("4.0 s", SquareState::Fast), square("✕1/2", SquareState::Missed)],
                    in_time: "1 of 2".into(),
                }],
            }],
            views: ["all", "no wire"]
                .map(|view| ViewRow { view: view.into(), in_time: "97 %".into(), ..ViewRow::default() })
                .into(),
            misses: vec![MissRow { attack: "bias".into(), why: "quiet".into(), ..MissRow::default() }],
            confusion: Confusion {
                parties: vec!["sensor".into(), "fault".into()],
                counts: vec![vec![9, 1], vec![0, 0]],
            },
            ..Scoreboard::default()
        }
    }

    #[test]
    fn a_page_is_whole_and_foreign_text_is_escaped() {
        let page = render_scoreboard(&board());
        assert_eq!(page.matches("</script>").count(), 1, "the page's own");
        assert!(page.contains("✕1/2") && page.contains(">90<") && page.contains(">10<"));
        assert!(page.contains("What each view is worth") && page.matches("97 %").count() == 2);
        assert_eq!(page, render_scoreboard(&board()));
        assert!(!page.contains("http:") && !page.contains("https:"));
    }

    #[test]
    fn nothing_run_is_a_sentence() {
        let page = render_scoreboard(&Scoreboard::default());
        assert!(
            page.contains("No attack was run.") && page.contains("Nothing that could be seen was missed.")
        );
        assert!(!page.contains("What each view is worth"), "one view is no comparison");
    }
}
