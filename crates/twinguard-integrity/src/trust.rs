//! Whose seals count: signed, versioned, rotated by those who were trusted before.
//!
//! A root of trust names two roles: those who may change it, and those whose seals count, each with a threshold. The next version
//! is accepted when enough of the **old** root's holders and enough of the **new** one's signed it, and its number is the next
//! one: so keys are exchanged without anybody having to come by, and no version can be left out or brought back.
//!
//! Format 1, integers big-endian, in an envelope of the type `application/vnd.twinguard.trust.v1`:
//! ```text
//! u8 format = 1     u64 version, from 1     u64 last second of validity, 0 for no end
//! twice, for the root's and the seals' role: u8 threshold, u8 number of holders; for each: u8 number of keys; each a key
//! u16 number of revocations; for each: a key, u64 first log index at which it does not count
//! a key: u16 length, its text (UTF-8: `name+id+base64`, or PEM)
//! ```
//! Source: The Update Framework specification §4.3 (root role), §5.3 (updating it), §6.1 (key management).

use twinguard_types::Digest;

use crate::cursor::Cursor;
use crate::envelope::Envelope;
use crate::signature::{Role, Signer, VerifyingKey};
use crate::{Error, Holder, Trust};

/// Media type of the signed bytes, [`TrustRoot::encode`].
pub const PAYLOAD_TYPE: &str = "application/vnd.twinguard.trust.v1";
const FORMAT: u8 = 1;

/// Whose seals count, and who may change that.
///
/// ```
/// use twinguard_integrity::trust::TrustRoot;
/// use twinguard_integrity::{Role, SigningKey};
///
/// let [old, new, vendor] = [1, 2, 3].map(|seed| SigningKey::from_seed("vendor.example", &[seed; 32]));
/// let (old, new, vendor) = (old?, new?, vendor?);
/// let role = |key: &SigningKey| Role::new([key.public().clone().into()], 1);
///
/// let first = TrustRoot::new(1, role(&old)?, role(&vendor)?)?;
/// let trusted = TrustRoot::pinned(&first.sign(&[&old])?, &first.digest())?;
///
/// // The next version has another root key: the old and the new one sign it.
/// let second = TrustRoot::new(2, role(&new)?, role(&vendor)?)?;
/// assert!(trusted.next(&second.sign(&[&new])?).is_err());
/// assert_eq!(trusted.next(&second.sign(&[&old, &new])?)?, second);
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRoot {
    version: u64,
    valid_until: u64,
    root: Role,
    seals: Role,
    revoked: Vec<(VerifyingKey, u64)>,
}

impl TrustRoot {
    /// A version, with who may change it and whose seals count.
    ///
    /// # Errors
    /// [`Error::Policy`] for version 0, or more than 255 holders or keys of one.
    pub fn new(version: u64, root: Role, seals: Role) -> Result<Self, Error> {
        if version == 0 {
            return Err(Error::Policy { reason: "its version is zero" });
        }
        let small = |role: &Role| {
            role.holders.len() < 256 && role.holders.iter().all(|holder| holder.keys().len() < 256)
        };
        if !small(&root) || !small(&seals) {
            return Err(Error::Policy {
                reason: "a role has more than 255 holders, or one of them more than 255 keys",
            });
        }
        Ok(Self { version, valid_until: 0, root, seals, revoked: Vec::new() })
    }

    /// The last second, since 1970, in which it is valid; 0 for no end.
    #[must_use]
    pub fn valid_until(mut self, second: u64) -> Self {
        self.valid_until = second;
        self
    }

    /// Does not count a key, except on seals that a log holds at an index below `from`.
    #[must_use]
    pub fn revoke(mut self, key: VerifyingKey, from: u64) -> Self {
        self.revoked.push((key, from));
        self
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// BLAKE3 of its bytes: what a device that trusts nothing yet is given.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest(*blake3::hash(&self.encode()).as_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&self.valid_until.to_be_bytes());
        for role in [&self.root, &self.seals] {
            // Counts were checked where the root was made.
            out.extend_from_slice(&[role.threshold as u8, role.holders.len() as u8]);
            for holder in &role.holders {
                out.push(holder.keys().len() as u8);
                holder.keys().iter().for_each(|key| write_key(key, &mut out));
            }
        }
        out.extend_from_slice(&(self.revoked.len() as u16).to_be_bytes());
        for (key, from) in &self.revoked {
            write_key(key, &mut out);
            out.extend_from_slice(&from.to_be_bytes());
        }
        out
    }

