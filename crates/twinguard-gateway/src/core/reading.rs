//! What the point map reads from a client's message, looked at by itself before anything is sent.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use twinguard::protocol::protocol::Carrier;
use twinguard::protocol::{Family, Frame, LinkType, emit, point_map::PointMap, stack, stack::Stack};
use twinguard::types::{Binding, Duration, Event, Timestamp};

/// Where clients seem to be when messages are read: only the server's address is looked at.
const NOBODY: u16 = 49_152;

/// Reads one message at a time, as a datagram that is never sent; nobody answers on it.
#[derive(Debug)]
pub(super) struct Reading {
    map: PointMap,
    stack: Stack,
    frames: u64,
    frame: Vec<u8>,
    events: Vec<Event<'static>>,
}

impl Reading {
    /// For bindings of this family, and servers on these ports.
    pub(super) fn new(
        family: Family,
        bindings: &[Binding],
        ports: impl Iterator<Item = u16>,
    ) -> Result<Self, twinguard::protocol::Error> {
        let stack = stack::Config {
            families: vec![family],
            carriers: ports.map(|port| (Carrier::Udp(port), family)).collect(),
            duplicates_within: Duration::ZERO,
            open_requests: 1,
            ..stack::Config::default()
        };
        let (frame, events) = (Vec::new(), Vec::new());
        Ok(Self { map: PointMap::new(bindings)?, stack: Stack::new(stack), frames: 0, frame, events })
    }

    pub(super) const fn map(&self) -> &PointMap {
        &self.map
    }

    /// What a message to this server says and commands; `None` for one that fits in no frame.
    pub(super) fn events(
        &mut self,
        now: Timestamp,
        server: SocketAddr,
        message: &[u8],
    ) -> Option<&[Event<'static>]> {
        let nobody: IpAddr =
            if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        emit::datagram(SocketAddr::new(nobody, NOBODY), server, message, &mut self.frame).ok()?;
        self.frames += 1;
        let frame = Frame {
            index: self.frames,
            at: now,
            link: LinkType::Ethernet,
            bytes: &self.frame,
            original_len: self.frame.len() as u32,
        };
        self.stack.handle(&frame);
        self.events.clear();
        while let Some(item) = self.stack.poll() {
            self.map.bind(&item, &mut self.events);
        }
        Some(&self.events)
    }
}
