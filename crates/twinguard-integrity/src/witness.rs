//! A witness: it cosigns checkpoints of the logs that it knows, and nothing that does not continue what it cosigned before.
//!
//! The state machine of `add-checkpoint` without its network: a request's bytes come in, an answer's bytes or a refusal with its
//! HTTP status go out, and what has to be kept before the answer is sent is handed over first. A log that shows the witness two
//! histories leaves a [`SplitView`] behind, which anybody can verify.
//!
//! Source: C2SP tlog-witness, "add-checkpoint".

use std::collections::BTreeMap;

use twinguard_types::Digest;

use crate::checkpoint::{decimal, digest};
use crate::merkle::{consistency_roots, empty_root, verify_consistency};
use crate::note::Note;
use crate::split_view::SplitView;
use crate::{Checkpoint, Cosigner, Error, PublicKey, base64};

/// Most hashes of a request's proof.
const MOST_HASHES: usize = 63;

/// What a log asks of a witness: to cosign a checkpoint that continues an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Size of the checkpoint that the witness cosigned last; 0 for none.
    pub old: u64,
    /// Proof that the new checkpoint continues it; none for an `old` of 0.
    pub proof: Vec<Digest>,
    /// The signed checkpoint, as it was issued.
    pub checkpoint: String,
}

impl Request {
    /// Reads a request's body.
    ///
    /// # Errors
    /// [`Error::Text`] with the line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |line, reason| Error::Text { what: "request", line, reason };
        let (head, checkpoint) =
            text.split_once("\n\n").ok_or(bad(1, "no blank line comes before a checkpoint"))?;
        let mut lines = head.split('\n').zip(1..);
        let old = lines.next().and_then(|(line, _)| line.strip_prefix("old ")).and_then(decimal);
        let old = old.ok_or(bad(1, "it is not `old` and a decimal number"))?;
        let mut proof = Vec::new();
        for (line, number) in lines {
            if proof.len() == MOST_HASHES {
                return Err(bad(number, "a proof has at most 63 hashes"));
            }
            proof.push(digest(line).ok_or(bad(number, "it is not 32 bytes in canonical base64"))?);
        }
        Checkpoint::unverified(checkpoint)?;
        Ok(Self { old, proof, checkpoint: checkpoint.to_owned() })
    }
}

impl core::fmt::Display for Request {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", base64::encode(&hash.0)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// A witness with its keys, the logs it knows, and the last checkpoint that it cosigned of each.
///
/// ```
/// use twinguard_integrity::{Cosigner, Journal, SigningKey, Witness, note};
/// use twinguard_integrity::witness::Request;
/// use twinguard_types::{Label, Timestamp};
///
/// let log = SigningKey::from_seed("log.example", &[1; 32])?;
/// let mut witness = Witness::new([Cosigner::ed25519("w1.example", &[2; 32])?]);
/// witness.add_log("log.example", [log.public().clone()]);
///
/// let mut journal = Journal::in_memory();
/// journal.append(Label::literal("verdict"), Timestamp::from_secs(1), b"deny")?;
/// let checkpoint = journal.checkpoint(&log)?;
/// let request = Request { old: 0, proof: vec![], checkpoint: checkpoint.clone() };
/// let lines = witness.add_checkpoint(&request.to_string(), 1_700_000_000, |_state| Ok(()))?;
/// assert!(lines.starts_with("— w1.example "));
///
/// // Another history of the same length is not cosigned, and what proves it is kept.
/// let mut other = Journal::in_memory();
/// other.append(Label::literal("verdict"), Timestamp::from_secs(1), b"allow")?;
/// let request = Request { old: 1, proof: vec![], checkpoint: other.checkpoint(&log)? };
/// assert!(witness.add_checkpoint(&request.to_string(), 1_700_000_001, |_| Ok(())).is_err());
/// let evidence = witness.evidence("log.example").expect("two histories");
/// assert_eq!(evidence.verify(log.public())?.size, 1);
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Debug)]
pub struct Witness {
    cosigners: Vec<Cosigner>,
    logs: BTreeMap<Box<str>, Log>,
}

#[derive(Clone, Debug, Default)]
struct Log {
    keys: Vec<PublicKey>,
    /// The last checkpoint that was cosigned, as its log signed it.
    last: Option<(Checkpoint, Box<str>)>,
    evidence: Option<Box<SplitView>>,
}

