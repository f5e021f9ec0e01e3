//! The table for people: who speaks what with whom, how often, how fast, and what is odd.

use std::collections::BTreeMap;
use std::io::{self, Write};

use twinguard::protocol::stack::{Item, Stack};
use twinguard::protocol::{Family, Kind};
use twinguard::types::{Exchange, ExchangeOutcome, Oddity, Timestamp};

use crate::json::word;

/// What is gathered for people.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    frames: u64,
    span: Option<(Timestamp, Timestamp)>,
    conversations: BTreeMap<(Family, String, String, u16), Conversation>,
    oddities: BTreeMap<(String, String, String), Tally>,
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

impl Overview {
    pub(crate) fn frame(&mut self, at: Timestamp) {
        self.frames += 1;
        self.frame = self.frames;
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    pub(crate) fn item(&mut self, item: &Item<'_>) {
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

    fn seconds(&self) -> f64 {
        self.span.map_or(0.0, |(first, last)| last.since(first).as_secs_f64())
    }

    pub(crate) fn print(&mut self, out: &mut impl Write, name: &str, stack: &Stack) -> io::Result<()> {
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
        if counters.checksums_wrong + counters.checksums_offloaded > 0 {
            writeln!(
                out,
                "\n{} packets with a wrong checksum, {} whose checksum was left to the sender's network card",
                counters.checksums_wrong, counters.checksums_offloaded
            )?;
        }
        if counters.undecoded > 0 {
            writeln!(out, "\n{} frames could not be decoded", counters.undecoded)?;
        }
        Ok(())
    }
}
