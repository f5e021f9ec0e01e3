//! Incidents: real messages that our own decoders read without a complaint, the same for the same seed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeSet;

use twinguard_protocol::{Frame, Item, LinkType, Stack, stack};
use twinguard_redteam::{PLAYBOOKS, Playbook};
use twinguard_types::Timestamp;

fn frames(playbook: &Playbook, seed: u64) -> Vec<(Timestamp, Vec<u8>)> {
    let mut frames = Vec::new();
    let start = Timestamp::from_secs(1_700_000_000);
    playbook.perform(start, seed, &mut |at, frame| frames.push((at, frame.to_vec()))).unwrap();
    frames
}

#[test]
fn every_message_is_read_without_a_complaint() {
    assert!(PLAYBOOKS.len() >= 10);
    for playbook in PLAYBOOKS {
        let mut stack = Stack::new(stack::Config::default());
        let mut families: BTreeSet<String> = BTreeSet::new();
        let mut complaints: Vec<String> = Vec::new();
        for (index, (at, bytes)) in frames(playbook, 1).iter().enumerate() {
            let original_len = bytes.len() as u32;
            stack.handle(&Frame {
                index: index as u64,
                at: *at,
                link: LinkType::Ethernet,
                bytes,
                original_len,
            });
            while let Some(item) = stack.poll() {
                match item {
                    Item::Message(message) => {
                        // What nobody here decodes may look like anything.
                        let family = message.family().to_string();
                        let own = playbook.families.contains(&family.as_str());
                        families.insert(family);
                        if own && !message.oddities.is_empty() {
                            complaints.push(format!("frame {index}: {:?}", message.oddities));
                        }
                    }
                    Item::Malformed(malformed) if !playbook.families.is_empty() => {
                        complaints.push(format!("frame {index}: {malformed:?}"))
                    }
                    _ => {}
                }
            }
        }
        assert!(complaints.is_empty(), "{}: {complaints:?}", playbook.name);
        for family in playbook.families {
            assert!(families.contains(*family), "{}: {family} not among {families:?}", playbook.name);
        }
    }
}

#[test]
fn frames_are_in_order_and_repeat() {
    for playbook in PLAYBOOKS {
        let once = frames(playbook, 3);
        assert!(once.is_sorted_by(|a, b| a.0 <= b.0), "{}", playbook.name);
        assert_eq!(once, frames(playbook, 3), "{}", playbook.name);
        assert_ne!(once, frames(playbook, 4), "{}: other pauses", playbook.name);
    }
}

// cosmic_energy, frosty_goop, fuxnet, industroyer, industroyer2, maroochy, oldsmar, pipedream, plc_blaster, stuxnet,
// ukraine_2015: each by name.
#[test]
fn incidents_are_found_by_name() {
    for playbook in PLAYBOOKS {
        assert_eq!(Playbook::named(playbook.name).map(|found| found.story), Some(playbook.story));
        assert!(playbook.techniques.iter().all(|id| id.starts_with("T08") && id.len() == 5));
    }
}
