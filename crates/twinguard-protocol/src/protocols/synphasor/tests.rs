//! The family by itself: the standard's examples, values with their units, configurations, emitted frames.

use proptest::prelude::*;
use twinguard_types::{Quality, Timestamp};

use super::*;
use crate::protocol::Block;
use crate::protocol::{Address, Data, Scalar};

/// A CFG-2 body: one unit with these words and names left blank.
fn config(format: u16, [phasors, analogs, digitals]: [u16; 3], nominal: u16) -> Vec<u8> {
    let mut body = 1_000_000u32.to_be_bytes().to_vec();
    body.extend([0, 1]);
    body.extend(b"Station A       ");
    for word in [7734, format, phasors, analogs, digitals] {
        body.extend(word.to_be_bytes());
    }
    body.extend(vec![b' '; 16 * usize::from(phasors + analogs + 16 * digitals)]);
    // Table D.2: 915527 for 300 kV over 32768 steps.
    body.extend(915_527u32.to_be_bytes().repeat(usize::from(phasors)));
    body.extend(1u32.to_be_bytes().repeat(usize::from(analogs)));
    body.extend(0xffffu32.to_be_bytes().repeat(usize::from(digitals)));
    body.extend(nominal.to_be_bytes());
    body.extend([0, 22, 0, 30]);
    body
}

fn context(source: &str) -> Context {
    Context { source: Address::Socket(source.parse().unwrap()), ..Context::of(Sender::Server) }
}

fn read<'a>(shared: &'a mut Shared, source: &str, bytes: &'a [u8]) -> View<'a> {
    Synphasor::decode(Box::leak(Box::new(())), shared, &context(source), bytes).unwrap()
}

fn frame(content: Content<'_>) -> Vec<u8> {
    Repr::new(2, 7734, (1_149_577_200, 0, 16_817), content).unwrap().emit()
}

/// The values of a data frame behind a configuration, rounded.
fn values(config: &[u8], data: &[u8]) -> String {
    let mut shared = Shared::default();
    let (config, data) = (frame(Content::Config2(config)), frame(Content::Data(data)));
    read(&mut shared, "10.0.0.9:4712", &config);
    let view = read(&mut shared, "10.0.0.9:4713", &data);
    assert!(Synphasor::oddities(&view).is_empty());
    let show = |block: Block<'_>| {
        let place = fmt::from_fn(|f| Synphasor::write_tag(&block.tag, f)).to_string();
        let value = match block.data {
            Data::Scalar { value: Scalar::Float(value), .. } => format!("{value:.3}"),
            Data::Scalar { value, .. } => value.to_string(),
            _ => String::new(),
        };
        assert_eq!(block.at, Some(Timestamp::from_nanos(1_149_577_200_016_817_000)));
        let bad = if block.quality == Quality::Good { "" } else { "!" };
        format!("{}={value}{bad}", place.trim_start_matches("7734/7734/"))
    };
    Synphasor::blocks(&view, None).map(show).collect::<Vec<_>>().join(" ")
}

#[test]
fn words_become_physical_values() {
    // Table D.1: VA 14635 at 0, frequency +2500 mHz, an analog of 100, digital 0x3c12; here as rectangular integers.
    let rectangular = [0, 0, 0x39, 0x2b, 0, 0, 0x09, 0xc4, 0, 0, 0, 100, 0x3c, 0x12];
    assert_eq!(
        values(&config(0, [1, 1, 1], 0), &rectangular),
        "stat=0 ph0.re=133987.376 ph0.im=0.000 freq=62.500 rocof=0.000 an0=100.000 dg0=15378"
    );
    let polar = [0, 0, 0x39, 0x2b, 0xd1, 0x0e, 0xff, 0xff, 0, 50];
    assert_eq!(
        values(&config(1, [1, 0, 0], 1), &polar),
        "stat=0 ph0.mag=133987.376 ph0.ang=-1.202 freq=49.999 rocof=0.500"
    );
    let mut floats = vec![0x20, 0];
    for value in [1.5f32, -0.5, 50.01, 0.25, 7.0] {
        floats.extend(value.to_be_bytes());
    }
    assert_eq!(
        values(&config(15, [1, 1, 0], 1), &floats),
        "stat=8192! ph0.mag=1.500! ph0.ang=-0.500! freq=50.010! rocof=0.250! an0=7.000!"
    );
    // §6.3.1: absent.
    assert_eq!(
        values(&config(1, [1, 0, 0], 1), &[0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0]),
        "stat=0 ph0.mag=NaN! ph0.ang=NaN! freq=50.000 rocof=0.000"
    );
}

