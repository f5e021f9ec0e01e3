//! The one thread that owns the guard. Everybody else asks it, in order; whoever gets no answer in time has none.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{broadcast, oneshot, watch};
use twinguard::types::Timestamp;

use crate::Error;
use crate::core::{Core, Health, News, Page};

/// Jobs that may wait; beyond it telemetry is not shown to the guard, and commands are refused.
const QUEUE: usize = 4_096;
/// News that a slow listener may lag behind.
const NEWS: usize = 1_024;
/// How often the page is made.
const PAGE: Duration = Duration::from_secs(1);
/// Longest sleep, so that a clock that was set is noticed.
const NAP: Duration = Duration::from_millis(500);

/// What a job leaves to be done when the state is kept: telling its answer.
type Then = Box<dyn FnOnce() + Send>;
type Job = Box<dyn FnOnce(&mut Core, Timestamp) -> Option<Then> + Send>;

enum Word {
    Job(Job),
    Stop,
}

/// The thread, and how it ends.
type Ending = JoinHandle<Result<(), twinguard::Error>>;

/// A handle on the guard's thread.
#[derive(Clone)]
pub struct Handle {
    jobs: SyncSender<Word>,
    news: broadcast::Sender<Arc<News>>,
    page: watch::Receiver<Arc<Shown>>,
    thread: Arc<Mutex<Option<Ending>>>,
}

/// The page as it is sent, and the gateway's health.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The page as JSON text.
    pub page: String,
    /// Whether the gateway is well.
    pub health: Option<Health>,
    /// When it was made.
    pub at: Timestamp,
}

impl core::fmt::Debug for Handle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// The time of day.
#[must_use]
pub(crate) fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Starts the guard's thread.
///
/// # Errors
/// [`Error::Io`] when the system gives no thread.
pub(crate) fn start(core: Core, state: Option<PathBuf>) -> Result<Handle, Error> {
    let (jobs, inbox) = sync_channel(QUEUE);
    let (news, _) = broadcast::channel(NEWS);
    let shown = Shown { page: String::new(), health: None, at: clock() };
    let (shows, page) = watch::channel(Arc::new(shown));
    let thread = {
        let news = news.clone();
        let kept = state.map(|file| Kept { file, due: clock() });
        let run = move || Thread { core, inbox, news, shows, page_due: clock(), kept }.run();
        std::thread::Builder::new().name("guard".to_owned()).spawn(run)
    };
    let thread =
        thread.map_err(|source| Error::Io { what: "cannot start", name: "guard".to_owned(), source })?;
    Ok(Handle { jobs, news, page, thread: Arc::new(Mutex::new(Some(thread))) })
}

impl Handle {
    /// Asks the guard, and waits for its answer at most so long.
    ///
    /// # Errors
    /// [`Error::Unguarded`] when the thread is gone, has too much to do, or gives no answer in time.
    pub async fn ask<T: Send + 'static>(
        &self,
        patience: Duration,
        job: impl FnOnce(&mut Core, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, wait) = oneshot::channel();
        let job = move |core: &mut Core, now: Timestamp| {
            // Whoever asked may have gone: then nothing is decided in their name.
            if answer.is_closed() {
                return None;
            }
            let told = job(core, now);
            let then: Then = Box::new(move || {
                let _ = answer.send(told);
            });
            Some(then)
        };
        self.post(Box::new(job))?;
        match tokio::time::timeout(patience, wait).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Error::Unguarded { reason: "its thread has ended" }),
            Err(_) => Err(Error::Unguarded { reason: "it took too long" }),
        }
    }

    /// Tells the guard something without waiting; false when it could not be told.
    #[must_use]
    pub fn tell(&self, job: impl FnOnce(&mut Core, Timestamp) + Send + 'static) -> bool {
        let job = move |core: &mut Core, now: Timestamp| {
            job(core, now);
            None
        };
        self.post(Box::new(job)).is_ok()
    }

    fn post(&self, job: Job) -> Result<(), Error> {
        self.jobs.try_send(Word::Job(job)).map_err(|error| Error::Unguarded {
            reason: match error {
                TrySendError::Full(_) => "it has too much to do",
                TrySendError::Disconnected(_) => "its thread has ended",
            },
        })
    }

    /// What the guard says from now on.
    #[must_use]
    pub fn news(&self) -> broadcast::Receiver<Arc<News>> {
        self.news.subscribe()
    }

    /// The page, made once a second.
    #[must_use]
    pub fn page(&self) -> watch::Receiver<Arc<Shown>> {
        self.page.clone()
    }

    /// Whether the guard's thread lives.
    #[must_use]
    pub fn lives(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Lets the guard do what was asked, makes its journal last, and ends its thread.
    ///
    /// # Errors
    /// [`Error::Guard`] when the journal's storage fails, [`Error::Unguarded`] when the thread had broken.
    pub async fn stop(&self) -> Result<(), Error> {
        let (jobs, thread) = (self.jobs.clone(), self.thread.clone());
        let stop = move || {
            let _ = jobs.send(Word::Stop);
            let thread = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            thread.map_or(Ok(Ok(())), JoinHandle::join)
        };
        match tokio::task::spawn_blocking(stop).await {
            Ok(Ok(done)) => Ok(done?),
            _ => Err(Error::Unguarded { reason: "its thread had broken" }),
        }
    }
}

