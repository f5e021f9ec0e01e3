//! What a subcommand has to say, for people and for programs.

use serde_json::{Map, Value};
use twinguard::integrity::{Checkpoint, Manifest};

/// What is printed at the end: words for people, members for `--json`.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) words: String,
    pub(crate) members: Map<String, Value>,
    pub(crate) refused: bool,
}

impl Answer {
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn of(manifest: &Manifest) -> Self {
        Self::default()
            .with("root", manifest.root().to_string())
            .with("files", manifest.entries().len())
            .with("series", manifest.series())
            .with("version", manifest.version())
    }

    pub(crate) fn say(mut self, words: String) -> Self {
        self.words = words;
        self
    }
}

/// A journal's signed head.
pub(crate) fn of_head(head: &Checkpoint) -> Answer {
    Answer::default()
        .with("root", head.root.to_string())
        .with("leaves", head.size)
        .with("origin", head.origin.as_str())
}
