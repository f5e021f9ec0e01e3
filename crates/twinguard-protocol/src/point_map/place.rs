//! Places and names as numbers, so that they are found without comparing texts.

use std::collections::BTreeMap;

use crate::protocol::{Address, Name};
use crate::registry::Family;

/// One place of one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) family: Family,
    pub(super) server: Address,
    pub(super) space: u64,
    pub(super) name: NameId,
    pub(super) address: Option<u32>,
}

/// Who sends, without its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(untagged))]
pub(super) enum Client {
    Ip(core::net::IpAddr),
    Mac(twinguard_types::Mac),
}

impl Client {
    pub(super) const fn of(address: &Address) -> Self {
        match address {
            Address::Socket(socket) => Self::Ip(socket.ip()),
            Address::Mac(mac) => Self::Mac(*mac),
        }
    }
}

impl core::fmt::Display for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
        }
    }
}

/// A name in a tag; 0 is the empty one.
pub(super) type NameId = u32;

/// The names in tags, so that places are compared by numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    ids: BTreeMap<Box<[u8]>, NameId>,
    key: Vec<u8>,
}

impl Names {
    /// The parts one behind the other, the first two with their lengths.
    fn key(&mut self, name: &Name<'_>) {
        let [first, second, third] = name.parts();
        self.key.clear();
        for part in [first, second] {
            self.key.extend_from_slice(&(part.len() as u32).to_be_bytes());
            self.key.extend_from_slice(part);
        }
        self.key.extend_from_slice(third);
    }

    #[inline]
    pub(super) fn find(&mut self, name: &Name<'_>) -> Option<NameId> {
        if name.is_empty() {
            return Some(0);
        }
        self.key(name);
        self.ids.get(self.key.as_slice()).copied()
    }

    pub(super) fn enter(&mut self, name: &Name<'_>) -> NameId {
        if let Some(id) = self.find(name) {
            return id;
        }
        let id = self.ids.len() as u32 + 1;
        self.ids.insert(self.key.as_slice().into(), id);
        id
    }
}
