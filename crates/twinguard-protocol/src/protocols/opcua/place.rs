//! Where values lie: node, attribute, element; the family's tags.
//!
//! Sources: OPC 10000-6 §5.3.1.10 (node ids as text), §A.1 (attributes by number); OPC 10000-4 §7.27 (index ranges).
//!
//! ```text
//! [attr=NAME;][index=N;][ns=NAMESPACE;]i=NUMBER | s=TEXT | g=GUID | b=BASE64
//! ```
//! Nothing is written for the attribute `Value`, for what is no element of an array, and for namespace 0.

use core::fmt::{self, Write};

use super::reader::{Identifier, NodeId, Read, Reader};
use crate::protocol::{Name, Tag};

/// The attributes by number from 1 (§A.1).
const ATTRIBUTES: [&str; 27] = [
    "NodeId",
    "NodeClass",
    "BrowseName",
    "DisplayName",
    "Description",
    "WriteMask",
    "UserWriteMask",
    "IsAbstract",
    "Symmetric",
    "InverseName",
    "ContainsNoLoops",
    "EventNotifier",
    "Value",
    "DataType",
    "ValueRank",
    "ArrayDimensions",
    "AccessLevel",
    "UserAccessLevel",
    "MinimumSamplingInterval",
    "Historizing",
    "Executable",
    "UserExecutable",
    "DataTypeDefinition",
    "RolePermissions",
    "UserRolePermissions",
    "AccessRestrictions",
    "AccessLevelEx",
];
/// The attribute that tags do not name.
pub(super) const VALUE: u8 = 13;
/// What a variable's value has besides: its dimensions.
pub(super) const DIMENSIONS: u8 = 16;
/// What a method is called with, what it gives back, that it is called, and how an operation on a node went.
const BESIDES: [(u8, &str); 4] = [(INPUT, "Input"), (OUTPUT, "Output"), (CALL, "Call"), (STATUS, "Status")];
pub(super) const INPUT: u8 = 252;
pub(super) const OUTPUT: u8 = 253;
pub(super) const CALL: u8 = 254;
pub(super) const STATUS: u8 = 255;

/// The longest identifier (OPC 10000-3 §8.2.4).
pub const IDENTIFIER_MAX: usize = 4096;

/// The bit of [`Tag::space`] that tells an element of an array.
const ELEMENT: u64 = 1 << 8;

/// A node's attribute, or a part of it, as far as a message tells; borrowed from a list of places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place<'a> {
    /// Namespace, form of the identifier, number and attribute as in [`Tag::space`].
    space: u64,
    /// The first element that is meant, where a range of elements is.
    range: Range,
    name: &'a [u8],
    known: bool,
}

/// Which elements of an array are meant (OPC 10000-4 §7.27).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Range {
    #[default]
    All,
    From(u32),
    /// Of several dimensions, or not legal.
    Other,
}

impl Range {
    fn of(text: Option<&[u8]>) -> Self {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Self::All };
        let first = text.split(|byte| *byte == b':').next().unwrap_or_default();
        let one = !text.contains(&b',');
        core::str::from_utf8(first).ok().filter(|_| one).and_then(number).map_or(Self::Other, Self::From)
    }
}

impl<'a> Place<'a> {
    /// This place with another attribute.
    pub(super) fn with(self, attribute: u8) -> Self {
        Self { space: self.space & !0xff | u64::from(attribute), ..self }
    }