    /// Reads its bytes.
    ///
    /// # Errors
    /// [`Error::Seal`] with the offset for any bytes that [`TrustRoot::encode`] does not write; [`Error::Key`],
    /// [`Error::Policy`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        let short = |cursor: &Cursor<'_>| Error::Seal {
            offset: cursor.offset(),
            reason: "the root of trust ends early",
        };
        if cursor.u8() != Some(FORMAT) {
            return Err(Error::Seal { offset: 0, reason: "the root of trust's format is not 1" });
        }
        let version = cursor.u64().ok_or(short(&cursor))?;
        let valid_until = cursor.u64().ok_or(short(&cursor))?;
        let mut role = || -> Result<Role, Error> {
            let threshold = cursor.u8().ok_or(short(&cursor))?;
            let count = cursor.u8().ok_or(short(&cursor))?;
            let mut holders = Vec::new();
            for _ in 0..count {
                let keys = cursor.u8().ok_or(short(&cursor))?;
                let keys: Vec<_> = (0..keys).map(|_| read_key(&mut cursor)).collect::<Result<_, _>>()?;
                holders.push(Holder::new(keys)?);
            }
            Role::new(holders, threshold.into())
        };
        let (root, seals) = (role()?, role()?);
        let mut all = Self::new(version, root, seals)?.valid_until(valid_until);
        for _ in 0..cursor.u16().ok_or(short(&cursor))? {
            let key = read_key(&mut cursor)?;
            all = all.revoke(key, cursor.u64().ok_or(short(&cursor))?);
        }
        if !cursor.is_empty() || all.encode() != bytes {
            return Err(Error::Seal {
                offset: cursor.offset(),
                reason: "the root of trust is not in its one form",
            });
        }
        Ok(all)
    }

    /// An envelope over it.
    ///
    /// # Errors
    /// As [`Signer::sign_message`]; [`Error::SignatureCount`]; [`Error::Policy`] for more than 65,535 revocations.
    pub fn sign(&self, signers: &[&dyn Signer]) -> Result<Vec<u8>, Error> {
        if self.revoked.len() > usize::from(u16::MAX) {
            return Err(Error::Policy { reason: "it has more than 65535 revocations" });
        }
        Ok(Envelope::sign(PAYLOAD_TYPE, self.encode(), signers)?.encode(PAYLOAD_TYPE))
    }

    /// The root of a digest that came another way; its own root role has to have signed it.
    ///
    /// # Errors
    /// As [`TrustRoot::parse`] and [`crate::seal::verify_role`]; [`Error::UntrustedKey`] for another digest.
    pub fn pinned(envelope: &[u8], digest: &Digest) -> Result<Self, Error> {
        let envelope = Envelope::parse(envelope, PAYLOAD_TYPE)?;
        let root = Self::parse(envelope.unverified())?;
        envelope.judge(PAYLOAD_TYPE, &root.root)?;
        match root.digest() {
            found if found == *digest => Ok(root),
            found => Err(Error::UntrustedKey { found: found.to_string() }),
        }
    }

    /// The root that follows this one.
    ///
    /// # Errors
    /// As [`TrustRoot::pinned`]; [`Error::RolledBack`] for a version that is not the next one.
    pub fn next(&self, envelope: &[u8]) -> Result<Self, Error> {
        let envelope = Envelope::parse(envelope, PAYLOAD_TYPE)?;
        let (payload, _) = envelope.judge(PAYLOAD_TYPE, &self.root)?;
        let root = Self::parse(payload)?;
        envelope.judge(PAYLOAD_TYPE, &root.root)?;
        if self.version.checked_add(1) != Some(root.version) {
            let series = "root of trust".to_owned();
            return Err(Error::RolledBack { series, version: root.version, seen: self.version });
        }
        Ok(root)
    }

    /// What to believe by it at a second since 1970.
    ///
    /// # Errors
    /// [`Error::Expired`] when its own time is over.
    pub fn trust(&self, now: u64) -> Result<Trust, Error> {
        if self.valid_until > 0 && now > self.valid_until {
            return Err(Error::Expired { what: "root of trust", until: self.valid_until, now });
        }
        let trust = Trust::of(self.seals.holders.iter().cloned(), self.seals.threshold).at(now);
        Ok(self.revoked.iter().fold(trust, |trust, (key, from)| trust.revoked(key.clone(), *from)))
    }
}

