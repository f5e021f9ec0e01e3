//! FrostyGoop: heating controllers read and rewritten over Modbus TCP.
//!
//! Source: MITRE ATT&CK S1165, Lviv, January 2024: holding registers of ENCO controllers read and written (functions 3, 6 and 16;
//! T0836, T0801, T0869, T0885), so that they report wrong temperatures and heat no more.

use crate::speech::{Modbus, socket};
use crate::stage::Playbook;

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "frosty_goop",
    incident: "Lviv, January 2024 (S1165)",
    story: "holding registers of heating controllers are read, then written with values that stop the heating",
    techniques: &["T0836", "T0801", "T0869", "T0885", "T0855"],
    families: &["modbus"],
    script: |stage| {
        for controller in 1..=4_u8 {
            let server = socket(30 + controller, 502);
            let mut link = Modbus::open(stage, socket(66, 49_500 + u16::from(controller)), server, 0);
            for block in 0..4 {
                link.read(stage, 3, 53_370 + 10 * block, &[650, 700, 1, 0, 20, 55, 60, 80, 0, 1])?;
            }
            for (register, value) in [(53_370, 0), (53_371, 0), (53_375, 5), (53_376, 5), (53_377, 5)] {
                link.write(stage, register, value)?;
                stage.wait(100.0);
            }
            link.close(stage);
        }
        Ok(())
    },
};
