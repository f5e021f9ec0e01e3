//! What does this capture hold? Every message of every known protocol, who speaks with whom, and what is odd.
//!
//! ```sh
//! cargo run --release --example dissect -- plant.pcap                # a table for people
//! cargo run --release --example dissect -- plant.pcap --points      # and every place with its values
//! cargo run --release --example dissect -- plant.pcap --json        # one line a message, for tools
//! cargo run --release --example dissect -- plant.pcap --draft plant.toml   # a plant file to start from
//! ```
//!
//! Expect a line per conversation (client, server, unit, functions, rate, latency, answers, refusals) and below it the
//! oddities with the first frame in which each was met. A capture that breaks off is read up to its last whole frame;
//! then the program names the byte and ends with exit code 2.
#![allow(clippy::disallowed_methods, reason = "an example reads files")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use twinguard::protocol::protocol::Raw;
use twinguard::protocol::protocols::modbus::{Place, Table};
use twinguard::protocol::stack::{Config, Item, Message, Stack};
use twinguard::protocol::{Family, Kind, PointMap, capture::Reader};
use twinguard::twin::Plant;
use twinguard::types::{Event, Exchange, ExchangeOutcome, Oddity, Timestamp};

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
    /// List every place with its values.
    #[arg(long)]
    points: bool,
    /// Write a plant file with all signals and points found.
    #[arg(long, value_name = "F")]
    draft: Option<PathBuf>,
    /// One JSON object a message: n, t, i, p, src, dst, fn, kind, err, fld, pts; `odd` lists what is odd.
    #[arg(long)]
    json: bool,
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
    let mut config = Config::default();
    if !arguments.protocol.is_empty() {
        config.families.clone_from(&arguments.protocol);
    }
    let mut stack = Stack::new(config);
    let mut map = PointMap::discover(PLACES_MAX);
    let mut survey = Survey::default();
    let mut events = Vec::new();
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let bar = progress(size, arguments.json && io::stdout().is_terminal());
    let want_places = arguments.points || arguments.draft.is_some();
    let mut end = Ok(());
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                survey.frame(frame.at);
                stack.handle(&frame);
            }
            Ok(None) => break,
            Err(error) => {
                end = Err(error).with_context(|| name.clone());
                break;
            }
        }
        while let Some(item) = stack.poll() {
            match &item {
                Item::Message(message) if arguments.json => json_line(&mut out, message)?,
                item => survey.item(item),
            }
            if want_places {
                map.bind(&item, &mut events);
                events.drain(..).for_each(|event| survey.place(&event));
            }
        }
        if stack.counters().frames.is_multiple_of(4096) {
            bar.set_position(reader.offset());
        }
    }
    bar.finish_and_clear();
    // A capture that has ended answers nothing any more, but what it did not have time to answer is not odd.
    if !arguments.json {
        survey.print(&mut out, &name, &stack)?;
        if arguments.points {
            survey.print_places(&mut out, &map)?;
        }
    }
    out.flush()?;
    if let Some(draft) = &arguments.draft {
        let text = survey.draft(&map, &arguments.capture);
        let file = draft.display().to_string();
        Plant::parse(&text, &file)?;
        std::fs::write(draft, text).with_context(|| file)?;
    }
    end
}

