//! The plant file of a draft, each guess marked with what it rests on.

use core::fmt::Write as _;

use twinguard_types::{ByteOrder, Role};

use super::series::{Profile, Shape};
use super::{Draft, Guess, SignalDraft, WirePlace};

/// A file beyond this is written without comments: a plant file has at most 8 MiB.
const TERSE: usize = 4 << 20;

pub(super) fn toml(draft: &Draft, places: &[WirePlace]) -> String {
    let text = written(draft, places, false);
    if text.len() > TERSE { written(draft, places, true) } else { text }
}

fn written(draft: &Draft, places: &[WirePlace], terse: bool) -> String {
    let mut out = Writer { text: String::new(), terse };
    out.comment(&format!("Draft of a plant file from {}.", draft.sources.join(", ")));
    out.comment("Lines marked `guess` are guesses, each with what it rests on: confirm them or change them.");
    out.text.push_str("format = 1\n");
    out.key("name", &quote(&draft.name), None);
    for group in &draft.groups {
        let least = format!("correlation {:.2} or more", group.correlation);
        out.comment(&format!("These tell of each other ({least}): {}", some(&group.signals)));
    }
    for mode in &draft.modes {
        let state: Vec<String> = mode.state.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        out.comment(&format!("Mode, {:.1} % of the time: {}", mode.share * 100.0, state.join(", ")));
    }
    for signal in &draft.signals {
        out.signal(signal);
    }
    for place in places {
        out.place(place);
    }
    for signal in &draft.signals {
        if let Some(band) = &signal.operating {
            out.section("[[limit]]");
            out.key("signal", &quote(&signal.path), None);
            out.key("min", &float(band.value.0), Some(&guessed(band)));
            out.key("max", &float(band.value.1), None);
            out.key("kind", "\"operating\"", None);
        }
    }
    if let Some(sampling_s) = draft.sampling_s {
        out.section("[time]");
        out.key("sampling_s", &float(sampling_s), Some("guess: the median time between rows"));
    }
    out.text
}

struct Writer {
    text: String,
    terse: bool,
}

/// At most some paths of a list.
fn some(paths: &[String]) -> String {
    let shown: Vec<&str> = paths.iter().take(20).map(String::as_str).collect();
    let more = paths.len() - shown.len();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}

/// The evidence of a guess as a comment; what was given is none.
fn guessed<T>(guess: &Guess<T>) -> String {
    if guess.evidence.starts_with("given") {
        guess.evidence.clone()
    } else {
        format!("guess: {}", guess.evidence)
    }
}

/// A basic string of JSON is one of TOML: control characters, which could differ, are in no path.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn float(value: f64) -> String {
    format!("{value:?}")
}

impl Writer {
    fn comment(&mut self, text: &str) {
        if !self.terse {
            let line: String = text.chars().map(|mark| if mark.is_control() { ' ' } else { mark }).collect();
            let _ = writeln!(self.text, "# {line}");
        }
    }

    fn section(&mut self, head: &str) {
        let _ = writeln!(self.text, "\n{head}");
    }

    fn key(&mut self, key: &str, value: &str, comment: Option<&str>) {
        let _ = write!(self.text, "{key} = {value}");
        if let Some(comment) = comment.filter(|_| !self.terse) {
            let line: String =
                comment.chars().map(|mark| if mark.is_control() { ' ' } else { mark }).collect();
            let _ = write!(self.text, "  # {line}");
        }
        self.text.push('\n');
    }

    fn signal(&mut self, signal: &SignalDraft) {
        self.section("[[signal]]");
        if !signal.description.is_empty() {
            self.comment(&signal.description);
        }
        if let Some(profile) = &signal.profile {
            self.comment(&seen(profile));
        }
        if let Some(explained) = signal.explained {
            self.comment(&format!(
                "the others tell {:.1} % of its variance on the later part; a lasting lie shows from {:.3e}",
                explained.share * 100.0,
                explained.shows_from
            ));
        }
        if let Some(daily) = signal.daily.filter(|share| *share >= 0.3) {
            self.comment(&format!("the hour of the day tells {:.0} % of its variance", daily * 100.0));
        }
        self.key("path", &quote(&signal.path), None);
        if let Some(unit) = &signal.unit {
            self.key("unit", &quote(&unit.value), Some(&guessed(unit)));
        }
        let role = match signal.role.value {
            Role::Measurement => "\"measurement\"",
            Role::Actuator => "\"actuator\"",
            Role::Setpoint => "\"setpoint\"",
            Role::Parameter => "\"parameter\"",
        };
        self.key("role", role, Some(&guessed(&signal.role)));
        if let Some(range) = &signal.range {
            let value = format!("[{}, {}]", float(range.value.0), float(range.value.1));
            self.key("range", &value, Some(&guessed(range)));
        }
        if let Some(sigma) = &signal.sigma {
            self.key("sigma", &float(sigma.value), Some(&guessed(sigma)));
        }
    }

    fn place(&mut self, place: &WirePlace) {
        self.section("[[point]]");
        self.comment(&place.evidence);
        self.key("signal", &quote(&place.path), None);
        self.key("protocol", &quote(&place.family), None);
        self.key("endpoint", &quote(&place.server), None);
        let manual = place.manual.map(|number| format!("manual {number:05}"));
        self.key("tag", &quote(&place.tag), manual.as_deref());
        self.key("type", &quote(&place.encoding.to_string()), None);
        if place.order != ByteOrder::default() {
            self.key("order", &quote(&place.order.to_string()), None);
        }
        self.key("direction", if place.written { "\"write\"" } else { "\"read\"" }, None);
    }
}

/// What a signal did, in a line.
pub(super) fn seen(profile: &Profile) -> String {
    let missing = match profile.missing() {
        share if share >= 0.001 => format!(", {:.1} % missing", share * 100.0),
        _ => String::new(),
    };
    let what = match profile.shape {
        Shape::Silent => "no value in the first part".to_owned(),
        Shape::Constant => format!("always {}", profile.least),
        Shape::Binary | Shape::Levels => {
            let levels: Vec<String> = profile.levels.iter().map(f64::to_string).collect();
            format!("one of {}", levels.join(", "))
        }
        Shape::Counter => format!("counts up, {} to {}", profile.least, profile.most),
        Shape::Continuous => format!(
            "seen {:.6} to {:.6}, mean {:.6}, deviation {:.3e}",
            profile.least, profile.most, profile.mean, profile.deviation
        ),
    };
    what + &missing
}
