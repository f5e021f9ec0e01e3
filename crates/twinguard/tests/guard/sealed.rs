//! Only a sealed plant is loaded as one.

use twinguard::integrity::{Sealed, SigningKey, Trust, entries_of, seal};
use twinguard::twin::Plant;
use twinguard::twin::simulator::cooling_loop::PLANT;
use twinguard::types::{Bundle, Digest, Timestamp};
use twinguard::{Guard, Input};

use crate::site::plant;

fn key() -> SigningKey {
    SigningKey::from_seed("vendor.example/cooling", &[7; 32]).unwrap()
}

fn bundle(text: &[u8]) -> Bundle {
    let mut bundle = Bundle::new(Digest::default());
    bundle.insert("plant.toml", text.to_vec());
    bundle
}

fn sealed() -> Vec<u8> {
    seal::create(entries_of(&bundle(PLANT.as_bytes())).unwrap(), "cooling", 3, &key()).unwrap()
}

fn load(text: &[u8], seal: &[u8], key: &SigningKey) -> Result<Guard, String> {
    let trust = Trust::new(key.public().clone());
    let opened = Sealed::from_bundle(bundle(text), seal, &trust).map_err(|error| error.to_string())?;
    let plant = opened.load::<Plant>().map_err(|error| error.to_string())?;
    Guard::builder(plant).build().map_err(|error| error.to_string())
}

#[test]
fn a_sealed_plant_is_watched_and_the_guard_knows_its_seal() {
    let guard = load(PLANT.as_bytes(), &sealed(), &key()).unwrap();
    let seal = guard.seal().unwrap();
    assert_eq!((seal.version, seal.rollback_checked), (3, false));
    assert_ne!(seal.root, Digest::default());
}

#[test]
fn a_flipped_bit_of_the_plant_is_refused() {
    for place in (0..PLANT.len()).step_by(61) {
        let mut text = PLANT.as_bytes().to_vec();
        text[place] ^= 1 << (place % 8);
        assert!(load(&text, &sealed(), &key()).is_err(), "byte {place}");
    }
}

#[test]
fn a_flipped_bit_of_the_seal_is_refused() {
    let good = sealed();
    for place in 0..good.len() {
        let mut seal = good.clone();
        seal[place] ^= 1 << (place % 8);
        assert!(load(PLANT.as_bytes(), &seal, &key()).is_err(), "byte {place}");
    }
}

#[test]
fn another_key_is_refused() {
    let other = SigningKey::from_seed("vendor.example/cooling", &[8; 32]).unwrap();
    assert!(load(PLANT.as_bytes(), &sealed(), &other).is_err());
}

#[test]
fn the_journal_says_whether_a_seal_was_checked() {
    let leaf = |mut guard: Guard| {
        guard.handle(Timestamp::from_secs(1), Input::Tick).unwrap();
        guard.evidence().root()
    };
    let with = leaf(load(PLANT.as_bytes(), &sealed(), &key()).unwrap());
    assert_ne!(with, leaf(Guard::builder_unsealed(plant()).build().unwrap()));
}

#[cfg(feature = "report")]
#[test]
fn the_report_says_that_nobody_vouches_for_an_unsealed_model() {
    let page = |guard: Guard| {
        let seal = guard.seal().map(|seal| (seal.root, seal.version));
        let recorder = twinguard::Recorder::new(guard.plant(), Timestamp::ZERO);
        let run = twinguard::Run { seal, ..twinguard::Run::default() };
        twinguard::report::render(&recorder.report(&run))
    };
    let unsealed = Guard::builder_unsealed(plant()).build().unwrap();
    assert!(unsealed.seal().is_none());
    assert!(page(unsealed).contains("not sealed"));
    assert!(!page(load(PLANT.as_bytes(), &sealed(), &key()).unwrap()).contains("not sealed"));
}
