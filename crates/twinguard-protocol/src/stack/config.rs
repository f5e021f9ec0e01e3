//! What a stack is told, and what it counts.

use twinguard_types::Duration;

use crate::ip::FragmentLimits;
use crate::protocol::Carrier;
use crate::registry::Family;
use crate::tcp;

/// What a [`Stack`](super::Stack) reads, and its bounds.
#[derive(Clone, Debug)]
pub struct Config {
    /// The families to look for.
    pub families: Vec<Family>,
    /// Further carriers by which a family is known, for example `(Carrier::Tcp(1502), Family::Modbus)`.
    pub carriers: Vec<(Carrier, Family)>,
    /// Whether connections on other ports are looked into: one that begins with whole, legal messages of a family is
    /// taken as that family's.
    pub detect: bool,
    /// After this time a request counts as unanswered.
    pub patience: Duration,
    /// Requests that may be open on one conversation; beyond it the oldest counts as unanswered.
    pub open_requests: usize,
    /// Conversations over datagrams and bare Ethernet that are held.
    pub datagram_conversations: usize,
    /// Bounds of TCP reassembly.
    pub tcp: tcp::Limits,
    /// Bounds of IP reassembly.
    pub fragments: FragmentLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            families: Family::ALL.to_vec(),
            carriers: Vec::new(),
            detect: true,
            patience: Duration::from_secs(10),
            open_requests: 64,
            datagram_conversations: 4096,
            tcp: tcp::Limits::default(),
            fragments: FragmentLimits::default(),
        }
    }
}

/// What a [`Stack`](super::Stack) saw, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames taken.
    pub frames: u64,
    /// Frames whose headers could not be read.
    pub undecoded: u64,
    /// Messages found.
    pub messages: u64,
    /// Exchanges ended, whatever their outcome.
    pub exchanges: u64,
    /// Stream bytes of a family's conversations that are no messages.
    pub foreign_bytes: u64,
    /// Messages that were not fetched before the next frame.
    pub unread: u64,
}
