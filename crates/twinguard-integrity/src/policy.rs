//! Which logs to believe, and how many witnesses have to have seen a checkpoint.
//!
//! A log that shows one history to one reader and another to the next is caught only when independent witnesses, who sign
//! nothing but one growing history, cosigned what was shown. How many of which is this policy's rule.
//!
//! Source: C2SP tlog-policy. Limits of ours: a policy is UTF-8, and has at most 256 logs, witnesses and groups each.

use crate::cosignature::CosignerKey;
use crate::note::Note;
use crate::{Checkpoint, Error, PublicKey};

/// Most logs, witnesses, groups.
const MOST: usize = 256;
/// Longest text in bytes: an ML-DSA-44 key takes 1.8 KB.
const LONGEST: usize = 1 << 20;

/// Logs, witnesses, groups of them, and the quorum.
///
/// ```
/// use twinguard_integrity::{Checkpoint, Cosigner, Policy, SigningKey, merkle, note};
///
/// let log = SigningKey::from_seed("log.example", &[1; 32])?;
/// let witnesses = [2, 3, 4].map(|seed| Cosigner::ed25519(&format!("w{seed}.example"), &[seed; 32]));
/// let [a, b, c] = witnesses;
/// let (a, b, c) = (a?, b?, c?);
/// let text = format!(
///     "log {}\nwitness A {}\nwitness B {}\nwitness C {}\ngroup two 2 A B C\nquorum two\n",
///     log.public(), a.public(), b.public(), c.public()
/// );
/// let policy: Policy = text.parse()?;
///
/// let signed = Checkpoint::new("log.example", 0, merkle::empty_root()).sign(&log)?;
/// let one = note::with_signatures(&signed, &a.cosign(&signed, 1_000)?)?;
/// assert!(policy.verify(&one).is_err());
/// let two = note::with_signatures(&one, &c.cosign(&signed, 1_002)?)?;
/// assert_eq!(policy.verify(&two)?.witnesses.len(), 2);
/// // A day later that no longer says that this is the newest checkpoint.
/// assert!(policy.verify_fresh(&two, 1_000 + 86_400, 3_600).is_err());
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PublicKey>,
    witnesses: Vec<(Box<str>, CosignerKey)>,
    groups: Vec<Group>,
    quorum: Option<Member>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: Box<str>,
    threshold: usize,
    members: Vec<Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// A checkpoint that a policy accepts, and who cosigned it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Witnessed {
    /// The signed head.
    pub checkpoint: Checkpoint,
    /// Names of the witnesses as the policy has them, with the second since 1970 at which they last cosigned it.
    pub witnesses: Vec<(String, u64)>,
}

impl Policy {
    /// `threshold` of these witnesses, for these logs; 0 asks for none.
    ///
    /// # Errors
    /// [`Error::Policy`] for a key that stands twice, or a threshold beyond the number of witnesses.
    pub fn new(
        logs: impl IntoIterator<Item = PublicKey>,
        witnesses: impl IntoIterator<Item = CosignerKey>,
        threshold: usize,
    ) -> Result<Self, Error> {
        let mut policy = Self::empty();
        logs.into_iter().try_for_each(|log| policy.add_log(log))?;
        for witness in witnesses {
            policy.add_witness(witness.name().into(), witness)?;
        }
        let count = policy.witnesses.len();
        if threshold > count {
            return Err(refuse("its threshold is more than its witnesses"));
        }
        if threshold > 0 {
            let members = (0..count).map(Member::Witness).collect();
            policy.groups.push(Group { name: format!("{threshold} of {count}").into(), threshold, members });
            policy.quorum = Some(Member::Group(0));
        }
        Ok(policy)
    }

    fn empty() -> Self {
        Self { logs: Vec::new(), witnesses: Vec::new(), groups: Vec::new(), quorum: None }
    }

    /// The logs.
    #[must_use]
    pub fn logs(&self) -> &[PublicKey] {
        &self.logs
    }

    /// The witnesses, under the policy's names.
    pub fn witnesses(&self) -> impl Iterator<Item = (&str, &CosignerKey)> {
        self.witnesses.iter().map(|(name, key)| (&**name, key))
    }

