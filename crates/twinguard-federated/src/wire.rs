//! Deterministic CBOR in and out, and a signature over it: the form of messages, transcripts and ledgers.
//!
//! Signed bytes are `[name, payload, signature]`; what is signed is a context string and the payload, so that a signature for one purpose
//! is none for another. Sources: RFC 8949 §4.2.1; RFC 8032.

use twinguard_integrity::cbor::{self, Item, write};
use twinguard_integrity::{PublicKey, Signer, SigningKey};
use twinguard_types::Digest;

use crate::Error;

/// Longest signed bytes that are looked at: a contribution of some four million cells.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// Reads the fields of an item that was checked, in order.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Checks that the bytes are one item in its one form.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() > MOST_BYTES {
            return Err(Error::Unreadable { reason: "it is too long" });
        }
        cbor::check(bytes).map_err(|_| Error::Unreadable { reason: "it is not deterministic CBOR" })?;
        Ok(Self(bytes))
    }

    fn next(&mut self) -> Result<Item<'a>, Error> {
        cbor::read(&mut self.0).ok_or(Error::Unreadable { reason: "it ends early" })
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, Error> {
        match self.next()? {
            Item::Unsigned(value) => Ok(value),
            _ => Err(Error::Unreadable { reason: "a field is not a whole number" }),
        }
    }

    pub(crate) fn small(&mut self) -> Result<u32, Error> {
        u32::try_from(self.unsigned()?).map_err(|_| Error::Unreadable { reason: "a number is too large" })
    }

    pub(crate) fn integer(&mut self) -> Result<i64, Error> {
        let beyond = Error::Unreadable { reason: "a number is too large" };
        match self.next()? {
            Item::Unsigned(value) => i64::try_from(value).map_err(|_| beyond),
            Item::Negative(value) => Ok(value),
            _ => Err(Error::Unreadable { reason: "a field is not a whole number" }),
        }
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Error> {
        match self.next()? {
            Item::Flag(value) => Ok(value),
            _ => Err(Error::Unreadable { reason: "a field is neither true nor false" }),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        match self.next()? {
            Item::Bytes(value) => Ok(value),
            _ => Err(Error::Unreadable { reason: "a field is not a byte string" }),
        }
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, Error> {
        let bytes = self.bytes()?.try_into();
        bytes.map(Digest).map_err(|_| Error::Unreadable { reason: "a digest is not 32 bytes long" })
    }

    pub(crate) fn text(&mut self) -> Result<String, Error> {
        match self.next()? {
            Item::Text(value) if value.len() <= 1024 => Ok(value.to_owned()),
            _ => Err(Error::Unreadable { reason: "a field is not a text of at most 1024 bytes" }),
        }
    }

    /// Number of items that follow. They are read one by one: nothing is reserved for a number that was only claimed.
    pub(crate) fn array(&mut self) -> Result<u64, Error> {
        match self.next()? {
            Item::Array(items) => Ok(items),
            _ => Err(Error::Unreadable { reason: "a field is not a list" }),
        }
    }

    /// A list, item by item.
    pub(crate) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let items = self.array()?;
        (0..items).map(|_| read(self)).collect()
    }

    /// Asserts a list of so many fields.
    pub(crate) fn fields(&mut self, wanted: u64) -> Result<(), Error> {
        if self.array()? == wanted {
            Ok(())
        } else {
            Err(Error::Unreadable { reason: "another number of fields" })
        }
    }

    /// Asserts a map of so many pairs.
    pub(crate) fn pairs(&mut self, wanted: u64) -> Result<(), Error> {
        match self.next()? {
            Item::Map(pairs) if pairs == wanted => Ok(()),
            _ => Err(Error::Unreadable { reason: "it is not a map of the right size" }),
        }
    }

    /// Asserts that this key comes next.
    pub(crate) fn key(&mut self, wanted: &str) -> Result<(), Error> {
        match self.next()? {
            Item::Text(key) if key == wanted => Ok(()),
            _ => Err(Error::Unreadable { reason: "another key was expected" }),
        }
    }

    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Unreadable { reason: "it goes on after its end" }) }
    }
}

fn signed(context: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(context.len() + 1 + payload.len());
    message.extend_from_slice(context.as_bytes());
    message.push(0);
    message.extend_from_slice(payload);
    message
}

/// `[name, payload, signature]`.
pub(crate) fn seal(context: &str, payload: &[u8], key: &SigningKey) -> Result<Vec<u8>, Error> {
    let signature = key.sign_message(&signed(context, payload))?;
    let mut out = Vec::with_capacity(payload.len() + 256);
    write::array(&mut out, 3);
    write::text(&mut out, key.public().name());
    write::bytes(&mut out, payload);
    write::bytes(&mut out, &signature);
    Ok(out)
}

/// The payload and the place of its signer among `keys`; nothing of the payload was looked at before the signature held.
pub(crate) fn open<'a>(
    context: &str,
    bytes: &'a [u8],
    keys: &[PublicKey],
) -> Result<(usize, &'a [u8]), Error> {
    let mut fields = Fields::new(bytes)?;
    fields.fields(3)?;
    let (name, payload, signature) = (fields.text()?, fields.bytes()?, fields.bytes()?);
    fields.end()?;
    let Some((place, key)) = keys.iter().enumerate().find(|(_, key)| key.name() == name) else {
        return Err(Error::Stranger { name });
    };
    match signature.try_into() {
        Ok(signature) if key.verifies(&signed(context, payload), signature) => Ok((place, payload)),
        _ => Err(Error::Forged { name }),
    }
}

/// A digest of bytes for a purpose.
pub(crate) fn digest(purpose: &str, bytes: &[u8]) -> Digest {
    Digest(blake3::derive_key(purpose, bytes))
}
