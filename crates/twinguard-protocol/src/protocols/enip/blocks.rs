//! Values in a message, with the places that its request names.

use super::cip::{Leaves, Meaning, Service};
use super::path::{Target, is_plain};
use super::place::{Place, begins_name};
use super::session::{Text, Texts};
use super::value::{attribute, scalar, size, structure, typed};
use super::view::{Body, View};
use crate::bytes::{le16, le32};
use crate::protocol::{Access, Block, Data, Name, Scalar, Tag};
use twinguard_types::Quality;

/// The runs of values in a message, service by service.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    leaves: Leaves<'a>,
    asked: Leaves<'a>,
    texts: Texts<'a>,
    run: Run<'a>,
}

/// The values of one service.
#[derive(Clone, Copy, Debug)]
enum Run<'a> {
    One(Option<Block<'a>>),
    /// Neighbouring elements of a tag.
    Elements {
        tag: Tag<'a>,
        access: Access,
        quality: Quality,
        code: u16,
        handle: Option<u16>,
        size: usize,
        rest: &'a [u8],
    },
    /// Attributes with their numbers; those of a response with their status.
    Attributes {
        target: Option<Target<'a>>,
        response: bool,
        left: u16,
        rest: &'a [u8],
    },
}

impl<'a> Iterator for Run<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        match self {
            Self::One(block) => block.take(),
            Self::Elements { tag, access, quality, code, handle, size, rest } => {
                let (raw, behind) = rest.split_at_checked(*size).filter(|(raw, _)| !raw.is_empty())?;
                *rest = behind;
                let value = match handle {
                    Some(handle) => structure(*handle, raw),
                    None => scalar(*code, raw),
                };
                let block =
                    Block { quality: *quality, ..Block::new(*tag, *access, Data::Scalar { raw, value }) };
                tag.address = tag.address.and_then(|index| index.checked_add(1));
                Some(block)
            }
            Self::Attributes { target, response, left, rest } => {
                while let Some(after) = left.checked_sub(1) {
                    *left = after;
                    let number = le16(rest, 0)?;
                    let (status, behind) = if *response { (le16(rest, 2)?, 4) } else { (0, 2) };
                    *rest = rest.get(behind..)?;
                    if status != 0 {
                        continue;
                    }
                    // The list says no sizes: from the first attribute that only its class knows, all is one value.
                    let class = target.and_then(|target| target.class);
                    let size = class.and_then(|class| attribute(class, number, rest)).unwrap_or(rest.len());
                    let (raw, behind) = rest.split_at_checked(size)?;
                    *rest = behind;
                    let place = target.and_then(|target| Place::object(&target, Some(u32::from(number))));
                    let access = if *response { Access::Read } else { Access::Write };
                    if !raw.is_empty() {
                        return Some(Block::new(tag_of(place), access, Data::Bytes(raw)));
                    }
                }
                None
            }
        }
    }
}

fn tag_of(place: Option<Place>) -> Tag<'static> {
    place.map_or(Tag::default(), |place| place.tag(0))
}

impl<'a> Blocks<'a> {
    pub(super) fn new(view: &View<'a>) -> Self {
        let mut blocks = Self {
            leaves: Leaves::default(),
            asked: Leaves::default(),
            texts: Texts(view.request.map_or(&[], |request| request.texts)),
            run: Run::One(None),
        };
        match view.body() {
            Body::Service { message, service: Some(service), .. } => {
                blocks.leaves = Leaves::of(message);
                if let Some(request) = view.request.filter(|_| service.response) {
                    blocks.asked = Leaves::of(request.message);
                }
            }
            Body::Io { connection, data, .. } => blocks.run = Run::One(io(view, connection, data)),
            _ => {}
        }
        blocks
    }

