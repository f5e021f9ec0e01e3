//! How a connection begins, on either side of a proxy: in plain text, with TLS, or with Noise.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::certificate::{Certificate, Term};
use crate::wire::{Met, Wire};
use crate::{noise, tls};

/// What a listener shows from now on.
pub(crate) enum Ready {
    Tls(tls::Ready),
    Noise(noise::Ready),
}

impl Ready {
    /// The term of the chain that is shown, where there is one.
    pub(crate) const fn own(&self) -> Option<Term> {
        match self {
            Self::Tls(tls) => Some(tls.own()),
            Self::Noise(_) => None,
        }
    }
}

/// What stands before a listener: nothing, or a handshake by the files that were read last.
pub(crate) struct Front(Option<ArcSwap<Ready>>);

impl Front {
    /// Plain text, or not.
    pub(crate) fn new(ready: Option<Ready>) -> Self {
        Self(ready.map(ArcSwap::from_pointee))
    }

    /// Whoever comes from now on is shown this; who is connected does not notice. Plain text stays plain text.
    pub(crate) fn show(&self, ready: Ready) {
        if let Some(now) = &self.0 {
            now.store(Arc::new(ready));
        }
    }

    /// Whether nobody else reads what is said there.
    pub(crate) const fn is_secure(&self) -> bool {
        self.0.is_some()
    }

    /// Shakes hands with whoever came, within a time.
    ///
    /// # Errors
    /// What the other side did wrong; with TLS it was told with an alert.
    pub(crate) async fn meet(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> io::Result<(Wire, Option<Met>)> {
        // Small messages that wait for an answer: nothing is to be gathered.
        let _ = stream.set_nodelay(true);
        let Some(ready) = &self.0 else { return Ok((Box::new(stream), None)) };
        let ready = ready.load_full();
        let shaking = async {
            match &*ready {
                Ready::Tls(tls) => tls.meet(stream).await,
                Ready::Noise(noise) => noise.meet(stream).await,
            }
        };
        let (wire, met) = timeout(patience, shaking).await??;
        Ok((wire, Some(met)))
    }
}

/// With what a server is spoken to from now on.
pub(crate) enum Towards {
    Tls(tls::Towards),
    Noise(noise::Towards),
}

/// How a server is spoken to: in plain text, or by the files that were read last.
pub(crate) struct Back(Option<ArcSwap<Towards>>);

impl Back {
    /// Plain text, or not.
    pub(crate) fn new(towards: Option<Towards>) -> Self {
        Self(towards.map(ArcSwap::from_pointee))
    }

    /// Connections from now on are made with this. Plain text stays plain text.
    pub(crate) fn show(&self, towards: Towards) {
        if let Some(now) = &self.0 {
            now.store(Arc::new(towards));
        }
    }

    /// Shakes hands with the server; its certificate, with the term of its whole chain, where it has one.
    ///
    /// # Errors
    /// What the server did wrong.
    pub(crate) async fn join(&self, stream: TcpStream) -> io::Result<(Wire, Option<Certificate>)> {
        let _ = stream.set_nodelay(true);
        let Some(towards) = &self.0 else { return Ok((Box::new(stream), None)) };
        match &*towards.load_full() {
            Towards::Tls(tls) => tls.join(stream).await,
            Towards::Noise(noise) => Ok((noise.join(stream).await?, None)),
        }
    }
}
