//! The core, without a socket: what a client's bytes come to, and what becomes of commands when something breaks.

use core::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::modbus::{Exception, Request, piece, refusal};
use super::one_way::{Gap, StreamId, Taken, Told};
use super::*;
use crate::certificate::{Certificate, Term};
use twinguard::integrity::storage::{Memory, Part, Storage};
use twinguard::protocol::Family;
use twinguard::protocol::protocol::Cut;
use twinguard::twin::Plant;
use twinguard::types::{Digest, Duration};

const PLANT: &str = r#"
format = 1
name = "tank"
[[signal]]
path = "tank.level"
unit = "m"
range = [0.0, 10.0]
sigma = 0.01
[[signal]]
path = "tank.pump"
role = "actuator"
range = [0.0, 100.0]
[[signal]]
path = "tank.drain"
role = "actuator"
range = [0.0, 1.0]
[[signal]]
path = "tank.setpoint"
role = "setpoint"
[[point]]
signal = "tank.level"
protocol = "modbus"
tag = "u1/ir/0"
scale = 0.001
[[point]]
signal = "tank.pump"
protocol = "modbus"
tag = "u1/hr/0"
scale = 0.1
direction = "write"
[[point]]
signal = "tank.drain"
protocol = "modbus"
tag = "u1/co/3"
type = "bit:0"
direction = "write"
[[point]]
signal = "tank.setpoint"
protocol = "modbus"
tag = "u1/hr/1"
type = "f32"
direction = "write"
[time]
sampling_s = 1.0
stale_s = 30.0
[[principal]]
name = "plc"
kind = "device"
addresses = ["10.0.0.10"]
roles = ["controller"]
[[principal]]
name = "anna"
roles = ["operator"]
[[principal]]
name = "bob"
roles = ["operator"]
[[rule]]
name = "the controller drives the tank"
effect = "allow"
roles = ["controller"]
signals = ["tank.pump", "tank.drain"]
commands_per_minute = 6
[[rule]]
name = "set-points need two"
effect = "allow"
roles = ["controller", "operator"]
signals = ["tank.setpoint"]
two_person = true
"#;

const DYNAMICS: &str = r#"
[dynamics]
kind = "differential"
equations = "d(h)/dt = 0.001 * pump - 0.05 * h"
states = { h = { initial = 0.5, sigma = 0.05, process_sigma = 1e-4 } }
inputs = { pump = { signal = "tank.pump", default = 25.0 } }
outputs = { h = "tank.level" }
[[limit]]
signal = "tank.level"
max = 1.5
kind = "never_exceed"
horizon_s = 600.0
"#;

const PLC: &str = "10.0.0.10:40000";
const DEVICE: &str = "10.0.0.2:502";

fn core_of(plant: &str, storage: Option<Breaking>) -> Core {
    let plant = Plant::parse(plant, "plant.toml").unwrap();
    let builder = Guard::builder_unsealed(plant);
    let builder = match storage {
        Some(storage) => builder.journal(storage),
        None => builder,
    };
    let guard = builder.build().unwrap();
    Core::new(guard, Mode::Enforce)
        .unwrap()
        .with_servers(&[(Family::Modbus, 502), (Family::Mqtt, 1883)])
        .unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_000 + secs)
}

fn adu(pdu: &[u8]) -> Vec<u8> {
    let mut adu = vec![0, 7, 0, 0, 0, pdu.len() as u8 + 1, 1];
    adu.extend_from_slice(pdu);
    adu
}

fn register(address: u8, value: u16) -> Vec<u8> {
    let [high, low] = value.to_be_bytes();
    adu(&[6, 0, address, high, low])
}

fn refused(answer: &Answer) -> Option<Exception> {
    match answer {
        Answer::Refuse { exception, .. } => Some(*exception),
        _ => None,
    }
}

/// A journal's storage that can be made to fail, as a full disk does.
#[derive(Clone, Debug, Default)]
struct Breaking {
    full: Arc<AtomicBool>,
    inner: Arc<std::sync::Mutex<Memory>>,
}

impl Breaking {
    fn check(&self) -> Result<(), twinguard::integrity::Error> {
        if self.full.load(Ordering::Relaxed) {
            Err(twinguard::integrity::Error::Policy { reason: "no space left on device" })
        } else {
            Ok(())
        }
    }
}

