//! What each fuzz target does with its bytes. `cargo fuzz` calls these functions, and so does `cargo test`, which
//! replays the corpus: a finding, once committed to the corpus, is a test for ever.
//!
//! A function may not panic, may not run away in time or memory, and checks what must hold for any input.

pub mod frames;
pub mod integrity;
pub mod messages;

use twinguard::{
    protocol::{
        Item, Sender,
        capture::Reader,
        protocols::modbus::{Repr, View},
        stack::{Config, Stack},
    },
    twin::{
        Model, Plant, TimeBase,
        equation::Source,
        importers::{Telemetry, TelemetryOptions},
    },
};

/// Does one thing to one input.
pub type Target = fn(&[u8]);

/// All targets by name, in alphabetical order.
pub const TARGETS: &[(&str, Target)] = &[
    ("capture", capture),
    ("equation", equation),
    ("journal", integrity::journal),
    ("link", frames::link),
    ("modbus", modbus),
    ("plant", plant),
    ("point_map", messages::point_map),
    ("proof", integrity::proof),
    ("seal", integrity::seal),
    ("stack", messages::stack),
    ("tcp", frames::tcp),
    ("telemetry", telemetry),
];

/// A capture file of either format, through links, fragments, TCP, families and pairing.
pub fn capture(data: &[u8]) {
    let Ok(mut reader) = Reader::new(data) else { return };
    let mut stack = Stack::new(Config::default());
    let (mut bytes, mut exchanges) = (0, 0);
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => {
                bytes += frame.bytes.len();
                stack.handle(&frame);
            }
            Ok(None) => break,
            Err(_) => break,
        }
        while let Some(item) = stack.poll() {
            match item {
                Item::Message(message) => {
                    assert!(message.points().count() <= 65_536, "more values than an address space");
                }
                Item::Exchange(_) => exchanges += 1,
                _ => {}
            }
        }
    }
    assert!(bytes <= data.len(), "more bytes came out than went in");
    assert!(exchanges <= stack.counters().exchanges, "an exchange came twice");
}

/// Equations over two states, one input and one parameter. What compiles runs, Jacobians included, twice the same.
pub fn equation(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let source = Source {
        text: text.to_owned(),
        base: TimeBase::Continuous,
        states: names(&["x", "v"]),
        inputs: names(&["u"]),
        outputs: names(&["y"]),
        parameters: vec![("k".to_owned(), 2.0)],
    };
    let model = match source.compile(&[]) {
        Ok(model) => model,
        Err(flaw) => {
            assert!(flaw.offset.is_none_or(|offset| offset <= text.len()), "a flaw lies in the text");
            return;
        }
    };
    let run = || {
        let (mut rate, mut y) = ([0.0; 2], [0.0; 1]);
        let (mut a, mut b, mut c, mut d) = ([0.0; 4], [0.0; 2], [0.0; 2], [0.0; 1]);
        model.dynamics(1.0, &[0.5, -2.0], &[3.0], &mut rate);
        model.output(1.0, &[0.5, -2.0], &[3.0], &mut y);
        model.dynamics_jacobian(1.0, &[0.5, -2.0], &[3.0], &mut a, &mut b);
        model.output_jacobian(1.0, &[0.5, -2.0], &[3.0], &mut c, &mut d);
        [&rate[..], &y, &a, &b, &c, &d].concat().into_iter().map(f64::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(run(), run(), "the same input gives the same bits");
}

/// One Modbus message, first a byte that says who speaks. What can be read as legal is written as it came.
pub fn modbus(data: &[u8]) {
    let Some((speaker, adu)) = data.split_first() else { return };
    let sender = [Sender::Server, Sender::Client, Sender::Unknown][usize::from(speaker % 3)];
    let Some(view) = View::new(adu, sender) else { return };
    let repr = Repr::new(view.transaction_id(), view.unit_id(), view.function(), view.sender(), view.body());
    if let Ok(repr) = repr {
        let written = repr.emit();
        let again = View::new(written.as_bytes(), view.sender()).expect("what was written can be read");
        assert_eq!(again.body(), view.body());
        if view.oddities().is_empty() {
            assert_eq!(written.as_bytes(), adu, "a legal message is written as it came");
        }
    }
}

/// A plant file, TOML or JSON. What is accepted can be written, and read again as the same plant.
pub fn plant(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match Plant::parse(text, "plant.toml") {
        Ok(plant) => {
            let written = plant.to_toml();
            let again = Plant::parse(&written, "plant.toml").expect("what was written can be read");
            assert_eq!(again.to_toml(), written, "writing is stable");
        }
        Err(error) => assert!(!error.to_string().is_empty(), "an error says something"),
    }
}

/// A historian's export. Rows are as wide as the header, their times do not matter, their values are finite.
pub fn telemetry(data: &[u8]) {
    let Ok(mut telemetry) = Telemetry::open(data, TelemetryOptions::default()) else { return };
    let columns = telemetry.signals().len();
    for _ in 0..=data.len() {
        match telemetry.next_row() {
            Ok(Some(row)) => {
                assert_eq!(row.points.len(), columns);
                assert!(row.points.iter().all(|point| point.value.as_f64().is_finite()));
            }
            Ok(None) | Err(_) => return,
        }
    }
    panic!("more rows than bytes");
}