    /// Whether a checkpoint is signed by one of the logs and cosigned by the quorum.
    ///
    /// # Errors
    /// As [`Note::parse`] and [`Checkpoint::parse`]; [`Error::UnknownLog`], [`Error::UntrustedKey`], [`Error::Signature`] for a
    /// line of a known key that does not verify, [`Error::Unwitnessed`].
    pub fn verify(&self, note: &str) -> Result<Witnessed, Error> {
        self.judge(note, |_| true)
    }

    /// [`Policy::verify`], counting only cosignatures of at most `age` seconds before or after second `now`: the quorum says that
    /// this was the newest checkpoint then, so an old one cannot be shown as the present one.
    ///
    /// # Errors
    /// As [`Policy::verify`].
    pub fn verify_fresh(&self, note: &str, now: u64, age: u64) -> Result<Witnessed, Error> {
        self.judge(note, |time| now.abs_diff(time) <= age)
    }

    fn judge(&self, text: &str, counts: impl Fn(u64) -> bool) -> Result<Witnessed, Error> {
        let note = Note::parse(text)?;
        let head = Checkpoint::parse(note.unverified())?;
        let mut known = self.logs.iter().filter(|log| log.name() == head.origin).peekable();
        if known.peek().is_none() {
            return Err(Error::UnknownLog { origin: Error::shown(&head.origin) });
        }
        // One of several keys of a log suffices; one that is named and does not verify never passes.
        let mut signed = Err(Error::UntrustedKey { found: String::new() });
        for log in known {
            match note.verify(log) {
                Err(Error::UntrustedKey { found }) if signed.is_err() => {
                    signed = Err(Error::UntrustedKey { found });
                }
                Err(Error::UntrustedKey { .. }) => {}
                other => signed = Ok(other?),
            }
        }
        signed?;
        let (mut witnesses, mut seen) = (Vec::new(), Vec::with_capacity(self.witnesses.len()));
        for (name, key) in &self.witnesses {
            let time = key.cosigned_head(&note, &head)?.filter(|time| counts(*time));
            witnesses.extend(time.map(|time| (name.to_string(), time)));
            seen.push(time.is_some());
        }
        let mut met: Vec<bool> = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let holds = group.members.iter().filter(|member| holds(member, &seen, &met)).count();
            met.push(holds >= group.threshold);
        }
        if self.quorum.is_some_and(|member| !holds(&member, &seen, &met)) {
            return Err(Error::Unwitnessed { found: witnesses.len(), quorum: self.quorum_name() });
        }
        Ok(Witnessed { checkpoint: head, witnesses })
    }

    fn quorum_name(&self) -> String {
        let name = match self.quorum {
            None => None,
            Some(Member::Witness(at)) => self.witnesses.get(at).map(|(name, _)| name),
            Some(Member::Group(at)) => self.groups.get(at).map(|group| &group.name),
        };
        Error::shown(name.map_or("none", |name| name))
    }

    fn add_log(&mut self, log: PublicKey) -> Result<(), Error> {
        if self.logs.iter().any(|known| known.to_bytes() == log.to_bytes()) {
            return Err(refuse("a log's key stands twice"));
        }
        if self.logs.len() == MOST {
            return Err(refuse("it has more than 256 logs"));
        }
        self.logs.push(log);
        Ok(())
    }

    fn add_witness(&mut self, name: Box<str>, key: CosignerKey) -> Result<(), Error> {
        if self.witnesses.iter().any(|(_, known)| known.same_key(&key)) {
            return Err(refuse("a witness's key stands twice"));
        }
        if self.witnesses.len() == MOST {
            return Err(refuse("it has more than 256 witnesses"));
        }
        self.witnesses.push((name, key));
        Ok(())
    }

    fn named(&self, name: &str) -> Option<Member> {
        let witness = self.witnesses.iter().position(|(known, _)| **known == *name).map(Member::Witness);
        witness.or_else(|| self.groups.iter().position(|group| *group.name == *name).map(Member::Group))
    }

    fn fresh_name(&self, name: &str) -> Result<(), &'static str> {
        if name == "none" || self.named(name).is_some() {
            return Err("the name is taken");
        }
        Ok(())
    }

    /// A line without comment and spaces at its ends, in words; tells whether it was the quorum's.
    fn line(&mut self, words: &[&str]) -> Result<bool, &'static str> {
        match words {
            ["log", key] | ["log", key, _] => {
                let key = key.parse().map_err(|_| "it is not a log's key")?;
                self.add_log(key).map_err(|_| "the log's key stands twice, or there are too many")?;
            }
            ["witness", name, key] | ["witness", name, key, _] => {
                self.fresh_name(name)?;
                let key = key.parse().map_err(|_| "it is not a witness's key of a kind that is read here")?;
                self.add_witness((*name).into(), key)
                    .map_err(|_| "the witness's key stands twice, or there are too many")?;
            }
            ["group", name, threshold, members @ ..] if !members.is_empty() => {
                self.fresh_name(name)?;
                if self.groups.len() == MOST {
                    return Err("there are more than 256 groups");
                }
                let members: Vec<Member> = members
                    .iter()
                    .map(|name| self.named(name).ok_or("it names somebody who is not defined above"))
                    .collect::<Result<_, _>>()?;
                // Whoever stands in a group may stand in no other: nobody counts twice.
                let taken = |member: &Member| self.groups.iter().any(|group| group.members.contains(member));
                let twice = members
                    .iter()
                    .enumerate()
                    .any(|(at, member)| members.iter().take(at).any(|m| m == member));
                if twice || members.iter().any(taken) {
                    return Err("somebody is a member twice");
                }
                let threshold = match *threshold {
                    "all" => members.len(),
                    "any" => 1,
                    number => crate::checkpoint::decimal(number)
                        .and_then(|number| usize::try_from(number).ok())
                        .filter(|number| (1..=members.len()).contains(number))
                        .ok_or("its threshold is not `all`, `any`, or a number of its members")?,
                };
                self.groups.push(Group { name: (*name).into(), threshold, members });
            }
            ["quorum", "none"] => return Ok(true),
            ["quorum", name] => {
                self.quorum = Some(self.named(name).ok_or("it names somebody who is not defined above")?);
                return Ok(true);
            }
            _ => return Err("it is no line of a policy"),
        }
        Ok(false)
    }
}

