//! Maroochy: a former contractor with a radio and the station's software in his car.
//!
//! Source: MITRE ATT&CK C0020, 2000: false data and commands to pumping stations (T0848, T0855, T0856), alarms disabled at four
//! stations (T0878, T0838). The radio protocol is not public; DNP3 stands for it, as such networks speak today.

use twinguard_protocol::protocols::dnp3::{Function, Objects, Repr};

use crate::speech::socket;
use crate::stage::{Playbook, illegal};

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "maroochy",
    incident: "Maroochy Shire, 2000 (C0020)",
    story: "a strange master turns off the unasked reports of four stations, then their pumps",
    techniques: &["T0848", "T0855", "T0878", "T0838", "T0813"],
    families: &["dnp3"],
    script: |stage| {
        for station in 1..=4_u16 {
            let server = socket(70 + station as u8, 20_000);
            let mut link = stage.connect(socket(66, 49_900 + station), server);
            let (master, mut sequence) = (14, 0_u8);
            // Unsolicited reports of all three classes off: function 21 (IEEE 1815 §4.4.9).
            let classes = Objects::new().all(60, 2).all(60, 3).all(60, 4);
            let mut asked = vec![(Function(21), classes)];
            for pump in 0..2 {
                // Latch off, once.
                asked.push((Function::DIRECT_OPERATE, Objects::new().control(pump, 4, 1, 100, 100)));
            }
            for (function, objects) in asked {
                let request =
                    Repr::request(master, station, sequence, function, &objects).map_err(illegal)?;
                stage.ask(&mut link, &request.emit())?;
                let told = if function == Function::DIRECT_OPERATE { objects } else { Objects::new() };
                let answer = Repr::response(station, master, sequence, 0, &told).map_err(illegal)?;
                stage.answer(&mut link, &answer.emit())?;
                sequence = (sequence + 1) & 0x0f;
                stage.wait(2_000.0);
            }
            stage.close(link);
        }
        Ok(())
    },
};
