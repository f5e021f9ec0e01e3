//! What is missing of a plant, what it would buy, and what only a person can say.
//!
//! Source: the views of a guard ([`View::adds`]) and what the history itself lacks.

use twinguard_types::{Role, View};

use super::Draft;
use super::series::Shape;
use super::signal::SignalDraft;

/// A signal of which the others explain less than this on the later part is told by nobody else.
const TOLD: f64 = 0.5;
/// Signals that are named one by one.
const NAMED: usize = 200;

/// Something that is not there, and what it would buy.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// What is missing.
    pub what: String,
    /// What it would buy.
    pub buys: String,
}

impl Draft {
    /// What is missing, and what has to be asked.
    pub(super) fn name_gaps(&mut self, with_history: usize, wire: bool) {
        let mut gap = |what: String, buys: String| self.gaps.push(Gap { what, buys });
        let mut view = |what: &str, view: View| gap(what.to_owned(), view.adds().to_owned());
        if !wire {
            view("no capture of the plant's traffic", View::Wire);
        }
        view("no controller's journal", View::ControllerJournal);
        view("no values of the vendor's twin", View::VendorTwin);
        view("no physics model: the signals' redundancy is the model", View::Model);
        view("no login records", View::Access);
        if with_history == 0 {
            view("no history", View::History);
        }
        let series = self.series.as_ref();
        if let Some(series) = series {
            if !series.has_times {
                gap(
                    "no column of times: rows count as seconds".to_owned(),
                    "rates, gaps and the time of day would show".to_owned(),
                );
            }
            let days = series.span().as_secs_f64() / 86_400.0;
            if days < 14.0 {
                gap(
                    format!("the history is {days:.1} days long"),
                    "two weeks or more show weekends and let rare values be told from odd ones; limits for few false alarms need it".to_owned(),
                );
            }
            for (count, what, buys) in [
                (
                    series.holes,
                    "holes in the times, five periods or longer",
                    "what happened in them would be normal, too",
                ),
                (
                    series.backwards,
                    "rows whose time goes back",
                    "in order of time each change would count once",
                ),
                (series.skipped, "rows whose time could not be read", "they would be learnt from"),
            ] {
                if count > 0 {
                    gap(format!("{count} {what}"), buys.to_owned());
                }
            }
        }
        let short = |paths: Vec<&str>| {
            let more = paths.len().saturating_sub(NAMED);
            let mut text = paths.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
            if more > 0 {
                text += &format!(" and {more} more");
            }
            text
        };
        let of = |wanted: &dyn Fn(&SignalDraft) -> bool| -> Vec<&str> {
            self.signals.iter().filter(|signal| wanted(signal)).map(|signal| &*signal.path).collect()
        };
        let mut gaps = Vec::new();
        let mut list = |what: &str, paths: Vec<&str>, buys: &str| {
            if !paths.is_empty() {
                gaps.push(Gap { what: format!("{what}: {}", short(paths)), buys: buys.to_owned() });
            }
        };
        let shape =
            |signal: &SignalDraft, shape| signal.profile.as_ref().is_some_and(|own| own.shape == shape);
        list(
            "never moved in the history",
            of(&|signal| shape(signal, Shape::Constant)),
            "a stretch in which they move: until then any move is news, and a frozen value is not",
        );
        list(
            "the other signals hardly tell",
            of(&|signal| signal.explained.is_some_and(|own| own.share < TOLD)),
            "a second, redundant measurement or a model: a slow lie would contradict something",
        );
        list(
            "missing in more than a tenth of the rows",
            of(&|signal| signal.profile.as_ref().is_some_and(|own| own.missing() > 0.1)),
            "complete rows: what is not there is not compared",
        );
        if series.is_some() {
            list(
                "no history",
                of(&|signal| signal.profile.is_none()),
                "limits of their own: until then only what the file states counts",
            );
        }
        list(
            "no unit",
            of(&|signal| {
                signal.unit.is_none() && signal.profile.as_ref().is_none_or(|own| own.levels.is_empty())
            }),
            "readable findings; the guard counts in numbers and does not need it",
        );
        if !self.left_out.is_empty() {
            let columns = self.left_out.iter().map(String::as_str).collect();
            list("columns without a single number, left out", columns, "states as numbers would be compared");
        }
        let mut questions = Vec::new();
        let guessed =
            of(&|signal| signal.unit.as_ref().is_some_and(|unit| !unit.evidence.starts_with("given")));
        if !guessed.is_empty() {
            questions.push(format!("are the guessed units right: {}?", short(guessed)));
        }
        let driven = of(&|signal| {
            signal.role.value != Role::Measurement && !signal.role.evidence.starts_with("given")
        });
        if !driven.is_empty() {
            questions.push(format!("do these drive the plant, and who may command them: {}?", short(driven)));
        }
        if series.is_some_and(|series| series.has_times) {
            questions.push("is the history in UTC, and is all of it normal running?".to_owned());
        }
        if wire && with_history > 0 {
            questions.push("which place on the wire carries which column of the history?".to_owned());
        }
        self.gaps.extend(gaps);
        self.questions = questions;
    }
}
