//! Type identifications and the information elements behind each address (IEC 60870-5-101 §7.2.1, §7.3; types 41 and 81
//! to 95: IEC 62351-5).

/// What an information object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Element {
    /// No type of the standard.
    Undefined,
    /// SIQ: state with quality (§7.2.6.1).
    SinglePoint,
    /// DIQ: 0 to 3 with quality (§7.2.6.2).
    DoublePoint,
    /// VTI and QDS: −64 to 63, transient or not (§7.2.6.5).
    Step,
    /// BSI and QDS: 32 bits (§7.2.6.13).
    Bits,
    /// NVA and QDS: −1 to 1 − 2⁻¹⁵ (§7.2.6.6).
    Normalized,
    /// NVA alone.
    NormalizedBare,
    /// SVA and QDS: 16 bits with a sign (§7.2.6.7).
    Scaled,
    /// IEEE STD 754 and QDS (§7.2.6.8).
    Float,
    /// BCR: a counter of 32 bits with its own quality (§7.2.6.9).
    Total,
    /// AID and BCR (IEC 62351-5).
    SecurityTotal,
    /// SEP and CP16: an event of protection equipment (§7.2.6.10).
    ProtectionEvent,
    /// SPE or OCI, QDP and CP16 (§7.2.6.11, §7.2.6.12).
    ProtectionStart,
    /// SCD and QDS: 16 states and their changes (§7.2.6.40).
    PackedStates,
    /// SCO (§7.2.6.15).
    SingleCommand,
    /// DCO (§7.2.6.16).
    DoubleCommand,
    /// RCO (§7.2.6.17).
    StepCommand,
    /// NVA and QOS (§7.2.6.39).
    NormalizedSetPoint,
    /// SVA and QOS.
    ScaledSetPoint,
    /// IEEE STD 754 and QOS.
    FloatSetPoint,
    /// BSI.
    BitsCommand,
    /// NVA and QPM (§7.2.6.24).
    NormalizedParameter,
    /// SVA and QPM.
    ScaledParameter,
    /// IEEE STD 754 and QPM.
    FloatParameter,
    /// One octet: COI, QOI, QCC, QRP or QPA.
    Qualifier,
    /// Nothing: the read command.
    Nothing,
    /// A time alone: clock synchronisation.
    Clock,
    /// FBP or TSC: a test pattern or counter.
    Test,
    /// CP16: a delay.
    Delay,
    /// Names, sections, lengths and qualifiers of files (§7.3.6).
    File,
    /// A segment of a file with its own length (§7.3.6.6).
    Segment,
    /// Authentication (IEC 62351-5): no information object.
    Authentication,
}

/// The time behind an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// None.
    None,
    /// `CP24Time2a`: minutes and milliseconds.
    Short,
    /// `CP56Time2a`: date and time.
    Long,
}

/// What a type stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Info {
    pub(super) element: Element,
    pub(super) time: Time,
    /// Octets of an element with its time; those before the segment's data for segments.
    pub(super) len: u8,
    name: &'static str,
}

/// The type of an ASDU (§7.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u8);

impl TypeId {
    /// Its name: `M_SP_NA_1`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.info().name
    }

    /// What its objects hold.
    #[inline]
    #[must_use]
    pub fn element(self) -> Element {
        self.info().element
    }

    /// The time that its objects carry.
    #[must_use]
    pub fn time(self) -> Time {
        self.info().time
    }

    /// Octets of one element without its address; of segments those before the data.
    #[must_use]
    pub fn element_len(self) -> usize {
        self.info().len as usize
    }

    /// Whether the standard defines it.
    #[must_use]
    pub fn is_defined(self) -> bool {
        !matches!(self.element(), Element::Undefined)
    }

    /// Whether it tells process information (§7.2.1.1).
    #[must_use]
    pub fn is_monitor(self) -> bool {
        matches!(self.0, 1..=41 | 70) && self.is_defined()
    }

    /// Whether it commands, asks or sets parameters, and is confirmed (§7.2.1.2 to §7.2.1.4).
    #[must_use]
    pub fn is_control(self) -> bool {
        matches!(self.0, 45..=64 | 100..=113) && self.is_defined()
    }

    /// Whether it commands a process: commands and set points.
    #[must_use]
    pub fn is_command(self) -> bool {
        matches!(self.0, 45..=64) && self.is_defined()
    }

    #[inline]
    pub(super) fn info(self) -> &'static Info {
        TABLE.get(usize::from(self.0)).unwrap_or(&UNDEFINED)
    }
}

static TABLE: [Info; 128] = table();
static UNDEFINED: Info = Info { element: Element::Undefined, time: Time::None, len: 0, name: "undefined" };

