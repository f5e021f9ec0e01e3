//! Where the next message begins behind bytes that are none.

use crate::protocol::Cut;
use crate::registry::Family;

/// Where the first message ends; an end that cannot be is none.
#[inline]
pub(super) fn cut(family: Family, bytes: &[u8]) -> Cut {
    match family.cut(bytes) {
        Cut::Message(len) if len == 0 || len > bytes.len() => Cut::Foreign,
        cut => cut,
    }
}

/// How many bytes to skip to the next message, and whether one begins there; if not, what is left may begin one.
///
/// A message is believed when it is legal, or when it is exactly the newest segment, which begins at `boundary`. Where
/// nothing legal follows and no bytes are `torn` out, one with the mark of its family is believed as well.
/// Work is linear in the bytes: a family's `cut` is constant and its `probe` is asked once a place.
#[cold]
pub(super) fn resync(family: Family, bytes: &[u8], boundary: usize, torn: bool) -> (usize, bool) {
    if let Some(newest) = bytes.get(boundary..)
        && matches!(cut(family, newest), Cut::Message(len) if len == newest.len() || family.probe(newest.get(..len).unwrap_or_default()).is_some())
    {
        return (boundary, true);
    }
    let mut marked = None;
    for start in 0..bytes.len() {
        let rest = bytes.get(start..).unwrap_or_default();
        match cut(family, rest) {
            Cut::Message(len) if family.probe(rest.get(..len).unwrap_or_default()).is_some() => {
                return (start, true);
            }
            Cut::Message(_) if marked.is_none() && !torn && family.marked() => marked = Some(start),
            Cut::Message(_) | Cut::Foreign => {}
            Cut::More(_) => return marked.map_or((start, false), |marked| (marked, true)),
        }
    }
    marked.map_or((bytes.len(), false), |marked| (marked, true))
}
