//! Messages of one family from the captures of the data folder (`TWINGUARD_DATA`, else `../shared/data`), for the benches that
//! read single messages.

use std::path::{Path, PathBuf};

use twinguard::protocol::stack::{Config, Stack};
use twinguard::protocol::{Item, Message, capture};

/// A name and its messages.
pub type Input = (String, Vec<Vec<u8>>);

/// What was generated, then the messages that `keep` keeps of every capture in `folder` that has at least `least` of them.
pub fn inputs(
    generated: Vec<Vec<u8>>,
    folder: &str,
    least: usize,
    keep: impl Fn(&Message<'_>) -> bool,
) -> Vec<Input> {
    let data = std::env::var_os("TWINGUARD_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let mut files: Vec<_> = std::fs::read_dir(data.join("captures").join(folder))
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let found = files.iter().map(|path| (name(path), messages(path, &keep)));
    let found = found.filter(|(_, messages)| messages.len() >= least);
    std::iter::once(("generated".to_owned(), generated)).chain(found).collect()
}

fn messages(path: &Path, keep: impl Fn(&Message<'_>) -> bool) -> Vec<Vec<u8>> {
    let file = std::fs::read(path).unwrap();
    let mut reader = capture::Reader::new(file.as_slice()).unwrap();
    let mut stack = Stack::new(Config::default());
    let mut messages = Vec::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        stack.handle(&frame);
        while let Some(item) = stack.poll() {
            if let Item::Message(message) = item
                && keep(&message)
            {
                messages.push(message.bytes.to_vec());
            }
        }
    }
    messages
}
