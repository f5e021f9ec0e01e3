//! One function for each path.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use twinguard::types::Timestamp;

use super::bearer::{Admitted, Shown, Turned};
use super::{PATIENCE, Peer, Shared};
use crate::config::Right;
use crate::core::{AccessText, CommandText, Core, OperatorText, OutcomeText, PointText, Refusal, Who};
use crate::stats::{gauges, metric};
use crate::worker::clock;

/// The API's description, OpenAPI 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

const PAGE: &str = include_str!("../page/operations.html");
const SCRIPT: &str = include_str!("../page/operations.js");
const STYLE: &str = include_str!("../page/operations.css");

/// Events that a slow listener may leave waiting; one that leaves more is let go.
const LAG: usize = 256;
/// A page older than this means that the guard does not get round to it.
const STALE_S: f64 = 5.0;

type Shares = State<Arc<Shared>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(async || asset("text/html; charset=utf-8", PAGE)))
        .route("/operations.js", get(async || asset("text/javascript; charset=utf-8", SCRIPT)))
        .route("/operations.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/openapi.json", get(async || asset("application/json", OPENAPI)))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/v1/access", post(access))
        .route("/v1/commands", post(commands))
        .route("/v1/events", get(events))
        .route("/v1/held/{command}", post(held))
        .route("/v1/operator", post(operator))
        .route("/v1/outcomes", post(outcomes))
        .route("/v1/points", post(points))
        .route("/v1/state", get(state))
        .fallback(async || problem(StatusCode::NOT_FOUND, "no such path; see /openapi.json"))
        .with_state(shared)
}

/// Every answer is JSON that nobody keeps, or an asset under the page's policy.
fn headers(kind: &'static str) -> [(HeaderName, HeaderValue); 5] {
    const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                          base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ]
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    (headers(kind), text).into_response()
}

fn json(status: StatusCode, text: String) -> Response {
    (status, headers("application/json"), text).into_response()
}