impl Witness {
    /// A witness with these keys, which all cosign; it knows no log yet.
    #[must_use]
    pub fn new(cosigners: impl IntoIterator<Item = Cosigner>) -> Self {
        Self { cosigners: cosigners.into_iter().collect(), logs: BTreeMap::new() }
    }

    /// Adds a log by its origin, with the keys that sign for it.
    pub fn add_log(&mut self, origin: &str, keys: impl IntoIterator<Item = PublicKey>) {
        self.logs.entry(origin.into()).or_default().keys.extend(keys);
    }

    /// The last checkpoint of a log that was cosigned, as the log signed it.
    #[must_use]
    pub fn last(&self, origin: &str) -> Option<&str> {
        self.logs.get(origin)?.last.as_ref().map(|(_, note)| &**note)
    }

    /// What proves that a log showed two histories, since it was asked.
    #[must_use]
    pub fn evidence(&self, origin: &str) -> Option<&SplitView> {
        self.logs.get(origin)?.evidence.as_deref()
    }

    /// Judges a request and, if it holds, cosigns its checkpoint at second `now` since 1970.
    ///
    /// `keep` is given the witness's new state ([`Witness::state`]) and has to make it last; only then the cosignature lines are
    /// given. If it fails, nothing was cosigned and nothing is remembered.
    ///
    /// # Errors
    /// The refusals of the specification, whose HTTP status [`status`] gives; whatever `keep` says.
    pub fn add_checkpoint(
        &mut self,
        request: &str,
        now: u64,
        keep: impl FnOnce(&str) -> Result<(), Error>,
    ) -> Result<String, Error> {
        let request = Request::parse(request)?;
        let note = Note::parse(&request.checkpoint)?;
        let head = Checkpoint::parse(note.unverified())?;
        let log = self.logs.get_mut(&*head.origin);
        let log = log.ok_or_else(|| Error::UnknownLog { origin: Error::shown(&head.origin) })?;
        signed_by_any(&note, &log.keys)?;
        if request.old > head.size {
            return Err(Error::Text {
                what: "request",
                line: 1,
                reason: "its old size is beyond its checkpoint",
            });
        }
        if log.evidence.is_none() {
            log.evidence = log.last.as_ref().and_then(|last| contradiction(last, &head, &request));
        }
        let (old, root) = log.last.as_ref().map_or((0, empty_root()), |(last, _)| (last.size, last.root));
        if request.old != old {
            return Err(Error::Conflict { size: old });
        }
        continues((old, &root), &head, &request.proof)?;
        let lines: String = self
            .cosigners
            .iter()
            .map(|cosigner| cosigner.cosign(&request.checkpoint, now))
            .collect::<Result<_, _>>()?;
        let origin = head.origin.clone();
        let before = log.last.replace((head, request.checkpoint.into()));
        let kept = keep(&self.state());
        if let (Err(_), Some(log)) = (&kept, self.logs.get_mut(&*origin)) {
            log.last = before;
        }
        kept.map(|()| lines)
    }

    /// What has to be kept: one line for each log with its last checkpoint, in base64, then a checksum over what comes before.
    #[must_use]
    pub fn state(&self) -> String {
        let mut text = String::from(HEADER);
        for (_, note) in self.logs.values().filter_map(|log| log.last.as_ref()) {
            text.push_str(&base64::encode(note.as_bytes()));
            text.push('\n');
        }
        let sum = blake3::hash(text.as_bytes());
        text + &format!("blake3 {sum}\n")
    }

    /// Goes on from a state; the logs have to be known already.
    ///
    /// # Errors
    /// [`Error::State`] for a text that is none, [`Error::UnknownLog`], [`Error::UntrustedKey`] and [`Error::Signature`] for
    /// checkpoints that no known log signed.
    pub fn restore(&mut self, state: &str) -> Result<(), Error> {
        let line = |line, reason| Error::State { line, reason };
        let body = state.strip_prefix(HEADER).ok_or(line(1, "it is not `twinguard witness 1`"))?;
        let (notes, _) = body.rsplit_once("blake3 ").ok_or(line(2, "it has no checksum"))?;
        let mut logs = self.logs.clone();
        logs.values_mut().for_each(|log| log.last = None);
        for (encoded, number) in notes.lines().zip(2..) {
            let note = base64::decode(encoded.as_bytes()).and_then(|note| String::from_utf8(note).ok());
            let note = note.ok_or(line(number, "it is not a note in base64"))?;
            let parsed = Note::parse(&note)?;
            let head = Checkpoint::parse(parsed.unverified())?;
            let log = logs.get_mut(&*head.origin);
            let log = log.ok_or_else(|| Error::UnknownLog { origin: Error::shown(&head.origin) })?;
            signed_by_any(&parsed, &log.keys)?;
            log.last = Some((head, note.into()));
        }
        let before = core::mem::replace(&mut self.logs, logs);
        if self.state() != state {
            self.logs = before;
            return Err(line(state.lines().count(), "the checksum or the spelling is not right"));
        }
        Ok(())
    }
}