impl Storage for Breaking {
    fn read(&self, part: Part) -> Result<Option<Vec<u8>>, twinguard::integrity::Error> {
        self.inner.lock().unwrap().read(part)
    }
    fn replace(&mut self, part: Part, bytes: &[u8]) -> Result<(), twinguard::integrity::Error> {
        self.check()?;
        self.inner.lock().unwrap().replace(part, bytes)
    }
    fn append(&mut self, bytes: &[u8]) -> Result<(), twinguard::integrity::Error> {
        self.check()?;
        self.inner.lock().unwrap().append(bytes)
    }
    fn remove_partial(&mut self, full: Part) -> Result<(), twinguard::integrity::Error> {
        self.inner.lock().unwrap().remove_partial(full)
    }
    fn remove(&mut self, part: Part) -> Result<(), twinguard::integrity::Error> {
        self.inner.lock().unwrap().remove(part)
    }
    fn sync(&mut self) -> Result<(), twinguard::integrity::Error> {
        self.check()
    }
}

#[test]
fn requests_are_told_apart_by_their_bytes() {
    let of = |pdu: &[u8]| Request::of(&adu(pdu));
    assert_eq!(of(&[3, 0, 0, 0, 2]), Request::Read);
    assert_eq!(of(&[6, 0, 0, 0, 2]), Request::Write);
    assert_eq!(of(&[23, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 1]), Request::Write);
    assert_eq!(of(&[8, 0, 1, 0, 0]), Request::Other(8));
    assert_eq!(of(&[90, 1, 2]), Request::Other(90));
    assert_eq!(of(&[3, 0, 0, 0, 126]), Request::Malformed, "§6.3 allows 125");
    assert_eq!(of(&[5, 0, 0, 1, 2]), Request::Malformed, "§6.5: neither on nor off");
    assert_eq!(of(&[16, 0, 0, 0, 2, 4, 0, 1]), Request::Malformed, "§6.12: bytes are missing");
    assert_eq!(of(&[0x86, 2]), Request::Malformed);
    assert_eq!(Request::of(&[1, 2, 3]), Request::Malformed);
    assert_eq!(piece(&adu(&[3, 0, 0, 0, 2])), Cut::Message(12));
    assert_eq!(piece(b"GET / HTTP/1.1"), Cut::Foreign);
    assert_eq!(piece(&[0, 1, 0, 0, 1, 4, 1]), Cut::Foreign, "266 bytes, §4.1 allows 260");
    assert_eq!(refusal(&adu(&[6, 0, 0, 0, 2]), Exception::Busy), [0, 7, 0, 0, 0, 3, 1, 0x86, 6]);
}

#[test]
fn what_is_not_known_or_not_whole_does_not_pass() {
    let mut core = core_of(PLANT, None);
    let line = core.open(at(0), address(PLC), address(DEVICE));
    let mut check = |pdu: &[u8], expect| {
        let answer = core.request(at(1), line, &adu(pdu));
        assert_eq!(refused(&answer), Some(expect), "{pdu:?}: {answer:?}");
    };
    check(&[6, 0, 9, 0, 1], Exception::IllegalAddress);
    check(&[6, 0, 1, 0, 1], Exception::IllegalAddress); // half of a number of two registers
    check(&[16, 0, 0, 0, 2, 4, 0, 1, 0, 1], Exception::IllegalAddress); // one whole value and half of another
    check(&[22, 0, 0, 0, 0xf0, 0, 1], Exception::IllegalValue); // some bits of a number
    check(&[15, 0, 3, 0, 2, 1, 3], Exception::IllegalAddress);
    assert_eq!(core.tally().judged, 0);
}

