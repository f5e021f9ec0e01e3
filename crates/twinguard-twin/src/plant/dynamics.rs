//! The section `[dynamics]`: which model, and which signals feed and show it.
//!
//! Source: the plant file of `docs/src/plant-file.md`.

use twinguard_types::{Catalogue, Duration, Range, SignalId, Unit};

use super::{
    Dynamics, Form,
    document::{Entry, Node},
    parse::{Reader, number},
};
use crate::{
    Error, TimeBase,
    equation::Source,
    models::linear::Matrices,
    problem::{Located, Problem, nearest},
    registry,
    water::{ModelError, NetworkModel},
};

/// A declared name with its place and what is said of it.
struct Named<'a> {
    name: String,
    at: usize,
    said: Option<&'a Node>,
}

/// The names under a key: a list of texts, or the keys of a table.
fn names<'a>(node: &'a Node, key: &str) -> Vec<Named<'a>> {
    let Some(node) = node.get(key) else { return Vec::new() };
    let listed = node.list().iter().map(|element| Named {
        name: element.text().unwrap_or_default().to_owned(),
        at: element.at,
        said: None,
    });
    let entry = |entry: &'a Entry| Named { name: entry.key.clone(), at: entry.at, said: Some(&entry.node) };
    listed.chain(node.entries().iter().map(entry)).collect()
}

/// Each parameter's entry, value and uncertainty.
fn parameters(node: &Node) -> Vec<(&Entry, f64, f64)> {
    let mut parameters = Vec::new();
    for entry in node.get("parameters").map(Node::entries).unwrap_or_default() {
        let value = entry.node.number().or_else(|| number(&entry.node, "value")).unwrap_or_default();
        parameters.push((entry, value, number(&entry.node, "sigma").unwrap_or(0.0)));
    }
    parameters
}

pub(super) fn read(
    reader: &Reader<'_>,
    catalogue: &Catalogue,
    node: &Node,
) -> Result<(Option<Dynamics>, bool), Error> {
    let kind = node.get("kind").and_then(Node::text);
    let form = match (node.get("model"), kind) {
        (Some(model), None) => built_in(reader, node, model)?,
        (Some(model), Some(_)) => {
            return Err(reader.refuse(model, "model", "stands beside `kind`: one of them is enough").into());
        }
        (None, Some("learnt")) => {
            only(reader, node, &["kind", "step_s"], "learnt")?;
            return Ok((None, true));
        }
        (None, Some("linear")) => linear(reader, node)?,
        (None, Some("water")) => water(reader, node)?,
        (None, Some(kind)) => equations(reader, node, kind)?,
        (None, None) => {
            let (key, table) = ("model` or `kind".to_owned(), "[dynamics]".to_owned());
            return Err(reader.at(node, Problem::MissingKey { key, table }).into());
        }
    };
    let mut dynamics = build(form).map_err(|flaw| locate(reader, node, flaw))?;
    map(reader, catalogue, node, &mut dynamics)?;
    Ok((Some(dynamics), false))
}

/// Refuses keys that mean nothing for this kind of dynamics.
fn only(reader: &Reader<'_>, node: &Node, keys: &[&str], kind: &str) -> Result<(), Located> {
    match node.entries().iter().find(|entry| !keys.contains(&entry.key.as_str())) {
        Some(entry) => {
            let reason = format!("means nothing for dynamics of the kind `{kind}`");
            let problem = Problem::Value { key: entry.key.clone(), reason };
            Err(reader.source.located(entry.at, problem))
        }
        None => Ok(()),
    }
}

fn built_in(reader: &Reader<'_>, node: &Node, model: &Node) -> Result<Form, Error> {
    let keys = ["model", "parameters", "states", "inputs", "outputs", "step_s"];
    only(reader, node, &keys, "built-in model")?;
    let name = model.text().unwrap_or_default();
    if registry::model(name).is_none() {
        let nearest = nearest(name, registry::models().iter().map(|model| model.name));
        return Err(reader
            .at(model, Problem::Unknown { what: "model", name: name.to_owned(), nearest })
            .into());
    }
    let parameters = parameters(node).iter().map(|(entry, value, _)| (entry.key.clone(), *value)).collect();
    Ok(Form::BuiltIn { name: name.to_owned(), parameters })
}

