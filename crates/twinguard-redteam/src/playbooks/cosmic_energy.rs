//! CosmicEnergy: two commands to the breakers of remote terminals, by way of a database server.
//!
//! Source: Mandiant, "COSMICENERGY: new OT malware possibly related to Russian emergency response exercises", May 2023:
//! IEC 60870-5-104 on and off commands to remote terminal units (T0855, T0831); MITRE ATT&CK for ICS. No interrogation, no select.

use crate::speech::{Station, socket};
use crate::stage::Playbook;

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "cosmic_energy",
    incident: "found in 2023 (COSMICENERGY)",
    story: "from a server that the terminals know, each gets two commands and nothing else",
    techniques: &["T0855", "T0831", "T0886"],
    families: &["iec104"],
    script: |stage| {
        for station in 1..=4_u16 {
            let mut link = Station::open(
                stage,
                socket(20, 50_200 + station),
                socket(10 + station as u8, 2404),
                station,
            )?;
            link.command(stage, false, 3_001, 0, false)?;
            link.command(stage, false, 3_002, 0, false)?;
            link.close(stage)?;
            stage.wait(500.0);
        }
        Ok(())
    },
};