    fn service(&mut self, leaf: Service<'a>) -> Run<'a> {
        let asked = if leaf.response { self.asked.next() } else { Some(leaf) };
        let target = asked.map(|asked| Target::of(asked.path));
        let text = match (&asked, &target) {
            (Some(asked), Some(target)) if Text::of(asked, target) != Text::None => self.texts.next(),
            _ => None,
        };
        // A response inside others may lie about its service: the request says what was asked.
        let code = asked.map_or(leaf.code, |asked| asked.code);
        let meaning = target.map_or_else(|| unknown(code), |target| Meaning::of(code, &target));
        let tag = target.map_or(Tag::default(), |target| place(code, meaning, &target, text));
        if leaf.data.is_empty() {
            return Run::One(None);
        }
        if leaf.response {
            response(leaf, asked, meaning, tag, target)
        } else {
            request(leaf, meaning, tag, target)
        }
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            if let Some(block) = self.run.next() {
                return Some(block);
            }
            let leaf = self.leaves.next()?;
            self.run = self.service(leaf);
        }
    }
}

/// What a response means whose request was not seen: services of Logix tags share their codes with other classes.
fn unknown(code: u8) -> Meaning {
    Meaning::of(code, &Target::default())
}

/// The place that a service speaks of.
fn place<'a>(code: u8, meaning: Meaning, target: &Target<'a>, text: Option<(&'a [u8], u32)>) -> Tag<'a> {
    let class = target.class.and_then(|class| u16::try_from(class).ok());
    match meaning {
        meaning if meaning.is_tag() => {
            let (name, index) = match text {
                Some((name, index)) => (name, Some(index)),
                None if target.nested => (&[][..], None),
                None => (target.symbol, Some(target.member.unwrap_or(0))),
            };
            if target.symbol.is_empty() {
                let listed = target.instance.filter(|_| !target.nested).map(Place::Listed);
                return Tag { address: index, ..tag_of(listed) };
            }
            let named = index.filter(|_| begins_name(name) && (text.is_some() || is_plain(name)));
            Tag { space: Place::Symbol.space(), name: Name::new([name]), address: named }
        }
        Meaning::GetAll | Meaning::SetAll | Meaning::GetList | Meaning::SetList => {
            tag_of(Place::object(target, None))
        }
        Meaning::GetSingle | Meaning::SetSingle => tag_of(Place::object(target, target.attribute)),
        _ => {
            let (Some(class), instance) = (class, target.instance.unwrap_or(0)) else {
                return Tag::default();
            };
            let service = Place::Service { class, instance, code };
            let named = Place::of(&service.tag(0)) == Some(service);
            let name = text.map_or(Name::default(), |(text, _)| Name::new([text]));
            Tag { name, address: named.then_some(0), ..service.tag(0) }
        }
    }
}

fn one<'a>(tag: Tag<'a>, access: Access, data: &'a [u8]) -> Run<'a> {
    Run::One(Some(Block::new(tag, access, Data::Bytes(data))))
}

/// Elements from `rest`, of which the first has this many bytes before it.
fn elements<'a>(
    tag: Tag<'a>,
    access: Access,
    quality: Quality,
    (code, handle, rest): (u16, Option<u16>, &'a [u8]),
    (count, before): (u16, u32),
) -> Run<'a> {
    // Structures say no size: as many bytes each as fit their number.
    let each = match size(code) {
        Some(size) => size,
        None if handle.is_some() && count > 1 && before == 0 && rest.len() % usize::from(count) == 0 => {
            rest.len() / usize::from(count)
        }
        None => rest.len(),
    };
    let skipped = before.checked_div(each as u32).unwrap_or(0);
    let address = tag.address.and_then(|index| index.checked_add(skipped));
    Run::Elements { tag: Tag { address, ..tag }, access, quality, code, handle, size: each, rest }
}

