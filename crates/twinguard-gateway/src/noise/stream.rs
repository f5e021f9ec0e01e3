//! A session over a stream of bytes.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session::{MOST, Session};
use crate::core::noise::frame::{self, LARGEST, LENGTH};

/// Bytes that are read at one time.
const READ: usize = 8 << 10;

/// A stream whose bytes are sealed on their way. What is held is at most one message of the other side, opened or not, with what
/// was read behind it, and one of ours.
pub struct Noisy<S> {
    inner: S,
    session: Session,
    /// Read, and no whole message yet.
    came: Vec<u8>,
    /// Opened, and not taken yet.
    opened: Vec<u8>,
    taken: usize,
    /// Sealed, and not sent yet.
    sealed: Vec<u8>,
    sent: usize,
    /// Whether the other side said that it says no more, and whether we did.
    heard_end: bool,
    said_end: bool,
}

impl<S> core::fmt::Debug for Noisy<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Noisy").field("session", &self.session).finish_non_exhaustive()
    }
}

impl<S> Noisy<S> {
    pub(super) const fn new(inner: S, session: Session) -> Self {
        Self {
            inner,
            session,
            came: Vec::new(),
            opened: Vec::new(),
            taken: 0,
            sealed: Vec::new(),
            sent: 0,
            heard_end: false,
            said_end: false,
        }
    }

    /// Opens the next message of what came; whether there was one.
    fn next(&mut self) -> io::Result<bool> {
        let Some((message, _)) = frame::first(&self.came) else { return Ok(false) };
        let length = message.len();
        let opened = self.session.open(message).ok_or_else(super::broken)?;
        self.came.drain(..LENGTH + length);
        self.heard_end = opened.is_empty();
        (self.opened, self.taken) = (opened, 0);
        Ok(true)
    }
}

impl<S: AsyncWrite + Unpin> Noisy<S> {
    /// Sends what is sealed.
    fn drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.sealed.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(context, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
        }
        self.sealed.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noisy<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if let Some(rest) = this.opened.get(this.taken..).filter(|rest| !rest.is_empty()) {
                let part = rest.get(..rest.len().min(into.remaining())).unwrap_or_default();
                into.put_slice(part);
                this.taken += part.len();
                return Poll::Ready(Ok(()));
            }
            if this.heard_end {
                return Poll::Ready(Ok(()));
            }
            if this.next()? {
                continue;
            }
            let mut room = [0; READ];
            // Not further than a whole message, so that what is held stays bounded.
            let most = READ.min((LENGTH + LARGEST).saturating_sub(this.came.len()));
            let mut read = ReadBuf::new(room.get_mut(..most).unwrap_or_default());
            ready!(Pin::new(&mut this.inner).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            this.came.extend(read.filled());
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noisy<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // A message with nothing in it says something else.
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if this.said_end {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(this.drain(context))?;
        this.session.seal(bytes, &mut this.sealed).ok_or_else(super::broken)?;
        // What cannot be sent now is sent before anything else.
        if let Poll::Ready(Err(error)) = this.drain(context) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(bytes.len().min(MOST)))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.drain(context))?;
        Pin::new(&mut this.inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.drain(context))?;
        if !this.said_end {
            this.session.seal(&[], &mut this.sealed).ok_or_else(super::broken)?;
            this.said_end = true;
        }
        ready!(this.drain(context))?;
        Pin::new(&mut this.inner).poll_shutdown(context)
    }
}
