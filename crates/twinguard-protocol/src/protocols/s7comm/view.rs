//! A view on the bytes of one message: shows even nonsense, flags what is odd.
//!
//! Sources: no public standard; the layouts are those that *Exploring Siemens S7comm* (The Automation Blog), the
//! libnodave and Snap7 sources and Wireshark's documentation of the protocol agree on (clauses named S7 …).

use twinguard_types::Oddity;

use super::item::{DataItem, DataItems, Items, TableItems};
use crate::protocol::{Oddities, Sender};

/// The first byte of each message.
pub const PROTOCOL_ID: u8 = 0x32;
/// Bytes of the header without the error of answers.
const HEADER: usize = 10;

/// Kinds of messages (S7 header, ROSCTR).
pub mod rosctr {
    /// Asks.
    pub const JOB: u8 = 1;
    /// Answers without data.
    pub const ACK: u8 = 2;
    /// Answers with data.
    pub const ACK_DATA: u8 = 3;
    /// Everything of the newer services: asks, answers, tells.
    pub const USERDATA: u8 = 7;
}

/// Functions of jobs (S7 parameter, first byte).
pub mod function {
    /// Read variables.
    pub const READ: u8 = 0x04;
    /// Write variables.
    pub const WRITE: u8 = 0x05;
    /// Request download of a block.
    pub const REQUEST_DOWNLOAD: u8 = 0x1a;
    /// A part of a block that is downloaded; the device asks for it.
    pub const DOWNLOAD: u8 = 0x1b;
    /// End of a download; the device asks for it.
    pub const END_DOWNLOAD: u8 = 0x1c;
    /// Start upload of a block.
    pub const START_UPLOAD: u8 = 0x1d;
    /// A part of a block that is uploaded.
    pub const UPLOAD: u8 = 0x1e;
    /// End of an upload.
    pub const END_UPLOAD: u8 = 0x1f;
    /// Program invocation: start, activate blocks, delete, compress.
    pub const INVOKE: u8 = 0x28;
    /// Stop.
    pub const STOP: u8 = 0x29;
    /// Set up the communication.
    pub const SETUP: u8 = 0xf0;
}

/// Function groups of userdata (S7 userdata parameter).
pub mod group {
    /// Mode transition.
    pub const MODE: u8 = 0;
    /// Programmer commands: variable tables, forcing, breakpoints, memory reset.
    pub const TEST: u8 = 1;
    /// Cyclic data.
    pub const CYCLIC: u8 = 2;
    /// Block lists and headers.
    pub const BLOCK: u8 = 3;
    /// System status lists, messages, alarms.
    pub const CPU: u8 = 4;
    /// Passwords.
    pub const SECURITY: u8 = 5;
    /// Programmed block communication.
    pub const PBC: u8 = 6;
    /// Clock.
    pub const TIME: u8 = 7;
    /// NC programming.
    pub const NC: u8 = 0x3f;
}

/// What userdata does: upper two bits of the byte with the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Tells without being asked.
    Push,
    /// Asks.
    Request,
    /// Answers.
    Response,
    /// Not defined.
    Other,
}

/// The parameters of userdata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Userdata {
    /// What it does.
    pub turn: Turn,
    /// Function group.
    pub group: u8,
    /// Function in the group.
    pub subfunction: u8,
    /// Number of the job that an answer or a push belongs to.
    pub sequence: u8,
    /// Number of the fragments that belong together; 0 for whole ones.
    pub unit: u8,
    /// Whether further fragments follow.
    pub more: bool,
    /// Error, 0 for none.
    pub error: u16,
}

/// One message; borrows its bytes, and the parameters of the request that it answers.
///
/// ```
/// use twinguard_protocol::{Sender, protocols::s7comm::View};
///
/// // Stop, as Snap7 sends it.
/// let stop = b"\x32\x01\0\0\x0e\0\0\x10\0\0\x29\0\0\0\0\0\x09P_PROGRAM";
/// let view = View::new(stop, Sender::Client);
/// assert_eq!((view.function(), view.reference()), (0x29, 0x0e00));
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    pdu: &'a [u8],
    parameters: &'a [u8],
    data: &'a [u8],
    request: Option<&'a [u8]>,
    oddities: Oddities,
    reference: u16,
    error: u16,
    rosctr: u8,
    sender: Sender,
}

