//! What a tracked connection costs: thousands of them, each with one exchange, stay open.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::net::{Ipv4Addr, SocketAddr};

use twinguard_protocol::emit::Connection;
use twinguard_protocol::protocols::modbus::{Body, Function, Repr, WordBuffer};
use twinguard_protocol::tcp::End;
use twinguard_protocol::{Frame, LinkType, Sender, Stack, stack::Config};
use twinguard_types::Timestamp;

const CONNECTIONS: u16 = 2_000;
/// Both directions' histories of a short exchange, the family's session, the open requests.
const BYTES_MAX: i64 = 4_096;

#[test]
fn a_tracked_connection_is_small() {
    let words = WordBuffer::new(&[7; 10]).unwrap();
    let ask = Repr::read(1, 1, 3, 0, 10).unwrap().emit();
    let body = Body::Registers(words.registers());
    let tell = Repr::new(1, 1, Function(3), Sender::Server, body).unwrap().emit();
    let conversations: Vec<Vec<Vec<u8>>> = (0..CONNECTIONS)
        .map(|number| {
            let client = SocketAddr::from((Ipv4Addr::new(10, 0, 1, 1), 20_000 + number));
            let mut connection = Connection::new(client, "10.0.0.2:502".parse().unwrap()).unwrap();
            let mut frames = connection.open().to_vec();
            for (from, bytes) in [(End::First, &ask), (End::Second, &tell)] {
                let mut frame = Vec::new();
                connection.say(from, bytes.as_bytes(), &mut frame).unwrap();
                frames.push(frame);
            }
            frames
        })
        .collect();
    let mut stack = Stack::new(Config::default());
    let used = allocation_counter::measure(|| {
        let mut index = 0;
        for bytes in conversations.iter().flatten() {
            index += 1;
            let at = Timestamp::from_millis(index as i64);
            let original_len = bytes.len() as u32;
            stack.handle(&Frame { index, at, link: LinkType::Ethernet, bytes, original_len });
            while stack.poll().is_some() {}
        }
    });
    assert_eq!(stack.counters().messages, 2 * u64::from(CONNECTIONS));
    let each = used.bytes_current / i64::from(CONNECTIONS);
    println!("{each} bytes a connection, tables included");
    assert!(each <= BYTES_MAX, "{each} bytes");
}
