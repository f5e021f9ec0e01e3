//! Captures of the families of which only headers are read: every conversation is found, by its port and without it.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use twinguard_protocol::capture::Reader;
use twinguard_protocol::stack::Config;
use twinguard_protocol::{Item, Stack};

/// Messages and odd messages by family.
fn read(capture: &Path, config: &Config) -> BTreeMap<String, (u64, u64)> {
    let file = fs::read(capture).unwrap();
    let mut reader = Reader::new(file.as_slice()).unwrap();
    let mut stack = Stack::new(config.clone());
    let mut found = BTreeMap::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        stack.handle(&frame);
        while let Some(item) = stack.poll() {
            if let Item::Message(message) = item {
                let count: &mut (u64, u64) = found.entry(message.family().to_string()).or_default();
                count.0 += 1;
                count.1 += u64::from(!message.oddities.is_empty());
            }
        }
    }
    found
}

#[test]
fn every_conversation_is_found() {
    let root = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    for folder in ["bsap", "cotp", "fox", "genisys", "melsec", "roc_plus"] {
        let captures = fs::read_dir(root.join("captures").join(folder)).into_iter().flatten();
        let mut captures: Vec<_> = captures.map(|entry| entry.unwrap().path()).collect();
        captures.sort();
        for capture in captures {
            let found = read(&capture, &Config::default());
            let name = capture.file_name().unwrap().to_string_lossy();
            println!("{folder}/{name}: {found:?}");
            let family = if folder == "cotp" { "s7comm_plus" } else { folder };
            let (messages, odd) = found.get(family).copied().unwrap_or_default();
            // ROC Plus: in that capture both ends ask.
            assert!(messages > 0 && odd * 2 <= messages, "{folder}/{name}: {found:?}");
        }
    }
}
