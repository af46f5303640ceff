//! Runs the code itself through random schedules of requests, handlers, clients, clocks and store faults.
//!
//! Time is paused, so that minutes pass at once; it also jumps, as for a process that was stopped. Set
//! `CLAIM_SCHEDULES=100000` for more schedules.

mod leases;
mod world;

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{Request, Response};
use bytes::Bytes;
use futures_util::future::{join, join_all};
use http_body_util::Full;
use rand::RngExt;
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::testing::SignedRequest;
use scrapest_webhook::{DedupBy, Delivery, ScrapestWebhookLayer, testing};
use tokio::time::{advance, sleep, timeout};
use tower::util::BoxCloneService;
use tower::{Layer, ServiceExt, service_fn};

use self::world::World;
use crate::model::Defect::{self, *};

const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";
const ID: &str = "x-scrapest-delivery-id";

#[tokio::test(start_paused = true)]
async fn random_schedules_of_the_code_keep_all_promises() {
    let schedules: usize =
        std::env::var("CLAIM_SCHEDULES").map_or(2_000, |text| text.parse().unwrap());
    let (mut runs, mut successes) = (0, 0);
    for seed in 0..schedules {
        let world = World::new(u64::try_from(seed).unwrap(), None);
        one(&world).await;
        assert_eq!(world.with(|world| world.broken), None, "schedule {seed}");
        runs += world.runs();
        successes += world.with(|world| world.successes);
    }
    println!("{runs} runs, {successes} successes, {schedules} schedules");
    assert!(runs > schedules && successes > schedules, "the dice are fair");
}

/// Otherwise the tests above might pass because no defect would be noticed.
#[tokio::test(start_paused = true)]
async fn random_schedules_find_each_seeded_defect() {
    for defect in [
        SuccessWhileInProgress,
        UnfencedRelease,
        CompareAndSetComplete,
        EarlyAcknowledgement,
        IdOnlyKey,
        EvictionInProgress,
        RetentionOfThePastTolerance,
        CallersClock,
    ] {
        let mut seed = 0;
        let broken = loop {
            assert!(seed < 2_000, "{defect:?} is not found");
            let world = World::new(seed, Some(defect));
            one(&world).await;
            if let Some(broken) = world.with(|world| world.broken) {
                break broken;
            }
            seed += 1;
        };
        println!("{defect:?}: {broken}, in schedule {seed}");
    }
}

type Receiver = BoxCloneService<Request<Full<Bytes>>, u16, Infallible>;

fn receiver(world: &World, layer: &ScrapestWebhookLayer) -> Receiver {
    let acting = world.clone();
    let handler = service_fn(move |request: Request<VerifiedBody>| {
        let delivery = request.extensions().get::<Delivery>().unwrap().clone();
        let run = acting.clone().run(delivery);
        async { Ok::<_, Infallible>(answer(run.await)) }
    });
    let receiver = ServiceExt::<Request<Full<Bytes>>>::map_response(
        layer.layer(handler),
        |answer: Response<_>| answer.status().as_u16(),
    );
    if world.with(|world| world.defect) != Some(EarlyAcknowledgement) {
        return BoxCloneService::new(receiver);
    }
    BoxCloneService::new(service_fn(move |request| {
        tokio::spawn(receiver.clone().oneshot(request));
        async { Ok(200) }
    }))
}

fn answer(status: u16) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::default()).unwrap()
}

fn layer(world: &World) -> ScrapestWebhookLayer {
    let clock = world.clone();
    let layer = ScrapestWebhookLayer::new(SECRET)
        .with_store(world.clone())
        .with_clock(move || clock.clock());
    match world.with(|world| world.defect) {
        Some(Defect::IdOnlyKey) => layer.with_dedup_by(DedupBy::DeliveryId),
        _ => layer,
    }
}

/// One event: its delivery, its retries, and replays under other ids, within a minute and shortly before it is
/// stale.
async fn one(world: &World) {
    let layer = layer(world);
    let receiver = receiver(world, &layer);
    // The sender's clock is inaccurate too.
    let dated = World::time(world.with(|world| world.dice.random_range(-200..=200)));
    let signed = testing::scrapest(SECRET).with_time(dated).with_delivery_id("genuine").sign();
    let send = async |request: &SignedRequest, patience| {
        let answer = receiver.clone().oneshot(request.clone().into_http::<Full<Bytes>>("/"));
        let status = timeout(patience, answer).await.ok()?.unwrap();
        world.with(|world| {
            if (200..300).contains(&status) && world.successes == 0 {
                world.broken = Some("a 2xx without an effect");
            }
        });
        Some(status)
    };
    let replay = |nth| signed.clone().with_header(ID, format!("replay {nth}"));
    let requests = (0..6).map(|nth| {
        let request = if nth < 4 { signed.clone() } else { replay(nth) };
        let (begins, patience) = (world.seconds(40.0), world.seconds(20.0));
        async move {
            sleep(begins).await;
            send(&request, patience).await
        }
    });
    join(join_all(requests), jumps(world)).await;

    // The store is healthy again, and everything that still runs ends.
    world.with(|world| (world.healthy, world.clock_error) = (true, 0));
    assert!(layer.drain(Duration::from_secs(300)).await);
    sleep(Duration::from_secs(16)).await;
    let last = send(&signed, Duration::from_secs(10)).await;
    world.with(|world| {
        if world.broken.is_none() && (last != Some(200) || world.successes == 0) {
            world.broken = Some("the sender's next retry does not succeed");
        }
    });

    // A captured request is useless until it is stale, even by a clock that is a minute off.
    for nth in 6..10 {
        let at = World::time(3_300 + 200 * (nth - 6)) + world.seconds(200.0);
        let error = world.with(|world| world.dice.random_range(-60..=60));
        world.with(|world| world.clock_error = 0);
        sleep(at.duration_since(world.clock()).unwrap_or_default()).await;
        world.with(|world| world.clock_error = error);
        send(&replay(nth), Duration::from_secs(10)).await;
    }
}

/// Stops the process for a while, and sets the machine's clock.
async fn jumps(world: &World) {
    for _ in 0..world.with(|world| world.dice.random_range(0..4)) {
        sleep(world.seconds(20.0)).await;
        match world.with(|world| world.dice.random_range(0..3)) {
            0 => advance(world.seconds(30.0)).await,
            1 => world.with(|world| world.clock_error = world.dice.random_range(-60..=60)),
            _ => {
                world.with(|world| world.clock_error = world.dice.random_range(-7_200..=7_200));
                sleep(world.seconds(5.0)).await;
                world.with(|world| world.clock_error = 0);
            }
        }
    }
}
