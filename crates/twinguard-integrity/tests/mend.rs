//! A journal whose storage fails for a while, in the middle of any write, goes on without a restart and loses nothing that was
//! made to last.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use twinguard_integrity::storage::{Memory, Part, Storage};
use twinguard_integrity::{Error, Journal, SigningKey};
use twinguard_types::{Label, Timestamp};

/// Writes number `from` up to `to` fail, appends with half of their bytes written.
#[derive(Clone, Debug)]
struct Flaky {
    inner: Arc<Mutex<Memory>>,
    writes: u64,
    from: u64,
    to: u64,
}

impl Flaky {
    fn new(from: u64, length: u64) -> Self {
        Self { inner: Arc::default(), writes: 0, from, to: from + length }
    }

    fn write(&mut self) -> Result<(), Error> {
        self.writes += 1;
        let fails = (self.from..self.to).contains(&self.writes);
        if fails { Err(Error::Policy { reason: "no space left on device" }) } else { Ok(()) }
    }
}

impl Storage for Flaky {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, Error> {
        self.inner.lock().unwrap().read(part)
    }
    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        self.write()?;
        self.inner.lock().unwrap().replace(part, bytes)
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Err(error) = self.write() {
            self.inner.lock().unwrap().append(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.inner.lock().unwrap().append(bytes)
    }
    fn remove_partial(&mut self, full: Part) -> Result<(), Error> {
        self.write()?;
        self.inner.lock().unwrap().remove_partial(full)
    }
    fn remove(&mut self, part: Part) -> Result<(), Error> {
        self.write()?;
        self.inner.lock().unwrap().remove(part)
    }
    fn sync(&mut self) -> Result<(), Error> {
        self.write()
    }
}

#[test]
fn it_goes_on_wherever_its_storage_failed() {
    let key = SigningKey::from_seed("plant.example/journal", &[3; 32]).unwrap();
    let label = Label::literal("verdict");
    let mut failures = 0;
    // Around the bundle that is full after 256 entries every single write, elsewhere now and then.
    for from in (2..700).filter(|from| from % 37 == 0 || (300..345).contains(from)) {
        for length in [1, 2, 7] {
            let storage = Flaky::new(from, length);
            let kept = storage.inner.clone();
            let Ok((mut journal, _)) = Journal::open(storage) else { continue };
            let mut lasting = (0, journal.root());
            for n in 0..600_u32 {
                let at = Timestamp::from_secs(n.into());
                let mut done = journal.append(label, at, &n.to_be_bytes()).map(drop);
                if n % 5 == 4 {
                    done = done.and_then(|()| journal.sync());
                    if done.is_ok() {
                        lasting = (journal.size(), journal.root());
                    }
                }
                if n % 250 == 249 {
                    done = done.and_then(|()| journal.checkpoint(&key).map(drop));
                    if done.is_ok() {
                        lasting = (journal.size(), journal.root());
                    }
                }
                if done.is_err() {
                    failures += 1;
                    assert!(journal.is_broken());
                    assert!(matches!(journal.append(label, at, b"no"), Err(Error::Broken)));
                    while journal.mend().is_err() {
                        assert!(journal.is_broken());
                    }
                    assert!(!journal.is_broken() && journal.size() >= lasting.0, "{from} {length} {n}");
                }
            }
            journal.sync().unwrap();
            assert!(journal.size() >= 600 - 15, "{from} {length}");
            let (again, found) = Journal::open(kept.lock().unwrap().clone()).unwrap();
            assert_eq!(
                (again.size(), again.root(), found.dropped_bytes),
                (journal.size(), journal.root(), 0)
            );
        }
    }
    assert!(failures > 100, "{failures}");
}

#[test]
fn what_was_made_to_last_has_to_be_there() {
    let storage = Flaky::new(u64::MAX / 2, 0);
    let kept = storage.inner.clone();
    let (mut journal, _) = Journal::open(storage).unwrap();
    let label = Label::literal("verdict");
    journal.append(label, Timestamp::ZERO, b"one").unwrap();
    let early = kept.lock().unwrap().clone();
    journal.append(label, Timestamp::ZERO, b"two").unwrap();
    journal.sync().unwrap();
    *kept.lock().unwrap() = early;
    assert!(matches!(journal.mend(), Err(Error::Truncated { leaves: 1, signed: 2 })));
    assert!(journal.is_broken());
    let (mut other, _) = Journal::open(Memory::default()).unwrap();
    other.append(label, Timestamp::ZERO, b"one").unwrap();
    other.append(label, Timestamp::ZERO, b"too").unwrap();
    *kept.lock().unwrap() = other.into_storage();
    assert!(matches!(journal.mend(), Err(Error::Forked { size: 2 })));
}
