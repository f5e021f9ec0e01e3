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
    None,
    Values(Values<'a>),
    Attributes(Attributes<'a>),
}

/// One value, or the neighbouring elements of a tag.
#[derive(Clone, Copy, Debug)]
struct Values<'a> {
    space: u64,
    name: &'a [u8],
    address: Option<u32>,
    access: Access,
    quality: Quality,
    /// `None` when all was told.
    shape: Option<Shape>,
    /// Bytes of each element.
    size: u32,
    rest: &'a [u8],
}

/// What values are.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// One, whose bytes only its class knows.
    Bytes,
    /// One that is no value.
    Opaque,
    /// The masks of a change.
    Masks,
    /// Elements of this type.
    Elements(u16),
    /// Structures with this handle.
    Structures(u16),
}

/// Attributes with their numbers; those of a response with their status.
#[derive(Clone, Copy, Debug)]
struct Attributes<'a> {
    class: Option<u32>,
    instance: Option<u32>,
    response: bool,
    left: u16,
    rest: &'a [u8],
}

impl<'a> Run<'a> {
    fn next(&mut self) -> Option<Block<'a>> {
        match self {
            Self::None => None,
            Self::Values(values) => values.next(),
            Self::Attributes(attributes) => attributes.next(),
        }
    }
}

impl<'a> Values<'a> {
    fn of(tag: Tag<'a>, access: Access, shape: Shape, rest: &'a [u8]) -> Self {
        let (Tag { space, address, .. }, [name, ..]) = (tag, tag.name.parts());
        Self { space, name, address, access, quality: Quality::Good, shape: Some(shape), size: 0, rest }
    }

    fn next(&mut self) -> Option<Block<'a>> {
        let shape = self.shape?;
        let raw = if let Shape::Elements(_) | Shape::Structures(_) = shape {
            let (raw, behind) = self.rest.split_at_checked(self.size as usize)?;
            self.rest = behind;
            Some(raw).filter(|raw| !raw.is_empty())?
        } else {
            self.shape = None;
            self.rest
        };
        let value = match shape {
            Shape::Bytes | Shape::Opaque => Scalar::Opaque,
            Shape::Masks => modified(raw),
            Shape::Elements(code) => scalar(code, raw),
            Shape::Structures(handle) => structure(handle, raw),
        };
        let data = if let Shape::Bytes = shape { Data::Bytes(raw) } else { Data::Scalar { raw, value } };
        let tag = Tag { space: self.space, name: Name::new([self.name]), address: self.address };
        self.address = self.address.and_then(|index| index.checked_add(1));
        Some(Block { quality: self.quality, ..Block::new(tag, self.access, data) })
    }
}

impl<'a> Attributes<'a> {
    fn next(&mut self) -> Option<Block<'a>> {
        while let Some(after) = self.left.checked_sub(1) {
            self.left = after;
            let number = le16(self.rest, 0)?;
            let (status, behind) = if self.response { (le16(self.rest, 2)?, 4) } else { (0, 2) };
            self.rest = self.rest.get(behind..)?;
            if status != 0 {
                continue;
            }
            // The list says no sizes: from the first attribute that only its class knows, all is one value.
            let size = self.class.and_then(|class| attribute(class, number, self.rest));
            let (raw, behind) = self.rest.split_at_checked(size.unwrap_or(self.rest.len()))?;
            self.rest = behind;
            let place = Place::object(self.class, self.instance, Some(u32::from(number)));
            let access = if self.response { Access::Read } else { Access::Write };
            if !raw.is_empty() {
                return Some(Block::new(tag_of(place), access, Data::Bytes(raw)));
            }
        }
        None
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
            run: Run::None,
        };
        match view.body() {
            Body::Service { message, service: Some(service), .. } => {
                blocks.leaves = Leaves::of(message);
                if let Some(request) = view.request.filter(|_| service.response) {
                    blocks.asked = Leaves::of(request.message);
                }
            }
            Body::Io { connection, data, .. } => {
                blocks.run = io(view, connection, data).map_or(Run::None, Run::Values);
            }
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
            return Run::None;
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
        Meaning::GetAll
        | Meaning::SetAll
        | Meaning::GetList
        | Meaning::SetList
        | Meaning::GetSingle
        | Meaning::SetSingle => tag_of(Place::object(target.class, target.instance, target.attribute)),
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

/// Elements from `rest`, of which the first has this many bytes before it.
fn elements<'a>(
    tag: Tag<'a>,
    access: Access,
    (code, handle, rest): (u16, Option<u16>, &'a [u8]),
    (count, before): (u16, u32),
) -> Values<'a> {
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
    let shape = handle.map_or(Shape::Elements(code), Shape::Structures);
    Values { size: each as u32, ..Values::of(Tag { address, ..tag }, access, shape, rest) }
}

