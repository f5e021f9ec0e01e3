//! A view on the bytes of one message: shows even nonsense, flags what is odd.
//!
//! Source: Modbus Application Protocol V1.1b3 (clauses §4 to §7); Modbus Messaging on TCP/IP Implementation Guide
//! V1.0b (clauses G §3).

use twinguard_types::Oddity;

use super::body::{Bits, Body, FileAnswers, FileReads, FileWrites, Objects, Registers};
use super::function::{Function, exception_name};
use crate::protocol::{Oddities, Sender};

/// Bytes before the function code: transaction (2), protocol (2), length (2), unit (1) (G §3.1.3).
pub const HEADER_LEN: usize = 7;
/// Largest number in the length field: the unit and 253 bytes of function and data (§4.1).
pub const LENGTH_MAX: u16 = 254;

/// Where the data lies in the message.
const DATA: usize = HEADER_LEN + 1;

/// One message (MBAP header, function code, data); borrows its bytes.
///
/// Lengths are checked once, by [`View::new`]; no accessor fails.
///
/// ```
/// use twinguard_protocol::{Sender, protocols::modbus::{Body, View}};
///
/// // The request of §6.3: registers 108 to 110.
/// let view = View::new(&[0, 1, 0, 0, 0, 6, 17, 3, 0, 107, 0, 3], Sender::Client).unwrap();
/// assert_eq!(view.body(), Body::Read { start: 107, quantity: 3 });
/// assert!(view.oddities().is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View<'a> {
    adu: &'a [u8],
    oddities: Oddities,
    transaction: u16,
    protocol: u16,
    length: u16,
    unit: u8,
    code: u8,
    sender: Sender,
    /// Bytes before the data, and behind them.
    around: [u8; 2],
}

impl<'a> View<'a> {
    /// Reads a whole message; `None` when it is shorter than a header and a function code.
    ///
    /// With [`Sender::Unknown`] the message is read as a request when it has the shape of one.
    #[inline]
    #[must_use]
    pub fn new(adu: &'a [u8], sender: Sender) -> Option<Self> {
        let ([t1, t0, p1, p0, l1, l0, unit, code], data) = adu.split_first_chunk::<DATA>()?;
        let length = u16::from_be_bytes([*l1, *l0]);
        let protocol = u16::from_be_bytes([*p1, *p0]);
        let mut oddities = Oddities::NONE;
        if protocol != 0 {
            oddities.push(Oddity::BadProtocolId, 2);
        }
        if usize::from(length) + 6 != adu.len() {
            oddities.push(Oddity::LengthMismatch, 4);
        } else if length > LENGTH_MAX {
            oddities.push(Oddity::BadValue, 4);
        }
        let sender = judge(*code, data, sender, &mut oddities);
        Some(Self {
            adu,
            oddities,
            transaction: u16::from_be_bytes([*t1, *t0]),
            protocol,
            length,
            unit: *unit,
            code: *code,
            sender,
            around: [DATA as u8, 0],
        })
    }

    /// Reads a frame of a serial line: unit, function, data, and two bytes of checksum (*MODBUS over Serial Line* V1.02
    /// §2.5.1); `None` when it is shorter than these. The checksum is for the caller to judge.
    pub(crate) fn of_line(frame: &'a [u8], sender: Sender) -> Option<Self> {
        let ([unit, code, data @ ..], [_, _]) = frame.split_last_chunk::<2>()? else { return None };
        let mut found = Oddities::NONE;
        let sender = judge(*code, data, sender, &mut found);
        let mut oddities = Oddities::NONE;
        for (oddity, offset) in found.iter() {
            oddities.push(oddity, (offset as usize).saturating_sub(DATA - 2));
        }
        let length = u16::try_from(data.len() + 2).unwrap_or(u16::MAX);
        let (unit, code, around) = (*unit, *code, [2, 2]);
        Some(Self { adu: frame, oddities, transaction: 0, protocol: 0, length, unit, code, sender, around })
    }

