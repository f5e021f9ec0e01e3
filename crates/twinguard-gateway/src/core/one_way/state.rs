//! What a receiver has heard, to be kept over its restarts.

use core::fmt;
use core::str::FromStr;

use twinguard::types::Timestamp;

use super::datagram::StreamId;

/// Which stream was heard last, and which of its blocks is awaited next. Its text form is one line.
///
/// ```
/// use twinguard_gateway::core::one_way::State;
///
/// let text = "twinguard one-way 1 000102030405060708090a0b0c0d0e0f 1700000000000000000 17";
/// let state: State = text.parse().unwrap();
/// assert_eq!((state.next, state.to_string()), (17, text.to_owned()));
/// assert!("twinguard one-way 2".parse::<State>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The stream.
    pub stream: StreamId,
    /// When it began: older ones are refused.
    pub began: Timestamp,
    /// The next block: those before it are dealt with.
    pub next: u64,
}

/// A text that is no state of a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoState;

impl fmt::Display for NoState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is no state of a one-way receiver")
    }
}

impl core::error::Error for NoState {}

const FORM: [&str; 3] = ["twinguard", "one-way", "1"];

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [name, kind, version] = FORM;
        let (stream, began) = (self.stream, self.began.as_nanos());
        write!(f, "{name} {kind} {version} {stream} {began} {}", self.next)
    }
}

impl FromStr for State {
    type Err = NoState;

    fn from_str(text: &str) -> Result<Self, NoState> {
        let mut words = text.split_whitespace();
        for word in FORM {
            if words.next() != Some(word) {
                return Err(NoState);
            }
        }
        let [stream, began, next] = [words.next(), words.next(), words.next()].map(Option::unwrap_or_default);
        let stream = u128::from_str_radix(stream, 16).map_err(|_| NoState)?;
        let began = began.parse().map_err(|_| NoState)?;
        let next = next.parse().map_err(|_| NoState)?;
        if words.next().is_some() {
            return Err(NoState);
        }
        Ok(Self { stream: StreamId(stream.to_be_bytes()), began: Timestamp::from_nanos(began), next })
    }
}
