//! Conversations that several incidents have alike, both sides of each.
//!
//! Sources: IEC 60870-5-104 §5, §7; Modbus Application Protocol V1.1b3 §6; S7comm as the public dissectors have it.

use core::net::{Ipv4Addr, SocketAddrV4};

use twinguard_protocol::Sender;
use twinguard_protocol::iec60870::{AsduBuffer, Cause, Layout, TypeId};
use twinguard_protocol::protocols::iec104::{self, Unnumbered};
use twinguard_protocol::protocols::modbus::{self, Body, Function, WordBuffer};
use twinguard_protocol::protocols::{cotp, s7comm};

use crate::Error;
use crate::stage::{Link, Stage, illegal};

pub(crate) fn socket(host: u8, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 20, 0, host), port)
}

/// A controlling and a controlled station of IEC 60870-5-104.
pub(crate) struct Station {
    link: Link,
    /// N(S) of client and server.
    sent: [u16; 2],
    common: u16,
}

/// Activation confirmed, activation terminated, answer to an interrogation.
const CONFIRMED: u8 = 7;
const TERMINATED: u8 = 10;
const INTERROGATED: u8 = 20;

impl Station {
    /// Connects and starts data transfer.
    pub(crate) fn open(
        stage: &mut Stage<'_>,
        client: SocketAddrV4,
        server: SocketAddrV4,
        common: u16,
    ) -> Result<Self, Error> {
        let mut link = stage.connect(client, server);
        stage.ask(&mut link, iec104::Repr::unnumbered(Unnumbered::StartActivation).emit().as_bytes())?;
        stage.answer(&mut link, iec104::Repr::unnumbered(Unnumbered::StartConfirmation).emit().as_bytes())?;
        Ok(Self { link, sent: [0, 0], common })
    }

    fn tell(
        &mut self,
        stage: &mut Stage<'_>,
        server: bool,
        (type_id, cause): (u8, u8),
        objects: &[(u32, &[u8])],
    ) -> Result<(), Error> {
        let cause = Cause::new(cause);
        let asdu =
            AsduBuffer::new(Layout::NET, TypeId(type_id), cause, 0, self.common, objects).map_err(illegal)?;
        let (own, other) = if server { (1, 0) } else { (0, 1) };
        let apdu = iec104::Repr::information(self.sent[own], self.sent[other], asdu).map_err(illegal)?.emit();
        self.sent[own] = (self.sent[own] + 1) & 0x7fff;
        match server {
            true => stage.answer(&mut self.link, apdu.as_bytes()),
            false => stage.ask(&mut self.link, apdu.as_bytes()),
        }
    }

    /// General interrogation; the station has these single points, all on.
    pub(crate) fn interrogate(
        &mut self,
        stage: &mut Stage<'_>,
        points: core::ops::Range<u32>,
    ) -> Result<(), Error> {
        const INTERROGATION: u8 = 100;
        const SINGLE_POINT: u8 = 1;
        let station: &[(u32, &[u8])] = &[(0, &[20])];
        self.tell(stage, false, (INTERROGATION, Cause::ACTIVATION), station)?;
        self.tell(stage, true, (INTERROGATION, CONFIRMED), station)?;
        let all: Vec<(u32, &[u8])> = points.map(|point| (point, &[1_u8][..])).collect();
        for some in all.chunks(20) {
            self.tell(stage, true, (SINGLE_POINT, INTERROGATED), some)?;
        }
        self.tell(stage, true, (INTERROGATION, TERMINATED), station)?;
        let apdu = iec104::Repr::supervisory(self.sent[1]).map_err(illegal)?.emit();
        stage.ask(&mut self.link, apdu.as_bytes())
    }

    /// A single or double command: selected first where asked, executed, confirmed, terminated.
    pub(crate) fn command(
        &mut self,
        stage: &mut Stage<'_>,
        double: bool,
        point: u32,
        state: u8,
        select: bool,
    ) -> Result<(), Error> {
        let type_id = if double { 46 } else { 45 };
        let selects = if select { &[true, false][..] } else { &[false][..] };
        for selects in selects {
            let qualifier = [state | if *selects { 0x80 } else { 0 }];
            self.tell(stage, false, (type_id, Cause::ACTIVATION), &[(point, &qualifier)])?;
            self.tell(stage, true, (type_id, CONFIRMED), &[(point, &qualifier)])?;
        }
        self.tell(stage, true, (type_id, TERMINATED), &[(point, &[state])])
    }

