//! An encrypted, mutually authenticated channel: Noise KK over TCP, frames with a length before them.
//!
//! Both sides know the other's key before they meet (Noise specification, revision 34, §7.5); messages within are signed besides.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow, bail};
use snow::{Builder, TransportState};

const PATTERN: &str = "Noise_KK_25519_ChaChaPoly_BLAKE2s";
/// Longest Noise message, and what it holds.
const MOST: usize = 65_535;
const PIECE: usize = MOST - 16;
/// Longest message that is put together again.
const MOST_BYTES: usize = 64 << 20;

/// A secret key and its public half.
pub(crate) struct Keys {
    pub(crate) secret: Vec<u8>,
    pub(crate) public: Vec<u8>,
}

pub(crate) fn keys() -> Result<Keys> {
    let pair = Builder::new(PATTERN.parse()?).generate_keypair()?;
    Ok(Keys { secret: pair.private, public: pair.public })
}

/// One end; both directions may be used from two threads.
#[derive(Clone)]
pub(crate) struct Channel {
    stream: Arc<TcpStream>,
    state: Arc<Mutex<TransportState>>,
}

impl Channel {
    /// The end that called. Says its number in the clear first, so that the other knows which key to expect.
    pub(crate) fn call(stream: TcpStream, number: u32, secret: &[u8], other: &[u8]) -> Result<Self> {
        stream.set_nodelay(true)?;
        (&stream).write_all(&number.to_be_bytes())?;
        let mut noise = Builder::new(PATTERN.parse()?)
            .local_private_key(secret)?
            .remote_public_key(other)?
            .build_initiator()?;
        let mut buffer = vec![0; MOST];
        let length = noise.write_message(&number.to_be_bytes(), &mut buffer)?;
        write_frame(&stream, &buffer[..length])?;
        noise.read_message(&read_frame(&stream)?, &mut buffer)?;
        Self::over(stream, noise)
    }

    /// The end that was called: the caller's number, and the channel.
    pub(crate) fn answer(stream: TcpStream, secret: &[u8], others: &[Vec<u8>]) -> Result<(u32, Self)> {
        stream.set_nodelay(true)?;
        let mut number = [0; 4];
        (&stream).read_exact(&mut number)?;
        let claimed = u32::from_be_bytes(number);
        let other = others.get(claimed as usize).ok_or_else(|| anyhow!("nobody has number {claimed}"))?;
        let mut noise = Builder::new(PATTERN.parse()?)
            .local_private_key(secret)?
            .remote_public_key(other)?
            .build_responder()?;
        let mut buffer = vec![0; MOST];
        let length = noise.read_message(&read_frame(&stream)?, &mut buffer)?;
        if buffer[..length] != number {
            bail!("number {claimed} was changed on its way");
        }
        let length = noise.write_message(&[], &mut buffer)?;
        write_frame(&stream, &buffer[..length])?;
        Ok((claimed, Self::over(stream, noise)?))
    }

    fn over(stream: TcpStream, noise: snow::HandshakeState) -> Result<Self> {
        let state = Arc::new(Mutex::new(noise.into_transport_mode()?));
        Ok(Self { stream: Arc::new(stream), state })
    }

    pub(crate) fn send(&self, message: &[u8]) -> Result<()> {
        let mut state = self.state.lock().map_err(|_| anyhow!("a thread was lost"))?;
        let mut buffer = vec![0; MOST];
        let pieces: Vec<&[u8]> = message.chunks(PIECE - 1).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let mut plain = vec![u8::from(at + 1 == pieces.len())];
            plain.extend_from_slice(piece);
            let length = state.write_message(&plain, &mut buffer)?;
            write_frame(&self.stream, &buffer[..length])?;
        }
        Ok(())
    }

    /// Waits for the next message.
    pub(crate) fn receive(&self) -> Result<Vec<u8>> {
        let mut message = Vec::new();
        let mut buffer = vec![0; MOST];
        loop {
            let frame = read_frame(&self.stream)?;
            let mut state = self.state.lock().map_err(|_| anyhow!("a thread was lost"))?;
            let length = state.read_message(&frame, &mut buffer)?;
            let (last, piece) = buffer[..length].split_first().context("an empty frame")?;
            message.extend_from_slice(piece);
            if message.len() > MOST_BYTES {
                bail!("a message of more than 64 MiB");
            }
            if *last == 1 {
                return Ok(message);
            }
        }
    }
}

fn write_frame(mut stream: &TcpStream, bytes: &[u8]) -> Result<()> {
    let length = u16::try_from(bytes.len())?;
    stream.write_all(&length.to_be_bytes())?;
    Ok(stream.write_all(bytes)?)
}

fn read_frame(mut stream: &TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
