//! A proxy that can delay, break and swallow replies.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Changes the bytes of one read.
type Change = fn(&[u8]) -> Vec<u8>;

#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    to: Arc<AtomicU16>,
    delay: Arc<AtomicU64>,
    silent: Arc<AtomicBool>,
    changed: Arc<OnceLock<Change>>,
    resets: Arc<watch::Sender<()>>,
}

impl Proxy {
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self {
            port,
            to: Arc::new(AtomicU16::new(to)),
            delay: Arc::default(),
            silent: Arc::default(),
            changed: Arc::default(),
            resets: Arc::new(watch::Sender::new(())),
        };
        let this = proxy.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let to = SocketAddr::from(([127, 0, 0, 1], this.to.load(Ordering::SeqCst)));
                let server = TcpStream::connect(to).await;
                // A server that is down refuses the connection.
                let Ok(server) = server else { continue };
                this.clone().join(client, server);
            }
        });
        proxy
    }

    /// Sends new connections to another server, like an address after a failover. Open connections stay.
    pub fn lead_to(&self, port: u16) {
        self.to.store(port, Ordering::SeqCst);
    }

    /// Delays only the replies from now on.
    pub fn delay_replies(&self, delay: Duration) {
        self.delay.store(delay.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// Drops replies, like a network that loses packets.
    pub fn swallow_replies(&self, silent: bool) {
        self.silent.store(silent, Ordering::SeqCst);
    }

    /// Changes the server's replies from now on, one read at a time.
    pub fn change_replies(&self, change: Change) {
        assert!(self.changed.set(change).is_ok(), "they are changed already");
    }

    /// Resets all connections.
    pub fn reset(&self) {
        self.resets.send_replace(());
    }

    fn join(self, client: TcpStream, server: TcpStream) {
        let mut resets = self.resets.subscribe();
        // Without lingering, closing a connection resets it.
        client.set_zero_linger().unwrap();
        server.set_nodelay(true).unwrap();
        client.set_nodelay(true).unwrap();
        let ((from_client, to_client), (from_server, to_server)) =
            (client.into_split(), server.into_split());
        tokio::spawn(async move {
            tokio::select! {
                () = pass_on(from_client, to_server) => {}
                () = self.pass_back(from_server, to_client) => {}
                _ = resets.changed() => {}
            }
        });
    }

    async fn pass_back(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let writer = async {
            while let Some((due, bytes)) = queued.recv().await {
                sleep_until(due).await;
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        };
        let reader = async {
            let mut bytes = vec![0; 65_536];
            while let Ok(count @ 1..) = from.read(&mut bytes).await {
                let delay = Duration::from_millis(self.delay.load(Ordering::SeqCst));
                if !self.silent.load(Ordering::SeqCst) {
                    let change = self.changed.get().copied().unwrap_or(<[u8]>::to_vec);
                    let _ = queue.send((Instant::now() + delay, change(&bytes[..count])));
                }
            }
        };
        tokio::select! { () = reader => {}, () = writer => {} }
    }
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}
