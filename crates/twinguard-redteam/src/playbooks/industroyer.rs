//! Industroyer (CrashOverride): breakers opened and closed in an endless loop.
//!
//! Source: MITRE ATT&CK S0604, Kyiv 2016: its module for IEC 60870-5-104 iterates over a range of object addresses and
//! toggles their state (T0806, T0855, T0831); the loop is cut after four rounds here.

use crate::speech::{Station, socket};
use crate::stage::Playbook;

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "industroyer",
    incident: "Kyiv, December 2016 (S0604)",
    story: "a range of breakers is opened and closed again and again",
    techniques: &["T0806", "T0855", "T0831", "T0827"],
    families: &["iec104"],
    script: |stage| {
        let mut link = Station::open(stage, socket(66, 49_100), socket(11, 2404), 1)?;
        for round in 0..4_u8 {
            for point in 2_001..2_011 {
                link.command(stage, false, point, round % 2, false)?;
                stage.wait(200.0);
            }
        }
        link.close(stage)
    },
};
