//! A policy that is replaced while others read it.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Policy;

/// A handle on the policy in force. Readers never wait; whoever replaces it swaps one pointer, and what is being decided
/// goes on under the policy that it began with.
///
/// ```
/// use twinguard_gate::policy::{Policy, SharedPolicy, Source};
/// use twinguard_types::Catalogue;
///
/// let catalogue = Catalogue::new();
/// let shared = SharedPolicy::new(Policy::compile(Source::default(), &catalogue)?);
/// let before = shared.load();
/// let other = shared.clone();
/// std::thread::spawn(move || other.replace(Policy::compile(Source::default(), &Catalogue::new()).unwrap())).join().unwrap();
/// assert!(!std::sync::Arc::ptr_eq(&before, &shared.load()), "visible at once, everywhere");
/// # Ok::<(), twinguard_gate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedPolicy(Arc<ArcSwap<Policy>>);

impl SharedPolicy {
    /// A handle; clones share it.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(policy)))
    }

    /// The policy in force.
    #[must_use]
    pub fn load(&self) -> Arc<Policy> {
        self.0.load_full()
    }

    /// Puts another in force, whole and at once.
    pub fn replace(&self, policy: Policy) {
        self.0.store(Arc::new(policy));
    }
}
