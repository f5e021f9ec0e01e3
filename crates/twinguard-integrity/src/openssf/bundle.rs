//! Sigstore bundles in JSON, as far as signatures by key need them.
//!
//! Source: Sigstore protobuf specification `sigstore_bundle.proto` v0.3 in its JSON mapping; DSSE v1.0.2 envelope.

use serde_json::{Value, json};

use crate::ecdsa::EcPublicKey;
use crate::{Error, base64, json};

/// The media type that is written.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Media types that are read.
const READ: [&str; 4] = [
    MEDIA_TYPE,
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
];
/// More signatures than any envelope has; the number is shown, they are not read.
const MOST_SIGNATURES: usize = 64;

/// A bundle as it was read; nothing of it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Which key it says it was signed with.
    hint: Option<String>,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Dsse { payload_type: String, payload: Vec<u8>, signatures: Vec<Vec<u8>> },
    Message { digest: Option<Vec<u8>>, signature: Vec<u8> },
}

impl Bundle {
    /// Reads a bundle.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Bundle`] with the member that is missing or malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let value = json::parse(bytes)?;
        if !READ.contains(&text(&value, "/mediaType")?) {
            return Err(malformed("/mediaType", "it is not that of a Sigstore bundle"));
        }
        let material = member(&value, "/verificationMaterial")?;
        let kinds = ["publicKey", "certificate", "x509CertificateChain"];
        if kinds.iter().filter(|kind| material.get(**kind).is_some()).count() != 1 {
            return Err(malformed(
                "/verificationMaterial",
                "it does not hold exactly one key or certificate",
            ));
        }
        let hint = match material.pointer("/publicKey/hint") {
            None | Some(Value::Null) => None,
            Some(Value::String(hint)) => Some(hint.clone()).filter(|hint| !hint.is_empty()),
            Some(_) => return Err(malformed("/verificationMaterial/publicKey/hint", "it is not a text")),
        };
        let content = match (value.get("dsseEnvelope"), value.get("messageSignature")) {
            (Some(envelope), None) => dsse(envelope)?,
            (None, Some(message)) => {
                let digest = message.pointer("/messageDigest/digest").map(|digest| {
                    let digest = digest.as_str().and_then(|text| base64::decode(text.as_bytes()));
                    digest.ok_or_else(|| malformed("/messageDigest/digest", "it is not canonical base64"))
                });
                if message.pointer("/messageDigest/algorithm").is_some_and(|name| name != "SHA2_256") {
                    return Err(malformed("/messageDigest/algorithm", "it is not SHA2_256"));
                }
                Content::Message { digest: digest.transpose()?, signature: bytes_at(message, "/signature")? }
            }
            _ => return Err(malformed("/", "it does not hold exactly one envelope or message signature")),
        };
        Ok(Self { hint, content })
    }

    /// Refuses a bundle whose hint names another key.
    pub(super) fn expect_key(&self, key: &EcPublicKey) -> Result<(), Error> {
        match &self.hint {
            Some(hint) if key.hinted(hint)? == Some(false) => {
                Err(Error::UntrustedKey { found: Error::shown(hint) })
            }
            _ => Ok(()),
        }
    }
}

fn dsse(envelope: &Value) -> Result<Content, Error> {
    let list = member(envelope, "/signatures")?.as_array();
    let list = list.ok_or_else(|| malformed("/signatures", "it is not a list"))?;
    if list.len() > MOST_SIGNATURES {
        return Err(Error::SignatureCount { found: list.len() });
    }
    let signatures: Result<_, Error> = list.iter().map(|signature| bytes_at(signature, "/sig")).collect();
    Ok(Content::Dsse {
        payload_type: text(envelope, "/payloadType")?.to_owned(),
        payload: bytes_at(envelope, "/payload")?,
        signatures: signatures?,
    })
}

/// The bundle of one signature by key.
pub(super) fn write(
    payload: &[u8],
    payload_type: &str,
    signature: &[u8],
    hint: &str,
) -> Result<Vec<u8>, Error> {
    let value = json!({
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": { "publicKey": { "hint": hint }, "tlogEntries": [] },
        "dsseEnvelope": {
            "payload": base64::encode(payload),
            "payloadType": payload_type,
            "signatures": [{ "sig": base64::encode(signature), "keyid": "" }],
        },
    });
    json::canonical(&value).map(String::into_bytes)
}

pub(super) fn malformed(place: &str, reason: &'static str) -> Error {
    Error::Bundle { place: place.to_owned(), reason }
}

pub(super) fn member<'a>(value: &'a Value, place: &str) -> Result<&'a Value, Error> {
    value.pointer(place).ok_or_else(|| malformed(place, "it is not there"))
}

pub(super) fn text<'a>(value: &'a Value, place: &str) -> Result<&'a str, Error> {
    member(value, place)?.as_str().ok_or_else(|| malformed(place, "it is not a text"))
}

fn bytes_at(value: &Value, place: &str) -> Result<Vec<u8>, Error> {
    let bytes = base64::decode(text(value, place)?.as_bytes());
    bytes.ok_or_else(|| malformed(place, "it is not canonical base64"))
}
