//! What goes wrong in a campaign.

/// Why a campaign cannot be planned or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The plan cannot be read, or says something that cannot be.
    #[error("{file}:{line}: {reason}")]
    Plan {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// No plant of that name is known.
    #[error("no plant `{name}`; the nearest is `{nearest}`")]
    UnknownPlant {
        /// The name.
        name: String,
        /// A name that is known.
        nearest: String,
    },
    /// No attack of that name is known.
    #[error("no attack `{name}`; the nearest is `{nearest}`")]
    UnknownAttack {
        /// The name.
        name: String,
        /// A name that is known.
        nearest: String,
    },
    /// A simulated plant and its file do not fit together.
    #[error(transparent)]
    Twin(#[from] twinguard_twin::Error),
    /// A reference plant lacks what a campaign is judged by.
    #[error("plant `{plant}` has no {what}")]
    Ground {
        /// The plant.
        plant: String,
        /// What is missing.
        what: &'static str,
    },
    /// The defender could not be made, or failed.
    #[error("defender at `{plant}`: {reason}")]
    Defender {
        /// The plant.
        plant: String,
        /// Why.
        reason: String,
    },
    /// A message of the range is not legal.
    #[error("range: {reason}")]
    Range {
        /// Why.
        reason: String,
    },
}

/// The known name with the fewest edits, for an error that helps.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known.min_by_key(|known| strsim::damerau_levenshtein(name, known)).unwrap_or_default()
}
