use crate::difference::Differences;

/// What this crate refuses, and what keeps it from working.
///
/// [`Error::is_refusal`] tells the two apart: a refusal is a judgement on what was read, the others say that nothing
/// could be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("cannot {action} `{path}`: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Another process holds the journal open for writing.
    #[error("journal `{path}` is in use by another process")]
    Locked {
        /// The journal's directory.
        path: String,
    },
    /// A path that means different things on different systems, or leads out of its directory.
    #[error("path `{path}` is refused: {reason}")]
    Path {
        /// The path, shortened to 200 characters.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Data at rest that cannot be decrypted.
    #[error("`{place}` cannot be decrypted: {reason}")]
    AtRest {
        /// Which data.
        place: String,
        /// Why.
        reason: &'static str,
    },
    /// Two paths that are one path on systems which ignore case, or a file where another path has a directory.
    #[error("paths `{first}` and `{second}` cannot stand side by side on every system")]
    Twins {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// Something other than a file or directory.
    #[error("`{path}` is a {kind}: only regular files and directories can be sealed")]
    NotRegular {
        /// Where.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A directory without files: a seal covers files, so nothing would speak for it.
    #[error("directory `{path}` is empty: a seal covers files only")]
    EmptyDirectory {
        /// Where.
        path: String,
    },
    /// More than the caller allows.
    #[error("more than {limit} {what} at `{place}`")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
        /// Where the count went over.
        place: String,
    },
    /// A key that is not in its text form, or was altered.
    #[error("key is refused: {reason}")]
    Key {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A series name that cannot be used.
    #[error("series `{series}` is refused: {reason}")]
    Series {
        /// The name, shortened to 200 characters.
        series: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A seal that is not in its one canonical form.
    #[error("seal is malformed at byte {offset}: {reason}")]
    Seal {
        /// Offset in the envelope, or in the manifest where `reason` says so.
        offset: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// Signed, but by a key that is not among the trusted ones.
    #[error("signed by key `{found}`, which is not trusted")]
    UntrustedKey {
        /// Id of the key that the signature names.
        found: String,
    },
    /// A part of a file that is not what its tree says, or a tree that is malformed.
    #[error("part {group} of a file is refused: {reason}")]
    Slice {
        /// Which group.
        group: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// An archive that is malformed, or that two readers could understand in two ways.
    #[error("archive entry `{entry}` is refused: {reason}")]
    Archive {
        /// Which entry, or which part of the archive.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An envelope with too few or too many signatures.
    #[error("envelope has {found} signatures, exactly one was expected")]
    SignatureCount {
        /// How many it has.
        found: usize,
    },
    /// JSON that is malformed, says a name twice, or has no canonical form.
    #[error("malformed JSON: {reason}")]
    Json {
        /// What is wrong, with line and column where known.
        reason: String,
    },
    /// A Sigstore bundle or its statement that is not as specified.
    #[error("bundle is malformed at `{place}`: {reason}")]
    Bundle {
        /// Which member.
        place: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Validly signed, but in an encoding that has to be asked for.
    #[error("signed in {what}, which is accepted on demand only")]
    Legacy {
        /// Which encoding.
        what: &'static str,
    },
    /// A set of keys, roles or exclusions that contradicts itself.
    #[error("policy is refused: {reason}")]
    Policy {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A holder signed with one of their keys, and the other's signature is not there.
    #[error("signature of key `{key}` was left out: its holder signs with all of their keys")]
    Stripped {
        /// The key whose signature is missing.
        key: String,
    },
    /// Too few holders signed.
    #[error("{found} of {needed} needed holders signed")]
    Threshold {
        /// How many signed.
        found: usize,
        /// How many have to.
        needed: usize,
    },
    /// A key that was revoked before the seal was entered in the log, or a seal whose entry was not shown.
    #[error("key `{key}` was revoked from log index {from} on: {reason}")]
    Revoked {
        /// The key.
        key: String,
        /// First index at which it no longer counts.
        from: u64,
        /// What was shown instead of an earlier entry.
        reason: &'static str,
    },
    /// A seal, or trusted keys, whose time is over.
    #[error("{what} was valid until second {until}, it is second {now}")]
    Expired {
        /// What.
        what: &'static str,
        /// The last second.
        until: u64,
        /// The second of the judgement.
        now: u64,
    },
    /// A parameter that is malformed, unknown, or not the sealed one.
    #[error("parameter `{name}` is refused: {reason}")]
    Parameter {
        /// Its name, shortened to 200 characters.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Validly sealed, but it does not behave as its golden trajectory says.
    #[error(
        "model does not reproduce its golden trajectory: `{output}` at step {step} is {found}, {expected} is sealed"
    )]
    Behaviour {
        /// Which output.
        output: String,
        /// At which step, from 0.
        step: usize,
        /// The sealed value.
        expected: f64,
        /// What the model gave.
        found: f64,
    },
    /// A signature that does not verify.
    #[error("signature does not verify with key `{key}`")]
    Signature {
        /// Name and id of the key.
        key: String,
    },
    /// Files are not what was sealed.
    #[error("{0}")]
    Differs(Differences),
    /// The seal speaks for another series than the one asked for.
    #[error("seal is for series `{found}`, not `{expected}`")]
    OtherSeries {
        /// The series asked for.
        expected: String,
        /// The series of the seal.
        found: String,
    },
    /// An older version than one that was accepted before.
    #[error(
        "series `{series}` was rolled back: version {version} is older than {seen}, which was accepted before"
    )]
    RolledBack {
        /// The series.
        series: String,
        /// The version offered.
        version: u64,
        /// The highest version accepted so far.
        seen: u64,
    },
    /// A version that was accepted before with other content.
    #[error(
        "series `{series}` has two contents for version {version}: root {root} was accepted before, this is {found}"
    )]
    TwoContents {
        /// The series.
        series: String,
        /// The version.
        version: u64,
        /// The root accepted before.
        root: twinguard_types::Digest,
        /// The root offered.
        found: twinguard_types::Digest,
    },
    /// High-water state that is not in its text form, or was altered.
    #[error("high-water state is malformed at line {line}: {reason}")]
    State {
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// The verified files do not make what was asked for.
    #[error("the sealed files are authentic but cannot be used: {0}")]
    Content(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A signed note, checkpoint or proof that is not in its text form.
    #[error("{what} is malformed at line {line}: {reason}")]
    Text {
        /// What was read.
        what: &'static str,
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A journal entry that is not in its one canonical form, or too long.
    #[error("journal entry is malformed at byte {offset}: {reason}")]
    Leaf {
        /// Offset in the entry.
        offset: usize,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A Merkle proof that does not lead to the root.
    #[error("{what} proof does not lead to the root: {reason}")]
    Proof {
        /// Which kind of proof.
        what: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A part of the journal is not there.
    #[error("journal lacks `{path}`, needed from leaf {leaf} on")]
    Missing {
        /// Which part.
        path: String,
        /// First leaf that cannot be shown without it.
        leaf: u64,
    },
    /// A part of the journal is not what its name says, or ends early.
    #[error("journal part `{path}` is damaged at leaf {leaf}: {reason}")]
    Damaged {
        /// Which part.
        path: String,
        /// First leaf concerned.
        leaf: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The journal holds fewer leaves than were signed for.
    #[error("journal is truncated: {leaves} leaves are left of {signed} that were signed for")]
    Truncated {
        /// Leaves that are left.
        leaves: u64,
        /// Leaves that a checkpoint or proof vouches for.
        signed: u64,
    },
    /// A leaf was edited.
    #[error("journal leaf {leaf} was edited")]
    Edited {
        /// Which leaf.
        leaf: u64,
    },
    /// A leaf stands in another leaf's place.
    #[error("journal was reordered: the entry at leaf {leaf} belongs at {belongs}")]
    Reordered {
        /// Where it stands.
        leaf: u64,
        /// Where it belongs.
        belongs: u64,
    },
    /// Leaves and tiles were both changed; the signed root no longer names one leaf.
    #[error("journal was rewritten between leaf {first} and leaf {last}")]
    Rewritten {
        /// First leaf of the stretch.
        first: u64,
        /// Last leaf of the stretch.
        last: u64,
    },
    /// The journal does not continue what was seen before.
    #[error("journal was forked: its root at size {size} is not the one that was seen before")]
    Forked {
        /// The earlier size.
        size: u64,
    },
    /// A checkpoint of a log that a witness or policy does not know.
    #[error("log `{origin}` is not known here")]
    UnknownLog {
        /// What the checkpoint names.
        origin: String,
    },
    /// A request that starts from another checkpoint than the last one that the witness cosigned.
    #[error("the last cosigned checkpoint has {size} leaves: prove that yours continues that one")]
    Conflict {
        /// Its size.
        size: u64,
    },
    /// A checkpoint with too few cosignatures, or none that is fresh.
    #[error("{found} witnesses cosigned the checkpoint, which is not the quorum `{quorum}`")]
    Unwitnessed {
        /// How many known witnesses did, in time.
        found: usize,
        /// The name of the rule.
        quorum: String,
    },
    /// What is offered as evidence of two histories shows only one.
    #[error("this is no evidence of two histories: {reason}")]
    NoSplit {
        /// Why not.
        reason: &'static str,
    },
    /// Entries were removed although a hold keeps them.
    #[error("leaf {leaf} was pruned in spite of hold `{hold}`")]
    Held {
        /// The first such leaf.
        leaf: u64,
        /// Which hold.
        hold: String,
    },
    /// A handing over of keys that does not follow from the one before.
    #[error("epoch {epoch} is refused: {reason}")]
    Epoch {
        /// Its number.
        epoch: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// Something that runs, or says of itself what runs, is not what was sealed.
    #[error("attestation is refused: {reason}")]
    Attestation {
        /// What is wrong.
        reason: &'static str,
    },
    /// An index or size beyond the journal.
    #[error("journal has {size} leaves, {asked} was asked for")]
    OutOfRange {
        /// What was asked for.
        asked: u64,
        /// How many leaves there are.
        size: u64,
    },
    /// An earlier write failed part-way: open the journal again, which recovers a prefix.
    #[error("journal is closed to writing after a failed write")]
    Broken,
}

impl Error {
    /// Whether this is a judgement on what was read (altered, unsigned, rolled back, malformed), not a failure to read
    /// or write at all.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Io { .. } | Self::Locked { .. } | Self::Broken | Self::OutOfRange { .. })
    }

    /// Text of unknown origin, safe to show: at most 200 characters, control characters escaped.
    pub(crate) fn shown(text: &str) -> String {
        text.chars().take(200).flat_map(char::escape_debug).collect()
    }
}
