//! Authentication events of the Open Cybersecurity Schema Framework become access events.
//!
//! ```
//! use twinguard_anomaly::ocsf;
//! use twinguard_types::{AccessOutcome, Principals};
//!
//! let line = r#"{"class_uid":3002,"activity_id":1,"status_id":2,"time":1767225600000,"user":{"name":"ada"},"src_endpoint":{"ip":"10.0.0.7"}}"#;
//! let mut principals = Principals::new();
//! let access = ocsf::read(line.as_bytes(), &mut principals)?.ok_or("an authentication")?;
//! assert_eq!((access.outcome, access.action.as_str()), (AccessOutcome::Refused, "logon"));
//! assert_eq!(principals.id("ada"), Some(access.principal));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: OCSF 1.3, category Identity & Access Management: class 3002 Authentication (`activity_id` 1 logon, 2 logoff, 3 authentication ticket,
//! 4 service ticket request, 5 service ticket renew, 6 preauth; `status_id` 1 success, 2 failure), class 3003 Authorize Session (1 assign
//! privileges, 2 assign groups), and class 6001 Web Resources Activity with 6003 API Activity (1 create, 2 read, 3 update, 4 delete), which
//! tell of reads. `time` is in milliseconds since 1970, `actor.user` or `user` says who (`uid`, else `name`, else `email_addr`),
//! `src_endpoint.ip` from where. Other classes are no access, and not an error. One event is one JSON object; lines of them are [`read_lines`]. Depth is bounded by
//! the parser (128), length by [`LONGEST`], the table of principals by [`MOST_PRINCIPALS`].

use core::net::IpAddr;

use serde_json::Value;
use twinguard_types::{Access, AccessOutcome, Label, Principal, PrincipalKind, Principals, Timestamp};

use crate::Error;

/// Longest event, bytes.
pub const LONGEST: usize = 1 << 20;
/// Most principals that are entered; who comes later is refused.
pub const MOST_PRINCIPALS: usize = 1 << 20;
const LONGEST_NAME: usize = 256;

fn refuse(line: usize, reason: &'static str) -> Error {
    Error::Ocsf { line, reason }
}

/// One event; `None` for a class that tells of no access.
///
/// # Errors
/// [`Error::Ocsf`] for what is no JSON object, is longer than [`LONGEST`], or lacks class, time or user where its class has them.
pub fn read(event: &[u8], principals: &mut Principals) -> Result<Option<Access>, Error> {
    one(event, principals, 1)
}

/// Events of one JSON object a line; empty lines are skipped. What cannot be read is handed over as an error, and reading goes on.
pub fn read_lines<'a>(
    text: &'a [u8],
    principals: &'a mut Principals,
) -> impl Iterator<Item = Result<Access, Error>> + 'a {
    text.split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .filter_map(move |(place, line)| one(line, principals, place + 1).transpose())
}

