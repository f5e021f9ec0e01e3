//! What does this capture hold? Every message of every known protocol, who speaks with whom, and what is odd.
//!
//! ```sh
//! cargo run --release --example dissect -- plant.pcap                # a table for people
//! cargo run --release --example dissect -- plant.pcap --places      # and every place with its values
//! cargo run --release --example dissect -- plant.pcap --points > values.csv   # a time series for every tag
//! cargo run --release --example dissect -- plant.pcap --points=values.parquet # the same as a Parquet file
//! cargo run --release --example dissect -- plant.pcap --json        # one line a message, for tools
//! cargo run --release --example dissect -- plant.pcap --draft plant.toml   # a plant file to start from
//! ```
//!
//! Expect a line per conversation (client, server, unit, functions, rate, latency, answers, refusals) and below it the
//! oddities with the first frame in which each was met. A capture that breaks off is read up to its last whole frame;
//! then the program names the byte and ends with exit code 2.
#![allow(clippy::disallowed_methods, reason = "an example reads files")]

mod json;
mod series;
mod table;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use twinguard::onboard::Onboarding;
use twinguard::protocol::series::ParquetWriter;
use twinguard::protocol::stack::{Checksums, Config, Item, Stack};
use twinguard::protocol::survey::{Place, Survey};
use twinguard::protocol::{Family, PointMap, capture::Reader};
use twinguard::types::Duration;

use series::Series;
use table::Overview;

/// Shows every message of a capture (pcap or pcapng), who speaks with whom, and what is odd.
#[derive(Debug, Parser)]
#[command(
    name = "dissect",
    after_help = "Exit code: 0 read to the end, 2 bad arguments or a file that cannot be read."
)]
struct Arguments {
    /// The capture file; `-` reads standard input.
    capture: PathBuf,
    /// Only this protocol, for example `modbus`; may be given several times.
    #[arg(long, value_name = "P")]
    protocol: Vec<Family>,
    /// Print every value as a row of CSV: time, family, device, tag, access, value, raw, quality, device time; with
    /// `=F` write them to the Parquet file F instead.
    #[arg(
        long,
        value_name = "F",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "-",
        conflicts_with_all = ["json", "places"]
    )]
    points: Option<PathBuf>,
    /// What to do about wrong checksums of IP, TCP and UDP: nothing, count and tell, or drop the packet as well.
    #[arg(long, value_enum, default_value = "ignore", value_name = "WHAT")]
    checksums: WrongChecksums,
    /// List every place with its type as far as its values tell, its rate and its values.
    #[arg(long, conflicts_with = "json")]
    places: bool,
    /// Write a plant file with all signals and points found, and what speaks for their types, as `twin onboard` does.
    #[arg(long, value_name = "F")]
    draft: Option<PathBuf>,
    /// One JSON object a message: n, t, i, p, src, dst, fn, kind, err, fld, pts; `odd` lists what is odd.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WrongChecksums {
    Ignore,
    Tell,
    Refuse,
}

/// What is printed.
enum Show<W: Write> {
    Lines(W),
    Series(Box<Series<W>>),
    Parquet(Box<ParquetWriter<BufWriter<File>>>),
    Table(W),
}

