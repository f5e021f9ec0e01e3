//! What a stack tells.

use twinguard_types::{Exchange, Malformed, Timestamp};

use crate::protocol::{Access, Action, Address, Block, Header, Kind, Oddities, RawPoint, Sender};
use crate::registry::{Blocks, Family, Memo, Pdu};

/// One message, where it was met and what it answers; borrows the stack's buffers.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The frame in which it is complete; an earlier one than the newest for what lay behind bytes that never came and
    /// was held until that was known.
    pub frame: u64,
    /// That frame's time.
    pub at: Timestamp,
    /// Its place among the messages of that frame, from 0.
    pub index: u32,
    /// Sender.
    pub source: &'a Address,
    /// Receiver.
    pub destination: &'a Address,
    /// Which of the two asks and which answers, as far as known.
    pub sender: Sender,
    /// What it does.
    pub header: Header,
    /// Its bytes, from its first header of the family on.
    pub bytes: &'a [u8],
    /// Its content.
    pub pdu: Pdu<'a>,
    /// What is odd about it, by itself and in its conversation.
    pub oddities: Oddities,
    pub(super) request: Option<&'a Memo>,
}

impl<'a> Message<'a> {
    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.pdu.family()
    }

    /// The end that asks.
    #[must_use]
    pub const fn client(&self) -> &'a Address {
        if self.is_from_server() { self.destination } else { self.source }
    }

    /// The end that answers.
    #[must_use]
    pub const fn server(&self) -> &'a Address {
        if self.is_from_server() { self.source } else { self.destination }
    }

    const fn is_from_server(&self) -> bool {
        match self.sender {
            Sender::Client => false,
            Sender::Server => true,
            // Who tells without being asked, serves.
            Sender::Unknown => matches!(self.header.kind, Kind::Response | Kind::Exception | Kind::Event),
        }
    }

    /// Whether it is a response whose request was seen.
    #[must_use]
    pub const fn is_paired(&self) -> bool {
        self.request.is_some()
    }

    /// What it did to the device beyond values: known with the answer, or at once where none is expected.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        match (self.request, self.header.key) {
            (Some(memo), _) => memo.action(),
            (None, None) => self.pdu.memo().action(),
            (None, Some(_)) => None,
        }
    }

    /// The values it carries, in runs of neighbouring places.
    #[inline]
    #[must_use]
    pub fn blocks(&self) -> Blocks<'a> {
        self.pdu.blocks(self.request)
    }

    /// The values it carries, one by one.
    pub fn points(&self) -> impl Iterator<Item = RawPoint<'a>> {
        self.blocks().flat_map(Block::points)
    }

    /// Whether it tells a device to take values.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.blocks().any(|block| block.access == Access::Write)
    }
}

/// What a [`Stack`](super::Stack) has to tell.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "handed out by value without allocation")]
pub enum Item<'a> {
    /// A message.
    Message(Message<'a>),
    /// A request and what became of it; follows the message that completed it.
    Exchange(Exchange),
    /// Something odd outside of messages; a message's own oddities are on it.
    Malformed(Malformed),
}