    /// Gives it the number that its carrier has no place for.
    pub(crate) fn set_transaction(&mut self, number: u16) {
        self.transaction = number;
    }

    /// Adds what is odd about the frame around it.
    pub(crate) fn flag(&mut self, oddity: Oddity, offset: usize) {
        self.oddities.push(oddity, offset);
    }

    /// All bytes of the message.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.adu
    }

    /// Transaction identifier (G §3.1.3).
    #[must_use]
    pub const fn transaction_id(&self) -> u16 {
        self.transaction
    }

    /// Protocol identifier, 0 for Modbus (G §3.1.3).
    #[must_use]
    pub const fn protocol_id(&self) -> u16 {
        self.protocol
    }

    /// Number of bytes that follow the length field, as it says (G §3.1.3).
    #[must_use]
    pub const fn length(&self) -> u16 {
        self.length
    }

    /// Unit identifier (G §3.1.3).
    #[must_use]
    pub const fn unit_id(&self) -> u8 {
        self.unit
    }

    /// Function code without the exception bit (§4.1).
    #[must_use]
    pub const fn function(&self) -> Function {
        Function(self.code & 0x7f)
    }

    /// Whether the exception bit is set (§4.1).
    #[must_use]
    pub const fn is_exception(&self) -> bool {
        self.code & 0x80 != 0
    }

    /// Who sent it, as told or as judged by its shape.
    #[must_use]
    pub const fn sender(&self) -> Sender {
        self.sender
    }

    /// What follows the function code.
    #[inline(always)] // so that the caller's match and the reading become one
    #[must_use]
    pub fn body(&self) -> Body<'a> {
        read(self.code, self.data(), self.sender, &mut ())
    }

    /// The bytes after the function code.
    #[inline]
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        let [before, behind] = self.around;
        let end = self.adu.len().saturating_sub(usize::from(behind));
        self.adu.get(usize::from(before)..end).unwrap_or_default()
    }

    /// What is odd about it.
    #[must_use]
    pub const fn oddities(&self) -> &Oddities {
        &self.oddities
    }
}

/// Where oddities go: kept, or nowhere when only the fields are asked for.
///
/// The body is read twice, once for what is odd and once for what it says, and never stored: a body that lies in memory,
/// written field by field and copied as a whole, costs more than both readings.
trait Flags {
    fn push(&mut self, oddity: Oddity, offset: usize);
}

impl Flags for Oddities {
    #[inline(always)]
    fn push(&mut self, oddity: Oddity, offset: usize) {
        Oddities::push(self, oddity, offset);
    }
}

impl Flags for () {
    #[inline(always)]
    fn push(&mut self, _: Oddity, _: usize) {}
}

/// Who sends a message, where that is told or seen, and what is odd about it.
#[inline(always)]
fn judge(code: u8, data: &[u8], sender: Sender, oddities: &mut Oddities) -> Sender {
    let sender = match sender {
        Sender::Unknown => shape(code, data).unwrap_or(Sender::Client),
        known => known,
    };
    let _ = read(code, data, sender, oddities);
    sender
}

/// The body of a message.
#[inline(always)]
fn read<'a>(code: u8, data: &'a [u8], sender: Sender, oddities: &mut impl Flags) -> Body<'a> {
    match sender {
        Sender::Server => response(code, data, oddities),
        _ => request(code, data, oddities),
    }
}

#[inline(always)]
const fn be(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}

/// Flags a quantity outside `1..=max` and a range that ends beyond address 65535 (§4.4, §6).
#[inline(always)]
fn check_range(start: u16, quantity: u16, max: u16, at: usize, oddities: &mut impl Flags) {
    if quantity.wrapping_sub(1) >= max {
        oddities.push(Oddity::BadQuantity, at + 2);
    }
    if u32::from(start) + u32::from(quantity) > 0x1_0000 {
        oddities.push(Oddity::BadAddress, at);
    }
}