fn write_key(key: &VerifyingKey, out: &mut Vec<u8>) {
    let text = key.to_text();
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn read_key(cursor: &mut Cursor<'_>) -> Result<VerifyingKey, Error> {
    let offset = cursor.offset();
    let text =
        cursor.u16().and_then(|length| cursor.take(length.into())).and_then(|text| str::from_utf8(text).ok());
    VerifyingKey::from_text(text.ok_or(Error::Seal { offset, reason: "a key ends early or is not UTF-8" })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;
    use proptest::prelude::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&format!("key{seed}.example"), &[seed; 32]).unwrap()
    }

    fn role(seeds: &[u8], threshold: usize) -> Role {
        Role::new(seeds.iter().map(|seed| key(*seed).public().clone().into()), threshold).unwrap()
    }

    fn root(version: u64, seeds: &[u8]) -> TrustRoot {
        TrustRoot::new(version, role(seeds, 2), role(&[9], 1)).unwrap()
    }

    #[test]
    fn the_chain_has_no_gap_no_way_back_and_no_shortcut() {
        let (one, two, three) = (root(1, &[1, 2, 3]), root(2, &[2, 3, 4]), root(3, &[4, 5, 6]));
        let first = TrustRoot::pinned(&one.sign(&[&key(1), &key(2)]).unwrap(), &one.digest()).unwrap();
        assert!(TrustRoot::pinned(&one.sign(&[&key(1), &key(2)]).unwrap(), &two.digest()).is_err());
        assert!(matches!(
            TrustRoot::pinned(&one.sign(&[&key(1)]).unwrap(), &one.digest()),
            Err(Error::Threshold { .. })
        ));
        let second = first.next(&two.sign(&[&key(2), &key(3)]).unwrap()).unwrap();
        assert_eq!(second, two);
        // Enough of the new ones, too few of the old; the other way round; a gap; the same again.
        assert!(first.next(&two.sign(&[&key(3), &key(4)]).unwrap()).is_err());
        assert!(first.next(&two.sign(&[&key(1), &key(2)]).unwrap()).is_err());
        let gap = root(3, &[1, 2, 3]).sign(&[&key(1), &key(2)]).unwrap();
        assert!(matches!(first.next(&gap), Err(Error::RolledBack { version: 3, seen: 1, .. })));
        assert!(matches!(first.next(&one.sign(&[&key(1), &key(2)]).unwrap()), Err(Error::RolledBack { .. })));
        assert!(second.next(&three.sign(&[&key(2), &key(4), &key(5)]).unwrap()).is_ok());
    }

    #[test]
    fn an_old_root_says_so() {
        let root = root(1, &[1, 2]).valid_until(100);
        assert!(root.trust(100).is_ok());
        assert!(matches!(root.trust(101), Err(Error::Expired { until: 100, now: 101, .. })));
    }

    #[test]
    fn no_bit_of_a_root_of_trust_can_be_flipped() {
        let root = root(1, &[1, 2]).revoke(key(3).public().clone().into(), 17);
        let signed = root.sign(&[&key(1), &key(2)]).unwrap();
        assert_eq!(TrustRoot::pinned(&signed, &root.digest()).unwrap(), root);
        for bit in (0..signed.len() * 8).step_by(5) {
            let mut flipped = signed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(TrustRoot::pinned(&flipped, &root.digest()).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in 0usize..400) {
            let whole = root(1, &[1, 2]).encode();
            let mixed = [&whole[..cut.min(whole.len())], &bytes[..]].concat();
            if let Ok(read) = TrustRoot::parse(&mixed) {
                prop_assert_eq!(read.encode(), mixed);
            }
        }
    }
}
