//! What is odd about a packet by itself: its checksums (see [`crate::checksum`]), and whether its frame holds it.

use std::net::IpAddr;

use twinguard_types::{Label, Malformed, Oddity};

use super::{Checksums, Stack};
use crate::checksum::{self, Checksum};
use crate::frame::Frame;
use crate::ip::{IpPacket, Transport};

/// Senders that are told of by name; those beyond are counted alone.
const SENDERS_MAX: usize = 256;

impl Stack {
    /// Looks at the checksums of a frame's packet: whether the packet is to be dropped for them.
    #[cold]
    pub(super) fn is_refused(&mut self, frame: &Frame<'_>, packet: &IpPacket<'_>) -> bool {
        let checks = checksum::check(frame.link, frame.bytes);
        self.counters.checksums_offloaded += u64::from(checks.any(Checksum::Offloaded));
        if !checks.any(Checksum::Wrong) {
            return false;
        }
        self.counters.checksums_wrong += 1;
        if self.wrong_senders.len() < SENDERS_MAX && self.wrong_senders.insert(packet.source) {
            let layer = match (checks.ip, &packet.transport) {
                (Checksum::Wrong, _) => "ip",
                (_, Transport::Tcp(_)) => "tcp",
                _ => "udp",
            };
            let ends = packet.endpoints();
            self.malformed.push_back(Malformed {
                at: self.at,
                family: Label::literal(layer),
                source: ends.map(|(source, _)| source),
                destination: ends.map(|(_, destination)| destination),
                offset: 0,
                oddity: Oddity::BadChecksum,
            });
        }
        self.config.checksums == Checksums::Refuse
    }

    /// A packet that its frame ends before the packet does, and not because the capture cut it.
    #[cold]
    pub(super) fn short(&mut self, packet: &IpPacket<'_>) {
        let family = Label::literal(match packet.transport {
            Transport::Tcp(_) => "tcp",
            Transport::Udp(_) => "udp",
            _ => "ip",
        });
        let (source, destination) = packet.endpoints().unzip();
        let oddity = Oddity::Truncated;
        self.malformed.push_back(Malformed { at: self.at, family, source, destination, offset: 0, oddity });
    }
}

/// Senders of wrong checksums that were told of.
pub(super) type Senders = std::collections::BTreeSet<IpAddr>;
