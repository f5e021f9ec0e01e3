//! Signed changes of parameters: from one root to the next.
//!
//! A twin is recalibrated while it runs. What changes its parameters is a signed statement of the root before, the root after and
//! the values in between; whatever else changes them is tampering. A delta applies to exactly one state, so it can neither be
//! replayed nor left out.
//!
//! Format 1, integers big-endian, in an envelope of the type `application/vnd.twinguard.delta.v1`:
//! ```text
//! u8 format = 1     u16 + series (UTF-8)     u64 number, from 1
//! 32 bytes parameters' root before     32 bytes after
//! u32 number of changes; each a parameter with its new value, as in a manifest (see `parameters`), in ascending order
//! ```
//! Source: DSSE v1.0.2 (envelope); NIST SP 800-82r3 §6.2.5 (authorised changes of configuration).

use twinguard_types::Digest;

use crate::cursor::Cursor;
use crate::envelope::Envelope;
use crate::parameters::LEAST_BYTES;
use crate::signature::{Role, Signer};
use crate::{Error, Parameter, ParameterValue, Parameters};

/// Media type of the signed bytes.
pub const PAYLOAD_TYPE: &str = "application/vnd.twinguard.delta.v1";
const FORMAT: u8 = 1;

/// A change of parameters.
///
/// ```
/// use twinguard_integrity::{Delta, Parameter, Parameters, Role, SigningKey};
///
/// let area = Parameter::new("plant.toml", "tank.area", "m2", 2.5.into())?;
/// let before = Parameters::new(vec![area])?;
/// let delta = Delta::new("pump-house", 1, &before, [("plant.toml", "tank.area", 2.6.into())])?;
/// let key = SigningKey::from_seed("calibration.example", &[7; 32])?;
/// let envelope = delta.sign(&[&key])?;
///
/// let role = Role::new([key.public().clone().into()], 1)?;
/// let after = Delta::open(&envelope, &role)?.follow(&before)?;
/// assert_eq!(after.all()[0].to_string(), "2.6 m2");
/// assert!(delta.follow(&after).is_err()); // once only
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    series: Box<str>,
    number: u64,
    before: Digest,
    after: Digest,
    changes: Vec<Parameter>,
}

