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
    /// What is done about checksums of IPv4, TCP and UDP.
    pub checksums: Checksums,
    /// Requests that may be open on one conversation; beyond it the oldest counts as unanswered.
    pub open_requests: usize,
    /// Conversations over datagrams and bare Ethernet that are held.
    pub datagram_conversations: usize,
    /// Bounds of TCP reassembly.
    pub tcp: tcp::Limits,
    /// Bounds of IP reassembly.
    pub fragments: FragmentLimits,
}

/// What a stack does about checksums of IPv4, TCP and UDP; see [`crate::checksum`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checksums {
    /// Nothing: they are not looked at.
    #[default]
    Ignore,
    /// Wrong ones are counted, and each sender of one is told of once. The packet is read all the same.
    Tell,
    /// As `Tell`, and the packet is dropped, as its receiver does: nobody can show the stack what the receiver never
    /// took. What a network card had yet to compute is no wrong checksum. Not for captures whose addresses were
    /// changed afterwards: all their checksums are wrong.
    Refuse,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            families: Family::ALL.to_vec(),
            carriers: Vec::new(),
            detect: true,
            patience: Duration::from_secs(10),
            duplicates_within: Duration::from_millis(2),
            checksums: Checksums::Ignore,
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
    /// Packets with a wrong checksum, where [`Config::checksums`] has them looked at.
    pub checksums_wrong: u64,
    /// Packets whose checksum the sender's network card had yet to compute, likewise.
    pub checksums_offloaded: u64,
    /// Messages that were not fetched before the next frame.
    pub unread: u64,
}
