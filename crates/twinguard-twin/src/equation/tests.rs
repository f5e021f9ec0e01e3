use proptest::prelude::*;

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Two states, one input, one parameter.
fn source(text: &str) -> Source {
    Source {
        text: text.to_owned(),
        base: TimeBase::Continuous,
        states: names(&["x", "v"]),
        inputs: names(&["u"]),
        outputs: names(&["y"]),
        parameters: vec![("k".into(), 2.0)],
    }
}

const STATE: [f64; 2] = [0.7, -1.3];
const INPUT: [f64; 1] = [0.4];
const HEAD: &str = "d(x)/dt = v; d(v)/dt = u; y = ";

fn output(model: &Compiled, state: &[f64], input: &[f64]) -> f64 {
    let mut y = [0.0];
    model.output(5.0, state, input, &mut y);
    y[0]
}

/// Value of an expression at x = 0.7, v = -1.3, u = 0.4, k = 2, t = 5.
fn value(expression: &str) -> f64 {
    output(&source(&format!("{HEAD}{expression}")).compile(&[]).unwrap(), &STATE, &INPUT)
}

/// The message for a text, with its offset.
fn refuse(text: &str, offset: Option<usize>, message: &str) {
    let flaw = source(text).compile(&[]).unwrap_err();
    assert_eq!((flaw.offset, flaw.to_string().as_str()), (offset, message), "{text}");
}

