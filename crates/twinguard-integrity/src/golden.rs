//! Golden trajectories: what a model has to reproduce before it is believed.
//!
//! A seal says who made a model, not that it is right. A short trajectory, recorded on the model that was reviewed and sealed
//! with it, tells a model that was exchanged by somebody who may sign. The text, in UTF-8:
//! ```text
//! twinguard golden 1
//! step 0.5                       seconds between rows
//! tolerance 1e-9 1e-12           relative, absolute
//! inputs heater inflow           names; a line without names for none
//! outputs level temperature
//! 0.5 0.1 | 1.25 20.5            inputs of a step, then its outputs
//! ```
//! Numbers are decimal and finite. An output may differ from its sealed value by the absolute tolerance and the relative one of
//! that value: platforms round differently, so bits are not compared.
//!
//! Source: FMI 3.0 cross-check rules (reference results with tolerance); IEEE 754-2019 §11 (why results differ between platforms).

use core::fmt;
use core::str::FromStr;

use crate::Error;

const HEADER: &str = "twinguard golden 1";
/// More than a short trajectory needs.
const MOST_VALUES: usize = 1 << 20;

/// Inputs of a model, step by step, with the outputs that it gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Golden {
    /// Seconds between rows.
    pub step: f64,
    /// Relative and absolute tolerance of outputs.
    pub tolerance: (f64, f64),
    /// Names of the inputs.
    pub inputs: Vec<String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// Inputs and outputs of each step.
    pub rows: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Golden {
    /// Compares what a model gave, the outputs of each step, with what is sealed.
    ///
    /// # Errors
    /// [`Error::Behaviour`] with the first output beyond its tolerance, or not there.
    pub fn compare(&self, found: &[Vec<f64>]) -> Result<(), Error> {
        let (relative, absolute) = self.tolerance;
        for (step, (_, outputs)) in self.rows.iter().enumerate() {
            for (at, (output, &expected)) in self.outputs.iter().zip(outputs).enumerate() {
                let found = found.get(step).and_then(|row| row.get(at)).copied().unwrap_or(f64::NAN);
                // Written so that NaN is beyond every tolerance.
                let within = (found - expected).abs() <= absolute + relative * expected.abs();
                if !within {
                    return Err(Error::Behaviour { output: output.clone(), step, expected, found });
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (relative, absolute) = self.tolerance;
        writeln!(f, "{HEADER}\nstep {:?}\ntolerance {relative:?} {absolute:?}", self.step)?;
        for (word, names) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            f.write_str(word)?;
            for name in names {
                write!(f, " {name}")?;
            }
            f.write_str("\n")?;
        }
        for (inputs, outputs) in &self.rows {
            for value in inputs {
                write!(f, "{value:?} ")?;
            }
            f.write_str("|")?;
            for value in outputs {
                write!(f, " {value:?}")?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl FromStr for Golden {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |line, reason| Error::Text { what: "golden trajectory", line, reason };
        let numbers = |line: usize, text: &str| -> Result<Vec<f64>, Error> {
            let number = |word: &str| word.parse::<f64>().ok().filter(|value| value.is_finite());
            let all: Option<Vec<_>> = text.split_whitespace().map(number).collect();
            all.ok_or(bad(line, "it holds something else than finite numbers"))
        };
        let mut lines = text.lines().zip(1..);
        let mut next = |word: &'static str, reason| match lines.next() {
            Some((line, number)) => match line.strip_prefix(word) {
                Some(rest) if rest.is_empty() || rest.starts_with(' ') => Ok((rest, number)),
                _ => Err(bad(number, reason)),
            },
            None => Err(bad(1, reason)),
        };
        next(HEADER, "it is not `twinguard golden 1`")?;
        let (step, line) = next("step", "it is not `step`")?;
        let [step] = numbers(line, step)?[..] else { return Err(bad(line, "it is not one number")) };
        let (tolerance, at) = next("tolerance", "it is not `tolerance`")?;
        let [relative, absolute] = numbers(at, tolerance)?[..] else {
            return Err(bad(at, "it is not two numbers"));
        };
        if step <= 0.0 || relative < 0.0 || absolute < 0.0 {
            return Err(bad(at, "a step or tolerance is not positive"));
        }
        let names = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let inputs = names(next("inputs", "it is not `inputs`")?.0);
        let (outputs, at) = next("outputs", "it is not `outputs`")?;
        let outputs = names(outputs);
        if outputs.is_empty() {
            return Err(bad(at, "there is no output"));
        }
        let mut rows: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
        for (line, number) in lines {
            let (left, right) = line.split_once('|').ok_or(bad(number, "it has no `|`"))?;
            let row = (numbers(number, left)?, numbers(number, right)?);
            if row.0.len() != inputs.len() || row.1.len() != outputs.len() {
                return Err(bad(number, "it has more or fewer numbers than there are names"));
            }
            if rows.len().saturating_mul(inputs.len() + outputs.len()) > MOST_VALUES {
                return Err(bad(number, "it is longer than a short trajectory"));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(bad(at, "there is no row"));
        }
        Ok(Self { step, tolerance: (relative, absolute), inputs, outputs, rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn golden() -> Golden {
        Golden {
            step: 0.5,
            tolerance: (1e-9, 1e-12),
            inputs: vec!["inflow".into()],
            outputs: vec!["level".into()],
            rows: (0..5).map(|n| (vec![1.0], vec![f64::from(n) * 0.1])).collect(),
        }
    }

    #[test]
    fn what_is_beyond_its_tolerance_is_named() {
        let golden = golden();
        let mut found: Vec<_> = golden.rows.iter().map(|(_, outputs)| outputs.clone()).collect();
        golden.compare(&found).unwrap();
        found[3][0] += 1e-10;
        golden.compare(&found).unwrap();
        for wrong in [0.3001, f64::NAN, f64::INFINITY] {
            found[3][0] = wrong;
            assert!(matches!(golden.compare(&found), Err(Error::Behaviour { step: 3, .. })));
        }
        assert!(matches!(golden.compare(&found[..2]), Err(Error::Behaviour { step: 2, .. })));
        assert_eq!(golden.to_string().parse::<Golden>().unwrap(), golden);
    }

    #[test]
    fn malformed_trajectories_name_their_line() {
        let text = golden().to_string();
        for (from, to, line) in [
            ("golden 1", "golden 2", 1),
            ("step 0.5", "step x", 2),
            ("tolerance 1e-9", "tolerance -1", 3),
            ("outputs level", "outputs", 5),
            ("1.0 | 0.1\n", "1.0 | inf\n", 7),
            ("1.0 | 0.1\n", "| 0.1\n", 7),
        ] {
            match text.replace(from, to).parse::<Golden>() {
                Err(Error::Text { line: found, .. }) => assert_eq!(found, line, "{to}"),
                other => panic!("{to}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}", cut in 0usize..120) {
            let whole = golden().to_string();
            let head = whole.get(..cut.min(whole.len())).unwrap_or_default();
            let _ = format!("{head}{text}").parse::<Golden>();
        }
    }
}
