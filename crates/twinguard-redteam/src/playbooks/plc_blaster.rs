//! PLC-Blaster: a worm that goes from controller to controller.
//!
//! Source: MITRE ATT&CK S1006; R. Spenneberg et al., Black Hat Asia 2016: the controller is stopped (T0858), the worm's blocks go down
//! (T0843), it is started, and the new host looks for the next one (T0846). The first two generations.

use crate::speech::{S7, socket};
use crate::stage::Playbook;

const WORM: [u8; 200] = [0; 200];

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "plc_blaster",
    incident: "shown in 2016 (S1006)",
    story: "each controller is looked at, stopped, loaded and started by the one before it",
    techniques: &["T0858", "T0843", "T0846", "T0889", "T0866"],
    families: &["s7comm"],
    script: |stage| {
        for (turn, (from, to)) in [(66_u8, 51_u8), (51, 52), (52, 53)].into_iter().enumerate() {
            // The neighbours are tried first.
            for probed in to..to + 3 {
                let port = 50_700 + 10 * turn as u16 + u16::from(probed - to);
                let probe = stage.connect(socket(from, port), socket(probed, 102));
                stage.close(probe);
            }
            let mut link = S7::open(stage, socket(from, 50_750 + turn as u16), socket(to, 102))?;
            link.read(stage, 1, 0, &[0; 8])?;
            link.stop(stage)?;
            link.download(stage, "_0800001P", &WORM)?;
            link.download(stage, "_0B00250P", &WORM)?;
            link.start(stage)?;
            link.close(stage);
            stage.wait(10_000.0);
        }
        Ok(())
    },
};