#[test]
fn an_allowed_write_passes_and_is_judged_once() {
    let mut core = core_of(PLANT, None);
    let line = core.open(at(0), address(PLC), address(DEVICE));
    let write = register(0, 250);
    assert!(matches!(core.request(at(1), line, &write), Answer::Forward { .. }));
    core.passed(at(1), line, true, &write);
    core.passed(at(1), line, false, &write);
    core.tick(at(5));
    let page = core.page(at(5));
    let told: Vec<_> = page.verdicts.iter().map(|it| (it.decision, it.already_sent, it.value)).collect();
    assert_eq!(told, [("allow", false, 25.0)]);
    assert_eq!(page.verdicts[0].who, "plc");
    // What did not come through the gate is told as the tap saw it.
    core.passed(at(6), line, true, &register(0, 260));
    assert!(core.page(at(6)).verdicts[0].already_sent);
    let coil = adu(&[5, 0, 3, 0xff, 0]);
    assert!(matches!(core.request(at(7), line, &coil), Answer::Forward { .. }));
}

#[test]
fn strangers_and_floods_are_refused_with_their_exceptions() {
    let mut core = core_of(PLANT, None);
    let stranger = core.open(at(0), address("10.0.0.66:1"), address(DEVICE));
    assert_eq!(refused(&core.request(at(1), stranger, &register(0, 1))), Some(Exception::IllegalFunction));
    let plc = core.open(at(0), address(PLC), address(DEVICE));
    let answers: Vec<_> = (0..8).map(|n| refused(&core.request(at(2), plc, &register(0, n)))).collect();
    assert_eq!(answers.iter().filter(|it| it.is_none()).count(), 6, "{answers:?}");
    assert!(answers[6..].iter().all(Option::is_some));
    assert_eq!(core.tally().judged, 9);
}

#[test]
fn a_held_write_passes_once_when_another_person_agrees_and_it_is_asked_again() {
    let mut core = core_of(PLANT, None);
    let line = core.open(at(0), address(PLC), address(DEVICE));
    let write = adu(&[16, 0, 1, 0, 2, 4, 0x41, 0x20, 0, 0]); // 10.0
    let answer = core.request(at(1), line, &write);
    assert_eq!(refused(&answer), Some(Exception::Busy), "{answer:?}");
    assert_eq!(refused(&core.request(at(2), line, &write)), Some(Exception::Busy));
    let page = core.page(at(2));
    assert_eq!((page.held.len(), core.tally().judged), (1, 1), "asked twice, held once");
    let id = page.held[0].verdict.command;
    let conflict = core.decide(at(3), &Who::named("anna"), id, ("tank.setpoint", 11.0), true);
    assert!(matches!(conflict, Err(Refusal::Conflict(_))), "another value than was seen");
    let stranger = core.decide(at(3), &Who::named("eve"), id, ("tank.setpoint", 10.0), true);
    assert!(matches!(stranger, Err(Refusal::Forbidden(_))), "{stranger:?}");
    let judged = core.decide(at(4), &Who::named("anna"), id, ("tank.setpoint", 10.0), true).unwrap();
    assert_eq!(judged.decision, "allow");
    assert!(matches!(core.request(at(5), line, &write), Answer::Forward { .. }));
    assert_eq!(
        refused(&core.request(at(6), line, &write)),
        Some(Exception::Busy),
        "an agreement is used once"
    );
    let id = core.page(at(6)).held[0].verdict.command;
    core.decide(at(7), &Who::named("bob"), id, ("tank.setpoint", 10.0), false).unwrap();
    assert_eq!(refused(&core.request(at(8), line, &write)), Some(Exception::IllegalFunction));
    let gone = core.decide(at(9), &Who::named("bob"), id, ("tank.setpoint", 10.0), true);
    assert!(matches!(gone, Err(Refusal::Conflict(_))));
}

