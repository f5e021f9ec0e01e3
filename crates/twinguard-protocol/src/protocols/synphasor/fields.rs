//! Header fields under Wireshark's names (`synphasor.*`), in order of appearance.
//!
//! Source: IEEE C37.118.2-2011 tables 2, 4, 6, 9 and 15.

use super::config::Reader;
use super::view::{FrameType, View};
use crate::protocol::Field;

/// Names the fields of a frame.
pub(super) fn list(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    let hex = |value: u16, digits: u8| Field::Hex(u64::from(value), digits);
    let bit = |byte: u8, bit: u8| Field::Number(u64::from(byte >> bit & 1));
    let bytes = view.as_bytes();
    put("synphasor.sync", hex(Reader(bytes).word().unwrap_or_default(), 4));
    put("synphasor.frtype", hex(u16::from(view.code()), 4));
    put("synphasor.version", Field::Number(u64::from(view.version())));
    put("synphasor.frsize", Field::Number(u64::from(view.size())));
    put("synphasor.idcode_stream_source", Field::Number(u64::from(view.id())));
    put("synphasor.soc", Field::Text(&date(view.seconds())));
    let quality = view.time_quality();
    put("synphasor.timeqal.lsdir", bit(quality, 6));
    put("synphasor.timeqal.lsocc", bit(quality, 5));
    put("synphasor.timeqal.lspend", bit(quality, 4));
    put("synphasor.timeqal.timequalindic", hex(u16::from(quality & 0x0f), 2));
    put("synphasor.fracsec_raw", Field::Number(u64::from(view.fraction())));
    match view.frame_type() {
        FrameType::Command => {
            if let Some(command) = view.command() {
                put("synphasor.command", hex(command, 4));
            }
        }
        FrameType::Data => data(view, put),
        FrameType::Config1 | FrameType::Config2 | FrameType::Config3 => {
            let _ = config(view, put);
        }
        FrameType::Header | FrameType::Unknown => put("synphasor.data", Field::Bytes(view.data())),
    }
    put("synphasor.checksum", hex(view.check_word(), 4));
}

/// The status words of a data frame, where its configuration explains it.
fn data(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) {
    put("synphasor.data", Field::Bytes(view.data()));
    let Some(config) = view.config().filter(|config| config.explains(view)) else { return };
    let mut rest = Reader(view.data());
    for unit in &config.units {
        let Some(status) = rest.take(unit.size()).and_then(|bytes| Reader(bytes).word()) else { return };
        let bits = |from: u16, mask: u16| Field::Number(u64::from(status >> from & mask));
        put("synphasor.data.status", Field::Hex(u64::from(status >> 14), 4));
        put("synphasor.data.sync", bits(13, 1));
        put("synphasor.data.sorting", bits(12, 1));
        put("synphasor.data.trigger", bits(11, 1));
        put("synphasor.data.CFGchange", bits(10, 1));
        put("synphasor.data.data_modified", bits(9, 1));
        put("synphasor.data.pmu_tq", Field::Hex(u64::from(status >> 6 & 7), 4));
        put("synphasor.data.t_unlock", Field::Hex(u64::from(status >> 4 & 3), 4));
        put("synphasor.data.trigger_reason", Field::Hex(u64::from(status & 0x0f), 4));
    }
}

/// The units of a configuration frame.
fn config(view: &View<'_>, put: &mut dyn FnMut(&'static str, Field<'_>)) -> Option<()> {
    let third = view.frame_type() == FrameType::Config3;
    let mut reader = Reader(view.data());
    let number = |value: u16| Field::Number(u64::from(value));
    if third {
        reader.word()?;
    }
    put("synphasor.conf.timebase", Field::Number(u64::from(reader.long()? & 0x00ff_ffff)));
    let count = reader.word()?;
    put("synphasor.conf.numpmu", number(count));
    for _ in 0..count {
        reader.name(third)?;
        put("synphasor.idcode_data_source", number(reader.word()?));
        if third {
            reader.take(16)?;
        }
        let format = reader.word()?;
        put("synphasor.conf.dfreq_format", number(format >> 3 & 1));
        put("synphasor.conf.analog_format", number(format >> 2 & 1));
        put("synphasor.conf.phasor_format", number(format >> 1 & 1));
        put("synphasor.conf.phasor_notation", number(format & 1));
        let [phasors, analogs, digitals] = [reader.word()?, reader.word()?, reader.word()?];
        put("synphasor.num_phasors", number(phasors));
        put("synphasor.num_analog_values", number(analogs));
        put("synphasor.num_digital_status_words", number(digitals));
        for _ in 0..u32::from(phasors) + u32::from(analogs) + 16 * u32::from(digitals) {
            put("synphasor.channel_name", Field::Text(reader.name(third)?));
        }
        let (phasor, analog) = if third { (12, 8) } else { (4, 4) };
        reader.take(
            usize::from(phasors) * phasor + usize::from(analogs) * analog + usize::from(digitals) * 4,
        )?;
        if third {
            reader.take(4 * 3 + 1 + 4 * 2)?;
        }
        put("synphasor.conf.fnom", number(reader.word()? & 1));
        put("synphasor.conf.cfgcnt", number(reader.word()?));
    }
    put("synphasor.rate_of_transmission", number(reader.word()?));
    Some(())
}

/// `Aug  1, 2008 16:18:11.000000000 UTC`: seconds since 1970 as Wireshark writes them.
fn date(seconds: u32) -> [u8; 35] {
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u32| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u32::from(leap(year)) {
        days -= 365 + u32::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u32::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    for (index, length) in lengths.into_iter().enumerate() {
        month = index;
        if days < length {
            break;
        }
        days -= length;
    }
    let mut text = *b"Jan  1, 1970 00:00:00.000000000 UTC";
    let mut put = |at: usize, number: u32, width: usize| {
        let mut left = number;
        for place in (at..at + width).rev() {
            if let Some(digit) = text.get_mut(place) {
                *digit = b'0' + (left % 10) as u8;
            }
            left /= 10;
        }
    };
    put(4, days + 1, 2);
    put(8, year, 4);
    put(13, rest / 3600, 2);
    put(16, rest / 60 % 60, 2);
    put(19, rest % 60, 2);
    if let Some(name) = MONTHS.get(month)
        && let Some(head) = text.first_chunk_mut()
    {
        *head = **name;
    }
    if let Some(digit) = text.get_mut(4).filter(|digit| **digit == b'0') {
        *digit = b' ';
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_tools_do() {
        let check = |seconds, expect: &str| assert_eq!(date(seconds), *expect.as_bytes());
        check(0, "Jan  1, 1970 00:00:00.000000000 UTC");
        check(1_217_607_491, "Aug  1, 2008 16:18:11.000000000 UTC");
        check(951_782_400, "Feb 29, 2000 00:00:00.000000000 UTC");
        check(u32::MAX, "Feb  7, 2106 06:28:15.000000000 UTC");
        check(1_483_228_799, "Dec 31, 2016 23:59:59.000000000 UTC");
    }
}
