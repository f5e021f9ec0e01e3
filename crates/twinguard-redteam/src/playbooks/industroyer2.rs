//! Industroyer2: a list of stations, interrogated, then every object switched in order.
//!
//! Source: MITRE ATT&CK S1072, Ukraine 2022: hard-coded stations and object addresses, data transfer started, general
//! interrogation, select-before-operate commands over IEC 60870-5-104 (T0801, T0802, T0806, T0836, T0855).

use crate::speech::{Station, socket};
use crate::stage::Playbook;

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "industroyer2",
    incident: "Ukraine, April 2022 (S1072)",
    story: "three stations are interrogated, then each of their breakers is selected and opened, in order of address",
    techniques: &["T0855", "T0806", "T0801", "T0802", "T0836"],
    families: &["iec104"],
    script: |stage| {
        for (turn, station) in [(0_u16, 3_u16), (1, 2), (2, 1)] {
            let server = socket(10 + station as u8, 2404);
            let mut link = Station::open(stage, socket(66, 49_000 + turn), server, station)?;
            link.interrogate(stage, 1_101..1_125)?;
            for point in 1_101..1_109 {
                link.command(stage, true, point, 1, true)?;
                stage.wait(3_000.0);
            }
            link.close(stage)?;
        }
        Ok(())
    },
};
