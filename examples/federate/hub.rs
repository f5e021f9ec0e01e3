//! The coordinator's process: starts the sites, carries their messages, kills one and brings it back, seals what comes out.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use indicatif::ProgressBar;
use serde_json::json;
use twinguard::anomaly::statistic::{Merge, Model, Quantise, Scorer, Subspace, Tally};
use twinguard::federated::privacy::{Rho, epsilon};
use twinguard::federated::secure::Secure;
use twinguard::federated::{
    Contribution, Coordinator, Error, Output, Settings, Task, Transcript, contribution, message::model_digest,
};
use twinguard::integrity::store::{Directory, Durability};
use twinguard::integrity::{Journal, PublicKey, Sealed, SigningKey, Trust, seal, source};
use twinguard::types::{Bundle, Digest, Duration as Span};

use crate::Arguments;
use crate::channel::{self, Channel, Keys};
use crate::helper::{self, Leader};
use crate::job::{
    DELTA, Job, MIN_ROWS, MIN_SITES, Mode, federation, first, now, plan, read, replace, second, secure_first,
    secure_second,
};
use crate::joined;
use crate::plant::{Plant, SENSORS, area, columns};

const TICK: Duration = Duration::from_millis(50);
/// A whole run takes seconds; more is a failure.
const PATIENCE: Duration = Duration::from_secs(120);

enum News {
    Here(u32, Channel),
    Said(Vec<u8>),
}

/// All that a run has.
struct Hub<'a> {
    args: &'a Arguments,
    folder: PathBuf,
    key: SigningKey,
    roster: Vec<PublicKey>,
    jobs: Vec<Job>,
    children: Vec<Child>,
    channels: BTreeMap<u32, Channel>,
    news: Receiver<News>,
    leader: Option<Leader>,
    run: [u8; 32],
    poisoned: u32,
    killed: bool,
    lost: bool,
    begun: Instant,
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

fn name(number: u32) -> String {
    format!("site-{number}.example")
}

