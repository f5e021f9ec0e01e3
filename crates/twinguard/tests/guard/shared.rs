//! A journal's storage that more than one can see.

use std::sync::{Arc, Mutex};

use twinguard::integrity::Error;
use twinguard::integrity::storage::{Memory, Part, Storage};

/// A storage that can be looked at, and copied, while a journal is kept in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Memory>>);

impl Shared {
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }
}

impl Storage for Shared {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, Error> {
        self.0.lock().unwrap().read(part)
    }
    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), Error> {
        self.0.lock().unwrap().replace(part, bytes)
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.lock().unwrap().append(bytes)
    }
    fn remove_partial(&mut self, full: Part) -> Result<(), Error> {
        self.0.lock().unwrap().remove_partial(full)
    }
    fn remove(&mut self, part: Part) -> Result<(), Error> {
        self.0.lock().unwrap().remove(part)
    }
    fn sync(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