struct Thread {
    core: Core,
    inbox: Receiver<Word>,
    news: broadcast::Sender<Arc<News>>,
    shows: watch::Sender<Arc<Shown>>,
    page_due: Timestamp,
    /// Where the state is kept for a standby.
    kept: Option<Kept>,
}

/// The file that a standby takes over from.
struct Kept {
    file: PathBuf,
    /// When it is to be written next, if nothing calls for it before.
    due: Timestamp,
}

impl Kept {
    /// Puts the state of now in the file's place. Where that fails there is none: an old one would give again what was used since.
    fn write(&mut self, core: &Core, now: Timestamp) {
        let began = std::time::Instant::now();
        let fresh = self.file.with_extension("new");
        let written = match core.state() {
            Ok(state) => {
                std::fs::write(&fresh, state).and_then(|()| std::fs::rename(&fresh, &self.file)).is_ok()
            }
            // It still learns: there is nothing to take over yet.
            Err(_) => false,
        };
        if !written {
            let _ = std::fs::remove_file(&self.file);
        }
        // At most a fiftieth of the thread's time goes into it.
        let pause = (began.elapsed() * 50).max(PAGE);
        self.due =
            now + twinguard::types::Duration::from_nanos(i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX));
    }
}

impl Thread {
    fn run(mut self) -> Result<(), twinguard::Error> {
        loop {
            match self.inbox.recv_timeout(self.nap()) {
                Ok(Word::Job(job)) => {
                    let then = job(&mut self.core, clock());
                    if self.core.take_changed() {
                        self.keep(clock());
                    }
                    then.into_iter().for_each(|then| then());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Word::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    self.keep(clock());
                    return self.core.close();
                }
            }
            let now = clock();
            if self.core.next_deadline().is_some_and(|at| at <= now) {
                self.core.tick(now);
            }
            for news in self.core.take_news() {
                // Nobody has to listen.
                let _ = self.news.send(Arc::new(news));
            }
            if self.page_due <= now {
                self.show(now);
            }
        }
    }

    fn keep(&mut self, now: Timestamp) {
        if let Some(kept) = &mut self.kept {
            // The journal first: a state that speaks of entries that were lost is worth nothing.
            self.core.keep(now);
            kept.write(&self.core, now);
        }
    }

    fn show(&mut self, now: Timestamp) {
        self.core.keep(now);
        if self.kept.as_ref().is_some_and(|kept| kept.due <= now) {
            self.keep(now);
        }
        let page: Page = self.core.page(now);
        let health = Some(page.health.clone());
        let page = serde_json::to_string(&page).unwrap_or_default();
        self.shows.send_replace(Arc::new(Shown { page, health, at: now }));
        self.page_due = clock() + twinguard::types::Duration::from_nanos(PAGE.as_nanos() as i64);
    }

    fn nap(&self) -> Duration {
        let next = self.core.next_deadline().map_or(self.page_due, |at| at.min(self.page_due));
        let nanos = u64::try_from(next.since(clock()).as_nanos()).unwrap_or(0);
        Duration::from_nanos(nanos).min(NAP)
    }
}