/// A folder that is removed in the end, unless it was asked for.
struct Folder(PathBuf, bool);

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.1 {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

pub(crate) fn run(args: &Arguments, bar: &ProgressBar) -> Result<()> {
    let kept = args.out.is_some();
    let folder = args
        .out
        .clone()
        .unwrap_or_else(|| std::env::temp_dir().join(format!("federate-{}", std::process::id())));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let folder = Folder(folder, kept);
    let mut hub = Hub::start(args, &folder.0)?;
    let result = hub.learn(bar);
    for child in &mut hub.children {
        let _ = child.kill();
        let _ = child.wait();
    }
    result
}

impl<'a> Hub<'a> {
    fn start(args: &'a Arguments, folder: &Path) -> Result<Self> {
        let key = SigningKey::from_seed("coordinator.example", &random()?)?;
        let own = channel::keys()?;
        let run = random()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let poisoned = args.poisoned.unwrap_or(u32::from(args.mode == Mode::Robust)).min(args.sites);
        let (mut jobs, mut roster, mut publics) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..args.sites {
            let signing = SigningKey::from_seed(&name(number), &random()?)?;
            let Keys { secret, public } = channel::keys()?;
            roster.push(signing.public().clone());
            publics.push(public);
            jobs.push(Job {
                number,
                port,
                seed: args.seed,
                rows: args.rows,
                poisoned: number >= args.sites - poisoned,
                mode: args.mode,
                epsilon: args.epsilon,
                shift: args.shift,
                run,
                noise_seed: random()?,
                signing: signing.to_text().to_string(),
                hub: key.public().to_string(),
                secret,
                hub_public: own.public.clone(),
                helper: None,
                folder: folder.display().to_string(),
            });
        }
        let mut children = Vec::new();
        let mut leader = None;
        if args.mode == Mode::Secure {
            let (child, port, public, lead) = start_helper(run, &own, &publics)?;
            children.push(child);
            leader = Some(lead);
            jobs.iter_mut().for_each(|job| job.helper = Some((port, public.clone())));
        }
        let (send, news) = channel();
        std::thread::spawn(move || accept(&listener, &own.secret, &publics, &send));
        let mut hub = Self {
            args,
            folder: folder.to_owned(),
            key,
            roster,
            jobs,
            children,
            channels: BTreeMap::new(),
            news,
            leader,
            run,
            poisoned,
            killed: false,
            lost: false,
            begun: Instant::now(),
        };
        for number in 0..args.sites {
            let child = hub.spawn(number)?;
            hub.children.insert(number as usize, child);
        }
        Ok(hub)
    }

    fn spawn(&self, number: u32) -> Result<Child> {
        let mut child = Command::new(std::env::current_exe()?).arg("--site").stdin(Stdio::piped()).spawn()?;
        let job = self.jobs.get(number as usize).context("a site without a job")?;
        let mut input = child.stdin.take().context("a site without an input")?;
        writeln!(input, "{}", job.to_line())?;
        Ok(child)
    }

    fn say(&self, bar: &ProgressBar, line: &str) {
        if !self.args.json {
            bar.suspend(|| println!("{:6.2} s  {line}", self.begun.elapsed().as_secs_f64()));
        }
    }

    fn learn(&mut self, bar: &ProgressBar) -> Result<()> {
        self.say(
            bar,
            &format!("{} sites start, each a process; {} of them lie", self.args.sites, self.poisoned),
        );
        let private = self.args.epsilon.is_some();
        let path = self.folder.join("journal");
        let (mut journal, _) = Journal::open(Directory::open(&path, Durability::Process)?)?;
        let mut rounds = 1;
        let mode = self.args.mode;
        let published = if mode == Mode::Secure {
            self.round(bar, 1, secure_first, Secure::deliver, Digest::default(), &mut journal)?
        } else {
            self.round(bar, 1, || first(mode, private), never, Digest::default(), &mut journal)?
        };
        let mut files = Bundle::new(Digest::default());
        let mut model = None;
        if let Some(first) = published {
            let base = model_digest(&first);
            files.insert("subspace.bin", first.clone());
            files.insert("columns.txt", columns().map(|name| name + "\n").collect::<String>().into_bytes());
            model = Some(read::<Subspace>(&first)?);
            if mode != Mode::Robust && !private {
                rounds += 1;
                let limits = if mode == Mode::Secure {
                    self.round(bar, 2, secure_second, Secure::deliver, base, &mut journal)?
                } else {
                    self.round(bar, 2, || second(mode), never, base, &mut journal)?
                };
                if let Some(limits) = limits {
                    files.insert("threshold.bin", limits);
                }
            }
        }
        journal.checkpoint(&self.key)?;
        let sealed = if model.is_some() { Some(self.seal(&files)?) } else { None };
        let joined = match sealed {
            Some(_) => Some(joined::run(&self.folder, &self.key, self.args.seed, self.args.sites)?),
            None => None,
        };
        let rho = self.args.epsilon.map(|epsilon| Rho::for_epsilon(epsilon, DELTA)).transpose()?;
        let spent = rho.map(|rho| epsilon(rho, DELTA)).transpose()?;
        let pooled = self.pooled()?;
        let area = model.as_ref().map(|model| self.trial(model)).transpose()?;
        let (digest, pooled) =
            (model.as_ref().map(|model| model.digest().to_string()), pooled.digest().to_string());
        let seconds = self.begun.elapsed().as_secs_f64();
        if self.args.json {
            println!(
                "{}",
                json!({
                    "mode": self.args.mode.name(), "sites": self.args.sites, "model_digest": digest, "pooled_digest": pooled,
                    "auc": area, "epsilon": spent, "rounds": rounds, "poisoned": self.poisoned, "killed": u32::from(self.killed),
                    "newcomer_sees_after_rows": joined.as_ref().map(|seen| seen.with), "alone": joined.as_ref().map(|seen| seen.alone),
                    "seal_root": sealed, "journal_root": journal.root().to_string(), "seconds": seconds, "seed": self.args.seed,
                })
            );
            return Ok(());
        }
        println!();
        match &digest {
            Some(digest) => println!("model     {digest}"),
            None => println!("model     none: no candidate was accepted by a majority"),
        }
        println!(
            "pooled    {pooled}{}",
            if digest.as_ref() == Some(&pooled) { "  the same, bit for bit" } else { "" }
        );
        if let Some(area) = area {
            println!("AUC       {area:.4} on attacks that it has not seen");
        }
        if let Some(spent) = spent {
            println!("privacy   ε = {spent:.4} at δ = {DELTA:e} for each row of each site");
        }
        if let Some(seen) = joined {
            println!("newcomer  {}", seen.words());
        }
        println!("journal   {}", journal.root());
        if let Some(root) = sealed {
            println!(
                "sealed    {root}{}",
                if self.args.out.is_some() {
                    let dir = self.folder.display();
                    format!(
                        " in {dir}\n\nIts guard, again:\n  cargo run --release --example watch -- --telemetry {dir}/newcomer/now.csv --learn {dir}/newcomer/day.csv --federated {dir}"
                    )
                } else {
                    String::new()
                }
            );
        }
        Ok(())
    }

    /// One round; the model, if the sites accepted one. `deliver` brings a sum that was made elsewhere to the task.
    fn round<T: Task>(
        &mut self,
        bar: &ProgressBar,
        stage: u8,
        make: impl Fn() -> Result<T>,
        deliver: impl Fn(&T, &[Contribution], Vec<i128>) -> Result<(), Error>,
        base: Digest,
        journal: &mut Journal<Directory>,
    ) -> Result<Option<Vec<u8>>> {
        let rho = self
            .args
            .epsilon
            .map(|epsilon| Rho::for_epsilon(epsilon, DELTA))
            .transpose()?
            .unwrap_or_default();
        let settings = Settings {
            federation: federation(&self.run, stage),
            min_sites: MIN_SITES,
            min_rows: MIN_ROWS,
            price: rho.billionths(),
            patience: Span::from_secs(20),
            retry: Span::from_millis(500),
        };
        let mut hub = Coordinator::new(make()?, self.key.clone(), self.roster.clone(), settings.clone())?;
        let state = self.folder.join(format!("coordinator-{stage}.state"));
        let mut phase = "";
        hub.open(now(), base)?;
        bar.set_length(3);
        loop {
            if hub.phase() != phase {
                phase = hub.phase();
                self.say(bar, &format!("round {stage}: {phase}"));
                bar.inc(1);
                if phase == "voting" && !self.lost && !self.args.calm {
                    self.lost = true;
                    replace(&state, &hub.save())?;
                    let kept = std::fs::read(&state)?;
                    hub = Coordinator::restore(
                        make()?,
                        self.key.clone(),
                        self.roster.clone(),
                        settings.clone(),
                        &kept,
                    )?;
                    self.say(bar, "the coordinator is lost, and goes on from what it wrote down");
                }
            }
            // written down first, sent afterwards
            replace(&state, &hub.save())?;
            let mut result = None;
            while let Some(output) = hub.poll() {
                match output {
                    Output::Send { to, bytes } => {
                        let number = (0..self.args.sites).find(|number| name(*number) == to);
                        // a site that is not there is asked again
                        if let Some(channel) = number.and_then(|number| self.channels.get(&number)) {
                            let _ = channel.send(&bytes);
                        }
                    }
                    Output::Published { transcript, model } => {
                        Transcript::enter(journal, now(), &transcript)?;
                        let told = Transcript::open(&transcript, self.key.public())?;
                        let yes = told.votes.iter().filter(|(_, accept)| *accept).count();
                        self.say(
                            bar,
                            &format!(
                                "round {stage}: {} sites' rows by `{}`, {yes} voted for it",
                                told.entries.len(),
                                told.rule
                            ),
                        );
                        result = Some(Some(model));
                    }
                    Output::Aborted { reason } => {
                        self.say(bar, &format!("round {stage} ended: {reason}"));
                        result = Some(None);
                    }
                }
            }
            if let Some(result) = result {
                return Ok(result);
            }
            if phase == "collecting" && !self.killed && !self.args.calm {
                self.kill_and_restart(bar)?;
            }
            match self.news.recv_timeout(TICK) {
                Ok(News::Here(number, channel)) => drop(self.channels.insert(number, channel)),
                Ok(News::Said(bytes)) => drop(hub.handle(now(), &bytes)), // refused ones change nothing
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(anyhow!("nobody listens any more")),
            }
            if hub.is_pending() {
                self.sum(bar, stage, &mut hub, &deliver)?;
            }
            hub.tick(now())?;
            if self.begun.elapsed() > PATIENCE {
                return Err(anyhow!("the round took longer than {} s", PATIENCE.as_secs()));
            }
        }
    }

    /// Leads the checks of what the sites split, and brings the sum.
    fn sum<T: Task>(
        &self,
        bar: &ProgressBar,
        stage: u8,
        hub: &mut Coordinator<T>,
        deliver: &impl Fn(&T, &[Contribution], Vec<i128>) -> Result<(), Error>,
    ) -> Result<()> {
        let leader = self.leader.as_ref().context("no second aggregator")?;
        let reports: Vec<(String, Vec<u8>)> =
            hub.contributions().map(|(name, part)| (name.to_owned(), part.payload.clone())).collect();
        let summed = leader.sum(stage, &reports)?;
        for name in &summed.refused {
            self.say(bar, &format!("the shares of `{name}` are refused"));
            hub.exclude(name)?;
        }
        let Some(cells) = summed.cells else { return Ok(()) };
        let parts: Vec<Contribution> = hub.contributions().map(|(_, part)| part.clone()).collect();
        self.say(bar, &format!("two aggregators have summed {} sites; neither saw one", parts.len()));
        Ok(deliver(hub.task(), &parts, cells)?)
    }

    fn kill_and_restart(&mut self, bar: &ProgressBar) -> Result<()> {
        self.killed = true;
        if let Some(child) = self.children.first_mut() {
            child.kill()?;
            child.wait()?;
        }
        self.channels.remove(&0);
        self.say(bar, "site 0 is killed in the middle of the round");
        let child = self.spawn(0)?;
        if let Some(place) = self.children.first_mut() {
            *place = child;
        }
        self.say(bar, "site 0 is started again, and asks where the round is");
        Ok(())
    }

    /// The model as if all rows lay in one place, by one process.
    fn pooled(&self) -> Result<Subspace> {
        let mut sum = Tally::new(plan(self.args.epsilon.is_some())?);
        let plant = Plant::new(self.args.seed);
        for job in self.jobs.iter().filter(|job| !job.poisoned) {
            let mut site = plant.site(job.number.into(), job.shift, 0.0);
            let mut own = Tally::new(sum.plan().clone());
            for _ in 0..job.rows {
                own.observe(&site.row(0.0))?;
            }
            sum.merge(&own)?;
        }
        let task = first(Mode::Exact, self.args.epsilon.is_some())?;
        let proposed = task.propose(&[contribution(&sum)], 0)?.context("the sum has a model")?;
        read(&proposed.1)
    }

    /// Area under the curve on each honest site's later rows, about its own levels.
    fn trial(&self, model: &Subspace) -> Result<f64> {
        let plant = Plant::new(self.args.seed);
        let (mut labels, mut scores) = (Vec::new(), Vec::new());
        for job in &self.jobs {
            // rows beyond all that were learnt from
            let mut site = plant.site(job.number.into(), job.shift, 0.0);
            site.skip(job.rows + 2000);
            let model = model.clone().around(&levels(site.levels()))?;
            let (rows, kinds) = site.trial(400);
            let mut scorer = Scorer::new(&model);
            for row in rows {
                scores.push(scorer.observe(&row)?.unwrap_or_default());
            }
            labels.extend(kinds);
        }
        area(&labels, &scores)
    }

    /// Writes the model's files with a seal beside them, and opens them again as a user would.
    fn seal(&self, files: &Bundle) -> Result<String> {
        let folder = self.folder.join("model");
        std::fs::create_dir_all(&folder)?;
        for (path, content) in files.iter() {
            std::fs::write(folder.join(path), content)?;
        }
        let entries = source::entries(&folder, &source::Limits::default())?;
        let sealed = seal::create(entries, "federated-detector", 1, &self.key)?;
        let file = self.folder.join("model.seal");
        std::fs::write(&file, &sealed)?;
        std::fs::write(self.folder.join("coordinator.pub"), self.key.public().to_string())?;
        let opened = Sealed::open(&folder, &file, &Trust::new(self.key.public().clone()))?;
        Ok(opened.manifest().root().to_string())
    }
}

/// Starts the second aggregator: its process, port and key, and our end of the channel to it.
fn start_helper(run: [u8; 32], own: &Keys, sites: &[Vec<u8>]) -> Result<(Child, u16, Vec<u8>, Leader)> {
    let (Keys { secret, public }, verify_key) = (channel::keys()?, random()?);
    let mut publics = sites.to_vec();
    publics.push(own.public.clone());
    let number = u32::try_from(sites.len())?;
    let program = std::env::current_exe()?;
    let mut child =
        Command::new(program).arg("--helper").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = child.stdin.take().context("a helper without an input")?;
    writeln!(input, "{}", helper::Job { run, verify_key, secret, publics }.to_line())?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("a helper without an output")?).read_line(&mut line)?;
    let port = line.trim().parse().context("the helper does not say where it listens")?;
    let channel =
        Channel::call(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?, number, &own.secret, &public)?;
    Ok((child, port, public, Leader::new(channel, run, verify_key)))
}

/// Where sums are made by the task itself.
fn never<T>(_: &T, _: &[Contribution], _: Vec<i128>) -> Result<(), Error> {
    Ok(())
}

fn levels(levels: &[f64]) -> [f64; SENSORS] {
    core::array::from_fn(|sensor| levels.get(sensor).copied().unwrap_or_default())
}

/// Lets sites in, each through its own thread.
fn accept(listener: &TcpListener, secret: &[u8], publics: &[Vec<u8>], send: &Sender<News>) {
    for stream in listener.incoming().flatten() {
        let (secret, publics, send) = (secret.to_vec(), publics.to_vec(), send.clone());
        std::thread::spawn(move || {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let Ok((number, channel)) = Channel::answer(stream, &secret, &publics) else { return };
            if send.send(News::Here(number, channel.clone())).is_err() {
                return;
            }
            while let Ok(bytes) = channel.receive() {
                if send.send(News::Said(bytes)).is_err() {
                    return;
                }
            }
        });
    }
}