#[test]
fn quality_comes_from_the_status_word_and_the_clock() {
    for (status, time, expect) in [
        (0, 0, Quality::Good),
        (0x4000, 0, Quality::Bad),
        (0x8000, 0, Quality::Uncertain),
        (0xc000, 0, Quality::Bad),
        (0x2000, 0, Quality::Uncertain),
        (0x0200, 0, Quality::Uncertain),
        (0x0800, 0, Quality::Good),
        (0, 0x0f, Quality::Uncertain),
        (0, 0x06, Quality::Uncertain),
        (0, 0x05, Quality::Good),
        (0, 0x70, Quality::Good),
    ] {
        assert_eq!(quality(status, time), expect, "{status:04x} {time:02x}");
    }
}

#[test]
fn a_data_frame_needs_the_configuration_of_its_sender() {
    let mut shared = Shared::default();
    let config = frame(Content::Config2(&config(0, [1, 0, 0], 0)));
    let (data, other) = (frame(Content::Data(&[0; 10])), frame(Content::Data(&[0; 12])));
    let count = |shared: &mut Shared, source: &str, bytes: &[u8]| {
        let view = read(shared, source, bytes);
        (Synphasor::blocks(&view, None).count(), Synphasor::oddities(&view).is_empty())
    };
    assert_eq!(count(&mut shared, "10.0.0.9:4712", &data), (0, true), "not yet explained");
    assert_eq!(count(&mut shared, "10.0.0.9:4712", &config), (0, true));
    assert_eq!(count(&mut shared, "10.0.0.9:4713", &data), (5, true));
    assert_eq!(count(&mut shared, "10.0.0.8:4713", &data), (0, true), "another host");
    assert_eq!(count(&mut shared, "10.0.0.9:4713", &other), (0, false), "of another configuration");
    let mut spoilt = frame(Content::Config2(&self::config(1, [1, 0, 0], 0)));
    spoilt[20] ^= 1;
    assert!(!count(&mut shared, "10.0.0.9:4712", &spoilt).1);
    assert_eq!(count(&mut shared, "10.0.0.9:4713", &data), (5, true), "a spoilt frame changes nothing");
    for host in 0..300 {
        count(&mut shared, &format!("10.1.{}.{}:4712", host / 200, host % 200), &config);
    }
    assert!(format!("{shared:?}").matches("time_base").count() <= CONFIGS_MAX);
}

#[test]
fn configuration_3_explains_as_well() {
    let mut body = vec![0, 0];
    body.extend(1_000_000u32.to_be_bytes());
    body.extend([0, 1, 2, b'S', b'A', 0x1e, 0x36]);
    body.extend([0; 16]);
    for word in [1u16, 1, 0, 0] {
        body.extend(word.to_be_bytes());
    }
    body.extend([2, b'V', b'A', 0, 0, 0, 0]);
    body.extend(2.0f32.to_be_bytes());
    body.extend(0.5f32.to_be_bytes());
    body.extend([0; 21]);
    body.extend([0, 1, 0, 22, 0, 30]);
    let mut shared = Shared::default();
    let config = frame(Content::Config3(&body));
    read(&mut shared, "10.0.0.9:4712", &config);
    let data = frame(Content::Data(&[0, 0, 0, 100, 0x27, 0x10, 0, 0, 0, 0]));
    let view = read(&mut shared, "10.0.0.9:4712", &data);
    let values: Vec<_> = Synphasor::blocks(&view, None)
        .filter_map(|block| match block.data {
            Data::Scalar { value: Scalar::Float(value), .. } => Some(value),
            _ => None,
        })
        .collect();
    assert_eq!(values, [200.0, 0.5, 50.0, 0.0]);
}

