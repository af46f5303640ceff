//! Promise 4: after a crash between your handler's effect and our record, the handler runs again. Make the
//! effect idempotent: `Delivery` has the key and the fence.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use scrapest_webhook::store::{DeliveryStore, Owner};
use support::scripted::{Fault, ScriptedStore, Verb};
use support::{Framework, Handler, InProcess, eventually, genuine, layer};
use tokio::time::{Instant, sleep};

use super::millis;

const AT_ONCE: Duration = Duration::from_secs(9);

async fn the_handler_runs_again_after_a_crash_between_effect_and_record<F: Framework>() {
    // The effect happens, and the process ends while the store does not answer its record.
    let store = ScriptedStore::new(|call| match call.verb {
        Verb::Complete => Fault::Hang,
        _ => Fault::None,
    });
    let shared = store.real().clone();
    let request = genuine().sign();
    let (lease, sent) = (millis(600), request.clone());
    let crashed = Handler::ok();
    let effect = crashed.clone();
    std::thread::spawn(move || {
        let process = tokio::runtime::Runtime::new().unwrap();
        process.block_on(async {
            let layer = layer().with_store(store.clone()).with_lease(lease);
            tokio::spawn(InProcess::new(&layer, effect).ask(&sent));
            eventually("a completion is sent", || !store.calls_of(Verb::Complete).is_empty()).await;
        });
        process.shutdown_timeout(Duration::from_secs(1));
    })
    .join()
    .unwrap();
    assert_eq!(crashed.ended(), 1);

    // An effect that is stored under the delivery's key happens once, and the fence shows the order of the attempts.
    let effects = Arc::new(Mutex::new(vec![]));
    let filed = Arc::clone(&effects);
    let handler = Handler::new(move |delivery, _| {
        filed.lock().unwrap().push((delivery.key(), delivery.fence(), delivery.attempt()));
        async { 200 }
    });
    let server = F::serve(layer().with_store(shared).with_lease(lease), handler.clone()).await;
    let began = Instant::now();
    assert_eq!(server.send(&request).await.status, 200);
    assert!(began.elapsed() < AT_ONCE);
    let first = &crashed.deliveries()[0];
    let effects = effects.lock().unwrap();
    let [(key, fence, attempt)] = effects[..] else { panic!("{effects:?}") };
    assert_eq!((key, attempt), (first.key(), 2));
    assert!(fence > first.fence());
}

async fn a_crash_between_the_two_records_does_not_run_the_handler_again<F: Framework>() {
    // The tag is recorded. The delivery id is not, and stays claimed until its lease ends.
    let store = ScriptedStore::recording();
    let request = genuine().sign();
    InProcess::new(&layer().with_store(store.clone()), Handler::new(|_, _| async { 500 }))
        .send(&request)
        .await;
    let [tag, id] = store.keys()[..] else { panic!("two keys") };
    let (owner, shared) = (Owner::random(), store.real().clone());
    let claim = shared.claim(&tag, owner, AT_ONCE, AT_ONCE * 100).await.unwrap();
    let scrapest_webhook::store::Claim::Acquired { fence, .. } = claim else { panic!("{claim:?}") };
    shared.claim(&id, owner, millis(200), AT_ONCE * 100).await.unwrap();
    shared.complete(&tag, owner, fence, AT_ONCE * 100).await.unwrap();

    let handler = Handler::ok();
    let server = F::serve(layer().with_store(shared), handler.clone()).await;
    assert_eq!(server.send(&request).await.status, 200);
    sleep(millis(300)).await;
    assert_eq!(server.send(&request).await.status, 200);
    assert_eq!(handler.runs(), 0);
}

support::for_each_framework! {
    the_handler_runs_again_after_a_crash_between_effect_and_record,
    a_crash_between_the_two_records_does_not_run_the_handler_again,
}
