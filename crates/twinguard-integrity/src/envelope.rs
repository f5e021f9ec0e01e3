//! What is signed when bytes of a type are signed, and the text that carries them with their signatures.
//!
//! The text is a DSSE envelope in JSON, in exactly one form (no optional space, signatures in ascending order), so that any DSSE
//! tool reads it and no second text means the same:
//! ```text
//! {"payload":"<base64>","payloadType":"<type>","signatures":[{"keyid":"<key id>","sig":"<base64>"},…]}
//! ```
//! on one line, with a line feed at the end. What is signed are the bytes themselves: nothing is re-serialised before it is
//! checked, and nothing is parsed before the signatures hold.
//!
//! Source: DSSE v1.0.2, protocol, "Signature definition", and envelope.

use data_encoding::HEXLOWER;

use crate::cursor::Cursor;
use crate::signature::{Role, Signer};
use crate::{Error, Holder, base64};

/// More signatures than any seal needs; each costs whoever verifies.
const MOST_SIGNATURES: usize = 16;

/// Pre-authentication encoding of DSSE v1: the type and the bytes themselves, each with its length before it.
pub(crate) fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut text = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    text.extend_from_slice(payload);
    text
}

/// A payload of a type with its signatures, not yet judged.
pub(crate) struct Envelope {
    payload: Vec<u8>,
    /// Key ids, which are hints, with signatures.
    signatures: Vec<([u8; 4], Vec<u8>)>,
}

const OPEN: &str = "{\"payload\":\"";
const TYPE: &str = "\",\"payloadType\":\"";
const SIGNATURES: &str = "\",\"signatures\":[";
const KEY: &str = "{\"keyid\":\"";
const SIGNATURE: &str = "\",\"sig\":\"";
const END: &str = "\"}";
const CLOSE: &str = "]}\n";

impl Envelope {
    /// Signs a payload with every signer.
    pub(crate) fn sign(payload_type: &str, payload: Vec<u8>, signers: &[&dyn Signer]) -> Result<Self, Error> {
        let message = pae(payload_type, &payload);
        let sign = |signer: &&dyn Signer| Ok((signer.verifying_key().id(), signer.sign_message(&message)?));
        let mut signatures: Vec<_> = signers.iter().map(sign).collect::<Result<_, Error>>()?;
        signatures.sort();
        signatures.dedup();
        if signatures.is_empty() || signatures.len() > MOST_SIGNATURES {
            return Err(Error::SignatureCount { found: signatures.len() });
        }
        Ok(Self { payload, signatures })
    }