#[test]
fn what_a_certificate_proves_counts_whether_it_was_asked_or_seen() {
    let mut core = core_of(PLANT, None);
    let term = Term { not_before: at(-100), not_after: at(100) };
    let certificate = Certificate {
        spiffe: None,
        common_name: Some("plc".to_owned()),
        role: None,
        digest: Digest([7; 32]),
        term,
    };
    // An address that is nobody's.
    let open = |core: &mut Core, now| core.open(now, address("10.0.0.66:40000"), address(DEVICE));
    let line = open(&mut core, at(0));
    core.prove(at(0), line, Some(&certificate), term);
    assert!(matches!(core.request(at(1), line, &register(0, 250)), Answer::Forward { .. }));
    core.passed(at(1), line, true, &register(0, 250));
    core.passed(at(2), line, true, &register(0, 260));
    let page = core.page(at(2));
    let told: Vec<_> = page.verdicts.iter().map(|it| (&*it.who, it.decision, it.already_sent)).collect();
    assert_eq!(told, [("plc", "allow", true), ("plc", "allow", false)]);
    assert_eq!(page.health.certificates[0].of, "client plc");
    core.end(at(3), line);
    let line = open(&mut core, at(4));
    assert_eq!(refused(&core.request(at(4), line, &register(0, 250))), Some(Exception::IllegalFunction));
    core.end(at(5), line);
    // The same endpoint on several lines at one time: whoever proves it has it, the others read.
    let (plain, proved) = (open(&mut core, at(6)), open(&mut core, at(6)));
    core.prove(at(6), proved, Some(&certificate), term);
    let late = open(&mut core, at(6));
    for line in [plain, late] {
        assert_eq!(refused(&core.request(at(7), line, &register(0, 251))), Some(Exception::IllegalFunction));
        core.end(at(8), line);
    }
    assert!(matches!(core.request(at(9), proved, &register(0, 251)), Answer::Forward { .. }));
    core.end(at(10), proved);
    // Ours runs out; one that names nobody; and theirs runs out.
    let nobody = Certificate { common_name: None, ..certificate.clone() };
    let late = Term { not_after: at(50), ..term };
    for (now, certificate, own, passes) in [
        (49, &certificate, late, true),
        (50, &certificate, late, false),
        (51, &nobody, term, false),
        (99, &certificate, term, true),
        (100, &certificate, term, false),
    ] {
        let line = open(&mut core, at(now));
        core.prove(at(now), line, Some(certificate), own);
        let answer = core.request(at(now), line, &register(0, 250));
        assert_eq!(matches!(answer, Answer::Forward { .. }), passes, "{now}: {answer:?}");
        core.end(at(now), line);
    }
}

#[test]
fn an_agreement_that_nobody_uses_lapses() {
    let mut core = core_of(PLANT, None);
    let line = core.open(at(0), address(PLC), address(DEVICE));
    let write = adu(&[16, 0, 1, 0, 2, 4, 0x41, 0x20, 0, 0]);
    core.request(at(1), line, &write);
    let id = core.page(at(1)).held[0].verdict.command;
    core.decide(at(2), &Who::named("anna"), id, ("tank.setpoint", 10.0), true).unwrap();
    assert_eq!(refused(&core.request(at(60), line, &write)), Some(Exception::Busy), "held anew");
}

#[test]
fn an_unsafe_value_is_brought_to_the_nearest_safe_one() {
    let (tables, arrays) = PLANT.split_at(PLANT.find("[time]").unwrap());
    let mut core = core_of(&format!("{tables}{DYNAMICS}{arrays}"), None);
    let line = core.open(at(0), address(PLC), address(DEVICE));
    for n in 0..200 {
        let level = PointText {
            signal: "tank.level".to_owned(),
            value: Some(0.5.into()),
            quality: Default::default(),
            source: None,
            at_s: None,
        };
        let pump = PointText { signal: "tank.pump".to_owned(), value: Some(25.0.into()), ..level.clone() };
        core.points(at(n), &[level, pump]).unwrap();
    }
    let answer = core.request(at(200), line, &register(0, 300));
    assert!(matches!(answer, Answer::Forward { .. }), "0.6 m is safe: {answer:?}");
    core.passed(at(200), line, true, &register(0, 300));
    let answer = core.request(at(201), line, &register(0, 1_000));
    let Answer::Rewrite { adu, .. } = answer else { panic!("2 m is not safe: {answer:?}") };
    let value = u16::from_be_bytes([adu[10], adu[11]]);
    assert!((300..750).contains(&value), "{value}");
    assert_eq!((&adu[..10], adu.len()), (&register(0, 0)[..10], 12), "nothing else has changed");
    core.passed(at(201), line, true, &adu);
    assert!(!core.page(at(202)).verdicts[0].already_sent, "what was rewritten is known when it passes");
}

