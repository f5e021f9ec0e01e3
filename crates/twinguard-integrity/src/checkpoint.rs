//! Signed heads of a log, and proofs that a person can keep in a file.
//!
//! Sources: C2SP tlog-checkpoint v1.0.0, C2SP tlog-proof (`c2sp.org/tlog-proof@v1`).

use twinguard_types::Digest;

use crate::merkle::verify_inclusion;
use crate::note::{self, Note};
use crate::{Error, PublicKey, SigningKey, base64};

/// Which log, how long, and the root over it.
///
/// ```
/// use twinguard_integrity::{Checkpoint, SigningKey, merkle};
///
/// let key = SigningKey::from_seed("log.example/pump", &[7; 32])?;
/// let head = Checkpoint::new("log.example/pump", 0, merkle::empty_root());
/// let note = head.sign(&key)?;
/// assert_eq!(Checkpoint::verify(&note, key.public())?, head);
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
    /// Further lines, opaque.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without further lines.
    #[must_use]
    pub fn new(origin: impl Into<String>, size: u64, root: Digest) -> Self {
        Self { origin: origin.into(), size, root, extensions: Vec::new() }
    }

    /// Signs it as a note.
    ///
    /// # Errors
    /// [`Error::Text`] for an origin or further line that is empty or holds control characters.
    pub fn sign(&self, key: &SigningKey) -> Result<String, Error> {
        let text = self.to_string();
        Self::parse(&text)?;
        note::sign(&text, key)
    }

    /// Reads a signed checkpoint of the log that has the key's name.
    ///
    /// # Errors
    /// As [`Note::parse`] and [`Note::verify`]; [`Error::Text`] for a note that is no checkpoint or names another log.
    pub fn verify(note: &str, key: &PublicKey) -> Result<Self, Error> {
        let checkpoint = Self::verify_any_origin(note, key)?;
        if checkpoint.origin != key.name() {
            return Err(bad(1, "its origin is not the key's name"));
        }
        Ok(checkpoint)
    }

    /// [`Checkpoint::verify`] for logs whose key has another name than the log.
    ///
    /// # Errors
    /// As [`Checkpoint::verify`], without the comparison of names.
    pub fn verify_any_origin(note: &str, key: &PublicKey) -> Result<Self, Error> {
        Self::parse(Note::parse(note)?.verify(key)?)
    }

    /// What a checkpoint says, its signature unchecked.
    pub(crate) fn unverified(note: &str) -> Result<Self, Error> {
        Self::parse(Note::parse(note)?.unverified())
    }

    /// Reads the text of a checkpoint, without signatures.
    ///
    /// # Errors
    /// [`Error::Text`] with the line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.strip_suffix('\n').ok_or(bad(1, "the last line does not end"))?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(bad(1, "it has fewer than three lines"));
        };
        if origin.is_empty() || origin.chars().any(char::is_control) {
            return Err(bad(1, "its origin is empty or holds control characters"));
        }
        let size = decimal(size).ok_or(bad(2, "its size is not a decimal number without leading zeros"))?;
        let root = digest(root).ok_or(bad(3, "its root is not 32 bytes in canonical base64"))?;
        let extensions: Vec<_> = lines.map(str::to_owned).collect();
        if let Some(at) =
            extensions.iter().position(|line| line.is_empty() || line.chars().any(char::is_control))
        {
            return Err(bad(at + 4, "a further line is empty or holds control characters"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }
}

impl core::fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, base64::encode(&self.root.0))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Proof that one entry stands in a log, with the signed head: verifies offline, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    /// Index of the leaf.
    pub index: u64,
    /// Audit path, from the leaf's sibling up.
    pub path: Vec<Digest>,
    /// The signed checkpoint, as it was issued.
    pub checkpoint: String,
    /// Further bytes, opaque, not authenticated.
    pub extra: Option<Vec<u8>>,
}

impl LogProof {
    const HEADER: &str = "c2sp.org/tlog-proof@v1";

