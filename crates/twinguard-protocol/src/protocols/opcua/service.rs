//! The services: their numbers, what they do, how their messages are laid out.
//!
//! Sources: OPC 10000-4 (OPC UA Part 4, Services) 1.05, §5 (services) and §7 (common types); numbers of the binary
//! encodings by OPC 10000-6 Annex A.3 (`NodeIds.csv`).

use twinguard_types::Oddity;

use super::reader::{Flaw, Identifier, Read, Reader};
use crate::protocol::Action;

/// The layout of a message's body, field by field.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// So many bytes.
    Fixed(u8),
    /// A String or `ByteString`.
    Text,
    Node,
    Expanded,
    Qualified,
    Localized,
    Variant,
    Value,
    Object,
    Diagnostic,
    /// One structure inside.
    Of(&'static [Shape]),
    /// An array of structures.
    Many(&'static [Shape]),
}

use Shape::{
    Diagnostic, Expanded, Fixed, Localized, Many, Node, Object, Of, Qualified, Text, Value, Variant,
};

const BOOL: Shape = Fixed(1);
const BYTE: Shape = Fixed(1);
const UINT: Shape = Fixed(4);
const STATUS: Shape = Fixed(4);
const DOUBLE: Shape = Fixed(8);
const TIME: Shape = Fixed(8);
const TEXTS: Shape = Many(&[Text]);
const STATUSES: Shape = Many(&[STATUS]);
const UINTS: Shape = Many(&[UINT]);
const DIAGNOSTICS: Shape = Many(&[Diagnostic]);
/// Results one by one with their diagnostics: how many services answer.
const RESULTS: &[Shape] = &[STATUSES, DIAGNOSTICS];

/// OPC 10000-4 §7.33.
const REQUEST_HEADER: &[Shape] = &[Node, TIME, UINT, UINT, Text, UINT, Object];
/// OPC 10000-4 §7.34.
const RESPONSE_HEADER: &[Shape] = &[TIME, UINT, STATUS, Diagnostic, TEXTS, Object];
/// OPC 10000-4 §7.2.
const APPLICATION: Shape = Of(&[Text, Text, Localized, UINT, Text, Text, TEXTS]);
/// OPC 10000-4 §7.14 with §7.42.
const ENDPOINTS: Shape =
    Many(&[Text, APPLICATION, Text, UINT, Text, Many(&[Text, UINT, Text, Text, Text]), Text, BYTE]);
/// OPC 10000-4 §5.5.5.2.
const REGISTERED: Shape = Of(&[Text, Text, Many(&[Localized]), UINT, Text, TEXTS, Text, BOOL]);
/// OPC 10000-4 §7.36, §7.37.
const SIGNATURE: Shape = Of(&[Text, Text]);
const CERTIFICATES: Shape = Many(&[Text, Text]);
/// OPC 10000-4 §7.44.
const VIEW: Shape = Of(&[Node, TIME, UINT]);
/// OPC 10000-4 §7.6 with §7.29.
const BROWSED: Shape = Many(&[STATUS, Text, Many(REFERENCE)]);
const REFERENCE: &[Shape] = &[Node, BOOL, Expanded, Qualified, Localized, UINT, Expanded];
/// OPC 10000-4 §7.31.
const PATH: Shape = Many(&[Node, BOOL, BOOL, Qualified]);
/// OPC 10000-4 §7.28.
const READ_VALUE: Shape = Of(&[Node, UINT, Text, Qualified]);
/// OPC 10000-4 §7.21.
const MONITORING: Shape = Of(&[UINT, DOUBLE, Object, UINT, BOOL]);
/// OPC 10000-4 §7.25.
const NOTIFICATION: Shape = Of(&[UINT, TIME, Many(&[Object])]);
/// OPC 10000-4 §7.7.2.
const FILTER_RESULT: Shape = Of(&[Many(&[STATUS, STATUSES, DIAGNOSTICS]), DIAGNOSTICS]);
/// OPC 10000-4 §7.27.
const QUERIED: Shape = Many(&[Expanded, Expanded, Many(&[Variant])]);

/// One message of a service.
#[derive(Clone, Copy, Debug)]
struct Service {
    number: u16,
    name: &'static str,
    asks: bool,
    /// Behind the header.
    body: &'static [Shape],
}

const fn ask(number: u16, name: &'static str, body: &'static [Shape]) -> Service {
    Service { number, name, asks: true, body }
}

const fn answer(number: u16, name: &'static str, body: &'static [Shape]) -> Service {
    Service { number, name, asks: false, body }
}

pub(super) const FAULT: u16 = 397;
pub(super) const OPEN: u16 = 446;
pub(super) const OPENED: u16 = 449;
pub(super) const CLOSE: u16 = 452;
pub(super) const ADD_NODES: u16 = 488;
pub(super) const NODES_ADDED: u16 = 491;
pub(super) const BROWSED_NEXT: u16 = 536;
pub(super) const READ: u16 = 631;
pub(super) const READ_ANSWER: u16 = 634;
pub(super) const HISTORY: u16 = 664;
pub(super) const HISTORY_ANSWER: u16 = 667;
pub(super) const WRITE: u16 = 673;
pub(super) const WRITTEN: u16 = 676;
pub(super) const CALL: u16 = 712;
pub(super) const CALLED: u16 = 715;
pub(super) const MONITOR: u16 = 751;
pub(super) const PUBLISH: u16 = 826;
pub(super) const PUBLISHED: u16 = 829;

/// In order of their numbers.
const SERVICES: &[Service] = &[
    answer(FAULT, "ServiceFault", &[]),
    ask(422, "FindServers request", &[Text, TEXTS, TEXTS]),
    answer(425, "FindServers response", &[Many(&[APPLICATION])]),
    ask(428, "GetEndpoints request", &[Text, TEXTS, TEXTS]),
    answer(431, "GetEndpoints response", &[ENDPOINTS]),
    ask(437, "RegisterServer request", &[REGISTERED]),
    answer(440, "RegisterServer response", &[]),
    ask(OPEN, "OpenSecureChannel request", &[UINT, UINT, UINT, Text, UINT]),
    answer(OPENED, "OpenSecureChannel response", &[UINT, UINT, UINT, TIME, UINT, Text]),
    ask(CLOSE, "CloseSecureChannel request", &[]),
    answer(455, "CloseSecureChannel response", &[]),
    ask(461, "CreateSession request", &[APPLICATION, Text, Text, Text, Text, Text, DOUBLE, UINT]),
    answer(
        464,
        "CreateSession response",
        &[Node, Node, DOUBLE, Text, Text, ENDPOINTS, CERTIFICATES, SIGNATURE, UINT],
    ),
    ask(467, "ActivateSession request", &[SIGNATURE, CERTIFICATES, TEXTS, Object, SIGNATURE]),
    answer(470, "ActivateSession response", &[Text, STATUSES, DIAGNOSTICS]),
    ask(473, "CloseSession request", &[BOOL]),
    answer(476, "CloseSession response", &[]),
    ask(479, "Cancel request", &[UINT]),
    answer(482, "Cancel response", &[UINT]),
    ask(
        ADD_NODES,
        "AddNodes request",
        &[Many(&[Expanded, Node, Expanded, Qualified, UINT, Object, Expanded])],
    ),
    answer(NODES_ADDED, "AddNodes response", &[Many(&[STATUS, Node]), DIAGNOSTICS]),
    ask(494, "AddReferences request", &[Many(&[Node, Node, BOOL, Text, Expanded, UINT])]),
    answer(497, "AddReferences response", RESULTS),
    ask(500, "DeleteNodes request", &[Many(&[Node, BOOL])]),
    answer(503, "DeleteNodes response", RESULTS),
    ask(506, "DeleteReferences request", &[Many(&[Node, Node, BOOL, Expanded, BOOL])]),
    answer(509, "DeleteReferences response", RESULTS),
    ask(527, "Browse request", &[VIEW, UINT, Many(&[Node, UINT, Node, BOOL, UINT, UINT])]),
    answer(530, "Browse response", &[BROWSED, DIAGNOSTICS]),
    ask(533, "BrowseNext request", &[BOOL, TEXTS]),
    answer(BROWSED_NEXT, "BrowseNext response", &[BROWSED, DIAGNOSTICS]),
    ask(554, "TranslateBrowsePathsToNodeIds request", &[Many(&[Node, PATH])]),
    answer(
        557,
        "TranslateBrowsePathsToNodeIds response",
        &[Many(&[STATUS, Many(&[Expanded, UINT])]), DIAGNOSTICS],
    ),
    ask(560, "RegisterNodes request", &[Many(&[Node])]),
    answer(563, "RegisterNodes response", &[Many(&[Node])]),
    ask(566, "UnregisterNodes request", &[Many(&[Node])]),
    answer(569, "UnregisterNodes response", &[]),
    ask(
        615,
        "QueryFirst request",
        &[
            VIEW,
            Many(&[Expanded, BOOL, Many(&[PATH, UINT, Text])]),
            Many(&[UINT, Many(&[Object])]),
            UINT,
            UINT,
        ],
    ),
    answer(
        618,
        "QueryFirst response",
        &[QUERIED, Text, Many(&[STATUS, STATUSES, DIAGNOSTICS]), DIAGNOSTICS, FILTER_RESULT],
    ),
    ask(621, "QueryNext request", &[BOOL, Text]),
    answer(624, "QueryNext response", &[QUERIED, Text]),
    ask(READ, "Read request", &[DOUBLE, UINT, Many(&[READ_VALUE])]),
    answer(READ_ANSWER, "Read response", &[Many(&[Value]), DIAGNOSTICS]),
    ask(HISTORY, "HistoryRead request", &[Object, UINT, BOOL, Many(&[Node, Text, Qualified, Text])]),
    answer(HISTORY_ANSWER, "HistoryRead response", &[Many(&[STATUS, Text, Object]), DIAGNOSTICS]),
    ask(WRITE, "Write request", &[Many(&[Node, UINT, Text, Value])]),
    answer(WRITTEN, "Write response", RESULTS),
    ask(700, "HistoryUpdate request", &[Many(&[Object])]),
    answer(703, "HistoryUpdate response", &[Many(&[STATUS, STATUSES, DIAGNOSTICS]), DIAGNOSTICS]),
    ask(CALL, "Call request", &[Many(&[Node, Node, Many(&[Variant])])]),
    answer(CALLED, "Call response", &[Many(&[STATUS, STATUSES, DIAGNOSTICS, Many(&[Variant])]), DIAGNOSTICS]),
    ask(MONITOR, "CreateMonitoredItems request", &[UINT, UINT, Many(&[READ_VALUE, UINT, MONITORING])]),
    answer(754, "CreateMonitoredItems response", &[Many(&[STATUS, UINT, DOUBLE, UINT, Object]), DIAGNOSTICS]),
    ask(763, "ModifyMonitoredItems request", &[UINT, UINT, Many(&[UINT, MONITORING])]),
    answer(766, "ModifyMonitoredItems response", &[Many(&[STATUS, DOUBLE, UINT, Object]), DIAGNOSTICS]),
    ask(769, "SetMonitoringMode request", &[UINT, UINT, UINTS]),
    answer(772, "SetMonitoringMode response", RESULTS),
    ask(775, "SetTriggering request", &[UINT, UINT, UINTS, UINTS]),
    answer(778, "SetTriggering response", &[STATUSES, DIAGNOSTICS, STATUSES, DIAGNOSTICS]),
    ask(781, "DeleteMonitoredItems request", &[UINT, UINTS]),
    answer(784, "DeleteMonitoredItems response", RESULTS),
    ask(787, "CreateSubscription request", &[DOUBLE, UINT, UINT, UINT, BOOL, BYTE]),
    answer(790, "CreateSubscription response", &[UINT, DOUBLE, UINT, UINT]),
    ask(793, "ModifySubscription request", &[UINT, DOUBLE, UINT, UINT, UINT, BYTE]),
    answer(796, "ModifySubscription response", &[DOUBLE, UINT, UINT]),
    ask(799, "SetPublishingMode request", &[BOOL, UINTS]),
    answer(802, "SetPublishingMode response", RESULTS),
    ask(PUBLISH, "Publish request", &[Many(&[UINT, UINT])]),
    answer(PUBLISHED, "Publish response", &[UINT, UINTS, BOOL, NOTIFICATION, STATUSES, DIAGNOSTICS]),
    ask(832, "Republish request", &[UINT, UINT]),
    answer(835, "Republish response", &[NOTIFICATION]),
    ask(841, "TransferSubscriptions request", &[UINTS, BOOL]),
    answer(844, "TransferSubscriptions response", &[Many(&[STATUS, UINTS]), DIAGNOSTICS]),
    ask(847, "DeleteSubscriptions request", &[UINTS]),
    answer(850, "DeleteSubscriptions response", RESULTS),
    ask(12208, "FindServersOnNetwork request", &[UINT, UINT, TEXTS]),
    answer(12209, "FindServersOnNetwork response", &[TIME, Many(&[UINT, Text, Text, TEXTS])]),
    ask(12211, "RegisterServer2 request", &[REGISTERED, Many(&[Object])]),
    answer(12212, "RegisterServer2 response", RESULTS),
];

fn find(number: u16) -> Option<&'static Service> {
    let place = SERVICES.binary_search_by_key(&number, |service| service.number).ok()?;
    SERVICES.get(place)
}

