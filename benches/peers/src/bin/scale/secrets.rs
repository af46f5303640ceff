//! Measures the number of secrets. Four is the maximum, so there is no curve. Each additional secret costs an
//! HMAC and a record.

use std::rc::Rc;

use axum::Router;
use futures_util::FutureExt;
use peers::cpu::Cpu;
use peers::{Contender, SECRET, all, key_of_one_webhook};
use scrapest_webhook::store::{Claims, DeliveryStore, Fence, Key, Owner, Settlement};
use scrapest_webhook::{ScrapeBadgerWebhookLayer, Secrets};

use crate::records::{KEEP, LEASE};
use crate::{contender, measure as cpu, route, store};

/// Records per store. Each store is soon full.
const RECORDS: usize = 10_000;

pub(crate) fn measure() -> impl Iterator<Item = (&'static str, Cpu)> {
    let all_secrets = [SECRET, "whsec_of_the_month_before", "whsec_of_the_month_before_that"];
    let layers = [1, 2, 3].map(|count| {
        let secrets = Secrets::new(all_secrets.into_iter().take(count)).unwrap();
        ScrapeBadgerWebhookLayer::from_secrets(secrets).with_store(store(RECORDS))
    });
    let behind = |layer| contender(Router::new().route("/", route(Some(layer))));
    let mut contenders = Vec::from_iter(layers.map(behind));
    contenders.extend(all().into_iter().filter(|contender| contender.name == "the HMAC alone"));
    contenders.extend([records::<2>(), records::<4>()]);
    // The first round fills the stores.
    cpu(&contenders);
    let names =
        ["1 secret", "2 secrets", "3 secrets", "the HMAC alone", "two records", "four records"];
    names.into_iter().zip(cpu(&contenders))
}

/// Claims and completes `KEYS` fresh keys together in a full store. A delivery has two keys with one secret,
/// and four with three.
fn records<const KEYS: usize>() -> Contender {
    let store = Rc::new(store(RECORDS));
    Contender::new("records", move |deliveries, _| {
        let store = Rc::clone(&store);
        let deliveries =
            Vec::from_iter((0..deliveries).map(|_| {
                std::array::from_fn::<_, KEYS, _>(|_| Key::from_bytes(key_of_one_webhook()))
            }));
        Box::new(move || {
            for keys in deliveries {
                let (mut keys, owner) = (keys.map(|key| (key, Fence::new(0))), Owner::random());
                let claims = store.claim_all(&mut keys, owner, LEASE, KEEP).now_or_never();
                assert!(matches!(claims, Some(Ok(Claims::Acquired { .. }))), "{claims:?}");
                let how = Settlement::Complete { keep: KEEP };
                store.settle_all(&keys, owner, how).now_or_never().unwrap().unwrap();
            }
        })
    })
}