fn request<'a>(leaf: Service<'a>, meaning: Meaning, tag: Tag<'a>, target: Option<Target<'a>>) -> Run<'a> {
    let data = leaf.data;
    let written = |skip: usize| {
        let (code, handle, rest) = typed(data)?;
        let count = le16(rest, 0)?;
        let before = if skip == 6 { le32(rest, 2)? } else { 0 };
        Some(elements(tag, Access::Write, Quality::Good, (code, handle, rest.get(skip..)?), (count, before)))
    };
    match meaning {
        Meaning::WriteTag => written(2).unwrap_or(Run::One(None)),
        Meaning::WriteFragment => written(6).unwrap_or(Run::One(None)),
        Meaning::ModifyTag => Run::One(modified(tag, data)),
        Meaning::SetSingle | Meaning::SetAll => one(tag, Access::Write, data),
        Meaning::SetList => Run::Attributes {
            target,
            response: false,
            left: le16(data, 0).unwrap_or_default(),
            rest: data.get(2..).unwrap_or_default(),
        },
        Meaning::GetList | Meaning::Connection => Run::One(None),
        Meaning::ReadTag | Meaning::ReadFragment => {
            let data = Data::Scalar { raw: data, value: Scalar::Opaque };
            Run::One(Some(Block::new(tag, Access::Argument, data)))
        }
        Meaning::GetSingle | Meaning::GetAll | Meaning::Other => one(tag, Access::Argument, data),
    }
}

/// Masks of one size: bits to set, bits to keep (PM020). One changed bit of a single byte is a state.
fn modified<'a>(tag: Tag<'a>, data: &'a [u8]) -> Option<Block<'a>> {
    let raw = data.get(2..)?.get(..usize::from(le16(data, 0)?) * 2)?;
    let value = match raw {
        [or, and] => {
            let changed = or | !and;
            let single = changed == 1 && (*or == 1 || *and == 0xfe);
            if single { Scalar::Boolean(*or & 1 == 1) } else { Scalar::Opaque }
        }
        _ => Scalar::Opaque,
    };
    Some(Block::new(tag, Access::Write, Data::Scalar { raw, value }))
}

fn response<'a>(
    leaf: Service<'a>,
    asked: Option<Service<'a>>,
    meaning: Meaning,
    tag: Tag<'a>,
    target: Option<Target<'a>>,
) -> Run<'a> {
    let data = leaf.data;
    // B-1: 6 is a part of what was asked for; with other statuses data are no values.
    let quality = if matches!(leaf.status, 0 | 6) { Quality::Good } else { Quality::Bad };
    match meaning {
        Meaning::ReadTag | Meaning::ReadFragment if quality == Quality::Good => {
            let given = asked.map(|asked| asked.data).unwrap_or_default();
            let count = le16(given, 0).unwrap_or(1);
            let before = if meaning == Meaning::ReadFragment { le32(given, 2).unwrap_or(0) } else { 0 };
            typed(data)
                .map_or(Run::One(None), |typed| elements(tag, Access::Read, quality, typed, (count, before)))
        }
        Meaning::GetList => Run::Attributes {
            target,
            response: true,
            left: le16(data, 0).unwrap_or_default(),
            rest: data.get(2..).unwrap_or_default(),
        },
        Meaning::SetList | Meaning::Connection => Run::One(None),
        _ => {
            let block = Block::new(tag, Access::Read, Data::Bytes(data));
            Run::One(Some(Block { quality, ..block }))
        }
    }
}

fn io<'a>(view: &View<'a>, connection: u32, data: &'a [u8]) -> Option<Block<'a>> {
    let Some(channel) = view.channel else {
        return (!data.is_empty())
            .then(|| Block::new(Place::Connection(connection).tag(0), Access::Read, Data::Bytes(data)));
    };
    // V1 3-4.3: classes 1 to 3 have a sequence count before the data.
    let data = if channel.class == 0 { data } else { data.get(2..)? };
    let assembly = channel.assembly.filter(|instance| *instance <= 0xffff);
    // V1 5-5.2: the data of an assembly are its attribute 3.
    let place = assembly.map_or(Place::Connection(connection), |instance| Place::Object {
        class: 4,
        instance,
        attribute: 3,
    });
    let access = if channel.to_target { Access::Write } else { Access::Read };
    (!data.is_empty()).then(|| Block::new(place.tag(0), access, Data::Bytes(data)))
}
