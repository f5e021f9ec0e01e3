//! Layouts of the object groups and variations (IEEE 1815-2012 clause 11 and annex A).

/// How the objects of a group and variation lie in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Nothing: any variation, classes of data.
    Nothing,
    /// This many bits each, one behind the other, the first in the lowest bits of the first byte.
    Packed(u8),
    /// Flags, number, time, each where the variation has it.
    Fixed(Object),
    /// As many bytes as the variation says: octet strings, virtual terminal.
    Octets(u8),
    /// Data type, length, value: device attributes.
    Attribute,
    /// As many bytes as a size prefix says: files, data sets, authentication.
    Sized,
}

/// The parts of an object of fixed size, in the order in which they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where the flags or the control status lies.
    pub flags: Flags,
    /// The number.
    pub number: Number,
    /// The time.
    pub time: Time,
    /// Bytes behind it that make up no value.
    pub rest: u8,
}

/// Where an object has its flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flags {
    /// Nowhere: the value is online (11.6.2).
    None,
    /// Before the number.
    Before,
    /// A control status (annex A, groups 13 and 43) before the number.
    StatusBefore,
    /// A control status behind the number.
    StatusBehind,
}

/// What number an object holds; little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Number {
    /// None.
    None,
    /// The highest bit of the flags.
    State,
    /// The two highest bits of the flags.
    DoubleBit,
    /// Unsigned, this many bytes.
    Unsigned(u8),
    /// Two's complement, this many bytes.
    Signed(u8),
    /// IEEE 754, this many bytes.
    Float(u8),
    /// Binary coded decimal, this many bytes.
    Bcd(u8),
    /// A control relay output block without its status: code, count, on-time, off-time.
    Control,
}

/// What time an object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// None.
    None,
    /// Milliseconds since 1970 in 48 bits (11.3.5.1).
    Absolute,
    /// Milliseconds since the common time of occurrence before it (group 51).
    Relative,
}

impl Object {
    /// Number of bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        let number = match self.number {
            Number::None | Number::State | Number::DoubleBit => 0,
            Number::Unsigned(len) | Number::Signed(len) | Number::Float(len) | Number::Bcd(len) => {
                len as usize
            }
            Number::Control => 10,
        };
        let time = match self.time {
            Time::None => 0,
            Time::Absolute => 6,
            Time::Relative => 2,
        };
        !matches!(self.flags, Flags::None) as usize + number + time + self.rest as usize
    }

    /// Whether it has no byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

const fn object(flags: Flags, number: Number, time: Time) -> Option<Layout> {
    Some(Layout::Fixed(Object { flags, number, time, rest: 0 }))
}

const fn bytes(rest: u8) -> Option<Layout> {
    Some(Layout::Fixed(Object { flags: Flags::None, number: Number::None, time: Time::None, rest }))
}

