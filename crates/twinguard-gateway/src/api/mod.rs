//! The sidecar API and the operations page, over HTTP/1.1, with TLS or without.

mod bearer;
mod people;
mod routes;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use twinguard::types::Timestamp;

use crate::Error;
use crate::accept::accept;
use crate::certificate::Certificate;
use crate::config::{Api, Config, Mode};
use crate::doors::Front;
use crate::one_way::Onward;
use crate::stats::Stats;
use crate::wire::Met;
use crate::worker::Handle;
pub(crate) use bearer::Bearers;
pub(crate) use people::People;
pub use routes::OPENAPI;

/// How long whoever asks through the API waits for the guard.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long connections may go on after the gateway was told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// What all requests share.
#[derive(Debug)]
struct Shared {
    guard: Handle,
    bearers: Arc<Bearers>,
    config: Api,
    mode: Mode,
    stats: Arc<Stats>,
    /// Where the points go that are taken.
    onward: Onward,
    stop: watch::Receiver<bool>,
}

/// Where a request comes from, and what its connection has shown.
#[derive(Clone, Debug)]
struct Peer {
    ip: core::net::IpAddr,
    certificate: Option<Arc<Certificate>>,
    /// Until when both certificates of the connection are valid.
    until: Option<Timestamp>,
}

impl Peer {
    fn new(ip: core::net::IpAddr, met: Option<Met>) -> Self {
        let (certificate, own) = match met {
            Some(Met::Certificates { peer, own }) => (peer, Some(own)),
            // The API speaks TLS or plain text.
            Some(Met::Key { .. }) | None => (None, None),
        };
        let both = own.map(|own| certificate.as_ref().map_or(own, |peer| peer.term.and(own)));
        Self { ip, certificate: certificate.map(Arc::new), until: both.map(|both| both.not_after) }
    }

    fn name(&self) -> Option<&str> {
        self.certificate.as_ref()?.name()
    }
}

/// The API; nothing listens yet.
#[derive(Clone)]
pub(crate) struct Sidecar {
    shared: Arc<Shared>,
    front: Arc<Front>,
}

impl Sidecar {
    /// Reads the secrets of its bearers.
    ///
    /// # Errors
    /// [`Error::Io`] for a token's file that cannot be read.
    pub(crate) fn new(
        api: Api,
        config: &Config,
        guard: Handle,
        stats: Arc<Stats>,
        onward: Onward,
        stop: watch::Receiver<bool>,
        front: Arc<Front>,
    ) -> Result<Self, Error> {
        let bearers = Arc::new(Bearers::read(config, api.requests_per_second)?);
        let (config, mode) = (api, config.mode);
        Ok(Self { shared: Arc::new(Shared { guard, bearers, config, mode, stats, onward, stop }), front })
    }

    /// Who may come.
    pub(crate) fn bearers(&self) -> Arc<Bearers> {
        self.shared.bearers.clone()
    }

    /// Serves until `stop` changes.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(self.shared.config.connections));
        let router = routes::router(self.shared.clone());
        let mut tasks = accept(listener, self.shared.stop.clone(), |stream, from| {
            let place = places.clone().try_acquire_owned().ok()?;
            let (router, front, shared) = (router.clone(), self.front.clone(), self.shared.clone());
            Some(async move {
                let (mut stop, header_time) = (shared.stop.clone(), shared.config.request_time);
                let Ok((stream, met)) = front.meet(stream, header_time).await else {
                    shared.stats.unproved.add();
                    return;
                };
                let service = router.layer(Extension(Peer::new(from.ip().to_canonical(), met)));
                let mut http = hyper::server::conn::http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(header_time).max_buf_size(64 << 10);
                let connection =
                    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
                let mut connection = core::pin::pin!(connection);
                tokio::select! {
                    _ = connection.as_mut() => {}
                    _ = stop.changed() => {
                        connection.as_mut().graceful_shutdown();
                        let _ = timeout(GRACE, connection).await;
                    }
                }
                drop(place);
            })
        })
        .await;
        let _ = timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    }
}