/// Flags bytes behind the last field.
#[inline(always)]
fn check_end(rest: &[u8], data: &[u8], oddities: &mut impl Flags) {
    if !rest.is_empty() {
        oddities.push(Oddity::TrailingBytes, DATA + data.len() - rest.len());
    }
}

#[cold]
fn short<'a>(data: &'a [u8], oddities: &mut impl Flags) -> Body<'a> {
    oddities.push(Oddity::Truncated, DATA + data.len());
    Body::Short { data }
}

/// The `count` bytes that follow a byte count at `at`, or those that came.
#[inline(always)]
fn counted<'a>(count: u8, rest: &'a [u8], at: usize, oddities: &mut impl Flags) -> &'a [u8] {
    match rest.split_at_checked(usize::from(count)) {
        Some((held, behind)) => {
            if !behind.is_empty() {
                oddities.push(Oddity::TrailingBytes, at + 1 + held.len());
            }
            held
        }
        None => {
            oddities.push(Oddity::LengthMismatch, at);
            rest
        }
    }
}

fn unknown<'a>(code: u8, data: &'a [u8], oddities: &mut impl Flags) -> Body<'a> {
    if !Function(code).is_user_defined() {
        oddities.push(Oddity::UnknownFunction, HEADER_LEN);
    }
    Body::Opaque { data }
}

/// Functions 5 and 6, whose request and response have one layout.
#[inline(always)]
fn write_single<'a>(code: u8, data: &'a [u8], oddities: &mut impl Flags) -> Body<'a> {
    let Some(([a1, a0, v1, v0], rest)) = data.split_first_chunk() else { return short(data, oddities) };
    let (address, value) = (be(*a1, *a0), be(*v1, *v0));
    check_end(rest, data, oddities);
    if code == 6 {
        return Body::WriteRegister { address, value };
    }
    // §6.5: 0x0000 and 0xff00 alone are legal.
    if value != 0 && value != 0xff00 {
        oddities.push(Oddity::BadValue, DATA + 2);
    }
    Body::WriteCoil { address, value }
}

/// Functions 8, 21, 22, whose request and response have one layout, and those without a layout.
fn symmetric<'a>(code: u8, data: &'a [u8], oddities: &mut impl Flags) -> Body<'a> {
    match (code, data) {
        (8, [s1, s0, rest @ ..]) => {
            let sub_function = be(*s1, *s0);
            // §6.8.1: sub-function 0 echoes any data, the others carry one word; 5 to 9, 19 and above 20 are reserved.
            match sub_function {
                0 => {}
                1..=4 | 10..=18 | 20 if rest.len() == 2 => {}
                1..=4 | 10..=18 | 20 => oddities.push(Oddity::LengthMismatch, DATA + 2),
                _ => oddities.push(Oddity::BadValue, DATA),
            }
            Body::Diagnostics { sub_function, data: rest }
        }
        (21, [count, rest @ ..]) => {
            let writes = FileWrites(counted(*count, rest, DATA, oddities));
            let mut whole = 0;
            for (place, registers) in writes.iter() {
                check_record(place.reference, place.file, place.record, DATA + 1 + whole, oddities);
                whole += 7 + registers.as_bytes().len();
            }
            // §6.15: 9 to 0xfb bytes.
            if whole != writes.as_bytes().len() || !(9..=0xfb).contains(count) {
                oddities.push(Oddity::BadQuantity, DATA);
            }
            Body::WriteFile(writes)
        }
        (22, [a1, a0, n1, n0, o1, o0, rest @ ..]) => {
            check_end(rest, data, oddities);
            Body::MaskWrite { address: be(*a1, *a0), and: be(*n1, *n0), or: be(*o1, *o0) }
        }
        (8 | 21 | 22, _) => short(data, oddities),
        _ => unknown(code, data, oddities),
    }
}

