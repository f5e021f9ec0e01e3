//! What a conversation keeps: fragments of ISO transport, and what open requests ask for.
//!
//! Sources: as `view.rs` (an answer names no places: they lie in its request).

use twinguard_types::Oddity;

use super::view::{Turn, View, function, group, rosctr};
use crate::protocol::{Address, Context};
use crate::protocols::cotp::Assembly;

/// Requests for values that are remembered; the oldest goes first.
pub const JOBS_MAX: usize = 16;
/// Of a longer request nothing is remembered: its answer's values then have no places.
pub const PARAMETERS_MAX: usize = 1024;

/// The state of one conversation.
#[derive(Debug, Default)]
pub struct Session {
    pub(super) assembly: Assembly,
    jobs: Jobs,
}

#[derive(Debug, Default)]
struct Jobs {
    held: Vec<Job>,
    next: usize,
}

/// What names a request in its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    /// Its reference.
    Reference { userdata: bool, reference: u16 },
    /// The number that the device gave it, in its function group.
    Sequence { group: u8, sequence: u8 },
    /// Not in use.
    None,
}

#[derive(Debug)]
struct Job {
    asker: Address,
    key: Key,
    bytes: Vec<u8>,
}

impl Jobs {
    fn put(&mut self, asker: Address, key: Key, bytes: &[u8]) {
        if bytes.len() > PARAMETERS_MAX {
            return;
        }
        if self.held.is_empty() {
            let empty = || Job { asker, key: Key::None, bytes: Vec::with_capacity(PARAMETERS_MAX) };
            self.held.resize_with(JOBS_MAX, empty);
        }
        let mut place = self.held.iter().position(|job| job.asker == asker && job.key == key);
        place = place.or_else(|| self.held.iter().position(|job| job.key == Key::None));
        let place = place.unwrap_or_else(|| {
            self.next = (self.next + 1) % JOBS_MAX;
            self.next
        });
        if let Some(job) = self.held.get_mut(place) {
            (job.asker, job.key) = (asker, key);
            job.bytes.clear();
            job.bytes.extend_from_slice(bytes);
        }
    }

    /// The request of this name, which has another from now on.
    fn take(&mut self, asker: &Address, key: Key, then: Key) -> Option<&[u8]> {
        if then != key && then != Key::None {
            self.forget(asker, then);
        }
        let job = self.held.iter_mut().find(|job| job.key == key && job.asker == *asker)?;
        job.key = then;
        Some(&job.bytes)
    }

    fn forget(&mut self, asker: &Address, key: Key) {
        let mut held = self.held.iter_mut();
        if let Some(job) = held.find(|job| job.key == key && job.asker == *asker) {
            job.key = Key::None;
        }
    }
}

impl Session {
    /// Reads the message that this TPKT ends, and takes note of what it asks.
    pub(super) fn decode<'a>(&'a mut self, context: &Context, tpkt: &'a [u8]) -> Option<View<'a>> {
        let Some(whole) = self.assembly.whole(&context.source, tpkt) else {
            // A connection that is asked for again.
            return Some(View::new(tpkt, context.sender));
        };
        let mut view = View::new(whole.data, context.sender);
        if whole.dropped {
            view = view.flagged(Oddity::Dropped, 0);
        }
        let jobs = &mut self.jobs;
        let userdata = view.userdata();
        let key = Key::Reference { userdata: userdata.is_some(), reference: view.reference() };
        let request = match (view.rosctr(), view.parameters(), userdata) {
            (rosctr::JOB, [function::READ, ..], _) => {
                jobs.put(context.source, key, view.parameters());
                None
            }
            (rosctr::ACK_DATA, [function::READ, ..], _) => jobs.take(&context.destination, key, Key::None),
            (_, _, Some(userdata)) if matches!(userdata.group, group::TEST | group::CYCLIC) => {
                let sequence = Key::Sequence { group: userdata.group, sequence: userdata.sequence };
                match userdata.turn {
                    Turn::Request if matches!(userdata.subfunction, 1 | 2 | 5 | 7) => {
                        jobs.put(context.source, key, view.data());
                        None
                    }
                    Turn::Response => jobs.take(&context.destination, key, sequence),
                    Turn::Push => jobs.take(&context.destination, sequence, sequence),
                    _ => None,
                }
            }
            _ => None,
        };
        Some(match request {
            Some(request) => view.answering(request),
            None => view,
        })
    }
}
