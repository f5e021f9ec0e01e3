//! Reading fixed layouts without a way to run past the end.

/// What is left of some bytes, and how far in they start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        self.offset = self.offset.saturating_add(count);
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes `text` if it comes next.
    pub(crate) fn literal(&mut self, text: &str) -> Option<()> {
        let head = self.rest.get(..text.len())?;
        (head == text.as_bytes()).then(|| self.take(text.len())).flatten().map(|_| ())
    }

    /// Takes everything before the next `stop`, which stays.
    pub(crate) fn until(&mut self, stop: u8) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|&byte| byte == stop)?;
        self.take(end)
    }
}
