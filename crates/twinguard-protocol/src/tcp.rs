//! TCP segments (RFC 9293) and the streams they carry.

mod assembler;
mod flow;
mod segment;
mod stream;

pub use assembler::Assembler;
pub use flow::{Counters, End, Flow, FlowId, Limits, Oddities, Pushed, Ready, Side};
pub use segment::{TcpFlags, TcpSegment};
pub use stream::Arrival;