    /// Reads the text form.
    ///
    /// # Errors
    /// [`Error::Text`] with the line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |line, reason| Error::Text { what: "proof", line, reason };
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(bad(1, "no blank line comes before a checkpoint"))?;
        let mut lines = head.split('\n').zip(1..).peekable();
        match lines.next() {
            Some((Self::HEADER, _)) => {}
            _ => return Err(bad(1, "it is not `c2sp.org/tlog-proof@v1`")),
        }
        let mut extra = None;
        if let Some((line, number)) = lines.next_if(|(line, _)| line.starts_with("extra ")) {
            let text = line.strip_prefix("extra ").unwrap_or_default();
            extra = Some(
                base64::decode(text.as_bytes()).ok_or_else(|| bad(number, "it is not canonical base64"))?,
            );
        }
        let (line, number) = lines.next().ok_or(bad(2, "the index is not there"))?;
        let index = line.strip_prefix("index ").and_then(decimal);
        let index = index.ok_or(bad(number, "it is not `index` and a decimal number"))?;
        let mut path = Vec::new();
        for (line, number) in lines {
            if path.len() == 64 {
                return Err(bad(number, "a path has at most 64 hashes"));
            }
            path.push(digest(line).ok_or(bad(number, "it is not 32 bytes in canonical base64"))?);
        }
        Note::parse(checkpoint)?;
        Ok(Self { index, path, checkpoint: checkpoint.to_owned(), extra })
    }

    /// Checks that `leaf` (the entry's bytes) stands at the proof's index in the log of this key.
    ///
    /// # Errors
    /// As [`Checkpoint::verify`] and [`verify_inclusion`].
    pub fn verify(&self, leaf: &[u8], key: &PublicKey) -> Result<Checkpoint, Error> {
        let head = Checkpoint::verify(&self.checkpoint, key)?;
        verify_inclusion(self.index, head.size, &crate::merkle::leaf_hash(leaf), &self.path, &head.root)?;
        Ok(head)
    }
}

impl core::fmt::Display for LogProof {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        writeln!(f, "{}", Self::HEADER)?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", base64::encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(&hash.0)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// A decimal number in its one form.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

pub(crate) fn digest(text: &str) -> Option<Digest> {
    base64::decode(text.as_bytes())?.try_into().ok().map(Digest)
}

fn bad(line: usize, reason: &'static str) -> Error {
    Error::Text { what: "checkpoint", line, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{leaf_hash, node_hash};
    use proptest::prelude::*;

    #[test]
    fn published_example_reads_and_writes_back() {
        // tlog-checkpoint v1.0.0, first example, without its signature.
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        assert_eq!(Checkpoint::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn other_spellings_are_refused() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for bad in [
            String::new(),
            format!("a\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("a\n01\n{root}\n"),
            format!("a\n+1\n{root}\n"),
            format!("a\n18446744073709551616\n{root}\n"),
            format!("a\n1\n{}\n", &root[4..]),
            format!("a\n1\n{root}\n\n"),
            format!("a\n1\n{root}\nx\n\ny\n"),
        ] {
            assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
        }
        assert_eq!(Checkpoint::parse(&format!("a b\n0\n{root}\nx\ny\n")).unwrap().extensions, ["x", "y"]);
    }

    #[test]
    fn a_proof_file_verifies_and_no_flipped_one_does() {
        let key = SigningKey::from_seed("log.example", &[3; 32]).unwrap();
        let (a, b) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let checkpoint = Checkpoint::new("log.example", 2, node_hash(&a, &b)).sign(&key).unwrap();
        let proof = LogProof { index: 1, path: vec![a], checkpoint, extra: None };
        let text = proof.to_string();
        assert_eq!(LogProof::parse(&text).unwrap(), proof);
        assert_eq!(proof.verify(b"b", key.public()).unwrap().size, 2);
        assert!(proof.verify(b"a", key.public()).is_err());
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = String::from_utf8(bytes) else { continue };
            let read = LogProof::parse(&text).and_then(|proof| proof.verify(b"b", key.public()));
            assert!(read.is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn parse_undoes_display(origin in "[a-z./ äö]{1,20}", size: u64, root: [u8; 32], extensions in proptest::collection::vec("[a-z]{1,9}", 0..3)) {
            let head = Checkpoint { origin, size, root: Digest(root), extensions };
            prop_assert_eq!(Checkpoint::parse(&head.to_string()).unwrap(), head);
        }
    }
}
