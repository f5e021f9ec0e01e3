//! Legal messages: what cannot be built here, the standard forbids.
//!
//! There is one judge of legality: a message is legal when its bytes, read by [`View`], show the same message and
//! nothing odd.

use core::fmt;

use twinguard_types::Oddity;

use super::body::{Bits, Body, FileAnswers, FileWrites, Registers};
use super::function::Function;
use super::view::{HEADER_LEN, View};
use super::{Modbus, Place, Table};
use crate::protocol::{Change, Protocol, Sender, Write};

/// Largest message: header, function and 252 bytes of data (§4.1).
pub const ADU_MAX: usize = 260;

/// Why a message is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// It does not fit into 260 bytes (§4.1).
    #[error("message is longer than 260 bytes")]
    TooLong,
    /// The function has another layout.
    #[error("function `{function}` has another layout")]
    Layout {
        /// The function code.
        function: u8,
    },
    /// A field that the standard does not allow.
    #[error("field at byte {offset} is not legal: {oddity:?}")]
    Field {
        /// Where in the message.
        offset: u32,
        /// What is wrong with it.
        oddity: Oddity,
    },
}

/// The bytes of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Adu {
    bytes: [u8; ADU_MAX],
    len: u16,
}

impl Adu {
    const EMPTY: Self = Self { bytes: [0; ADU_MAX], len: 0 };

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    fn put(&mut self, more: &[u8]) -> Result<(), Illegal> {
        let start = usize::from(self.len);
        let end = start + more.len();
        self.bytes.get_mut(start..end).ok_or(Illegal::TooLong)?.copy_from_slice(more);
        self.len = end as u16;
        Ok(())
    }

    fn put_words<const N: usize>(&mut self, words: [u16; N]) -> Result<(), Illegal> {
        words.into_iter().try_for_each(|word| self.put(&word.to_be_bytes()))
    }

    fn put_counted(&mut self, more: &[u8]) -> Result<(), Illegal> {
        self.put(&[u8::try_from(more.len()).map_err(|_| Illegal::TooLong)?])?;
        self.put(more)
    }
}

impl AsRef<[u8]> for Adu {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for Adu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().fmt(f)
    }
}

/// A legal message.
///
/// ```
/// use twinguard_protocol::protocols::modbus::{Repr, WordBuffer};
///
/// // The request of §6.12: 0x000a and 0x0102 to registers 2 and 3.
/// let words = WordBuffer::new(&[0x000a, 0x0102]).unwrap();
/// let request = Repr::write_registers(0x15, 1, 1, words.registers())?;
/// assert_eq!(
///     request.emit().as_bytes(),
///     [0, 0x15, 0, 0, 0, 11, 1, 0x10, 0, 1, 0, 2, 4, 0, 0x0a, 1, 2]
/// );
/// assert!(Repr::read(0x15, 1, 3, 0, 126).is_err(), "§6.3 allows 125 registers");
/// # Ok::<(), twinguard_protocol::protocols::modbus::Illegal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repr<'a> {
    transaction: u16,
    unit: u8,
    code: u8,
    sender: Sender,
    body: Body<'a>,
}

impl<'a> Repr<'a> {
    /// A message with these parts.
    ///
    /// `function` carries no exception bit: [`Body::Exception`] sets it. Bits in a response are counted in whole bytes,
    /// as on the wire.
    ///
    /// # Errors
    /// [`Illegal`] when the standard forbids it.
    pub fn new(
        transaction_id: u16,
        unit_id: u8,
        function: Function,
        sender: Sender,
        body: Body<'a>,
    ) -> Result<Self, Illegal> {
        let code = if matches!(body, Body::Exception { .. }) { function.0 | 0x80 } else { function.0 };
        let repr = Self { transaction: transaction_id, unit: unit_id, code, sender, body };
        let adu = repr.bytes()?;
        let layout = Illegal::Layout { function: function.0 };
        let view = View::new(adu.as_bytes(), sender).ok_or(layout)?;
        if let Some((oddity, offset)) = view.oddities().iter().next() {
            return Err(Illegal::Field { offset, oddity });
        }
        if view.body() == body && view.sender() == sender { Ok(repr) } else { Err(layout) }
    }

