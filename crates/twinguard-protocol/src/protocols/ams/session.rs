//! What a connection has to remember: open requests, symbols by handle, memories by notification.
//!
//! Source: Beckhoff Information System, *TwinCAT ADS/AMS Specification*, "ADS Add Device Notification"; *ADS Index
//! Groups* of the symbol services (`ADSIGRP_SYM_*`).

use std::collections::{BTreeMap, VecDeque};

use super::view::{Body, View};

/// Requests whose answers are awaited; the oldest go.
pub const REQUESTS_MAX: usize = 64;
/// Requests whose data are kept besides: names of symbols, lists of memories.
pub const TEXTS_MAX: usize = 16;
/// The longest data kept of a request, in bytes.
pub const TEXT_MAX: usize = 16 << 10;
/// Symbols, and as many notifications, of one connection; the lowest handles go.
pub const HANDLES_MAX: usize = 4096;
/// The longest name of a symbol.
pub const NAME_MAX: usize = 255;

/// `ADSIGRP_SYM_HNDBYNAME`: the handle of a symbol.
pub(super) const HANDLE_BY_NAME: u32 = 0xf003;
/// `ADSIGRP_SYM_VALBYNAME`: the value of a symbol.
pub(super) const VALUE_BY_NAME: u32 = 0xf004;
/// `ADSIGRP_SYM_VALBYHND`: the value of the symbol of a handle.
pub(super) const VALUE_BY_HANDLE: u32 = 0xf005;
/// `ADSIGRP_SUMUP_READ`: many memories at once.
pub(super) const SUM_READ: u32 = 0xf080;
/// `ADSIGRP_SUMUP_WRITE`.
pub(super) const SUM_WRITE: u32 = 0xf081;

/// The state of one connection.
#[derive(Debug, Default)]
pub struct Session {
    requests: VecDeque<Entry>,
    texts: VecDeque<(u64, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
    /// The data of the request that the last message answered.
    answered: Vec<u8>,
    tables: Tables,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    group: u32,
    offset: u32,
}

/// What handles stand for.
#[derive(Debug, Default)]
pub struct Tables {
    /// By the device's port and handle.
    names: BTreeMap<(u16, u32), Vec<u8>>,
    /// By the ports of device and client, and handle.
    notes: BTreeMap<(u16, u16, u32), (u32, u32)>,
}

impl Tables {
    /// The name of a symbol.
    pub(super) fn name(&self, port: u16, handle: u32) -> Option<&[u8]> {
        self.names.get(&(port, handle)).map(Vec::as_slice)
    }

    /// The memory that a notification tells of.
    pub(super) fn note(&self, device: u16, client: u16, handle: u32) -> Option<(u32, u32)> {
        self.notes.get(&(device, client, handle)).copied()
    }
}

/// A request and its response have this in common on one connection: invoke id and both ports.
pub(super) fn key(view: &View<'_>) -> u64 {
    u64::from(view.invoke()) << 32 | u64::from(view.device().port) << 16 | u64::from(view.client().port)
}

/// A name as it is sent: without what follows the first zero byte; `None` for what no tag can say.
pub(super) fn symbol(data: &[u8]) -> Option<&[u8]> {
    let name = data.split(|byte| *byte == 0).next()?;
    let plain = name.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b'@'));
    let begins = name.first().is_some_and(|first| !first.is_ascii_digit());
    (plain && begins && name.len() <= NAME_MAX).then_some(name)
}

impl Session {
    /// Completes a message by what came before, and takes note of it.
    pub(super) fn read<'a>(&'a mut self, mut view: View<'a>) -> View<'a> {
        let key = key(&view);
        match view.body() {
            Body::Read { group, offset, .. } | Body::Notify { group, offset, .. } => {
                self.ask(Entry { key, group, offset }, None);
            }
            Body::ReadWrite { group, offset, data, .. } => {
                let kept = matches!(group, HANDLE_BY_NAME | VALUE_BY_NAME | SUM_READ);
                self.ask(Entry { key, group, offset }, Some(data).filter(|_| kept));
            }
            _ if view.is_response() => self.answer(&mut view, key),
            _ => {}
        }
        view.held = if view.is_response() { &self.answered } else { &[] };
        view.tables = Some(&self.tables);
        view
    }

    fn ask(&mut self, entry: Entry, text: Option<&[u8]>) {
        self.requests.retain(|held| held.key != entry.key);
        if self.requests.len() >= REQUESTS_MAX {
            self.requests.pop_front();
        }
        if self.requests.capacity() == 0 {
            self.requests.reserve_exact(REQUESTS_MAX);
        }
        self.requests.push_back(entry);
        let Some(text) = text.filter(|text| text.len() <= TEXT_MAX) else { return };
        self.forget(entry.key);
        if self.texts.len() >= TEXTS_MAX
            && let Some((_, old)) = self.texts.pop_front()
        {
            self.spare.push(old);
        }
        let mut held = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(1024));
        held.clear();
        held.extend_from_slice(text);
        self.texts.push_back((entry.key, held));
    }

    /// Lets the data of a request go.
    fn forget(&mut self, key: u64) {
        if let Some(place) = self.texts.iter().position(|(held, _)| *held == key)
            && let Some((_, old)) = self.texts.remove(place)
        {
            self.spare.push(old);
        }
    }

    fn answer(&mut self, view: &mut View<'_>, key: u64) {
        self.answered.clear();
        let Some(place) = self.requests.iter().position(|entry| entry.key == key) else { return };
        let Some(Entry { group, offset, .. }) = self.requests.remove(place) else { return };
        view.asked = Some((group, offset));
        if let Some((_, text)) = self.texts.iter().find(|(held, _)| *held == key) {
            self.answered.extend_from_slice(text);
        }
        self.forget(key);
        let (device, client) = (view.device().port, view.client().port);
        match view.body() {
            Body::Data { result: 0, data } if group == HANDLE_BY_NAME => {
                if let (Some(handle), Some(name)) = (data.first_chunk(), symbol(&self.answered)) {
                    let names = &mut self.tables.names;
                    if names.len() >= HANDLES_MAX {
                        names.pop_first();
                    }
                    let held = names.entry((device, u32::from_le_bytes(*handle))).or_default();
                    held.clear();
                    held.extend_from_slice(name);
                }
            }
            Body::Handle { result: 0, handle } => {
                let notes = &mut self.tables.notes;
                if notes.len() >= HANDLES_MAX {
                    notes.pop_first();
                }
                notes.insert((device, client, handle), (group, offset));
            }
            _ => {}
        }
    }
}