fn holds(member: &Member, seen: &[bool], met: &[bool]) -> bool {
    match *member {
        Member::Witness(at) => seen.get(at),
        Member::Group(at) => met.get(at),
    }
    .copied()
    .unwrap_or(false)
}

impl core::str::FromStr for Policy {
    type Err = Error;

    /// Reads a policy file.
    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |line, reason| Error::Text { what: "policy", line, reason };
        if text.len() > LONGEST {
            return Err(Error::Limit { what: "bytes", limit: LONGEST as u64, place: "policy".to_owned() });
        }
        let text =
            text.strip_suffix('\n').ok_or(bad(text.lines().count().max(1), "the last line does not end"))?;
        let (mut policy, mut quorum) = (Self::empty(), false);
        for (line, number) in text.split('\n').zip(1..) {
            if line.chars().any(|c| (c < ' ' && c != '\t') || c == '\u{7f}') {
                return Err(bad(number, "it holds a control character"));
            }
            let words: Vec<_> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            if words.first().is_none_or(|word| word.starts_with('#')) {
                continue;
            }
            if policy.line(&words).map_err(|reason| bad(number, reason))?
                && core::mem::replace(&mut quorum, true)
            {
                return Err(bad(number, "it is a second quorum"));
            }
        }
        if quorum { Ok(policy) } else { Err(bad(text.matches('\n').count() + 1, "it names no quorum")) }
    }
}