/// Places listed or drafted at most.
const PLACES_MAX: usize = 1 << 16;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dissect: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn run(arguments: &Arguments) -> Result<()> {
    let name = arguments.capture.display().to_string();
    let (input, size): (Box<dyn io::Read>, u64) = if name == "-" {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let file = File::open(&arguments.capture).with_context(|| name.clone())?;
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        (Box::new(file), size)
    };
    let mut reader = Reader::new(BufReader::with_capacity(1 << 16, input)).with_context(|| name.clone())?;
    let mut config = Config {
        checksums: match arguments.checksums {
            WrongChecksums::Ignore => Checksums::Ignore,
            WrongChecksums::Tell => Checksums::Tell,
            WrongChecksums::Refuse => Checksums::Refuse,
        },
        ..Config::default()
    };
    if !arguments.protocol.is_empty() {
        config.families.clone_from(&arguments.protocol);
    }
    if arguments.json {
        // Tools count what was captured; for people the same packet from two taps is one packet.
        config.duplicates_within = Duration::ZERO;
    }
    let mut stack = Stack::new(config);
    let mut map = PointMap::discover(PLACES_MAX);
    let (mut overview, mut survey) = (Overview::default(), Survey::default());
    let mut events = Vec::new();
    let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut show = match arguments {
        Arguments { json: true, .. } => Show::Lines(out),
        Arguments { points: Some(path), .. } if path.as_os_str() == "-" => {
            Show::Series(Box::new(Series::new(out)?))
        }
        Arguments { points: Some(path), .. } => {
            let file = File::create(path).with_context(|| path.display().to_string())?;
            Show::Parquet(Box::new(ParquetWriter::new(BufWriter::new(file))?))
        }
        _ => Show::Table(out),
    };
    let bar = progress(size, (arguments.json || arguments.points.is_some()) && io::stdout().is_terminal());
    let want_places = arguments.places || arguments.draft.is_some();
    let mut end = Ok(());
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                overview.frame(frame.at);
                stack.handle(&frame);
            }
            Ok(None) => break,
            Err(error) => {
                end = Err(error).with_context(|| name.clone());
                break;
            }
        }
        while let Some(item) = stack.poll() {
            match (&item, &mut show) {
                (Item::Message(message), Show::Lines(out)) => json::line(out, message)?,
                (Item::Message(message), Show::Series(series)) => series.take(message)?,
                (Item::Message(message), Show::Parquet(series)) => series.take(message)?,
                (item, Show::Table(_)) => overview.item(item),
                _ => {}
            }
            if want_places {
                map.bind(&item, &mut events);
                events.drain(..).for_each(|event| survey.take(&event));
            }
        }
        if stack.counters().frames.is_multiple_of(4096) {
            bar.set_position(reader.offset());
        }
    }
    bar.finish_and_clear();
    let places = survey.places(&map);
    match show {
        Show::Lines(mut out) => out.flush()?,
        Show::Series(series) => series.finish()?,
        Show::Parquet(series) => series.finish()?.flush()?,
        Show::Table(mut out) => {
            // A capture that has ended answers nothing any more, but what it did not have time to answer is not odd.
            overview.print(&mut out, &name, &stack)?;
            if arguments.places {
                print_places(&mut out, &places, map.ignored())?;
            }
            out.flush()?;
        }
    }
    if let Some(path) = &arguments.draft {
        let (stem, file) = (arguments.capture.file_stem(), arguments.capture.file_name());
        let mut onboarding = Onboarding::new(&stem.unwrap_or_default().to_string_lossy());
        onboarding.places(&file.unwrap_or_default().to_string_lossy(), &places);
        std::fs::write(path, onboarding.draft()?.toml).with_context(|| path.display().to_string())?;
    }
    end
}

fn print_places(out: &mut impl Write, places: &[Place<'_>], ignored: u64) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<44} {:<7} {:>8} {:>8} {:>9} {:>12} {:>12} {:>12}",
        "place", "type", "reads", "writes", "per s", "least", "most", "last"
    )?;
    for place in places {
        let rate = place.per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.2}"));
        let Place { path, reads, writes, least, most, last, .. } = place;
        let encoding = place.encoding;
        writeln!(
            out,
            "{path:<44} {encoding:<7} {reads:>8} {writes:>8} {rate:>9} {least:>12.6} {most:>12.6} {last:>12.6}"
        )?;
    }
    if ignored > 0 {
        writeln!(out, "{ignored} values of further places")?;
    }
    Ok(())
}

fn progress(size: u64, hidden: bool) -> ProgressBar {
    if hidden || size < 1 << 20 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
    ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
