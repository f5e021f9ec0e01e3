//! Families that live outside this crate, through the same trait.
//!
//! [`Family::vendor`](crate::Family::vendor) makes a [`Family`](crate::Family) of any [`Protocol`]; in [`Config::families`](crate::stack::Config::families) it
//! is recognised, cut, paired and bound like the built-in ones. What differs is hidden here: a message of a type that
//! this crate does not know is read at once, and what it says is kept in buffers that the conversation uses again.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use std::any::Any;
use std::collections::VecDeque;

use twinguard_types::{Label, Quality, Timestamp};

use crate::protocol::{
    Access, Action, Address, Block, Carrier, Cell, Context, Cut, Data, Field, Fit, Header, Kind, Name,
    Oddities, Protocol, Scalar, Sender, Tag, Write,
};

/// Requests that a conversation keeps for their answers.
const REQUESTS_MAX: usize = 64;

/// A family from outside; two are equal when their names are.
#[derive(Clone, Copy)]
pub struct VendorFamily(pub(crate) &'static dyn Vendor);

impl VendorFamily {
    pub(crate) fn of<P>() -> Self
    where
        P: Protocol + 'static,
        P::Session: Send,
        P::Shared: Send,
        P::Memo: Send,
    {
        Self(Adapter::<P>::INSTANCE)
    }
}

impl fmt::Debug for VendorFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.label().fmt(f)
    }
}

impl PartialEq for VendorFamily {
    fn eq(&self, other: &Self) -> bool {
        self.0.label() == other.0.label()
    }
}

impl Eq for VendorFamily {}

impl PartialOrd for VendorFamily {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VendorFamily {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.0.label().cmp(&other.0.label())
    }
}

impl core::hash::Hash for VendorFamily {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.0.label().hash(state);
    }
}

/// What of a [`Protocol`] does not name its types.
pub(crate) trait Vendor: Sync {
    fn label(&self) -> Label;
    fn carriers(&self) -> &'static [Carrier];
    fn hands_over(&self) -> bool;
    fn lies_in(&self, bytes: &[u8]) -> bool;
    fn peers(&self) -> bool;
    fn marked(&self) -> bool;
    fn cut(&self, bytes: &[u8]) -> Cut;
    fn probe(&self, bytes: &[u8]) -> Option<Sender>;
    fn session(&self) -> Box<dyn VendorSession>;
    fn function_name(&self, function: u16) -> &'static str;
    fn cell(&self, tag: &Tag<'_>) -> Cell;
    fn parse_tag<'t>(&self, text: &'t str) -> Option<Tag<'t>>;
    fn write_tag(&self, tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn write_place(&self, tag: &Tag<'_>, variant: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn command(&self, write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()>;
}

/// One conversation in a family from outside.
pub(crate) trait VendorSession: fmt::Debug + Send {
    fn absorb(&mut self, source: &Address, bytes: &[u8]) -> bool;
    fn decode(&mut self, shared: &mut VendorShared, context: &Context, bytes: &[u8])
    -> Option<VendorPdu<'_>>;
}

/// What all conversations of each family from outside have in common.
#[derive(Debug, Default)]
pub struct VendorShared(Vec<(Label, Box<dyn Any + Send>)>);

impl VendorShared {
    fn of<P: Protocol>(&mut self) -> Option<&mut P::Shared>
    where
        P::Shared: Send + 'static,
    {
        let place = match self.0.iter().position(|(label, _)| *label == P::FAMILY) {
            Some(place) => place,
            None => {
                self.0.push((P::FAMILY, Box::new(P::Shared::default())));
                self.0.len() - 1
            }
        };
        self.0.get_mut(place)?.1.downcast_mut()
    }
}

struct Adapter<P>(PhantomData<fn() -> P>);

impl<P> Adapter<P>
where
    P: Protocol + 'static,
    P::Session: Send,
    P::Shared: Send,
    P::Memo: Send,
{
    const INSTANCE: &'static dyn Vendor = &Self(PhantomData);
}

impl<P> Vendor for Adapter<P>
where
    P: Protocol + 'static,
    P::Session: Send,
    P::Shared: Send,
    P::Memo: Send,
{
    fn label(&self) -> Label {
        P::FAMILY
    }

    fn carriers(&self) -> &'static [Carrier] {
        P::CARRIERS
    }

    fn hands_over(&self) -> bool {
        P::HANDS_OVER
    }

    fn lies_in(&self, bytes: &[u8]) -> bool {
        P::lies_in(bytes)
    }

    fn peers(&self) -> bool {
        P::PEERS
    }

    fn marked(&self) -> bool {
        P::MARKED
    }

    fn cut(&self, bytes: &[u8]) -> Cut {
        P::cut(bytes)
    }

    fn probe(&self, bytes: &[u8]) -> Option<Sender> {
        P::probe(bytes)
    }

    fn session(&self) -> Box<dyn VendorSession> {
        let session = P::Session::default();
        Box::new(Conversation::<P> { session, requests: VecDeque::new(), serial: 0, kept: Kept::default() })
    }

    fn function_name(&self, function: u16) -> &'static str {
        P::function_name(function)
    }

