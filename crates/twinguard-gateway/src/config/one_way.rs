//! The tables of one-way lines: telemetry that goes out of a network, or comes into one, through a data diode.

use core::net::SocketAddr;
use core::time::Duration;
use std::path::{Path, PathBuf};

use twinguard::twin::problem::Problem;

use super::reader::Table;
use super::{bounded, must_address, seconds};
use crate::core::one_way::{Key, PIECES, State};

/// A line by which the points that the API takes go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneWaySend {
    /// Its name.
    pub name: String,
    /// Where the receiver listens, behind the diode.
    pub to: SocketAddr,
    /// The file with the key.
    pub key: PathBuf,
    /// Most datagrams of data in a block.
    pub data: u8,
    /// Datagrams of parity in a block: so many of it may be lost.
    pub parity: u8,
    /// How long points wait for more before they are sent.
    pub hold: Duration,
    /// How often something is sent when there are no points.
    pub beat: Duration,
    /// Most datagrams per second, so that none is lost because the other side cannot keep up.
    pub datagrams_per_second: u32,
}

/// A line by which points come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneWayReceive {
    /// Its name.
    pub name: String,
    /// Where datagrams come in.
    pub listen: SocketAddr,
    /// The file with the key.
    pub key: PathBuf,
    /// The file that says what has been heard, over restarts.
    pub state: PathBuf,
    /// How long lost datagrams of a block are waited for.
    pub patience: Duration,
    /// After how long without any datagram the line is told to be silent.
    pub silence: Duration,
}

/// Reads a key's file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn key(path: &Path) -> Result<Key, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    Key::parse(&text).ok_or_else(|| "must hold a key of 64 hexadecimal digits (32 random bytes)".to_owned())
}

/// Reads what a receiver has heard before; `None` where there is no such file yet.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn state(path: &Path) -> Result<Option<State>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.parse().map(Some).map_err(|_| "holds no state of a one-way receiver".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

/// What no two tables have in common.
#[derive(Default)]
struct Taken {
    names: Vec<String>,
    /// One key is for one pair of sender and receiver.
    keys: Vec<PathBuf>,
    listens: Vec<SocketAddr>,
    states: Vec<PathBuf>,
}

/// Reads the tables of all one-way lines; `api` says whether there is one.
pub(super) fn lines(
    table: &Table<'_, '_>,
    folder: &Path,
    api: bool,
) -> (Vec<OneWaySend>, Vec<OneWayReceive>) {
    let mut taken = Taken::default();
    let mut sends = Vec::new();
    let tables = table.tables("one_way_send");
    bounded(table, "one_way_send", tables.len());
    for inner in tables {
        if !api {
            let reason = "needs [api]: what goes out are the points that are told there";
            inner.reader().refuse(inner.at(), "one_way_send", reason);
        }
        sends.extend(send(&inner, folder, &mut taken));
        inner.finish();
    }
    let mut receives = Vec::new();
    let tables = table.tables("one_way_receive");
    bounded(table, "one_way_receive", tables.len());
    for inner in tables {
        receives.extend(receive(&inner, folder, &mut taken));
        inner.finish();
    }
    (sends, receives)
}

fn send(inner: &Table<'_, '_>, folder: &Path, taken: &mut Taken) -> Option<OneWaySend> {
    let (name, key) = name_and_key(inner, folder, taken);
    let to = must_address(inner, "to");
    let pieces = u32::from(PIECES) + 1;
    let (data, parity) = (inner.count("data", 1..pieces, 8), inner.count("parity", 0..pieces, 3));
    Some(OneWaySend {
        data: u8::try_from(data).unwrap_or(PIECES),
        parity: u8::try_from(parity).unwrap_or(PIECES),
        hold: seconds(inner, "hold_s", 0.2),
        beat: seconds(inner, "beat_s", 2.0),
        datagrams_per_second: inner.count("datagrams_per_second", 1..1_000_001, 2_000),
        name: name?,
        to: to?,
        key: key?,
    })
}

fn receive(inner: &Table<'_, '_>, folder: &Path, taken: &mut Taken) -> Option<OneWayReceive> {
    let (name, key) = name_and_key(inner, folder, taken);
    let listen = must_address(inner, "listen");
    if let Some(listen) = listen.filter(|it| it.port() != 0) {
        if taken.listens.contains(&listen) {
            let reason = format!("{listen} is taken by another line already");
            inner.reader().refuse(inner.place_of("listen"), "listen", reason);
        }
        taken.listens.push(listen);
    }
    let state = inner.must_text("state").map(|it| {
        let path = folder.join(&it.value);
        if let Err(reason) = self::state(&path) {
            inner.reader().refuse(it.at, &it.value, reason);
        }
        if taken.states.contains(&path) {
            inner.reader().refuse(it.at, "state", "is that of another line already");
        }
        taken.states.push(path.clone());
        path
    });
    Some(OneWayReceive {
        patience: seconds(inner, "patience_s", 2.0),
        silence: seconds(inner, "silence_s", 10.0),
        name: name?,
        listen: listen?,
        key: key?,
        state: state?,
    })
}

fn name_and_key(
    inner: &Table<'_, '_>,
    folder: &Path,
    taken: &mut Taken,
) -> (Option<String>, Option<PathBuf>) {
    let name = inner.must_text("name").map(|it| {
        if taken.names.contains(&it.value) {
            let problem = Problem::Duplicate { what: "one-way line", name: it.value.clone() };
            inner.reader().problem(it.at, problem);
        }
        taken.names.push(it.value.clone());
        it.value
    });
    let key = inner.must_text("key").map(|it| {
        let path = folder.join(&it.value);
        if let Err(reason) = self::key(&path) {
            inner.reader().refuse(it.at, &it.value, reason);
        }
        if taken.keys.contains(&path) {
            inner.reader().refuse(it.at, "key", "is that of another line already: each has its own");
        }
        taken.keys.push(path.clone());
        path
    });
    (name, key)
}
