//! What the shell counts, for Prometheus.
//!
//! Source: Prometheus text exposition format 0.0.4.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;

use crate::config::PROXIES;

/// Upper ends of the histogram's buckets, in microseconds.
const BUCKETS: [u64; 10] = [10, 25, 50, 100, 250, 500, 1_000, 5_000, 50_000, 500_000];

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// So many more.
    pub(crate) fn more(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// How many.
    #[must_use]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How often something took how long.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// It took this long.
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for (bucket, end) in self.buckets.iter().zip(BUCKETS) {
            if micros <= end {
                bucket.fetch_add(1, Relaxed);
            }
        }
        self.count.fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }
}

macro_rules! counts {
    ($(#[doc = $what:literal])+ $record:ident; $($(#[doc = $help:literal])+ $name:ident: $metric:literal;)*) => {
        $(#[doc = $what])+
        #[derive(Debug, Default)]
        pub(crate) struct $record {
            $($(#[doc = $help])+ pub(crate) $name: Count,)*
        }

        impl $record {
            /// Appends the text that Prometheus reads.
            fn write(&self, out: &mut String, of: &str) {
                $(metric(out, &format!("twinguard_{of}_{}", $metric), concat!($($help),+).trim(), self.$name.get());)*
            }
        }
    };
}

counts! {
    /// What the proxies of one protocol count.
    Proxied;
    /// Connections of clients accepted by proxies.
    clients: "clients_total";
    /// Connections refused because too many were open.
    crowded: "clients_refused_total";
    /// Connections ended because a message took too long or nothing came.
    slow: "clients_slow_total";
    /// Connections ended because their bytes were not of the protocol.
    foreign: "clients_foreign_total";
    /// Requests passed on as they came; of MQTT, IEC 60870-5-104 and OPC UA, commands.
    passed: "requests_passed_total";
    /// Commands passed on with a value brought to the nearest safe one.
    rewritten: "requests_rewritten_total";
    /// Requests answered or dropped in the server's place.
    refused: "requests_refused_total";
    /// Requests refused because a client sent too many.
    flooded: "requests_flooded_total";
    /// Requests that the server did not answer in time, or that may not have reached it.
    unanswered: "requests_unanswered_total";
    /// Connections to servers that failed.
    unreachable: "server_failures_total";
    /// Messages that the guard could not be shown because it had too much to do.
    unseen: "messages_unseen_total";
}

counts! {
    /// What the API counts.
    Served;
    /// Requests to the API.
    requests: "requests_total";
    /// Requests to the API without a valid token.
    strangers: "requests_unauthorised_total";
    /// Requests to the API beyond a bearer's rate.
    flooded: "requests_flooded_total";
}

counts! {
    /// What one-way lines count that telemetry goes out by.
    OneWayOut;
    /// Points that were sent, once for each line.
    points: "points_sent_total";
    /// Points that were not sent because too many waited, or because one was longer than a block.
    unsent: "points_unsent_total";
    /// Datagrams that were sent.
    datagrams: "datagrams_sent_total";
    /// Datagrams that the network nearby did not take.
    failures: "datagrams_unsent_total";
}

counts! {
    /// What one-way lines count that telemetry comes in by.
    OneWayIn;
    /// Datagrams that were opened.
    datagrams: "datagrams_received_total";
    /// Of them those that were not needed: parity of whole blocks, repetitions, what came too late.
    spare: "datagrams_spare_total";
    /// Datagrams refused because they are none, or contradict others of their block.
    malformed: "datagrams_malformed_total";
    /// Datagrams refused because no holder of the key sealed them as they are.
    forged: "datagrams_forged_total";
    /// Datagrams refused because their stream began before one that was heard.
    old: "datagrams_old_total";
    /// Blocks that came through.
    blocks: "blocks_total";
    /// Of them those that parity made whole.
    recovered: "blocks_recovered_total";
    /// Blocks that are lost.
    lost: "blocks_lost_total";
    /// Blocks that held something other than points.
    unreadable: "blocks_unreadable_total";
    /// Losses of one block, or of several in a row.
    gaps: "gaps_total";
    /// How often a line fell silent.
    silences: "silences_total";
    /// Points that the guard was told.
    points: "points_taken_total";
    /// Points of signals that the plant file does not name.
    refused: "points_refused_total";
    /// Points that the guard could not be told because it had too much to do.
    unseen: "points_unseen_total";
    /// How often the file of what has been heard could not be written.
    unkept: "state_failures_total";
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Stats {
    /// By the keys of the protocols.
    proxied: [(&'static str, Arc<Proxied>); PROXIES.len()],
    pub(crate) api: Served,
    pub(crate) one_way_out: Arc<OneWayOut>,
    pub(crate) one_way_in: Arc<OneWayIn>,
    /// Connections ended because the handshake failed: no certificate of the authority, an old TLS, an unknown key, other bytes.
    pub(crate) unproved: Count,
    /// Time from a command's last byte to its verdict.
    pub(crate) decide: Histogram,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            proxied: PROXIES.map(|kind| (kind.key, Arc::default())),
            api: Served::default(),
            one_way_out: Arc::default(),
            one_way_in: Arc::default(),
            unproved: Count::default(),
            decide: Histogram::default(),
        }
    }
}

impl Stats {
    /// What the proxies of a protocol count; nobody reads what is counted under a key that is no protocol's.
    #[must_use]
    pub(crate) fn proxied(&self, key: &str) -> Arc<Proxied> {
        self.proxied.iter().find(|(of, _)| *of == key).map(|(_, counts)| counts.clone()).unwrap_or_default()
    }

    /// Appends the text that Prometheus reads.
    pub(crate) fn write(&self, out: &mut String) {
        for (key, counts) in &self.proxied {
            counts.write(out, key);
        }
        self.api.write(out, "api");
        self.one_way_out.write(out, "one_way");
        self.one_way_in.write(out, "one_way");
        let help = "Connections ended because the TLS or Noise handshake failed.";
        metric(out, "twinguard_tls_handshakes_failed_total", help, self.unproved.get());
        self.write_decide(out);
    }
}

/// Appends one counter.
pub(crate) fn metric(out: &mut String, name: &str, help: &str, value: u64) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"));
}

/// Appends one gauge for each certificate, whatever its name holds.
pub(crate) fn gauges<'a>(
    out: &mut String,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a str, f64)>,
) {
    out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
    for (of, value) in values {
        let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        out.push_str(&format!("{name}{{of=\"{of}\"}} {value}\n"));
    }
}

impl Stats {
    fn write_decide(&self, out: &mut String) {
        let name = "twinguard_decision_seconds";
        out.push_str(&format!("# HELP {name} Time from a command's last byte to its verdict.\n"));
        out.push_str(&format!("# TYPE {name} histogram\n"));
        for (bucket, end) in self.decide.buckets.iter().zip(BUCKETS) {
            let (end, held) = (end as f64 / 1e6, bucket.load(Relaxed));
            out.push_str(&format!("{name}_bucket{{le=\"{end}\"}} {held}\n"));
        }
        let (count, micros) = (self.decide.count.load(Relaxed), self.decide.micros.load(Relaxed));
        out.push_str(&format!("{name}_bucket{{le=\"+Inf\"}} {count}\n"));
        out.push_str(&format!("{name}_sum {}\n{name}_count {count}\n", micros as f64 / 1e6));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_is_below_their_end() {
        let stats = Stats::default();
        stats.proxied("modbus").passed.add();
        stats.decide.add(Duration::from_micros(30));
        stats.decide.add(Duration::from_secs(2));
        let mut text = String::new();
        stats.write(&mut text);
        assert!(text.contains("# TYPE twinguard_modbus_requests_passed_total counter\ntwinguard_modbus_requests_passed_total 1\n"));
        assert!(
            text.contains("_bucket{le=\"0.000025\"} 0\n") && text.contains("_bucket{le=\"0.00005\"} 1\n")
        );
        assert!(text.contains("_bucket{le=\"+Inf\"} 2\n") && text.contains("_count 2\n"));
        gauges(&mut text, "ends", "When.", [("client \"a\\b\n\"", 2.5)].into_iter());
        assert!(text.ends_with("# TYPE ends gauge\nends{of=\"client \\\"a\\\\b\\n\\\"\"} 2.5\n"), "{text}");
    }
}
