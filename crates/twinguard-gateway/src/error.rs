use twinguard::twin::problem::Located;

/// What keeps a gateway from starting, or from answering.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Mistakes in the configuration, one a line, each with file, line and column.
    #[error("{}", lines(.0))]
    Config(Vec<Located>),
    /// A file, an address, a socket.
    #[error("{what} `{name}`: {source}")]
    Io {
        /// What was tried, for example `cannot read`.
        what: &'static str,
        /// The file or address.
        name: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// What the guard refuses.
    #[error(transparent)]
    Guard(#[from] twinguard::Error),
    /// The guard's thread is gone or does not answer in time: nothing may command.
    #[error("the guard does not answer: {reason}")]
    Unguarded {
        /// Why.
        reason: &'static str,
    },
}

fn lines(problems: &[Located]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