/// The name of a service's message.
pub(super) fn name(number: u16) -> Option<&'static str> {
    find(number).map(|service| service.name)
}

/// Whether a message asks; `None` for one that is not known.
pub(super) fn asks(number: u16) -> Option<bool> {
    find(number).map(|service| service.asks)
}

/// Whether this answers that: responses stand behind their requests; a fault answers everything.
pub(super) fn answers(request: u16, response: u16) -> bool {
    let after = SERVICES.iter().skip_while(|service| service.number <= request);
    response == FAULT || after.map(|service| service.number).next() == Some(response)
}

/// What a request does to the device beyond values.
pub(super) const fn action(number: u16) -> Option<Action> {
    Some(match number {
        461 => Action::Connect,
        467 => Action::Login,
        CLOSE | 473 => Action::Disconnect,
        422 | 428 | 527 | 533 | 554 | 615 | 621 | 12208 => Action::Browse,
        437 | ADD_NODES | 494 | 506 | 700 | 12211 => Action::Configure,
        500 => Action::Delete,
        _ => return None,
    })
}

/// The number of the service whose message begins here (§5.2.9 of Part 6: the node of its binary encoding).
pub(super) fn number(body: &[u8]) -> Option<u16> {
    let node = Reader::new(body).node_id().ok()?;
    match node.id {
        Identifier::Numeric(number) if node.namespace == 0 => u16::try_from(number).ok(),
        _ => None,
    }
}

