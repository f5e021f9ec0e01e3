//! A handshake and what comes of it, without sockets: messages in, messages out.

use snow::params::{DHChoice, NoiseParams};
use snow::resolvers::{CryptoResolver as _, DefaultResolver};
use snow::{Builder, HandshakeState, TransportState};
use zeroize::Zeroizing;

use super::REKEY;
use crate::core::noise::frame::{self, LARGEST};
use crate::core::noise::{KEY, Pattern, PublicKey, SecretKey};

/// Bytes that prove a message (§5.1).
const TAG: usize = 16;
/// Bytes of the stream in one message, at most: small enough that what is held of both sides stays small.
pub const MOST: usize = 16 << 10;
/// A message with nothing in it.
pub(super) const PROOF: usize = TAG;

/// Lengths of the handshakes' messages without payloads (§7.5: `e` and `s` are keys, `s` and the payload are sealed once
/// something has been mixed).
const IK: [usize; 2] = [KEY + KEY + TAG + TAG, KEY + TAG];
const XX: [usize; 3] = [KEY, KEY + KEY + TAG + TAG, KEY + TAG + TAG];

impl Pattern {
    const fn protocol(self) -> &'static str {
        match self {
            Self::Ik => "Noise_IK_25519_ChaChaPoly_BLAKE2s",
            Self::Xx => "Noise_XX_25519_ChaChaPoly_BLAKE2s",
        }
    }

    const fn lengths(self) -> &'static [usize] {
        match self {
            Self::Ik => &IK,
            Self::Xx => &XX,
        }
    }
}

/// A new key pair.
pub(super) fn generate() -> Option<(SecretKey, PublicKey)> {
    let params: NoiseParams = Pattern::Ik.protocol().parse().ok()?;
    let pair = Builder::new(params).generate_keypair().ok()?;
    let private = Zeroizing::new(pair.private);
    let secret = Zeroizing::new(<[u8; KEY]>::try_from(private.as_slice()).ok()?);
    Some((SecretKey(secret), PublicKey(pair.public.try_into().ok()?)))
}

impl SecretKey {
    /// The public key that belongs to it.
    #[must_use]
    pub fn public(&self) -> Option<PublicKey> {
        let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519)?;
        dh.set(self.0.as_slice());
        Some(PublicKey(dh.pubkey().try_into().ok()?))
    }
}

/// Whose turn it is in a [`Handshake`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Ours.
    Say,
    /// The other side's, with a message of this length.
    Hear(usize),
    /// Nobody's.
    Over,
}

/// A handshake on its way, without a socket: what a peer needs that speaks to a gateway, or a server behind one.
///
/// ```
/// use twinguard_gateway::core::noise::frame;
/// use twinguard_gateway::noise::{Handshake, PROLOGUE, Pattern, SecretKey, Turn};
///
/// let [client, server] = ["11", "22"].map(|byte| SecretKey::parse(&byte.repeat(32)).unwrap());
/// let prologue = format!("{PROLOGUE}modbus");
/// let mut sides = [
///     Handshake::initiator(Pattern::Ik, &client, &server.public().unwrap(), &prologue).unwrap(),
///     Handshake::responder(Pattern::Ik, &server, &prologue).unwrap(),
/// ];
/// let mut says = 0;
/// while sides[says].turn() == Turn::Say {
///     let sent = sides[says].say().unwrap();
///     says = 1 - says;
///     let (message, _) = frame::first(&sent).unwrap();
///     sides[says].hear(message).unwrap();
/// }
/// let [(mut one, _), (mut other, key)] = sides.map(|side| side.finish().unwrap());
/// assert_eq!(Some(key), client.public());
/// let mut sent = Vec::new();
/// one.seal(b"valve 0.4", &mut sent).unwrap();
/// assert_eq!(other.open(frame::first(&sent).unwrap().0).unwrap(), b"valve 0.4");
/// ```
pub struct Handshake {
    state: Box<HandshakeState>,
    /// Lengths of the messages that are still to come.
    left: &'static [usize],
}