/// §6.14, §6.15: reference type 6, file 1 to 65535, record 0 to 9999.
fn check_record(reference: u8, file: u16, record: u16, at: usize, oddities: &mut impl Flags) {
    if reference != 6 {
        oddities.push(Oddity::BadValue, at);
    } else if file == 0 {
        oddities.push(Oddity::BadValue, at + 1);
    } else if record > 0x270f {
        oddities.push(Oddity::BadAddress, at + 3);
    }
}

/// The functions that plants use all day come first, the others out of line.
#[inline(always)]
fn request<'a>(code: u8, data: &'a [u8], oddities: &mut impl Flags) -> Body<'a> {
    match code {
        1..=4 => {
            let Some(([s1, s0, q1, q0], rest)) = data.split_first_chunk() else {
                return short(data, oddities);
            };
            let (start, quantity) = (be(*s1, *s0), be(*q1, *q0));
            // §6.1, §6.2: up to 2000 bits; §6.3, §6.4: up to 125 registers.
            check_range(start, quantity, if code <= 2 { 0x07d0 } else { 0x7d }, DATA, oddities);
            check_end(rest, data, oddities);
            Body::Read { start, quantity }
        }
        5 | 6 => write_single(code, data, oddities),
        15 | 16 => {
            let Some(([s1, s0, q1, q0, count], rest)) = data.split_first_chunk() else {
                return short(data, oddities);
            };
            let (start, quantity) = (be(*s1, *s0), be(*q1, *q0));
            // §6.11: up to 1968 coils; §6.12: up to 123 registers.
            check_range(start, quantity, if code == 15 { 0x07b0 } else { 0x7b }, DATA, oddities);
            let bytes = counted(*count, rest, DATA + 4, oddities);
            let wanted = if code == 15 { u32::from(quantity).div_ceil(8) } else { u32::from(quantity) * 2 };
            if u32::from(*count) != wanted {
                oddities.push(Oddity::LengthMismatch, DATA + 4);
            }
            if code == 15 {
                Body::WriteCoils { start, quantity, bits: Bits::new(bytes, quantity) }
            } else {
                Body::WriteRegisters { start, quantity, registers: written(bytes, quantity) }
            }
        }
        _ => rare_request(code, data, oddities),
    }
}

#[inline(never)]
fn rare_request<'a>(code: u8, data: &'a [u8], oddities: &mut impl Flags) -> Body<'a> {
    match (code, data) {
        (7 | 11 | 12 | 17, _) => {
            check_end(data, data, oddities);
            Body::Empty
        }
        (20, [count, rest @ ..]) => {
            let reads = FileReads(counted(*count, rest, DATA, oddities));
            // §6.14: 7 to 0xf5 bytes, whole groups of 7.
            if !(7..=0xf5).contains(count) || count % 7 != 0 {
                oddities.push(Oddity::BadQuantity, DATA);
            }
            for (index, read) in reads.iter().enumerate() {
                check_record(read.reference, read.file, read.record, DATA + 1 + index * 7, oddities);
            }
            Body::ReadFile(reads)
        }
        (23, [r1, r0, n1, n0, w1, w0, m1, m0, count, rest @ ..]) => {
            let (read_start, read_quantity) = (be(*r1, *r0), be(*n1, *n0));
            let (write_start, write_quantity) = (be(*w1, *w0), be(*m1, *m0));
            check_range(read_start, read_quantity, 0x7d, DATA, oddities); // §6.17
            check_range(write_start, write_quantity, 0x79, DATA + 4, oddities);
            if u32::from(*count) != u32::from(write_quantity) * 2 {
                oddities.push(Oddity::LengthMismatch, DATA + 8);
            }
            let registers = written(counted(*count, rest, DATA + 8, oddities), write_quantity);
            Body::ReadWrite { read_start, read_quantity, write_start, write_quantity, registers }
        }
        (24, [a1, a0, rest @ ..]) => {
            check_end(rest, data, oddities);
            Body::ReadFifo { address: be(*a1, *a0) }
        }
        (43, [14, device, object, rest @ ..]) => {
            // §6.21: basic, regular, extended, one object.
            if !(1..=4).contains(device) {
                oddities.push(Oddity::BadValue, DATA + 1);
            }
            check_end(rest, data, oddities);
            Body::ReadDeviceId { code: *device, object: *object }
        }
        (43, [kind, rest @ ..]) if *kind != 14 => encapsulated(*kind, rest, oddities),
        (20 | 23 | 24 | 43, _) => short(data, oddities),
        _ => symmetric(code, data, oddities),
    }
}

