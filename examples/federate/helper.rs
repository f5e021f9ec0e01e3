//! The second aggregator's process: it sees seeds and proofs, never a cell, and works for nobody else.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use twinguard::federated::secure::{Aggregator, Report, Side};

use crate::channel::Channel;
use crate::job::{MIN_SITES, hex, sharing, unhex};

/// Asked by the coordinator.
const PART: u8 = 1;
const FINISH: u8 = 2;
const SHARE: u8 = 3;

/// What the helper is told: a line of JSON.
pub(crate) struct Job {
    pub(crate) run: [u8; 32],
    /// Shared with the coordinator, unknown to the sites.
    pub(crate) verify_key: [u8; 32],
    pub(crate) secret: Vec<u8>,
    /// Of the sites, the coordinator last.
    pub(crate) publics: Vec<Vec<u8>>,
}

impl Job {
    pub(crate) fn to_line(&self) -> String {
        let publics: Vec<String> = self.publics.iter().map(|public| hex(public)).collect();
        let (run, key, secret) = (hex(&self.run), hex(&self.verify_key), hex(&self.secret));
        json!({ "run": run, "verify_key": key, "secret": secret, "publics": publics }).to_string()
    }

    fn from_line(line: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(line).context("the helper's job")?;
        let bytes = |value: &Value| unhex(value.as_str().unwrap_or_default());
        let key = |name: &str| -> Result<[u8; 32]> {
            bytes(&value[name])?.try_into().map_err(|_| anyhow!("`{name}` of the helper's job"))
        };
        let publics = value["publics"].as_array().context("`publics` of the helper's job")?;
        let publics = publics.iter().map(bytes).collect::<Result<_>>()?;
        Ok(Self {
            run: key("run")?,
            verify_key: key("verify_key")?,
            secret: bytes(&value["secret"])?,
            publics,
        })
    }
}

/// Reports and aggregators by stage.
struct Helper {
    job: Job,
    stages: BTreeMap<u8, Aggregator>,
    reports: BTreeMap<(u8, [u8; 16]), Report>,
}

pub(crate) fn run() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let job = Job::from_line(&line)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    std::io::stdout().flush()?;
    let (secret, publics) = (job.secret.clone(), job.publics.clone());
    let hub = publics.len().saturating_sub(1) as u32;
    let helper = Arc::new(Mutex::new(Helper { job, stages: BTreeMap::new(), reports: BTreeMap::new() }));
    for stream in listener.incoming().flatten() {
        let (secret, publics, helper) = (secret.clone(), publics.clone(), Arc::clone(&helper));
        std::thread::spawn(move || -> Result<()> {
            let (number, channel) = Channel::answer(stream, &secret, &publics)?;
            loop {
                let bytes = channel.receive()?;
                let mut helper = helper.lock().map_err(|_| anyhow!("a thread was lost"))?;
                let answer = if number == hub { helper.asked(&bytes) } else { helper.report(&bytes) };
                drop(helper);
                // an empty answer: not yet, or refused
                channel.send(&answer.unwrap_or_default())?;
            }
        });
    }
    Ok(())
}

impl Helper {
    /// A site's report; the first of a name stays.
    fn report(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let (stage, rest) = bytes.split_first().context("an empty message")?;
        let report = Report::decode(rest)?;
        self.reports.entry((*stage, report.nonce)).or_insert(report);
        Ok(vec![1])
    }

    /// A question of the coordinator: kind, stage, and what belongs to it.
    fn asked(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let [kind, stage, rest @ ..] = bytes else { bail!("a short question") };
        let (run, key) = (self.job.run, self.job.verify_key);
        let aggregator = match self.stages.entry(*stage) {
            std::collections::btree_map::Entry::Occupied(held) => held.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(Aggregator::new(sharing(&run, *stage)?, Side::Helper, key))
            }
        };
        if *kind == SHARE {
            return Ok(aggregator.share(MIN_SITES as usize)?);
        }
        let (nonce, message) = rest.split_first_chunk::<16>().context("a short question")?;
        match *kind {
            PART => {
                let report = self.reports.get(&(*stage, *nonce)).context("no such report yet")?;
                Ok(aggregator.begin(*nonce, &report.public, &report.share)?)
            }
            FINISH => {
                aggregator.finish(*nonce, message)?;
                Ok(vec![1])
            }
            _ => bail!("an unknown question"),
        }
    }
}

/// The coordinator's end: leads the checks of all reports, and gets the helper's share of the sum.
pub(crate) struct Leader {
    channel: Channel,
    run: [u8; 32],
    verify_key: [u8; 32],
}

/// Sum of the cells, and those whose proofs did not hold.
pub(crate) struct Summed {
    pub(crate) cells: Option<Vec<i128>>,
    pub(crate) refused: Vec<String>,
}

impl Leader {
    pub(crate) fn new(channel: Channel, run: [u8; 32], verify_key: [u8; 32]) -> Self {
        Self { channel, run, verify_key }
    }

    fn ask(&self, kind: u8, stage: u8, rest: &[&[u8]]) -> Result<Option<Vec<u8>>> {
        let mut question = vec![kind, stage];
        rest.iter().for_each(|part| question.extend_from_slice(part));
        self.channel.send(&question)?;
        Ok(Some(self.channel.receive()?).filter(|answer| !answer.is_empty()))
    }

    /// Checks and sums these reports.
    pub(crate) fn sum(&self, stage: u8, reports: &[(String, Vec<u8>)]) -> Result<Summed> {
        let sharing = sharing(&self.run, stage)?;
        let mut own = Aggregator::new(sharing.clone(), Side::Leader, self.verify_key);
        let mut refused = Vec::new();
        for (name, bytes) in reports {
            let mut check = || -> Result<()> {
                let report = Report::decode(bytes)?;
                own.begin(report.nonce, &report.public, &report.share)?;
                // the site's own message to the helper may still be under way
                let mut tries = 0;
                let part = loop {
                    if let Some(part) = self.ask(PART, stage, &[&report.nonce])? {
                        break part;
                    }
                    tries += 1;
                    if tries > 40 {
                        bail!("the helper has no report of `{name}`");
                    }
                    std::thread::sleep(std::time::Duration::from_millis(25));
                };
                let message = own.combine(report.nonce, &part)?;
                self.ask(FINISH, stage, &[&report.nonce, &message])?
                    .context("the helper refused the report")?;
                Ok(())
            };
            if check().is_err() {
                refused.push(name.clone());
            }
        }
        let cells = match (own.share(MIN_SITES as usize), self.ask(SHARE, stage, &[])?) {
            (Ok(leader), Some(helper)) => Some(sharing.unshard(&leader, &helper, own.count())?),
            _ => None,
        };
        Ok(Summed { cells, refused })
    }
}
