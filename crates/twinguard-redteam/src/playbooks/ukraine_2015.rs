//! Ukraine 2015: operators watch while their own stations open one breaker after the other; then the gateways fall silent.
//!
//! Source: MITRE ATT&CK C0028 (2015 Ukraine electric power attack): remote use of the operators' workstations (T0823, T0859),
//! breakers opened (T0855), firmware of serial gateways overwritten (T0839), so that nothing can be closed again (T0803,
//! T0804). On the wire: commands from the known address, then connections that nobody answers.

use crate::speech::{Station, socket};
use crate::stage::Playbook;

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "ukraine_2015",
    incident: "Ukraine, December 2015 (C0028)",
    story: "from the operators' own station breakers are opened at seven substations, which then fall silent",
    techniques: &["T0855", "T0859", "T0803", "T0804", "T0831"],
    families: &["iec104"],
    script: |stage| {
        for station in 1..=7_u16 {
            let mut link = Station::open(
                stage,
                socket(20, 50_300 + station),
                socket(10 + station as u8, 2404),
                station,
            )?;
            link.interrogate(stage, 1..13)?;
            for point in 101..105 {
                link.command(stage, true, point, 1, true)?;
                // A hand moves the mouse.
                stage.wait(4_000.0);
            }
            // The gateway is gone: no end of the connection.
        }
        for station in 1..=7_u16 {
            let mut silent = stage.connect(socket(20, 50_400 + station), socket(10 + station as u8, 2404));
            stage.ask(&mut silent, &[0x68, 4, 7, 0, 0, 0])?;
            stage.wait(15_000.0);
        }
        Ok(())
    },
};