/// No more registers than the quantity says.
#[inline(always)]
fn written(bytes: &[u8], quantity: u16) -> Registers<'_> {
    Registers::new(bytes.get(..usize::from(quantity) * 2).unwrap_or(bytes))
}

/// As [`request`].
#[inline(always)]
fn response<'a>(code: u8, data: &'a [u8], oddities: &mut impl Flags) -> Body<'a> {
    match code {
        1..=4 | 23 => {
            let Some((count, rest)) = data.split_first() else { return short(data, oddities) };
            let bytes = counted(*count, rest, DATA, oddities);
            // §6.1: up to 2000 bits; §6.3: up to 125 registers of two bytes.
            if count.wrapping_sub(1) >= 250 || code > 2 && count % 2 != 0 {
                oddities.push(Oddity::BadQuantity, DATA);
            }
            if code <= 2 {
                Body::Bits(Bits::new(bytes, bytes.len() as u16 * 8))
            } else {
                Body::Registers(Registers::new(bytes))
            }
        }
        5 | 6 => write_single(code, data, oddities),
        15 | 16 => {
            let Some(([s1, s0, q1, q0], rest)) = data.split_first_chunk() else {
                return short(data, oddities);
            };
            let (start, quantity) = (be(*s1, *s0), be(*q1, *q0));
            check_range(start, quantity, if code == 15 { 0x07b0 } else { 0x7b }, DATA, oddities);
            check_end(rest, data, oddities);
            Body::Written { start, quantity }
        }
        _ => rare_response(code, data, oddities),
    }
}