    /// The tag of the value itself, or of an element of it.
    pub(super) fn tag(&self, index: Option<u32>) -> Tag<'a> {
        let address = match (index, self.range) {
            _ if !self.known => None,
            (None, Range::All) => Some(0),
            (Some(index), Range::All) => Some(index),
            (Some(index), Range::From(first)) => first.checked_add(index),
            _ => None,
        };
        let element = if index.is_some() { ELEMENT } else { 0 };
        Tag { space: self.space | element, name: Name::new([self.name]), address }
    }

    /// Appends a place to a list.
    pub(super) fn push(list: &mut Vec<u8>, node: &NodeId<'_>, attribute: u32, range: Option<&[u8]>) {
        let start = list.len();
        let mut space = u64::from(node.namespace) << 16;
        let (form, number) = match node.id {
            Identifier::Numeric(number) => (0, number),
            Identifier::Text(_) => (1, 0),
            Identifier::Guid(_) => (2, 0),
            Identifier::Opaque(_) => (3, 0),
        };
        space |= u64::from(number) << 32 | form << 9 | u64::from(attribute & 0xff);
        list.extend_from_slice(&space.to_le_bytes());
        let (kind, first) = match Range::of(range) {
            Range::All => (0, 0),
            Range::From(first) => (1, first),
            Range::Other => (2, 0),
        };
        list.push(kind);
        list.extend_from_slice(&u32::to_le_bytes(first));
        list.extend_from_slice(&[0; 3]);
        let name = list.len();
        let mut known = !node.elsewhere && attribute > 0 && attribute < u32::from(INPUT);
        match node.id {
            Identifier::Numeric(_) => {}
            Identifier::Text(text) => {
                known &= core::str::from_utf8(text).is_ok() && text.len() <= IDENTIFIER_MAX;
                list.extend_from_slice(if known { text } else { &[] });
            }
            Identifier::Guid(guid) => guid_text(guid, list),
            Identifier::Opaque(bytes) => {
                known &= bytes.len() <= IDENTIFIER_MAX;
                base64(if known { bytes } else { &[] }, list);
            }
        }
        let len = (list.len() - name) as u16;
        if let Some([known_at, low, high]) = list.get_mut(start + 13..start + 16) {
            *known_at = u8::from(known);
            [*low, *high] = len.to_le_bytes();
        }
    }
}

/// A list of places, see [`Place::push`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Places<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Places<'a> {
    type Item = Place<'a>;

    fn next(&mut self) -> Option<Place<'a>> {
        let mut reader = Reader::new(self.0);
        let place = next(&mut reader).ok()?;
        self.0 = reader.rest();
        Some(place)
    }
}

fn next<'a>(reader: &mut Reader<'a>) -> Read<Place<'a>> {
    let space = u64::from_le_bytes(*reader.chunk()?);
    let (kind, first, known) = (reader.byte()?, reader.u32()?, reader.byte()? != 0);
    let len = reader.u16()?;
    let range = match kind {
        0 => Range::All,
        1 => Range::From(first),
        _ => Range::Other,
    };
    Ok(Place { space, range, name: reader.take(usize::from(len))?, known })
}

/// Whether a tag names an element of an array.
pub(super) const fn is_element(tag: &Tag<'_>) -> bool {
    tag.space & ELEMENT != 0
}

/// Reads a tag.
pub(super) fn parse(text: &str) -> Option<Tag<'_>> {
    let (mut rest, mut attribute, mut index, mut namespace) = (text, VALUE, None, 0);
    if let Some((name, after)) = rest.strip_prefix("attr=").and_then(|rest| rest.split_once(';')) {
        (attribute, rest) = (attribute_of(name).filter(|attribute| *attribute != VALUE)?, after);
    }
    if let Some((digits, after)) = rest.strip_prefix("index=").and_then(|rest| rest.split_once(';')) {
        (index, rest) = (Some(number(digits)?), after);
    }
    if let Some((digits, after)) = rest.strip_prefix("ns=").and_then(|rest| rest.split_once(';')) {
        namespace = number(digits).filter(|namespace: &u16| *namespace != 0)?;
        rest = after;
    }
    let (form, id) = rest.split_once('=')?;
    let space = u64::from(namespace) << 16 | u64::from(attribute) | index.map_or(0, |_| ELEMENT);
    let named = |form: u64| Tag { space: space | form << 9, name: Name::new([id.as_bytes()]), address: None };
    let tag = match form {
        "i" => Tag { space: space | number::<u32>(id).map(u64::from)? << 32, ..Tag::default() },
        "s" => (id.len() <= IDENTIFIER_MAX).then(|| named(1))?,
        "g" => guid_bytes(id.as_bytes()).map(|_| named(2))?,
        "b" => unbase64(id.as_bytes(), &mut |_| ()).map(|()| named(3))?,
        _ => return None,
    };
    Some(Tag { address: Some(index.unwrap_or(0)), ..tag })
}

/// Writes a tag.
pub(super) fn write(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(index) = tag.address else { return f.write_char('?') };
    let attribute = tag.space as u8;
    if attribute != VALUE {
        match attribute_name(attribute) {
            Some(name) => write!(f, "attr={name};")?,
            None => write!(f, "attr={attribute};")?,
        }
    }
    if tag.space & ELEMENT != 0 {
        write!(f, "index={index};")?;
    }
    let namespace = (tag.space >> 16) as u16;
    if namespace != 0 {
        write!(f, "ns={namespace};")?;
    }
    let [name, ..] = tag.name.parts();
    let form = match tag.space >> 9 & 3 {
        0 => return write!(f, "i={}", tag.space >> 32),
        1 => "s",
        2 => "g",
        _ => "b",
    };
    write!(f, "{form}={}", String::from_utf8_lossy(name))
}

