//! Names of functions and codes, and what requests do to a device as a whole.
//!
//! Sources: as `view.rs`; SIMATIC S7-300/400 system and standard functions (error codes).

use super::view::{Turn, View, function, group, rosctr};
use crate::protocol::Action;

/// The name of a function; groups of userdata share numbers with functions of jobs.
pub(super) const fn function_name(function: u16) -> &'static str {
    match function {
        0 => "CPU services; mode transition",
        1 => "programmer commands",
        2 => "cyclic data; acknowledgement",
        3 => "block functions",
        4 => "read variable; CPU functions",
        5 => "write variable; security",
        6 => "programmed block communication",
        7 => "clock",
        0x1a => "request download",
        0x1b => "download block",
        0x1c => "end download",
        0x1d => "start upload",
        0x1e => "upload block",
        0x1f => "end upload",
        0x20 => "data record routing",
        0x28 => "program invocation",
        0x29 => "stop",
        0x3f => "NC programming",
        0xf0 => "set up communication",
        _ => "undefined",
    }
}

/// The name of an item's return code.
#[must_use]
pub const fn return_code_name(code: u8) -> &'static str {
    match code {
        0x00 => "reserved",
        0x01 => "hardware error",
        0x03 => "access not allowed",
        0x05 => "address out of range",
        0x06 => "data type not supported",
        0x07 => "data type inconsistent",
        0x0a => "object does not exist",
        0xff => "success",
        _ => "undefined",
    }
}

/// The name of an answer's error class.
#[must_use]
pub const fn error_name(class: u8) -> &'static str {
    match class {
        0x00 => "no error",
        0x81 => "application relationship",
        0x82 => "object definition",
        0x83 => "no resources available",
        0x84 => "error on service processing",
        0x85 => "error on supplies",
        0x87 => "access error",
        0xd2 => "block function",
        0xd4 => "system status list",
        0xd6 => "protection",
        _ => "undefined",
    }
}

/// The service that a program invocation names, and its argument.
fn invocation(parameters: &[u8]) -> Option<(&[u8], &[u8])> {
    // Function, seven bytes, argument with two bytes of length, service with one.
    let ([_, _, _, _, _, _, _, _, l1, l0], rest) = parameters.split_first_chunk()?;
    let (argument, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l1, *l0])))?;
    let (len, rest) = rest.split_first()?;
    Some((rest.get(..usize::from(*len))?, argument))
}

/// What a request asks of the device as a whole.
pub(super) fn action(view: &View<'_>) -> Option<Action> {
    if let Some(userdata) = view.userdata() {
        if userdata.turn != Turn::Request {
            return None;
        }
        return match (userdata.group, userdata.subfunction) {
            // Memory reset deletes the program; force, breakpoints and their like change how it runs.
            (group::TEST, 0x0c) => Some(Action::Delete),
            (group::TEST, 0x09..=0x0b | 0x0d..=0x0f | 0x12) => Some(Action::Configure),
            (group::BLOCK, _) | (group::CPU, 1) => Some(Action::Browse),
            (group::SECURITY, 1) => Some(Action::Login),
            (group::SECURITY, 2) => Some(Action::Disconnect),
            (group::TIME, 2 | 4) => Some(Action::SetTime),
            (group::NC, _) => Some(Action::Configure),
            _ => None,
        };
    }
    if view.rosctr() != rosctr::JOB {
        return None;
    }
    match view.function() {
        function::SETUP => Some(Action::Connect),
        function::REQUEST_DOWNLOAD => Some(Action::Download),
        function::START_UPLOAD => Some(Action::Upload),
        function::STOP => Some(Action::Stop),
        function::INVOKE => match invocation(view.parameters())? {
            // A cold restart has the argument `C `.
            (b"P_PROGRAM", [b'C', ..]) => Some(Action::Restart),
            (b"P_PROGRAM", _) => Some(Action::Start),
            (b"_INSE" | b"_INS2", _) => Some(Action::Download),
            (b"_DELE", _) => Some(Action::Delete),
            _ => Some(Action::Configure),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sender;

    #[test]
    fn what_requests_do_is_named() {
        let check = |parameters: &[u8], wanted| {
            let kind = if parameters.starts_with(&[0, 1, 0x12]) { 7 } else { 1 };
            let mut pdu = vec![0x32, kind, 0, 0, 0, 1, 0, parameters.len() as u8, 0, 0];
            pdu.extend_from_slice(parameters);
            assert_eq!(action(&View::new(&pdu, Sender::Client)), wanted, "{parameters:02x?}");
        };
        check(b"\x28\0\0\0\0\0\0\xfd\0\0\x09P_PROGRAM", Some(Action::Start));
        check(b"\x28\0\0\0\0\0\0\xfd\0\x02C \x09P_PROGRAM", Some(Action::Restart));
        check(b"\x28\0\0\0\0\0\0\xfd\0\0\x05_GARB", Some(Action::Configure));
        check(b"\x28\0\0\0\0\0\0\xfd\0\x0a\x01\x00080001BP\x05_DELE", Some(Action::Delete));
        check(b"\x28\0\0\0\0\0\0\xfd\0\x0b\x01\x00080001BP\x05_DELE", None);
        check(b"\x29\0\0\0\0\0\x09P_PROGRAM", Some(Action::Stop));
        check(&[0xf0, 0, 0, 1, 0, 1, 1, 0xe0], Some(Action::Connect));
        check(&[0, 1, 0x12, 4, 0x11, 0x45, 1, 0], Some(Action::Login));
        check(&[0, 1, 0x12, 4, 0x11, 0x47, 2, 0], Some(Action::SetTime));
        check(&[0, 1, 0x12, 4, 0x11, 0x87, 2, 0], None);
        check(&[4, 0], None);
    }
}
