//! How many clients there are at one time, altogether and from one address.

use core::net::IpAddr;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The places of one proxy.
#[derive(Debug)]
pub(crate) struct Places {
    all: usize,
    of_one: usize,
    taken: Mutex<BTreeMap<IpAddr, usize>>,
}

/// A place, given back when dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    ip: IpAddr,
}

impl Places {
    /// So many, and so many for each address.
    #[must_use]
    pub(crate) fn new(all: usize, of_one: usize) -> Arc<Self> {
        Arc::new(Self { all, of_one, taken: Mutex::default() })
    }

    /// A place for somebody from this address, if there is one.
    #[must_use]
    pub(crate) fn take(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let own = taken.get(&ip).copied().unwrap_or(0);
        if all >= self.all || own >= self.of_one {
            return None;
        }
        taken.insert(ip, own + 1);
        Some(Place { places: self.clone(), ip })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.ip) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back() {
        let places = Places::new(3, 2);
        let [one, two] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(IpAddr::from);
        let held = [places.take(one), places.take(one)];
        assert!(held.iter().all(Option::is_some) && places.take(one).is_none());
        let other = places.take(two);
        assert!(other.is_some() && places.take(two).is_none());
        drop(held);
        assert!(places.take(one).is_some());
    }
}
