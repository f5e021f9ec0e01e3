//! What a point map remembers, so that another one of the same bindings can go on from it.

use core::net::SocketAddr;

use twinguard_types::{Label, Mac, Principal, PrincipalId, Principals, Role};

use super::place::{self, Client, Names};
use super::{Discovery, PRINCIPALS_MAX, PointMap};
use crate::encoding::Held;
use crate::error::Error;
use crate::protocol::{Address, VALUE_MAX};
use crate::registry::Family;

/// What a [`PointMap`] remembers: last values, clients, the next command's number, the places that it found.
///
/// With the feature `serde` it can be written down; [`PointMap::with_state`] goes on from it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct PointMapState {
    entries: Vec<Last>,
    principals: Vec<Principal>,
    clients: Vec<(Client, PrincipalId)>,
    next_command: u64,
    found: Option<Found>,
}

/// What is known of one bound place.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Last {
    value: Held,
    raw: [u8; VALUE_MAX],
    known: bool,
}

/// Places in the order of their signals.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Found {
    places: Vec<Place>,
    ignored: u64,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Place {
    family: Label,
    server: Server,
    tag: Box<str>,
    written: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(untagged))]
enum Server {
    Socket(SocketAddr),
    Mac(Mac),
}

const fn refuse<T>(reason: &'static str) -> Result<T, Error> {
    Err(Error::State { reason })
}

impl PointMap {
    /// What the map remembers.
    ///
    /// ```
    /// use twinguard_protocol::point_map::PointMap;
    ///
    /// let map = PointMap::discover(100);
    /// let state = map.state();
    /// assert_eq!(PointMap::discover(100).with_state(state.clone())?.state(), state);
    /// assert!(PointMap::new(&[])?.with_state(state).is_err(), "a map of bindings finds nothing");
    /// # Ok::<(), twinguard_protocol::Error>(())
    /// ```
    #[must_use]
    pub fn state(&self) -> PointMapState {
        let last = |entry: &super::Entry| Last { value: entry.last, raw: entry.raw, known: entry.known };
        PointMapState {
            entries: self.entries.iter().map(last).collect(),
            principals: self.principals.iter().map(|(_, principal)| principal.clone()).collect(),
            clients: self.by_client.iter().map(|(client, id)| (*client, *id)).collect(),
            next_command: self.next_command,
            found: self.discovery.as_ref().map(Discovery::state),
        }
    }

    /// Goes on from what a map of the same bindings remembered.
    ///
    /// # Errors
    /// [`Error::State`] for the state of a map of other bindings, or with more than this one may keep.
    pub fn with_state(mut self, state: PointMapState) -> Result<Self, Error> {
        if state.entries.len() != self.entries.len() {
            return refuse("it is of other bindings");
        }
        if state.clients.len() > PRINCIPALS_MAX {
            return refuse("it knows too many clients");
        }
        // A number that leaves no room for the next command cannot have been reached by counting.
        if state.next_command > u64::from(u32::MAX) << 24 {
            return refuse("its commands are not numbered as a map does");
        }
        for (entry, last) in self.entries.iter_mut().zip(state.entries) {
            entry.last = last.value;
            entry.raw = last.raw;
            entry.known = last.known;
        }
        self.principals = Principals::new();
        for principal in state.principals {
            self.principals.intern(principal).or(refuse("it knows too many clients"))?;
        }
        self.by_client = state.clients.into_iter().collect();
        self.next_command = state.next_command;
        match (&mut self.discovery, state.found) {
            (Some(discovery), Some(found)) => discovery.set_state(&mut self.names, found)?,
            (None, None) => {}
            _ => return refuse("of the two maps one has bindings and one finds its signals"),
        }
        Ok(self)
    }
}

impl Discovery {
    fn state(&self) -> Found {
        let mut places: Vec<_> = self.signals.iter().collect();
        places.sort_by_key(|(_, signal)| **signal);
        let place = |(place, signal): (&place::Place, &_)| {
            let known = self.catalogue.signal(*signal)?;
            // `family/server/tag`, as it was entered.
            let tag = known.path.splitn(3, '/').nth(2)?;
            let server = match place.server {
                Address::Socket(socket) => Server::Socket(socket),
                Address::Mac(mac) => Server::Mac(mac),
            };
            Some(Place {
                family: place.family.label(),
                server,
                tag: tag.into(),
                written: known.role == Role::Actuator,
            })
        };
        Found { places: places.into_iter().filter_map(place).collect(), ignored: self.ignored }
    }

    fn set_state(&mut self, names: &mut Names, found: Found) -> Result<(), Error> {
        for (index, Place { family, server, tag, written }) in found.places.into_iter().enumerate() {
            let family: Family = family.as_str().parse()?;
            let server = match server {
                Server::Socket(socket) => Address::Socket(socket),
                Server::Mac(mac) => Address::Mac(mac),
            };
            let entered =
                family.parse_tag(&tag).and_then(|tag| self.enter(names, family, server, tag, written));
            if entered.is_none_or(|signal| signal.index() != index) {
                return refuse("it has more signals than may be found, or one of them twice");
            }
        }
        self.ignored = found.ignored;
        Ok(())
    }
}