impl<'a> View<'a> {
    /// Reads a whole message from its protocol identifier on.
    #[inline]
    #[must_use]
    pub fn new(pdu: &'a [u8], sender: Sender) -> Self {
        let mut oddities = Oddities::NONE;
        let empty = Self {
            pdu,
            parameters: &[],
            data: &[],
            request: None,
            oddities,
            reference: 0,
            error: 0,
            rosctr: pdu.get(1).copied().unwrap_or_default(),
            sender,
        };
        if pdu.first() != Some(&PROTOCOL_ID) {
            oddities.push(Oddity::BadProtocolId, 0);
            return Self { oddities, rosctr: 0, ..empty };
        }
        let Some(([_, rosctr, _, _, r1, r0, p1, p0, d1, d0], rest)) = pdu.split_first_chunk::<HEADER>()
        else {
            oddities.push(Oddity::Truncated, pdu.len());
            return Self { oddities, ..empty };
        };
        let be = |high: &u8, low: &u8| u16::from_be_bytes([*high, *low]);
        let (error, body) = match (*rosctr, rest) {
            (rosctr::ACK | rosctr::ACK_DATA, [class, code, body @ ..]) => (be(class, code), body),
            (rosctr::ACK | rosctr::ACK_DATA, _) => {
                oddities.push(Oddity::Truncated, pdu.len());
                (0, &[][..])
            }
            (rosctr::JOB | rosctr::USERDATA, _) => (0, rest),
            _ => {
                oddities.push(Oddity::UnknownFunction, 1);
                (0, rest)
            }
        };
        let (parameter_len, data_len) = (usize::from(be(p1, p0)), usize::from(be(d1, d0)));
        let (parameters, behind) = body.split_at_checked(parameter_len).unwrap_or((body, &[]));
        let data = behind.get(..data_len).unwrap_or(behind);
        if parameter_len + data_len > body.len() {
            oddities.push(Oddity::Truncated, pdu.len());
        } else if parameter_len + data_len < body.len() {
            oddities.push(Oddity::TrailingBytes, pdu.len() - (body.len() - parameter_len - data_len));
        }
        let mut view = Self {
            parameters,
            data,
            oddities,
            reference: be(r1, r0),
            error,
            sender: if sender == Sender::Unknown { shape(*rosctr, parameters) } else { sender },
            ..empty
        };
        view.check(pdu.len() - body.len());
        view
    }

    /// The same message with the parameters (userdata: the data) of the request that it answers.
    #[must_use]
    pub const fn answering(self, request: &'a [u8]) -> Self {
        Self { request: Some(request), ..self }
    }

    /// The same message with one more oddity.
    #[must_use]
    pub fn flagged(mut self, oddity: Oddity, offset: usize) -> Self {
        self.oddities.push(oddity, offset);
        self
    }

