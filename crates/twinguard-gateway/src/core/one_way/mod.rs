//! Telemetry through a data diode: datagrams that go in one direction, with nothing that ever comes back.
//!
//! A [`Sender`] turns batches of points into datagrams of at most [`LARGEST`] bytes, a [`Receiver`] turns datagrams into the
//! same batches. Both are without sockets, clocks and randomness: time comes in with the data, and so does the number of a stream.
//!
//! ```text
//! points ─► batch ─► block ─┬► data 0 … k-1  ─┐ sealed,        ┌─► block ─► batch ─► points
//!                           └► parity 0 … m-1 ┴─► datagrams ──►┴─► gaps
//! ```
//!
//! **Blocks.** Batches are gathered into a block until it is full or has been held for [`Settings::hold`]. A block is cut into as
//! many pieces of equal length as it needs, at most [`Settings::data`], and [`Settings::parity`] more are computed from them
//! (Reed–Solomon): any as many as there are pieces of data bring the block back. While there is nothing to tell, an empty block
//! every [`Settings::beat`] shows that the sender lives and lets the receiver see what was lost at the end.
//!
//! **Datagrams.** Each is sealed by XChaCha20-Poly1305 under a key that both sides were given; its header ([`Header`]) is readable and
//! sealed as well. The nonce is the stream's 16 bytes and the 64-bit sequence number: it never comes twice as long as no two
//! starts of a sender under one key are given the same [`StreamId`], which has to be random.
//!
//! What is guaranteed:
//! - a batch comes out as it went in, at most once and in order, whatever order or number of times its datagrams come;
//! - what was altered, forged, or sealed under another key changes nothing; it is counted ([`Counts::forged`]);
//! - a stream that began before one that was heard is refused, whoever sends it again ([`Counts::old`]). What has been heard is
//!   [`State`]: keep it over a restart of the receiver, and nothing is taken twice after it either;
//! - any loss of at most [`Settings::parity`] datagrams of a block is made good; more is told as a [`Gap`], never in silence, at the latest
//!   [`Waits::patience`] after a datagram of the block or of the next one has come; a line that is dead is told by [`Told::Silent`];
//! - memory is bounded: [`WINDOW`] blocks and no more, for datagrams of the key's holder alone.
//!
//! What is not:
//! - nothing is sent again: what a gap holds is lost for this side. Two faults that take more than the parity of one block, a
//!   broken cable for example, are a gap;
//! - a sender whose clock was set back between two starts is taken for a replay until its clock has caught up, and so is every sender after
//!   a start with a clock that was far ahead;
//! - a receiver without [`State`] takes the first stream that comes, an old one as well;
//! - who has the key can send whatever they like. One key is for one pair of sender and receiver;
//! - that something is sent, how much and when, can be seen on the line;
//! - **no command comes this way**: a block holds points, and whatever is not a list of points is not read.
//!
//! Sources: RFC 8439 and draft-irtf-cfrg-xchacha-03 §2 (the cipher); RFC 6363 §3 and §6 (erasure codes over datagrams, repair symbols
//! of a source block); RFC 4303 §3.4.3 (a window against replays, here over blocks); S.-J. Lin, T. Y. Al-Naffouri, Y. S. Han,
//! "FFT algorithm for binary extension finite fields and its application to Reed–Solomon codes", IEEE Trans. Inf. Theory 62(10), 2016
//! (the code below us).

mod block;
mod datagram;
mod intake;
mod receiver;
mod seal;
mod sender;
mod state;

pub use datagram::{HEADER, Header, LARGEST, Malformed, PIECE, PIECES, StreamId, TAG};
pub(super) use intake::Line;
pub use intake::Taken;
pub use receiver::{Counts, Gap, Receiver, Told, WINDOW, Waits};
pub use seal::Key;
pub use sender::{Sender, Settings, TooLong};
pub use state::{NoState, State};

#[cfg(test)]
mod tests;
