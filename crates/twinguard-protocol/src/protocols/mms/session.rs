//! What a conversation keeps: fragments of ISO transport, and which variables open reads name.
//!
//! Source: ISO 9506-2 clause 14.6 (an answer to a read gives the names only if it was asked to).

use twinguard_types::Oddity;

use super::lower::{Content, content};
use super::view::{View, pdu, service};
use crate::protocol::{Address, Context};
use crate::protocols::cotp::{Assembly, data};

/// Reads that are remembered; the oldest goes first.
pub const READS_MAX: usize = 16;
/// Of a longer list of variables nothing is remembered: its answer's values then have no places.
pub const VARIABLES_MAX: usize = 8192;

/// The state of one conversation.
#[derive(Debug, Default)]
pub struct Session {
    assembly: Assembly,
    reads: Vec<Open>,
    next: usize,
}

#[derive(Debug)]
struct Open {
    asker: Address,
    /// `None` when the place is free.
    invoke: Option<u32>,
    variables: Vec<u8>,
}

impl Session {
    /// Takes fragments, and what the layers below say to each other.
    pub(super) fn absorb(&mut self, source: &Address, tpkt: &[u8]) -> bool {
        self.assembly.absorb(source, tpkt)
            || match data(tpkt) {
                Some(data) => content(data) == Content::Upkeep,
                None => true,
            }
    }

    /// Reads the message that this TPKT ends, and takes note of what it asks for.
    pub(super) fn decode<'a>(&'a mut self, context: &Context, tpkt: &'a [u8]) -> Option<View<'a>> {
        let whole = self.assembly.whole(&context.source, tpkt)?;
        let mut view = match content(whole.data) {
            Content::Mms(bytes, at) => View::new(bytes, whole.offset + at, context.sender),
            Content::Upkeep => View::new(&[], whole.offset, context.sender),
            Content::Foreign => {
                let mut view = View::new(&[], whole.offset, context.sender);
                view.flag(Oddity::NotThisProtocol, whole.offset);
                view
            }
        };
        if whole.dropped {
            view.flag(Oddity::Dropped, 0);
        }
        let Some(invoke) = view.invoke() else { return Some(view) };
        match (view.kind(), view.service()) {
            (Some(pdu::REQUEST), Some(service::READ)) => {
                let variables = view.specification().unwrap_or_default();
                if variables.len() <= VARIABLES_MAX {
                    put(&mut self.reads, &mut self.next, context.source, invoke, variables);
                }
            }
            (Some(pdu::RESPONSE | pdu::ERROR | pdu::REJECT), _) => {
                let asked =
                    |open: &&mut Open| open.invoke == Some(invoke) && open.asker == context.destination;
                if let Some(open) = self.reads.iter_mut().find(asked) {
                    open.invoke = None;
                    if view.service() == Some(service::READ) {
                        view.asked = &open.variables;
                    }
                }
            }
            _ => {}
        }
        Some(view)
    }
}

fn put(reads: &mut Vec<Open>, next: &mut usize, asker: Address, invoke: u32, variables: &[u8]) {
    let place = reads
        .iter()
        .position(|open| open.invoke == Some(invoke) && open.asker == asker)
        .or_else(|| reads.iter().position(|open| open.invoke.is_none()));
    let place = match place {
        Some(place) => place,
        None if reads.len() < READS_MAX => {
            reads.push(Open { asker, invoke: None, variables: Vec::with_capacity(256) });
            reads.len() - 1
        }
        None => {
            *next = (*next + 1) % READS_MAX;
            *next
        }
    };
    if let Some(open) = reads.get_mut(place) {
        (open.asker, open.invoke) = (asker, Some(invoke));
        open.variables.clear();
        open.variables.extend_from_slice(variables);
    }
}
