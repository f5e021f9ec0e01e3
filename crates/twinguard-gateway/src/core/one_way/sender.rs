//! The side that tells.

use reed_solomon_simd::encode;
use twinguard::types::{Duration, Timestamp};

use super::block::{self, LENGTH};
use super::datagram::{Header, PIECE, PIECES, StreamId};
use super::seal::{Key, Sealer};
use crate::core::PointText;

/// How a sender protects what it tells, and how long it holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most pieces of data in a block, from 1 to [`PIECES`]; what lies outside is brought to the nearest of these.
    pub data: u8,
    /// Pieces of parity in every block, at most [`PIECES`]: so many datagrams of it may be lost.
    pub parity: u8,
    /// How long telemetry waits for more before its block is sent.
    pub hold: Duration,
    /// After how long without telemetry an empty block is sent.
    pub beat: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { data: 8, parity: 3, hold: Duration::from_millis(200), beat: Duration::from_secs(2) }
    }
}

/// A point that is longer than a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a point is longer than a block of {room} bytes: nothing of its batch is sent")]
pub struct TooLong {
    /// Bytes that one point may have as JSON text, in a list of its own.
    pub room: usize,
}

/// Turns batches of points into datagrams. Times that are given have to grow.
///
/// ```
/// use twinguard::types::{Duration, Timestamp};
/// use twinguard_gateway::core::PointText;
/// use twinguard_gateway::core::one_way::{Key, Receiver, Sender, Settings, StreamId, Told, Waits};
///
/// let key = Key::new(&[7; 32]);
/// let began = Timestamp::from_secs(100);
/// // The 16 bytes have to be random.
/// let mut sender = Sender::new(&key, StreamId([1; 16]), began, Settings::default());
/// let mut receiver = Receiver::new(&key, None, Waits::default());
///
/// let points: Vec<PointText> = serde_json::from_str(r#"[{"signal": "tank.level", "value": 1.5}]"#)?;
/// let mut datagrams = sender.push(began, &points)?;
/// datagrams.extend(sender.tick(began + Duration::from_secs(1)));
/// assert_eq!(datagrams.len(), 4, "one of data, three of parity");
/// // Any one of them is enough.
/// let told = receiver.take(began, &datagrams[2]);
/// assert_eq!(told, [Told::Batch(points)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Sender {
    sealer: Sealer,
    settings: Settings,
    stream: StreamId,
    began: Timestamp,
    /// Of the next datagram.
    sequence: u64,
    /// The number of the block that is filled.
    number: u64,
    block: Vec<u8>,
    /// Since when the block holds something.
    since: Option<Timestamp>,
    /// When the last block was sent.
    sent: Timestamp,
}

impl Sender {
    /// A sender that starts now. `stream` has to be random, and never that of another start with the same key; a receiver takes this
    /// one for the newest when `began` is later than those of the starts before.
    #[must_use]
    pub fn new(key: &Key, stream: StreamId, began: Timestamp, settings: Settings) -> Self {
        let settings = Settings {
            data: settings.data.clamp(1, PIECES),
            parity: settings.parity.min(PIECES),
            ..settings
        };
        Self {
            sealer: Sealer::new(key),
            settings,
            stream,
            began,
            sequence: 0,
            number: 0,
            block: Vec::new(),
            since: None,
            sent: began,
        }
    }

    /// Takes a batch, and gives the datagrams of blocks that became full. A batch that is longer than a block comes out as several.
    ///
    /// # Errors
    /// [`TooLong`] when a point alone is longer than a block.
    pub fn push(&mut self, now: Timestamp, points: &[PointText]) -> Result<Vec<Vec<u8>>, TooLong> {
        let room = self.room();
        let mut batches = Vec::new();
        cut(points, room - LENGTH, &mut batches)?;
        let mut datagrams = Vec::new();
        for batch in batches {
            if self.block.len() + LENGTH + batch.len() > room {
                datagrams.extend(self.close(now));
            }
            block::put(&mut self.block, &batch);
            self.since.get_or_insert(now);
        }
        Ok(datagrams)
    }

    /// Gives the datagrams of a block that was held for long enough, or of an empty one after long enough without any.
    pub fn tick(&mut self, now: Timestamp) -> Vec<Vec<u8>> {
        if self.next_deadline() <= now { self.close(now) } else { Vec::new() }
    }

    /// Gives the datagrams of the block as it is: before the sender ends, for example.
    pub fn close(&mut self, now: Timestamp) -> Vec<Vec<u8>> {
        let mut block = core::mem::take(&mut self.block);
        self.since = None;
        self.sent = now;
        let data = block.len().div_ceil(PIECE).max(1);
        let piece = block.len().div_ceil(data).max(1).next_multiple_of(2);
        block.resize(data * piece, 0);
        let parity = match self.settings.parity {
            0 => Vec::new(),
            // Counts and lengths are such as the code takes, so parity is never missing.
            count => encode(data, usize::from(count), block.chunks_exact(piece)).unwrap_or_default(),
        };
        let (Ok(data), Ok(count)) = (u8::try_from(data), u8::try_from(parity.len())) else {
            return Vec::new();
        };
        let mut datagrams = Vec::new();
        let pieces = block.chunks_exact(piece).chain(parity.iter().map(Vec::as_slice));
        for (place, piece) in (0..).zip(pieces) {
            let header = Header {
                stream: self.stream,
                began: self.began,
                sequence: self.sequence,
                block: self.number,
                place,
                data,
                parity: count,
            };
            // At a million datagrams a second the numbers last for half a million years; a nonce would come twice behind them.
            let Some(next) = self.sequence.checked_add(1) else { break };
            self.sequence = next;
            datagrams.extend(self.sealer.seal(&header, piece));
        }
        self.number = self.number.saturating_add(1);
        datagrams
    }

    /// When [`Sender::tick`] wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Timestamp {
        match self.since {
            Some(since) => since + self.settings.hold,
            None => self.sent + self.settings.beat,
        }
    }

    /// Bytes of a block.
    fn room(&self) -> usize {
        usize::from(self.settings.data) * PIECE
    }
}

/// The batch as JSON, in as many halves as are needed for each to fit.
fn cut(points: &[PointText], room: usize, out: &mut Vec<Vec<u8>>) -> Result<(), TooLong> {
    if points.is_empty() {
        return Ok(());
    }
    // A record of numbers and texts can always be written.
    let Ok(json) = serde_json::to_vec(points) else { return Err(TooLong { room }) };
    if json.len() <= room {
        out.push(json);
        return Ok(());
    }
    if points.len() == 1 {
        return Err(TooLong { room });
    }
    let (first, second) = points.split_at(points.len() / 2);
    cut(first, room, out)?;
    cut(second, room, out)
}
