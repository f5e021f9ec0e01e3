//! One message of sampled values: its header, its ASDUs.
//!
//! Source: IEC 61850-9-2 (2011) §8.5 (`savPdu`), Annex A (header on Ethernet, as of GOOSE); the data set of eight values
//! with quality by the implementation guideline 9-2LE §7.2 and IEC 61869-9.

use twinguard_types::{Oddity, Quality, Timestamp};

use crate::ber::{self, Element, Reader};
use crate::bytes::be16;
use crate::iec61850::{UtcTime, quality, worse};
use crate::protocol::Oddities;

/// Length of the header: APPID, length, two reserved words.
pub const HEADER_LEN: usize = 8;
/// Bit of the first reserved word that tells a simulated message.
pub const SIMULATED: u16 = 0x8000;
/// Length of a value with its quality.
pub const CHANNEL_LEN: usize = 8;

/// Shows any bytes as a message of sampled values.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    bytes: &'a [u8],
    app_id: u16,
    length: u16,
    simulated: bool,
    count: Option<u16>,
    asdus: Reader<'a>,
    pub(super) oddities: Oddities,
}

impl<'a> View<'a> {
    /// A frame behind its EtherType; `None` when it is too short for the header.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let (app_id, length, reserved) = (be16(bytes, 0)?, be16(bytes, 2)?, be16(bytes, 4)?);
        let simulated = reserved & SIMULATED != 0;
        let (count, asdus, oddities) = (None, Reader::default(), Oddities::NONE);
        let mut view = Self { bytes, app_id, length, simulated, count, asdus, oddities };
        let told = usize::from(length);
        let end = if (HEADER_LEN..=bytes.len()).contains(&told) {
            told
        } else {
            view.oddities.push(Oddity::LengthMismatch, 2);
            bytes.len()
        };
        let mut outer = Reader::new(bytes.get(HEADER_LEN..end)?, HEADER_LEN);
        match outer.next() {
            Some(Ok(element)) if element.tag == 0x60 => {
                if !outer.is_empty() {
                    view.oddities.push(Oddity::TrailingBytes, outer.at());
                }
                view.pdu(element.inside());
            }
            Some(Ok(_)) => view.oddities.push(Oddity::UnknownFunction, HEADER_LEN),
            Some(Err(fault)) => view.oddities.push(fault.oddity, fault.at),
            None => view.oddities.push(Oddity::Truncated, HEADER_LEN),
        }
        Some(view)
    }

    #[inline]
    fn pdu(&mut self, mut reader: Reader<'a>) {
        let at = reader.at();
        while let Some(element) = reader.next() {
            match element {
                Ok(Element { tag: 0x80, content, .. }) => {
                    self.count = ber::unsigned(content).and_then(|count| u16::try_from(count).ok());
                }
                // Security, reserved for a digital signature.
                Ok(Element { tag: 0x81 | 0xa1, .. }) => {}
                Ok(element) if element.tag == 0xa2 => self.asdus = element.inside(),
                Ok(element) => self.oddities.push(Oddity::BadValue, element.at),
                Err(fault) => self.oddities.push(fault.oddity, fault.at),
            }
        }
        if self.count.is_none() {
            self.oddities.push(Oddity::Truncated, at);
        }
    }

    /// All bytes, padding included.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Application identifier.
    #[must_use]
    pub const fn app_id(&self) -> u16 {
        self.app_id
    }

    /// Length of header and PDU.
    #[must_use]
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// Whether the header tells a simulated message.
    #[must_use]
    pub const fn is_simulated(&self) -> bool {
        self.simulated
    }

    /// Number of ASDUs that it says to carry.
    #[must_use]
    pub const fn count(&self) -> Option<u16> {
        self.count
    }

    /// Its ASDUs.
    #[inline]
    #[must_use]
    pub const fn asdus(&self) -> Asdus<'a> {
        Asdus(self.asdus)
    }

    /// Where its ASDUs begin.
    pub(super) const fn asdus_at(&self) -> usize {
        self.asdus.at()
    }

    /// What is odd about it by itself.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

/// The ASDUs of a message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asdus<'a>(Reader<'a>);

impl<'a> Iterator for Asdus<'a> {
    type Item = Asdu<'a>;

    #[inline]
    fn next(&mut self) -> Option<Asdu<'a>> {
        Some(match self.0.next()? {
            Ok(element) if element.tag == 0x30 => Asdu::new(element.inside()),
            Ok(element) => Asdu { fault: Some((Oddity::BadValue, element.at)), ..Asdu::default() },
            Err(fault) => Asdu { fault: Some((fault.oddity, fault.at)), ..Asdu::default() },
        })
    }
}