#[test]
fn equation_values_follow_the_rules_of_arithmetic() {
    for (expression, expected) in [
        ("1 + 2 * 3", 7.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("(1 + 2) * 3", 9.0),
        ("8 / 4 / 2", 1.0),
        ("1 - 2 - 3", -4.0),
        ("--2", 2.0),
        ("x + v", 0.7 - 1.3),
        ("k * u", 0.8),
        ("min(x, v, u)", -1.3),
        ("max(3, 1, 2)", 3.0),
        ("abs(v)", 1.3),
        ("sign(v) + sign(0)", -1.0),
        ("if(x > u, 1, 2)", 1.0),
        ("if(x <= u, 1, 2)", 2.0),
        ("if(x != x, 1, 2)", 2.0),
        ("(1 < 2) + (2 >= 2) + (1 == 2)", 2.0),
        ("pow(2, 10)", 1024.0),
        ("log10(1000)", 3.0),
        ("ln(exp(1))", 1.0),
        ("t", 5.0),
        ("sin(pi / 2)", 1.0),
        ("cos(0) + tan(0) + tanh(0) + atan(0)", 1.0),
        ("sqrt(x^2)", 0.7),
        ("v^3", -2.197),
        ("4^-0.5 + (x * 0 + 4)^-0.5", 1.0),
        ("x^0 + v^0", 2.0),
        ("1 + # one\n", 1.0),
        ("(1 +\n 2)", 3.0),
    ] {
        if expression.starts_with("1 + #") {
            refuse(
                &format!("{HEAD}{expression}"),
                Some(39),
                "expected a number, a name or `(`, found the end of the line",
            );
            continue;
        }
        let found = value(expression);
        assert!((found - expected).abs() < 1e-12, "{expression}: {found}");
    }
}

#[test]
fn equation_without_a_finite_result_is_nan() {
    for expression in
        ["ln(v)", "sqrt(v)", "v^0.3", "(0 / (x - x)) + 1", "if(sqrt(v) > 0, 1, 2)", "min(sqrt(v), 1)"]
    {
        assert!(value(expression).is_nan(), "{expression}");
    }
}

#[test]
fn equation_errors_name_the_place() {
    refuse("d(x)/dt = v; d(v)/dt = u; y = z", Some(30), "unknown symbol `z`");
    refuse(
        "d(x)/dt = v; d(v)/dt = u; y = velo; vela = 1",
        Some(30),
        "unknown symbol `velo`, did you mean `vela`?",
    );
    refuse("d(x)/dt = v; y = 1", None, "equation of state `v` is missing");
    refuse("d(x)/dt = v; d(v)/dt = u", None, "equation of output `y` is missing");
    refuse("d(x)/dt = v; d(x)/dt = u", Some(15), "equation of state `x` is given twice");
    refuse("d(w)/dt = v", Some(2), "unknown state `w`");
    refuse("k = 1", Some(0), "symbol `k` is given twice");
    refuse("x = 1", Some(0), "`x` is a state: write `d(…)/dt = …`");
    refuse("next(x) = 1", Some(5), "`x` is of a differential equation: write `d(…)/dt = …`");
    refuse("f(x) = 1", Some(0), "`f(…)` cannot stand left of `=`; `d(x)/dt` and `next(x)` can");
    refuse(
        "a = b; b = c; c = a; d(x)/dt = 1; d(v)/dt = 1; y = 1",
        Some(0),
        "equations need each other in a circle: a → b → c → a",
    );
    refuse("y = sine(x)", Some(4), "unknown function `sine`, did you mean `sin`?");
    refuse("y = sin(x, v)", Some(4), "`sin` takes 1 argument(s), not 2");
    refuse("y = if(x, 1)", Some(4), "`if` takes 3 argument(s), not 2");
    refuse("y = 1 2", Some(6), "expected an operator or the end of the line, found `2`");
    refuse("y = 1 < 2 < 3", Some(10), "expected an operator or the end of the line, found `<`");
    refuse("y 1", Some(2), "expected `=`, found `1`");
    refuse("= 1", Some(0), "expected a name, found `=`");
    let deep = format!("y = {}1{}", "(".repeat(100), ")".repeat(100));
    refuse(&deep, Some(69), "nesting of an expression: 65 is more than the limit of 64");
    let deep = format!("y = {}1", "2^".repeat(100_000));
    assert!(source(&deep).compile(&[]).is_err());
}

#[test]
fn equation_declarations_are_checked() {
    let good = source("d(x)/dt = v; d(v)/dt = u; y = x");
    let message = |source: Source| source.compile(&[]).unwrap_err().to_string();
    assert_eq!(message(Source { inputs: names(&["x"]), ..good.clone() }), "symbol `x` is given twice");
    let wrong = Source { states: names(&["a b", "v"]), ..good.clone() };
    assert_eq!(message(wrong), "`a b` is not a name (a letter or `_`, then letters, digits, `_`)");
    let wrong = Source { parameters: vec![("k".into(), f64::NAN)], ..good.clone() };
    assert_eq!(message(wrong), "`k` is not a finite number");
    let wrong = Source { outputs: names(&["y", "y"]), ..good };
    assert_eq!(message(wrong), "output `y` is given twice");
}

#[test]
fn equation_parameters_and_constant_intermediates_can_be_replaced() {
    let source = source("a = 3 * k; b = a + 1; d(x)/dt = v; d(v)/dt = u * b; y = a * x");
    let plain = source.compile(&[]).unwrap();
    let expected = [("k", 2.0), ("a", 6.0), ("b", 7.0)].map(|(name, value)| (name.to_owned(), value));
    assert_eq!(plain.parameters(), expected);
    let changed = source.compile(&[("k", 1.0), ("b", 10.0)]).unwrap();
    let expected = [("k", 1.0), ("a", 3.0), ("b", 10.0)].map(|(name, value)| (name.to_owned(), value));
    assert_eq!(changed.parameters(), expected);
    for (name, message) in [
        ("y", "`y` is not constant: only parameters and constant intermediates can be replaced"),
        ("kk", "unknown parameter `kk`, did you mean `k`?"),
        ("x", "unknown parameter `x`"),
    ] {
        assert_eq!(source.compile(&[(name, 1.0)]).unwrap_err().to_string(), message);
    }
}

#[test]
fn equation_difference_gives_the_next_state() {
    let model = Source {
        text: "next(a) = 0.5 * a + u\nb' = a".into(),
        base: TimeBase::Discrete { step_s: 1.0 },
        states: names(&["a", "b"]),
        inputs: names(&["u"]),
        outputs: names(&["b", "u"]),
        parameters: vec![],
    }
    .compile(&[])
    .unwrap();
    let (mut next, mut y) = ([0.0; 2], [0.0; 2]);
    model.dynamics(0.0, &[4.0, 1.0], &[3.0], &mut next);
    model.output(0.0, &[4.0, 1.0], &[3.0], &mut y);
    assert_eq!((next, y), ([5.0, 4.0], [1.0, 3.0]));
}

#[test]
fn equation_shares_equal_subexpressions() {
    let once = source(&format!("{HEAD}exp(x * v)")).compile(&[]).unwrap().sizes()[1];
    let twice = source(&format!("{HEAD}exp(x * v) + exp(v * x)")).compile(&[]).unwrap().sizes()[1];
    assert_eq!((once, twice), (3, 4));
    let folded = source(&format!("{HEAD}x * 1 + 0 * (2 - 2) + (3 - 3)")).compile(&[]).unwrap().sizes()[1];
    assert_eq!(folded, 1, "one store");
}

#[test]
fn equation_derivatives_at_kinks_are_those_of_the_branch() {
    let slope = |expression: &str, x: f64| {
        let model = source(&format!("{HEAD}{expression}")).compile(&[]).unwrap();
        let (mut by_state, mut by_input) = ([0.0; 2], [0.0]);
        model.output_jacobian(0.0, &[x, 0.0], &[0.0], &mut by_state, &mut by_input);
        by_state[0]
    };
    for (expression, x, expected) in [
        ("sqrt(max(x, 0))", -1.0, 0.0),
        ("sqrt(max(x, 0))", 0.0, 0.0),
        ("sqrt(max(x, 0))", 4.0, 0.25),
        ("abs(x)", 0.0, 0.0),
        ("abs(x)", -3.0, -1.0),
        ("min(x, 1)", 0.5, 1.0),
        ("min(x, 1)", 2.0, 0.0),
        ("if(x > 1, x^2, 3 * x)", 2.0, 4.0),
        ("if(x > 1, x^2, 3 * x)", 0.0, 3.0),
        ("sign(x)", 2.0, 0.0),
        ("abs(x)^1.3", 0.0, 0.0),
        ("2^x", 0.0, core::f64::consts::LN_2),
        ("x^x", 1.0, 1.0),
        ("5", 1.0, 0.0),
    ] {
        let found = slope(expression, x);
        assert!((found - expected).abs() < 1e-15, "{expression} at {x}: {found}");
    }
}

/// Against `pow` itself, which they stand for.
#[test]
fn powers_of_constants_and_of_e_are_exponentials() {
    let model = source(&format!("{HEAD}50^(x - 1) + exp(3 * x)^-0.8")).compile(&[]).unwrap();
    for x in [-3.0, -0.4, 0.0, 0.9, 1.0, 7.5] {
        let expected = libm::pow(50.0, x - 1.0) + libm::pow(libm::exp(3.0 * x), -0.8);
        let found = output(&model, &[x, 0.0], &[0.0]);
        assert!((found / expected - 1.0).abs() < 1e-14, "{x}: {found} {expected}");
    }
    // One exponential each, and neither leaves the finite numbers on the way.
    let film = source(&format!("{HEAD}(50^(800 * x))^-0.01")).compile(&[]).unwrap();
    let found = output(&film, &[1.0, 0.0], &[0.0]);
    assert!((found / libm::pow(50.0, -8.0) - 1.0).abs() < 1e-13, "{found}");
    assert!(output(&film, &[f64::NAN, 0.0], &[0.0]).is_nan());
}

/// More values alive at once than the smaller register files hold.
#[test]
fn equation_programs_of_all_sizes_agree() {
    for count in [10, 60, 200, 900] {
        let states: Vec<String> = (0..count.min(NAME_LIMIT)).map(|n| format!("x{n}")).collect();
        let n = states.len();
        let mut text = String::new();
        for i in 0..n {
            text += &format!("d(x{i})/dt = p{i} * {} - x{}\np{i} = sin(x{i} * 0.{i}1)\n", i + 1, (i + 1) % n);
        }
        text += &format!(
            "y = {}\n",
            (0..n).map(|i| format!("p{i} * p{}", n - 1 - i)).collect::<Vec<_>>().join(" + ")
        );
        let model = Source { text, states, ..source("") }.compile(&[]).unwrap();
        let state: Vec<f64> = (0..n).map(|i| i as f64 * 0.01).collect();
        let mut rate = vec![0.0; n];
        model.dynamics(0.0, &state, &[0.0], &mut rate);
        let p = |i: usize| libm::sin(state[i] * format!("0.{i}1").parse::<f64>().unwrap());
        for i in 0..n {
            assert_eq!(rate[i], p(i) * (i + 1) as f64 - state[(i + 1) % n]);
        }
        let expected: f64 = (1..n).fold(p(0) * p(n - 1), |sum, i| sum + p(i) * p(n - 1 - i));
        assert_eq!(output(&model, &state, &[0.0]), expected);
    }
}

#[test]
fn equation_bounds_hold() {
    let wide = Source { states: (0..600).map(|n| format!("x{n}")).collect(), ..source("") };
    assert!(matches!(wide.compile(&[]).unwrap_err().problem, Problem::TooMuch { what: "states", .. }));
    let long = source(&"#".repeat(TEXT_LIMIT + 1));
    assert!(matches!(long.compile(&[]).unwrap_err().problem, Problem::TooMuch { .. }));
}

/// A random expression, and the same computed on dual numbers: the slow, obvious derivative.
fn expression(depth: u32) -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("x".to_owned()),
        Just("v".to_owned()),
        Just("u".to_owned()),
        Just("k".to_owned()),
        (-3.0..3.0_f64).prop_map(|number| format!("({number:?})")),
    ];
    leaf.prop_recursive(depth, 40, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            (pair.clone(), prop_oneof![Just("+"), Just("-"), Just("*")])
                .prop_map(|((a, b), operator)| format!("({a} {operator} {b})")),
            (pair.clone(), Just("/")).prop_map(|((a, b), _)| format!("({a} / (2 + {b}^2))")),
            (inner.clone(), prop_oneof![Just("sin"), Just("cos"), Just("tanh"), Just("atan"), Just("-")])
                .prop_map(|(a, function)| format!("{function}({a})")),
            inner.clone().prop_map(|a| format!("exp(-({a})^2)")),
            inner.clone().prop_map(|a| format!("ln(1 + ({a})^2)")),
            inner.clone().prop_map(|a| format!("sqrt(1 + ({a})^2)")),
            pair.clone().prop_map(|(a, b)| format!("max({a}, {b})")),
            (pair, inner).prop_map(|((a, b), c)| format!("if({a} > {b}, {c}, {a} + {b})")),
            (0.5..3.0_f64, Just("x")).prop_map(|(power, x)| format!("({x}^2 + 1)^{power:?}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Exact derivatives agree with central differences where those can tell.
    #[test]
    fn equation_jacobians_are_the_slopes(text in expression(5), x in -2.0..2.0_f64, v in -2.0..2.0_f64, u in -2.0..2.0_f64) {
        let model = source(&format!("{HEAD}{text}")).compile(&[]).unwrap();
        let (mut by_state, mut by_input) = ([0.0; 2], [0.0]);
        model.output_jacobian(5.0, &[x, v], &[u], &mut by_state, &mut by_input);
        let exact = [by_state[0], by_state[1], by_input[0]];
        let at = |step: f64, which: usize| {
            let mut point = [x, v, u];
            point[which] += step;
            output(&model, &point[..2], &point[2..])
        };
        for (which, exact) in exact.into_iter().enumerate() {
            let slope = |h: f64| (at(h, which) - at(-h, which)) / (2.0 * h);
            let (coarse, fine) = (slope(1e-4), slope(5e-5));
            // At a kink or a steep place the two differences disagree: nothing to learn there.
            let scale = 1.0 + fine.abs() + at(0.0, which).abs();
            if (coarse - fine).abs() < 1e-6 * scale {
                prop_assert!((exact - fine).abs() < 1e-4 * scale, "{} by {}: {} for {}", text, which, exact, fine);
            }
        }
    }

    #[test]
    fn equation_compiler_never_panics(text in "[dxvuky0-9a-z()/=+*^,<>!.;'# \n-]{0,80}") {
        let _ = source(&text).compile(&[]);
    }
}
