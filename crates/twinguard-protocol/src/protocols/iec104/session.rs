//! What one connection keeps: sequence numbers, data transfer, activations (IEC 60870-5-104 §5.1 to §5.3, §7).

use twinguard_types::Oddity;

use super::view::{Format, View};
use crate::iec60870::{Asdu, BROADCAST};
use crate::protocol::Sender;

/// Activations that are followed to their termination; a further one takes the place of the oldest.
pub const ACTIVATIONS_MAX: usize = 8;
/// Sequence numbers are counted modulo 2¹⁵ (§5.1).
const MODULO: u16 = 0x7fff;
/// A number this far ahead is behind.
const HALF: u16 = 0x4000;

/// The state of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Session {
    ends: [End; 2],
    transfer: Transfer,
    activations: [Option<Activation>; ACTIVATIONS_MAX],
    oldest: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct End {
    heard: bool,
    /// N(S) of its next message, once one was seen.
    next: Option<u16>,
    /// The last N(R) that the other end told it.
    acknowledged: Option<u16>,
    /// Activations of the unnumbered format that the other end has not confirmed, one bit each.
    waiting: u8,
}

/// Whether numbered information may flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Transfer {
    #[default]
    Unknown,
    Started,
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Activation {
    type_id: u8,
    common: u16,
    object: u32,
}

impl Activation {
    fn of(asdu: &Asdu<'_>) -> Self {
        let object = asdu.first_address().unwrap_or_default();
        Self { type_id: asdu.type_id().0, common: asdu.common_address(), object }
    }

    fn is_ended_by(&self, end: &Self) -> bool {
        let common = self.common == end.common || self.common == BROADCAST;
        common && self.type_id == end.type_id && self.object == end.object
    }
}

impl Session {
    /// Takes note of a message and flags what does not follow from those before.
    #[inline]
    pub(super) fn note(&mut self, sender: Sender, view: &mut View<'_>) {
        let [client, server] = &mut self.ends;
        let (own, other) = match sender {
            Sender::Client => (client, server),
            Sender::Server => (server, client),
            Sender::Unknown => return,
        };
        match view.format() {
            Format::Information { send, receive } => {
                own.send(send, view);
                other.acknowledge(receive, view);
                let unseen = own.next.zip(own.acknowledged);
                view.unacknowledged = unseen.map_or(0, |(next, told)| next.wrapping_sub(told) & MODULO);
                // §5.3: after STOPDT no information flows until the next STARTDT.
                if self.transfer == Transfer::Stopped {
                    view.oddities.push(Oddity::BadValue, 2);
                }
                own.heard = true;
                let joined = !other.heard;
                if let Some(asdu) = view.asdu().filter(|asdu| asdu.type_id().is_control()).copied() {
                    self.follow(sender, &asdu, joined, view);
                }
            }
            Format::Supervisory { receive } => {
                other.acknowledge(receive, view);
                own.heard = true;
            }
            Format::Unnumbered(bits) => {
                // Confirmations stand one bit above their activations (§5.3).
                let (asks, confirms) = (bits & 0x15, (bits & 0x2a) >> 1);
                own.waiting |= asks;
                if confirms & !other.waiting != 0 && own.heard && other.heard {
                    view.oddities.push(Oddity::UnmatchedResponse, 2);
                }
                other.waiting &= !confirms;
                own.heard = true;
                match bits {
                    0x02 => self.transfer = Transfer::Started,
                    0x08 => self.transfer = Transfer::Stopped,
                    _ => {}
                }
            }
        }
    }

    /// Activation to termination (IEC 60870-5-101 §7.2.3, IEC 60870-5-5 §6.8).
    fn follow(&mut self, sender: Sender, asdu: &Asdu<'_>, joined: bool, view: &mut View<'_>) {
        let this = Activation::of(asdu);
        let cause = asdu.cause();
        let place = self.activations.iter().position(|held| held.is_some_and(|held| held.is_ended_by(&this)));
        match (sender, cause.code) {
            (Sender::Client, 6) => {
                let fresh = usize::from(self.oldest) % ACTIVATIONS_MAX;
                let place = self.activations.iter().position(|held| *held == Some(this));
                if place.is_none() {
                    self.oldest = (fresh as u8 + 1) % ACTIVATIONS_MAX as u8;
                }
                if let Some(slot) = self.activations.get_mut(place.unwrap_or(fresh)) {
                    *slot = Some(this);
                }
            }
            (Sender::Server, 10) | (Sender::Server, 7) if cause.code == 10 || cause.negative => {
                if place.is_none() && !joined && cause.code == 10 {
                    view.oddities.push(Oddity::UnmatchedResponse, 8);
                }
                // One station's end is not the end of all that were asked.
                if let Some(slot) = place.and_then(|place| self.activations.get_mut(place))
                    && *slot == Some(this)
                {
                    *slot = None;
                }
            }
            _ => {}
        }
    }
}