    /// Stops data transfer and goes.
    pub(crate) fn close(mut self, stage: &mut Stage<'_>) -> Result<(), Error> {
        stage.ask(&mut self.link, iec104::Repr::unnumbered(Unnumbered::StopActivation).emit().as_bytes())?;
        let confirmed = iec104::Repr::unnumbered(Unnumbered::StopConfirmation).emit();
        stage.answer(&mut self.link, confirmed.as_bytes())?;
        stage.close(self.link);
        Ok(())
    }
}

/// A client and a server of Modbus TCP.
pub(crate) struct Modbus {
    link: Link,
    transaction: u16,
    unit: u8,
}

impl Modbus {
    pub(crate) fn open(stage: &mut Stage<'_>, client: SocketAddrV4, server: SocketAddrV4, unit: u8) -> Self {
        Self { link: stage.connect(client, server), transaction: 0, unit }
    }

    fn next(&mut self) -> u16 {
        self.transaction = self.transaction.wrapping_add(1);
        self.transaction
    }

    /// Reads registers (function 3 or 4) that hold these values.
    pub(crate) fn read(
        &mut self,
        stage: &mut Stage<'_>,
        function: u8,
        address: u16,
        values: &[u16],
    ) -> Result<(), Error> {
        let (transaction, unit) = (self.next(), self.unit);
        let count = u16::try_from(values.len()).map_err(illegal)?;
        let request = modbus::Repr::read(transaction, unit, function, address, count).map_err(illegal)?;
        stage.ask(&mut self.link, request.emit().as_bytes())?;
        let words = WordBuffer::new(values).ok_or_else(|| illegal("too many registers"))?;
        let answer =
            modbus::Repr::registers(transaction, unit, function, words.registers()).map_err(illegal)?;
        stage.answer(&mut self.link, answer.emit().as_bytes())
    }

    /// Writes one register.
    pub(crate) fn write(&mut self, stage: &mut Stage<'_>, address: u16, value: u16) -> Result<(), Error> {
        let (transaction, unit) = (self.next(), self.unit);
        let request = modbus::Repr::write_register(transaction, unit, address, value).map_err(illegal)?;
        stage.ask(&mut self.link, request.emit().as_bytes())?;
        let body = Body::WriteRegister { address, value };
        let echo =
            modbus::Repr::new(transaction, unit, Function::WRITE_SINGLE_REGISTER, Sender::Server, body);
        stage.answer(&mut self.link, echo.map_err(illegal)?.emit().as_bytes())
    }

    pub(crate) fn close(self, stage: &mut Stage<'_>) {
        stage.close(self.link);
    }
}

/// A client and a controller of the S7 family.
pub(crate) struct S7 {
    link: Link,
    reference: u16,
}

impl S7 {
    /// Connects at both layers and agrees on the length of messages.
    pub(crate) fn open(
        stage: &mut Stage<'_>,
        client: SocketAddrV4,
        server: SocketAddrV4,
    ) -> Result<Self, Error> {
        let mut link = stage.connect(client, server);
        let (calling, called): (&[u8], &[u8]) = (&[1, 0], &[1, 2]);
        let mut bytes = Vec::new();
        let ask = cotp::Repr::Connect { confirms: None, source: 1, calling, called, power: 10 };
        ask.emit(&mut bytes).ok_or_else(|| illegal("connection request"))?;
        stage.ask(&mut link, &bytes)?;
        bytes.clear();
        let confirm = cotp::Repr::Connect { confirms: Some(1), source: 2, calling, called, power: 10 };
        confirm.emit(&mut bytes).ok_or_else(|| illegal("connection confirm"))?;
        stage.answer(&mut link, &bytes)?;
        let mut s7 = Self { link, reference: 0 };
        let setup = [s7comm::function::SETUP, 0, 0, 1, 0, 1, 1, 0xe0];
        s7.job(stage, (&setup, &[]), (&setup, &[]))?;
        Ok(s7)
    }

    /// A job and its answer: parameters and data of each.
    pub(crate) fn job(
        &mut self,
        stage: &mut Stage<'_>,
        (parameters, data): (&[u8], &[u8]),
        (told, held): (&[u8], &[u8]),
    ) -> Result<(), Error> {
        self.reference = self.reference.wrapping_add(1);
        let mut bytes = Vec::new();
        let job = s7comm::Repr::new(s7comm::rosctr::JOB, self.reference, 0, parameters, data);
        job.map_err(illegal)?.emit(&mut bytes);
        stage.ask(&mut self.link, &bytes)?;
        bytes.clear();
        let answer = s7comm::Repr::new(s7comm::rosctr::ACK_DATA, self.reference, 0, told, held);
        answer.map_err(illegal)?.emit(&mut bytes);
        stage.answer(&mut self.link, &bytes)
    }

