//! What a run leaves behind: the page, the journal, the machine-readable files, and for the simulation its model and bytes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use twinguard::Guard;
use twinguard::Recorder;
use twinguard::integrity::store::{Directory, Durability};
use twinguard::integrity::{SigningKey, entries_of, seal};
use twinguard::protocol::{Frame, LinkType, capture};
use twinguard::report::{self, RunReport};
use twinguard::twin::simulator::Reference;
use twinguard::types::{Bundle, Finding};

/// The files beside the page.
pub fn files(simulated: bool) -> Vec<String> {
    let mut files = vec![
        "summary.json",
        "findings.jsonl",
        "layer.navigator.json",
        "report.json",
        "journal/",
        "journal.pub",
    ];
    if simulated {
        files.extend(["model/", "wire.pcap"]);
    }
    files.into_iter().map(str::to_owned).collect()
}

/// Writes `report.html` and everything beside it.
pub fn write(
    dir: &Path,
    page: &RunReport,
    recorder: &Recorder,
    summary: &serde_json::Value,
    key: &SigningKey,
) -> Result<()> {
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).with_context(|| path.display().to_string())
    };
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    put("report.html", report::render(page).as_bytes())?;
    put("report.json", serde_json::to_string(page)?.as_bytes())?;
    put("summary.json", format!("{summary}\n").as_bytes())?;
    let findings: Vec<Finding> = recorder.findings().cloned().collect();
    put("layer.navigator.json", report::navigator::layer(&findings).as_bytes())?;
    put("journal.pub", format!("{}\n", key.public()).as_bytes())
}

/// A new journal in the folder; an earlier run's is taken away.
pub fn journal(dir: &Path) -> Result<Directory> {
    let journal = dir.join("journal");
    if journal.exists() {
        std::fs::remove_dir_all(&journal).with_context(|| journal.display().to_string())?;
    }
    Ok(Directory::open(&journal, Durability::Process)?)
}

/// How the detectors stood, for the page.
pub fn detection(guard: &Guard, false_alarms: Option<u32>) -> report::Detection {
    let stood = guard.detection();
    report::Detection {
        detectors: stood.detectors,
        quietest: stood.quietest,
        loudest: stood.loudest,
        alarm: Some(stood.alarm),
        asked_per_day: Some(stood.asked_per_day),
        false_alarms,
        coverage: None,
    }
}

/// Why to believe the page: the signed checkpoint, recomputed from the leaves.
pub fn evidence(guard: &Guard, checkpoint: &str, key: &SigningKey) -> Result<report::Evidence> {
    let verified = guard.evidence().verify(key.public());
    Ok(report::Evidence {
        checkpoint: Some(checkpoint.to_owned()),
        verification: match verified {
            Ok(checkpoint) => report::Verification::Verified { leaves: checkpoint.size },
            Err(error) => report::Verification::Failed { reason: error.to_string() },
        },
        signers: vec![key.public().name().to_owned()],
        model: match guard.seal() {
            Some(_) => String::new(),
            None => {
                "loaded unsealed by explicit option: whoever can change the plant file can change this report"
                    .to_owned()
            }
        },
        commands: vec![
            "cargo run --release --example seal -- log verify journal --public-key journal.pub".to_owned(),
        ],
        ..report::Evidence::default()
    })
}

/// A key for this run alone, from the system's randomness.
pub fn run_key() -> Result<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("no randomness for the journal's key")?;
    Ok(SigningKey::from_seed("twinguard.example/watch", &seed)?)
}

/// The bytes on the simulated wire.
pub struct Wire {
    frames: Vec<(twinguard::types::Timestamp, Vec<u8>)>,
}

impl Wire {
    pub fn new() -> Self {
        Self { frames: Vec::new() }
    }

    pub fn record(&mut self, frame: &Frame<'_>) {
        self.frames.push((frame.at, frame.bytes.to_vec()));
    }

    pub fn write(self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        let mut writer = capture::Writer::new(BufWriter::new(file), LinkType::Ethernet)?;
        for (at, bytes) in &self.frames {
            writer.write(*at, bytes)?;
        }
        writer.finish()?.flush()?;
        Ok(())
    }
}

/// The vendor's model of the plant on stage.
pub struct Model {
    name: &'static str,
    plant: &'static str,
}

/// The cooling loop's plant file, as it ships.
pub fn demo_model() -> Model {
    Model { name: "cooling_loop", plant: twinguard::twin::simulator::cooling_loop::PLANT }
}

/// A reference plant's file, as it ships.
pub fn model(reference: &'static Reference) -> Model {
    Model { name: reference.name, plant: reference.plant }
}

impl Model {
    pub fn plant_text(&self) -> &str {
        self.plant
    }

    pub fn bundle(&self) -> Result<Bundle> {
        let mut bundle = Bundle::default();
        bundle.insert("plant.toml", self.plant.as_bytes().to_vec());
        Ok(bundle)
    }

    /// What the vendor does once, before delivery.
    pub fn seal(&self, key: &SigningKey) -> Result<Vec<u8>> {
        Ok(seal::create(entries_of(&self.bundle()?)?, self.name, 1, key)?)
    }

    /// The sealed folder, so that a reader can check and change it.
    pub fn write(&self, dir: &Path, seal: &[u8], key: &SigningKey) -> Result<()> {
        let put = |path: std::path::PathBuf, bytes: &[u8]| {
            std::fs::write(&path, bytes).with_context(|| path.display().to_string())
        };
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        put(dir.join("plant.toml"), self.plant.as_bytes())?;
        put(dir.with_extension("seal"), seal)?;
        put(dir.with_extension("pub"), format!("{}\n", key.public()).as_bytes())
    }
}
