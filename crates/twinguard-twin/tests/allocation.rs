//! A twin is made with all the room it needs: points and slots cost no allocation, from the first on and after a restore.

#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

use allocation_counter::measure;
use twinguard_twin::simulator::cooling_loop::{Options, PLANT, Plant as Transformer};
use twinguard_twin::simulator::{Simulator, Table};
use twinguard_twin::{Plant, Twin};
use twinguard_types::{Direction, Point, Quality, Source, Value};

#[test]
fn points_and_slots_allocate_nothing() {
    let plant = Plant::parse(PLANT, "cooling_loop.toml").unwrap();
    let reads: Vec<_> = plant
        .bindings
        .iter()
        .filter(|binding| binding.direction == Direction::Read)
        .map(|binding| (binding.tag.strip_prefix("u1/ir/").unwrap().parse().unwrap(), binding))
        .collect();
    let mut transformer = Transformer::new(1, &Options::default());
    let mut twin = Twin::new(&plant).unwrap();
    let mut slots = 0;
    for second in 0..4_200 {
        transformer.step();
        let now = transformer.now();
        let point = |(address, binding): &(u16, &twinguard_types::Binding)| {
            let raw = transformer.read(1, Table::Input, *address).unwrap();
            let value = Value::real(f64::from(raw as i16) * binding.scale).unwrap();
            Point::new(binding.signal, value, Source::Field, now)
        };
        let mut points: Vec<Point> = reads.iter().map(point).collect();
        points[second % 11].quality = Quality::Bad;
        let seen = measure(|| {
            points.iter().for_each(|point| twin.observe(point));
            while let Some(residual) = twin.advance(now) {
                slots += usize::from(residual.dof > 0);
            }
        });
        assert_eq!(seen.count_total, 0, "in second {second}");
        if second == 700 {
            let bytes = twin.snapshot();
            twin.restore(&bytes).unwrap();
        }
    }
    assert!(slots > 4_000, "{slots}");
}