fn base(reader: &Reader<'_>, node: &Node, kind: &str) -> Result<TimeBase, Error> {
    reader.seconds(node, "sampling_s")?;
    match (kind, number(node, "sampling_s")) {
        ("differential", Some(_)) => {
            let at = node.get("sampling_s").unwrap_or(node);
            let reason = "is for difference equations; `step_s` is the step of integration";
            Err(reader.refuse(at, "sampling_s", reason).into())
        }
        ("difference", None) => {
            let (key, table) = ("sampling_s".to_owned(), "[dynamics]".to_owned());
            Err(reader.at(node, Problem::MissingKey { key, table }).into())
        }
        (_, Some(step_s)) => Ok(TimeBase::Discrete { step_s }),
        (_, None) => Ok(TimeBase::Continuous),
    }
}

fn declared(reader: &Reader<'_>, node: &Node, key: &'static str) -> Result<Vec<String>, Located> {
    let names = names(node, key);
    for (number, name) in names.iter().enumerate() {
        if names.iter().take(number).any(|earlier| earlier.name == name.name) {
            let problem = Problem::Duplicate { what: key, name: name.name.clone() };
            return Err(reader.source.located(name.at, problem));
        }
    }
    Ok(names.into_iter().map(|named| named.name).collect())
}

fn equations(reader: &Reader<'_>, node: &Node, kind: &str) -> Result<Form, Error> {
    let keys = ["kind", "equations", "parameters", "states", "inputs", "outputs", "step_s", "sampling_s"];
    only(reader, node, &keys, kind)?;
    let Some(text) = node.get("equations") else {
        let (key, table) = ("equations".to_owned(), "[dynamics]".to_owned());
        return Err(reader.at(node, Problem::MissingKey { key, table }).into());
    };
    Ok(Form::Equations(Source {
        text: equation_text(text),
        base: base(reader, node, kind)?,
        states: declared(reader, node, "states")?,
        inputs: declared(reader, node, "inputs")?,
        outputs: declared(reader, node, "outputs")?,
        parameters: parameters(node).iter().map(|(entry, value, _)| (entry.key.clone(), *value)).collect(),
    }))
}

/// One text as it is, or the lines of a list.
fn equation_text(node: &Node) -> String {
    match node.text() {
        Some(text) => text.to_owned(),
        None => node.list().iter().filter_map(Node::text).collect::<Vec<_>>().join("\n"),
    }
}

fn water(reader: &Reader<'_>, node: &Node) -> Result<Form, Error> {
    only(reader, node, &["kind", "network", "sampling_s", "states", "inputs", "outputs"], "water")?;
    let missing = |key: &str| {
        reader.at(node, Problem::MissingKey { key: key.to_owned(), table: "[dynamics]".to_owned() })
    };
    let text = node.get("network").ok_or_else(|| missing("network"))?;
    let TimeBase::Discrete { step_s } = base(reader, node, "water")? else {
        return Err(missing("sampling_s").into());
    };
    let outputs = declared(reader, node, "outputs")?;
    Ok(Form::Water(crate::water::Source { network: equation_text(text), step_s, outputs }))
}

fn linear(reader: &Reader<'_>, node: &Node) -> Result<Form, Error> {
    let keys = [
        "kind",
        "A",
        "B",
        "C",
        "D",
        "operating_point",
        "states",
        "inputs",
        "outputs",
        "step_s",
        "sampling_s",
    ];
    only(reader, node, &keys, "linear")?;
    let rows = |node: &Node| node.list().iter().filter_map(Node::number).collect::<Vec<f64>>();
    let matrix = |key| node.get(key).map(Node::list).unwrap_or_default().iter().map(rows).collect::<Vec<_>>();
    let point = |key| node.get("operating_point").and_then(|p| p.get(key)).map(rows).unwrap_or_default();
    Ok(Form::Linear(Matrices {
        base: base(reader, node, "linear")?,
        states: declared(reader, node, "states")?,
        inputs: declared(reader, node, "inputs")?,
        outputs: declared(reader, node, "outputs")?,
        a: matrix("A"),
        b: matrix("B"),
        c: matrix("C"),
        d: matrix("D"),
        x0: point("x"),
        u0: point("u"),
        y0: point("y"),
    }))
}

