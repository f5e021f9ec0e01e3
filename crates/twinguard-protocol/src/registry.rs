//! The list of protocol families, in alphabetical order.

use core::fmt;

use twinguard_types::Label;

use crate::protocol::{
    Action, Address, Block, Carrier, Cell, Context, Cut, Field, Fit, Header, Kind, Oddities, Protocol,
    RawPoint, Sender, Tag, Write,
};
use crate::protocols;
use crate::vendor::{VendorBlocks, VendorFamily, VendorMemo, VendorPdu, VendorSession, VendorShared};

macro_rules! families {
    ($($(#[$meta:meta])* $name:ident = $family:ty;)*) => {
        /// A protocol family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Family {
            $($(#[$meta])* $name,)*
            /// One from outside this crate, see [`Family::vendor`].
            Vendor(VendorFamily),
        }

        /// A message of any family; borrows its bytes.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum Pdu<'a> {
            $($(#[$meta])* $name(<$family as Protocol>::Pdu<'a>),)*
            /// Of a family from outside.
            Vendor(VendorFamily, VendorPdu<'a>),
        }

        /// What is kept of a request of any family.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum Memo {
            $($(#[$meta])* $name(<$family as Protocol>::Memo),)*
            /// Of a family from outside.
            Vendor(VendorMemo),
        }

        /// The state of a conversation of any family.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum Session {
            $($(#[$meta])* $name(<$family as Protocol>::Session),)*
            /// Of a family from outside.
            Vendor(VendorFamily, Conversation),
        }

        /// What all conversations of each family have in common.
        #[derive(Debug, Default)]
        #[allow(non_snake_case, reason = "one field a family, by its name")]
        pub struct Shared {
            $($(#[$meta])* $name: <$family as Protocol>::Shared,)*
            vendors: VendorShared,
        }

        /// The runs of values in a message of any family.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Blocks<'a> {
            $($(#[$meta])* $name(<$family as Protocol>::Blocks<'a>),)*
            /// Of a family from outside.
            Vendor(VendorBlocks<'a>),
        }

        /// Bytes of a message and of the walk over its values, family by family.
        #[cfg(test)]
        const SIZES: &[(Family, usize, usize)] = &[$((
            Family::$name,
            size_of::<<$family as Protocol>::Pdu<'static>>(),
            size_of::<<$family as Protocol>::Blocks<'static>>(),
        )),*];

        impl<'a> Iterator for Blocks<'a> {
            type Item = Block<'a>;
            #[inline]
            fn next(&mut self) -> Option<Block<'a>> {
                match self {
                    $(Self::$name(blocks) => blocks.next(),)*
                    Self::Vendor(blocks) => blocks.next(),
                }
            }
        }

        impl Family {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub fn label(self) -> Label {
                match self {
                    $(Self::$name => <$family>::FAMILY,)*
                    Self::Vendor(vendor) => vendor.0.label(),
                }
            }

            /// Where it is met by agreement.
            #[must_use]
            pub fn carriers(self) -> &'static [Carrier] {
                match self {
                    $(Self::$name => <$family>::CARRIERS,)*
                    Self::Vendor(vendor) => vendor.0.carriers(),
                }
            }

            /// The name of a function or service.
            #[must_use]
            pub fn function_name(self, function: u16) -> &'static str {
                match self {
                    $(Self::$name => <$family>::function_name(function),)*
                    Self::Vendor(vendor) => vendor.0.function_name(function),
                }
            }

            fn function_code(self, function: u16) -> Option<&'static str> {
                match self {
                    $(Self::$name => <$family>::function_code(function),)*
                    Self::Vendor(_) => None,
                }
            }

            /// See [`Protocol::lies_in`].
            pub(crate) fn lies_in(self, bytes: &[u8]) -> bool {
                match self {
                    $(Self::$name => <$family>::lies_in(bytes),)*
                    Self::Vendor(vendor) => vendor.0.lies_in(bytes),
                }
            }

            /// See [`Protocol::PEERS`].
            pub(crate) fn peers(self) -> bool {
                match self {
                    $(Self::$name => <$family>::PEERS,)*
                    Self::Vendor(vendor) => vendor.0.peers(),
                }
            }

            /// See [`Protocol::MARKED`].
            pub(crate) fn marked(self) -> bool {
                match self {
                    $(Self::$name => <$family>::MARKED,)*
                    Self::Vendor(vendor) => vendor.0.marked(),
                }
            }

            /// See [`Protocol::HANDS_OVER`].
            pub(crate) fn hands_over(self) -> bool {
                match self {
                    $(Self::$name => <$family>::HANDS_OVER,)*
                    Self::Vendor(vendor) => vendor.0.hands_over(),
                }
            }

            /// Where the first message in these stream bytes ends.
            #[inline]
            #[must_use]
            pub fn cut(self, bytes: &[u8]) -> Cut {
                match self {
                    $(Self::$name => <$family>::cut(bytes),)*
                    Self::Vendor(vendor) => vendor.0.cut(bytes),
                }
            }

            /// See [`Protocol::probe`].
            #[must_use]
            pub fn probe(self, bytes: &[u8]) -> Option<Sender> {
                match self {
                    $(Self::$name => <$family>::probe(bytes),)*
                    Self::Vendor(vendor) => vendor.0.probe(bytes),
                }
            }

            /// The state of a conversation that begins.
            #[must_use]
            pub fn session(self) -> Session {
                match self {
                    $(Self::$name => Session::$name(Default::default()),)*
                    Self::Vendor(vendor) => Session::Vendor(vendor, Conversation(vendor.0.session())),
                }
            }

            /// What lies at the place of a tag.
            #[must_use]
            pub fn cell(self, tag: &Tag<'_>) -> Cell {
                match self {
                    $(Self::$name => <$family>::cell(tag),)*
                    Self::Vendor(vendor) => vendor.0.cell(tag),
                }
            }

            /// Appends the message that asks a device for a change; see [`Protocol::command`].
            #[must_use]
            pub fn command(self, write: &Write<'_>, number: u32, out: &mut Vec<u8>) -> Option<()> {
                match self {
                    $(Self::$name => <$family>::command(write, number, out),)*
                    Self::Vendor(vendor) => vendor.0.command(write, number, out),
                }
            }

            /// Reads a tag in the family's grammar.
            #[must_use]
            pub fn parse_tag(self, text: &str) -> Option<Tag<'_>> {
                match self {
                    $(Self::$name => <$family>::parse_tag(text),)*
                    Self::Vendor(vendor) => vendor.0.parse_tag(text),
                }
            }

            fn write_tag(self, tag: &Tag<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => <$family>::write_tag(tag, f),)*
                    Self::Vendor(vendor) => vendor.0.write_tag(tag, f),
                }
            }

            fn write_place(self, tag: &Tag<'_>, variant: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => <$family>::write_place(tag, variant, f),)*
                    Self::Vendor(vendor) => vendor.0.write_place(tag, variant, f),
                }
            }
        }

        impl<'a> Pdu<'a> {
            /// Its family.
            #[must_use]
            pub fn family(&self) -> Family {
                match self {
                    $(Self::$name(_) => Family::$name,)*
                    Self::Vendor(family, _) => Family::Vendor(*family),
                }
            }

            /// What the stack has to know of it.
            #[inline]
            #[must_use]
            pub fn header(&self) -> Header {
                match self {
                    $(Self::$name(pdu) => <$family>::header(pdu),)*
                    Self::Vendor(_, pdu) => pdu.header,
                }
            }

            /// What is odd about it by itself.
            #[inline]
            #[must_use]
            pub fn oddities(&self) -> Oddities {
                match self {
                    $(Self::$name(pdu) => <$family>::oddities(pdu),)*
                    Self::Vendor(_, pdu) => pdu.oddities,
                }
            }

            /// What is to be kept of it as a request.
            #[inline]
            #[must_use]
            pub fn memo(&self) -> Memo {
                match self {
                    $(Self::$name(pdu) => Memo::$name(<$family>::memo(pdu)),)*
                    Self::Vendor(_, pdu) => Memo::Vendor(pdu.memo),
                }
            }

            /// How well it answers a request.
            #[inline]
            #[must_use]
            pub fn fit(&self, memo: &Memo) -> Fit {
                match (self, memo) {
                    $((Self::$name(pdu), Memo::$name(memo)) => <$family>::fit(memo, pdu),)*
                    (Self::Vendor(_, pdu), Memo::Vendor(memo)) => pdu.fit(memo),
                    _ => Fit::No,
                }
            }

            /// See [`Protocol::part`].
            #[inline]
            #[must_use]
            pub fn part(&self) -> Kind {
                match self {
                    $(Self::$name(pdu) => <$family>::part(pdu),)*
                    Self::Vendor(_, pdu) => pdu.part,
                }
            }

            /// Why it refuses, if it does and tells.
            #[inline]
            #[must_use]
            pub fn refusal(&self) -> Option<u8> {
                match self {
                    $(Self::$name(pdu) => <$family>::refusal(pdu),)*
                    Self::Vendor(_, pdu) => pdu.refusal,
                }
            }

            /// The runs of values in it.
            #[inline]
            #[must_use]
            pub fn blocks(&self, request: Option<&Memo>) -> Blocks<'a> {
                match self {
                    $(Self::$name(pdu) => {
                        let memo = match request {
                            Some(Memo::$name(memo)) => Some(memo),
                            _ => None,
                        };
                        Blocks::$name(<$family>::blocks(pdu, memo))
                    })*
                    Self::Vendor(_, pdu) => Blocks::Vendor(pdu.blocks()),
                }
            }

            /// The header fields, under Wireshark's names, in order of appearance.
            pub fn fields(&self, put: &mut dyn FnMut(&'static str, Field<'_>)) {
                match self {
                    $(Self::$name(pdu) => <$family>::fields(pdu, put),)*
                    Self::Vendor(_, pdu) => pdu.fields(put),
                }
            }
        }

        impl Memo {
            /// What the request asks of the device beyond values, if anything.
            #[must_use]
            pub fn action(&self) -> Option<Action> {
                match self {
                    $(Self::$name(memo) => <$family>::action(memo),)*
                    Self::Vendor(memo) => memo.action,
                }
            }
        }

        impl Session {
            /// Its family.
            #[must_use]
            pub fn family(&self) -> Family {
                match self {
                    $(Self::$name(_) => Family::$name,)*
                    Self::Vendor(family, _) => Family::Vendor(*family),
                }
            }

            /// Takes a message that tells nothing by itself; see [`Protocol::absorb`].
            #[inline]
            pub fn absorb(&mut self, source: &Address, bytes: &[u8]) -> bool {
                match self {
                    $(Self::$name(session) => <$family>::absorb(session, source, bytes),)*
                    Self::Vendor(_, held) => held.0.absorb(source, bytes),
                }
            }

            /// Reads one whole message and takes note of it.
            #[inline]
            #[must_use]
            pub fn decode<'a>(
                &'a mut self,
                shared: &'a mut Shared,
                context: &Context,
                bytes: &'a [u8],
            ) -> Option<Pdu<'a>> {
                match self {
                    $(Self::$name(session) => {
                        <$family>::decode(session, &mut shared.$name, context, bytes).map(Pdu::$name)
                    })*
                    Self::Vendor(family, held) => {
                        held.0.decode(&mut shared.vendors, context, bytes).map(|pdu| Pdu::Vendor(*family, pdu))
                    }
                }
            }
        }
    };
}

