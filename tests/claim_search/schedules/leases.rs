//! Tests `is_lease_lost()`: an attempt for which it returned false never overlaps another attempt.
//!
//! Handlers wait, block their thread, fail, panic, hang, and leave work running. Meanwhile other processes
//! claim, the store fails, the machine stalls, runs reach their limit, and layers shut down.

use std::convert::Infallible;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{Request, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{join_all, join3};
use http_body_util::Full;
use rand::RngExt;
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::store::{Claim, Key, Owner};
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, testing};
use tokio::time::{advance, sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};

use super::world::World;
use super::{SECRET, answer, jumps};

const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(86_400);

/// The results of `is_lease_lost()` over all schedules.
#[derive(Default)]
struct Told {
    held: usize,
    lost: usize,
    /// The part of `lost` whose delivery another attempt had claimed by then.
    taken: usize,
}

#[tokio::test(start_paused = true)]
async fn no_attempt_overlaps_one_that_is_told_it_holds_its_lease() {
    let schedules: u64 =
        std::env::var("CLAIM_SCHEDULES").map_or(2_000, |text| text.parse().unwrap());
    let mut told = Told::default();
    for seed in 0..schedules {
        let schedule = Schedule { world: World::new(seed, None), told: Arc::default() };
        schedule.run().await;
        assert_eq!(schedule.world.with(|world| world.broken), None, "schedule {seed}");
        let of_this = schedule.told.lock().unwrap();
        told.held += of_this.held;
        told.lost += of_this.lost;
        told.taken += of_this.taken;
    }
    let Told { held, lost, taken } = told;
    println!("{held} held, {lost} lost, {taken} of them taken over, {schedules} schedules");
    let enough = usize::try_from(schedules).unwrap();
    assert!(held > enough && lost > enough && taken > enough / 4, "the dice are fair");
}

#[derive(Clone)]
struct Schedule {
    world: World,
    told: Arc<Mutex<Told>>,
}

impl Schedule {
    /// Retries and replays of one event, at two processes that share the store; one of them shuts down.
    async fn run(&self) {
        let world = &self.world;
        let limit = |layer: ScrapestWebhookLayer| layer.with_run_limit(self.seconds(5.0, 40.0));
        let layers = [limit(self.layer()), limit(self.layer())];
        let signed =
            testing::scrapest(SECRET).with_time(World::time(0)).with_delivery_id("genuine");
        let signed = signed.sign();
        let requests = (0..6).map(|nth| {
            let layer = &layers[world.with(|world| world.dice.random_range(0..2))];
            let request = match nth {
                0..4 => signed.clone(),
                _ => signed.clone().with_header(super::ID, format!("replay {nth}")),
            };
            let (begins, patience) = (world.seconds(60.0), world.seconds(20.0));
            let sent = self.receiver(layer).oneshot(request.into_http::<Full<Bytes>>("/"));
            async move {
                sleep(begins).await;
                // A client that disconnects drops the future; the run continues.
                _ = timeout(patience, sent).await;
            }
        });
        let shutdown = async {
            sleep(world.seconds(90.0)).await;
            layers[0].shutdown(world.seconds(10.0)).await;
        };
        join3(join_all(requests), jumps(world), shutdown).await;
        world.with(|world| world.healthy = true);
        // The remaining work ends.
        sleep(Duration::from_secs(200)).await;
    }

    fn layer(&self) -> ScrapestWebhookLayer {
        let clock = self.world.clone();
        let layer = ScrapestWebhookLayer::new(SECRET).with_store(self.world.clone());
        layer.with_clock(move || clock.clock())
    }

    fn receiver(
        &self,
        layer: &ScrapestWebhookLayer,
    ) -> impl tower::Service<Request<Full<Bytes>>, Error = Infallible, Future: Send> + use<> {
        let schedule = self.clone();
        layer.layer(service_fn(move |request: Request<VerifiedBody>| {
            let delivery = request.extensions().get::<Delivery>().unwrap().clone();
            let status = schedule.clone().handle(delivery);
            async { Ok::<Response<_>, Infallible>(answer(status.await)) }
        }))
    }

    async fn handle(self, delivery: Delivery) -> u16 {
        if self.one_in(3) {
            // Like `spawn_blocking`, it outlives its run.
            tokio::spawn(self.clone().work(delivery.clone()));
        }
        self.clone().work(delivery).await;
        match self.world.with(|world| world.dice.random_range(0..10)) {
            0..3 => 500,
            3 => resume_unwind(Box::new("as the dice say")),
            4 => std::future::pending().await,
            _ => 200,
        }
    }

    async fn work(self, delivery: Delivery) {
        for _ in 0..self.world.with(|world| world.dice.random_range(1..6)) {
            match self.one_in(3) {
                true => self.block(&delivery),
                false => sleep(self.world.seconds(12.0)).await,
            }
            self.ask(&delivery);
        }
    }

    /// Time passes while nothing is polled in this process. A retry may arrive at another one.
    fn block(&self, delivery: &Delivery) {
        for _ in 0..3 {
            _ = advance(self.world.seconds(8.0)).now_or_never();
            if self.one_in(2) {
                self.another_process_claims(delivery);
            }
            self.ask(delivery);
        }
    }

    fn another_process_claims(&self, delivery: &Delivery) {
        let heir = Owner::random();
        let keys = self.keys(self.owner(delivery));
        self.world.with(|world| {
            let mut claims = keys.iter().map(|key| world.claim(key, heir, LEASE, KEEP).unwrap());
            let is_its = claims.all(|claim| matches!(claim, Claim::Acquired { .. }));
            drop(claims);
            // The other process may fail at once, and then more may run.
            if !is_its || world.dice.random_ratio(1, 2) {
                keys.iter().for_each(|key| _ = world.release(key, heir).unwrap());
            }
        });
    }

    /// Asks just before the effect.
    fn ask(&self, delivery: &Delivery) {
        let is_lost = delivery.is_lease_lost();
        let owner = self.owner(delivery);
        let keys = self.keys(owner);
        let is_taken = self.world.with(|world| keys.iter().any(|key| world.holder[key] != owner));
        if is_taken && !is_lost {
            self.world.with(|world| world.broken = Some("told that it holds what another claimed"));
        }
        let mut told = self.told.lock().unwrap();
        told.held += usize::from(!is_lost);
        told.lost += usize::from(is_lost);
        told.taken += usize::from(is_taken);
    }

    fn owner(&self, delivery: &Delivery) -> Owner {
        self.world.with(|world| world.owners[&(delivery.key(), delivery.fence())])
    }

    fn keys(&self, owner: Owner) -> Vec<Key> {
        self.world.with(|world| {
            let its = world.claimed.iter().filter(|(by, _)| *by == owner);
            its.map(|(_, key)| *key).collect()
        })
    }

    fn one_in(&self, many: u32) -> bool {
        self.world.with(|world| world.dice.random_ratio(1, many))
    }

    fn seconds(&self, least: f64, most: f64) -> Duration {
        Duration::from_secs_f64(least) + self.world.seconds(most - least)
    }
}