#[allow(clippy::indexing_slicing, reason = "evaluated at compile time")]
const fn table() -> [Info; 128] {
    let mut all =
        [const { Info { element: Element::Undefined, time: Time::None, len: 0, name: "undefined" } }; 128];
    let mut at = 0;
    while at < TYPES.len() {
        let (type_id, element, time, name) = TYPES[at];
        let len = size(element, type_id)
            + match time {
                Time::None => 0,
                Time::Short => 3,
                Time::Long => 7,
            };
        all[type_id as usize] = Info { element, time, len, name };
        at += 1;
    }
    all
}

/// Octets of an element without its time.
const fn size(element: Element, type_id: u8) -> u8 {
    match element {
        Element::Undefined | Element::Nothing | Element::Clock | Element::Authentication => 0,
        Element::SinglePoint
        | Element::DoublePoint
        | Element::SingleCommand
        | Element::DoubleCommand
        | Element::StepCommand
        | Element::Qualifier => 1,
        Element::Step | Element::NormalizedBare | Element::Test | Element::Delay => 2,
        Element::Normalized
        | Element::Scaled
        | Element::NormalizedSetPoint
        | Element::ScaledSetPoint
        | Element::NormalizedParameter
        | Element::ScaledParameter
        | Element::ProtectionEvent => 3,
        Element::BitsCommand | Element::ProtectionStart | Element::Segment => 4,
        Element::Bits
        | Element::Float
        | Element::Total
        | Element::PackedStates
        | Element::FloatSetPoint
        | Element::FloatParameter => 5,
        Element::SecurityTotal => 7,
        Element::File => match type_id {
            120 | 126 => 6,
            121 => 7,
            123 => 5,
            127 => 9,
            _ => 4,
        },
    }
}