impl Delta {
    /// A change of parameters, named by file and name, to new values; `number` is higher than that of the change before.
    ///
    /// # Errors
    /// [`Error::Parameter`] for one that is not there, a value of another type, one that stands twice, or none at all;
    /// [`Error::Series`] for a series beyond 65,535 bytes.
    pub fn new<'a>(
        series: &str,
        number: u64,
        before: &Parameters,
        changes: impl IntoIterator<Item = (&'a str, &'a str, ParameterValue)>,
    ) -> Result<Self, Error> {
        if series.is_empty() || series.len() > usize::from(u16::MAX) {
            return Err(Error::Series { series: Error::shown(series), reason: "it is empty or too long" });
        }
        let mut after = before.clone();
        let mut indices = Vec::new();
        for (path, name, value) in changes {
            after.set(path, name, value)?;
            indices.extend(after.index(path, name));
        }
        indices.sort_unstable();
        if indices.is_empty() || indices.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(Error::Parameter { name: String::new(), reason: "none is changed, or one twice" });
        }
        let changes = indices.iter().filter_map(|index| after.all().get(*index)).cloned().collect();
        Ok(Self { series: series.into(), number, before: before.root(), after: after.root(), changes })
    }

    /// The series that it belongs to.
    #[must_use]
    pub fn series(&self) -> &str {
        &self.series
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Roots of the parameters before and after.
    #[must_use]
    pub fn roots(&self) -> (Digest, Digest) {
        (self.before, self.after)
    }

    /// The parameters that it changes, with their new values.
    #[must_use]
    pub fn changes(&self) -> &[Parameter] {
        &self.changes
    }

    /// The parameters after it.
    ///
    /// # Errors
    /// [`Error::Attestation`] when `before` is not what it starts from, or something else comes out than it says;
    /// [`Error::Parameter`].
    pub fn follow(&self, before: &Parameters) -> Result<Parameters, Error> {
        if before.root() != self.before {
            return Err(Error::Attestation { reason: "the change starts from other parameters than these" });
        }
        let mut after = before.clone();
        for change in &self.changes {
            let index = after.index(change.path().as_str(), change.name());
            let known = index.and_then(|index| after.all().get(index));
            if known.is_none_or(|known| known.unit() != change.unit()) {
                let (name, reason) =
                    (Error::shown(change.name()), "it is not there, or its unit would change");
                return Err(Error::Parameter { name, reason });
            }
            after.set_at(index.unwrap_or_default(), change.value().clone())?;
        }
        if after.root() != self.after {
            return Err(Error::Attestation { reason: "the change does not lead where it says" });
        }
        Ok(after)
    }

    /// Signs it with every signer.
    ///
    /// # Errors
    /// As [`Signer::sign_message`]; [`Error::SignatureCount`].
    pub fn sign(&self, signers: &[&dyn Signer]) -> Result<Vec<u8>, Error> {
        Ok(Envelope::sign(PAYLOAD_TYPE, self.encode(), signers)?.encode(PAYLOAD_TYPE))
    }

    /// Reads a signed change that a role vouches for.
    ///
    /// # Errors
    /// [`Error::Seal`] for other bytes than [`Delta::sign`] writes; [`Error::UntrustedKey`], [`Error::Threshold`],
    /// [`Error::Stripped`], [`Error::Signature`].
    pub fn open(envelope: &[u8], role: &Role) -> Result<Self, Error> {
        let envelope = Envelope::parse(envelope, PAYLOAD_TYPE)?;
        let (payload, _) = envelope.judge(PAYLOAD_TYPE, role)?;
        Self::parse(payload)
    }

    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        // The length was checked where it was made.
        out.extend_from_slice(&(self.series.len() as u16).to_be_bytes());
        out.extend_from_slice(self.series.as_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.before.0);
        out.extend_from_slice(&self.after.0);
        out.extend_from_slice(&(self.changes.len() as u32).to_be_bytes());
        self.changes.iter().for_each(|change| change.encode(&mut out));
        out
    }

    /// Reads its bytes.
    ///
    /// # Errors
    /// [`Error::Seal`] with the offset for any bytes that [`Delta::encode`] does not write; [`Error::Parameter`],
    /// [`Error::Path`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        let bad = |cursor: &Cursor<'_>, reason| Error::Seal { offset: cursor.offset(), reason };
        const SHORT: &str = "the change ends early";
        if cursor.u8() != Some(FORMAT) {
            return Err(bad(&Cursor::new(bytes), "the change's format is not 1"));
        }
        let series = cursor.u16().and_then(|length| cursor.take(length.into()));
        let series =
            series.and_then(|series| str::from_utf8(series).ok()).filter(|series| !series.is_empty());
        let series = series.ok_or(bad(&cursor, "the change's series is not right"))?;
        let number = cursor.u64().ok_or(bad(&cursor, SHORT))?;
        let before = cursor.array().map(Digest).ok_or(bad(&cursor, SHORT))?;
        let after = cursor.array().map(Digest).ok_or(bad(&cursor, SHORT))?;
        let count = cursor.u32().ok_or(bad(&cursor, SHORT))? as usize;
        if count == 0 || count > cursor.rest().len() / LEAST_BYTES {
            return Err(bad(&cursor, "the change has no or more parameters than bytes"));
        }
        let mut changes: Vec<Parameter> = Vec::new();
        for _ in 0..count {
            let here = cursor;
            let change = Parameter::read(&mut cursor)?;
            let key =
                |parameter: &Parameter| (parameter.path().as_str().to_owned(), parameter.name().to_owned());
            if changes.last().is_some_and(|last| key(last) >= key(&change)) {
                return Err(bad(&here, "the change's parameters are not in order"));
            }
            changes.push(change);
        }
        if !cursor.is_empty() {
            return Err(bad(&cursor, "bytes follow the change"));
        }
        Ok(Self { series: series.into(), number, before, after, changes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Holder, SigningKey};
    use proptest::prelude::*;

    fn parameters(area: f64) -> Parameters {
        let one = |name, value: ParameterValue| Parameter::new("plant.toml", name, "m", value).unwrap();
        Parameters::new(vec![
            one("area", area.into()),
            one("count", ParameterValue::U64(3)),
            one("on", ParameterValue::Bool(true)),
        ])
        .unwrap()
    }

    fn delta() -> Delta {
        let changes = [("plant.toml", "count", ParameterValue::U64(4)), ("plant.toml", "area", 2.6.into())];
        Delta::new("pump", 7, &parameters(2.5), changes).unwrap()
    }

    #[test]
    fn a_change_leads_from_one_state_to_one_other() {
        let (delta, before) = (delta(), parameters(2.5));
        let after = delta.follow(&before).unwrap();
        assert_eq!(delta.roots(), (before.root(), after.root()));
        assert!(matches!(delta.follow(&after), Err(Error::Attestation { .. })));
        assert!(matches!(delta.follow(&parameters(2.4)), Err(Error::Attestation { .. })));
        let mut lying = delta.clone();
        lying.after.0[0] ^= 1;
        assert!(matches!(lying.follow(&before), Err(Error::Attestation { .. })));
        for bad in [vec![], vec![("plant.toml", "no", 1.0.into())], vec![("plant.toml", "count", 1.0.into())]]
        {
            assert!(Delta::new("pump", 1, &before, bad).is_err());
        }
        let twice = [("plant.toml", "area", 1.0.into()), ("plant.toml", "area", 2.0.into())];
        assert!(Delta::new("pump", 1, &before, twice).is_err());
    }

    #[test]
    fn no_bit_of_a_signed_change_can_be_flipped() {
        let key = SigningKey::from_seed("cal.example", &[1; 32]).unwrap();
        let role = Role::new([Holder::from(key.public().clone())], 1).unwrap();
        let signed = delta().sign(&[&key]).unwrap();
        assert_eq!(Delta::open(&signed, &role).unwrap(), delta());
        for bit in (0..signed.len() * 8).step_by(3) {
            let mut flipped = signed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Delta::open(&flipped, &role).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60), cut in 0usize..200) {
            let whole = delta().encode();
            let mixed = [&whole[..cut.min(whole.len())], &bytes[..]].concat();
            if let Ok(read) = Delta::parse(&mixed) {
                prop_assert_eq!(read.encode(), mixed);
            }
        }
    }
}
