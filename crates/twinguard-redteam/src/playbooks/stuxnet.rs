//! Stuxnet: blocks replaced in the controller, then weeks of nothing, then bursts on the frequency of drives.
//!
//! Source: MITRE ATT&CK S0603: organisation blocks OB1 and OB35 infected by download (T0843, T0889, T0821), peripheral inputs
//! recorded, output image blocked (T0835), maximum frequency 1410, 2, 1064 Hz (T0836). S7comm as between engineering
//! station and controller; the recorded weeks are one minute here.

use crate::speech::{S7, socket};
use crate::stage::Playbook;

/// A block's worth of code that does nothing.
const CODE: [u8; 64] = [0; 64];

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "stuxnet",
    incident: "Natanz, 2009 to 2010 (S0603)",
    story: "blocks go down to the controller, values are watched for long, then the drives' frequency is driven to and fro",
    techniques: &["T0843", "T0889", "T0821", "T0835", "T0836", "T0801"],
    families: &["s7comm"],
    script: |stage| {
        let mut link = S7::open(stage, socket(21, 50_600), socket(51, 102))?;
        for block in ["_0800001P", "_0800035P", "_0C00869P"] {
            link.download(stage, block, &CODE)?;
        }
        for _ in 0..13 {
            link.read(stage, 888, 0, &[0x04, 0x28, 0x00, 0x01])?;
            stage.wait(5_000.0);
        }
        for hertz in [1_410_u16, 2, 1_064] {
            link.write(stage, 890, 10, &hertz.to_be_bytes())?;
            stage.wait(20_000.0);
        }
        link.close(stage);
        Ok(())
    },
};
