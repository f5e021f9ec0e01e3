//! Oldsmar: a set-point raised a hundredfold by somebody at the operator's screen.
//!
//! Source: CISA alert AA21-042A, February 2021: remote desktop, sodium hydroxide from 100 to 11,100 ppm for minutes (T0836, T0886, T0859
//! of MITRE ATT&CK for ICS). On the wire: one write from the address that always writes.

use crate::speech::{Modbus, socket};
use crate::stage::Playbook;

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "oldsmar",
    incident: "Oldsmar, February 2021 (AA21-042A)",
    story: "from the operator's own station one set-point is raised a hundredfold, and put back after minutes",
    techniques: &["T0836", "T0886", "T0859", "T0831"],
    families: &["modbus"],
    script: |stage| {
        let mut link = Modbus::open(stage, socket(20, 50_500), socket(41, 502), 1);
        link.read(stage, 3, 40, &[100])?;
        stage.wait(60_000.0);
        link.write(stage, 40, 11_100)?;
        for _ in 0..20 {
            stage.wait(15_000.0);
            link.read(stage, 3, 40, &[11_100])?;
        }
        link.write(stage, 40, 100)?;
        link.close(stage);
        Ok(())
    },
};
