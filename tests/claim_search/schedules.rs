//! The code itself, through random schedules: requests, handlers, clients and a store that do as the dice say.
//!
//! Time is paused, so that minutes take none. `CLAIM_SCHEDULES=100000` asks for more of them.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Full;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use scrapest_webhook::store::{
    Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled, StoreError,
};
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::tower::VerifiedBody;
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, testing};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt};

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

#[derive(Clone)]
struct World(Arc<Mutex<Inner>>);

struct Inner {
    dice: StdRng,
    healthy: bool,
    store: MemoryStore,
    /// Until when an owner surely holds a key.
    held: HashMap<(Owner, Key), Instant>,
    owners: HashMap<(Key, Fence), Owner>,
    /// Who claimed a key after a success had been recorded. Others may have taken over from its zombie.
    belated: HashSet<Owner>,
    recorded: bool,
    runs: Vec<Run>,
    successes: usize,
    broken: Option<&'static str>,
}

struct Run {
    owner: Owner,
    over: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            dice: StdRng::seed_from_u64(seed),
            healthy: false,
            store: MemoryStore::new(),
            held: HashMap::new(),
            owners: HashMap::new(),
            belated: HashSet::new(),
            recorded: false,
            runs: Vec::new(),
            successes: 0,
            broken: None,
        })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    fn seconds(&self, most: f64) -> Duration {
        Duration::from_secs_f64(self.with(|world| world.dice.random_range(0.0..most)))
    }

    /// Does `verb` now, later, or never, and says so, or not.
    async fn faulty<T>(
        &self,
        verb: impl FnOnce(&mut Inner) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let dice =
            self.with(|world| if world.healthy { 0 } else { world.dice.random_range(0..100) });
        match dice {
            70..85 => sleep(self.seconds(3.0)).await,
            85..88 => return Err(StoreError::new("nothing was done")),
            88..90 => pending().await,
            _ => {}
        }
        let answer = self.with(verb);
        match dice {
            90..94 => Err(StoreError::new("it was done")),
            94..96 => pending().await,
            96..100 => {
                sleep(self.seconds(3.0)).await;
                answer
            }
            _ => answer,
        }
    }

    /// The handler of whatever is delivered.
    async fn run(self, delivery: Delivery) -> u16 {
        let nth = self.with(|world| {
            let owner = world.owners[&(delivery.key(), delivery.fence())];
            let holds = |world: &Inner, owner| {
                let mut keys = world.held.iter().filter(|((holder, _), _)| *holder == owner);
                keys.all(|(_, until)| *until > Instant::now())
            };
            let other = |run: &Run| !run.over && holds(world, run.owner);
            if holds(world, owner) && world.runs.iter().any(other) {
                world.broken = Some("two runs at a time, both under their leases");
            }
            if world.belated.contains(&owner) {
                world.broken = Some("a run that began after a recorded success");
            }
            world.runs.push(Run { owner, over: false });
            world.runs.len() - 1
        });
        let time = self.seconds(if self.with(|world| world.healthy) { 0.1 } else { 25.0 });
        sleep(time).await;
        let status = self.with(|world| {
            world.runs[nth].over = true;
            match world.dice.random_range(0..10) {
                _ if world.healthy => {}
                0..3 => return 500,
                3 => return 0,
                _ => {}
            }
            world.successes += 1;
            200
        });
        if status == 0 {
            resume_unwind(Box::new("as the dice say"));
        }
        status
    }
}

impl Inner {
    fn claimed(&mut self, key: &Key, owner: Owner, claim: Claim, lease: Duration) -> Claim {
        if let Claim::Acquired { fence, .. } = claim {
            let known = self.held.keys().any(|(holder, _)| *holder == owner);
            if self.recorded && !known {
                self.belated.insert(owner);
            }
            self.held.insert((owner, *key), Instant::now() + lease);
            self.owners.insert((*key, fence), owner);
        }
        claim
    }
}

/// The memory store answers at once.
fn now<T>(answer: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(answer).unwrap()
}