families! {
    /// Beckhoff ADS over AMS/TCP.
    Ams = protocols::ams::Ams;
    /// Search for Beckhoff devices, and their routes, over UDP.
    AmsUdp = protocols::ams_udp::AmsUdp;
    /// BACnet/IP.
    Bacnet = protocols::bacnet::Bacnet;
    /// BSAP of Bristol's controllers.
    Bsap = protocols::bsap::Bsap;
    /// ANSI C12.22 of meters.
    C1222 = protocols::c1222::C1222;
    /// ISO transport on TCP, alone or below another family.
    Cotp = protocols::cotp::Cotp;
    /// DNP3 over TCP and UDP.
    Dnp3 = protocols::dnp3::Dnp3;
    /// EtherNet/IP with CIP.
    Enip = protocols::enip::Enip;
    /// EtherCAT, as Ethernet frames and over UDP.
    Ethercat = protocols::ethercat::Ethercat;
    /// Niagara Fox.
    Fox = protocols::fox::Fox;
    /// GENISYS of railway signalling.
    Genisys = protocols::genisys::Genisys;
    /// GOOSE, on Ethernet and routed.
    Goose = protocols::goose::Goose;
    /// HART-IP.
    HartIp = protocols::hart_ip::HartIp;
    /// IEC 60870-5-101: serial lines, and their frames over TCP.
    Iec101 = protocols::iec101::Iec101;
    /// IEC 60870-5-104.
    Iec104 = protocols::iec104::Iec104;
    /// MELSEC SLMP and MELSOFT.
    Melsec = protocols::melsec::Melsec;
    /// MMS on ISO transport.
    Mms = protocols::mms::Mms;
    /// Modbus TCP, Modbus over UDP.
    Modbus = protocols::modbus::Modbus;
    /// Modbus on serial lines, and its frames over TCP or UDP.
    ModbusRtu = protocols::modbus_rtu::ModbusRtu;
    /// MQTT and Sparkplug B.
    Mqtt = protocols::mqtt::Mqtt;
    /// Omron FINS, on UDP and on TCP.
    Omron = protocols::omron::Omron;
    /// OPC UA binary.
    OpcUa = protocols::opcua::OpcUa;
    /// PROFINET discovery and configuration.
    PnDcp = protocols::pn_dcp::PnDcp;
    /// PROFINET connections, records, alarms.
    PnIo = protocols::pn_io::PnIo;
    /// PROFINET real-time frames.
    PnRt = protocols::pn_rt::PnRt;
    /// ROC Plus.
    RocPlus = protocols::roc_plus::RocPlus;
    /// Siemens S7 communication.
    S7comm = protocols::s7comm::S7comm;
    /// S7comm-plus, recognised.
    S7commPlus = protocols::s7comm_plus::S7commPlus;
    /// GE-SRTP.
    Srtp = protocols::srtp::Srtp;
    /// Sampled values of IEC 61850-9-2.
    Sv = protocols::sv::Sv;
    /// IEEE C37.118 synchrophasors.
    Synphasor = protocols::synphasor::Synphasor;
}