/// A list of attributes behind their number.
fn attributes<'a>(leaf: &Service<'a>, target: Option<Target<'a>>) -> Attributes<'a> {
    Attributes {
        class: target.and_then(|target| target.class),
        instance: target.and_then(|target| target.instance),
        response: leaf.response,
        left: le16(leaf.data, 0).unwrap_or_default(),
        rest: leaf.data.get(2..).unwrap_or_default(),
    }
}

fn request<'a>(leaf: Service<'a>, meaning: Meaning, tag: Tag<'a>, target: Option<Target<'a>>) -> Run<'a> {
    let data = leaf.data;
    let written = |skip: usize| {
        let (code, handle, rest) = typed(data)?;
        let count = le16(rest, 0)?;
        let before = if skip == 6 { le32(rest, 2)? } else { 0 };
        Some(elements(tag, Access::Write, (code, handle, rest.get(skip..)?), (count, before)))
    };
    let values = match meaning {
        Meaning::WriteTag => written(2),
        Meaning::WriteFragment => written(6),
        Meaning::ModifyTag => masks(data).map(|masks| Values::of(tag, Access::Write, Shape::Masks, masks)),
        Meaning::SetSingle | Meaning::SetAll => Some(Values::of(tag, Access::Write, Shape::Bytes, data)),
        Meaning::SetList => return Run::Attributes(attributes(&leaf, target)),
        Meaning::GetList | Meaning::Connection => None,
        Meaning::ReadTag | Meaning::ReadFragment => {
            Some(Values::of(tag, Access::Argument, Shape::Opaque, data))
        }
        Meaning::GetSingle | Meaning::GetAll | Meaning::Other => {
            Some(Values::of(tag, Access::Argument, Shape::Bytes, data))
        }
    };
    values.map_or(Run::None, Run::Values)
}

/// Masks of one size: bits to set, bits to keep (PM020).
fn masks(data: &[u8]) -> Option<&[u8]> {
    data.get(2..)?.get(..usize::from(le16(data, 0)?) * 2)
}

/// One changed bit of a single byte is a state.
fn modified(masks: &[u8]) -> Scalar<'_> {
    match masks {
        [or, and] if or | !and == 1 && (*or == 1 || *and == 0xfe) => Scalar::Boolean(or & 1 == 1),
        _ => Scalar::Opaque,
    }
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
    let values = match meaning {
        Meaning::ReadTag | Meaning::ReadFragment if quality == Quality::Good => {
            let given = asked.map(|asked| asked.data).unwrap_or_default();
            let count = le16(given, 0).unwrap_or(1);
            let before = if meaning == Meaning::ReadFragment { le32(given, 2).unwrap_or(0) } else { 0 };
            typed(data).map(|typed| elements(tag, Access::Read, typed, (count, before)))
        }
        Meaning::GetList => return Run::Attributes(attributes(&leaf, target)),
        Meaning::SetList | Meaning::Connection => None,
        _ => Some(Values { quality, ..Values::of(tag, Access::Read, Shape::Bytes, data) }),
    };
    values.map_or(Run::None, Run::Values)
}

fn io<'a>(view: &View<'a>, connection: u32, data: &'a [u8]) -> Option<Values<'a>> {
    let Some(channel) = view.channel else {
        return (!data.is_empty())
            .then(|| Values::of(Place::Connection(connection).tag(0), Access::Read, Shape::Bytes, data));
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
    (!data.is_empty()).then(|| Values::of(place.tag(0), access, Shape::Bytes, data))
}
