//! Noise before proxies and towards servers: encrypted and authenticated connections for peers that are too small for TLS.
//!
//! **Protocols.** `Noise_IK_25519_ChaChaPoly_BLAKE2s` (one round trip; the client knows the server's key before) and
//! `Noise_XX_25519_ChaChaPoly_BLAKE2s` (both keys are told on the way); which one, the configuration says, and nothing is
//! negotiated. The cipher and the hash need additions, rotations and exclusive-ors of 32-bit words alone: small code, constant time
//! without tables, fast on processors without special instructions, which is why BLAKE2s stands here and not its 64-bit sister. The
//! prologue is [`PROLOGUE`] and the name of what is spoken inside, for example `modbus`: who was made to connect elsewhere fails.
//!
//! **On the wire** every message stands behind two bytes with its length, the high one first. Handshake messages have no
//! payload, so their lengths are fixed and nothing longer is read. After the last of them:
//! - a client of IK sends one message with nothing in it. Its first message could have been sent by somebody who recorded it;
//!   this one cannot, and before it nobody is believed to be there;
//! - messages hold the bytes of the stream, at least one each, cut anywhere;
//! - a message with nothing in it says that its sender says no more. A connection that ends without it was cut off;
//! - after every [`REKEY`] messages in one direction, both sides exchange that direction's key for the next (§11.3): at most
//!   64 MiB are encrypted under one.
//!
//! **Who is who.** The server's key is pinned. Clients are told by the list of their keys, each with the name that the policy
//! knows; with IK an unknown key gets no answer. Keys do not run out: take one out of the list and reload.
//!
//! What is not: Noise hides neither lengths nor times; there is no post-quantum exchange in it; who learns a client's secret key can
//! speak for it from then on, and not read what was said before.
//!
//! Sources: Noise Protocol Framework rev. 34: §3 (messages), §5 (states), §7.5, §7.7 (patterns and what they give), §11.3 (rekey), §13
//! (lengths, termination).

mod session;
mod stream;

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Error;
use crate::config::{Noise, NoiseClient, NoiseTowards, noise_secret as secret};
pub use crate::core::noise::{Pattern, PublicKey, SecretKey};
use crate::wire::{Met, Wire};
pub use session::{Handshake, MOST, Session, Turn};
pub use stream::Noisy;

/// What both sides have to start from, with the name of the protocol inside behind it.
pub const PROLOGUE: &str = "twinguard noise 1 ";

/// Messages in one direction after which its key is exchanged.
pub const REKEY: u64 = 1_024;

/// Makes a new key: the secret one into a file that only its owner reads, which must not be there yet; the public one.
///
/// # Errors
/// [`Error::Io`] where the file is there, or cannot be written.
pub fn generate(file: &Path) -> Result<PublicKey, Error> {
    let told = |source| Error::Io { what: "cannot write", name: file.display().to_string(), source };
    let (secret, public) = session::generate().ok_or_else(|| told(io::Error::other("no randomness")))?;
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(told)?;
    let mut text = secret.to_text();
    text.push('\n');
    made.write_all(text.as_bytes()).and_then(|()| made.sync_all()).map_err(told)?;
    Ok(public)
}

/// What a listener meets its clients with.
pub(crate) struct Ready {
    pattern: Pattern,
    secret: SecretKey,
    prologue: String,
    clients: Vec<(Arc<str>, PublicKey)>,
}

impl Ready {
    /// Reads the files; `inside` is what is spoken there.
    ///
    /// # Errors
    /// [`Error::Io`] with the file that cannot be used.
    pub(crate) fn read(noise: &Noise, inside: &str) -> Result<Self, Error> {
        let client = |it: &NoiseClient| (Arc::from(it.name.as_str()), it.key);
        Ok(Self {
            pattern: noise.pattern,
            secret: secret(&noise.key).map_err(|reason| refuse(&noise.key, reason))?,
            prologue: format!("{PROLOGUE}{inside}"),
            clients: noise.clients.iter().map(client).collect(),
        })
    }

