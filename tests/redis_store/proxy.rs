//! Between a store and its server, to do to their connections what networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Default, PartialEq)]
struct Weather {
    /// What each answer waits; what is asked does not.
    delay: Duration,
    /// Answers go nowhere.
    swallow: bool,
    /// Raised to reset every connection there is.
    resets: u32,
}

/// A proxy on the loopback interface.
pub struct Proxy {
    pub address: SocketAddr,
    weather: Arc<watch::Sender<Weather>>,
}

impl Proxy {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let weather = Arc::new(watch::Sender::new(Weather::default()));
        let changes = Arc::clone(&weather);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                    tokio::spawn(relay(client, server, changes.subscribe()));
                }
            }
        });
        Self { address, weather }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Delays the reply path only.
    pub fn delay_replies(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// The server does as it is told, and nobody hears of it.
    pub fn swallow_replies(&self, swallow: bool) {
        self.weather.send_modify(|weather| weather.swallow = swallow);
    }

    pub fn reset(&self) {
        self.weather.send_modify(|weather| weather.resets += 1);
    }
}

async fn relay(client: TcpStream, server: TcpStream, mut changes: watch::Receiver<Weather>) {
    let resets = changes.borrow().resets;
    let weather = changes.clone();
    // So that closing is a reset, not an orderly end.
    client.set_zero_linger().unwrap();
    let (mut client_reads, mut client_writes) = client.into_split();
    let (mut server_reads, mut server_writes) = server.into_split();
    let asks = tokio::io::copy(&mut client_reads, &mut server_writes);
    let answers = async {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = server_reads.read(&mut bytes).await {
            let Weather { delay, swallow, .. } = *weather.borrow();
            tokio::time::sleep(delay).await;
            if !swallow && client_writes.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = asks => {}
        () = answers => {}
        _ = changes.wait_for(|weather| weather.resets != resets) => {}
    }
}
