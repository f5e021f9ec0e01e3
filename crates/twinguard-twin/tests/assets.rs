//! A million signals under their assets: made, tied and asked. It prints its seconds; a busy machine makes them longer.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test; it prints its seconds"
)]

use twinguard_twin::assets::Graph;
use twinguard_types::{Asset, Catalogue, Edge, EdgeKind, Role, Signal, SignalId, Tie, TieKind};

#[test]
fn a_million_signals_load_in_seconds() {
    const LINES: u32 = 100;
    const MACHINES: u32 = 1_000;
    const SIGNALS: u32 = 10;
    let begun = std::time::Instant::now();
    let mut catalogue = Catalogue::new();
    let (mut edges, mut ties) = (Vec::new(), Vec::new());
    let plant = catalogue.intern_asset(Asset { path: "plant".into() }).unwrap();
    for line in 0..LINES {
        let line_id = catalogue.intern_asset(Asset { path: format!("plant/{line}").into() }).unwrap();
        edges.push(Edge { from: plant, to: line_id, kind: EdgeKind::Contains });
        let mut before = None;
        for machine in 0..MACHINES {
            let path = format!("plant/{line}/{machine}");
            let id = catalogue.intern_asset(Asset { path: path.as_str().into() }).unwrap();
            edges.push(Edge { from: line_id, to: id, kind: EdgeKind::Contains });
            edges.extend(before.map(|from| Edge { from, to: id, kind: EdgeKind::Feeds }));
            before = Some(id);
            for signal in 0..SIGNALS {
                let role = if signal == 0 { Role::Actuator } else { Role::Measurement };
                let signal =
                    catalogue.intern(Signal::new(format!("{path}/{signal}"), role).unit("degC")).unwrap();
                let kind = if role == Role::Actuator { TieKind::Commands } else { TieKind::Measures };
                ties.push(Tie { asset: id, signal, kind });
            }
        }
    }
    catalogue.connect_all(edges).unwrap();
    catalogue.tie_all(ties).unwrap();
    let made = begun.elapsed();
    let graph = Graph::of(&catalogue);
    let ready = begun.elapsed();
    assert_eq!(catalogue.len(), 1_000_000);
    // The last machine but one of a line moves itself and the last one: nine measurements each.
    let actuator = catalogue.id("plant/42/998/0").unwrap();
    assert_eq!(graph.influences(actuator).len(), 18);
    assert_eq!(graph.asset(SignalId(999_999)), catalogue.asset_id("plant/99/999"));
    let line = catalogue.asset_id("plant/7").unwrap();
    assert_eq!(graph.commanded_by(line).len(), 1_000);
    println!("made in {:.1} s, ready in {:.1} s", made.as_secs_f64(), ready.as_secs_f64());
}