    /// Shakes hands with whoever came.
    ///
    /// # Errors
    /// What the other side did wrong, or that nobody knows it; it is told nothing.
    pub(crate) async fn meet(&self, mut stream: TcpStream) -> io::Result<(Wire, Met)> {
        let known = |key: PublicKey| self.clients.iter().find(|(_, listed)| *listed == key);
        let handshake =
            Handshake::responder(self.pattern, &self.secret, &self.prologue).ok_or_else(broken)?;
        let (session, key) = shake(&mut stream, handshake, |key| known(key).is_some()).await?;
        let (name, key) = known(key).ok_or_else(broken)?;
        let wire = match self.pattern {
            Pattern::Ik => {
                let mut session = session;
                let proof = message(&mut stream, session::PROOF).await?;
                if !session.open(&proof).ok_or_else(broken)?.is_empty() {
                    return Err(broken());
                }
                Noisy::new(stream, session)
            }
            Pattern::Xx => Noisy::new(stream, session),
        };
        Ok((Box::new(wire), Met::Key { name: name.clone(), key: *key }))
    }
}

/// How a server is spoken to.
pub(crate) struct Towards {
    pattern: Pattern,
    secret: SecretKey,
    prologue: String,
    server: PublicKey,
}

impl Towards {
    /// Reads the file; `inside` is what is spoken there.
    ///
    /// # Errors
    /// [`Error::Io`] with the file that cannot be used.
    pub(crate) fn read(noise: &NoiseTowards, inside: &str) -> Result<Self, Error> {
        Ok(Self {
            pattern: noise.pattern,
            secret: secret(&noise.key).map_err(|reason| refuse(&noise.key, reason))?,
            prologue: format!("{PROLOGUE}{inside}"),
            server: noise.server,
        })
    }

    /// Shakes hands with the server.
    ///
    /// # Errors
    /// What the server did wrong, or that it is another one.
    pub(crate) async fn join(&self, stream: TcpStream) -> io::Result<Wire> {
        let (secret, server) = (&self.secret, self.server);
        Ok(Box::new(joined(stream, self.pattern, secret, server, &self.prologue).await?))
    }
}

/// Speaks to a gateway as a client that holds a key; `inside` is the name of the proxy's table, for example `modbus`.
///
/// # Errors
/// What the gateway did wrong, or that it is another one; and that it closed the connection, as it does with an unknown key.
pub async fn join(
    stream: TcpStream,
    pattern: Pattern,
    secret: &SecretKey,
    server: PublicKey,
    inside: &str,
) -> io::Result<Noisy<TcpStream>> {
    joined(stream, pattern, secret, server, &format!("{PROLOGUE}{inside}")).await
}

async fn joined(
    mut stream: TcpStream,
    pattern: Pattern,
    secret: &SecretKey,
    server: PublicKey,
    prologue: &str,
) -> io::Result<Noisy<TcpStream>> {
    let handshake = Handshake::initiator(pattern, secret, &server, prologue).ok_or_else(broken)?;
    let (mut session, _) = shake(&mut stream, handshake, |key| key == server).await?;
    if pattern == Pattern::Ik {
        let mut proof = Vec::new();
        session.seal(&[], &mut proof).ok_or_else(broken)?;
        stream.write_all(&proof).await?;
    }
    Ok(Noisy::new(stream, session))
}

/// Sends and takes the handshake's messages until it is over; `known` is asked about the other side's key as soon as it is there, before
/// anything more is said.
async fn shake(
    stream: &mut TcpStream,
    mut handshake: Handshake,
    known: impl Fn(PublicKey) -> bool,
) -> io::Result<(Session, PublicKey)> {
    loop {
        match handshake.turn() {
            Turn::Say => {
                let message = handshake.say().ok_or_else(broken)?;
                stream.write_all(&message).await?;
            }
            Turn::Hear(length) => {
                let message = message(stream, length).await?;
                handshake.hear(&message).ok_or_else(broken)?;
                if handshake.peer().is_some_and(|key| !known(key)) {
                    return Err(io::Error::new(io::ErrorKind::PermissionDenied, "nobody knows this key"));
                }
            }
            Turn::Over => return handshake.finish().ok_or_else(broken),
        }
    }
}

/// A message of exactly this length: of another one nothing is read but its length.
async fn message(stream: &mut TcpStream, length: usize) -> io::Result<Vec<u8>> {
    if usize::from(stream.read_u16().await?) != length {
        return Err(broken());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not of this Noise protocol")
}

fn refuse(file: &Path, reason: String) -> Error {
    Error::Io { what: "cannot use", name: file.display().to_string(), source: io::Error::other(reason) }
}
