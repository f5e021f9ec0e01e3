//! The list of protocol families, in alphabetical order.

use core::fmt;

use twinguard_types::Label;

use crate::protocol::{Block, Carrier, Cell, Cut, Field, Fit, Header, Oddities, Protocol, Sender, Tag};
use crate::protocols;

macro_rules! families {
    ($($(#[$meta:meta])* $name:ident = $family:ty;)*) => {
        /// A protocol family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Family { $($(#[$meta])* $name,)* }

        /// A message of any family; borrows its bytes.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum Pdu<'a> { $($(#[$meta])* $name(<$family as Protocol>::Pdu<'a>),)* }

        /// What is kept of a request of any family.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum Memo { $($(#[$meta])* $name(<$family as Protocol>::Memo),)* }

        /// The state of a conversation of any family.
        #[derive(Debug)]
        #[non_exhaustive]
        pub enum Session { $($(#[$meta])* $name(<$family as Protocol>::Session),)* }

        /// The runs of values in a message of any family.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum Blocks<'a> { $($(#[$meta])* $name(<$family as Protocol>::Blocks<'a>),)* }

        impl<'a> Iterator for Blocks<'a> {
            type Item = Block<'a>;
            #[inline]
            fn next(&mut self) -> Option<Block<'a>> {
                match self { $(Self::$name(blocks) => blocks.next(),)* }
            }
        }

        impl Family {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub const fn label(self) -> Label {
                match self { $(Self::$name => <$family>::FAMILY,)* }
            }

            /// Where it is met by agreement.
            #[must_use]
            pub const fn carriers(self) -> &'static [Carrier] {
                match self { $(Self::$name => <$family>::CARRIERS,)* }
            }

            /// The name of a function or service.
            #[must_use]
            pub fn function_name(self, function: u16) -> &'static str {
                match self { $(Self::$name => <$family>::function_name(function),)* }
            }

            /// Where the first message in these stream bytes ends.
            #[inline]
            #[must_use]
            pub fn cut(self, bytes: &[u8]) -> Cut {
                match self { $(Self::$name => <$family>::cut(bytes),)* }
            }

            /// See [`Protocol::probe`].
            #[must_use]
            pub fn probe(self, bytes: &[u8]) -> Option<Sender> {
                match self { $(Self::$name => <$family>::probe(bytes),)* }
            }

            /// The state of a conversation that begins.
            #[must_use]
            pub fn session(self) -> Session {
                match self { $(Self::$name => Session::$name(Default::default()),)* }
            }

            pub(crate) fn cell(self, tag: &Tag) -> Cell {
                match self { $(Self::$name => <$family>::cell(tag),)* }
            }

            /// Reads a tag in the family's grammar.
            #[must_use]
            pub fn parse_tag(self, text: &str) -> Option<Tag> {
                match self { $(Self::$name => <$family>::parse_tag(text),)* }
            }

            fn write_tag(self, tag: &Tag, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$name => <$family>::write_tag(tag, f),)* }
            }
        }

        impl<'a> Pdu<'a> {
            /// Its family.
            #[must_use]
            pub const fn family(&self) -> Family {
                match self { $(Self::$name(_) => Family::$name,)* }
            }

            /// What the stack has to know of it.
            #[inline]
            #[must_use]
            pub fn header(&self) -> Header {
                match self { $(Self::$name(pdu) => <$family>::header(pdu),)* }
            }

            /// What is odd about it by itself.
            #[inline]
            #[must_use]
            pub fn oddities(&self) -> Oddities {
                match self { $(Self::$name(pdu) => <$family>::oddities(pdu),)* }
            }

            /// What is to be kept of it as a request.
            #[inline]
            #[must_use]
            pub fn memo(&self) -> Memo {
                match self { $(Self::$name(pdu) => Memo::$name(<$family>::memo(pdu)),)* }
            }

            /// How well it answers a request.
            #[inline]
            #[must_use]
            pub fn fit(&self, memo: &Memo) -> Fit {
                match (self, memo) {
                    $((Self::$name(pdu), Memo::$name(memo)) => <$family>::fit(memo, pdu),)*
                    #[allow(unreachable_patterns, reason = "with one family there is no other pair")]
                    _ => Fit::No,
                }
            }

            /// Why it refuses, if it does and tells.
            #[inline]
            #[must_use]
            pub fn refusal(&self) -> Option<u8> {
                match self { $(Self::$name(pdu) => <$family>::refusal(pdu),)* }
            }

            /// The runs of values in it.
            #[inline]
            #[must_use]
            pub fn blocks(&self, request: Option<&Memo>) -> Blocks<'a> {
                match self {
                    $(Self::$name(pdu) => {
                        let memo = match request {
                            Some(Memo::$name(memo)) => Some(memo),
                            #[allow(unreachable_patterns, reason = "with one family there is no other")]
                            _ => None,
                        };
                        Blocks::$name(<$family>::blocks(pdu, memo))
                    })*
                }
            }

            /// The header fields, under Wireshark's names, in order of appearance.
            pub fn fields(&self, put: &mut dyn FnMut(&'static str, Field<'_>)) {
                match self { $(Self::$name(pdu) => <$family>::fields(pdu, put),)* }
            }
        }

        impl Session {
            /// Reads one whole message and takes note of it.
            #[inline]
            #[must_use]
            pub fn decode<'a>(&'a mut self, bytes: &'a [u8], sender: Sender) -> Option<Pdu<'a>> {
                match self { $(Self::$name(session) => <$family>::decode(session, bytes, sender).map(Pdu::$name),)* }
            }
        }
    };
}

families! {
    /// Modbus TCP, Modbus over UDP.
    Modbus = protocols::modbus::Modbus;
}

impl Family {
    /// A tag in the family's grammar.
    pub fn show_tag(self, tag: Tag) -> impl fmt::Display {
        fmt::from_fn(move |f| self.write_tag(&tag, f))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_lead_back() {
        let names: Vec<_> = Family::ALL.iter().map(|family| family.label()).collect();
        assert!(names.is_sorted());
        for family in Family::ALL {
            assert_eq!(family.to_string().parse::<Family>().unwrap(), *family);
            assert!(!family.carriers().is_empty());
        }
        assert!("nonsense".parse::<Family>().is_err());
    }
}