    /// Reads bytes of a data block.
    pub(crate) fn read(
        &mut self,
        stage: &mut Stage<'_>,
        block: u16,
        byte: u32,
        held: &[u8],
    ) -> Result<(), Error> {
        let count = u16::try_from(held.len()).map_err(illegal)?;
        let item = item(s7comm::function::READ, block, byte, count);
        let bits = count.saturating_mul(8).to_be_bytes();
        let data: Vec<u8> = [0xff, 4, bits[0], bits[1]].into_iter().chain(held.iter().copied()).collect();
        self.job(stage, (&item, &[]), (&[s7comm::function::READ, 1], &data))
    }

    /// Writes bytes of a data block.
    pub(crate) fn write(
        &mut self,
        stage: &mut Stage<'_>,
        block: u16,
        byte: u32,
        value: &[u8],
    ) -> Result<(), Error> {
        let count = u16::try_from(value.len()).map_err(illegal)?;
        let item = item(s7comm::function::WRITE, block, byte, count);
        let bits = count.saturating_mul(8).to_be_bytes();
        let data: Vec<u8> = [0, 4, bits[0], bits[1]].into_iter().chain(value.iter().copied()).collect();
        self.job(stage, (&item, &data), (&[s7comm::function::WRITE, 1], &[0xff]))
    }

    /// A block goes down to the controller: request, one part, end; the controller asks for the last two.
    pub(crate) fn download(&mut self, stage: &mut Stage<'_>, name: &str, code: &[u8]) -> Result<(), Error> {
        let length = format!("1{:06}{:06}", code.len(), code.len());
        let mut ask = vec![0x1a, 0, 1, 0, 0, 0, 0, 0, 9];
        ask.extend_from_slice(name.as_bytes());
        ask.push(13);
        ask.extend_from_slice(length.as_bytes());
        self.job(stage, (&ask, &[]), (&[0x1a], &[]))?;
        let mut part = vec![0x1b, 0, 1, 0, 0, 0, 0, 0, 9];
        part.extend_from_slice(name.as_bytes());
        let count = u16::try_from(code.len()).map_err(illegal)?.to_be_bytes();
        let held: Vec<u8> = [count[0], count[1], 0, 0xfb].into_iter().chain(code.iter().copied()).collect();
        // These two the controller asks and the client answers.
        self.turned(stage, &part, (&[0x1b, 0], &held))?;
        let mut end = vec![0x1c, 0, 1, 0, 0, 0, 0, 0, 9];
        end.extend_from_slice(name.as_bytes());
        self.turned(stage, &end, (&[0x1c], &[]))
    }

    fn turned(
        &mut self,
        stage: &mut Stage<'_>,
        ask: &[u8],
        (told, held): (&[u8], &[u8]),
    ) -> Result<(), Error> {
        self.reference = self.reference.wrapping_add(1);
        let mut bytes = Vec::new();
        let job = s7comm::Repr::new(s7comm::rosctr::JOB, self.reference, 0, ask, &[]).map_err(illegal)?;
        job.emit(&mut bytes);
        stage.answer(&mut self.link, &bytes)?;
        bytes.clear();
        let answer = s7comm::Repr::new(s7comm::rosctr::ACK_DATA, self.reference, 0, told, held);
        answer.map_err(illegal)?.emit(&mut bytes);
        stage.ask(&mut self.link, &bytes)
    }

    /// The controller is stopped.
    pub(crate) fn stop(&mut self, stage: &mut Stage<'_>) -> Result<(), Error> {
        let mut stop = vec![0x29, 0, 0, 0, 0, 0, 9];
        stop.extend_from_slice(b"P_PROGRAM");
        self.job(stage, (&stop, &[]), (&[0x29], &[]))
    }

    /// The controller is started.
    pub(crate) fn start(&mut self, stage: &mut Stage<'_>) -> Result<(), Error> {
        let mut start = vec![0x28, 0, 0, 0, 0, 0, 0, 0xfd, 0, 0, 9];
        start.extend_from_slice(b"P_PROGRAM");
        self.job(stage, (&start, &[]), (&[0x28], &[]))
    }

    pub(crate) fn close(self, stage: &mut Stage<'_>) {
        stage.close(self.link);
    }
}

/// The parameters of a read or write of bytes in a data block.
fn item(function: u8, block: u16, byte: u32, count: u16) -> [u8; 14] {
    let ([c1, c0], [b1, b0]) = (count.to_be_bytes(), block.to_be_bytes());
    let [_, a2, a1, a0] = (byte * 8).to_be_bytes();
    [function, 1, 0x12, 10, 0x10, 2, c1, c0, b1, b0, 0x84, a2, a1, a0]
}