/// One set of samples.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asdu<'a> {
    /// Identifier of the stream.
    pub id: Option<&'a [u8]>,
    /// Reference of the data set, where it is sent.
    pub data_set: Option<&'a [u8]>,
    /// Number of the sample in its second (or as the sampling mode says).
    pub sample: Option<u16>,
    /// Revision of the data set.
    pub revision: Option<u32>,
    /// When its buffer was renewed, where it is sent.
    pub time: Option<UtcTime>,
    /// How the publisher is synchronised: 0 not, 1 locally, 2 globally; greater ones name the clock's area.
    pub synchronised: Option<u8>,
    /// Samples a period or a second, where it is sent.
    pub rate: Option<u16>,
    /// Meaning of the rate, where it is sent: 0 samples a period, 1 samples a second, 2 seconds a sample.
    pub mode: Option<u16>,
    /// The samples.
    pub data: &'a [u8],
    /// What is odd about it, and where.
    pub fault: Option<(Oddity, usize)>,
    /// Where the number of the sample lies.
    pub(super) sample_at: usize,
}

impl<'a> Asdu<'a> {
    #[inline]
    fn new(mut reader: Reader<'a>) -> Self {
        let mut asdu = Self { sample_at: reader.at(), ..Self::default() };
        let at = reader.at();
        while let Some(element) = reader.next() {
            let Element { tag, at, content } = match element {
                Ok(element) => element,
                Err(fault) => {
                    asdu.fault = Some((fault.oddity, fault.at));
                    break;
                }
            };
            let word = || <[u8; 2]>::try_from(content).ok().map(u16::from_be_bytes);
            let known = match tag {
                0x80 => {
                    asdu.id = Some(content);
                    true
                }
                0x81 => {
                    asdu.data_set = Some(content);
                    true
                }
                0x82 => {
                    (asdu.sample, asdu.sample_at) = (word(), at);
                    asdu.sample.is_some()
                }
                0x83 => {
                    asdu.revision = ber::unsigned(content).and_then(|number| u32::try_from(number).ok());
                    asdu.revision.is_some()
                }
                0x84 => {
                    asdu.time = <[u8; 8]>::try_from(content).ok().map(UtcTime);
                    asdu.time.is_some()
                }
                0x85 => {
                    asdu.synchronised = content.last().copied();
                    true
                }
                0x86 => {
                    asdu.rate = word();
                    true
                }
                0x87 => {
                    asdu.data = content;
                    content.len().is_multiple_of(CHANNEL_LEN)
                }
                0x88 => {
                    asdu.mode = word();
                    true
                }
                // Identity of the grandmaster clock (IEC 61869-9).
                0x89 => true,
                _ => false,
            };
            if !known && asdu.fault.is_none() {
                asdu.fault = Some((Oddity::BadValue, at));
            }
        }
        let complete = asdu.id.is_some() && asdu.sample.is_some() && asdu.revision.is_some();
        if !complete && asdu.fault.is_none() {
            asdu.fault = Some((Oddity::Truncated, at));
        }
        asdu
    }

    /// The samples as values of 32 bits with quality: as in 9-2LE and IEC 61869-9, the only data sets that need no
    /// configuration to be read.
    #[inline]
    pub fn channels(&self) -> impl Iterator<Item = Channel<'a>> + use<'a> {
        let (channels, _) = self.data.as_chunks::<CHANNEL_LEN>();
        let mut doubt = if self.synchronised == Some(0) { Quality::Uncertain } else { Quality::Good };
        if let Some(time) = self.time {
            doubt = worse(doubt, time.quality());
        }
        channels.iter().map(move |channel| {
            let [a, b, c, d, _, _, q1, q0] = *channel;
            Channel {
                value: i32::from_be_bytes([a, b, c, d]),
                quality: worse(quality(u16::from_be_bytes([q1, q0])), doubt),
                raw: channel.first_chunk::<4>().map_or(&[], |raw| raw),
            }
        })
    }

    /// When it was sampled, by the publisher's clock, where it tells.
    #[must_use]
    pub fn at(&self) -> Option<Timestamp> {
        self.time?.at()
    }
}

/// One sampled value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel<'a> {
    /// The number as sent (9-2LE: units of 1 mA or 10 mV).
    pub value: i32,
    /// By its own quality, and uncertain where the publisher is not synchronised.
    pub quality: Quality,
    /// Its four bytes.
    pub raw: &'a [u8],
}