/// The layout of a group and variation; `None` when the standard knows none.
#[must_use]
pub const fn layout(group: u8, variation: u8) -> Option<Layout> {
    use Flags::{Before, StatusBefore, StatusBehind};
    use Number::{Control, DoubleBit, Float, Signed, State, Unsigned};
    use Time::{Absolute, Relative};
    let (bare, timeless) = (Flags::None, Time::None);
    match (group, variation) {
        // A.2: device attributes; the variation is the attribute.
        (0, _) => Some(Layout::Attribute),
        // A.58, A.59: octet strings; A.60, A.61: virtual terminal. The variation is the length.
        (110..=113, length) => Some(Layout::Octets(length)),
        // 4.2.2.7.3.3: variation 0 is any variation, and holds nothing.
        (1..=4 | 10..=13 | 20..=23 | 30..=34 | 40..=43 | 60 | 80 | 101 | 121 | 122, 0) => {
            Some(Layout::Nothing)
        }
        // A.3, A.4: binary inputs and their events.
        (1 | 10 | 80, 1) | (12, 3) => Some(Layout::Packed(1)),
        (1 | 10, 2) | (2 | 11, 1) => object(Before, State, timeless),
        (2 | 11, 2) => object(Before, State, Absolute),
        (2, 3) => object(Before, State, Relative),
        // A.5, A.6: double-bit binary inputs and their events.
        (3, 1) => Some(Layout::Packed(2)),
        (3, 2) | (4, 1) => object(Before, DoubleBit, timeless),
        (4, 2) => object(Before, DoubleBit, Absolute),
        (4, 3) => object(Before, DoubleBit, Relative),
        // A.9, A.10: control relay output block, pattern control block, command events.
        (12, 1 | 2) => object(StatusBehind, Control, timeless),
        (13, 1) => object(StatusBefore, State, timeless),
        (13, 2) => object(StatusBefore, State, Absolute),
        // A.11 to A.14: counters, frozen counters, their events.
        (20..=23, 1 | 3) => object(Before, Unsigned(4), timeless),
        (20..=23, 2 | 4) => object(Before, Unsigned(2), timeless),
        (20, 5 | 7) | (21, 9 | 11) => object(bare, Unsigned(4), timeless),
        (20, 6 | 8) | (21, 10 | 12) => object(bare, Unsigned(2), timeless),
        (21..=23, 5 | 7) => object(Before, Unsigned(4), Absolute),
        (21..=23, 6 | 8) => object(Before, Unsigned(2), Absolute),
        // A.15 to A.19: analog inputs, frozen analog inputs, their events, deadbands.
        (30..=33 | 40 | 42, 1) => object(Before, Signed(4), timeless),
        (30..=33 | 40 | 42, 2) => object(Before, Signed(2), timeless),
        (30, 3) | (31, 5) => object(bare, Signed(4), timeless),
        (30, 4) | (31, 6) => object(bare, Signed(2), timeless),
        (30, 5) | (31, 7) | (32 | 33, 5) | (40, 3) | (42, 5) => object(Before, Float(4), timeless),
        (30, 6) | (31, 8) | (32 | 33, 6) | (40, 4) | (42, 6) => object(Before, Float(8), timeless),
        (31..=33 | 42, 3) => object(Before, Signed(4), Absolute),
        (31..=33 | 42, 4) => object(Before, Signed(2), Absolute),
        (32 | 33 | 42, 7) => object(Before, Float(4), Absolute),
        (32 | 33 | 42, 8) => object(Before, Float(8), Absolute),
        (34, 1) => object(bare, Unsigned(2), timeless),
        (34, 2) => object(bare, Unsigned(4), timeless),
        (34, 3) => object(bare, Float(4), timeless),
        // A.21, A.23: analog outputs and their command events.
        (41, 1) => object(StatusBehind, Signed(4), timeless),
        (41, 2) => object(StatusBehind, Signed(2), timeless),
        (41, 3) => object(StatusBehind, Float(4), timeless),
        (41, 4) => object(StatusBehind, Float(8), timeless),
        (43, 1) => object(StatusBefore, Signed(4), timeless),
        (43, 2) => object(StatusBefore, Signed(2), timeless),
        (43, 3) => object(StatusBefore, Signed(4), Absolute),
        (43, 4) => object(StatusBefore, Signed(2), Absolute),
        (43, 5) => object(StatusBefore, Float(4), timeless),
        (43, 6) => object(StatusBefore, Float(8), timeless),
        (43, 7) => object(StatusBefore, Float(4), Absolute),
        (43, 8) => object(StatusBefore, Float(8), Absolute),
        // A.24 to A.26: time and date, common time of occurrence, delay.
        (50, 1 | 3) | (51, 1 | 2) => object(bare, Number::None, Absolute),
        (50, 2) => Some(Layout::Fixed(Object { flags: bare, number: Number::None, time: Absolute, rest: 4 })),
        (50, 4) => Some(Layout::Fixed(Object { flags: bare, number: Number::None, time: Absolute, rest: 5 })),
        (52, 1 | 2) => bytes(2),
        // A.27: classes of data.
        (60, 1..=4) => Some(Layout::Nothing),
        // A.28: files; A.32 to A.36: device profiles, private registration, data sets; A.37: applications.
        (70, 1..=8) | (82 | 85..=88, _) | (83, 1 | 2) | (90, 1) => Some(Layout::Sized),
        (81, 1) => bytes(3),
        // A.38, A.39: binary coded decimals, unsigned bytes.
        (101, 1) => object(bare, Number::Bcd(2), timeless),
        (101, 2) => object(bare, Number::Bcd(4), timeless),
        (101, 3) => object(bare, Number::Bcd(8), timeless),
        (102, 1) => object(bare, Unsigned(1), timeless),
        // A.45: authentication; aggressive mode request: sequence and user; session key status request: user.
        (120, 3) => bytes(6),
        (120, 4) => bytes(2),
        (120, 1..=15) => Some(Layout::Sized),
        // A.46, A.47: security statistics: flags, association, count.
        (121, 1) | (122, 1) => object(Before, Unsigned(6), timeless),
        (122, 2) => object(Before, Unsigned(6), Absolute),
        _ => None,
    }
}

