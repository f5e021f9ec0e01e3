//! Ed25519 keys in the text form of signed notes.
//!
//! Sources: C2SP signed-note v1.0.0, "Verifier keys" and "Signature types" (type `0x01`, Ed25519); RFC 8032. The private
//! form `PRIVATE+KEY+<name>+<id>+<base64>` is the one of Go's `golang.org/x/mod/sumdb/note`. Signatures are verified
//! strictly: no small-order keys, no non-canonical encodings (RFC 8032 §5.1.7, without the cofactor).

use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::Error;
use crate::base64;

/// Signature type byte of Ed25519.
const ED25519: u8 = 1;
pub(crate) const PRIVATE: &str = "PRIVATE+KEY+";

/// A signature, 64 bytes.
pub(crate) type Signature = [u8; 64];

/// A public key with the name under which it signs, as `<name>+<id>+<base64>`: the "vkey" of signed notes.
///
/// The id is a 32-bit checksum over name and key, so a key that was altered on its way is refused.
///
/// ```
/// use twinguard_integrity::PublicKey;
///
/// let text = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
/// let key: PublicKey = text.parse()?;
/// assert_eq!(key.name(), "example.com/foo");
/// assert_eq!(key.to_string(), text);
/// assert!(text.replace("foo", "fop").parse::<PublicKey>().is_err());
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: Box<str>,
    id: [u8; 4],
    key: ed25519_dalek::VerifyingKey,
}

impl PublicKey {
    /// A public key from its 32 bytes (RFC 8032 §5.1.5) and the name it signs under.
    ///
    /// # Errors
    /// [`Error::Key`] for a name that is empty, longer than 255 bytes or holds spaces, `+`, quotes, backslashes or control
    /// characters; for bytes that are no point of the curve, or one of small order.
    pub fn from_bytes(name: &str, bytes: &[u8; 32]) -> Result<Self, Error> {
        check_name(name)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes)
            .map_err(|_| Error::Key { reason: "its bytes are not a point of the curve" })?;
        if key.is_weak() {
            return Err(Error::Key { reason: "it is of small order" });
        }
        Ok(Self { name: name.into(), id: key_id(name, ED25519, bytes), key })
    }

    /// Reads `PUBLIC KEY` in PEM (RFC 8410). A PEM has no name: the key's own digits are its name.
    ///
    /// # Errors
    /// [`Error::Key`] for anything but an Ed25519 key, or one of small order.
    #[cfg(any(feature = "openssf", feature = "pq"))]
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        use ed25519_dalek::pkcs8::DecodePublicKey as _;
        let key = ed25519_dalek::VerifyingKey::from_public_key_pem(pem.trim_end());
        let key = key.map_err(|_| Error::Key { reason: "it is not the PEM of an Ed25519 public key" })?;
        Self::from_bytes(&pem_name(key.as_bytes()), key.as_bytes())
    }

    /// `PUBLIC KEY` in PEM, without the name.
    ///
    /// # Errors
    /// [`Error::Key`], which no key that was read gives.
    #[cfg(any(feature = "openssf", feature = "pq"))]
    pub fn to_pem(&self) -> Result<String, Error> {
        use ed25519_dalek::pkcs8::EncodePublicKey as _;
        use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
        self.key.to_public_key_pem(LineEnding::LF).map_err(|_| Error::Key { reason: "it has no PEM" })
    }

    /// The name under which the key signs; for a journal also the origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Four bytes that tell keys apart: a hint and a checksum, no proof.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }

    /// The key's 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        *self.key.as_bytes()
    }

    /// The id in hexadecimal digits.
    pub(crate) fn id_text(&self) -> String {
        HEXLOWER.encode(&self.id)
    }

    /// Name and id, for people.
    pub(crate) fn label(&self) -> String {
        format!("{}+{}", self.name, self.id_text())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, self.id, ED25519, self.key.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    /// Reads the text form; one line feed at the end is allowed, nothing else.
    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, id, bytes) = split(text)?;
        let key = Self::from_bytes(name, &bytes)?;
        if key.id != id {
            return Err(Error::Key { reason: "its id does not match: name or key was altered" });
        }
        Ok(key)
    }
}