    /// All bytes from the protocol identifier on.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.pdu
    }

    /// Kind of message, see [`rosctr`].
    #[must_use]
    pub const fn rosctr(&self) -> u8 {
        self.rosctr
    }

    /// The number that an answer repeats.
    #[must_use]
    pub const fn reference(&self) -> u16 {
        self.reference
    }

    /// Error class and code of an answer; 0 for none.
    #[must_use]
    pub const fn error(&self) -> u16 {
        self.error
    }

    /// The parameters.
    #[must_use]
    pub const fn parameters(&self) -> &'a [u8] {
        self.parameters
    }

    /// The data.
    #[must_use]
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }

    /// What its request had to say about places, where it was seen.
    #[must_use]
    pub const fn request(&self) -> Option<&'a [u8]> {
        self.request
    }

    /// Who sent it, as told or as judged by its shape.
    #[must_use]
    pub const fn sender(&self) -> Sender {
        self.sender
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// The function of jobs and their answers; the group of userdata; the kind where there is neither.
    #[must_use]
    pub fn function(&self) -> u8 {
        match (self.userdata(), self.parameters.first()) {
            (Some(userdata), _) => userdata.group,
            (None, Some(function)) if matches!(self.rosctr, rosctr::JOB | rosctr::ACK_DATA) => *function,
            _ => self.rosctr,
        }
    }

    /// The parameters of userdata.
    #[inline]
    #[must_use]
    pub fn userdata(&self) -> Option<Userdata> {
        let ([.., kind, subfunction, sequence], rest) = self.parameters.split_first_chunk::<8>()?;
        if self.rosctr != rosctr::USERDATA {
            return None;
        }
        let turn = match kind >> 6 {
            0 => Turn::Push,
            1 => Turn::Request,
            2 => Turn::Response,
            _ => Turn::Other,
        };
        let (unit, more, error) = match rest {
            [unit, more, e1, e0, ..] => (*unit, *more != 0, u16::from_be_bytes([*e1, *e0])),
            _ => (0, false, 0),
        };
        let (group, subfunction) = (kind & 0x3f, *subfunction);
        Some(Userdata { turn, group, subfunction, sequence: *sequence, unit, more, error })
    }

    /// The places that a job, or its request, names; and the values that come with them.
    #[must_use]
    pub fn values(&self) -> Values<'a> {
        let none = Values { access: None, places: Places::None, data: DataItems::default() };
        match (self.rosctr, self.parameters) {
            (rosctr::JOB, [function::WRITE, count, items @ ..]) => Values {
                access: Some(true),
                places: Places::Items(Items::new(items, *count)),
                data: DataItems::new(self.data, u16::from(*count)),
            },
            (rosctr::ACK_DATA, [function::READ, count, ..]) => {
                let places = match self.request {
                    Some([function::READ, count, items @ ..]) => Places::Items(Items::new(items, *count)),
                    _ => Places::None,
                };
                let data = DataItems::new(self.data, u16::from(*count));
                Values { access: Some(false), places, data }
            }
            (rosctr::USERDATA, _) => self.userdata_values().unwrap_or(none),
            _ => none,
        }
    }

    fn userdata_values(&self) -> Option<Values<'a>> {
        let userdata = self.userdata().filter(|userdata| !userdata.more && userdata.unit == 0)?;
        let (_, data) = self.data.split_first_chunk::<4>()?;
        let told = matches!(userdata.turn, Turn::Response | Turn::Push);
        match (userdata.group, userdata.subfunction) {
            (group::CYCLIC, 1 | 5 | 7) if told => {
                let ([c1, c0], items) = data.split_first_chunk()?;
                let places = match self.request.map(cyclic_items) {
                    Some(Some(items)) => Places::Items(items),
                    _ => Places::None,
                };
                let data = DataItems::new(items, u16::from_be_bytes([*c1, *c0]));
                Some(Values { access: Some(false), places, data })
            }
            // Variable status: a table of values; answers that carry nothing but a code have no table.
            (group::TEST, 2) if told => {
                let ([c1, c0], items) = test_data(data)?.split_first_chunk()?;
                let places = match self.request.and_then(table) {
                    Some((places, _)) => Places::Table(places),
                    None => Places::None,
                };
                let data = DataItems::new(items, u16::from_be_bytes([*c1, *c0]));
                Some(Values { access: Some(false), places, data })
            }
            // Modify variable: the table, then its values.
            (group::TEST, 8) if userdata.turn == Turn::Request => {
                let (places, data) = table(self.data)?;
                let data = DataItems::new(data, places.rows());
                Some(Values { access: Some(true), places: Places::Table(places), data })
            }
            // Alarms: time (8), function, number of objects; an object's specification (2), syntax, number of values,
            // event (4), four states; its values.
            (group::CPU, 5 | 6 | 0x11 | 0x12 | 0x16) if userdata.turn == Turn::Push => {
                let (head, values) = data.split_first_chunk::<22>()?;
                let [.., 0x12, 10, 0x16, count, _, _, _, _, _, _, _, _] = head else { return None };
                let data = DataItems::new(values, u16::from(*count));
                Some(Values { access: Some(false), places: Places::None, data })
            }
            _ => None,
        }
    }

    /// Return codes of the rows of a variable table that was written.
    #[must_use]
    pub fn table_codes(&self) -> &'a [u8] {
        let codes = || {
            let userdata = self.userdata()?;
            let told = matches!(userdata.turn, Turn::Response | Turn::Push);
            let ([c1, c0], codes) = test_data(self.data.get(4..)?)?.split_first_chunk()?;
            let modified = (userdata.group, userdata.subfunction, told) == (group::TEST, 8, true);
            modified.then(|| codes.get(..usize::from(u16::from_be_bytes([*c1, *c0])))).flatten()
        };
        codes().unwrap_or_default()
    }

    /// Walks lists once, so that a count that lies is told.
    fn check(&mut self, body: usize) {
        let data_at = body + self.parameters.len();
        match (self.rosctr, self.parameters) {
            (rosctr::JOB, [function @ (function::READ | function::WRITE), count, items @ ..]) => {
                let mut items = Items::new(items, *count);
                let held = items.by_ref().count();
                if *count == 0 || held != usize::from(*count) {
                    self.oddities.push(Oddity::BadQuantity, body + 1);
                } else if !items.rest().is_empty() {
                    self.oddities.push(Oddity::TrailingBytes, data_at - items.rest().len());
                }
                if *function == function::WRITE {
                    self.check_data(*count, data_at);
                } else if !self.data.is_empty() {
                    self.oddities.push(Oddity::TrailingBytes, data_at);
                }
            }
            (rosctr::ACK_DATA, [function::READ, count, ..]) if self.error == 0 => {
                self.check_data(*count, data_at);
            }
            (rosctr::ACK_DATA, [function::WRITE, count, ..])
                if self.error == 0 && self.data.len() != usize::from(*count) =>
            {
                self.oddities.push(Oddity::BadQuantity, body + 1);
            }
            (rosctr::JOB | rosctr::ACK_DATA, [function, rest @ ..]) => {
                let known = matches!(function, 0 | 4 | 5 | 0x1a..=0x1f | 0x28 | 0x29 | 0xf0);
                if !known {
                    self.oddities.push(Oddity::UnknownFunction, body);
                } else if *function == function::SETUP && rest.len() != 7 {
                    self.oddities.push(Oddity::LengthMismatch, 6);
                }
            }
            (rosctr::JOB | rosctr::ACK_DATA, []) if self.error == 0 => {
                self.oddities.push(Oddity::Truncated, body);
            }
            (rosctr::USERDATA, parameters) if parameters.len() < 8 => {
                self.oddities.push(Oddity::Truncated, body);
            }
            (rosctr::USERDATA, [_, _, 0x12, len, ..]) => {
                // The length of the variable specification, 4 or 8, counts what follows it.
                if usize::from(*len) + 4 != self.parameters.len() {
                    self.oddities.push(Oddity::LengthMismatch, body + 3);
                }
                if let [_, _, l1, l0, data @ ..] = self.data
                    && usize::from(u16::from_be_bytes([*l1, *l0])) != data.len()
                    && self.data.first() == Some(&0xff)
                {
                    self.oddities.push(Oddity::LengthMismatch, data_at + 2);
                }
            }
            _ => {}
        }
    }

    fn check_data(&mut self, count: u8, at: usize) {
        let mut items = DataItems::new(self.data, u16::from(count));
        let held = items.by_ref().filter(|item| item.whole).count();
        if held != usize::from(count) {
            self.oddities.push(Oddity::Truncated, at + self.data.len());
        } else if !items.rest().is_empty() {
            self.oddities.push(Oddity::TrailingBytes, at + self.data.len() - items.rest().len());
        }
    }
}