    /// The payload, and who vouches for it.
    pub(crate) fn judge<'a>(
        &self,
        payload_type: &str,
        role: &'a Role,
    ) -> Result<(&[u8], Vec<&'a Holder>), Error> {
        let counted = role.judge(&pae(payload_type, &self.payload), &self.signatures)?;
        Ok((&self.payload, counted))
    }

    /// The payload, whoever signed it.
    pub(crate) fn unverified(&self) -> &[u8] {
        &self.payload
    }

    pub(crate) fn encode(&self, payload_type: &str) -> Vec<u8> {
        let mut text = format!("{OPEN}{}{TYPE}{payload_type}{SIGNATURES}", base64::encode(&self.payload));
        for (at, (key, signature)) in self.signatures.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let (key, signature) = (HEXLOWER.encode(key), base64::encode(signature));
            text.push_str(&format!("{comma}{KEY}{key}{SIGNATURE}{signature}{END}"));
        }
        text.push_str(CLOSE);
        text.into_bytes()
    }

    pub(crate) fn parse(bytes: &[u8], payload_type: &str) -> Result<Self, Error> {
        let mut cursor = Cursor::new(bytes);
        let at = |cursor: &Cursor<'_>, reason| Error::Seal { offset: cursor.offset(), reason };
        cursor.literal(OPEN).ok_or(at(&cursor, "it does not open as a seal does"))?;
        let start = cursor;
        let payload = cursor.until(b'"').ok_or(at(&start, "its payload does not end"))?;
        let payload = base64::decode(payload);
        let payload = payload.ok_or(at(&start, "its payload is not canonical base64"))?;
        let head = cursor.literal(TYPE).and_then(|()| cursor.literal(payload_type));
        head.and_then(|()| cursor.literal(SIGNATURES))
            .ok_or(at(&cursor, "its payload type is not that of a seal"))?;
        let mut signatures: Vec<([u8; 4], Vec<u8>)> = Vec::new();
        while cursor.literal(CLOSE).is_none() {
            if signatures.len() == MOST_SIGNATURES {
                return Err(at(&cursor, "it has more than 16 signatures"));
            }
            let start = cursor;
            let comma = if signatures.is_empty() { Some(()) } else { cursor.literal(",") };
            comma.and_then(|()| cursor.literal(KEY)).ok_or(at(&start, "its signature is not there"))?;
            let start = cursor;
            let key = cursor.take(8).and_then(|key| HEXLOWER.decode(key).ok()?.try_into().ok());
            let key = key.ok_or(at(&start, "its key id is not 8 lower-case hexadecimal digits"))?;
            cursor.literal(SIGNATURE).ok_or(at(&cursor, "its signature is not there"))?;
            let start = cursor;
            let signature = cursor.until(b'"').and_then(base64::decode);
            let signature = signature.ok_or(at(&start, "its signature is not canonical base64"))?;
            cursor.literal(END).ok_or(at(&cursor, "it does not close as a seal does"))?;
            if signatures.last().is_some_and(|last| *last >= (key, signature.clone())) {
                return Err(at(&start, "its signatures are not in order"));
            }
            signatures.push((key, signature));
        }
        if signatures.is_empty() {
            return Err(Error::SignatureCount { found: 0 });
        }
        if !cursor.is_empty() {
            return Err(at(&cursor, "bytes follow it"));
        }
        Ok(Self { payload, signatures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SigningKey;
    use proptest::prelude::*;

    #[test]
    fn pae_is_the_published_example() {
        // DSSE protocol, "Test Vectors".
        let pae = pae("http://example.com/HelloWorld", b"hello world");
        assert_eq!(pae, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn signatures_have_one_order_and_stand_once() {
        let keys = [1, 2].map(|seed| SigningKey::from_seed("a.example", &[seed; 32]).unwrap());
        let [a, b] = &keys;
        let text = |signers: &[&dyn Signer]| Envelope::sign("t", b"m".to_vec(), signers).unwrap().encode("t");
        assert_eq!(text(&[a, b]), text(&[b, a, b]));
        let both = String::from_utf8(text(&[a, b])).unwrap();
        let (head, rest) = both.split_once('[').unwrap();
        let (first, second) = rest.trim_end().trim_end_matches("]}").split_once("},").unwrap();
        let swapped = format!("{head}[{second},{first}}}]}}\n");
        assert!(Envelope::parse(both.as_bytes(), "t").is_ok());
        assert!(matches!(Envelope::parse(swapped.as_bytes(), "t"), Err(Error::Seal { .. })));
        let none = format!("{head}[]}}\n");
        assert!(matches!(Envelope::parse(none.as_bytes(), "t"), Err(Error::SignatureCount { found: 0 })));
        assert!(Envelope::parse(both.as_bytes(), "u").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
            let key = SigningKey::from_seed("a.example", &[1; 32]).unwrap();
            let sealed = Envelope::sign("t", vec![7; 40], &[&key]).unwrap().encode("t");
            let mixed = [&sealed[..cut.min(sealed.len())], &bytes[..]].concat();
            if let Ok(envelope) = Envelope::parse(&mixed, "t") {
                prop_assert_eq!(envelope.encode("t"), mixed);
            }
        }
    }
}