fn progress(size: u64, hidden: bool) -> ProgressBar {
    if hidden || size < 1 << 20 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
    ProgressBar::new(size).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// One message in the schema of the reference data.
fn json_line(out: &mut impl Write, message: &Message<'_>) -> io::Result<()> {
    let family = message.family();
    let nanos = message.at.as_nanos();
    let (secs, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
    write!(
        out,
        r#"{{"n":{},"t":"{secs}.{nanos:09}","i":{},"p":"{family}","src":"{}","dst":"{}","fn":"{}","kind":"{}","err":"#,
        message.frame,
        message.index,
        message.source,
        message.destination,
        message.header.function,
        message.header.kind.as_str(),
    )?;
    match message.oddities.iter().find(|(oddity, _)| *oddity == Oddity::Truncated) {
        Some((oddity, offset)) => write!(out, r#""{} at byte {offset}","fld":{{"#, word(oddity))?,
        None => out.write_all(br#"null,"fld":{"#)?,
    }
    let mut fields: Vec<(&'static str, Vec<String>)> = Vec::new();
    message.pdu.fields(&mut |name, field| {
        let text = field.to_string();
        match fields.iter_mut().find(|(known, _)| *known == name) {
            Some((_, texts)) => texts.push(text),
            None => fields.push((name, vec![text])),
        }
    });
    for (index, (name, texts)) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, r#"{comma}"{name}":{}"#, serde_json::to_string(texts)?)?;
    }
    out.write_all(br#"},"pts":["#)?;
    for (index, point) in message.points().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let (tag, raw) = (family.show_tag(point.tag), point.raw);
        match raw {
            Raw::Bit(bit) => {
                write!(out, r#"{comma}{{"tag":"{tag}","v":"{}","raw":"{raw}"}}"#, u8::from(bit))?
            }
            Raw::Word(word) => {
                let value = u16::from_be_bytes(word);
                write!(out, r#"{comma}{{"tag":"{tag}","v":"{value}","raw":"{raw}"}}"#)?;
            }
            _ => write!(out, r#"{comma}{{"tag":"{tag}","v":null,"raw":"{raw}"}}"#)?,
        }
    }
    out.write_all(br#"],"odd":["#)?;
    for (index, (oddity, offset)) in message.oddities.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, r#"{comma}["{}",{offset}]"#, word(oddity))?;
    }
    out.write_all(b"]}\n")
}

/// `ResponseMismatch` as `response_mismatch`.
fn word(oddity: Oddity) -> String {
    let mut text = String::new();
    for letter in format!("{oddity:?}").chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// What is gathered for people.
#[derive(Debug, Default)]
struct Survey {
    frames: u64,
    span: Option<(Timestamp, Timestamp)>,
    conversations: BTreeMap<(Family, String, String, u16), Conversation>,
    oddities: BTreeMap<(String, String, String), Tally>,
    places: BTreeMap<u32, Values>,
    frame: u64,
}

#[derive(Debug, Default)]
struct Conversation {
    requests: u64,
    responses: u64,
    unsolicited: u64,
    exceptions: BTreeMap<u8, u64>,
    unanswered: u64,
    functions: BTreeMap<u16, u64>,
    latencies_us: Vec<u32>,
}

#[derive(Debug)]
struct Tally {
    count: u64,
    first_frame: u64,
}

#[derive(Clone, Copy, Debug)]
struct Values {
    reads: u64,
    writes: u64,
    least: f64,
    most: f64,
    last: f64,
}

impl Survey {
    fn frame(&mut self, at: Timestamp) {
        self.frames += 1;
        self.frame = self.frames;
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    fn item(&mut self, item: &Item<'_>) {
        match item {
            Item::Message(message) => {
                let key = (
                    message.family(),
                    message
                        .client()
                        .socket()
                        .map_or_else(|| message.client().to_string(), |socket| socket.ip().to_string()),
                    message.server().to_string(),
                    message.header.unit,
                );
                let conversation = self.conversations.entry(key).or_default();
                match message.header.kind {
                    Kind::Request => {
                        conversation.requests += 1;
                        *conversation.functions.entry(message.header.function).or_default() += 1;
                    }
                    Kind::Exception => {
                        conversation.responses += 1;
                        let code = message.pdu.refusal().unwrap_or_default();
                        *conversation.exceptions.entry(code).or_default() += 1;
                    }
                    _ => conversation.responses += 1,
                }
                for (oddity, _) in message.oddities.iter() {
                    self.odd(message.family().to_string(), oddity, message.source.to_string());
                }
            }
            Item::Exchange(exchange) => self.exchange(exchange),
            Item::Malformed(malformed) => {
                let source = malformed.source.map_or_else(|| "-".to_owned(), |source| source.to_string());
                self.odd(malformed.family.to_string(), malformed.oddity, source);
            }
        }
    }

    fn odd(&mut self, family: String, oddity: Oddity, source: String) {
        // Ephemeral ports would make every connection a line of its own.
        let host = source.rsplit_once(':').map_or(source.clone(), |(host, _)| host.to_owned());
        let fresh = Tally { count: 0, first_frame: self.frame };
        self.oddities.entry((family, word(oddity), host)).or_insert(fresh).count += 1;
    }

    fn exchange(&mut self, exchange: &Exchange) {
        let Ok(family) = exchange.family.as_str().parse() else { return };
        let key = (family, exchange.client.ip().to_string(), exchange.server.to_string(), exchange.unit);
        let conversation = self.conversations.entry(key).or_default();
        match exchange.outcome {
            ExchangeOutcome::Unanswered => conversation.unanswered += 1,
            ExchangeOutcome::Unsolicited => conversation.unsolicited += 1,
            _ => {}
        }
        if let Some(latency) = exchange.latency
            && conversation.latencies_us.len() < 1 << 20
        {
            let micros = latency.as_nanos().max(0) / 1000;
            conversation.latencies_us.push(u32::try_from(micros).unwrap_or(u32::MAX));
        }
    }

    fn place(&mut self, event: &Event<'_>) {
        let (signal, value, write) = match event {
            Event::Point(point) => (point.signal, point.value.as_f64(), false),
            Event::Command(command) => (command.signal, command.value.as_f64(), true),
            _ => return,
        };
        let values = self.places.entry(signal.0).or_insert(Values {
            reads: 0,
            writes: 0,
            least: value,
            most: value,
            last: value,
        });
        values.reads += u64::from(!write);
        values.writes += u64::from(write);
        values.least = values.least.min(value);
        values.most = values.most.max(value);
        values.last = value;
    }

    fn seconds(&self) -> f64 {
        self.span.map_or(0.0, |(first, last)| last.since(first).as_secs_f64())
    }

    fn print(&mut self, out: &mut impl Write, name: &str, stack: &Stack) -> io::Result<()> {
        let counters = *stack.counters();
        let seconds = self.seconds();
        writeln!(
            out,
            "{name}: {} frames in {seconds:.3} s, {} messages, {} TCP connections",
            self.frames,
            counters.messages,
            stack.tcp_counters().flows,
        )?;
        if !self.conversations.is_empty() {
            writeln!(
                out,
                "\n{:<15} {:<21} {:<7} {:>4} {:>8} {:>9} {:>8} {:>8} {:>6} {:>6} {:>9} {:>9}",
                "client",
                "server",
                "family",
                "unit",
                "requests",
                "per s",
                "answers",
                "refused",
                "none",
                "stray",
                "median ms",
                "max ms"
            )?;
        }
        for ((family, client, server, unit), conversation) in &mut self.conversations {
            conversation.latencies_us.sort_unstable();
            let latencies = &conversation.latencies_us;
            let ms = |place: usize| {
                latencies
                    .get(place)
                    .map_or_else(|| "-".to_owned(), |us| format!("{:.2}", f64::from(*us) / 1e3))
            };
            let rate = if seconds > 0.0 { conversation.requests as f64 / seconds } else { 0.0 };
            let refused: u64 = conversation.exceptions.values().sum();
            writeln!(
                out,
                "{client:<15} {server:<21} {family:<7} {unit:>4} {:>8} {rate:>9.2} {:>8} {refused:>8} {:>6} {:>6} {:>9} {:>9}",
                conversation.requests,
                conversation.responses - refused,
                conversation.unanswered,
                conversation.unsolicited,
                ms(latencies.len() / 2),
                ms(latencies.len().saturating_sub(1)),
            )?;
            let functions = conversation.functions.iter();
            let mut listed: Vec<String> = functions
                .map(|(function, count)| format!("{} ({function}) ×{count}", family.function_name(*function)))
                .collect();
            let hidden = listed.len().saturating_sub(8);
            listed.truncate(8);
            if hidden > 0 {
                listed.push(format!("{hidden} more functions"));
            }
            if !listed.is_empty() {
                writeln!(out, "    {}", listed.join(", "))?;
            }
        }
        if !self.oddities.is_empty() {
            writeln!(
                out,
                "\n{:<8} {:<24} {:<21} {:>8} {:>12}",
                "layer", "oddity", "from", "count", "first frame"
            )?;
        }
        for ((family, oddity, host), tally) in &self.oddities {
            writeln!(
                out,
                "{family:<8} {oddity:<24} {host:<21} {:>8} {:>12}",
                tally.count, tally.first_frame
            )?;
        }
        if counters.undecoded > 0 {
            writeln!(out, "\n{} frames could not be decoded", counters.undecoded)?;
        }
        Ok(())
    }

    fn print_places(&self, out: &mut impl Write, map: &PointMap) -> io::Result<()> {
        writeln!(
            out,
            "\n{:<40} {:>8} {:>8} {:>10} {:>10} {:>10}",
            "place", "reads", "writes", "least", "most", "last"
        )?;
        for (path, values) in self.by_path(map) {
            let Values { reads, writes, least, most, last } = values;
            writeln!(out, "{path:<40} {reads:>8} {writes:>8} {least:>10} {most:>10} {last:>10}")?;
        }
        if map.ignored() > 0 {
            writeln!(out, "{} values of further places", map.ignored())?;
        }
        Ok(())
    }

    /// Paths with their values, in the order of protocol, device and address.
    fn by_path<'m>(&self, map: &'m PointMap) -> Vec<(&'m str, Values)> {
        let Some(catalogue) = map.catalogue() else { return Vec::new() };
        let mut all: Vec<_> = catalogue
            .iter()
            .filter_map(|(id, signal)| Some((&*signal.path, *self.places.get(&id.0)?)))
            .collect();
        all.sort_by_key(|(path, _)| {
            parts(path).map(|(family, server, tag)| (family, server, family.parse_tag(tag)))
        });
        all
    }

    /// A plant file to start from.
    fn draft(&self, map: &PointMap, capture: &Path) -> String {
        let file = capture.file_name().unwrap_or_default().to_string_lossy();
        let mut signals = String::new();
        let mut points = String::new();
        for (path, values) in self.by_path(map) {
            let Some((family, server, tag)) = parts(path) else { continue };
            let Some(place) = family.parse_tag(tag).and_then(|tag| Place::of(&tag)) else { continue };
            let bit = matches!(place.table, Table::Coils | Table::DiscreteInputs);
            let manual = place.address.map_or(0, |address| place.table.manual(address));
            let written = values.writes > 0;
            let role = if written { "setpoint" } else { "measurement" };
            let Values { reads, writes, least, most, .. } = values;
            signals += &format!(
                "# manual {manual:05}; read {reads} times, written {writes} times; seen {least} to {most}\n\
                 [[signal]]\npath = \"{path}\"\nunit = \"\"\nrole = \"{role}\"\n\n"
            );
            points += &format!(
                "[[point]]\nsignal = \"{path}\"\nprotocol = \"{family}\"\nendpoint = \"{server}\"\ntag = \"{tag}\" # manual {manual:05}\n\
                 type = \"{}\"\ndirection = \"{}\"\n\n",
                if bit { "bit:0" } else { "u16" },
                if written { "write" } else { "read" },
            );
        }
        let head = format!(
            "# Draft from {file}: every place that was read or written, as a raw word or bit.\n\
             # Tags count from 0 (u1/hr/0 is what manuals call 40001). To do: names, units, types (f32 spans two words),\n\
             # scale and offset, ranges, which set-points are actuators, limits.\n\
             format = 1\nname = {}\n\n",
            serde_json::Value::from(capture.file_stem().unwrap_or_default().to_string_lossy()),
        );
        head + &signals + &points
    }
}

/// `modbus/10.0.0.1:502/u1/hr/0` in its parts.
fn parts(path: &str) -> Option<(Family, &str, &str)> {
    let (family, rest) = path.split_once('/')?;
    let (server, tag) = rest.split_once('/')?;
    Some((family.parse().ok()?, server, tag))
}