#[test]
fn commands_are_actions() {
    let action = |command| {
        let bytes = frame(Content::Command(command));
        let view = View::new(&bytes).unwrap();
        assert_eq!(Synphasor::probe(&bytes), Some(Sender::Client));
        assert_eq!((Synphasor::header(&view).function, Synphasor::header(&view).unit), (4, 7734));
        Synphasor::action(&Synphasor::memo(&view))
    };
    assert_eq!(action(1), Some(Action::Stop));
    assert_eq!(action(2), Some(Action::Start));
    assert_eq!(action(5), Some(Action::Browse));
    assert_eq!(action(0x1234), None);
}

#[test]
fn streams_are_cut_by_the_size() {
    let bytes = frame(Content::Data(&[1, 2, 3, 4]));
    for len in 0..bytes.len() {
        assert!(matches!(Synphasor::cut(&bytes[..len]), Cut::More(more) if more > len), "{len}");
        assert_eq!(Synphasor::probe(&bytes[..len]), None);
    }
    assert_eq!(Synphasor::cut(&[&bytes[..], &bytes].concat()), Cut::Message(bytes.len()));
    assert_eq!(Synphasor::probe(&[&bytes[..], &bytes].concat()), Some(Sender::Server));
    assert_eq!(Synphasor::cut(b"GET "), Cut::Foreign);
    assert_eq!(Synphasor::cut(&[0xaa, 1, 0, 15]), Cut::Foreign);
    assert_eq!(Synphasor::probe(&[&bytes[..], &frame(Content::Command(2))].concat()), None);
    assert_eq!(checksum(b"123456789"), 0x29b1, "the check value of CRC-16/IBM-3740");
}

#[test]
fn a_tag_is_written_in_one_way() {
    let show = |tag| fmt::from_fn(|f| Synphasor::write_tag(&tag, f)).to_string();
    for good in [
        "60/61/ph0.mag",
        "1/2/ph13.ang",
        "1/2/ph0.re",
        "1/2/ph0.im",
        "1/2/freq",
        "1/2/rocof",
        "65535/0/an3",
        "1/2/dg0",
        "1/2/stat",
    ] {
        assert_eq!(Synphasor::parse_tag(good).map(show).as_deref(), Some(good));
    }
    for bad in ["", "1/2", "1/2/ph.mag", "1/2/ph01.mag", "1/2/freq0", "65536/2/freq", "1/2/freq/3"] {
        assert_eq!(Synphasor::parse_tag(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn emitted_frames_read_back(version in 1..3u8, id: u16, time: (u32, u8), fraction in 0..1u32 << 24, data in proptest::collection::vec(any::<u8>(), 0..80), kind in 0..6u8, command: u16) {
        let content = match kind {
            0 => Content::Data(&data),
            1 => Content::Header(&data),
            2 => Content::Config1(&data),
            3 => Content::Config2(&data),
            4 => Content::Command(command),
            _ => Content::Config3(&data),
        };
        let bytes = Repr::new(version, id, (time.0, time.1, fraction), content).unwrap().emit();
        let view = View::new(&bytes).unwrap();
        prop_assert!(view.oddities().is_empty());
        prop_assert_eq!((view.version(), view.id(), view.seconds(), view.time_quality(), view.fraction()), (version, id, time.0, time.1, fraction));
        prop_assert_eq!(view.command(), (kind == 4).then_some(command));
        prop_assert!(kind == 4 || view.data() == data);
        prop_assert!(Synphasor::probe(&bytes).is_some());
    }

    #[test]
    fn any_bytes_are_shown(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..6u8) {
        let data = frame(match kind {
            0 => Content::Data(&bytes),
            3 => Content::Config2(&bytes),
            _ => Content::Config3(&bytes),
        });
        let mut shared = Shared::default();
        for bytes in [&data, &bytes] {
            if View::new(bytes).is_some() {
                let view = read(&mut shared, "10.0.0.9:4712", bytes);
                let mut fields = 0;
                Synphasor::fields(&view, &mut |_, _| fields += 1);
                prop_assert!(fields <= 16 * bytes.len() + 64);
                prop_assert!(Synphasor::blocks(&view, None).count() <= bytes.len());
            }
        }
    }
}