#[test]
fn all_values_of_a_message_pass_or_none() {
    let plant = PLANT.replace("tag = \"u1/hr/1\"\ntype = \"f32\"", "tag = \"u1/hr/1\"\ntype = \"u16\"");
    let plant = plant.replace(
        "signals = [\"tank.setpoint\"]\ntwo_person = true",
        "signals = [\"tank.setpoint\"]\nrange = [0.0, 5.0]",
    );
    let mut core = core_of(&plant, None);
    let line = core.open(at(0), address(PLC), address(DEVICE));
    let both = |setpoint: u8| adu(&[16, 0, 0, 0, 2, 4, 0, 250, 0, setpoint]);
    assert_eq!(refused(&core.request(at(1), line, &both(9))), Some(Exception::IllegalFunction));
    core.passed(at(2), line, true, &register(0, 250));
    assert!(core.page(at(2)).verdicts[0].already_sent, "the admission of the first value was withdrawn");
    assert!(
        matches!(core.request(at(3), line, &both(4)), Answer::Forward { commands } if commands.len() == 2)
    );
}

#[test]
fn an_agreement_that_the_journal_cannot_keep_does_not_pass() {
    let storage = Breaking::default();
    let full = storage.full.clone();
    let mut core = core_of(PLANT, Some(storage));
    let line = core.open(at(0), address(PLC), address(DEVICE));
    let write = adu(&[16, 0, 1, 0, 2, 4, 0x41, 0x20, 0, 0]); // 10.0
    assert_eq!(refused(&core.request(at(1), line, &write)), Some(Exception::Busy));
    let [held] = core.page(at(2)).held.try_into().unwrap();
    core.decide(at(2), &Who::named("anna"), held.verdict.command, ("tank.setpoint", 10.0), true).unwrap();
    full.store(true, Ordering::Relaxed);
    assert_eq!(refused(&core.request(at(3), line, &write)), Some(Exception::DeviceFailure));
    assert!(core.trouble().is_some());
}

#[test]
fn a_successor_goes_on_with_what_waits_and_with_what_is_used_up() {
    let mut core = core_of(PLANT, None);
    let line = core.open(at(0), address(PLC), address(DEVICE));
    let write = adu(&[16, 0, 1, 0, 2, 4, 0x41, 0x20, 0, 0]); // 10.0
    assert_eq!(refused(&core.request(at(1), line, &write)), Some(Exception::Busy));
    assert!(core.take_changed() && !core.take_changed());
    let used = (0..8).filter(|n| refused(&core.request(at(2), line, &register(0, *n))).is_none()).count();
    let bytes = core.state().unwrap();
    drop(core);

    let next = |bytes: &[u8]| {
        let state = State::parse(bytes).unwrap();
        let builder = Guard::builder_unsealed(Plant::parse(PLANT, "plant.toml").unwrap());
        let core = Core::new(builder.restore(state.guard()).unwrap(), Mode::Enforce).unwrap();
        core.with_servers(&[(Family::Modbus, 502), (Family::Mqtt, 1883)]).unwrap().with_state(state)
    };
    let mut core = next(&bytes);
    let line = core.open(at(3), address(PLC), address(DEVICE));
    assert!(
        used < 8 && refused(&core.request(at(3), line, &register(0, 9))).is_some(),
        "{used} used up the rate"
    );
    assert_eq!(refused(&core.request(at(3), line, &write)), Some(Exception::Busy), "it waits on");
    let [held] = core.page(at(3)).held.try_into().unwrap();
    core.take_changed();
    core.decide(at(4), &Who::named("anna"), held.verdict.command, ("tank.setpoint", 10.0), true).unwrap();
    assert!(core.take_changed());

    // Agreed to here, used there, once.
    let mut core = next(&core.state().unwrap());
    let line = core.open(at(5), address(PLC), address(DEVICE));
    assert!(matches!(core.request(at(5), line, &write), Answer::Forward { .. }));
    assert!(core.take_changed(), "to be kept before it is sent");
    let mut core = next(&core.state().unwrap());
    let line = core.open(at(6), address(PLC), address(DEVICE));
    assert_eq!(refused(&core.request(at(6), line, &write)), Some(Exception::Busy), "held anew");
    let memory = usize::from(u16::from_be_bytes([bytes[32], bytes[33]])) + 34;
    for cut in 0..memory {
        assert!(State::parse(&bytes[..cut]).is_none(), "{cut}");
        let mut altered = bytes.clone();
        altered[cut] ^= 0x20;
        // Whatever comes of it, comes without a panic; the guard's part has a digest of its own.
        if let Some(state) = State::parse(&altered) {
            let _ = core_of(PLANT, None).with_servers(&[]).unwrap().with_state(state).page(at(7));
        }
    }
}