const HEADER: &str = "twinguard witness 1\n";

/// The HTTP status of a refusal of [`Witness::add_checkpoint`].
#[must_use]
pub fn status(refusal: &Error) -> u16 {
    match refusal {
        Error::UnknownLog { .. } => 404,
        // A signature that is none makes a note malformed, and is answered like one that does not verify.
        Error::UntrustedKey { .. } | Error::Signature { .. } | Error::Text { what: "note", .. } => 403,
        Error::Conflict { .. } => 409,
        Error::Proof { .. } => 422,
        Error::Io { .. } | Error::Broken | Error::Key { .. } => 500,
        _ => 400,
    }
}

fn signed_by_any(note: &Note<'_>, keys: &[PublicKey]) -> Result<(), Error> {
    let mut signed = false;
    let mut refusal = Error::UntrustedKey { found: String::new() };
    for key in keys {
        match note.verify(key) {
            Ok(_) => signed = true,
            Err(error @ Error::UntrustedKey { .. }) => refusal = error,
            Err(error) => return Err(error),
        }
    }
    if signed { Ok(()) } else { Err(refusal) }
}

fn continues((old, root): (u64, &Digest), head: &Checkpoint, proof: &[Digest]) -> Result<(), Error> {
    let fail = |reason| Err(Error::Proof { what: "consistency", reason });
    if head.size == 0 && head.root != empty_root() {
        return fail("a tree without leaves has another root");
    }
    match (old, proof) {
        (0, []) => Ok(()),
        (0, _) => fail("it is too long"),
        _ => verify_consistency((old, root), (head.size, &head.root), proof),
    }
}