/// A flaw of the equations, placed in the file as well as it can be.
fn locate(reader: &Reader<'_>, node: &Node, flaw: crate::equation::Flaw) -> Located {
    let text = node.get("equations");
    if let (Some(offset), Some(text)) = (flaw.offset, text) {
        let mut before = offset;
        let lines = if text.text().is_some() { core::slice::from_ref(text) } else { text.list() };
        for line in lines {
            let length = line.text().map_or(0, str::len);
            if before <= length {
                let at = reader.source.content(line).map_or(line.at, |content| content + before);
                return reader.source.located(at, flaw.problem);
            }
            before -= length + 1;
        }
        return reader.at(text, flaw.problem);
    }
    let name = match &flaw.problem {
        Problem::Value { key: name, .. }
        | Problem::Missing { name, .. }
        | Problem::Duplicate { name, .. }
        | Problem::Unknown { name, .. } => Some(name.as_str()),
        _ => None,
    };
    let declared = ["outputs", "inputs", "states", "parameters"].into_iter().flat_map(|key| names(node, key));
    let at = declared.filter(|named| Some(named.name.as_str()) == name).map(|named| named.at).next();
    // A matrix or the like is a key of the section itself.
    let key = node.entries().iter().find(|entry| Some(entry.key.as_str()) == name).map(|entry| entry.at);
    reader.source.located(at.or(key).unwrap_or(node.at), flaw.problem)
}

/// The model of a form, with nothing mapped yet.
pub(super) fn build(form: Form) -> Result<Dynamics, crate::equation::Flaw> {
    use std::sync::Arc;

    let mut start: Option<[Vec<f64>; 3]> = None;
    let mut defaults = None;
    let model: Arc<dyn crate::Model> = match &form {
        Form::BuiltIn { name, parameters } => {
            let Some(model) = registry::model(name) else {
                let problem = Problem::Unknown { what: "model", name: name.clone(), nearest: None };
                return Err(problem.into());
            };
            let of = |get: fn(&crate::models::State) -> f64| model.states.iter().map(get).collect();
            start =
                Some([of(|state| state.initial), of(|state| state.sigma), of(|state| state.process_sigma)]);
            defaults = Some(model.inputs.iter().map(|(_, default)| *default).collect::<Vec<f64>>());
            let overrides: Vec<(&str, f64)> =
                parameters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            model.build(&overrides)?
        }
        Form::Equations(source) => Arc::new(source.compile(&[])?),
        Form::Linear(matrices) => {
            let zeros = |length: usize, values: &Vec<f64>| {
                if values.is_empty() { vec![0.0; length] } else { values.clone() }
            };
            let model = matrices.model()?;
            let n = matrices.states.len();
            start = Some([zeros(n, &matrices.x0), vec![1.0; n], vec![1e-3; n]]);
            defaults = Some(zeros(matrices.inputs.len(), &matrices.u0));
            Arc::new(model)
        }
        Form::Water(source) => {
            let refuse = |reason: String| Problem::Value { key: "network".to_owned(), reason };
            let network = crate::importers::epanet(source.network.as_bytes());
            let network = network.map_err(|error| refuse(format!("is refused: {error}")))?;
            let model =
                NetworkModel::new(network, source.step_s, &source.outputs).map_err(|error| match error {
                    ModelError::Output { name } => Problem::Unknown { what: "output", name, nearest: None },
                    error => refuse(format!("is refused: {error}")),
                })?;
            start = Some(model.start());
            defaults = Some(model.defaults());
            Arc::new(model)
        }
    };
    let (n, m, p) = (model.state_names().len(), model.input_names().len(), model.output_names().len());
    let [initial_state, initial_sigma, process_sigma] =
        start.unwrap_or_else(|| [vec![0.0; n], vec![1.0; n], vec![1e-3; n]]);
    let step = match model.time_base() {
        TimeBase::Continuous => Duration::from_secs(1),
        TimeBase::Discrete { step_s } => Duration::from_secs_f64(step_s).unwrap_or(Duration::from_secs(1)),
    };
    Ok(Dynamics {
        parameter_sigma: vec![0.0; model.parameters().len()],
        inputs: vec![None; m],
        input_defaults: defaults.unwrap_or_else(|| vec![0.0; m]),
        input_sigma: vec![0.0; m],
        outputs: vec![None; p],
        output_sigma: vec![0.0; p],
        initial_state,
        initial_sigma,
        process_sigma,
        step,
        model,
        form,
    })
}

