//! What each fuzz target does with its bytes. `cargo fuzz` calls these functions, and so does `cargo test`, which
//! replays the corpus: a finding, once committed to the corpus, is a test for ever.
//!
//! A function may not panic, may not run away in time or memory, and checks what must hold for any input.

use twinguard::protocol::capture::Reader;

/// Does one thing to one input.
pub type Target = fn(&[u8]);

/// All targets by name, in alphabetical order.
pub const TARGETS: &[(&str, Target)] = &[("capture", capture)];

/// A capture file of either format: every frame it gives lies within the input.
pub fn capture(data: &[u8]) {
    let Ok(mut reader) = Reader::new(data) else { return };
    let mut bytes = 0;
    while let Ok(Some(frame)) = reader.next_frame() {
        bytes += frame.bytes.len();
    }
    assert!(bytes <= data.len(), "more bytes came out than went in");
}