/// The group that stands for the kind of point: static values, events, commands and their events are one.
#[must_use]
pub const fn point_type(group: u8) -> u8 {
    match group {
        2 => 1,
        4 => 3,
        11..=13 => 10,
        22 => 20,
        23 => 21,
        32 => 30,
        33 => 31,
        41..=43 => 40,
        111 => 110,
        113 => 112,
        122 => 121,
        other => other,
    }
}

/// The name of a kind of point or of a group without points.
#[must_use]
pub const fn group_name(group: u8) -> &'static str {
    match group {
        0 => "device attribute",
        1 => "binary input",
        2 => "binary input event",
        3 => "double-bit binary input",
        4 => "double-bit binary input event",
        10 => "binary output",
        11 => "binary output event",
        12 => "binary output command",
        13 => "binary output command event",
        20 => "counter",
        21 => "frozen counter",
        22 => "counter event",
        23 => "frozen counter event",
        30 => "analog input",
        31 => "frozen analog input",
        32 => "analog input event",
        33 => "frozen analog input event",
        34 => "analog input deadband",
        40 => "analog output",
        41 => "analog output command",
        42 => "analog output event",
        43 => "analog output command event",
        50 => "time and date",
        51 => "common time of occurrence",
        52 => "time delay",
        60 => "class of data",
        70 => "file",
        80 => "internal indication",
        81 => "device storage",
        82 => "device profile",
        83 => "private registration",
        85 => "data set prototype",
        86 => "data set descriptor",
        87 => "data set",
        88 => "data set event",
        90 => "application",
        101 => "binary coded decimal",
        102 => "unsigned integer",
        110 => "octet string",
        111 => "octet string event",
        112 => "virtual terminal output",
        113 => "virtual terminal event",
        120 => "authentication",
        121 => "security statistic",
        122 => "security statistic event",
        _ => "undefined",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_annex() {
        let size = |group, variation| match layout(group, variation) {
            Some(Layout::Fixed(object)) => object.len(),
            other => panic!("g{group}v{variation}: {other:?}"),
        };
        for (group, sizes) in [
            (2, &[1, 7, 3][..]),
            (4, &[1, 7, 3]),
            (11, &[1, 7]),
            (13, &[1, 7]),
            (20, &[5, 3, 5, 3, 4, 2, 4, 2]),
            (21, &[5, 3, 5, 3, 11, 9, 11, 9, 4, 2, 4, 2]),
            (22, &[5, 3, 5, 3, 11, 9, 11, 9]),
            (23, &[5, 3, 5, 3, 11, 9, 11, 9]),
            (30, &[5, 3, 4, 2, 5, 9]),
            (31, &[5, 3, 11, 9, 4, 2, 5, 9]),
            (32, &[5, 3, 11, 9, 5, 9, 11, 15]),
            (33, &[5, 3, 11, 9, 5, 9, 11, 15]),
            (34, &[2, 4, 4]),
            (40, &[5, 3, 5, 9]),
            (41, &[5, 3, 5, 9]),
            (42, &[5, 3, 11, 9, 5, 9, 11, 15]),
            (43, &[5, 3, 11, 9, 5, 9, 11, 15]),
            (50, &[6, 10, 6, 11]),
            (51, &[6, 6]),
            (52, &[2, 2]),
            (101, &[2, 4, 8]),
            (121, &[7]),
            (122, &[7, 13]),
        ] {
            let found: Vec<_> = (1..=sizes.len() as u8).map(|variation| size(group, variation)).collect();
            assert_eq!(found, sizes, "group {group}");
            assert_eq!(layout(group, sizes.len() as u8 + 1), None, "group {group}");
        }
        assert_eq!((size(1, 2), size(3, 2), size(10, 2), size(12, 1), size(12, 2)), (1, 1, 1, 11, 11));
        assert_eq!((layout(1, 3), layout(3, 3), layout(10, 3), layout(12, 4)), (None, None, None, None));
        assert_eq!(layout(110, 7), Some(Layout::Octets(7)));
    }
}