    fn cell(&self, tag: &Tag<'_>) -> Cell {
        P::cell(tag)
    }

    fn parse_tag<'t>(&self, text: &'t str) -> Option<Tag<'t>> {
        P::parse_tag(text)
    }

    fn write_tag(&self, tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        P::write_tag(tag, f)
    }

    fn write_place(&self, tag: &Tag<'_>, variant: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        P::write_place(tag, variant, f)
    }

    fn command(&self, write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
        P::command(write, number, out)
    }
}

/// An open request.
struct Request<M> {
    key: u64,
    serial: u64,
    memo: M,
}

struct Conversation<P: Protocol> {
    session: P::Session,
    requests: VecDeque<Request<P::Memo>>,
    serial: u64,
    kept: Kept,
}

impl<P: Protocol> fmt::Debug for Conversation<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation")
            .field("family", &P::FAMILY)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl<P> VendorSession for Conversation<P>
where
    P: Protocol + 'static,
    P::Session: Send,
    P::Shared: Send,
    P::Memo: Send,
{
    fn absorb(&mut self, source: &Address, bytes: &[u8]) -> bool {
        P::absorb(&mut self.session, source, bytes)
    }

    fn decode(
        &mut self,
        shared: &mut VendorShared,
        context: &Context,
        bytes: &[u8],
    ) -> Option<VendorPdu<'_>> {
        let pdu = P::decode(&mut self.session, shared.of::<P>()?, context, bytes)?;
        let header = P::header(&pdu);
        let part = P::part(&pdu);
        let mut memo = P::memo(&pdu);
        let (mut serial, mut answers) = (0, None);
        match (part, header.key) {
            (Kind::Request, Some(key)) => {
                self.serial += 1;
                serial = self.serial;
                if self.requests.len() >= REQUESTS_MAX {
                    self.requests.pop_front();
                }
                self.requests.push_back(Request { key, serial, memo });
            }
            (Kind::Response | Kind::Exception, Some(key)) => {
                let fits = self.requests.iter().enumerate().filter(|(_, request)| request.key == key);
                let ranked = fits.map(|(place, request)| (P::fit(&request.memo, &pdu), place));
                // Of equals the one that waits longest.
                let best = ranked.filter(|(fit, _)| *fit != Fit::No).rev().max_by_key(|(fit, _)| *fit);
                if let Some((fit, place)) = best
                    && let Some(request) = self.requests.remove(place)
                {
                    memo = request.memo;
                    answers = Some((request.serial, fit));
                }
            }
            _ => {}
        }
        self.kept.clear();
        P::fields(&pdu, &mut |name, field| self.kept.field(name, field));
        for block in P::blocks(&pdu, answers.map(|_| &memo)) {
            self.kept.block(&block);
        }
        Some(VendorPdu {
            header,
            part,
            oddities: P::oddities(&pdu),
            refusal: P::refusal(&pdu),
            memo: VendorMemo { serial, action: P::action(&memo) },
            answers,
            kept: &self.kept,
        })
    }
}

/// A message of a family from outside.
#[derive(Clone, Copy, Debug)]
pub struct VendorPdu<'a> {
    pub(crate) header: Header,
    pub(crate) part: Kind,
    pub(crate) oddities: Oddities,
    pub(crate) refusal: Option<u8>,
    pub(crate) memo: VendorMemo,
    answers: Option<(u64, Fit)>,
    kept: &'a Kept,
}

/// What is kept of a request of a family from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VendorMemo {
    serial: u64,
    pub(crate) action: Option<Action>,
}

impl<'a> VendorPdu<'a> {
    pub(crate) fn fit(&self, memo: &VendorMemo) -> Fit {
        match self.answers {
            Some((serial, fit)) if serial == memo.serial => fit,
            _ => Fit::No,
        }
    }

    pub(crate) fn fields(&self, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        for (name, field) in &self.kept.fields {
            put(
                name,
                match field {
                    KeptField::Number(number) => Field::Number(*number),
                    KeptField::Hex(number, digits) => Field::Hex(*number, *digits),
                    KeptField::Bytes(range) => Field::Bytes(self.kept.slice(range)),
                    KeptField::Text(range) => Field::Text(self.kept.slice(range)),
                },
            );
        }
    }

    pub(crate) fn blocks(&self) -> VendorBlocks<'a> {
        VendorBlocks { kept: self.kept, blocks: self.kept.blocks.iter() }
    }
}

/// The runs of values in a message of a family from outside.
#[derive(Clone, Debug)]
pub struct VendorBlocks<'a> {
    kept: &'a Kept,
    blocks: core::slice::Iter<'a, KeptBlock>,
}

