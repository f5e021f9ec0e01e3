//! Makes keys.

use std::io;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use twinguard::integrity::ecdsa::{Curve, EcSigningKey};
use twinguard::integrity::mldsa::{MlDsaSigningKey, ParameterSet};
use twinguard::integrity::{Cosigner, Error, SigningKey};

use crate::answer::Answer;
use crate::files::{failed, write_new};

/// Make a key pair from the system's randomness: PREFIX.key (secret) and PREFIX.pub.
#[derive(Args, Debug)]
pub(crate) struct Keygen {
    /// Where; files that are there are kept.
    #[arg(long, value_name = "PREFIX")]
    out: PathBuf,
    /// Name that signatures will carry, best a host and path of yours; default: the last part of PREFIX.
    #[arg(long)]
    name: Option<String>,
    /// What to sign with. Keys on P-256, P-384 and P-521 are PEM, for bundles of OpenSSF model-signing; ML-DSA keys are PEM
    /// and count only beside another key.
    #[arg(long, value_enum, default_value_t = Algorithm::Ed25519)]
    algorithm: Algorithm,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Algorithm {
    Ed25519,
    P256,
    P384,
    P521,
    MlDsa44,
    MlDsa65,
    /// A witness's, to cosign other people's logs with: Ed25519.
    Witness,
    /// The same, ML-DSA-44.
    WitnessMlDsa44,
    /// A key that encrypts a journal where it is kept: NAME is the journal's; PREFIX.key alone is written. To exchange it, add a line
    /// with another key and a higher number.
    AtRest,
}

impl Keygen {
    pub(crate) fn run(self) -> Result<Answer, Error> {
        let random = |bytes: &mut [u8]| {
            let filled = getrandom::fill(bytes);
            filled.map_err(|error| failed("read randomness for", &self.out, io::Error::other(error)))
        };
        if matches!(self.algorithm, Algorithm::AtRest) {
            let mut key = [0; 32];
            random(&mut key)?;
            let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            let file = self.file(".key");
            write_new(&file, &format!("{} 1 {digits}\n", self.name()), true)?;
            let words = format!("{} is secret, and without it nobody reads the journal", file.display());
            return Ok(Answer::default().say(words));
        }
        let curve = match self.algorithm {
            Algorithm::P256 => Some(Curve::P256),
            Algorithm::P384 => Some(Curve::P384),
            Algorithm::P521 => Some(Curve::P521),
            _ => None,
        };
        let set = match self.algorithm {
            Algorithm::MlDsa44 => Some(ParameterSet::MlDsa44),
            Algorithm::MlDsa65 => Some(ParameterSet::MlDsa65),
            _ => None,
        };
        let (secret, public) = match curve {
            None => {
                let mut seed = [0; 32];
                random(&mut seed)?;
                match set {
                    _ if matches!(self.algorithm, Algorithm::Witness | Algorithm::WitnessMlDsa44) => {
                        let key = match self.algorithm {
                            Algorithm::Witness => Cosigner::ed25519(&self.name(), &seed)?,
                            _ => Cosigner::ml_dsa_44(&self.name(), &seed)?,
                        };
                        (format!("{}\n", *key.to_text()), key.public().to_string())
                    }
                    Some(set) => {
                        let key = MlDsaSigningKey::from_seed(set, &seed);
                        (key.to_pem()?.to_string(), key.public().to_pem()?)
                    }
                    None => {
                        let key = SigningKey::from_seed(&self.name(), &seed)?;
                        (format!("{}\n", *key.to_text()), key.public().to_string())
                    }
                }
            }
            Some(curve) => {
                let mut bytes = [0; 66];
                random(&mut bytes)?;
                let key = EcSigningKey::from_random(curve, &bytes)?;
                (key.to_pem()?.to_string(), key.public().to_pem()?)
            }
        };
        let (secret_file, public_file) = (self.file(".key"), self.file(".pub"));
        write_new(&secret_file, &secret, true)?;
        write_new(&public_file, &format!("{}\n", public.trim_end()), false)?;
        let (secret, shown) = (secret_file.display(), public_file.display());
        let words = format!("{secret} is secret; give {shown} to whoever verifies\n{}", public.trim_end());
        Ok(Answer::default().with("public_key", public.trim_end()).say(words))
    }

    fn name(&self) -> String {
        let own =
            || self.out.file_name().unwrap_or_default().to_string_lossy().replace([' ', '+', '"', '\\'], "-");
        self.name.clone().unwrap_or_else(own)
    }

    fn file(&self, end: &str) -> PathBuf {
        let mut name = self.out.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    }
}