    /// A request to read: function 1 to 4.
    ///
    /// # Errors
    /// [`Illegal`] for other functions, quantities of 0 or too many, addresses beyond 65535.
    pub fn read(
        transaction_id: u16,
        unit_id: u8,
        function: u8,
        start: u16,
        quantity: u16,
    ) -> Result<Self, Illegal> {
        Self::new(transaction_id, unit_id, Function(function), Sender::Client, Body::Read { start, quantity })
    }

    /// A request to write one register.
    ///
    /// # Errors
    /// None by today's standard; kept for uniformity.
    pub fn write_register(
        transaction_id: u16,
        unit_id: u8,
        address: u16,
        value: u16,
    ) -> Result<Self, Illegal> {
        let body = Body::WriteRegister { address, value };
        Self::new(transaction_id, unit_id, Function::WRITE_SINGLE_REGISTER, Sender::Client, body)
    }

    /// A request to write one coil.
    ///
    /// # Errors
    /// None by today's standard; kept for uniformity.
    pub fn write_coil(transaction_id: u16, unit_id: u8, address: u16, on: bool) -> Result<Self, Illegal> {
        let body = Body::WriteCoil { address, value: if on { 0xff00 } else { 0 } };
        Self::new(transaction_id, unit_id, Function::WRITE_SINGLE_COIL, Sender::Client, body)
    }

    /// A request to write neighbouring registers.
    ///
    /// # Errors
    /// [`Illegal`] for no or more than 123 registers, addresses beyond 65535.
    pub fn write_registers(
        transaction_id: u16,
        unit_id: u8,
        start: u16,
        registers: Registers<'a>,
    ) -> Result<Self, Illegal> {
        let body = Body::WriteRegisters { start, quantity: registers.len(), registers };
        Self::new(transaction_id, unit_id, Function::WRITE_MULTIPLE_REGISTERS, Sender::Client, body)
    }

    /// The response to a request to read registers: function 3 or 4.
    ///
    /// # Errors
    /// [`Illegal`] for other functions, no or more than 125 registers.
    pub fn registers(
        transaction_id: u16,
        unit_id: u8,
        function: u8,
        registers: Registers<'a>,
    ) -> Result<Self, Illegal> {
        let body = Body::Registers(registers);
        Self::new(transaction_id, unit_id, Function(function), Sender::Server, body)
    }

    /// The response to a request to read bits: function 1 or 2; the bits behind the last are zero by the buffer's make.
    ///
    /// # Errors
    /// [`Illegal`] for other functions, no or more than 2000 bits.
    pub fn bits(
        transaction_id: u16,
        unit_id: u8,
        function: u8,
        bits: &'a BitBuffer,
    ) -> Result<Self, Illegal> {
        let bytes = bits.bits().as_bytes();
        let body = Body::Bits(Bits::new(bytes, bytes.len() as u16 * 8));
        Self::new(transaction_id, unit_id, Function(function), Sender::Server, body)
    }

    /// The request that makes a change which [`PointMap::encode`](crate::point_map::PointMap::encode) prepared.
    ///
    /// # Errors
    /// [`Illegal::Layout`] for a place that is not Modbus's or cannot be written.
    pub fn write(transaction_id: u16, write: &'a Write<'_>) -> Result<Self, Illegal> {
        let refused = Illegal::Layout { function: Function::WRITE_MULTIPLE_REGISTERS.0 };
        let place = Place::of(&write.tag).filter(|_| write.family == Modbus::FAMILY);
        let Some(Place { unit, table, address: Some(address) }) = place else { return Err(refused) };
        match (table, write.change) {
            (Table::Coils, Change::Bit(state)) => Self::write_coil(transaction_id, unit, address, state),
            (Table::HoldingRegisters, Change::BitOf { bit, state }) => {
                let mask = 1u16.checked_shl(u32::from(bit)).ok_or(refused)?;
                let body = Body::MaskWrite { address, and: !mask, or: if state { mask } else { 0 } };
                Self::new(transaction_id, unit, Function::MASK_WRITE_REGISTER, Sender::Client, body)
            }
            (Table::HoldingRegisters, Change::Words { .. }) => match write.bytes() {
                [high, low] => {
                    Self::write_register(transaction_id, unit, address, u16::from_be_bytes([*high, *low]))
                }
                bytes => Self::write_registers(transaction_id, unit, address, Registers::new(bytes)),
            },
            _ => Err(refused),
        }
    }