/// Ties states, inputs and outputs to what the file says of them.
fn map(
    reader: &Reader<'_>,
    catalogue: &Catalogue,
    node: &Node,
    dynamics: &mut Dynamics,
) -> Result<(), Located> {
    let model = dynamics.model.clone();
    let find = |what: &'static str, known: &[String], named: &Named<'_>| {
        known.iter().position(|name| *name == named.name).ok_or_else(|| {
            let nearest = nearest(&named.name, known.iter().map(String::as_str));
            let problem = Problem::Unknown { what, name: named.name.clone(), nearest };
            reader.source.located(named.at, problem)
        })
    };
    let signal = |said: &Node| -> Result<Option<SignalId>, Located> {
        let at = said.get("signal").unwrap_or(said);
        at.text().map(|path| reader.signal(catalogue, at, path)).transpose()
    };

    for named in names(node, "states") {
        let index = find("state", model.state_names(), &named)?;
        let Some(said) = named.said else { continue };
        let sigma = number(said, "sigma");
        set(&mut dynamics.initial_state, index, number(said, "initial"));
        set(&mut dynamics.initial_sigma, index, sigma);
        let process = number(said, "process_sigma");
        let built_in = matches!(dynamics.form, Form::BuiltIn { .. } | Form::Water(_));
        set(&mut dynamics.process_sigma, index, process.or(sigma.filter(|_| !built_in).map(|s| s / 1000.0)));
    }
    for named in names(node, "inputs") {
        let index = find("input", model.input_names(), &named)?;
        let Some(said) = named.said else { continue };
        let fed = signal(said)?;
        let known = fed.and_then(|id| catalogue.signal(id));
        let middle = |range: Range| range.min() + range.span() / 2.0;
        let from_range = match dynamics.form {
            Form::Equations(_) => known.and_then(|signal| signal.range).map(middle),
            _ => None,
        };
        let default = said.number().or_else(|| number(said, "default")).or(from_range);
        set(&mut dynamics.input_defaults, index, default);
        let sigma = number(said, "sigma").or(known.and_then(|signal| signal.sigma));
        set(&mut dynamics.input_sigma, index, sigma);
        if let Some(slot) = dynamics.inputs.get_mut(index) {
            *slot = fed;
        }
        units(reader, catalogue, &named, fed)?;
    }
    for named in names(node, "outputs") {
        let index = find("output", model.output_names(), &named)?;
        let Some(said) = named.said else { continue };
        let shown = signal(said)?;
        if let Some(id) = shown {
            let sigma = number(said, "sigma").or(catalogue.signal(id).and_then(|signal| signal.sigma));
            let Some(sigma) = sigma.filter(|sigma| *sigma > 0.0) else {
                let (what, name) = ("a positive `sigma` of signal", catalogue.path(id).to_owned());
                return Err(reader.source.located(said.at, Problem::Missing { what, name }));
            };
            set(&mut dynamics.output_sigma, index, Some(sigma));
            if dynamics.outputs.contains(&Some(id)) {
                let problem =
                    Problem::Duplicate { what: "output's signal", name: catalogue.path(id).to_owned() };
                return Err(reader.source.located(said.at, problem));
            }
        }
        if let Some(slot) = dynamics.outputs.get_mut(index) {
            *slot = shown;
        }
        units(reader, catalogue, &named, shown)?;
    }
    for (entry, _, sigma) in parameters(node) {
        let index = model.parameters().iter().position(|(name, _)| *name == entry.key);
        if let Some(slot) = index.and_then(|index| dynamics.parameter_sigma.get_mut(index)) {
            *slot = sigma;
        }
    }
    if let Some(step) = reader.seconds(node, "step_s")? {
        if matches!(model.time_base(), TimeBase::Discrete { .. }) {
            let at = node.get("step_s").unwrap_or(node);
            let reason = "is for differential equations; here `sampling_s` is the step";
            return Err(reader.refuse(at, "step_s", reason));
        }
        dynamics.step = step;
    }
    Ok(())
}