/// Steps over what the service is named by and over the header of its message.
pub(super) fn skip_header(number: u16, reader: &mut Reader<'_>) -> Read<()> {
    reader.node_id()?;
    let header = if asks(number) == Some(true) { REQUEST_HEADER } else { RESPONSE_HEADER };
    skip(reader, header)
}

/// Reads a whole message of a known service; where it ends.
pub(super) fn check(number: u16, body: &[u8]) -> Read<usize> {
    let mut reader = Reader::new(body);
    let Some(service) = find(number) else { return Err(Flaw { oddity: Oddity::UnknownFunction, at: 0 }) };
    skip_header(number, &mut reader)?;
    let refused = !service.asks && reader.rest().is_empty();
    if !refused {
        skip(&mut reader, service.body)?;
    }
    Ok(reader.at())
}

/// Steps over the rest of one result, behind its status, of a response that lists them.
pub(super) fn skip_result(number: u16, reader: &mut Reader<'_>) -> Read<()> {
    match find(number).map(|service| service.body) {
        Some([Many([Fixed(4), rest @ ..]), ..]) => skip(reader, rest),
        _ => Err(Flaw { oddity: Oddity::UnknownFunction, at: reader.at() }),
    }
}

/// Steps over the fields of a structure; structures lie in each other only as deep as the tables above.
fn skip(reader: &mut Reader<'_>, shapes: &[Shape]) -> Read<()> {
    for shape in shapes {
        match *shape {
            Fixed(len) => reader.take(usize::from(len)).map(drop)?,
            Text => reader.text().map(drop)?,
            Node => reader.node_id().map(drop)?,
            Expanded => reader.expanded().map(drop)?,
            Qualified => reader.qualified().map(drop)?,
            Localized => reader.localized().map(drop)?,
            Variant => reader.variant(0).map(drop)?,
            Value => reader.data_value().map(drop)?,
            Object => reader.object().map(drop)?,
            Diagnostic => reader.diagnostic()?,
            Of(inner) => skip(reader, inner)?,
            Many(inner) => {
                for _ in 0..reader.array()? {
                    skip(reader, inner)?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_in_order_and_answered_by_their_neighbours() {
        assert!(SERVICES.is_sorted_by_key(|service| service.number));
        assert!(answers(READ, READ_ANSWER) && answers(12208, 12209) && answers(READ, FAULT));
        assert!(!answers(READ, HISTORY_ANSWER) && !answers(READ, WRITTEN));
        assert_eq!((name(CALL), name(1)), (Some("Call request"), None));
        for pair in SERVICES[1..].chunks(2) {
            assert!(pair[0].asks && !pair[1].asks, "{}", pair[0].name);
        }
    }

    #[test]
    fn bodies_are_measured() {
        let request = |number: u16| {
            let mut body = vec![1, 0];
            body.extend_from_slice(&number.to_le_bytes());
            body.extend_from_slice(&[0, 0]);
            body.extend_from_slice(&[0; 16]);
            body.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0]);
            body
        };
        let close = request(CLOSE);
        assert_eq!((number(&close), check(CLOSE, &close)), (Some(CLOSE), Ok(close.len())));
        for len in 0..close.len() {
            assert!(check(CLOSE, &close[..len]).is_err());
        }
        let mut many = request(847);
        many.extend_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0]);
        assert_eq!(check(847, &many), Err(Flaw { oddity: Oddity::BadQuantity, at: many.len() - 5 }));
        assert_eq!(check(9, &close).unwrap_err().oddity, Oddity::UnknownFunction);
        assert_eq!((number(&[2, 1, 0, 0, 0, 0, 0]), number(&[0])), (None, None));
    }
}
