//! Shows what a seal says.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use twinguard::integrity::{Error, seal, source};

use crate::answer::Answer;

/// Show what a seal says, as JSON for people; no signature is checked.
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The seal.
    seal: PathBuf,
}

impl Show {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let manifest = seal::parse_unverified(&source::small_file(&self.seal)?)?;
        let view = serde_json::to_value(&manifest).unwrap_or_default();
        let words = serde_json::to_string_pretty(&view).unwrap_or_default();
        let mut answer = Answer::of(&manifest).with("signature_checked", false);
        if let Value::Object(members) = view {
            answer = members
                .into_iter()
                .filter(|(name, _)| name != "files")
                .fold(answer, |answer, (name, value)| answer.with(&name, value));
        }
        Ok(answer.say(words))
    }
}