fn refuse(reason: &'static str) -> Error {
    Error::Policy { reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cosigner, SigningKey, merkle, note};
    use proptest::prelude::*;

    fn log() -> SigningKey {
        SigningKey::from_seed("log.example", &[1; 32]).unwrap()
    }

    fn witness(seed: u8) -> Cosigner {
        Cosigner::ed25519(&format!("w{seed}.example"), &[seed; 32]).unwrap()
    }

    fn cosigned(seeds: &[u8]) -> String {
        let signed = Checkpoint::new("log.example", 0, merkle::empty_root()).sign(&log()).unwrap();
        seeds.iter().fold(signed, |note, seed| {
            note::with_signatures(&note, &witness(*seed).cosign(&note, 100 + u64::from(*seed)).unwrap())
                .unwrap()
        })
    }

    /// The example of tlog-policy: two of three and one of three.
    fn example() -> String {
        let mut text = format!("# an example\n\nlog {}\n", log().public());
        for seed in 11..=16u8 {
            let name = if seed < 14 { "X" } else { "Y" };
            text += &format!("\twitness {name}{seed}  {} https://w.example/\n", witness(seed).public());
        }
        text + "group X-witnesses 2 X11 X12 X13\ngroup Y-witnesses any Y14 Y15 Y16\n\
                group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    }

    #[test]
    fn the_published_example_counts_groups() {
        let policy: Policy = example().parse().unwrap();
        assert_eq!(policy.verify(&cosigned(&[11, 13, 16])).unwrap().witnesses.len(), 3);
        for too_few in [&[11, 16][..], &[11, 12, 13], &[14, 15, 16], &[]] {
            assert!(
                matches!(policy.verify(&cosigned(too_few)), Err(Error::Unwitnessed { .. })),
                "{too_few:?}"
            );
        }
        // Strangers count for nothing, however many.
        assert!(policy.verify(&cosigned(&[11, 14, 21, 22, 23])).is_err());
    }

    #[test]
    fn only_fresh_cosignatures_speak_for_the_newest_checkpoint() {
        let keys = [11, 12, 13].map(|seed| witness(seed).public().clone());
        let policy = Policy::new([log().public().clone()], keys, 2).unwrap();
        let note = cosigned(&[11, 12, 13]);
        assert_eq!(policy.verify_fresh(&note, 112, 1).unwrap().witnesses.len(), 3);
        assert_eq!(policy.verify_fresh(&note, 114, 2).unwrap().witnesses.len(), 2);
        assert!(matches!(policy.verify_fresh(&note, 115, 2), Err(Error::Unwitnessed { found: 1, .. })));
    }

    #[test]
    fn another_log_and_another_key_are_refused() {
        let policy: Policy = example().parse().unwrap();
        let other = SigningKey::from_seed("other.example", &[9; 32]).unwrap();
        let note = Checkpoint::new("other.example", 0, merkle::empty_root()).sign(&other).unwrap();
        assert!(matches!(policy.verify(&note), Err(Error::UnknownLog { .. })));
        let twin = SigningKey::from_seed("log.example", &[9; 32]).unwrap();
        let note = Checkpoint::new("log.example", 0, merkle::empty_root()).sign(&twin).unwrap();
        assert!(matches!(policy.verify(&note), Err(Error::UntrustedKey { .. })));
    }

    #[test]
    fn what_no_policy_may_say_is_refused() {
        let (a, b) = (witness(11).public().to_string(), witness(12).public().to_string());
        let witnesses = format!("witness A {a}\nwitness B {b}\n");
        for (bad, reason) in [
            (String::new(), "end"),
            (witnesses.clone(), "no quorum"),
            (format!("{witnesses}quorum none\nquorum A\n"), "second quorum"),
            (format!("{witnesses}quorum C\n"), "not defined"),
            (format!("{witnesses}group g 3 A B\nquorum g\n"), "threshold"),
            (format!("{witnesses}group g 0 A B\nquorum g\n"), "threshold"),
            (format!("{witnesses}group g 01 A B\nquorum g\n"), "threshold"),
            (format!("{witnesses}group g all A A\nquorum g\n"), "twice"),
            (format!("{witnesses}group g all A\ngroup h all A B\nquorum h\n"), "twice"),
            (format!("{witnesses}group g all\nquorum g\n"), "no line"),
            (format!("{witnesses}group A all B\nquorum A\n"), "taken"),
            (format!("{witnesses}witness none {a}\nquorum none\n"), "taken"),
            (format!("{witnesses}witness C {a}\nquorum A\n"), "twice"),
            (format!("group g all A\n{witnesses}quorum g\n"), "not defined"),
            (format!("{witnesses}quorum A\r\n"), "control"),
            (format!("log {a}\nquorum none\n"), "not a log"),
            (format!("witness L {}\nquorum L\n", log().public()), "not a witness"),
            (format!("{witnesses}quorum A"), "end"),
        ] {
            let error = bad.parse::<Policy>().unwrap_err().to_string();
            assert!(error.contains(reason), "{bad:?}: {error}");
        }
        assert!("quorum none\n".parse::<Policy>().is_ok());
        let key = |seed| witness(seed).public().clone();
        assert!(Policy::new([], [key(11)], 2).is_err() && Policy::new([], [key(11), key(11)], 1).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(log|witness|group|quorum|none|any|[a-c 12\n#\t]){0,60}") {
            let _ = text.parse::<Policy>();
        }
    }
}