#[inline(never)]
fn rare_response<'a>(code: u8, data: &'a [u8], oddities: &mut impl Flags) -> Body<'a> {
    match (code, data) {
        (7, [outputs, rest @ ..]) => {
            check_end(rest, data, oddities);
            Body::ExceptionStatus { outputs: *outputs }
        }
        (11, [s1, s0, c1, c0, rest @ ..]) => {
            check_end(rest, data, oddities);
            Body::EventCounter { status: status(*s1, *s0, DATA, oddities), count: be(*c1, *c0) }
        }
        (12, [count, s1, s0, e1, e0, m1, m0, ..]) => {
            let held = counted(*count, data.get(1..).unwrap_or_default(), DATA, oddities);
            // §6.10: two statuses and counts, 0 to 64 events.
            if !(6..=70).contains(count) {
                oddities.push(Oddity::BadQuantity, DATA);
            }
            Body::EventLog {
                status: status(*s1, *s0, DATA + 1, oddities),
                events: be(*e1, *e0),
                messages: be(*m1, *m0),
                log: held.get(6..).unwrap_or_default(),
            }
        }
        (17, [count, rest @ ..]) => Body::ServerId { data: counted(*count, rest, DATA, oddities) },
        (20, [count, rest @ ..]) => {
            let answers = FileAnswers(counted(*count, rest, DATA, oddities));
            let mut whole = 0;
            for (reference, registers) in answers.iter() {
                check_record(reference, 1, 0, DATA + 2 + whole, oddities);
                whole += 2 + registers.as_bytes().len();
            }
            // §6.14: 7 to 0xf5 bytes, an odd number of bytes in no group.
            if !(7..=0xf5).contains(count) || whole != answers.as_bytes().len() {
                oddities.push(Oddity::BadQuantity, DATA);
            }
            Body::FileData(answers)
        }
        (24, [b1, b0, c1, c0, rest @ ..]) => {
            let (bytes, count) = (be(*b1, *b0), be(*c1, *c0));
            // §6.18: up to 31 registers; the byte count covers the FIFO count.
            if count > 31 {
                oddities.push(Oddity::BadQuantity, DATA + 2);
            }
            if usize::from(bytes) != rest.len() + 2 || usize::from(count) * 2 != rest.len() {
                oddities.push(Oddity::LengthMismatch, DATA);
            }
            Body::Fifo { count, registers: written(rest, count) }
        }
        (43, [14, device, conformity, more, next, count, rest @ ..]) => {
            let objects = Objects(rest);
            let (held, whole) =
                objects.iter().fold((0, 0), |(held, whole), (_, value)| (held + 1, whole + 2 + value.len()));
            // §6.21: codes 1 to 4; conformity 1 to 3, with or without single objects; more is 0 or 0xff.
            if !(1..=4).contains(device) {
                oddities.push(Oddity::BadValue, DATA + 1);
            }
            if !matches!(conformity, 1..=3 | 0x81..=0x83) {
                oddities.push(Oddity::BadValue, DATA + 2);
            }
            if !matches!(more, 0 | 0xff) {
                oddities.push(Oddity::BadValue, DATA + 3);
            }
            if held != usize::from(*count) || whole != rest.len() {
                oddities.push(Oddity::LengthMismatch, DATA + 5);
            }
            Body::DeviceId {
                code: *device,
                conformity: *conformity,
                more: *more,
                next: *next,
                count: *count,
                objects,
            }
        }
        (43, [kind, rest @ ..]) if *kind != 14 => encapsulated(*kind, rest, oddities),
        (0x80.., [code, rest @ ..]) => {
            if exception_name(*code) == "undefined" {
                oddities.push(Oddity::BadValue, DATA);
            }
            check_end(rest, data, oddities);
            Body::Exception { code: *code }
        }
        (7 | 11 | 12 | 17 | 20 | 24 | 43 | 0x80.., _) => short(data, oddities),
        _ => symmetric(code, data, oddities),
    }
}

/// §6.9, §6.10: 0xffff while a command is being processed, else 0.
fn status(high: u8, low: u8, at: usize, oddities: &mut impl Flags) -> u16 {
    let status = be(high, low);
    if !matches!(status, 0 | 0xffff) {
        oddities.push(Oddity::BadValue, at);
    }
    status
}

/// §6.19: types 13 (`CANopen`) and 14 are public.
fn encapsulated<'a>(kind: u8, data: &'a [u8], oddities: &mut impl Flags) -> Body<'a> {
    if kind != 13 {
        oddities.push(Oddity::BadValue, DATA);
    }
    Body::Encapsulated { kind, data }
}

/// Who sends a message of this function with this data: [`Sender::Unknown`] when both ends could,
/// `None` when neither could by the standard.
#[must_use]
pub(super) fn shape(code: u8, data: &[u8]) -> Option<Sender> {
    if code >= 0x80 {
        return (data.len() == 1 && Function(code & 0x7f).is_public()).then_some(Sender::Server);
    }
    if !Function(code).is_public() {
        return None;
    }
    let mut oddities = Oddities::NONE;
    let asks = !matches!(request(code, data, &mut oddities), Body::Short { .. }) && oddities.is_empty();
    let mut oddities = Oddities::NONE;
    let answers = !matches!(response(code, data, &mut oddities), Body::Short { .. }) && oddities.is_empty();
    match (asks, answers) {
        (true, true) => Some(Sender::Unknown),
        (true, false) => Some(Sender::Client),
        (false, true) => Some(Sender::Server),
        (false, false) => None,
    }
}