/// What the fuzz target `standby` starts from stays readable; the guard's part, under a digest of its own, is cut short in it.
/// `UPDATE_CORPUS=1` writes it anew.
#[test]
fn states_of_earlier_gateways_are_read() {
    let mut core = core_of(PLANT, None);
    let line = core.open(at(0), address(PLC), address(DEVICE));
    let mut states = vec![("new", core.state().unwrap())];
    let write = adu(&[16, 0, 1, 0, 2, 4, 0x41, 0x20, 0, 0]); // 10.0
    assert_eq!(refused(&core.request(at(1), line, &write)), Some(Exception::Busy));
    for second in 2..40 {
        core.stranger(at(second), address(PLC).ip());
    }
    assert!(!core.findings.is_empty(), "refused logins are found");
    states.push(("held", core.state().unwrap()));
    let [held] = core.page(at(40)).held.try_into().unwrap();
    core.decide(at(40), &Who::named("anna"), held.verdict.command, ("tank.setpoint", 10.0), true).unwrap();
    states.push(("agreed", core.state().unwrap()));

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/standby");
    for (name, bytes) in states {
        let guard = State::parse(&bytes).unwrap().guard().len();
        if std::env::var_os("UPDATE_CORPUS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(name), &bytes[..bytes.len() - guard + 64]).unwrap();
        }
        let kept = State::parse(&std::fs::read(folder.join(name)).unwrap());
        assert!(kept.is_some_and(|state| state.guard().len() == 64), "{name}");
    }
}

#[test]
fn a_journal_that_fails_stops_commands_and_not_telemetry() {
    let storage = Breaking::default();
    let (full, kept) = (storage.full.clone(), storage.clone());
    let mut core = core_of(PLANT, Some(storage));
    let line = core.open(at(0), address(PLC), address(DEVICE));
    assert!(matches!(core.request(at(1), line, &register(0, 250)), Answer::Forward { .. }));
    full.store(true, Ordering::Relaxed);
    assert_eq!(refused(&core.request(at(2), line, &register(0, 251))), Some(Exception::DeviceFailure));
    assert!(core.trouble().unwrap().contains("no space left"), "{:?}", core.trouble());
    let asked = CommandText { signal: "tank.pump".to_owned(), value: 1.0.into(), principal: None };
    assert!(matches!(core.command(at(3), &Who::named("plc"), &asked), Err(Refusal::Unguarded(_))));
    let level = serde_json::from_str::<PointText>("{\"signal\": \"tank.level\", \"value\": 0.5}").unwrap();
    assert_eq!(core.points(at(4), &[level]), Ok(1));
    let page = core.page(at(5));
    let row = page.signals.iter().find(|row| row.path == "tank.level").unwrap();
    assert_eq!(row.reported, Some(0.5));
    assert_eq!(core.tally().unguarded, 2);

    core.keep(at(6));
    assert!(core.trouble().is_some(), "the disk is still full");
    full.store(false, Ordering::Relaxed);
    assert_eq!(refused(&core.request(at(8), line, &register(0, 252))), Some(Exception::DeviceFailure));
    core.keep(at(9));
    assert_eq!(core.trouble(), None);
    assert!(matches!(core.request(at(10), line, &register(0, 252)), Answer::Forward { .. }));
    assert!(core.take_news().any(|news| news.kind == "journal"));
    // Whoever reads it later is told where something is missing, and how much.
    core.close().unwrap();
    let leaves = core.guard().evidence().size();
    let tail = kept.read(Part::Tail).unwrap().unwrap();
    let holds = |text: &[u8]| tail.windows(text.len()).filter(|it| *it == text).count();
    assert_eq!((holds(b"hole"), holds(b"missed")), (1, 1));
    let (again, found) = twinguard::integrity::Journal::open(kept).unwrap();
    assert_eq!(
        (found.leaves, found.dropped_bytes, again.root()),
        (leaves, 0, core.guard().evidence().root())
    );
}