/// A private key with the name under which it signs. Its memory is wiped when it is dropped; `Debug` does not show it.
///
/// ```
/// use twinguard_integrity::SigningKey;
///
/// let key = SigningKey::from_seed("vendor.example/pump", &[7; 32])?;
/// let again: SigningKey = key.to_text().parse()?;
/// assert_eq!(again.public(), key.public());
/// # Ok::<(), twinguard_integrity::Error>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    key: ed25519_dalek::SigningKey,
    public: PublicKey,
}

impl SigningKey {
    /// A private key from 32 secret bytes, which the caller takes from a good source of randomness.
    ///
    /// # Errors
    /// [`Error::Key`] for a name as in [`PublicKey::from_bytes`].
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, Error> {
        let key = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = PublicKey::from_bytes(name, key.verifying_key().as_bytes())?;
        Ok(Self { key, public })
    }

    /// Reads `PRIVATE KEY` (PKCS#8, RFC 8410, not encrypted) in PEM; `name` is what it signs under, or its own digits.
    ///
    /// # Errors
    /// [`Error::Key`] for anything but an Ed25519 key, or a name as in [`PublicKey::from_bytes`].
    #[cfg(any(feature = "openssf", feature = "pq"))]
    pub fn from_pem(pem: &str, name: Option<&str>) -> Result<Self, Error> {
        use ed25519_dalek::pkcs8::DecodePrivateKey as _;
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem.trim_end());
        let key = key.map_err(|_| Error::Key { reason: "it is not the PEM of an Ed25519 private key" })?;
        let own = pem_name(key.verifying_key().as_bytes());
        Self::from_seed(name.unwrap_or(&own), key.as_bytes())
    }

    /// `PRIVATE KEY` (PKCS#8) in PEM, without the name: secret.
    ///
    /// # Errors
    /// [`Error::Key`], which no key that was made or read gives.
    #[cfg(any(feature = "openssf", feature = "pq"))]
    pub fn to_pem(&self) -> Result<Zeroizing<String>, Error> {
        use ed25519_dalek::pkcs8::EncodePrivateKey as _;
        use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
        self.key.to_pkcs8_pem(LineEnding::LF).map_err(|_| Error::Key { reason: "it has no PEM" })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The text form, secret: `PRIVATE+KEY+<name>+<id>+<base64>`.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let text = key_text(&self.public.name, self.public.id, ED25519, self.key.as_bytes());
        Zeroizing::new(format!("{PRIVATE}{}", *text))
    }

    /// The 32 secret bytes.
    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// Signs a message.
    pub(crate) fn sign(&self, message: &[u8]) -> Signature {
        self.key.sign(message).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.label())
    }
}

impl FromStr for SigningKey {
    type Err = Error;

    /// Reads the text form; one line feed at the end is allowed, nothing else.
    fn from_str(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix(PRIVATE).ok_or(Error::Key { reason: "it is not a private key" })?;
        let (name, id, seed) = split(rest)?;
        let seed = Zeroizing::new(seed);
        let key = Self::from_seed(name, &seed)?;
        if key.public.id != id {
            return Err(Error::Key { reason: "its id does not match: name or key was altered" });
        }
        Ok(key)
    }
}

#[cfg(any(feature = "openssf", feature = "pq"))]
fn pem_name(bytes: &[u8; 32]) -> String {
    let (head, _) = bytes.split_at(8);
    HEXLOWER.encode(head)
}

pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '+' | '"' | '\\');
    if name.is_empty() || name.len() > 255 || name.chars().any(bad) {
        let reason =
            "its name is empty, too long, or holds spaces, `+`, quotes, backslashes or control characters";
        return Err(Error::Key { reason });
    }
    Ok(())
}

/// `SHA-256(name || 0x0A || type || public key)[..4]`.
pub(crate) fn key_id(name: &str, kind: u8, bytes: &[u8]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', kind]).chain_update(bytes).finalize();
    hash.first_chunk().copied().unwrap_or_default()
}