impl core::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Handshake").field("left", &self.left).finish_non_exhaustive()
    }
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session")
            .field("said", &self.said)
            .field("heard", &self.heard)
            .finish_non_exhaustive()
    }
}

impl Handshake {
    /// The client's side; `None` for keys that Noise does not take.
    #[must_use]
    pub fn initiator(
        pattern: Pattern,
        secret: &SecretKey,
        server: &PublicKey,
        prologue: &str,
    ) -> Option<Self> {
        let builder = Builder::new(pattern.protocol().parse().ok()?);
        let builder =
            builder.local_private_key(secret.0.as_slice()).ok()?.prologue(prologue.as_bytes()).ok()?;
        let builder = match pattern {
            Pattern::Ik => builder.remote_public_key(&server.0).ok()?,
            Pattern::Xx => builder,
        };
        let state = Box::new(builder.build_initiator().ok()?);
        Some(Self { state, left: pattern.lengths() })
    }

    /// The server's side; `None` for a key that Noise does not take.
    #[must_use]
    pub fn responder(pattern: Pattern, secret: &SecretKey, prologue: &str) -> Option<Self> {
        let builder = Builder::new(pattern.protocol().parse().ok()?);
        let builder =
            builder.local_private_key(secret.0.as_slice()).ok()?.prologue(prologue.as_bytes()).ok()?;
        Some(Self { state: Box::new(builder.build_responder().ok()?), left: pattern.lengths() })
    }

    /// Whose turn it is.
    #[must_use]
    pub fn turn(&self) -> Turn {
        match self.left.first() {
            None => Turn::Over,
            Some(_) if self.state.is_my_turn() => Turn::Say,
            Some(length) => Turn::Hear(*length),
        }
    }

    /// Our next message, with its length before it; `None` when it is not our turn.
    pub fn say(&mut self) -> Option<Vec<u8>> {
        let mut message = [0; KEY + KEY + TAG + TAG];
        let length = self.state.write_message(&[], &mut message).ok()?;
        self.step(length)?;
        let mut framed = Vec::new();
        frame::put(&mut framed, message.get(..length)?).then_some(framed)
    }

    /// Takes the other side's next message; `None` when it is none.
    pub fn hear(&mut self, message: &[u8]) -> Option<()> {
        let payload = self.state.read_message(message, &mut []).ok()?;
        self.step(message.len()).filter(|()| payload == 0)
    }

    fn step(&mut self, length: usize) -> Option<()> {
        let (expected, left) = self.left.split_first()?;
        self.left = left;
        (*expected == length).then_some(())
    }

    /// The other side's key, once it is known.
    #[must_use]
    pub fn peer(&self) -> Option<PublicKey> {
        self.state.get_remote_static().and_then(|key| key.try_into().ok()).map(PublicKey)
    }

    /// What the handshake comes to, and with whom; `None` before it is over.
    #[must_use]
    pub fn finish(self) -> Option<(Session, PublicKey)> {
        let peer = self.peer()?;
        let state = self.state.into_transport_mode().ok()?;
        Some((Session { state: Box::new(state), said: 0, heard: 0 }, peer))
    }
}

/// Both directions of a connection, after its [`Handshake`]. Once a function gives `None` the connection is over.
pub struct Session {
    state: Box<TransportState>,
    said: u64,
    heard: u64,
}

impl Session {
    /// Seals at most [`MOST`] bytes as one message and puts it, with its length, behind others.
    pub fn seal(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let bytes = bytes.get(..bytes.len().min(MOST))?;
        let mut message = vec![0; bytes.len() + TAG];
        let length = self.state.write_message(bytes, &mut message).ok()?;
        self.said += 1;
        if self.said.is_multiple_of(REKEY) {
            self.state.rekey_outgoing();
        }
        frame::put(out, message.get(..length)?).then_some(())
    }

