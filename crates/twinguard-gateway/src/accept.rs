//! Connections come in until it is over.

use core::net::SocketAddr;
use core::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Takes connections until `stop` changes and gives each to `serve`, which may turn it away; what is still being served then.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
    mut serve: impl FnMut(TcpStream, SocketAddr) -> Option<F>,
) -> JoinSet<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = tasks.join_next(), if !tasks.is_empty() => continue,
            _ = stop.changed() => return tasks,
        };
        match accepted {
            Ok((stream, from)) => {
                if let Some(served) = serve(stream, from) {
                    tasks.spawn(served);
                }
            }
            // Out of file descriptors, mostly: clients that leave give some back.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}