/// What a tag names for a message that is to be written: node, attribute, element.
pub(super) fn target(tag: &Tag<'_>, node: &mut Vec<u8>) -> Option<(u8, Option<u32>)> {
    let index = (tag.space & ELEMENT != 0).then_some(tag.address).flatten();
    let (namespace, [name, ..]) = ((tag.space >> 16) as u16, tag.name.parts());
    let head = |node: &mut Vec<u8>, form: u8| {
        node.push(form);
        node.extend_from_slice(&namespace.to_le_bytes());
    };
    match tag.space >> 9 & 3 {
        0 => {
            head(node, 2);
            node.extend_from_slice(&((tag.space >> 32) as u32).to_le_bytes());
        }
        1 => {
            head(node, 3);
            node.extend_from_slice(&(name.len() as u32).to_le_bytes());
            node.extend_from_slice(name);
        }
        2 => {
            head(node, 4);
            node.extend_from_slice(&guid_bytes(name)?);
        }
        _ => {
            head(node, 5);
            let start = node.len();
            node.extend_from_slice(&[0; 4]);
            unbase64(name, &mut |byte| node.push(byte))?;
            let len = (node.len() - start - 4) as u32;
            node.get_mut(start..start + 4)?.copy_from_slice(&len.to_le_bytes());
        }
    }
    Some((tag.space as u8, index))
}

fn attribute_name(attribute: u8) -> Option<&'static str> {
    let besides = BESIDES.iter().find(|(number, _)| *number == attribute).map(|(_, name)| *name);
    besides.or_else(|| ATTRIBUTES.get(usize::from(attribute).checked_sub(1)?).copied())
}

fn attribute_of(name: &str) -> Option<u8> {
    if let Some(attribute) = number::<u8>(name) {
        return attribute_name(attribute).is_none().then_some(attribute);
    }
    (0..=u8::MAX).find(|attribute| attribute_name(*attribute) == Some(name))
}

/// Decimal digits alone: one way to write a tag.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

/// The places of a GUID's bytes on the wire in the order of its text (§5.2.2.6: three numbers little-endian).
const GUID_ORDER: [u8; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

fn guid_text(guid: &[u8; 16], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (place, from) in GUID_ORDER.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        let byte = guid.get(usize::from(*from)).copied().unwrap_or_default();
        for digit in [byte >> 4, byte & 0xf] {
            out.extend(DIGITS.get(usize::from(digit)));
        }
    }
}

fn guid_bytes(text: &[u8]) -> Option<[u8; 16]> {
    let mut guid = [0; 16];
    let mut digits = text.iter().enumerate();
    for (place, to) in GUID_ORDER.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            digits.next().filter(|(_, byte)| **byte == b'-')?;
        }
        let mut digit = || match *digits.next()?.1 {
            digit @ b'0'..=b'9' => Some(digit - b'0'),
            digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *guid.get_mut(usize::from(*to))? = digit()? << 4 | digit()?;
    }
    digits.next().is_none().then_some(guid)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648 §4.
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            let text = BASE64.get((bits >> (18 - 6 * digit) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if digit > group.len() { b'=' } else { text });
        }
    }
}

