//! Values written as Parquet are read back equal, over several row groups.
#![cfg(feature = "parquet")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use twinguard_protocol::protocols::modbus::{Body, Function, Repr, WordBuffer};
use twinguard_protocol::series::{GROUP_ROWS, ParquetWriter};
use twinguard_protocol::{Frame, Item, LinkType, Sender, Stack, emit, stack::Config};
use twinguard_types::Timestamp;

/// Reads of a hundred registers: the file, and the values in order.
fn written(count: u16) -> (Vec<u8>, Vec<u16>) {
    let (client, server) = ("10.0.0.1:40000".parse().unwrap(), "10.0.0.2:502".parse().unwrap());
    let mut stack = Stack::new(Config::default());
    let mut series = ParquetWriter::new(Vec::new()).unwrap();
    let (mut frame, mut told, mut index) = (Vec::new(), Vec::new(), 0);
    for number in 0..count {
        let words: Vec<u16> = (0..100).map(|place| number.wrapping_mul(31).wrapping_add(place)).collect();
        let ask = Repr::read(number, 1, 3, 10, 100).unwrap().emit();
        let words_held = WordBuffer::new(&words).unwrap();
        let body = Body::Registers(words_held.registers());
        let tell = Repr::new(number, 1, Function(3), Sender::Server, body).unwrap().emit();
        for (ends, bytes) in [((client, server), ask.as_bytes()), ((server, client), tell.as_bytes())] {
            emit::datagram(ends.0, ends.1, bytes, &mut frame).unwrap();
            index += 1;
            let (at, original_len) = (Timestamp::from_millis(index as i64), frame.len() as u32);
            stack.handle(&Frame { index, at, link: LinkType::Ethernet, bytes: &frame, original_len });
            while let Some(item) = stack.poll() {
                if let Item::Message(message) = item {
                    series.take(&message).unwrap();
                }
            }
        }
        told.extend(words);
    }
    (series.finish().unwrap(), told)
}

#[test]
fn values_come_back() {
    let (file, told) = written(700);
    assert!(told.len() > GROUP_ROWS);
    assert_eq!(written(700).0, file, "the same bytes each time");
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    assert!(reader.num_row_groups() > 1);
    let mut rows = 0;
    for (row, word) in reader.get_row_iter(None).unwrap().zip(&told) {
        let row = row.unwrap();
        let place = rows % 100;
        assert_eq!(row.get_string(1).unwrap(), "modbus");
        assert_eq!(row.get_string(2).unwrap(), "10.0.0.2:502");
        assert_eq!(row.get_string(3).unwrap(), &format!("u1/hr/{}", 10 + place));
        assert_eq!(row.get_string(4).unwrap(), "read");
        assert_eq!(row.get_double(5).unwrap(), f64::from(*word));
        assert!(row.is_null(6).unwrap() && row.is_null(9).unwrap());
        assert_eq!(row.get_bytes(7).unwrap().data(), word.to_be_bytes());
        assert_eq!(row.get_string(8).unwrap(), "good");
        rows += 1;
    }
    assert_eq!(rows, told.len());
}

#[test]
fn a_file_without_values_is_a_file() {
    let file = ParquetWriter::new(Vec::new()).unwrap().finish().unwrap();
    let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
    assert_eq!(reader.get_row_iter(None).unwrap().count(), 0);
    assert_eq!(reader.metadata().file_metadata().schema_descr().num_columns(), 10);
}
