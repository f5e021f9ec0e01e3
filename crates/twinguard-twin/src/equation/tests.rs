use super::*;

fn source(text: &str) -> Source {
    Source {
        text: text.to_owned(),
        base: TimeBase::Continuous,
        states: vec!["x".into(), "v".into()],
        inputs: vec!["u".into()],
        outputs: vec!["y".into()],
        parameters: vec![("k".into(), 2.0)],
    }
}

/// Value of an expression over x = 0.7, v = -1.3, u = 0.4, k = 2, t = 5.
fn value(expression: &str) -> f64 {
    let model = source(&format!("d(x)/dt = v; d(v)/dt = u; y = {expression}")).compile(&[]).unwrap();
    let mut y = [0.0];
    model.output(5.0, &[0.7, -1.3], &[0.4], &mut y);
    y[0]
}
