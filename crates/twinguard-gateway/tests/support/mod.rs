//! A Modbus server, certificates and clients for the tests of the gateway.

pub(crate) mod pki;
pub(crate) mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// A Modbus server of 64 registers that counts what it is asked.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    pub(crate) registers: Arc<Mutex<Vec<u16>>>,
    pub(crate) task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(address: &str) -> Self {
        Self::with(address, None).await
    }

    /// The same behind TLS.
    pub(crate) async fn with(address: &str, tls: Option<TlsAcceptor>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address.parse().unwrap()).unwrap();
        // Hundreds come at one time.
        let listener = socket.listen(1_024).unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, registers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(vec![7; 64])));
        let shared = (asked.clone(), registers.clone());
        let task = tokio::spawn(async move {
            let mut clients = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (tls, shared) = (tls.clone(), shared.clone());
                clients.spawn(async move {
                    match tls {
                        None => answer(client, shared).await,
                        Some(tls) => {
                            if let Ok(client) = tls.accept(client).await {
                                answer(client, shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, asked, registers, task }
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(mut client: impl Stream, (asked, registers): (Arc<AtomicUsize>, Arc<Mutex<Vec<u16>>>)) {
    let mut head = [0; 8];
    while client.read_exact(&mut head).await.is_ok() {
        let mut data = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])) - 2];
        client.read_exact(&mut data).await.unwrap();
        asked.fetch_add(1, Ordering::SeqCst);
        let word = |place: usize| u16::from_be_bytes([data[place], data[place + 1]]);
        let mut pdu = vec![head[7]];
        match head[7] {
            3 => {
                let registers = registers.lock().unwrap();
                pdu.push(2 * word(2) as u8);
                let wanted = word(0) as usize..(word(0) + word(2)) as usize;
                pdu.extend(registers[wanted].iter().flat_map(|it| it.to_be_bytes()));
            }
            6 => {
                registers.lock().unwrap()[word(0) as usize] = word(2);
                pdu.extend_from_slice(&data[..4]);
            }
            // Says nothing: a request that is never answered.
            11 => continue,
            code => pdu = vec![code | 0x80, 1],
        }
        let mut adu = head[..4].to_vec();
        adu.extend((pdu.len() as u16 + 1).to_be_bytes());
        adu.push(head[6]);
        adu.extend(pdu);
        if client.write_all(&adu).await.is_err() {
            return;
        }
    }
}

pub(crate) fn adu(transaction: u16, pdu: &[u8]) -> Vec<u8> {
    let mut adu = transaction.to_be_bytes().to_vec();
    adu.extend_from_slice(&[0, 0, 0, pdu.len() as u8 + 1, 1]);
    adu.extend_from_slice(pdu);
    adu
}

/// The next answer, without its header.
pub(crate) async fn told(client: &mut impl Stream) -> (u16, Vec<u8>) {
    let mut head = [0; 7];
    timeout(Duration::from_secs(5), client.read_exact(&mut head))
        .await
        .expect("an answer")
        .expect("a whole one");
    let mut pdu = vec![0; usize::from(u16::from_be_bytes([head[4], head[5]])) - 1];
    client.read_exact(&mut pdu).await.unwrap();
    (u16::from_be_bytes([head[0], head[1]]), pdu)
}

pub(crate) async fn ask(client: &mut impl Stream, pdu: &[u8]) -> Vec<u8> {
    client.write_all(&adu(1, pdu)).await.unwrap();
    told(client).await.1
}

pub(crate) async fn is_closed(client: &mut impl Stream) -> bool {
    let mut rest = [0; 64];
    matches!(timeout(Duration::from_secs(5), client.read(&mut rest)).await, Ok(Ok(0) | Err(_)))
}

/// One HTTP request on a connection of its own: status and body.
pub(crate) async fn http(
    to: SocketAddr,
    method: &str,
    path: &str,
    secret: Option<&str>,
    body: &str,
) -> (u16, String) {
    let bearer = secret.map_or(String::new(), |it| format!("Authorization: Bearer {it}\r\n"));
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\n{bearer}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let status = answer.split(' ').nth(1).map_or(0, |it| it.parse().unwrap());
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |it| it.1.to_owned()))
}
