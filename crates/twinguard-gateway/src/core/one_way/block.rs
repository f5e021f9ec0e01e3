//! What a block holds: batches, each behind its length in four bytes, and zeros up to the end.

/// Bytes before each batch.
pub(super) const LENGTH: usize = 4;

/// Adds a batch to a block. A batch without bytes would end the block, and is left out.
pub(super) fn put(block: &mut Vec<u8>, batch: &[u8]) {
    let Some(length) = u32::try_from(batch.len()).ok().filter(|it| *it > 0) else { return };
    block.extend_from_slice(&length.to_be_bytes());
    block.extend_from_slice(batch);
}

/// The batches of a block; `None` where its bytes are not such a list.
pub(super) fn batches(mut block: &[u8]) -> Option<Vec<&[u8]>> {
    let mut batches = Vec::new();
    while let Some((length, rest)) = block.split_first_chunk::<LENGTH>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        if length == 0 {
            break;
        }
        let (batch, rest) = rest.split_at_checked(length)?;
        batches.push(batch);
        block = rest;
    }
    block.iter().all(|byte| *byte == 0).then_some(batches)
}
