//! The key, and the sealing of datagrams.

use core::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::datagram::{HEADER, Header, TAG};

/// So that a key that is used elsewhere too is another one here (BLAKE3 specification §2.3).
const CONTEXT: &str = "twinguard 2026-12 one-way telemetry, datagram key";
const NONCE: usize = 24;

/// What sender and receiver share: 32 secret bytes from a good source of randomness. `Debug` does not show them, and they are wiped when
/// they are dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// A key written as 64 hexadecimal digits, with white space around them or without; `None` for any other text.
    ///
    /// ```
    /// use twinguard_gateway::core::one_way::Key;
    ///
    /// assert!(Key::parse(&format!("{}\n", "0f".repeat(32))).is_some());
    /// assert!(Key::parse("0f0f").is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim().as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = Zeroizing::new([0_u8; 32]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| pair.get(at).and_then(|it| char::from(*it).to_digit(16));
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(bytes))
    }
}

/// Seals and opens datagrams under one key.
pub(super) struct Sealer(XChaCha20Poly1305);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

/// Why a datagram is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Malformed,
    Forged,
}

/// The stream and the sequence number: no two datagrams under one key have the same.
fn nonce(header: &Header) -> XNonce {
    let mut nonce = [0; NONCE];
    let parts = header.stream.0.iter().chain(&header.sequence.to_be_bytes()).copied().collect::<Vec<_>>();
    for (to, from) in nonce.iter_mut().zip(parts) {
        *to = from;
    }
    nonce.into()
}

impl Sealer {
    pub(super) fn new(key: &Key) -> Self {
        let derived = Zeroizing::new(blake3::derive_key(CONTEXT, &*key.0));
        Self(XChaCha20Poly1305::new((&*derived).into()))
    }

    /// The datagram of a piece; `None` for a piece that the cipher cannot take, which is one of 256 GiB.
    pub(super) fn seal(&self, header: &Header, piece: &[u8]) -> Option<Vec<u8>> {
        let head = header.to_bytes();
        let mut datagram = Vec::with_capacity(HEADER + piece.len() + TAG);
        datagram.extend_from_slice(&head);
        datagram.extend_from_slice(piece);
        let body = datagram.get_mut(HEADER..).unwrap_or_default();
        let tag = self.0.encrypt_inout_detached(&nonce(header), &head, body.into()).ok()?;
        datagram.extend_from_slice(&tag);
        Some(datagram)
    }

    /// The header and the piece of a datagram.
    pub(super) fn open(&self, datagram: &[u8]) -> Result<(Header, Vec<u8>), Refused> {
        let (header, sealed) = Header::read(datagram).map_err(|_| Refused::Malformed)?;
        let (piece, tag) = sealed.split_last_chunk::<TAG>().ok_or(Refused::Malformed)?;
        let mut piece = piece.to_vec();
        let body = piece.as_mut_slice().into();
        // The header is read in one way, so writing it again gives the bytes that came.
        self.0
            .decrypt_inout_detached(&nonce(&header), &header.to_bytes(), body, &Tag::from(*tag))
            .map_err(|_| Refused::Forged)?;
        Ok((header, piece))
    }
}