fn one(event: &[u8], principals: &mut Principals, line: usize) -> Result<Option<Access>, Error> {
    if event.len() > LONGEST {
        return Err(refuse(line, "an event of more than a mebibyte"));
    }
    let event: Value = serde_json::from_slice(event).map_err(|_| refuse(line, "not JSON"))?;
    let number = |name: &str| event.get(name).and_then(Value::as_i64);
    let class = number("class_uid").ok_or(refuse(line, "no `class_uid`"))?;
    let activity = number("activity_id").unwrap_or(0);
    let action = match (class, activity) {
        (3002, 1) => "logon",
        (3002, 2) => "logoff",
        (3002, 3) => "ticket",
        (3002, 4) => "service_ticket",
        (3002, 5) => "service_ticket_renewal",
        (3002, 6) => "preauthentication",
        (3002, _) => "authentication",
        (3003, 1) => "assign_privileges",
        (3003, 2) => "assign_groups",
        (3003, _) => "authorise",
        (6001 | 6003, 1) => "create",
        (6001 | 6003, 2) => "read",
        (6001 | 6003, 3) => "update",
        (6001 | 6003, 4) => "delete",
        (6001 | 6003, _) => "request",
        _ => return Ok(None),
    };
    let millis = number("time").ok_or(refuse(line, "no `time`"))?;
    let nanos = millis.checked_mul(1_000_000).ok_or(refuse(line, "a `time` that cannot be"))?;
    // in class 3002 `user` logs in and `actor` is the process that asks for it
    let user = match class {
        3002 | 3003 => event.get("user").or_else(|| event.pointer("/actor/user")),
        _ => event.pointer("/actor/user"),
    };
    let name =
        user.and_then(|user| ["uid", "name", "email_addr"].iter().find_map(|key| user.get(key)?.as_str()));
    let name = name.filter(|name| !name.is_empty()).ok_or(refuse(line, "no user"))?;
    if name.len() > LONGEST_NAME {
        return Err(refuse(line, "a user's name of more than 256 bytes"));
    }
    if principals.id(name).is_none() && principals.iter().len() >= MOST_PRINCIPALS {
        return Err(refuse(line, "more principals than there is room for"));
    }
    // OCSF user.type_id: 3 is a system's account, 4 a service's
    let kind = match user.and_then(|user| user.get("type_id")).and_then(Value::as_i64) {
        Some(3 | 4) => PrincipalKind::Service,
        Some(1 | 2) => PrincipalKind::User,
        _ => PrincipalKind::Unknown,
    };
    let principal = principals
        .intern(Principal::new(name).kind(kind))
        .map_err(|_| refuse(line, "more principals than there is room for"))?;
    let outcome = match number("status_id") {
        Some(1) => AccessOutcome::Granted,
        Some(2) => AccessOutcome::Refused,
        _ => AccessOutcome::Failed,
    };
    let from =
        event.pointer("/src_endpoint/ip").and_then(Value::as_str).and_then(|ip| ip.parse::<IpAddr>().ok());
    Ok(Some(Access {
        at: Timestamp::from_nanos(nanos),
        principal,
        action: Label::literal(action),
        outcome,
        from,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, want: Result<Option<(&str, AccessOutcome)>, &str>) {
        let mut principals = Principals::new();
        let got = read(event.as_bytes(), &mut principals);
        match (got, want) {
            (Ok(None), Ok(None)) => {}
            (Ok(Some(access)), Ok(Some((action, outcome)))) => {
                assert_eq!((access.action.as_str(), access.outcome), (action, outcome), "{event}");
            }
            (Err(Error::Ocsf { line: 1, reason }), Err(want)) => assert_eq!(reason, want, "{event}"),
            (got, want) => panic!("{event}: {got:?}, wanted {want:?}"),
        }
    }

    #[test]
    fn events_of_the_schema() {
        use AccessOutcome::{Failed, Granted, Refused};
        let user = r#""time":1,"user":{"name":"a"}"#;
        check(
            &format!(r#"{{"class_uid":3002,"activity_id":1,"status_id":1,{user}}}"#),
            Ok(Some(("logon", Granted))),
        );
        check(
            &format!(r#"{{"class_uid":3002,"activity_id":1,"status_id":2,{user}}}"#),
            Ok(Some(("logon", Refused))),
        );
        check(
            &format!(r#"{{"class_uid":3002,"activity_id":2,"status_id":99,{user}}}"#),
            Ok(Some(("logoff", Failed))),
        );
        check(
            &format!(r#"{{"class_uid":3003,"activity_id":1,"status_id":1,{user}}}"#),
            Ok(Some(("assign_privileges", Granted))),
        );
        let actor = r#""time":1,"status_id":1,"actor":{"user":{"uid":"u-7","type_id":4}}"#;
        check(&format!(r#"{{"class_uid":6003,"activity_id":2,{actor}}}"#), Ok(Some(("read", Granted))));
        check(r#"{"class_uid":2004}"#, Ok(None));
        check(r#"{"class_uid":3002,"time":1}"#, Err("no user"));
        check(r#"{"class_uid":3002,"user":{"name":"a"}}"#, Err("no `time`"));
        check(
            r#"{"class_uid":3002,"time":9223372036854775807,"user":{"name":"a"}}"#,
            Err("a `time` that cannot be"),
        );
        check("{}", Err("no `class_uid`"));
        check("[1,2", Err("not JSON"));
        check(&"[".repeat(100_000), Err("not JSON"));
    }

    #[test]
    fn lines_go_on_behind_what_cannot_be_read() {
        let text = concat!(
            r#"{"class_uid":3002,"activity_id":1,"status_id":1,"time":1000,"user":{"name":"a"},"src_endpoint":{"ip":"fe80::1"}}"#,
            "\n\nnonsense\n",
            r#"{"class_uid":1001}"#,
            "\n",
            r#"{"class_uid":3002,"activity_id":1,"status_id":2,"time":2000,"user":{"name":"b"},"src_endpoint":{"ip":"somewhere"}}"#
        );
        let mut principals = Principals::new();
        let all: Vec<_> = read_lines(text.as_bytes(), &mut principals).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].as_ref().unwrap().from, "fe80::1".parse().ok());
        assert_eq!(all[1], Err(Error::Ocsf { line: 3, reason: "not JSON" }));
        let last = all[2].as_ref().unwrap();
        assert_eq!((last.at, last.from), (Timestamp::from_secs(2), None));
        assert_eq!(principals.iter().len(), 2);
    }
}
