//! What a full store says. Alone in its file: what one test logs depends on who else is listening.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scrapest_webhook::store::{DeliveryStore, Fence, Key, MemoryStore, Owner};

const KEEP: Duration = Duration::from_secs(4_200);

#[tokio::test(flavor = "current_thread")]
async fn a_full_store_warns_at_the_first_loss_and_whenever_the_losses_have_doubled() {
    let log: Arc<Mutex<Vec<u8>>> = Arc::default();
    let writer = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || Log(Arc::clone(&writer)))
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let store = MemoryStore::with_capacity(NonZeroUsize::MIN);
    for number in 0..1_002 {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&u64::to_be_bytes(number));
        let (key, owner) = (Key::from_bytes(key), Owner::random());
        store.complete(&key, owner, Fence::new(1), KEEP).await.unwrap();
    }
    assert_eq!(store.evicted(), 1_000);
    let log = String::from_utf8(std::mem::take(&mut *log.lock().unwrap())).unwrap();
    let counts: Vec<_> = log
        .lines()
        .inspect(|line| assert!(line.contains("raise MemoryStore::with_capacity"), "{line}"))
        .filter_map(|line| line.split("evicted=").nth(1)?.split(' ').next())
        .collect();
    let doublings = ["1", "2", "4", "8", "16", "32", "64", "128", "256", "512"];
    assert_eq!(counts, doublings);
}

struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