impl DeliveryStore for World {
    async fn claim(
        &self,
        key: &Key,
        owner: Owner,
        lease: Duration,
        keep: Duration,
    ) -> Result<Claim, StoreError> {
        self.faulty(|world| {
            let claim = now(world.store.claim(key, owner, lease, keep))?;
            Ok(world.claimed(key, owner, claim, lease))
        })
        .await
    }

    async fn renew(&self, key: &Key, owner: Owner, lease: Duration) -> Result<Settled, StoreError> {
        self.faulty(|world| {
            let settled = now(world.store.renew(key, owner, lease))?;
            if settled == Settled::Done {
                world.held.insert((owner, *key), Instant::now() + lease);
            }
            Ok(settled)
        })
        .await
    }

    async fn complete(
        &self,
        key: &Key,
        owner: Owner,
        fence: Fence,
        keep: Duration,
    ) -> Result<Settled, StoreError> {
        self.faulty(|world| {
            world.recorded = true;
            now(world.store.complete(key, owner, fence, keep))
        })
        .await
    }

    async fn release(&self, key: &Key, owner: Owner) -> Result<Settled, StoreError> {
        self.faulty(|world| {
            world.held.remove(&(owner, *key));
            now(world.store.release(key, owner))
        })
        .await
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World")
    }
}

#[tokio::test(start_paused = true)]
async fn random_schedules_of_the_code_break_no_promise() {
    let schedules: usize =
        std::env::var("CLAIM_SCHEDULES").map_or(2_000, |text| text.parse().unwrap());
    let (mut runs, mut successes) = (0, 0);
    for seed in 0..schedules {
        let world = World::new(u64::try_from(seed).unwrap());
        one(&world).await;
        world.with(|world| {
            assert_eq!(world.broken, None, "schedule {seed}");
            runs += world.runs.len();
            successes += world.successes;
        });
    }
    println!("{runs} runs, {successes} successes, {schedules} schedules");
    assert!(runs > schedules && successes > schedules, "the dice are fair");
}

/// One event: its delivery, its retries, and replays under other ids, within a minute.
async fn one(world: &World) {
    let layer = ScrapestWebhookLayer::new(SECRET).with_store(world.clone());
    let acting = world.clone();
    let receiver = layer.layer(tower::service_fn(move |request: Request<VerifiedBody>| {
        let delivery = request.extensions().get::<Delivery>().unwrap().clone();
        let run = acting.clone().run(delivery);
        async { Ok::<_, Infallible>(answer(run.await)) }
    }));
    let signed = testing::scrapest(SECRET).with_delivery_id("genuine").sign();
    let send = async |request: &SignedRequest, patience| {
        let answer = receiver.clone().oneshot(request.clone().into_http::<Full<Bytes>>("/"));
        let status = timeout(patience, answer).await.ok()?.unwrap().status().as_u16();
        world.with(|world| {
            if (200..300).contains(&status) && world.successes == 0 {
                world.broken = Some("a 2xx without an effect");
            }
        });
        Some(status)
    };
    let requests = (0..6).map(|nth| {
        let replay = signed.clone().with_header("x-scrapest-delivery-id", format!("replay {nth}"));
        let request = if nth < 4 { signed.clone() } else { replay };
        let (begins, patience) = (world.seconds(40.0), world.seconds(20.0));
        async move {
            sleep(begins).await;
            send(&request, patience).await
        }
    });
    futures_util::future::join_all(requests).await;

    // The store is well again, and everything that still runs comes to its end.
    world.with(|world| world.healthy = true);
    assert!(layer.drain(Duration::from_secs(300)).await);
    sleep(Duration::from_secs(16)).await;
    let last = send(&signed, Duration::from_secs(10)).await;
    let effects = world.with(|world| world.successes);
    assert_eq!((last, effects > 0), (Some(200), true), "the sender's next retry succeeds");
}

fn answer(status: u16) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::default()).unwrap()
}
