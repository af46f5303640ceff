//! Our types have the auto traits that frameworks, spawned tasks and other structs require.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;

use axum::body::Body;
use scrapest_webhook::scrapest::Scrapest;
use scrapest_webhook::service::{ResponseBody, ResponseFuture, VerifiedBody, WebhookService};
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

/// Glob imports of the crate and of tower side by side: no name hides another.
mod side_by_side {
    #[allow(unused_imports, reason = "the test is that both can be imported")]
    use scrapest_webhook::*;
    use tower::ServiceExt as _;

    #[test]
    fn a_glob_import_does_not_conflict_with_tower() {
        let layer: ScrapestWebhookLayer = WebhookLayer::new("a-secret-of-some-24-bytes");
        let mut service = tower::Layer::layer(&layer, 5);
        assert_eq!((*service.get_ref(), *service.get_mut()), (5, 5));
        assert_eq!(service.into_inner(), 5);
        drop(tower::service_fn(|_: ()| async { Ok::<_, ()>(()) }).oneshot(()));
    }
}
