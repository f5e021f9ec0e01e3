//! Evidence that a log showed two histories: two checkpoints under one key that cannot both be true.
//!
//! Of one length the two roots say it all. Of two lengths the later tree's own proof says what its beginning was: not what the
//! log had signed. Both can be checked by whoever has the log's key, without the log and without the witness.
//!
//! ```text
//! twinguard split-view 1
//! first <base64 of the earlier or equally long checkpoint, as signed>
//! second <base64 of the other>
//! root <base64>            with two lengths only: the root which the second's beginning of the first's length has
//! <base64>                 with two lengths only: consistency proof from that root to the second, one hash a line
//! ```
//! Source: RFC 9162 §2.1.4 (consistency), C2SP tlog-witness ("proof of log misbehavior").

use core::fmt;
use core::str::FromStr;

use twinguard_types::Digest;

use crate::checkpoint::digest;
use crate::merkle::verify_consistency;
use crate::{Checkpoint, Error, PublicKey, base64};

const HEADER: &str = "twinguard split-view 1\n";

/// Two signed checkpoints of one log, of which one is a lie; see [`crate::Witness`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitView {
    first: Box<str>,
    second: Box<str>,
    /// With two lengths: what the beginning of the second really is, and the proof.
    beginning: Option<(Digest, Vec<Digest>)>,
}

impl SplitView {
    /// Two signed checkpoints; where they differ in length, the root that the longer one's beginning has, with the proof.
    ///
    /// # Errors
    /// [`Error::NoSplit`] when they contradict each other in nothing; [`Error::Text`] for notes that are no checkpoints. Signatures
    /// are checked by [`SplitView::verify`].
    pub fn new(first: &str, second: &str, beginning: Option<(Digest, Vec<Digest>)>) -> Result<Self, Error> {
        let view = Self { first: first.into(), second: second.into(), beginning };
        view.judge(&Checkpoint::unverified(first)?, &Checkpoint::unverified(second)?)?;
        Ok(view)
    }

    fn judge(&self, first: &Checkpoint, second: &Checkpoint) -> Result<(), Error> {
        let no = |reason| Err(Error::NoSplit { reason });
        if first.origin != second.origin {
            return no("the checkpoints are of two logs");
        }
        match &self.beginning {
            None if first.size != second.size => {
                no("the checkpoints differ in length, and nothing links them")
            }
            None if first.root == second.root => no("both checkpoints have one root"),
            None => Ok(()),
            Some(_) if first.size >= second.size => no("the second checkpoint is not the longer one"),
            Some((root, _)) if *root == first.root => no("the longer one begins with the shorter one"),
            Some((root, proof)) => verify_consistency((first.size, root), (second.size, &second.root), proof),
        }
    }

    /// Checks that the log of this key signed both, and that they contradict each other; gives the first, up to whose size it
    /// cannot be believed.
    ///
    /// # Errors
    /// As [`Checkpoint::verify`]; [`Error::NoSplit`], [`Error::Proof`].
    pub fn verify(&self, log: &PublicKey) -> Result<Checkpoint, Error> {
        let (first, second) = (
            Checkpoint::verify_any_origin(&self.first, log)?,
            Checkpoint::verify_any_origin(&self.second, log)?,
        );
        self.judge(&first, &second)?;
        Ok(first)
    }

    /// The two checkpoints as they were signed.
    #[must_use]
    pub fn checkpoints(&self) -> [&str; 2] {
        [&self.first, &self.second]
    }
}

impl fmt::Display for SplitView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADER)?;
        writeln!(f, "first {}", base64::encode(self.first.as_bytes()))?;
        writeln!(f, "second {}", base64::encode(self.second.as_bytes()))?;
        if let Some((root, proof)) = &self.beginning {
            writeln!(f, "root {}", base64::encode(&root.0))?;
            proof.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(&hash.0)))?;
        }
        Ok(())
    }
}

impl FromStr for SplitView {
    type Err = Error;

    /// Reads the text form.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |line, reason| Error::Text { what: "split view", line, reason };
        let body = text.strip_prefix(HEADER).ok_or(bad(1, "it is not `twinguard split-view 1`"))?;
        let body = body.strip_suffix('\n').ok_or(bad(2, "the last line does not end"))?;
        let mut lines = body.split('\n').zip(2..);
        let mut note = |name: &str| -> Result<String, Error> {
            let (line, number) = lines.next().ok_or(bad(2, "it ends early"))?;
            let bytes = line.strip_prefix(name).and_then(|encoded| base64::decode(encoded.as_bytes()));
            let note = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            note.ok_or(bad(number, "it is not a checkpoint in base64"))
        };
        let (first, second) = (note("first ")?, note("second ")?);
        let beginning = match lines.next() {
            None => None,
            Some((line, number)) => {
                let root =
                    line.strip_prefix("root ").and_then(digest).ok_or(bad(number, "it is not a root"))?;
                let mut proof = Vec::new();
                for (line, number) in lines {
                    if proof.len() == 64 {
                        return Err(bad(number, "a proof has at most 64 hashes"));
                    }
                    proof.push(digest(line).ok_or(bad(number, "it is not 32 bytes in canonical base64"))?);
                }
                Some((root, proof))
            }
        };
        Self::new(&first, &second, beginning)
    }
}
