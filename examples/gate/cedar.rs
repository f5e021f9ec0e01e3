//! Policies as Cedar policies, and back; both asked the same.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use examples::dice::Dice;
use twinguard::gate::cedar::cedar_policy::{Authorizer, Decision, Entities, PolicySet};
use twinguard::gate::cedar::{Asked, SCHEMA, Translation, read};
use twinguard::gate::policy::{Channel, Policy, Request, Source};
use twinguard::twin::Plant;
use twinguard::twin::plant::Verb;
use twinguard::types::{Principal, PrincipalKind, SignalId, Timestamp};

use super::{Files, text};

/// Differences that are told one by one.
const TOLD: usize = 10;

#[derive(Debug, Subcommand)]
pub(crate) enum Cedar {
    /// Writes the policy as `policies.cedar`, with `schema.cedarschema` and the signals in `entities.json`.
    Export {
        #[command(flatten)]
        files: Files,
        /// The folder to write into.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// Reads Cedar policies and writes a policy file: zones, conduits and guards as in `--policy`, rules as in Cedar.
    Import {
        #[command(flatten)]
        files: Files,
        /// The Cedar policies.
        #[arg(long, value_name = "F")]
        cedar: PathBuf,
        /// The policy file to write.
        #[arg(long, value_name = "F")]
        out: PathBuf,
    },
    /// Asks the policy and Cedar's authorizer the same at random; exit code 1 when one answer differs.
    Compare(Compare),
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    #[command(flatten)]
    files: Files,
    /// Cedar policies, perhaps of another hand; without it those that `export` writes.
    #[arg(long, value_name = "F")]
    cedar: Option<PathBuf>,
    /// How many requests.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    count: u64,
    /// Another number, other requests.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(what: &Cedar) -> Result<ExitCode> {
    match what {
        Cedar::Export { files, out } => export(files, out),
        Cedar::Import { files, cedar, out } => import(files, cedar, out),
        Cedar::Compare(asked) => compare(asked),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

fn policies(path: &Path) -> Result<PolicySet> {
    text(path)?.parse().map_err(|error| anyhow!("{}: {error:?}", path.display()))
}

fn entities(cedar: &Translation) -> Result<String> {
    let mut json = Vec::new();
    cedar.entities().write_to_json(&mut json)?;
    Ok(String::from_utf8(json)?)
}

fn export(files: &Files, out: &Path) -> Result<ExitCode> {
    let (plant, source) = files.read()?;
    let cedar = Translation::new(&source, &plant.catalogue)?;
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    write(&out.join("policies.cedar"), cedar.text())?;
    write(&out.join("schema.cedarschema"), SCHEMA)?;
    write(&out.join("entities.json"), &entities(&cedar)?)?;
    let policies = cedar.policies().policies().count();
    println!("{} rules, {policies} Cedar policies: {}", source.clauses.len(), out.display());
    Ok(ExitCode::SUCCESS)
}

fn import(files: &Files, cedar: &Path, out: &Path) -> Result<ExitCode> {
    let plant = files.plant()?;
    let known = Source::from_plant(&plant);
    let mut policy = files.policy(&plant)?.unwrap_or_default();
    let base = Source { clauses: Vec::new(), ..known.clone().and(policy.clone()) };
    let rules = read(&policies(cedar)?, base, &plant.catalogue)?.clauses;
    // What the plant file says already stays there.
    let mut left_out = 0;
    policy.clauses.clear();
    for clause in rules {
        match known.clauses.iter().find(|it| it.rule.name == clause.rule.name) {
            Some(same) if same.rule == clause.rule && same.approvers == clause.approvers => left_out += 1,
            Some(_) => {
                bail!("rule `{}` of the plant file says something else: change it there", clause.rule.name)
            }
            None => policy.clauses.push(clause),
        }
    }
    if left_out < known.clauses.len() {
        println!(
            "warning: {} rules of the plant file are not among the Cedar policies",
            known.clauses.len() - left_out
        );
    }
    let written = policy.to_toml(&plant.catalogue);
    // What cannot be read again is not written: a name that the plant file does not have, for one.
    Source::parse(&written, &out.display().to_string(), &plant)?;
    write(out, &written)?;
    println!("{} rules: {}; {left_out} more stand in the plant file", policy.clauses.len(), out.display());
    Ok(ExitCode::SUCCESS)
}

/// What requests are made of: all that the plant and the policy speak of, and what lies just beside it.
struct Words {
    parties: Vec<Principal>,
    roles: Vec<String>,
    modes: Vec<String>,
    addresses: Vec<IpAddr>,
    values: Vec<f64>,
    signals: usize,
}

impl Words {
    fn of(plant: &Plant, source: &Source) -> Self {
        let rules = || source.clauses.iter().map(|clause| &clause.rule);
        let mut parties: Vec<_> = plant.parties.iter().map(|party| party.principal.clone()).collect();
        parties.push(Principal::new("somebody"));
        let mut roles: Vec<_> = rules().flat_map(|rule| rule.roles.iter().cloned()).collect();
        let mut modes: Vec<_> = rules().flat_map(|rule| rule.modes.iter().cloned()).collect();
        modes.extend([String::new(), "another mode".to_owned()]);
        let networks = rules().flat_map(|rule| &rule.networks);
        let networks = networks.chain(source.zones.iter().flat_map(|zone| &zone.networks));
        let networks = networks.chain(plant.parties.iter().flat_map(|party| &party.networks));
        let mut addresses: Vec<_> =
            networks.filter_map(|it| it.to_string().split('/').next()?.parse().ok()).collect();
        addresses.push(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut values: Vec<f64> = rules()
            .filter_map(|rule| rule.range)
            .flat_map(|it| [it.min(), it.max(), f64::midpoint(it.min(), it.max())])
            .flat_map(|value| [value, value.next_up(), value.next_down()])
            .collect();
        values.extend(plant.safe_state.iter().map(|(_, value)| *value));
        values.extend([0.0, 1.0, -1.0]);
        roles.sort_unstable();
        roles.dedup();
        Self { parties, roles, modes, addresses, values, signals: plant.catalogue.len() }
    }
}

fn compare(asked: &Compare) -> Result<ExitCode> {
    let (plant, source) = asked.files.read()?;
    let cedar = Translation::new(&source, &plant.catalogue)?;
    let of_file = asked.cedar.as_deref().map(policies).transpose()?;
    let set = of_file.as_ref().unwrap_or_else(|| cedar.policies());
    let policy = Policy::compile(source.clone(), &plant.catalogue)?;
    let words = Words::of(&plant, &source);
    let rated: Vec<&str> = source
        .clauses
        .iter()
        .filter(|clause| clause.rule.commands_per_minute.is_some())
        .map(|clause| clause.rule.name.as_str())
        .collect();
    let mut dice = Dice::new(asked.seed, 0);
    let (mut allowed, mut different) = (0_u64, 0_usize);
    for _ in 0..asked.count {
        let mut who = dice.of(&words.parties).cloned().unwrap_or_else(|| Principal::new("somebody"));
        if dice.often(50)
            && let Some(role) = dice.of(&words.roles)
        {
            who = who.role(role.as_str());
        }
        if dice.often(3) {
            who = who.kind(PrincipalKind::Guard);
        }
        let from = if dice.often(85) { dice.of(&words.addresses).copied() } else { None };
        let verb = [Verb::Write, Verb::Write, Verb::Read, Verb::Configure][dice.below(4)];
        let value = dice.of(&words.values).copied().unwrap_or_default();
        let mode = dice.of(&words.modes).map_or("", String::as_str);
        let at = Timestamp::from_secs(dice.below(14 * 86_400) as i64);
        let channel = Channel { authenticated: dice.often(50), encrypted: dice.often(50) };
        let (signal, used_up) = (SignalId(dice.below(words.signals) as u32), dice.often(30));
        let request = Request { at, signal, verb, value, mode: policy.mode(mode), channel };
        let ours = policy.decide(&policy.subject(&who, from), &request, |_| !used_up).allows();
        let exhausted: &[&str] = if used_up { &rated } else { &[] };
        let question = Asked { principal: &who, from, at, signal, verb, value, mode, channel, exhausted };
        let (request, entities): (_, Entities) = cedar.request(&question)?;
        let theirs = Authorizer::new().is_authorized(&request, set, &entities).decision() == Decision::Allow;
        allowed += u64::from(ours);
        if ours != theirs {
            different += 1;
            if different <= TOLD {
                let word = |allows: bool| if allows { "allows" } else { "refuses" };
                let (path, of) =
                    (plant.catalogue.path(signal), if who.roles.is_empty() { "" } else { " in roles " });
                let roles = who.roles.iter().map(|role| &**role).collect::<Vec<_>>().join(", ");
                println!(
                    "{} {verb:?} {path} := {value} by {}{of}{roles}, from {from:?}, mode `{mode}`: the policy {}, Cedar {}",
                    at,
                    who.name,
                    word(ours),
                    word(theirs)
                );
            }
        }
    }
    println!(
        "{} requests under {} rules and {} Cedar policies: {allowed} allowed, {different} decided differently",
        asked.count,
        source.clauses.len(),
        set.policies().count()
    );
    Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