/// One conversation in a family from outside.
#[derive(Debug)]
pub struct Conversation(Box<dyn VendorSession>);

impl Family {
    /// A function or service by the code under which tools know it: its number, or its letters.
    pub fn show_function(self, function: u16) -> impl fmt::Display {
        fmt::from_fn(move |f| match self.function_code(function) {
            Some(code) => f.write_str(code),
            None => write!(f, "{function}"),
        })
    }

    /// A tag in the family's grammar.
    pub fn show_tag(self, tag: Tag<'_>) -> impl fmt::Display {
        fmt::from_fn(move |f| self.write_tag(&tag, f))
    }

    /// The place of a value as its message names it, in the family's grammar.
    pub fn show_place(self, point: &RawPoint<'_>) -> impl fmt::Display {
        fmt::from_fn(move |f| self.write_place(&point.tag, point.variant, f))
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.label().fmt(f)
    }
}

impl core::str::FromStr for Family {
    type Err = crate::Error;

    /// From its name.
    ///
    /// # Errors
    /// [`crate::Error::UnknownFamily`].
    fn from_str(text: &str) -> Result<Self, crate::Error> {
        let mut all = Self::ALL.iter().copied();
        all.find(|family| family.label().as_str() == text)
            .ok_or_else(|| crate::Error::UnknownFamily { family: text.chars().take(40).collect() })
    }
}

