//! What a stack is told, and what it counts.

use twinguard_types::Duration;

use crate::ip::FragmentLimits;
use crate::protocol::{Carrier, Sender};
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
    /// Within this time the same datagram between the same ends is the same packet, seen by two taps or sent over two
    /// networks: it is counted and dropped. Zero tells every packet. TCP needs none: its sequence numbers tell.
    pub duplicates_within: Duration,
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
            duplicates_within: Duration::from_millis(2),
            open_requests: 64,
            datagram_conversations: 4096,
            tcp: tcp::Limits::default(),
            fragments: FragmentLimits::default(),
        }
    }
}

impl Config {
    /// The family whose whole, legal messages these bytes are.
    pub(super) fn recognise(&self, bytes: &[u8]) -> Option<(Family, Sender)> {
        self.families.iter().find_map(|family| family.probe(bytes).map(|sender| (*family, sender)))
    }

    /// The family that these bytes are of, where they are none of their port's: a port says little.
    pub(super) fn other(&self, than: Family, bytes: &[u8]) -> Option<Family> {
        let (other, _) = self.detect.then(|| self.recognise(bytes)).flatten()?;
        (other != than).then_some(other)
    }
}

/// What a [`Stack`](super::Stack) saw, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames taken.
    pub frames: u64,
    /// Frames whose headers could not be read.
    pub undecoded: u64,
    /// Packets dropped because they were seen just before.
    pub duplicates: u64,
    /// Messages found.
    pub messages: u64,
    /// Exchanges ended, whatever their outcome.
    pub exchanges: u64,
    /// Stream bytes of a family's conversations that are no messages.
    pub foreign_bytes: u64,
    /// Messages that were not fetched before the next frame.
    pub unread: u64,
}