/// What the log signed twice, where the two cannot both be true.
fn contradiction(
    last: &(Checkpoint, Box<str>),
    head: &Checkpoint,
    request: &Request,
) -> Option<Box<SplitView>> {
    let (known, note) = last;
    let view = if known.size == head.size {
        SplitView::new(note, &request.checkpoint, None)
    } else if known.size == request.old && known.size > 0 {
        // The proof leads to the root that the log signed now, and to another one than it signed then.
        let subtree = (0..known.size, &known.root);
        let (before, after) = consistency_roots(subtree, head.size, &request.proof).ok()?;
        (after == head.root).then_some(())?;
        SplitView::new(note, &request.checkpoint, Some((before, request.proof.clone())))
    } else {
        return None;
    };
    view.ok().map(Box::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Journal, SigningKey, note};
    use proptest::prelude::*;
    use twinguard_types::{Label, Timestamp};

    fn key() -> SigningKey {
        SigningKey::from_seed("log.example", &[1; 32]).unwrap()
    }

    fn witness() -> Witness {
        let mut witness = Witness::new([Cosigner::ed25519("w1.example", &[2; 32]).unwrap()]);
        witness.add_log("log.example", [key().public().clone()]);
        witness
    }

    fn journal(size: u64, different_at: Option<u64>) -> Journal {
        let mut journal = Journal::in_memory();
        for n in 0..size {
            let body: &[u8] = if different_at == Some(n) { b"other" } else { b"same" };
            journal.append(Label::literal("tick"), Timestamp::from_secs(n as i64), body).unwrap();
        }
        journal
    }

    fn request(journal: &mut Journal, old: u64) -> String {
        let proof = if old == 0 { vec![] } else { journal.consistency_proof(old, journal.size()).unwrap() };
        Request { old, proof, checkpoint: journal.checkpoint(&key()).unwrap() }.to_string()
    }

    #[test]
    fn it_follows_a_log_and_its_state_survives() {
        let mut witness = witness();
        for (old, size) in [(0, 0), (0, 5), (5, 5), (5, 8), (8, 300)] {
            let mut journal = journal(size, None);
            let asked = request(&mut journal, old);
            let lines = witness.add_checkpoint(&asked, 1_000 + size, |_| Ok(())).unwrap();
            let cosigned = note::with_signatures(witness.last("log.example").unwrap(), &lines).unwrap();
            let key = witness.cosigners[0].public();
            assert_eq!(key.cosigned(&cosigned).unwrap(), Some(1_000 + size));
            let mut again = super::tests::witness();
            again.restore(&witness.state()).unwrap();
            assert_eq!(again.state(), witness.state());
            witness = again;
        }
        let state = witness.state();
        for bit in (0..state.len() * 8).step_by(11) {
            let mut bytes = state.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert!(super::tests::witness().restore(&text).is_err(), "bit {bit}");
        }
        assert!(Witness::new([]).restore(&state).is_err());
    }

    #[test]
    fn what_cannot_be_kept_is_not_cosigned() {
        let mut witness = witness();
        let asked = request(&mut journal(3, None), 0);
        assert!(matches!(witness.add_checkpoint(&asked, 1, |_| Err(Error::Broken)), Err(Error::Broken)));
        assert_eq!(witness.last("log.example"), None);
        witness.add_checkpoint(&asked, 1, |_| Ok(())).unwrap();
    }

    #[test]
    fn each_refusal_has_its_status() {
        let refused = |witness: &mut Witness, request: &str| {
            status(&witness.add_checkpoint(request, 9, |_| Ok(())).unwrap_err())
        };
        let mut witness = witness();
        witness.add_checkpoint(&request(&mut journal(5, None), 0), 1, |_| Ok(())).unwrap();
        let good = request(&mut journal(8, None), 5);
        assert_eq!(refused(&mut witness, &good.replace("old 5", "old 4")), 409);
        assert_eq!(refused(&mut witness, &good.replace("old 5", "old 05")), 400);
        assert_eq!(refused(&mut witness, &good.replace("old 5", "old 9")), 400);
        assert_eq!(refused(&mut witness, &good.replace("log.example\n8", "log2.example\n8")), 404);
        assert_eq!(refused(&mut witness, &good.replace("log.example\n8", "log.example\n9")), 403);
        assert_eq!(refused(&mut witness, &request(&mut journal(8, Some(1)), 5)), 422);
        let mut no_proof = Request::parse(&good).unwrap();
        no_proof.proof.clear();
        assert_eq!(refused(&mut witness, &no_proof.to_string()), 422);
        let other = SigningKey::from_seed("log.example", &[7; 32]).unwrap();
        no_proof.checkpoint = journal(8, None).checkpoint(&other).unwrap();
        assert_eq!(refused(&mut witness, &no_proof.to_string()), 403);
        witness.add_checkpoint(&good, 9, |_| Ok(())).unwrap();
    }

    #[test]
    fn two_histories_leave_evidence_that_anybody_can_verify() {
        // Of one length; of two, where the log proves what it has now; also where the old size is a power of two.
        for (old, new) in [(5, 5), (5, 8), (6, 20), (7, 7)] {
            let mut witness = witness();
            witness.add_checkpoint(&request(&mut journal(old, None), 0), 1, |_| Ok(())).unwrap();
            let asked = request(&mut journal(new, Some(2)), old);
            assert_eq!(status(&witness.add_checkpoint(&asked, 2, |_| Ok(())).unwrap_err()), 422);
            let evidence = witness.evidence("log.example").unwrap();
            assert_eq!(evidence.verify(key().public()).unwrap().size, old);
            let again: SplitView = evidence.to_string().parse().unwrap();
            assert_eq!(again, *evidence);
            let stranger = SigningKey::from_seed("log.example", &[9; 32]).unwrap();
            assert!(evidence.verify(stranger.public()).is_err());
        }
        // An honest log leaves none, whatever is sent in its name.
        let mut witness = witness();
        witness.add_checkpoint(&request(&mut journal(5, None), 0), 1, |_| Ok(())).unwrap();
        let mut bad = Request::parse(&request(&mut journal(8, None), 5)).unwrap();
        bad.proof[0].0[0] ^= 1;
        assert!(witness.add_checkpoint(&bad.to_string(), 2, |_| Ok(())).is_err());
        assert!(witness.evidence("log.example").is_none());
    }

    proptest! {
        #[test]
        fn any_request_is_written_as_it_was_read(text in "(old |0|5|\n|— log.example |[A-Za-z0-9+/=]{0,44}){0,20}") {
            if let Ok(request) = Request::parse(&text) {
                prop_assert_eq!(request.to_string(), text);
            }
        }
    }
}
