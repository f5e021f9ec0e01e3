//! Signed notes: text that ends in a line feed, a blank line, and signatures.
//!
//! Source: C2SP signed-note v1.0.0.

use crate::{Error, PublicKey, SigningKey, base64};

/// Longest note that is read, in bytes: far above 16 post-quantum signatures, which must be accepted.
pub const MAX_BYTES: usize = 1 << 20;
/// Most signatures of a note that are read.
pub const MAX_SIGNATURES: usize = 64;

/// A note that was read, its signatures not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
    signatures: Vec<Signature<'a>>,
}

/// A signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature<'a> {
    name: &'a str,
    id: [u8; 4],
    bytes: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Reads a note; nothing in it may be believed before [`Note::verify`].
    ///
    /// # Errors
    /// [`Error::Text`] with the line; [`Error::Limit`] for a note or a number of signatures beyond reason.
    pub fn parse(note: &'a str) -> Result<Self, Error> {
        let limit =
            |what, limit: usize| Err(Error::Limit { what, limit: limit as u64, place: "note".to_owned() });
        if note.len() > MAX_BYTES {
            return limit("bytes", MAX_BYTES);
        }
        if let Some(at) = note.find(|c: char| c < ' ' && c != '\n') {
            let line = note.get(..at).unwrap_or_default().matches('\n').count() + 1;
            return Err(bad(line, "it holds a control character"));
        }
        let end = note.rfind("\n\n").ok_or(bad(1, "no blank line comes before signatures"))?;
        let (Some(text), Some(lines)) = (note.get(..end + 1), note.get(end + 2..)) else {
            return Err(bad(1, "no blank line comes before signatures"));
        };
        let first = text.matches('\n').count() + 2;
        let lines = lines.strip_suffix('\n').ok_or(bad(first, "the last line does not end"))?;
        let mut signatures = Vec::new();
        for (line, number) in lines.split('\n').zip(first..) {
            if signatures.len() == MAX_SIGNATURES {
                return limit("signatures", MAX_SIGNATURES);
            }
            let parts = line.strip_prefix("— ").and_then(|rest| rest.split_once(' '));
            let (name, encoded) = parts.ok_or(bad(number, "it is not `— name signature`"))?;
            if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c == '+') {
                return Err(bad(number, "the key's name is empty or holds spaces or `+`"));
            }
            let bytes = base64::decode(encoded.as_bytes());
            let bytes = bytes.ok_or(bad(number, "the signature is not canonical base64"))?;
            let parts = bytes.split_first_chunk().filter(|(_, rest)| !rest.is_empty());
            let (id, bytes) = parts.ok_or(bad(number, "the signature is too short"))?;
            signatures.push(Signature { name, id: *id, bytes: bytes.to_vec() });
        }
        Ok(Self { text, signatures })
    }

    /// The text, if this key signed it; signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`Error::UntrustedKey`] when no signature names the key, [`Error::Signature`] when one does and does not verify.
    pub fn verify(&self, key: &PublicKey) -> Result<&'a str, Error> {
        let mut signed = false;
        for signature in self.signatures.iter().filter(|s| s.name == key.name() && s.id == key.id()) {
            let bytes = signature.bytes.as_slice().try_into();
            if !bytes.is_ok_and(|bytes| key.verifies(self.text.as_bytes(), bytes)) {
                return Err(Error::Signature { key: key.label() });
            }
            signed = true;
        }
        if signed {
            return Ok(self.text);
        }
        let names: Vec<_> = self.signatures.iter().map(|signature| signature.name).collect();
        Err(Error::UntrustedKey { found: Error::shown(&names.join(", ")) })
    }

    /// The signatures: name, key id, bytes; nothing of them is checked.
    pub(crate) fn signatures(&self) -> impl Iterator<Item = (&'a str, [u8; 4], &[u8])> {
        self.signatures.iter().map(|signature| (signature.name, signature.id, signature.bytes.as_slice()))
    }

    /// The text before any check.
    pub(crate) fn unverified(&self) -> &'a str {
        self.text
    }
}