const TYPES: &[(u8, Element, Time, &str)] = &[
    (1, Element::SinglePoint, Time::None, "M_SP_NA_1"),
    (2, Element::SinglePoint, Time::Short, "M_SP_TA_1"),
    (3, Element::DoublePoint, Time::None, "M_DP_NA_1"),
    (4, Element::DoublePoint, Time::Short, "M_DP_TA_1"),
    (5, Element::Step, Time::None, "M_ST_NA_1"),
    (6, Element::Step, Time::Short, "M_ST_TA_1"),
    (7, Element::Bits, Time::None, "M_BO_NA_1"),
    (8, Element::Bits, Time::Short, "M_BO_TA_1"),
    (9, Element::Normalized, Time::None, "M_ME_NA_1"),
    (10, Element::Normalized, Time::Short, "M_ME_TA_1"),
    (11, Element::Scaled, Time::None, "M_ME_NB_1"),
    (12, Element::Scaled, Time::Short, "M_ME_TB_1"),
    (13, Element::Float, Time::None, "M_ME_NC_1"),
    (14, Element::Float, Time::Short, "M_ME_TC_1"),
    (15, Element::Total, Time::None, "M_IT_NA_1"),
    (16, Element::Total, Time::Short, "M_IT_TA_1"),
    (17, Element::ProtectionEvent, Time::Short, "M_EP_TA_1"),
    (18, Element::ProtectionStart, Time::Short, "M_EP_TB_1"),
    (19, Element::ProtectionStart, Time::Short, "M_EP_TC_1"),
    (20, Element::PackedStates, Time::None, "M_PS_NA_1"),
    (21, Element::NormalizedBare, Time::None, "M_ME_ND_1"),
    (30, Element::SinglePoint, Time::Long, "M_SP_TB_1"),
    (31, Element::DoublePoint, Time::Long, "M_DP_TB_1"),
    (32, Element::Step, Time::Long, "M_ST_TB_1"),
    (33, Element::Bits, Time::Long, "M_BO_TB_1"),
    (34, Element::Normalized, Time::Long, "M_ME_TD_1"),
    (35, Element::Scaled, Time::Long, "M_ME_TE_1"),
    (36, Element::Float, Time::Long, "M_ME_TF_1"),
    (37, Element::Total, Time::Long, "M_IT_TB_1"),
    (38, Element::ProtectionEvent, Time::Long, "M_EP_TD_1"),
    (39, Element::ProtectionStart, Time::Long, "M_EP_TE_1"),
    (40, Element::ProtectionStart, Time::Long, "M_EP_TF_1"),
    (41, Element::SecurityTotal, Time::Long, "S_IT_TC_1"),
    (45, Element::SingleCommand, Time::None, "C_SC_NA_1"),
    (46, Element::DoubleCommand, Time::None, "C_DC_NA_1"),
    (47, Element::StepCommand, Time::None, "C_RC_NA_1"),
    (48, Element::NormalizedSetPoint, Time::None, "C_SE_NA_1"),
    (49, Element::ScaledSetPoint, Time::None, "C_SE_NB_1"),
    (50, Element::FloatSetPoint, Time::None, "C_SE_NC_1"),
    (51, Element::BitsCommand, Time::None, "C_BO_NA_1"),
    (58, Element::SingleCommand, Time::Long, "C_SC_TA_1"),
    (59, Element::DoubleCommand, Time::Long, "C_DC_TA_1"),
    (60, Element::StepCommand, Time::Long, "C_RC_TA_1"),
    (61, Element::NormalizedSetPoint, Time::Long, "C_SE_TA_1"),
    (62, Element::ScaledSetPoint, Time::Long, "C_SE_TB_1"),
    (63, Element::FloatSetPoint, Time::Long, "C_SE_TC_1"),
    (64, Element::BitsCommand, Time::Long, "C_BO_TA_1"),
    (70, Element::Qualifier, Time::None, "M_EI_NA_1"),
    (81, Element::Authentication, Time::None, "S_CH_NA_1"),
    (82, Element::Authentication, Time::None, "S_RP_NA_1"),
    (83, Element::Authentication, Time::None, "S_AR_NA_1"),
    (84, Element::Authentication, Time::None, "S_KR_NA_1"),
    (85, Element::Authentication, Time::None, "S_KS_NA_1"),
    (86, Element::Authentication, Time::None, "S_KC_NA_1"),
    (87, Element::Authentication, Time::None, "S_ER_NA_1"),
    (90, Element::Authentication, Time::None, "S_US_NA_1"),
    (91, Element::Authentication, Time::None, "S_UQ_NA_1"),
    (92, Element::Authentication, Time::None, "S_UR_NA_1"),
    (93, Element::Authentication, Time::None, "S_UK_NA_1"),
    (94, Element::Authentication, Time::None, "S_UA_NA_1"),
    (95, Element::Authentication, Time::None, "S_UC_NA_1"),
    (100, Element::Qualifier, Time::None, "C_IC_NA_1"),
    (101, Element::Qualifier, Time::None, "C_CI_NA_1"),
    (102, Element::Nothing, Time::None, "C_RD_NA_1"),
    (103, Element::Clock, Time::Long, "C_CS_NA_1"),
    (104, Element::Test, Time::None, "C_TS_NA_1"),
    (105, Element::Qualifier, Time::None, "C_RP_NA_1"),
    (106, Element::Delay, Time::None, "C_CD_NA_1"),
    (107, Element::Test, Time::Long, "C_TS_TA_1"),
    (110, Element::NormalizedParameter, Time::None, "P_ME_NA_1"),
    (111, Element::ScaledParameter, Time::None, "P_ME_NB_1"),
    (112, Element::FloatParameter, Time::None, "P_ME_NC_1"),
    (113, Element::Qualifier, Time::None, "P_AC_NA_1"),
    (120, Element::File, Time::None, "F_FR_NA_1"),
    (121, Element::File, Time::None, "F_SR_NA_1"),
    (122, Element::File, Time::None, "F_SC_NA_1"),
    (123, Element::File, Time::None, "F_LS_NA_1"),
    (124, Element::File, Time::None, "F_AF_NA_1"),
    (125, Element::Segment, Time::None, "F_SG_NA_1"),
    (126, Element::File, Time::Long, "F_DR_TA_1"),
    (127, Element::File, Time::Long, "F_SC_NB_1"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_the_standards_lengths() {
        // §7.3.1 to §7.3.6: type and octets of one element.
        for (type_id, len) in [
            (1, 1),
            (2, 4),
            (5, 2),
            (6, 5),
            (7, 5),
            (9, 3),
            (10, 6),
            (13, 5),
            (14, 8),
            (15, 5),
            (16, 8),
            (17, 6),
            (18, 7),
            (19, 7),
            (20, 5),
            (21, 2),
            (30, 8),
            (32, 9),
            (33, 12),
            (34, 10),
            (36, 12),
            (37, 12),
            (38, 10),
            (39, 11),
            (40, 11),
            (41, 14),
            (45, 1),
            (48, 3),
            (50, 5),
            (51, 4),
            (58, 8),
            (61, 10),
            (63, 12),
            (64, 11),
            (70, 1),
            (100, 1),
            (102, 0),
            (103, 7),
            (104, 2),
            (105, 1),
            (106, 2),
            (107, 9),
            (110, 3),
            (112, 5),
            (113, 1),
            (120, 6),
            (121, 7),
            (122, 4),
            (123, 5),
            (124, 4),
            (125, 4),
            (126, 13),
            (127, 16),
        ] {
            assert_eq!(TypeId(type_id).element_len(), len, "{}", TypeId(type_id).name());
        }
        assert!(TypeId(0).name() == "undefined" && !TypeId(200).is_defined() && !TypeId(22).is_monitor());
        assert!(TypeId(45).is_command() && TypeId(100).is_control() && !TypeId(100).is_command());
    }
}