impl Family {
    /// A family that lives outside this crate.
    ///
    /// ```
    /// use twinguard_protocol::{Family, protocols::modbus::Modbus, stack::Config};
    ///
    /// // Any type with the trait; here one that is built in as well.
    /// let mine = Family::vendor::<Modbus>();
    /// let config = Config { families: vec![mine], ..Config::default() };
    /// assert_eq!(config.families[0].to_string(), "modbus");
    /// ```
    #[must_use]
    pub fn vendor<P>() -> Self
    where
        P: crate::protocol::Protocol + 'static,
        P::Session: Send,
        P::Shared: Send,
        P::Memo: Send,
    {
        Self::Vendor(VendorFamily::of::<P>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_lead_back() {
        let names: Vec<_> = Family::ALL.iter().map(|family| family.label()).collect();
        assert!(names.is_sorted());
        for family in Family::ALL {
            assert_eq!(family.to_string().parse::<Family>().unwrap(), *family);
        }
        assert!("nonsense".parse::<Family>().is_err());
    }

    /// Whatever the family, a message is moved with the room of the largest, so that one large family costs them all.
    #[test]
    fn messages_are_small_in_every_family() {
        let large: Vec<_> = SIZES.iter().filter(|(_, pdu, blocks)| *pdu > 104 || *blocks > 136).collect();
        assert!(large.is_empty(), "family, bytes of its message, of its blocks: {large:?}");
        assert!(size_of::<Pdu<'_>>() <= 112 && size_of::<Blocks<'_>>() <= 144);
        assert!(size_of::<crate::stack::Message<'_>>() <= 216);
    }
}