/// Signs a text, which must end in a line feed.
///
/// ```
/// use twinguard_integrity::{SigningKey, note};
///
/// let key = SigningKey::from_seed("log.example/pump", &[7; 32])?;
/// let signed = note::sign("all is well\n", &key)?;
/// assert_eq!(note::Note::parse(&signed)?.verify(key.public())?, "all is well\n");
/// assert!(note::Note::parse(&signed.replace("well", "bad!"))?.verify(key.public()).is_err());
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
///
/// # Errors
/// [`Error::Text`] for a text that does not end in a line feed or holds control characters.
pub fn sign(text: &str, key: &SigningKey) -> Result<String, Error> {
    if !text.ends_with('\n') {
        return Err(bad(text.lines().count(), "the last line does not end"));
    }
    let note =
        format!("{text}\n{}", line(key.public().name(), key.public().id(), &key.sign(text.as_bytes())));
    Note::parse(&note)?;
    Ok(note)
}

/// A signature line.
pub(crate) fn line(name: &str, id: [u8; 4], signature: &[u8]) -> String {
    format!("— {name} {}\n", base64::encode(&[id.as_slice(), signature].concat()))
}

/// A note with further signature lines, as a witness answers them; those that stand there already are left out.
///
/// Nothing is verified: who reads the note verifies what they know.
///
/// ```
/// use twinguard_integrity::{SigningKey, note};
///
/// let [log, other] = [1, 2].map(|seed| SigningKey::from_seed("log.example", &[seed; 32]));
/// let (log, other) = (log?, other?);
/// let signed = note::sign("all is well\n", &log)?;
/// let lines = note::sign("all is well\n", &other)?.split_once("\n\n").map(|(_, lines)| lines.to_owned());
/// let both = note::with_signatures(&signed, &lines.unwrap_or_default())?;
/// assert!(note::Note::parse(&both)?.verify(other.public()).is_ok());
/// assert!(both.starts_with(&signed));
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
///
/// # Errors
/// As [`Note::parse`], for the note and for lines that are none.
pub fn with_signatures(note: &str, lines: &str) -> Result<String, Error> {
    Note::parse(note)?;
    let mut all = note.to_owned();
    for line in lines.split_inclusive('\n') {
        if !note.split_inclusive('\n').any(|known| known == line) {
            all.push_str(line);
        }
    }
    let read = Note::parse(&all)?;
    if read.text.len() != Note::parse(note)?.text.len() {
        return Err(bad(1, "the lines are no signatures"));
    }
    Ok(all)
}

fn bad(line: usize, reason: &'static str) -> Error {
    Error::Text { what: "note", line, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = "This is an example message.\n\n\
        — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn published_example() {
        // signed-note v1.0.0, "Verifier keys", "Example".
        let key = KEY.parse().unwrap();
        assert_eq!(Note::parse(EXAMPLE).unwrap().verify(&key).unwrap(), "This is an example message.\n");
    }

    #[test]
    fn every_single_bit_flip_is_refused() {
        let key = KEY.parse().unwrap();
        for bit in 0..EXAMPLE.len() * 8 {
            let mut bytes = EXAMPLE.as_bytes().to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert!(
                Note::parse(&text).and_then(|note| note.verify(&key).map(str::len)).is_err(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn signatures_of_strangers_are_ignored_and_wrong_ones_of_ours_are_not() {
        let key = SigningKey::from_seed("a.example", &[1; 32]).unwrap();
        let other = SigningKey::from_seed("b.example", &[2; 32]).unwrap();
        let note = sign("text\n", &other).unwrap();
        let line = |note: &str| note.rsplit_once("\n\n").unwrap().1.to_owned();
        let both = format!("{note}{}", line(&sign("text\n", &key).unwrap()));
        assert!(Note::parse(&both).unwrap().verify(key.public()).is_ok());
        let wrong = format!("{both}{}", line(&sign("other\n", &key).unwrap()));
        assert!(matches!(Note::parse(&wrong).unwrap().verify(key.public()), Err(Error::Signature { .. })));
        assert!(matches!(Note::parse(&note).unwrap().verify(key.public()), Err(Error::UntrustedKey { .. })));
        let sixteen = (0..15u8).fold(both, |note, seed| {
            let key = SigningKey::from_seed(&format!("w{seed}"), &[seed; 32]).unwrap();
            note + &line(&sign("text\n", &key).unwrap())
        });
        assert!(Note::parse(&sixteen).unwrap().verify(key.public()).is_ok());
    }

    proptest! {
        #[test]
        fn texts_with_blank_lines_come_back(lines in proptest::collection::vec("[a-z — ]{0,9}", 0..6)) {
            let key = SigningKey::from_seed("a.example", &[1; 32]).unwrap();
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>() + "end\n";
            let note = sign(&text, &key).unwrap();
            prop_assert_eq!(Note::parse(&note).unwrap().verify(key.public()).unwrap(), text);
        }
    }
}
