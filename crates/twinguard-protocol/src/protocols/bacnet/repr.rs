//! Legal messages, to be written: the services with which a client looks around, reads and writes, and what answers them.

use super::service::{PROPERTY_MAX, confirmed, unconfirmed};
use super::view::pdu;

/// The largest instance of an object (20.2.14); it stands for any device.
pub const INSTANCE_MAX: u32 = 0x3f_ffff;

/// A value with its application tag (20.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Primitive<'a> {
    /// No value; releases a priority when written.
    Null,
    /// A state.
    Boolean(bool),
    /// A whole number without a sign.
    Unsigned(u32),
    /// A whole number.
    Signed(i32),
    /// A number of single precision.
    Real(f32),
    /// A number of double precision.
    Double(f64),
    /// Text.
    Text(&'a str),
    /// One of a list of named states.
    Enumerated(u32),
}

/// A property of an object, or one element of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Object type, 10 bits, and instance, 22 bits (20.2.14).
    pub object: u32,
    /// Property identifier.
    pub property: u32,
    /// Array index.
    pub index: Option<u32>,
}

/// What a message asks or tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Service<'a> {
    /// Who-Is (16.10), of all devices or a range of instances.
    WhoIs(Option<(u32, u32)>),
    /// `ReadProperty` (15.5).
    ReadProperty(Reference),
    /// Its answer.
    ReadPropertyAck(Reference, Primitive<'a>),
    /// `WriteProperty` (15.9) with a priority of 1 to 16 where the property is commandable.
    WriteProperty(Reference, Primitive<'a>, Option<u8>),
    /// `SimpleACK` (20.1.4) of this service.
    Acknowledge(u8),
}

/// A message that the standard allows, over BACnet/IP.
///
/// ```
/// use twinguard_protocol::protocols::bacnet::{Reference, Repr, Service};
///
/// // F.3.5: the present value of analog input 5.
/// let wanted = Reference { object: 5, property: 85, index: None };
/// let mut bytes = Vec::new();
/// Repr::new(1, None, Service::ReadProperty(wanted)).unwrap().emit(&mut bytes);
/// assert_eq!(bytes[6..], [0x00, 0x05, 0x01, 0x0c, 0x0c, 0, 0, 0, 5, 0x19, 0x55]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repr<'a> {
    invoke: u8,
    /// Network and address of a device behind a router, the address in its first octets.
    remote: Option<(u16, [u8; 7], u8)>,
    service: Service<'a>,
}