fn set(values: &mut [f64], index: usize, value: Option<f64>) {
    if let (Some(slot), Some(value)) = (values.get_mut(index), value) {
        *slot = value;
    }
}

/// Units that a name's suffix states.
const UNITS: [(&str, &str); 40] = [
    ("_1_s", "1/s"),
    ("_A", "A"),
    ("_C", "degC"),
    ("_F", "degF"),
    ("_Hz", "Hz"),
    ("_J", "J"),
    ("_J_K", "J/K"),
    ("_K", "K"),
    ("_K_W", "K/W"),
    ("_K_kW", "K/kW"),
    ("_L_s", "L/s"),
    ("_MVA", "MVA"),
    ("_MW", "MW"),
    ("_N", "N"),
    ("_Nm", "N m"),
    ("_Pa", "Pa"),
    ("_V", "V"),
    ("_W", "W"),
    ("_W_K", "W/K"),
    ("_W_m2K", "W/(m2 K)"),
    ("_bar", "bar"),
    ("_cm", "cm"),
    ("_cm3_s", "cm3/s"),
    ("_kPa", "kPa"),
    ("_kV", "kV"),
    ("_kW", "kW"),
    ("_kW_m2", "kW/m2"),
    ("_kg", "kg"),
    ("_kg_m3", "kg/m3"),
    ("_kg_s", "kg/s"),
    ("_kgf_cm2", "kgf/cm2"),
    ("_m", "m"),
    ("_m2", "m2"),
    ("_m3_s", "m3/s"),
    ("_m_s", "m/s"),
    ("_mm", "mm"),
    ("_pu", "pu"),
    ("_rad", "rad"),
    ("_rad_s", "rad/s"),
    ("_rpm", "rpm"),
];

/// Refuses a signal in degrees Fahrenheit on an input called `…_C`: where the name states a unit and the signal has one,
/// they must be the same one.
fn units(
    reader: &Reader<'_>,
    catalogue: &Catalogue,
    named: &Named<'_>,
    signal: Option<SignalId>,
) -> Result<(), Located> {
    let Some(signal) = signal.and_then(|id| catalogue.signal(id)) else { return Ok(()) };
    let suffixes = UNITS.iter().filter(|(suffix, _)| named.name.ends_with(suffix));
    let Some((_, wanted)) = suffixes.max_by_key(|(suffix, _)| suffix.len()) else { return Ok(()) };
    let place = named.said.map_or(named.at, |said| said.at);
    let refuse = |reason: String| {
        Err(reader.source.located(place, Problem::Value { key: named.name.clone(), reason }))
    };
    if signal.unit.is_empty() {
        return Ok(());
    }
    let found: Unit = match signal.unit.parse() {
        Ok(unit) => unit,
        Err(error) => return refuse(format!("is in `{wanted}`, but of `{}` the {error}", signal.path)),
    };
    let Ok(unit) = wanted.parse::<Unit>() else { return Ok(()) };
    if found.same(&unit) {
        return Ok(());
    }
    let reason = format!("is in `{wanted}`, but `{}` is in `{}`", signal.path, signal.unit);
    refuse(match found.same_dimension(&unit) {
        true => format!("{reason}: give the point a `scale` to `{wanted}`"),
        false => format!("{reason}, which is another quantity"),
    })
}
