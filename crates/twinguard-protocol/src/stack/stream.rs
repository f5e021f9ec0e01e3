//! What a stack knows of a TCP connection.

use super::websocket::WebSocket;
use crate::pairing::Conversation;

/// What is known of a TCP connection beyond what the assembler knows.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) generation: u32,
    pub(super) speaks: Speaks,
    /// Whether the next readable byte of each end is known to begin a message.
    pub(super) synced: [bool; 2],
    /// Whether bytes of each end were lost since its last message.
    pub(super) torn: [bool; 2],
    /// Readable bytes of each end that were left for later: behind them the newest segment begins.
    pub(super) left: [usize; 2],
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "lives in a table that is reused")]
pub(super) enum Speaks {
    /// Not yet known; looked into this many times.
    Unknown(u8),
    /// Nothing that we read.
    Other,
    /// A family.
    Family(Conversation),
    /// A WebSocket, and what is inside.
    WebSocket(Box<WebSocket>),
}

impl Speaks {
    /// The conversation, where one is known.
    pub(super) fn conversation(&mut self) -> Option<&mut Conversation> {
        match self {
            Self::Family(conversation) => Some(conversation),
            Self::WebSocket(socket) => socket.inside(),
            Self::Unknown(_) | Self::Other => None,
        }
    }
}
