//! Function and exception codes (Modbus Application Protocol V1.1b3 §5.1, §6, §7).

use core::fmt;

/// A function code; every number is one, few are defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Function(pub u8);

macro_rules! functions {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        impl Function {
            $($(#[$meta])* pub const $name: Self = Self($code);)*

            /// What the standard calls it; `user defined`, `reserved` or `undefined` for the others.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($code => $text,)*
                    65..=72 | 100..=110 => "user defined",
                    9 | 10 | 13 | 14 | 41 | 42 | 90 | 91 | 125..=127 => "reserved",
                    _ => "undefined",
                }
            }

            /// Whether the standard defines it (§5.1).
            #[must_use]
            pub const fn is_public(self) -> bool {
                matches!(self.0, $($code)|*)
            }
        }
    };
}

functions! {
    /// Read Coils (§6.1).
    READ_COILS = 1, "read coils";
    /// Read Discrete Inputs (§6.2).
    READ_DISCRETE_INPUTS = 2, "read discrete inputs";
    /// Read Holding Registers (§6.3).
    READ_HOLDING_REGISTERS = 3, "read holding registers";
    /// Read Input Registers (§6.4).
    READ_INPUT_REGISTERS = 4, "read input registers";
    /// Write Single Coil (§6.5).
    WRITE_SINGLE_COIL = 5, "write single coil";
    /// Write Single Register (§6.6).
    WRITE_SINGLE_REGISTER = 6, "write single register";
    /// Read Exception Status (§6.7).
    READ_EXCEPTION_STATUS = 7, "read exception status";
    /// Diagnostics (§6.8).
    DIAGNOSTICS = 8, "diagnostics";
    /// Get Comm Event Counter (§6.9).
    GET_COMM_EVENT_COUNTER = 11, "get comm event counter";
    /// Get Comm Event Log (§6.10).
    GET_COMM_EVENT_LOG = 12, "get comm event log";
    /// Write Multiple Coils (§6.11).
    WRITE_MULTIPLE_COILS = 15, "write multiple coils";
    /// Write Multiple Registers (§6.12).
    WRITE_MULTIPLE_REGISTERS = 16, "write multiple registers";
    /// Report Server ID (§6.13).
    REPORT_SERVER_ID = 17, "report server id";
    /// Read File Record (§6.14).
    READ_FILE_RECORD = 20, "read file record";
    /// Write File Record (§6.15).
    WRITE_FILE_RECORD = 21, "write file record";
    /// Mask Write Register (§6.16).
    MASK_WRITE_REGISTER = 22, "mask write register";
    /// Read/Write Multiple Registers (§6.17).
    READ_WRITE_MULTIPLE_REGISTERS = 23, "read/write multiple registers";
    /// Read FIFO Queue (§6.18).
    READ_FIFO_QUEUE = 24, "read fifo queue";
    /// Encapsulated Interface Transport (§6.19).
    ENCAPSULATED_INTERFACE_TRANSPORT = 43, "encapsulated interface transport";
}

impl Function {
    /// Whether the standard leaves it to the user (§5: 65 to 72, 100 to 110).
    #[must_use]
    pub const fn is_user_defined(self) -> bool {
        matches!(self.0, 65..=72 | 100..=110)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the standard calls an exception code (§7); `undefined` for the others.
#[must_use]
pub const fn exception_name(code: u8) -> &'static str {
    match code {
        1 => "illegal function",
        2 => "illegal data address",
        3 => "illegal data value",
        4 => "server device failure",
        5 => "acknowledge",
        6 => "server device busy",
        8 => "memory parity error",
        10 => "gateway path unavailable",
        11 => "gateway target device failed to respond",
        _ => "undefined",
    }
}

/// What the standard calls a diagnostics sub-function (§6.8.1); `reserved` for the others.
#[must_use]
pub const fn diagnostic_name(sub_function: u16) -> &'static str {
    match sub_function {
        0 => "return query data",
        1 => "restart communications option",
        2 => "return diagnostic register",
        3 => "change ascii input delimiter",
        4 => "force listen only mode",
        10 => "clear counters and diagnostic register",
        11 => "return bus message count",
        12 => "return bus communication error count",
        13 => "return bus exception error count",
        14 => "return server message count",
        15 => "return server no response count",
        16 => "return server nak count",
        17 => "return server busy count",
        18 => "return bus character overrun count",
        20 => "clear overrun counter and flag",
        _ => "reserved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nineteen_codes_are_public() {
        let public: Vec<u8> = (0..=255).filter(|code| Function(*code).is_public()).collect();
        assert_eq!(public, [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43]);
        assert_eq!(Function(100).name(), "user defined");
        assert_eq!(Function(90).name(), "reserved");
        assert_eq!(Function(200).name(), "undefined");
    }

    #[test]
    fn gaps_in_the_tables_have_no_name() {
        assert_eq!([exception_name(7), exception_name(9)], ["undefined"; 2]);
        assert_eq!([diagnostic_name(5), diagnostic_name(19)], ["reserved"; 2]);
    }
}