/// The values of a message with their places.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// Whether they are written; `None` for a message without values.
    pub access: Option<bool>,
    /// Where they lie.
    pub places: Places<'a>,
    /// The values.
    pub data: DataItems<'a>,
}

impl<'a> Values<'a> {
    /// All values of any outcome.
    pub fn items(self) -> impl Iterator<Item = DataItem<'a>> + use<'a> {
        self.data
    }
}

/// Where values lie.
#[derive(Clone, Copy, Debug)]
pub enum Places<'a> {
    /// Not known.
    None,
    /// By the items of a job or of cyclic data.
    Items(Items<'a>),
    /// By the rows of a variable table.
    Table(TableItems<'a>),
}

/// The items of a request for cyclic data, from its data on: count, time base, factor, items.
fn cyclic_items(data: &[u8]) -> Option<Items<'_>> {
    let ([_, _, _, _, _, count, _, _], items) = data.split_first_chunk()?;
    Some(Items::new(items, *count))
}

/// The data of a programmer command behind its parameters: two lengths, parameters, data.
fn test_data(data: &[u8]) -> Option<&[u8]> {
    let ([p1, p0, d1, d0], rest) = data.split_first_chunk()?;
    let (_, data) = rest.split_at_checked(usize::from(u16::from_be_bytes([*p1, *p0])))?;
    data.get(..usize::from(u16::from_be_bytes([*d1, *d0])))
}