impl<'a> Repr<'a> {
    /// A message to the device at the other end, or behind it on another network; `None` when the standard forbids it.
    #[must_use]
    pub fn new(invoke: u8, remote: Option<(u16, &[u8])>, service: Service<'a>) -> Option<Self> {
        let legal = |reference: Reference| reference.property <= PROPERTY_MAX;
        let fits = |value: Primitive<'_>| match value {
            Primitive::Text(text) => text.len() <= 1000,
            Primitive::Real(number) => number.is_finite(),
            Primitive::Double(number) => number.is_finite(),
            _ => true,
        };
        let allowed = match service {
            Service::WhoIs(Some((low, high))) => low <= high && high <= INSTANCE_MAX,
            Service::WhoIs(None) => true,
            Service::ReadProperty(reference) => legal(reference),
            Service::ReadPropertyAck(reference, value) => legal(reference) && fits(value),
            Service::WriteProperty(reference, value, priority) => {
                legal(reference)
                    && fits(value)
                    && priority.is_none_or(|priority| (1..=16).contains(&priority))
            }
            Service::Acknowledge(service) => service <= confirmed::COV_NOTIFICATION_MULTIPLE,
        };
        let remote = match remote {
            None => None,
            Some((network, address)) => {
                let mut held = [0; 7];
                held.get_mut(..address.len())?.copy_from_slice(address);
                Some((network, held, address.len() as u8)).filter(|_| network != 0)
            }
            .map(Some)?,
        };
        allowed.then_some(Self { invoke, remote, service })
    }

    /// Appends its bytes.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let broadcast = matches!(self.service, Service::WhoIs(_));
        out.extend([0x81, if broadcast { 0x0b } else { 0x0a }, 0, 0, 1]);
        let expecting = matches!(self.service, Service::ReadProperty(_) | Service::WriteProperty(..));
        let control = u8::from(expecting) << 2 | u8::from(self.remote.is_some()) << 5;
        out.push(control);
        if let Some((network, address, len)) = &self.remote {
            out.extend(network.to_be_bytes());
            out.push(*len);
            out.extend(address.iter().take(usize::from(*len)));
            out.push(255);
        }
        // F.3.5: no segments, up to 1476 octets.
        let request = [pdu::CONFIRMED_REQUEST << 4, 0x05, self.invoke];
        match self.service {
            Service::WhoIs(range) => {
                out.extend([pdu::UNCONFIRMED_REQUEST << 4, unconfirmed::WHO_IS]);
                if let Some((low, high)) = range {
                    put_context(0, low, out);
                    put_context(1, high, out);
                }
            }
            Service::ReadProperty(reference) => {
                out.extend(request);
                out.push(confirmed::READ_PROPERTY);
                put_reference(reference, out);
            }
            Service::ReadPropertyAck(reference, value) => {
                out.extend([pdu::COMPLEX_ACK << 4, self.invoke, confirmed::READ_PROPERTY]);
                put_reference(reference, out);
                put_value(value, out);
            }
            Service::WriteProperty(reference, value, priority) => {
                out.extend(request);
                out.push(confirmed::WRITE_PROPERTY);
                put_reference(reference, out);
                put_value(value, out);
                if let Some(priority) = priority {
                    put_context(4, u32::from(priority), out);
                }
            }
            Service::Acknowledge(service) => out.extend([pdu::SIMPLE_ACK << 4, self.invoke, service]),
        }
        let [high, low] = ((out.len() - start) as u16).to_be_bytes();
        if let Some([_, _, first, second, ..]) = out.get_mut(start..) {
            (*first, *second) = (high, low);
        }
    }
}

/// A number in as few octets as hold it (20.2.4).
fn short(number: u32) -> ([u8; 4], usize) {
    let zeros = (number.leading_zeros() / 8).min(3) as usize;
    (number.to_be_bytes(), zeros)
}

fn put_context(tag: u8, number: u32, out: &mut Vec<u8>) {
    let (bytes, skip) = short(number);
    out.push(tag << 4 | 8 | (4 - skip) as u8);
    out.extend(bytes.iter().skip(skip));
}

fn put_reference(reference: Reference, out: &mut Vec<u8>) {
    out.push(0x0c);
    out.extend(reference.object.to_be_bytes());
    put_context(1, reference.property, out);
    if let Some(index) = reference.index {
        put_context(2, index, out);
    }
}

fn put_value(value: Primitive<'_>, out: &mut Vec<u8>) {
    out.push(0x3e);
    match value {
        Primitive::Null => out.push(0),
        Primitive::Boolean(state) => out.push(0x10 | u8::from(state)),
        Primitive::Unsigned(number) | Primitive::Enumerated(number) => {
            let (bytes, skip) = short(number);
            let tag = if matches!(value, Primitive::Unsigned(_)) { 0x20 } else { 0x90 };
            out.push(tag | (4 - skip) as u8);
            out.extend(bytes.iter().skip(skip));
        }
        Primitive::Signed(number) => {
            let spare = if number < 0 { (!number).leading_zeros() } else { number.leading_zeros() };
            let skip = (spare.saturating_sub(1) / 8).min(3) as usize;
            out.push(0x30 | (4 - skip) as u8);
            out.extend(number.to_be_bytes().iter().skip(skip));
        }
        Primitive::Real(number) => {
            out.push(0x44);
            out.extend(number.to_be_bytes());
        }
        Primitive::Double(number) => {
            out.extend([0x55, 8]);
            out.extend(number.to_be_bytes());
        }
        Primitive::Text(text) => {
            let len = text.len() + 1;
            match len {
                0..=4 => out.push(0x70 | len as u8),
                5..=253 => out.extend([0x75, len as u8]),
                _ => {
                    out.extend([0x75, 254]);
                    out.extend((len as u16).to_be_bytes());
                }
            }
            out.push(0);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out.push(0x3f);
}
