//! Commands and end codes by name, and what commands do to a device as a whole.
//!
//! Source: OMRON W342 §5-1-1 (commands), §5-1-3 (end codes).

use crate::protocol::Action;

/// The name of a command; `undefined` for what the manual does not have.
#[must_use]
pub const fn command_name(command: u16) -> &'static str {
    match command {
        0x0101 => "memory area read",
        0x0102 => "memory area write",
        0x0103 => "memory area fill",
        0x0104 => "multiple memory area read",
        0x0105 => "memory area transfer",
        0x0201 => "parameter area read",
        0x0202 => "parameter area write",
        0x0203 => "parameter area fill",
        0x0220 => "data link table read",
        0x0221 => "data link table write",
        0x0304 => "program area protect",
        0x0305 => "program area protect clear",
        0x0306 => "program area read",
        0x0307 => "program area write",
        0x0308 => "program area clear",
        0x0401 => "run",
        0x0402 => "stop",
        0x0403 => "reset",
        0x0501 => "controller data read",
        0x0502 => "connection data read",
        0x0601 => "controller status read",
        0x0602 => "network status read",
        0x0603 => "data link status read",
        0x0620 => "cycle time read",
        0x0701 => "clock read",
        0x0702 => "clock write",
        0x0801 => "loop-back test",
        0x0802 => "broadcast test results read",
        0x0803 => "broadcast test data send",
        0x0920 => "message read, clear, fault code read",
        0x0c01 => "access right acquire",
        0x0c02 => "access right forced acquire",
        0x0c03 => "access right release",
        0x2101 => "error clear",
        0x2102 => "error log read",
        0x2103 => "error log clear",
        0x2140 => "access log read",
        0x2141 => "access log clear",
        0x2201 => "file name read",
        0x2202 => "single file read",
        0x2203 => "single file write",
        0x2204 => "memory card format",
        0x2205 => "file delete",
        0x2206 => "volume label create or delete",
        0x2207 => "file copy",
        0x2208 => "file name change",
        0x2209 => "file data check",
        0x220a => "memory area file transfer",
        0x220b => "parameter area file transfer",
        0x220c => "program area file transfer",
        0x220f => "file memory index read",
        0x2210 => "file memory read",
        0x2211 => "file memory write",
        0x2215 => "directory create or delete",
        0x2220 => "memory cassette transfer",
        0x2301 => "forced set or reset",
        0x2302 => "forced set or reset cancel",
        0x230a => "multiple forced status read",
        0x2601 => "name set",
        0x2602 => "name delete",
        0x2603 => "name read",
        _ => "undefined",
    }
}

/// What kind of error an end code tells, by its first byte.
#[must_use]
pub const fn end_code_name(main: u8) -> &'static str {
    match main & 0x7f {
        0x00 => "normal completion",
        0x01 => "local node error",
        0x02 => "destination node error",
        0x03 => "controller error",
        0x04 => "service unsupported",
        0x05 => "routing table error",
        0x10 => "command format error",
        0x11 => "parameter error",
        0x20 => "read not possible",
        0x21 => "write not possible",
        0x22 => "not executable in current mode",
        0x23 => "no such device",
        0x24 => "cannot start or stop",
        0x25 => "unit error",
        0x26 => "command error",
        0x30 => "access right error",
        0x40 => "abort",
        _ => "undefined",
    }
}

/// What a command does to the device as a whole.
#[must_use]
pub const fn action(command: u16) -> Option<Action> {
    Some(match command {
        0x0202
        | 0x0203
        | 0x0221
        | 0x0304
        | 0x0305
        | 0x2101
        | 0x2103
        | 0x2141
        | 0x2206..=0x2208
        | 0x220a
        | 0x220b
        | 0x2215
        | 0x2301
        | 0x2302
        | 0x2601
        | 0x2602 => Action::Configure,
        0x0306 | 0x2202 | 0x2210 => Action::Upload,
        0x0307 | 0x2203 | 0x220c | 0x2211 | 0x2220 => Action::Download,
        0x0308 | 0x2204 | 0x2205 => Action::Delete,
        0x0401 => Action::Start,
        0x0402 => Action::Stop,
        0x0403 => Action::Restart,
        0x0501 | 0x0502 | 0x2201 => Action::Browse,
        0x0702 => Action::SetTime,
        0x0c01 | 0x0c02 => Action::Login,
        0x0c03 => Action::Disconnect,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_with_an_action_has_a_name() {
        for command in 0..=u16::MAX {
            assert!(action(command).is_none() || command_name(command) != "undefined", "{command:04x}");
        }
        assert_eq!(action(0x0402), Some(Action::Stop));
        assert_eq!(end_code_name(0x82), end_code_name(2), "the highest bit tells of a relay");
    }
}