/// The rows of a variable table in the data of its request, and what follows them.
fn table(data: &[u8]) -> Option<(TableItems<'_>, &[u8])> {
    let ([c1, c0], rows) = test_data(data.get(4..)?)?.split_first_chunk()?;
    TableItems::split(rows, u16::from_be_bytes([*c1, *c0]))
}

/// Who sends a message of this kind with these parameters, as a rule.
pub(super) fn shape(rosctr: u8, parameters: &[u8]) -> Sender {
    // Parts of a download are asked for by the device.
    let asks = match (rosctr, parameters) {
        (rosctr::JOB, [function::DOWNLOAD | function::END_DOWNLOAD, ..]) => false,
        (rosctr::ACK_DATA, [function::DOWNLOAD | function::END_DOWNLOAD, ..]) => true,
        (rosctr::JOB, _) => true,
        (rosctr::ACK | rosctr::ACK_DATA, _) => false,
        (_, [_, _, _, _, _, kind, ..]) => match kind >> 6 {
            0 | 2 => false,
            1 => true,
            _ => return Sender::Unknown,
        },
        _ => return Sender::Unknown,
    };
    if asks { Sender::Client } else { Sender::Server }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd_is_named_with_its_place() {
        let odd = |pdu: &[u8], wanted: (Oddity, u32)| {
            assert_eq!(View::new(pdu, Sender::Unknown).oddities().iter().next(), Some(wanted), "{pdu:02x?}");
        };
        odd(&[0x72, 1], (Oddity::BadProtocolId, 0));
        odd(&[0x32, 1, 0, 0], (Oddity::Truncated, 4));
        odd(&[0x32, 9, 0, 0, 0, 1, 0, 0, 0, 0], (Oddity::UnknownFunction, 1));
        odd(&[0x32, 1, 0, 0, 0, 1, 0, 2, 0, 0, 4], (Oddity::Truncated, 11));
        odd(&[0x32, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0x29, 0], (Oddity::TrailingBytes, 11));
        odd(&[0x32, 1, 0, 0, 0, 1, 0, 2, 0, 0, 4, 0], (Oddity::BadQuantity, 11));
        odd(&[0x32, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0x77], (Oddity::UnknownFunction, 10));
        odd(&[0x32, 3, 0, 0, 0, 1, 0, 2, 0, 4, 0, 0, 4, 1, 0xff, 4, 0, 8], (Oddity::Truncated, 18));
        odd(&[0x32, 3, 0, 0, 0, 1, 0, 2, 0, 2, 0, 0, 5, 1, 0xff, 0xff], (Oddity::BadQuantity, 13));
        odd(&[0x32, 7, 0, 0, 0, 1, 0, 3, 0, 0, 0, 1, 0x12], (Oddity::Truncated, 10));
    }

    #[test]
    fn the_device_asks_for_the_parts_of_a_download() {
        assert_eq!(shape(rosctr::JOB, &[function::DOWNLOAD]), Sender::Server);
        assert_eq!(shape(rosctr::ACK_DATA, &[function::DOWNLOAD]), Sender::Client);
        assert_eq!(shape(rosctr::JOB, &[function::READ]), Sender::Client);
        assert_eq!(shape(rosctr::USERDATA, &[0, 1, 0x12, 4, 0x11, 0x44, 1, 0]), Sender::Client);
        assert_eq!(shape(rosctr::USERDATA, &[0, 1, 0x12, 8, 0x12, 0x84, 1, 0]), Sender::Server);
    }
}
