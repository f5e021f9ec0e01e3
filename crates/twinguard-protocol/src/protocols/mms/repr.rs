//! Legal requests, to be written.
//!
//! Source: ISO 9506-2 (2003) clauses 7.2, 14.6 (read), 14.7 (write); names of at most 32 characters by clause 7.5.2, of 64
//! by IEC 61850-8-1 §7.

use super::lower::wrap;
use super::view::{ObjectName, service};
use crate::ber;
use crate::iec61850::Entry;
use crate::protocols::cotp;

/// The longest name.
pub const NAME_MAX: usize = 64;

/// A request to read or to write.
///
/// ```
/// use twinguard_protocol::iec61850::Entry;
/// use twinguard_protocol::protocols::mms::{ObjectName, Repr};
///
/// let name = ObjectName { scope: 1, domain: b"IED1LD0", item: b"GGIO1$SP$Ind1$setVal" };
/// let mut bytes = Vec::new();
/// Repr::Write { invoke: 7, name, value: Entry::Boolean(true) }.emit(&mut bytes).unwrap();
/// assert_eq!(bytes[0], 3, "TPKT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Repr<'a> {
    /// Asks for the values of these variables.
    Read {
        /// What names the request in its answer.
        invoke: u32,
        /// The variables.
        names: &'a [ObjectName<'a>],
    },
    /// Changes the value of a variable.
    Write {
        /// What names the request in its answer.
        invoke: u32,
        /// The variable.
        name: ObjectName<'a>,
        /// Its value.
        value: Entry<'a>,
    },
}

impl Repr<'_> {
    /// Appends the bytes, from the TPKT header on; `None`, and nothing appended, for what the standard forbids.
    #[must_use]
    pub fn emit(&self, out: &mut Vec<u8>) -> Option<()> {
        let list = |names: &[ObjectName<'_>]| {
            let mut inside = Vec::new();
            for name in names {
                let long = |text: &[u8]| text.len() > NAME_MAX;
                if name.scope > 2 || name.item.is_empty() || long(name.item) || long(name.domain) {
                    return None;
                }
                if (name.scope == 1) == name.domain.is_empty() {
                    return None;
                }
                let mut named = Vec::new();
                name.emit(&mut named);
                inside.extend(nested(0x30, &nested(0xa0, &named)));
            }
            (!names.is_empty()).then(|| nested(0xa0, &inside))
        };
        let (invoke, number, body) = match *self {
            Self::Read { invoke, names } => (invoke, service::READ, nested(0xa1, &list(names)?)),
            Self::Write { invoke, name, value } => {
                let mut data = Vec::new();
                value.emit(&mut data)?;
                (invoke, service::WRITE, [list(&[name])?, nested(0xa0, &data)].concat())
            }
        };
        let mut inside = Vec::new();
        ber::put_unsigned(0x02, u64::from(invoke), &mut inside);
        ber::put(0xa0 | number, &body, &mut inside);
        let data = wrap(&nested(0xa0, &inside));
        cotp::Repr::Data { last: true, data: &data }.emit(out)
    }
}

fn nested(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    ber::put(tag, content, &mut out);
    out
}
