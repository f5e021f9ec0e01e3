//! A connection, in plain text or not, and what its beginning has shown.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use crate::certificate::{Certificate, Term};
use crate::core::noise::PublicKey;

/// Bytes in both directions, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, encrypted or not.
pub(crate) type Wire = Box<dyn Stream>;

/// Sends bytes, and leaves none of them in the session's buffer.
///
/// # Errors
/// What the system says.
pub(crate) async fn put(wire: &mut Wire, bytes: &[u8]) -> io::Result<()> {
    wire.write_all(bytes).await?;
    wire.flush().await
}

/// What a handshake has shown of a client.
#[derive(Clone, Debug)]
pub(crate) enum Met {
    /// With TLS.
    Certificates {
        /// Whose certificate the other side holds the key of, with the term of its whole chain; `None` where none is asked for.
        peer: Option<Certificate>,
        /// The term of the chain that was shown to it.
        own: Term,
    },
    /// With Noise: one of the keys that the configuration lists, and whose it is.
    Key {
        /// Whom the configuration says that it names.
        name: Arc<str>,
        /// The key.
        key: PublicKey,
    },
}
