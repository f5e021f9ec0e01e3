//! PIPEDREAM (INCONTROLLER): one framework, several makes of controller.
//!
//! Source: MITRE ATT&CK S1045; CISA AA22-103A, April 2022: Modbus registers of Schneider controllers read and written, Omron
//! controllers asked for their state, put into program mode and back (T0858), memory written (T0836, T0855, T0861, T0868).
//! Its parts for CODESYS, OPC UA and Telnet are left out.

use twinguard_protocol::protocols::omron;

use crate::speech::{Modbus, socket};
use crate::stage::{Playbook, illegal};

/// FINS header of the attacker's node 66 to node 61, and back.
const ASK: [u8; 10] = [0x80, 0, 2, 0, 61, 0, 0, 66, 0, 1];
const TELL: [u8; 10] = [0xc0, 0, 2, 0, 66, 0, 0, 61, 0, 1];

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "pipedream",
    incident: "found in April 2022 (S1045)",
    story: "registers of one make of controller are read and written; another make is stopped, rewritten and started",
    techniques: &["T0855", "T0858", "T0868", "T0836", "T0861", "T0801"],
    families: &["modbus", "omron"],
    script: |stage| {
        let mut link = Modbus::open(stage, socket(66, 49_800), socket(61, 502), 1);
        for block in 0..8 {
            link.read(stage, 3, 16 * block, &[0x55; 16])?;
        }
        for register in 0..16 {
            link.write(stage, register, 0)?;
        }
        link.close(stage);

        let mut link = stage.connect(socket(66, 49_801), socket(61, 9_600));
        // Controller status; monitor mode; program mode; write of ten words from D100; run mode (W342 §5-3).
        let status: &[u8] = &[
            0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20,
            0x20, 0x20, 0x20, 0x20, 0x20, 0x20,
        ];
        let mut write = vec![0x82, 0, 100, 0, 0, 10];
        write.extend_from_slice(&[0; 20]);
        let asked: [(u16, &[u8], &[u8]); 4] = [
            (0x0601, &[], status),
            (0x0402, &[], &[]),
            (0x0102, &write, &[]),
            (0x0401, &[0xff, 0xff, 4], &[]),
        ];
        for (command, body, told) in asked {
            let mut bytes = Vec::new();
            omron::Repr::new(ASK, command, None, body).map_err(illegal)?.emit_tcp(&mut bytes);
            stage.ask(&mut link, &bytes)?;
            bytes.clear();
            omron::Repr::new(TELL, command, Some(0), told).map_err(illegal)?.emit_tcp(&mut bytes);
            stage.answer(&mut link, &bytes)?;
            stage.wait(1_000.0);
        }
        stage.close(link);
        Ok(())
    },
};