    /// Transaction identifier.
    #[must_use]
    pub const fn transaction_id(&self) -> u16 {
        self.transaction
    }

    /// Unit identifier.
    #[must_use]
    pub const fn unit_id(&self) -> u8 {
        self.unit
    }

    /// Function code without the exception bit.
    #[must_use]
    pub const fn function(&self) -> Function {
        Function(self.code & 0x7f)
    }

    /// Who sends it.
    #[must_use]
    pub const fn sender(&self) -> Sender {
        self.sender
    }

    /// What follows the function code.
    #[must_use]
    pub const fn body(&self) -> Body<'a> {
        self.body
    }

    /// The bytes of the message.
    #[must_use]
    pub fn emit(&self) -> Adu {
        // The constructor wrote it once; it writes the same again.
        self.bytes().unwrap_or(Adu::EMPTY)
    }

    fn bytes(&self) -> Result<Adu, Illegal> {
        let mut adu = Adu::EMPTY;
        adu.put_words([self.transaction, 0, 0])?;
        adu.put(&[self.unit, self.code])?;
        write_body(&mut adu, self.body)?;
        let length = adu.len.saturating_sub(HEADER_LEN as u16 - 1);
        if let Some(field) = adu.bytes.get_mut(4..6) {
            field.copy_from_slice(&length.to_be_bytes());
        }
        Ok(adu)
    }
}

fn write_body(adu: &mut Adu, body: Body<'_>) -> Result<(), Illegal> {
    match body {
        Body::Read { start: first, quantity: second }
        | Body::Written { start: first, quantity: second }
        | Body::WriteCoil { address: first, value: second }
        | Body::WriteRegister { address: first, value: second }
        | Body::EventCounter { status: first, count: second } => adu.put_words([first, second]),
        Body::Bits(bits) => adu.put_counted(bits.as_bytes()),
        Body::Registers(registers) => adu.put_counted(registers.as_bytes()),
        Body::Empty => Ok(()),
        Body::ExceptionStatus { outputs: byte } | Body::Exception { code: byte } => adu.put(&[byte]),
        Body::Diagnostics { sub_function, data } => {
            adu.put_words([sub_function])?;
            adu.put(data)
        }
        Body::EventLog { status, events, messages, log } => {
            adu.put(&[u8::try_from(log.len() + 6).map_err(|_| Illegal::TooLong)?])?;
            adu.put_words([status, events, messages])?;
            adu.put(log)
        }
        Body::WriteCoils { start, quantity, bits } => {
            adu.put_words([start, quantity])?;
            adu.put_counted(bits.as_bytes())
        }
        Body::WriteRegisters { start, quantity, registers } => {
            adu.put_words([start, quantity])?;
            adu.put_counted(registers.as_bytes())
        }
        Body::ServerId { data } => adu.put_counted(data),
        Body::ReadFile(reads) => adu.put_counted(reads.as_bytes()),
        Body::FileData(answers) => adu.put_counted(answers.as_bytes()),
        Body::WriteFile(writes) => adu.put_counted(writes.as_bytes()),
        Body::MaskWrite { address, and, or } => adu.put_words([address, and, or]),
        Body::ReadWrite { read_start, read_quantity, write_start, write_quantity, registers } => {
            adu.put_words([read_start, read_quantity, write_start, write_quantity])?;
            adu.put_counted(registers.as_bytes())
        }
        Body::ReadFifo { address } => adu.put_words([address]),
        Body::Fifo { count, registers } => {
            adu.put_words([registers.as_bytes().len() as u16 + 2, count])?;
            adu.put(registers.as_bytes())
        }
        Body::ReadDeviceId { code, object } => adu.put(&[14, code, object]),
        Body::DeviceId { code, conformity, more, next, count, objects } => {
            adu.put(&[14, code, conformity, more, next, count])?;
            adu.put(objects.as_bytes())
        }
        Body::Encapsulated { kind, data } => {
            adu.put(&[kind])?;
            adu.put(data)
        }
        Body::Opaque { data } | Body::Short { data } => adu.put(data),
    }
}

