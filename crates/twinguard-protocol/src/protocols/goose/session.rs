//! What is kept of each publisher: its numbers, and what they stood for.
//!
//! Source: IEC 61850-7-2 §18.2 (state and sequence number, time allowed to live); IEC 62351-6 §8 (replays).

use std::collections::BTreeMap;

use twinguard_types::{Duration, Oddity, Timestamp};

use super::view::{View, field};
use crate::protocol::Address;

/// Publishers that are followed; a further one takes the place of the first by its key.
pub const PUBLISHERS_MAX: usize = 1024;

/// What all conversations know of the publishers: who forges a message sends from another address.
#[derive(Debug, Default)]
pub struct Shared {
    held: BTreeMap<u64, Publisher>,
}

#[derive(Clone, Copy, Debug)]
struct Publisher {
    at: Timestamp,
    lives: Duration,
    state: u32,
    sequence: u32,
    revision: u32,
    data: u64,
}

impl Shared {
    /// Takes note of a message and flags what does not follow from those before:
    ///
    /// - messages that never came: [`Oddity::Gap`] at the number that jumped; so does a publisher that begins anew
    /// - a number that was used before: [`Oddity::DuplicateTransaction`]; the publisher's numbers stay
    /// - other values under the same state number: [`Oddity::BadValue`] at the values
    /// - another revision of the data set: [`Oddity::BadValue`] at the revision
    pub(super) fn note(&mut self, at: Timestamp, to: &Address, view: &mut View<'_>) {
        let (Some(state), Some(sequence)) = (view.state_number(), view.sequence_number()) else { return };
        let fresh = Publisher {
            at,
            lives: Duration::from_millis(i64::from(view.time_allowed_to_live().unwrap_or_default())),
            state,
            sequence,
            revision: view.revision().unwrap_or_default(),
            data: hash(SEED, view.data()),
        };
        let key = key(to, view);
        let Some(held) = self.held.get_mut(&key) else {
            if self.held.len() >= PUBLISHERS_MAX {
                self.held.pop_first();
            }
            self.held.insert(key, fresh);
            return;
        };
        let [state_at, sequence_at] =
            [field::STATE_NUMBER, field::SEQUENCE_NUMBER].map(|field| view.place(field));
        if held.revision != fresh.revision {
            view.oddities.push(Oddity::BadValue, view.place(field::REVISION));
        }
        // Beyond its time to live nobody holds the last message for valid.
        let lapsed = at.since(held.at) > held.lives;
        // §18.2.3.5: both begin at 1 after a restart; the sequence number is 0 with a new state only.
        let restarts = state <= 1 && sequence <= 1;
        if state == held.state {
            let next = if held.sequence == u32::MAX { 1 } else { held.sequence + 1 };
            if sequence == next {
                if fresh.data != held.data {
                    view.oddities.push(Oddity::BadValue, view.place(field::DATA));
                }
            } else if sequence > held.sequence || restarts && lapsed {
                view.oddities.push(Oddity::Gap, sequence_at);
            } else {
                return view.oddities.push(Oddity::DuplicateTransaction, sequence_at);
            }
        } else if state > held.state || restarts || lapsed {
            if state != held.state.wrapping_add(1) || sequence > 0 {
                view.oddities.push(Oddity::Gap, state_at);
            }
        } else {
            return view.oddities.push(Oddity::DuplicateTransaction, state_at);
        }
        *held = fresh;
    }
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: for telling apart, not for proof.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// What names a publisher: where it sends to, application, control block; simulated messages go beside real ones.
fn key(to: &Address, view: &View<'_>) -> u64 {
    let to = match to {
        Address::Mac(mac) => hash(SEED, &mac.0),
        Address::Socket(socket) => match socket.ip() {
            core::net::IpAddr::V4(ip) => hash(SEED, &ip.octets()),
            core::net::IpAddr::V6(ip) => hash(SEED, &ip.octets()),
        },
    };
    let [high, low] = view.app_id().to_be_bytes();
    let head = hash(to, &[high, low, u8::from(view.is_simulated())]);
    hash(head, view.control_block().unwrap_or_default())
}
