//! Sampled values: currents and voltages that merging units publish thousands of times a second.
//!
//! Sources: IEC 61850-9-2 (2011) §8.5; the guideline 9-2LE and IEC 61869-9 for the data set.
//!
//! Tags are `<stream>/*/<channel>`: the identifier of the stream, and the value's number in an ASDU from 0:
//! `MU01/*/4`. A message's own way names the sample in place of the star, `MU01/3999/4`; both are the same place, and so
//! is `MU01/4`, where the identifier ends with no number of its own.

use core::fmt;

use twinguard_types::Label;

mod repr;
mod session;
#[cfg(test)]
mod tests;
mod view;

pub use repr::{ID_MAX, MESSAGE_MAX, Repr, Samples};
pub use session::{STREAMS_MAX, Shared};
pub use view::{Asdu, Asdus, CHANNEL_LEN, Channel, HEADER_LEN, SIMULATED, View};

use crate::protocol::{
    Access, Block, Carrier, Context, Cut, Data, Field, Fit, Header, Kind, Name, Oddities, Protocol, Scalar,
    Sender, Tag,
};

/// EtherType of sampled values (IEC 61850-9-2 Annex A).
pub const ETHER_TYPE: u16 = 0x88ba;

/// The family.
#[derive(Clone, Copy, Debug)]
pub struct Sv;

impl Protocol for Sv {
    const FAMILY: Label = Label::literal("sv");
    const CARRIERS: &'static [Carrier] = &[Carrier::EtherType(ETHER_TYPE)];

    type Pdu<'a> = View<'a>;
    type Memo = ();
    type Session = ();
    type Shared = Shared;
    type Blocks<'a> = Blocks<'a>;

    /// One frame, one message: what lies behind it is padding, or a trailer of the network.
    #[inline]
    fn cut(bytes: &[u8]) -> Cut {
        if bytes.len() < HEADER_LEN { Cut::More(HEADER_LEN) } else { Cut::Message(bytes.len()) }
    }

    /// They are met behind their EtherType alone.
    fn probe(_bytes: &[u8]) -> Option<Sender> {
        None
    }

    #[inline]
    fn decode<'a>(
        _session: &'a mut (),
        shared: &'a mut Shared,
        context: &Context,
        bytes: &'a [u8],
    ) -> Option<View<'a>> {
        let mut view = View::new(bytes)?;
        shared.note(&context.destination, &mut view);
        Some(view)
    }

    #[inline]
    fn header(view: &View<'_>) -> Header {
        let function = view.count().unwrap_or(Header::NO_FUNCTION);
        Header { kind: Kind::Event, unit: view.app_id(), function, key: None }
    }

    #[inline]
    fn oddities(view: &View<'_>) -> Oddities {
        *view.oddities()
    }

    fn memo(_view: &View<'_>) {}

    fn fit(_memo: &(), _view: &View<'_>) -> Fit {
        Fit::No
    }

    #[inline]
    fn blocks<'a>(view: &Self::Pdu<'a>, _request: Option<&()>) -> Blocks<'a> {
        Blocks { asdus: view.asdus(), asdu: Asdu::default(), channel: 0 }
    }

    fn fields(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
        put("sv.appid", Field::Hex(u64::from(view.app_id()), 4));
        put("sv.length", Field::Number(u64::from(view.length())));
        if let Some(count) = view.count() {
            put("sv.noASDU", Field::Number(u64::from(count)));
        }
        for asdu in view.asdus() {
            if let Some(id) = asdu.id {
                put("sv.svID", Field::Text(id));
            }
            if let Some(data_set) = asdu.data_set {
                put("sv.datSet", Field::Text(data_set));
            }
            let numbers = [
                ("sv.smpCnt", asdu.sample.map(u32::from)),
                ("sv.confRev", asdu.revision),
                ("sv.smpSynch", asdu.synchronised.map(u32::from)),
                ("sv.smpRate", asdu.rate.map(u32::from)),
                ("sv.smpMod", asdu.mode.map(u32::from)),
            ];
            for (name, number) in numbers {
                if let Some(number) = number {
                    put(name, Field::Number(u64::from(number)));
                }
            }
        }
    }

    fn function_name(_function: u16) -> &'static str {
        "samples"
    }

    fn parse_tag(text: &str) -> Option<Tag<'_>> {
        let decimal = |text: &str| {
            let plain =
                text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
            plain.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (rest, channel) = text.rsplit_once('/')?;
        let channel = decimal(channel)?;
        let id = match rest.rsplit_once('/') {
            Some((id, sample)) if sample == "*" || decimal(sample).is_some() => id,
            _ => rest,
        };
        (!id.is_empty()).then(|| tag(id.as_bytes(), channel))
    }

    fn write_tag(tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [id, ..] = tag.name.parts();
        write!(f, "{}/*/{}", String::from_utf8_lossy(id), tag.address.unwrap_or_default())
    }

    fn write_place(tag: &Tag<'_>, sample: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [id, ..] = tag.name.parts();
        write!(f, "{}/{sample}/{}", String::from_utf8_lossy(id), tag.address.unwrap_or_default())
    }
}

fn tag(id: &[u8], channel: u32) -> Tag<'_> {
    Tag { space: 0, name: Name::new([id]), address: Some(channel) }
}

/// The values of a message.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    asdus: Asdus<'a>,
    asdu: Asdu<'a>,
    channel: u32,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    #[inline]
    fn next(&mut self) -> Option<Block<'a>> {
        loop {
            if let Some(channel) = self.asdu.channels().next() {
                self.asdu.data = self.asdu.data.get(CHANNEL_LEN..).unwrap_or_default();
                let data = Data::Scalar { raw: channel.raw, value: Scalar::Signed(i64::from(channel.value)) };
                let tag = tag(self.asdu.id.filter(|id| !id.is_empty()).unwrap_or(b"?"), self.channel);
                self.channel += 1;
                let block = Block::new(tag, Access::Read, data);
                let variant = u32::from(self.asdu.sample.unwrap_or_default());
                return Some(Block { variant, quality: channel.quality, at: self.asdu.at(), ..block });
            }
            (self.asdu, self.channel) = (self.asdus.next()?, 0);
        }
    }
}