#[test]
fn what_comes_one_way_is_taken_as_far_as_it_is_understood() {
    let mut core = core_of(PLANT, None);
    let points = |json: &str| Told::Batch(serde_json::from_str(json).unwrap());
    let batch = points(
        r#"[{"signal": "tank.level", "value": 0.5, "at_s": 1}, {"signal": "elsewhere", "value": 1},
            {"signal": "tank.level", "value": 9, "source": "model"}, {"signal": "tank.pump", "value": 25}]"#,
    );
    let gap = Told::Gap(Gap { stream: StreamId([1; 16]), from: 3, to: 5 });
    let taken = core.one_way(at(2), "plant", &[gap, batch]);
    assert_eq!(taken, Taken { taken: 2, refused: 2 });
    let page = core.page(at(2));
    let row = page.signals.iter().find(|row| row.path == "tank.level").unwrap();
    assert_eq!((row.reported, core.tally().points), (Some(0.5), 0), "the API was told nothing");
    assert!(page.verdicts.is_empty(), "a value of an actuator is no command");
    let line = &page.health.one_way[0];
    assert_eq!((&*line.name, line.blocks_lost, line.points, line.silent_since_s), ("plant", 2, 2, None));
    core.one_way(at(30), "plant", &[Told::Silent { since: at(2) }]);
    let warned =
        |core: &Core| core.health(at(30)).warnings(at(30)).any(|it| it.contains("`plant` is silent"));
    assert!(warned(&core));
    core.one_way(at(31), "plant", &[Told::Heard]);
    assert!(!warned(&core), "it is heard again");
    let news: Vec<_> = core.take_news().map(|it| (it.kind, it.json)).collect();
    let gap = news.iter().find(|(kind, _)| *kind == "gap").unwrap();
    assert!(gap.1.contains("\"line\":\"plant\"") && gap.1.contains("\"from_block\":3"), "{gap:?}");
    assert!(news.iter().any(|(kind, _)| *kind == "silence"));
    let findings = core.page(at(32)).findings;
    let [lost] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!(lost.title, "line plant lost telemetry", "the silence is over, what is missing stays so");
    let told =
        |text: &str| news.iter().filter(|(kind, json)| *kind == "finding" && json.contains(text)).count();
    assert_eq!((told("line plant is silent"), told("Line plant is heard again, after 29.0 s.")), (2, 1));
}

#[test]
fn words_that_nothing_carries_are_told() {
    let mut core = core_of(PLANT, None);
    let point = |json: &str| serde_json::from_str::<PointText>(json).unwrap();
    let told = core.points(at(0), &[point("{\"signal\": \"tank.levle\", \"value\": 1}")]).unwrap_err();
    assert_eq!(told, Refusal::Invalid("unknown signal `tank.levle`, did you mean `tank.level`?".to_owned()));
    let model =
        core.points(at(0), &[point("{\"signal\": \"tank.level\", \"value\": 1, \"source\": \"model\"}")]);
    assert!(model.is_err(), "nobody speaks for the model");
    assert_eq!(core.points(at(0), &[point("{\"signal\": \"tank.level\", \"value\": null}")]), Ok(1));
    let other = CommandText {
        signal: "tank.pump".to_owned(),
        value: 1.0.into(),
        principal: Some(PrincipalText { name: "plc".to_owned(), kind: None, roles: vec![] }),
    };
    assert!(matches!(core.command(at(1), &Who::named("anna"), &other), Err(Refusal::Forbidden(_))));
    assert!(core.operator(at(1), &OperatorText::Acknowledge { finding: 7 }).is_err());
    core.operator(at(1), &OperatorText::Maintenance { for_s: 60.0, signals: vec!["tank.level".to_owned()] })
        .unwrap();
    assert!(core.operator(at(1), &OperatorText::Shelve { finding: 1, for_s: -1.0 }).is_err());
    assert!(
        core.outcome(at(1), serde_json::from_str("{\"action\": 9, \"result\": \"done\"}").unwrap()).is_err()
    );
    let deadline = core.next_deadline();
    assert!(deadline.is_some_and(|it| it <= at(1) + Duration::from_secs(60)));
}