impl End {
    /// Its N(S): each by one more than the last.
    #[inline]
    fn send(&mut self, send: u16, view: &mut View<'_>) {
        if let Some(next) = self.next
            && send != next
        {
            let ahead = send.wrapping_sub(next) & MODULO;
            if ahead >= HALF {
                view.oddities.push(Oddity::DuplicateTransaction, 2);
                return;
            }
            view.oddities.push(Oddity::Gap, 2);
        }
        self.next = Some(send.wrapping_add(1) & MODULO);
    }

    /// The other end's N(R): never back, never beyond what this end sent.
    #[inline]
    fn acknowledge(&mut self, receive: u16, view: &mut View<'_>) {
        let back = self.acknowledged.is_some_and(|told| receive.wrapping_sub(told) & MODULO >= HALF);
        let beyond = self.next.is_some_and(|next| next.wrapping_sub(receive) & MODULO >= HALF);
        if back || beyond {
            view.oddities.push(Oddity::ResponseMismatch, 4);
        }
        if !back {
            self.acknowledged = Some(receive);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinguard_types::Timestamp;

    const ASDU: [u8; 10] = [1, 1, 3, 0, 1, 0, 1, 0, 0, 1];

    fn note(session: &mut Session, sender: Sender, control: [u8; 4], asdu: &[u8]) -> (Vec<Oddity>, u16) {
        let bytes = [&[0x68, asdu.len() as u8 + 4][..], &control, asdu].concat();
        let mut view = View::new(&bytes, Timestamp::ZERO).unwrap();
        session.note(sender, &mut view);
        (view.oddities().iter().map(|(oddity, _)| oddity).collect(), view.unacknowledged())
    }

    #[test]
    fn numbers_follow_each_other() {
        use Sender::{Client, Server};
        let session = &mut Session::default();
        assert_eq!(note(session, Server, [0, 0, 0, 0], &ASDU), (vec![], 0));
        assert_eq!(note(session, Client, [1, 0, 2, 0], &[]), (vec![], 0));
        assert_eq!(note(session, Server, [2, 0, 0, 0], &ASDU), (vec![], 1));
        assert_eq!(note(session, Server, [4, 0, 0, 0], &ASDU), (vec![], 2));
        assert_eq!(note(session, Server, [4, 0, 0, 0], &ASDU).0, [Oddity::DuplicateTransaction]);
        assert_eq!(note(session, Server, [10, 0, 0, 0], &ASDU).0, [Oddity::Gap]);
        assert_eq!(note(session, Client, [1, 0, 12, 0], &[]).0, []);
        assert_eq!(note(session, Client, [1, 0, 10, 0], &[]).0, [Oddity::ResponseMismatch], "back");
        assert_eq!(note(session, Client, [1, 0, 14, 0], &[]).0, [Oddity::ResponseMismatch], "beyond");
    }

    #[test]
    fn numbers_wrap_at_two_to_the_fifteenth() {
        let session = &mut Session::default();
        assert_eq!(note(session, Sender::Server, [0xfe, 0xff, 0, 0], &ASDU).0, []);
        assert_eq!(note(session, Sender::Client, [1, 0, 0, 0], &[]).0, []);
        assert_eq!(note(session, Sender::Server, [0, 0, 0, 0], &ASDU), (vec![], 1));
    }

    #[test]
    fn transfer_is_started_stopped_and_confirmed() {
        use Sender::{Client, Server};
        let session = &mut Session::default();
        let mut unnumbered = |sender, bits: u8| note(session, sender, [bits << 2 | 3, 0, 0, 0], &[]).0;
        assert_eq!(unnumbered(Server, 0x02), [], "the activation came before the capture");
        assert_eq!(unnumbered(Client, 0x10), []);
        assert_eq!(unnumbered(Server, 0x20), []);
        assert_eq!(unnumbered(Server, 0x20), [Oddity::UnmatchedResponse]);
        assert_eq!(unnumbered(Client, 0x04), []);
        assert_eq!(unnumbered(Server, 0x08), []);
        assert_eq!(note(session, Server, [0, 0, 0, 0], &ASDU).0, [Oddity::BadValue], "stopped");
    }

    #[test]
    fn terminations_end_an_activation() {
        use Sender::{Client, Server};
        let session = &mut Session::default();
        let interrogation = |cause| [100, 1, cause, 0, 1, 0, 0, 0, 0, 20];
        assert_eq!(note(session, Client, [0, 0, 0, 0], &interrogation(6)).0, []);
        assert_eq!(note(session, Server, [0, 0, 2, 0], &interrogation(7)).0, []);
        assert_eq!(note(session, Server, [2, 0, 2, 0], &interrogation(10)).0, []);
        assert_eq!(note(session, Server, [4, 0, 2, 0], &interrogation(10)).0, [Oddity::UnmatchedResponse]);
    }
}