fn told(record: &impl serde::Serialize) -> Response {
    match serde_json::to_string(record) {
        Ok(text) => json(StatusCode::OK, text),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn problem(status: StatusCode, text: &str) -> Response {
    json(status, serde_json::json!({ "error": text }).to_string())
}

impl From<Turned> for Response {
    fn from(turned: Turned) -> Self {
        match turned {
            Turned::Stranger(reason) => {
                let text = reason.as_deref().unwrap_or("a valid token is needed: `Authorization: Bearer …`");
                let mut response = problem(StatusCode::UNAUTHORIZED, text);
                // RFC 6750 §3.1.
                let asked = if reason.is_some() { "Bearer error=\"invalid_token\"" } else { "Bearer" };
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(asked));
                response
            }
            Turned::Strangers | Turned::Flood => {
                let mut response = problem(StatusCode::TOO_MANY_REQUESTS, "too many requests");
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Turned::Right(right) => problem(
                StatusCode::FORBIDDEN,
                &format!("the token does not hold the right `{right:?}`").to_lowercase(),
            ),
        }
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::Forbidden(_) => StatusCode::FORBIDDEN,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Unguarded(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        problem(status, &refusal.to_string())
    }
}

#[allow(clippy::result_large_err, reason = "the refusal is the answer that is sent")]
fn admit(shared: &Shared, peer: &Peer, headers: &HeaderMap, right: Right) -> Result<Admitted, Response> {
    shared.stats.api.requests.add();
    let bearer = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let has_secret = bearer.is_some();
    let commands = matches!(right, Right::Commands | Right::Approve | Right::Operate);
    if commands && peer.until.is_some_and(|until| until <= clock()) {
        let text = "a certificate of this connection has expired: it may read and tell, and not command";
        return Err(problem(StatusCode::FORBIDDEN, text));
    }
    let shown = Shown { header: bearer, certificate: peer.name(), now: clock() };
    shared.bearers.admit(shown, right).map_err(|turned| {
        match turned {
            Turned::Stranger(_) => {
                shared.stats.api.strangers.add();
                // A wrong secret is an attempt to log in; a missing one is a browser's first look.
                if has_secret {
                    let from = peer.ip;
                    let _told = shared.guard.tell(move |core, now| core.stranger(now, from));
                }
            }
            Turned::Strangers | Turned::Flood => shared.stats.api.flooded.add(),
            Turned::Right(_) => {}
        }
        turned.into()
    })
}

/// The body as JSON, within bounds of size and time.
async fn body<T: DeserializeOwned>(shared: &Shared, body: Body) -> Result<T, Response> {
    let limit = shared.config.body_bytes;
    let bytes = match timeout(shared.config.request_time, to_bytes(body, limit)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => {
            let text = format!("the body breaks off or is larger than {limit} bytes");
            return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, &text));
        }
        Err(_) => return Err(problem(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    };
    serde_json::from_slice(&bytes)
        .map_err(|error| problem(StatusCode::BAD_REQUEST, &format!("body: {error}")))
}

/// Admits, reads the body, asks the guard.
async fn ask<T, A>(
    shared: &Arc<Shared>,
    peer: &Peer,
    request: Request,
    right: Right,
    job: impl FnOnce(&mut Core, Timestamp, &Who, T) -> Result<A, Refusal> + Send + 'static,
) -> Result<A, Response>
where
    T: DeserializeOwned + Send + 'static,
    A: Send + 'static,
{
    let Admitted { who, until } = admit(shared, peer, request.headers(), right)?;
    let text: T = body(shared, request.into_body()).await?;
    if until.is_some_and(|until| until <= clock()) {
        return Err(Turned::Stranger(Some("the token has expired".to_owned())).into());
    }
    match shared.guard.ask(PATIENCE, move |core, now| job(core, now, &who, text)).await {
        Ok(answer) => answer.map_err(Response::from),
        Err(error) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())),
    }
}

fn answer<A: serde::Serialize>(answer: Result<A, Response>) -> Response {
    answer.map_or_else(|refused| refused, |answer| told(&answer))
}

#[derive(serde::Serialize)]
struct Taken {
    taken: usize,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    points: Vec<PointText>,
}

async fn points(State(shared): Shares, Extension(peer): Extension<Peer>, request: Request) -> Response {
    let onward = shared.onward.clone();
    let job = move |core: &mut Core, now, _: &Who, batch: Batch| {
        let taken = core.points(now, &batch.points)?;
        onward.send(now, batch.points);
        Ok(Taken { taken })
    };
    answer(ask(&shared, &peer, request, Right::Points, job).await)
}

async fn commands(State(shared): Shares, Extension(peer): Extension<Peer>, request: Request) -> Response {
    let job = |core: &mut Core, now, who: &Who, text: CommandText| core.command(now, who, &text);
    answer(ask(&shared, &peer, request, Right::Commands, job).await)
}

async fn access(State(shared): Shares, Extension(peer): Extension<Peer>, request: Request) -> Response {
    let job = |core: &mut Core, now, who: &Who, text: AccessText| {
        core.access(now, who, &text)?;
        Ok(Taken { taken: 1 })
    };
    answer(ask(&shared, &peer, request, Right::Access, job).await)
}

async fn outcomes(State(shared): Shares, Extension(peer): Extension<Peer>, request: Request) -> Response {
    let job = |core: &mut Core, now, _: &Who, text: OutcomeText| {
        core.outcome(now, text)?;
        Ok(Taken { taken: 1 })
    };
    answer(ask(&shared, &peer, request, Right::Outcomes, job).await)
}

async fn operator(State(shared): Shares, Extension(peer): Extension<Peer>, request: Request) -> Response {
    let job = |core: &mut Core, now, _: &Who, text: OperatorText| {
        core.operator(now, &text)?;
        Ok(Taken { taken: 1 })
    };
    answer(ask(&shared, &peer, request, Right::Operate, job).await)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Decided {
    approve: bool,
    signal: String,
    value: f64,
}

async fn held(
    State(shared): Shares,
    Extension(peer): Extension<Peer>,
    Path(command): Path<u64>,
    request: Request,
) -> Response {
    let job = move |core: &mut Core, now, who: &Who, it: Decided| {
        core.decide(now, who, command, (&it.signal, it.value), it.approve)
    };
    answer(ask(&shared, &peer, request, Right::Approve, job).await)
}

async fn state(State(shared): Shares, Extension(peer): Extension<Peer>, headers: HeaderMap) -> Response {
    if let Err(refused) = admit(&shared, &peer, &headers, Right::Read) {
        return refused;
    }
    match shared.guard.ask(PATIENCE, |core, now| core.page(now)).await {
        Ok(page) => told(&page),
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn health(State(shared): Shares) -> Response {
    let shown = shared.guard.page().borrow().clone();
    let age_s = clock().since(shown.at).as_secs_f64();
    let trouble = match &shown.health {
        _ if !shared.guard.lives() => Some("the guard's thread has ended: nothing may command".to_owned()),
        _ if age_s > STALE_S => Some(format!("the guard was heard {age_s:.0} s ago")),
        None => Some("the guard has not been heard yet".to_owned()),
        Some(health) => health.trouble.clone(),
    };
    let (status, word) = match trouble {
        None => (StatusCode::OK, "ok"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
    };
    let warnings: Vec<String> = shown.health.iter().flat_map(|it| it.warnings(clock())).collect();
    let told = serde_json::json!({
        "status": word, "mode": shared.mode, "trouble": trouble, "warnings": warnings,
    });
    json(status, told.to_string())
}

async fn metrics(State(shared): Shares, Extension(peer): Extension<Peer>, headers: HeaderMap) -> Response {
    if !shared.config.open_metrics
        && let Err(refused) = admit(&shared, &peer, &headers, Right::Read)
    {
        return refused;
    }
    let mut out = String::new();
    let shown = shared.guard.page().borrow().clone();
    metric(
        &mut out,
        "twinguard_guard_up",
        "Whether the guard's thread lives.",
        u64::from(shared.guard.lives()),
    );
    if let Some(health) = &shown.health {
        let tally = health.tally;
        let well = u64::from(health.trouble.is_none());
        metric(&mut out, "twinguard_journal_up", "Whether the journal takes entries.", well);
        metric(&mut out, "twinguard_journal_leaves", "Entries in the journal.", health.journal_leaves);
        for (name, help, value) in [
            ("judged", "Commands judged before they were sent.", tally.judged),
            ("allowed", "Commands allowed.", tally.allowed),
            ("clamped", "Commands brought to the nearest safe value.", tally.clamped),
            ("held", "Commands held for a person or a stronger proof.", tally.held),
            ("denied", "Commands denied.", tally.denied),
            ("unguarded", "Commands refused because the guard or its journal failed.", tally.unguarded),
        ] {
            metric(&mut out, &format!("twinguard_commands_{name}_total"), help, value);
        }
        let ends = health.certificates.iter().map(|it| (it.of.as_str(), it.not_after_s));
        gauges(
            &mut out,
            "twinguard_certificate_not_after_seconds",
            "Until when a certificate is valid.",
            ends,
        );
        metric(&mut out, "twinguard_findings_total", "Findings raised.", tally.findings);
        metric(&mut out, "twinguard_points_total", "Points taken through the API.", tally.points);
    }
    shared.stats.write(&mut out);
    (headers_of_metrics(), out).into_response()
}

fn headers_of_metrics() -> [(HeaderName, HeaderValue); 5] {
    self::headers("text/plain; version=0.0.4; charset=utf-8")
}

async fn events(State(shared): Shares, Extension(peer): Extension<Peer>, headers: HeaderMap) -> Response {
    let until = match admit(&shared, &peer, &headers, Right::Read) {
        Ok(admitted) => admitted.until,
        Err(refused) => return refused,
    };
    let (events, stream) = mpsc::channel::<Result<Event, Infallible>>(LAG);
    tokio::spawn(async move {
        // A person's events end with their token.
        let left = until.map(|until| until.since(clock()).as_nanos().max(0).unsigned_abs());
        match left {
            Some(left) => drop(timeout(Duration::from_nanos(left), feed(shared, events)).await),
            None => feed(shared, events).await,
        }
    });
    let sse = Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::default());
    (self::headers("text/event-stream"), sse).into_response()
}

/// One message a second with the whole page, and news as they come; a listener that lags too far is let go, and finds
/// the state again when it comes back.
async fn feed(shared: Arc<Shared>, events: mpsc::Sender<Result<Event, Infallible>>) {
    let (mut news, mut page, mut stop) = (shared.guard.news(), shared.guard.page(), shared.stop.clone());
    page.mark_changed();
    loop {
        let event = tokio::select! {
            said = news.recv() => match said {
                Ok(said) => Event::default().event(said.kind).data(said.json.as_str()),
                Err(broadcast::error::RecvError::Lagged(count)) => {
                    Event::default().event("lost").data(count.to_string())
                }
                Err(broadcast::error::RecvError::Closed) => return,
            },
            changed = page.changed() => {
                if changed.is_err() {
                    return;
                }
                let shown = page.borrow_and_update().clone();
                if shown.page.is_empty() {
                    continue;
                }
                Event::default().event("state").data(shown.page.as_str())
            }
            _ = stop.changed() => return,
            () = events.closed() => return,
        };
        if events.try_send(Ok(event)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_names_every_path() {
        let description: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let described: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
        let routed: Vec<&str> = include_str!("routes.rs")
            .split(".route(\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .filter(|path| path.starts_with("/v1/") || ["/health", "/metrics"].contains(path))
            .collect();
        assert!(routed.len() >= 10);
        assert_eq!(described, routed);
    }
}