impl<'a> Iterator for VendorBlocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        let (kept, block) = (self.kept, self.blocks.next()?);
        let [first, second, third] = &block.name;
        let name = Name::new([kept.slice(first), kept.slice(second), kept.slice(third)]);
        Some(Block {
            tag: Tag { space: block.space, name, address: block.address },
            variant: block.variant,
            access: block.access,
            data: match &block.data {
                KeptData::Bits(bytes, count) => Data::Bits { bytes: kept.slice(bytes), count: *count },
                KeptData::Words(bytes) => Data::Words(kept.slice(bytes)),
                KeptData::Bytes(bytes) => Data::Bytes(kept.slice(bytes)),
                KeptData::Switch(word) => Data::Switch(*word),
                KeptData::Mask(and, or) => Data::Mask { and: *and, or: *or },
                KeptData::Scalar(raw, value) => {
                    Data::Scalar { raw: kept.slice(raw), value: kept.scalar(value) }
                }
                KeptData::Number(raw, value) => Data::Number { raw: *raw, value: kept.scalar(value) },
            },
            quality: block.quality,
            at: block.at,
        })
    }
}

/// What a message says, in buffers that are used again.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    fields: Vec<(&'static str, KeptField)>,
    blocks: Vec<KeptBlock>,
}

/// Where in the buffer.
type Span = Range<usize>;

#[derive(Debug)]
enum KeptField {
    Number(u64),
    Hex(u64, u8),
    Bytes(Span),
    Text(Span),
}

#[derive(Debug)]
struct KeptBlock {
    space: u64,
    name: [Span; 3],
    address: Option<u32>,
    variant: u32,
    access: Access,
    data: KeptData,
    quality: Quality,
    at: Option<Timestamp>,
}

#[derive(Debug)]
enum KeptData {
    Bits(Span, u16),
    Words(Span),
    Bytes(Span),
    Switch([u8; 2]),
    Mask(u16, u16),
    Scalar(Span, KeptScalar),
    Number(u64, KeptScalar),
}

#[derive(Debug)]
enum KeptScalar {
    Boolean(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(Span),
    Opaque,
}

impl Kept {
    fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        self.blocks.clear();
    }

    fn slice(&self, span: &Span) -> &[u8] {
        self.bytes.get(span.clone()).unwrap_or_default()
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    fn keep_scalar(&mut self, value: Scalar<'_>) -> KeptScalar {
        match value {
            Scalar::Boolean(state) => KeptScalar::Boolean(state),
            Scalar::Signed(number) => KeptScalar::Signed(number),
            Scalar::Unsigned(number) => KeptScalar::Unsigned(number),
            Scalar::Float(number) => KeptScalar::Float(number),
            Scalar::Text(text) => KeptScalar::Text(self.keep(text)),
            Scalar::Opaque => KeptScalar::Opaque,
        }
    }

    fn scalar(&self, value: &KeptScalar) -> Scalar<'_> {
        match value {
            KeptScalar::Boolean(state) => Scalar::Boolean(*state),
            KeptScalar::Signed(number) => Scalar::Signed(*number),
            KeptScalar::Unsigned(number) => Scalar::Unsigned(*number),
            KeptScalar::Float(number) => Scalar::Float(*number),
            KeptScalar::Text(text) => Scalar::Text(self.slice(text)),
            KeptScalar::Opaque => Scalar::Opaque,
        }
    }

    fn field(&mut self, name: &'static str, field: Field<'_>) {
        let field = match field {
            Field::Number(number) => KeptField::Number(number),
            Field::Hex(number, digits) => KeptField::Hex(number, digits),
            Field::Bytes(bytes) => KeptField::Bytes(self.keep(bytes)),
            Field::Text(text) => KeptField::Text(self.keep(text)),
        };
        self.fields.push((name, field));
    }

    fn block(&mut self, block: &Block<'_>) {
        let name = block.tag.name.parts().map(|part| self.keep(part));
        let data = match block.data {
            Data::Bits { bytes, count } => KeptData::Bits(self.keep(bytes), count),
            Data::Words(bytes) => KeptData::Words(self.keep(bytes)),
            Data::Bytes(bytes) => KeptData::Bytes(self.keep(bytes)),
            Data::Switch(word) => KeptData::Switch(word),
            Data::Mask { and, or } => KeptData::Mask(and, or),
            Data::Scalar { raw, value } => KeptData::Scalar(self.keep(raw), self.keep_scalar(value)),
            Data::Number { raw, value } => KeptData::Number(raw, self.keep_scalar(value)),
        };
        let Tag { space, address, .. } = block.tag;
        let Block { variant, access, quality, at, .. } = *block;
        self.blocks.push(KeptBlock { space, name, address, variant, access, data, quality, at });
    }
}
