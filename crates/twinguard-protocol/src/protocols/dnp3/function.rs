//! Function codes (IEEE 1815-2012 table 4-2) and the codes of clause 9 and annex A that have names.

use crate::protocol::Action;

/// An application function code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Function(pub u8);

impl Function {
    /// Confirms a fragment.
    pub const CONFIRM: Self = Self(0);
    /// Asks for values.
    pub const READ: Self = Self(1);
    /// Gives values.
    pub const WRITE: Self = Self(2);
    /// First half of a two-step command.
    pub const SELECT: Self = Self(3);
    /// Second half.
    pub const OPERATE: Self = Self(4);
    /// A command in one step.
    pub const DIRECT_OPERATE: Self = Self(5);
    /// The same without an answer.
    pub const DIRECT_OPERATE_NO_ACK: Self = Self(6);
    /// Freezes at a given time.
    pub const FREEZE_AT_TIME: Self = Self(11);
    /// The same without an answer.
    pub const FREEZE_AT_TIME_NO_ACK: Self = Self(12);
    /// Opens a file.
    pub const OPEN_FILE: Self = Self(25);
    /// Authentication without an answer.
    pub const AUTHENTICATE_NO_ACK: Self = Self(33);
    /// Answers a request.
    pub const RESPONSE: Self = Self(129);
    /// Tells without being asked.
    pub const UNSOLICITED: Self = Self(130);
    /// Answers within authentication.
    pub const AUTHENTICATE_RESPONSE: Self = Self(131);

    /// Whether an outstation sends it.
    #[must_use]
    pub const fn is_response(self) -> bool {
        matches!(self.0, 129..=131)
    }

    /// Whether the standard defines it.
    #[must_use]
    pub const fn is_defined(self) -> bool {
        matches!(self.0, 0..=33 | 129..=131)
    }

    /// Whether it is a request that the outstation answers.
    #[must_use]
    pub const fn is_answered(self) -> bool {
        !matches!(self.0, 0 | 6 | 8 | 10 | 12 | 33 | 129..=131)
    }

    /// Whether its objects come with values: responses, writes, commands.
    #[must_use]
    pub const fn has_values(self) -> bool {
        matches!(self.0, 2..=6 | 31..=33 | 129..=131)
    }

    /// What it asks of the outstation as a whole, as far as the code alone tells.
    #[must_use]
    pub const fn action(self) -> Option<Action> {
        Some(match self.0 {
            7..=12 => Action::Freeze,
            13 | 14 => Action::Restart,
            15 | 16 | 19..=22 | 31 => Action::Configure,
            17 => Action::Start,
            18 => Action::Stop,
            27 => Action::Delete,
            28 => Action::Browse,
            29 | 32 | 33 => Action::Login,
            _ => return None,
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            0 => "confirm",
            1 => "read",
            2 => "write",
            3 => "select",
            4 => "operate",
            5 => "direct operate",
            6 => "direct operate, no acknowledgement",
            7 => "immediate freeze",
            8 => "immediate freeze, no acknowledgement",
            9 => "freeze and clear",
            10 => "freeze and clear, no acknowledgement",
            11 => "freeze at time",
            12 => "freeze at time, no acknowledgement",
            13 => "cold restart",
            14 => "warm restart",
            15 => "initialize data",
            16 => "initialize application",
            17 => "start application",
            18 => "stop application",
            19 => "save configuration",
            20 => "enable unsolicited",
            21 => "disable unsolicited",
            22 => "assign class",
            23 => "delay measurement",
            24 => "record current time",
            25 => "open file",
            26 => "close file",
            27 => "delete file",
            28 => "get file information",
            29 => "authenticate file",
            30 => "abort file transfer",
            31 => "activate configuration",
            32 => "authentication request",
            33 => "authentication request, no acknowledgement",
            129 => "response",
            130 => "unsolicited response",
            131 => "authentication response",
            _ => "undefined",
        }
    }
}

/// The name of a control status (annex A, table of group 12 variation 1).
#[must_use]
pub const fn status_name(status: u8) -> &'static str {
    match status {
        0 => "success",
        1 => "timeout",
        2 => "no select",
        3 => "format error",
        4 => "not supported",
        5 => "already active",
        6 => "hardware error",
        7 => "local",
        8 => "too many objects",
        9 => "not authorized",
        10 => "automation inhibit",
        11 => "processing limited",
        12 => "out of range",
        13 => "downstream local",
        14 => "already complete",
        15 => "blocked",
        16 => "cancelled",
        17 => "blocked by another master",
        18 => "downstream failure",
        126 => "non-participating",
        127 => "undefined",
        _ => "reserved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names_and_meanings() {
        for code in 0..=255 {
            let function = Function(code);
            assert_eq!(function.is_defined(), function.name() != "undefined", "{code}");
        }
        assert_eq!(Function(13).action(), Some(Action::Restart));
        assert_eq!(Function(18).action(), Some(Action::Stop));
        assert!(Function(5).is_answered() && !Function(6).is_answered());
        assert_eq!((status_name(0), status_name(99)), ("success", "reserved"));
    }
}
