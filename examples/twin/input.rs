//! Reading numbers out of JSON files, with the key in every complaint.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A JSON file.
pub(crate) fn json(path: &Path) -> Result<Value> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).with_context(|| name.clone())?;
    serde_json::from_str(&text).with_context(|| name)
}

/// The value of a key that must be there.
pub(crate) fn value<'a>(file: &'a Value, key: &str) -> Result<&'a Value> {
    file.get(key).with_context(|| format!("key `{key}` is missing"))
}

/// A finite number.
pub(crate) fn number(file: &Value, key: &str) -> Result<f64> {
    value(file, key)?.as_f64().with_context(|| format!("`{key}` is not a number"))
}

/// A list of numbers.
pub(crate) fn list(file: &Value, key: &str) -> Result<Vec<f64>> {
    entries(value(file, key)?).with_context(|| format!("`{key}` is not a list of numbers"))
}

/// A list of lists of numbers.
pub(crate) fn rows(file: &Value, key: &str) -> Result<Vec<Vec<f64>>> {
    let rows = value(file, key)?.as_array().with_context(|| format!("`{key}` is not a list"))?;
    let row = |(at, row)| entries(row).with_context(|| format!("`{key}[{at}]` is not a list of numbers"));
    rows.iter().enumerate().map(row).collect()
}

fn entries(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

/// A square matrix of this order, row by row: `KEY` in full, or its diagonal as `KEY_diag`.
pub(crate) fn square(file: &Value, key: &str, order: usize) -> Result<Vec<f64>> {
    let diagonal_key = format!("{key}_diag");
    let mut matrix = vec![0.0; order * order];
    if file.get(&diagonal_key).is_some() {
        let diagonal = list(file, &diagonal_key)?;
        ensure!(diagonal.len() == order, "`{diagonal_key}` has {} numbers, not {order}", diagonal.len());
        diagonal.iter().enumerate().for_each(|(at, entry)| matrix[at * order + at] = *entry);
        return Ok(matrix);
    }
    matrix.copy_from_slice(&full(file, key, order, order)?);
    Ok(matrix)
}

/// A matrix of this size, row by row.
pub(crate) fn full(file: &Value, key: &str, height: usize, width: usize) -> Result<Vec<f64>> {
    let rows = rows(file, key)?;
    ensure!(rows.len() == height, "`{key}` has {} rows, not {height}", rows.len());
    if let Some(at) = rows.iter().position(|row| row.len() != width) {
        bail!("`{key}[{at}]` has {} numbers, not {width}", rows[at].len());
    }
    Ok(rows.concat())
}

/// The diagonal of a square matrix whose other entries are zero.
pub(crate) fn diagonal(file: &Value, key: &str, order: usize) -> Result<Vec<f64>> {
    let matrix = square(file, key, order)?;
    let off = (0..order * order).find(|at| at / order != at % order && matrix[*at] != 0.0);
    if let Some(at) = off {
        bail!("`{key}[{}][{}]`: correlated measurement noise is not supported", at / order, at % order);
    }
    Ok((0..order).map(|at| matrix[at * order + at]).collect())
}