impl<'a> TryFrom<&View<'a>> for Repr<'a> {
    type Error = Illegal;

    /// The same message, if it is legal.
    fn try_from(view: &View<'a>) -> Result<Self, Illegal> {
        if let Some((oddity, offset)) = view.oddities().iter().next() {
            return Err(Illegal::Field { offset, oddity });
        }
        Self::new(view.transaction_id(), view.unit_id(), view.function(), view.sender(), view.body())
    }
}

/// Registers as they go on the wire, made from numbers; at most 125.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordBuffer {
    bytes: [u8; 250],
    len: u8,
}

impl WordBuffer {
    /// From numbers; `None` for more than 125.
    #[must_use]
    pub fn new(words: &[u16]) -> Option<Self> {
        let mut buffer = Self { bytes: [0; 250], len: u8::try_from(words.len().checked_mul(2)?).ok()? };
        let (pairs, _) = buffer.bytes.get_mut(..usize::from(buffer.len))?.as_chunks_mut::<2>();
        pairs.iter_mut().zip(words).for_each(|(pair, word)| *pair = word.to_be_bytes());
        Some(buffer)
    }

    /// The registers.
    #[must_use]
    pub fn registers(&self) -> Registers<'_> {
        Registers::new(self.bytes.get(..usize::from(self.len)).unwrap_or_default())
    }
}

/// Bits as they go on the wire, made from states; at most 2000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitBuffer {
    bytes: [u8; 250],
    count: u16,
}

impl BitBuffer {
    /// From states; `None` for more than 2000.
    #[must_use]
    pub fn new(states: &[bool]) -> Option<Self> {
        let mut buffer = Self { bytes: [0; 250], count: u16::try_from(states.len()).ok()? };
        for (index, state) in states.iter().enumerate() {
            *buffer.bytes.get_mut(index / 8)? |= u8::from(*state) << (index % 8);
        }
        Some(buffer)
    }

    /// The bits.
    #[must_use]
    pub fn bits(&self) -> Bits<'_> {
        let bytes = self.bytes.get(..usize::from(self.count.div_ceil(8))).unwrap_or_default();
        Bits::new(bytes, self.count)
    }
}

/// File records as they lie in messages of functions 20 and 21; for [`Repr::new`].
impl<'a> FileAnswers<'a> {
    /// From the bytes behind the byte count.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> FileWrites<'a> {
    /// From the bytes behind the byte count.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocols::modbus::body::{FileReads, Objects};

