//! What a framework, a spawned task and a struct of somebody else's need of our types.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;

use axum::body::Body;
use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::tower::{ResponseBody, ResponseFuture, VerifiedBody, WebhookService};
use scrapest_webhook::{
    ConfigError, Delivery, EventError, MemoryStore, Rejection, RejectionKind,
    ScrapeBadgerWebhookLayer, ScrapestWebhookLayer, Secret, UnknownEvent, scrapebadger, scrapest,
    store,
};

fn shared<T: Send + Sync + Unpin + Clone + Debug + 'static>() {}
fn owned<T: Send + Sync + Unpin + Debug + 'static>() {}
fn in_a_task<T: Send + Unpin + Debug + 'static>() {}
fn error<T: Error + Send + Sync + Unpin + 'static>() {}

#[test]
fn the_public_types_can_be_shared_sent_and_kept() {
    shared::<ScrapestWebhookLayer>();
    shared::<ScrapeBadgerWebhookLayer>();
    shared::<WebhookService<(), Scrapest>>();
    shared::<MemoryStore>();
    shared::<Delivery>();
    shared::<scrapest::Event>();
    shared::<scrapebadger::Event>();
    shared::<UnknownEvent>();
    shared::<Rejection>();
    shared::<RejectionKind>();
    shared::<store::Key>();
    shared::<store::Fence>();
    owned::<Secret>();
    owned::<VerifiedBody>();
    in_a_task::<ResponseFuture<Body, Infallible>>();
    in_a_task::<ResponseBody<Body>>();
    error::<ConfigError>();
    error::<EventError>();
    error::<store::StoreError>();
}
