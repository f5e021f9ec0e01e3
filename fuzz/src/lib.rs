//! What each fuzz target does with its bytes. `cargo fuzz` calls these functions, and so does `cargo test`, which
//! replays the corpus: a finding, once committed to the corpus, is a test for ever.
//!
//! A function may not panic, may not run away in time or memory, and checks what must hold for any input.

pub mod federated;
pub mod frames;
pub mod gateway;
pub mod integrity;
pub mod messages;
pub mod tokens;

use twinguard::{
    gate::{Gate, GateConfig, Record, identity::Token, lint, policy},
    protocol::{
        Item, Sender,
        capture::Reader,
        protocols::modbus::{Repr, View},
        stack::{Config, Stack},
    },
    twin::{
        Model, Plant, TimeBase,
        equation::Source,
        experiment::Experiment,
        grid::{Case, Options, Start},
        importers::{self, Matpower, Telemetry, TelemetryOptions},
        plant::Verb,
        registry,
        water::{Accuracy, Hydraulics},
    },
    types::{Bundle, Principal, SignalId, Timestamp},
};

/// Does one thing to one input.
pub type Target = fn(&[u8]);

/// All targets by name, in alphabetical order.
pub const TARGETS: &[(&str, Target)] = &[
    ("ams", |data| messages::family("ams", data)),
    ("ams_udp", |data| messages::family("ams_udp", data)),
    ("archive", integrity::archive),
    ("bacnet", |data| messages::family("bacnet", data)),
    #[cfg(feature = "biscuit")]
    ("biscuit", tokens::biscuit),
    ("bsap", |data| messages::family("bsap", data)),
    ("bundle", integrity::bundle),
    ("c1222", |data| messages::family("c1222", data)),
    ("capture", capture),
    ("certificate", gateway::certificate),
    ("cotp", |data| messages::family("cotp", data)),
    ("dnp3", messages::dnp3),
    ("enip", |data| messages::family("enip", data)),
    ("epanet", epanet),
    ("equation", equation),
    ("ethercat", |data| messages::family("ethercat", data)),
    ("evidence", integrity::evidence),
    ("experiment", experiment),
    ("federated", federated::federated),
    ("fox", |data| messages::family("fox", data)),
    ("gate", gate),
    ("gateway", gateway::gateway),
    ("genisys", |data| messages::family("genisys", data)),
    ("goose", |data| messages::family("goose", data)),
    ("grid", grid),
    ("hart_ip", |data| messages::family("hart_ip", data)),
    ("iec101", |data| messages::family("iec101", data)),
    ("iec104", |data| messages::family("iec104", data)),
    ("importers", importers),
    ("journal", integrity::journal),
    ("link", frames::link),
    ("melsec", |data| messages::family("melsec", data)),
    ("mms", |data| messages::family("mms", data)),
    ("modbus", modbus),
    ("modbus_rtu", messages::modbus_rtu),
    ("mqtt", |data| messages::family("mqtt", data)),
    ("noise", gateway::noise),
    ("oidc", tokens::oidc),
    ("omron", |data| messages::family("omron", data)),
    ("one_way", gateway::one_way),
    ("opcua", |data| messages::family("opcua", data)),
    ("plant", plant),
    ("pn_dcp", |data| messages::family("pn_dcp", data)),
    ("pn_io", |data| messages::family("pn_io", data)),
    ("pn_rt", |data| messages::family("pn_rt", data)),
    ("point_map", messages::point_map),
    ("proof", integrity::proof),
    ("roc_plus", |data| messages::family("roc_plus", data)),
    ("s7comm", |data| messages::family("s7comm", data)),
    ("s7comm_plus", |data| messages::family("s7comm_plus", data)),
    ("seal", integrity::seal),
    ("srtp", |data| messages::family("srtp", data)),
    ("stack", messages::stack),
    ("standby", gateway::standby),
    ("sv", |data| messages::family("sv", data)),
    ("synphasor", |data| messages::family("synphasor", data)),
    ("tcp", frames::tcp),
    ("telemetry", telemetry),
    ("trust", integrity::trust),
    ("witness", integrity::witness),
];