    /// Every example message of the standard's clauses, function code first, with its sender.
    const EXAMPLES: &[(Sender, &[u8])] = {
        use Sender::{Client as C, Server as S};
        &[
            (C, &[1, 0, 0x13, 0, 0x13]),                                          // §6.1
            (S, &[1, 3, 0xcd, 0x6b, 5]),                                          // §6.1
            (C, &[2, 0, 0xc4, 0, 0x16]),                                          // §6.2
            (S, &[2, 3, 0xac, 0xdb, 0x35]),                                       // §6.2
            (C, &[3, 0, 0x6b, 0, 3]),                                             // §6.3
            (S, &[3, 6, 2, 0x2b, 0, 0, 0, 0x64]),                                 // §6.3
            (C, &[4, 0, 8, 0, 1]),                                                // §6.4
            (S, &[4, 2, 0, 0x0a]),                                                // §6.4
            (C, &[5, 0, 0xac, 0xff, 0]),                                          // §6.5
            (S, &[6, 0, 1, 0, 3]),                                                // §6.6
            (C, &[7]),                                                            // §6.7
            (S, &[7, 0x6d]),                                                      // §6.7
            (C, &[8, 0, 0, 0xa5, 0x37]),                                          // §6.8
            (C, &[11]),                                                           // §6.9
            (S, &[11, 0xff, 0xff, 1, 8]),                                         // §6.9
            (C, &[12]),                                                           // §6.10
            (S, &[12, 8, 0, 0, 1, 8, 1, 0x21, 0x20, 0]),                          // §6.10
            (C, &[15, 0, 0x13, 0, 0x0a, 2, 0xcd, 1]),                             // §6.11
            (S, &[15, 0, 0x13, 0, 0x0a]),                                         // §6.11
            (C, &[16, 0, 1, 0, 2, 4, 0, 0x0a, 1, 2]),                             // §6.12
            (S, &[16, 0, 1, 0, 2]),                                               // §6.12
            (C, &[17]),                                                           // §6.13
            (S, &[17, 3, 1, 0xff, 9]),                                            // §6.13
            (C, &[20, 14, 6, 0, 4, 0, 1, 0, 2, 6, 0, 3, 0, 9, 0, 2]),             // §6.14
            (S, &[20, 12, 5, 6, 0x0d, 0xfe, 0, 0x20, 5, 6, 0x33, 0xcd, 0, 0x40]), // §6.14
            (C, &[21, 13, 6, 0, 4, 0, 7, 0, 3, 6, 0xaf, 4, 0xbe, 0x10, 0x0d]),    // §6.15
            (C, &[22, 0, 4, 0, 0xf2, 0, 0x25]),                                   // §6.16
            (C, &[23, 0, 3, 0, 6, 0, 0x0e, 0, 3, 6, 0, 0xff, 0, 0xff, 0, 0xff]),  // §6.17
            (S, &[23, 12, 0, 0xfe, 0x0a, 0xcd, 0, 1, 0, 3, 0, 0x0d, 0, 0xff]),    // §6.17
            (C, &[24, 4, 0xde]),                                                  // §6.18
            (S, &[24, 0, 6, 0, 2, 1, 0xb8, 0x12, 0x84]),                          // §6.18
            (C, &[43, 14, 1, 0]),                                                 // §6.21
            (S, &[43, 14, 1, 1, 0, 0, 2, 0, 3, b'A', b'B', b'C', 1, 1, b'D']),    // §6.21
            (C, &[43, 13, 1, 2, 3]),                                              // §6.20
            (S, &[0x81, 2]),                                                      // §7
            (C, &[100, 1, 2, 3]),                                                 // §5, user defined
        ]
    };

    fn message(pdu: &[u8]) -> Vec<u8> {
        let mut adu = vec![0x12, 0x34, 0, 0, 0, pdu.len() as u8 + 1, 0x11];
        adu.extend_from_slice(pdu);
        adu
    }

    #[test]
    fn the_standards_examples_are_legal_and_come_back_byte_for_byte() {
        for (sender, pdu) in EXAMPLES {
            let adu = message(pdu);
            let view = View::new(&adu, *sender).unwrap();
            let repr = Repr::try_from(&view).unwrap_or_else(|error| panic!("{pdu:02x?}: {error}"));
            assert_eq!(repr.emit().as_bytes(), adu);
        }
    }

    #[test]
    fn every_cut_or_lengthened_example_is_odd() {
        for (sender, pdu) in EXAMPLES {
            for len in 1..pdu.len() {
                let adu = message(&pdu[..len]);
                let view = View::new(&adu, *sender).unwrap();
                let free = [8, 100].contains(&pdu[0]) || pdu.starts_with(&[43, 13]);
                // §6.14, §6.21: a cut list may be a shorter list only when its counts agree, which a cut never leaves.
                assert!(free || !view.oddities().is_empty(), "{:02x?} of {pdu:02x?}", &pdu[..len]);
            }
            let longer = message(&[*pdu, &[0]].concat());
            let view = View::new(&longer, *sender).unwrap();
            let free = [8, 100].contains(&pdu[0]) || pdu.starts_with(&[43, 13]);
            assert!(free || !view.oddities().is_empty(), "{pdu:02x?} and a zero");
        }
    }

    fn illegal(sender: Sender, pdu: &[u8], oddity: Oddity, offset: u32) {
        let adu = message(pdu);
        let view = View::new(&adu, sender).unwrap();
        assert_eq!(view.oddities().iter().next(), Some((oddity, offset)), "{pdu:02x?}");
        assert!(Repr::try_from(&view).is_err());
    }