/// `<name>+<id>+<base64 of type and bytes>`.
pub(crate) fn key_text(name: &str, id: [u8; 4], kind: u8, bytes: &[u8]) -> Zeroizing<String> {
    let typed = Zeroizing::new([&[kind], bytes].concat());
    let encoded = Zeroizing::new(base64::encode(&typed));
    Zeroizing::new(format!("{name}+{}+{}", HEXLOWER.encode(&id), *encoded))
}

/// `<name>+<id>+<base64>` of an Ed25519 key.
fn split(text: &str) -> Result<(&str, [u8; 4], [u8; 32]), Error> {
    let Typed { name, id, kind, bytes } = split_typed(text)?;
    if kind != ED25519 {
        return Err(Error::Key { reason: "it is not an Ed25519 key (type 1)" });
    }
    match bytes.as_slice().try_into() {
        Ok(key) => Ok((name, id, key)),
        Err(_) => Err(Error::Key { reason: "it is not 32 bytes long" }),
    }
}

/// What stands in a key's text, the checksum not yet compared.
pub(crate) struct Typed<'a> {
    pub(crate) name: &'a str,
    pub(crate) id: [u8; 4],
    /// The type that the first byte gives.
    pub(crate) kind: u8,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// `<name>+<id>+<base64>` in its one form: lower-case digits, padded base64 without stray bits.
pub(crate) fn split_typed(text: &str) -> Result<Typed<'_>, Error> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Error::Key { reason: "it is not `name+id+key`" });
    };
    let id = HEXLOWER.decode(id.as_bytes()).ok().and_then(|id| id.try_into().ok());
    let id = id.ok_or(Error::Key { reason: "its id is not 8 lower-case hexadecimal digits" })?;
    let mut bytes =
        Zeroizing::new(base64::decode(key.as_bytes()).ok_or(Error::Key { reason: "it is not base64" })?);
    if bytes.is_empty() {
        return Err(Error::Key { reason: "it has no type" });
    }
    let kind = bytes.remove(0);
    Ok(Typed { name, id, kind, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_seed("vendor.example/pump", &[7; 32]).unwrap()
    }

    #[test]
    fn every_single_bit_flip_in_a_key_file_is_refused() {
        let public = format!("{}\n", key().public());
        let private = format!("{}\n", *key().to_text());
        for bit in 0..public.len() * 8 {
            let mut bytes = public.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = String::from_utf8(bytes).ok().and_then(|text| text.parse::<PublicKey>().ok());
            assert_eq!(read, None, "bit {bit} of the public key");
        }
        for bit in 0..private.len() * 8 {
            let mut bytes = private.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = String::from_utf8(bytes).ok().and_then(|text| text.parse::<SigningKey>().ok());
            assert!(read.is_none(), "bit {bit} of the private key");
        }
    }

    #[test]
    fn weak_keys_and_bad_names_are_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(matches!(
            PublicKey::from_bytes("a", &identity),
            Err(Error::Key { reason: "it is of small order" })
        ));
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb", "a\"b", &"x".repeat(256)] {
            assert!(SigningKey::from_seed(name, &[1; 32]).is_err(), "{name:?}");
        }
    }

    #[cfg(any(feature = "openssf", feature = "pq"))]
    #[test]
    fn pem_is_that_of_rfc_8410() {
        // RFC 8410 §10.1 and §10.3.
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                      -----END PUBLIC KEY-----\n";
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                       -----END PRIVATE KEY-----\n";
        let key = SigningKey::from_pem(private, Some("rfc.example")).unwrap();
        assert_eq!(key.public().to_pem().unwrap(), public);
        assert_eq!(PublicKey::from_pem(public).unwrap().name(), "19bf44096984cdfe");
        let again = SigningKey::from_pem(&key.to_pem().unwrap(), Some("rfc.example")).unwrap();
        assert_eq!(again.public(), key.public());
        assert!(PublicKey::from_pem(private).is_err() && SigningKey::from_pem(public, None).is_err());
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let secret = key().to_text();
        let (_, secret) = secret.rsplit_once('+').unwrap();
        assert!(!format!("{:?}", key()).contains(secret));
    }
}