/// The reverse, of the one way in which bytes are written.
fn unbase64(text: &[u8], put: &mut dyn FnMut(u8)) -> Option<()> {
    let (groups, rest) = text.as_chunks::<4>();
    for (index, group) in groups.iter().enumerate() {
        let pads = group.iter().rev().take_while(|digit| **digit == b'=').count();
        let mut bits = 0u32;
        for digit in group {
            let value = BASE64.iter().position(|known| known == digit);
            bits = bits << 6 | value.or((*digit == b'=').then_some(0))? as u32;
        }
        let inner = group.get(..4 - pads)?.contains(&b'=');
        let spare = bits & ((1 << (8 * pads.min(3))) - 1);
        if inner || pads > 2 || pads > 0 && index + 1 != groups.len() || spare != 0 {
            return None;
        }
        let [_, bytes @ ..] = bits.to_be_bytes();
        bytes.iter().take(3 - pads).for_each(|byte| put(*byte));
    }
    rest.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(tag: &Tag<'_>) -> String {
        fmt::from_fn(|f| write(tag, f)).to_string()
    }

    fn listed(node: &NodeId<'_>, attribute: u32, range: &str, index: Option<u32>) -> String {
        let mut list = Vec::new();
        Place::push(&mut list, node, attribute, Some(range.as_bytes()));
        let mut places = Places(&list);
        let text = show(&places.next().unwrap().tag(index));
        assert!(places.next().is_none());
        text
    }

    #[test]
    fn places_are_written_as_node_ids() {
        let node = |namespace, id| NodeId { namespace, id, elsewhere: false };
        let guid =
            [0x91, 0x2b, 0x96, 0x72, 0x75, 0xfa, 0xe6, 0x4a, 0x8d, 0x28, 0xb4, 4, 0xdc, 0x7d, 0xaf, 0x63];
        assert_eq!(listed(&node(0, Identifier::Numeric(2258)), 13, "", None), "i=2258");
        assert_eq!(listed(&node(2, Identifier::Text(b"Boiler.Temp")), 13, "", None), "ns=2;s=Boiler.Temp");
        assert_eq!(
            listed(&node(1, Identifier::Text(b"a;b=c")), 4, "", None),
            "attr=DisplayName;ns=1;s=a;b=c"
        );
        // §5.2.2.6, Figure 3.
        assert_eq!(
            listed(&node(0, Identifier::Guid(&guid)), 13, "", None),
            "g=72962b91-fa75-4ae6-8d28-b404dc7daf63"
        );
        assert_eq!(listed(&node(9, Identifier::Opaque(b"\x01\xff")), 13, "", Some(3)), "index=3;ns=9;b=Af8=");
        assert_eq!(listed(&node(0, Identifier::Numeric(1)), 13, "5:9", Some(2)), "index=7;i=1");
        assert_eq!(listed(&node(0, Identifier::Numeric(1)), 13, "5", None), "?", "a part of a text");
        assert_eq!(listed(&node(0, Identifier::Numeric(1)), 13, "1,2", Some(0)), "?");
        assert_eq!(listed(&node(0, Identifier::Text(&[0xff])), 13, "", None), "?");
        assert_eq!(listed(&node(0, Identifier::Numeric(1)), 300, "", None), "?");
        let far = NodeId { elsewhere: true, ..node(0, Identifier::Numeric(1)) };
        assert_eq!(listed(&far, 13, "", None), "?");
    }

    #[test]
    fn a_tag_is_written_in_one_way() {
        for good in [
            "i=0",
            "ns=3;i=4294967295",
            "s=",
            "ns=65535;s=ns=1;i=2",
            "attr=Call;i=5",
            "attr=28;i=5",
            "b=",
            "b=AA==",
        ] {
            assert_eq!(show(&parse(good).unwrap()), good);
        }
        for bad in [
            "",
            "i",
            "i=",
            "i=01",
            "ns=0;i=1",
            "ns=65536;i=1",
            "attr=Value;i=1",
            "attr=13;i=1",
            "attr=Valu;i=1",
            "x=1",
            "g=72962B91-fa75-4ae6-8d28-b404dc7daf63",
            "g=72962b91",
            "b=A",
            "b=AB==",
            "b=A===",
            "b=AA==AAAA",
            "index=01;i=1",
            "index=1;attr=Call;i=1",
            "ns=1;index=1;i=1",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn tags_read_back(attribute: u8, namespace: u16, number: u32, text: String, bytes: Vec<u8>, guid: [u8; 16],
            form in 0..4u8, index: Option<u32>) {
            let id = [Identifier::Numeric(number), Identifier::Text(text.as_bytes()), Identifier::Guid(&guid), Identifier::Opaque(&bytes)]
                [usize::from(form)];
            let mut list = Vec::new();
            Place::push(&mut list, &NodeId { namespace, id, elsewhere: false }, 13, None);
            let tag = Places(&list).next().unwrap().with(attribute).tag(index);
            let text = show(&tag);
            let read = parse(&text).unwrap();
            prop_assert_eq!(read, tag);
            let mut node = Vec::new();
            prop_assert_eq!(target(&tag, &mut node), Some((attribute, index)));
            prop_assert_eq!(Reader::new(&node).node_id(), Ok(NodeId { namespace, id, elsewhere: false }));
        }

        #[test]
        fn no_text_panics(text: String) {
            if let Some(tag) = parse(&text) {
                prop_assert_eq!(show(&tag), text);
            }
        }
    }
}