    #[test]
    fn what_the_standard_forbids_is_named_with_its_place() {
        use Oddity::{BadAddress, BadQuantity, BadValue, LengthMismatch, UnknownFunction};
        use Sender::{Client, Server};
        illegal(Client, &[1, 0, 0, 7, 0xd1], BadQuantity, 10);
        illegal(Client, &[3, 0, 0, 0, 0], BadQuantity, 10);
        illegal(Client, &[3, 0, 0, 0, 126], BadQuantity, 10);
        illegal(Client, &[4, 0xff, 0xff, 0, 2], BadAddress, 8);
        illegal(Client, &[5, 0, 0, 0xff, 1], BadValue, 10);
        illegal(Client, &[15, 0, 0, 0, 9, 1, 0], LengthMismatch, 12);
        illegal(Client, &[16, 0, 0, 0, 1, 2, 0], LengthMismatch, 12);
        illegal(Client, &[20, 0], BadQuantity, 8);
        illegal(Client, &[20, 7, 5, 0, 1, 0, 0, 0, 1], BadValue, 9);
        illegal(Client, &[23, 0, 0, 0, 1, 0, 0, 0, 122, 244], BadQuantity, 14);
        illegal(Client, &[43, 14, 5, 0], BadValue, 9);
        illegal(Client, &[90, 1], UnknownFunction, 7);
        illegal(Client, &[0], UnknownFunction, 7);
        illegal(Client, &[0x83, 2], UnknownFunction, 7);
        illegal(Server, &[3, 3, 0, 0, 0], BadQuantity, 8);
        illegal(Server, &[0x83, 9], BadValue, 8);
        illegal(Server, &[24, 0, 4, 0, 1, 0], LengthMismatch, 8);
        illegal(Server, &[8, 0, 5, 0, 0], BadValue, 8);
    }

    fn body() -> impl Strategy<Value = (u8, Sender, Vec<u8>)> {
        (any::<u8>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..253)).prop_map(
            |(code, client, data)| (code, if client { Sender::Client } else { Sender::Server }, data),
        )
    }

    proptest! {
        #[test]
        fn emit_undoes_parse((code, sender, data) in body(), transaction: u16, unit: u8) {
            let mut pdu = vec![code];
            pdu.extend(data);
            let mut adu = message(&pdu);
            adu[..2].copy_from_slice(&transaction.to_be_bytes());
            adu[6] = unit;
            let view = View::new(&adu, sender).unwrap();
            match Repr::try_from(&view) {
                Ok(repr) => {
                    let emitted = repr.emit();
                    prop_assert_eq!(emitted.as_bytes(), &adu[..]);
                }
                Err(_) => prop_assert!(!view.oddities().is_empty()),
            }
        }

        #[test]
        fn legal_writes_come_back(transaction: u16, unit: u8, start: u16, words in proptest::collection::vec(any::<u16>(), 0..130)) {
            let buffer = WordBuffer::new(&words);
            prop_assert_eq!(buffer.is_some(), words.len() <= 125);
            let Some(buffer) = buffer else { return Ok(()) };
            let legal = (1..=123).contains(&words.len()) && usize::from(start) + words.len() <= 65536;
            let repr = Repr::write_registers(transaction, unit, start, buffer.registers());
            prop_assert_eq!(repr.is_ok(), legal);
            if let Ok(repr) = repr {
                let adu = repr.emit();
                let view = View::new(adu.as_bytes(), Sender::Client).unwrap();
                prop_assert_eq!(Repr::try_from(&view), Ok(repr));
            }
        }

        #[test]
        fn no_bytes_panic(adu in proptest::collection::vec(any::<u8>(), 0..300)) {
            for sender in [Sender::Client, Sender::Server, Sender::Unknown] {
                if let Some(view) = View::new(&adu, sender) {
                    match view.body() {
                        Body::ReadFile(FileReads(bytes)) => prop_assert!(bytes.len() <= adu.len()),
                        Body::FileData(answers) => prop_assert!(answers.iter().count() <= adu.len()),
                        Body::WriteFile(writes) => prop_assert!(writes.iter().count() <= adu.len()),
                        Body::DeviceId { objects: Objects(bytes), .. } => prop_assert!(bytes.len() <= adu.len()),
                        Body::Bits(bits) => prop_assert_eq!(bits.iter().count(), usize::from(bits.len())),
                        _ => {}
                    }
                }
            }
        }
    }
}