    /// What a message holds; `None` for one that the other side did not seal as the next. Then the connection is over.
    pub fn open(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        if message.len() > LARGEST {
            return None;
        }
        let mut bytes = vec![0; message.len().checked_sub(TAG)?];
        let length = self.state.read_message(message, &mut bytes).ok()?;
        self.heard += 1;
        if self.heard.is_multiple_of(REKEY) {
            self.state.rekey_incoming();
        }
        bytes.truncate(length);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (SecretKey, PublicKey) {
        generate().unwrap()
    }

    /// Both sides of a finished handshake.
    fn shaken(pattern: Pattern) -> (Session, Session) {
        let ((client, client_key), (server, server_key)) = (pair(), pair());
        let mut sides = [
            Handshake::initiator(pattern, &client, &server_key, "p").unwrap(),
            Handshake::responder(pattern, &server, "p").unwrap(),
        ];
        let mut says = 0;
        while sides[says].turn() == Turn::Say {
            let message = sides[says].say().unwrap();
            let (message, rest) = frame::first(&message).unwrap();
            says = 1 - says;
            assert_eq!((sides[says].turn(), rest.len()), (Turn::Hear(message.len()), 0));
            sides[says].hear(message).unwrap();
        }
        let [one, other] = sides.map(|side| side.finish().unwrap());
        assert_eq!((one.1, other.1), (server_key, client_key));
        (one.0, other.0)
    }

    #[test]
    fn public_keys_belong_to_secret_ones() {
        // As OpenSSL computes it.
        let secret =
            SecretKey::parse("77076d0a7318a57d3c16c17251b26645df4c2f92ebc0992ac177fba51db92c2a").unwrap();
        let public = secret.public().unwrap().to_string();
        assert_eq!(public, "f8a9535a2d2ff605e8e144d54f4ef5c62313a2055dbb21fddd3fd9c299eb015d");
        let (secret, public) = pair();
        assert_eq!(secret.public(), Some(public));
    }

    #[test]
    fn both_patterns_carry_bytes_over_many_keys() {
        for pattern in [Pattern::Ik, Pattern::Xx] {
            let (mut one, mut other) = shaken(pattern);
            for n in 0..3 * REKEY + 5 {
                let mut sent = Vec::new();
                let bytes = n.to_be_bytes();
                one.seal(&bytes, &mut sent).unwrap();
                let (message, _) = frame::first(&sent).unwrap();
                assert_eq!(other.open(message).unwrap(), bytes, "message {n}");
                if n % 7 == 0 {
                    let mut back = Vec::new();
                    other.seal(&[], &mut back).unwrap();
                    assert!(one.open(frame::first(&back).unwrap().0).unwrap().is_empty());
                }
            }
        }
    }

    #[test]
    fn what_was_altered_or_sent_again_ends_it() {
        for at in 0..24 {
            let (mut one, mut other) = shaken(Pattern::Ik);
            let mut sent = Vec::new();
            one.seal(b"12345678", &mut sent).unwrap();
            let mut message = frame::first(&sent).unwrap().0.to_vec();
            message[at] ^= 1;
            assert!(other.open(&message).is_none(), "byte {at}");
        }
        let (mut one, mut other) = shaken(Pattern::Xx);
        let mut sent = Vec::new();
        one.seal(b"once", &mut sent).unwrap();
        let message = frame::first(&sent).unwrap().0;
        assert!(other.open(message).is_some() && other.open(message).is_none());
        assert!(other.open(&message[..15]).is_none());
    }

    #[test]
    fn another_server_key_prologue_or_pattern_fails() {
        let ((client, _), (server, server_key), (_, other_key)) = (pair(), pair(), pair());
        let first = |pattern, key, prologue| {
            let message = Handshake::initiator(pattern, &client, key, prologue).unwrap().say().unwrap();
            let (message, _) = frame::first(&message).unwrap();
            Handshake::responder(Pattern::Ik, &server, "modbus").unwrap().hear(message).is_some()
        };
        assert!(first(Pattern::Ik, &server_key, "modbus"));
        assert!(!first(Pattern::Ik, &other_key, "modbus"));
        assert!(!first(Pattern::Ik, &server_key, "mqtt"));
        assert!(!first(Pattern::Xx, &server_key, "modbus"));
    }
}