/// What the gate reads: a policy file about a small plant, a token, a record of a verdict. A policy that is accepted can be
/// compiled and looked through; bytes that are accepted are written the same.
pub fn gate(data: &[u8]) {
    if let Ok(token) = Token::from_bytes(data) {
        assert_eq!(Token::from_bytes(&token.to_bytes()).map(|it| it.id()), Ok(token.id()));
    }
    if let Ok(record) = Record::from_bytes(data) {
        assert_eq!(record.to_bytes(), data);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let plant = "format = 1\nname = \"p\"\n[[signal]]\npath = \"cell.valve\"\nrole = \"actuator\"\n\
                 [[signal]]\npath = \"cell.flow\"\n[[principal]]\nname = \"anna\"\nroles = [\"operator\"]\n";
    let plant = Plant::parse(plant, "plant.toml").expect("a plant");
    let Ok(source) = policy::Source::parse(text, "policy.toml", &plant) else { return };
    if source.clauses.len() <= 50 {
        assert!(lint::sarif(&lint::lint(&source, &plant)).contains("2.1.0"));
    }
    let gate =
        Gate::with_policy(&plant, GateConfig::default(), source).expect("what is read can be compiled");
    let subject = gate.policy().load().subject(&Principal::new("anna").role("operator"), None);
    let request = policy::Request {
        at: Timestamp::from_secs(0),
        signal: SignalId(0),
        verb: Verb::Write,
        value: 0.5,
        mode: gate.policy().load().mode("run"),
        channel: policy::Channel::default(),
    };
    let why = gate.policy().load().explain(&subject, &request, |_| true);
    assert_eq!(why.ruling.allows(), matches!(why.ruling, policy::Ruling::Allowed(_)));
}

/// A power grid: JSON, or MATPOWER-style tables. A small one is estimated as well: a state or an error, finite numbers.
pub fn grid(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(case) = Matpower::parse(text) {
        assert_eq!(case.numbers.len(), case.grid.buses().len());
    }
    let Ok(case) = Case::parse(text) else { return };
    assert_eq!(case.values.len(), case.meters.len());
    if case.grid.buses().len() + case.meters.len() > 200 {
        return;
    }
    let Ok(mut estimator) = case.estimator() else { return };
    let options = Options { max_iterations: 20, ..Options::default() };
    if estimator.estimate(&case.values, Start::Flat, &options).is_ok() {
        assert!(
            estimator.magnitudes_pu().iter().chain(estimator.angles_rad()).all(|number| number.is_finite())
        );
    }
    let found = estimator.observability();
    assert_eq!(found.islands.iter().map(Vec::len).sum::<usize>(), case.grid.buses().len());
}

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
    messages::family("modbus", data);
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

/// A water network. What is refused has a line in the file; what is accepted runs for some steps, twice with the same bits.
pub fn epanet(data: &[u8]) {
    const STEPS: usize = 8;
    const LARGEST: usize = 400;
    match importers::epanet(data) {
        Ok(network) if network.node_count() + network.links.len() <= LARGEST => {
            let run = || {
                let mut water = Hydraulics::new(network.clone(), Accuracy::AsWritten).expect("not too large");
                let mut heads = Vec::new();
                for _ in 0..STEPS {
                    let solved = water.solve().is_ok();
                    heads.extend(water.heads().iter().map(|head| head.to_bits()));
                    if !solved || water.advance().is_none() {
                        break;
                    }
                }
                heads
            };
            assert_eq!(run(), run());
        }
        Ok(_) => {}
        Err(error) => assert!(error.line as usize <= data.iter().filter(|byte| **byte == b'\n').count() + 1),
    }
}

/// A model in any format that is imported. What is refused says where; what is accepted is a plant file.
pub fn importers(data: &[u8]) {
    for importer in registry::importers() {
        match (importer.import)(data) {
            Ok(imported) => {
                let written = Plant::from_signals("fuzz", imported.catalogue).to_toml();
                assert!(written.starts_with("format") || written.contains("format = "));
            }
            Err(refused) => assert!(!refused.place.is_empty() && !refused.reason.is_empty()),
        }
    }
    // The same bytes as a package: names and contents in turns, with zeros between them.
    let mut parts = Bundle::default();
    let mut pieces = data.split(|byte| *byte == 0);
    while let (Some(name), Some(content)) = (pieces.next(), pieces.next()) {
        parts.insert(String::from_utf8_lossy(name).into_owned(), content.to_vec());
    }
    if let Err(refused) = importers::package(&parts) {
        assert!(!refused.place.is_empty() && !refused.reason.is_empty());
    }
}

/// An experiment on a plant's model, short of running it.
pub fn experiment(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let Ok(experiment) = Experiment::parse(text, "fuzz") else { return };
    if let Ok(Some(linear)) = experiment.linearised() {
        let finite = linear.eigenvalues.iter().all(|(re, im)| re.is_finite() && im.is_finite());
        assert!(finite, "poles are numbers");
    }
    let _ = experiment.torques();
    assert!(experiment.run(experiment.cases()).is_err(), "there is no such case");
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
