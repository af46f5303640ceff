//! An allocator that looks into every block before it is given back. Only its tests are of use.

#![cfg(test)]

mod spy;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use axum::routing::post;
use scrapest_webhook::testing::{self, SignedRequest};
use scrapest_webhook::{Delivery, ScrapestWebhookLayer, Secret, Secrets, TokenIn, Webhook};
use tower::ServiceExt;

use self::spy::{Spy, looking_for};

#[global_allocator]
static SPY: Spy = Spy;

const ONE: &str = "whsec_canary_7b1d5f0c93aa4e21_one";
const TWO: &str = "whsec_canary_d25c8b6f41e09a73_two";
const BOTH: [&str; 2] = [ONE, TWO];

/// What this leaves behind in memory that was given back.
fn left_by(act: impl AsyncFnOnce()) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    looking_for(&BOTH, || {
        runtime.block_on(act());
        drop(runtime);
    })
}

/// Not to be called while this thread looks: the sender's side keeps its secret as it likes.
fn signed(secret: &str) -> SignedRequest {
    testing::scrapest(secret).sign()
}

fn app(layer: ScrapestWebhookLayer) -> Router {
    Router::new().route("/", post(async |_: Delivery| ()).route_layer(layer))
}

async fn status(app: &Router, request: SignedRequest) -> u16 {
    let response = app.clone().oneshot(request.into_http::<Body>("/")).await.unwrap();
    response.status().as_u16()
}

#[test]
fn the_spy_sees_a_secret_and_a_key_state_that_are_given_back() {
    assert_eq!(looking_for(&BOTH, || drop(ONE.to_owned())), 1);
    for state in spy::states_of(ONE) {
        assert_eq!(looking_for(&BOTH, || drop(Box::new(state))), 1);
    }
    assert_eq!(looking_for(&BOTH, || drop(ONE[..10].repeat(9))), 0);
}

#[test]
fn a_layer_leaves_nothing_behind() {
    let requests = [signed(ONE), signed(ONE), signed(TWO)];
    assert_eq!(
        left_by(async || {
            let layer = ScrapestWebhookLayer::new(Secret::from(ONE));
            let app = app(layer.clone().with_body_limit(100_000));
            let mut answers = Vec::new();
            for request in requests {
                answers.push(status(&app, request).await);
            }
            assert_eq!(answers, [200, 200, 401]);
            // A setting after a clone copies the receiver.
            drop((layer.with_lease(Duration::from_secs(20)), app));
        }),
        0
    );
}

#[test]
fn secrets_that_are_replaced_while_a_clone_of_the_layer_lives_leave_nothing_behind() {
    let requests = [signed(ONE), signed(TWO), signed(ONE)];
    let (slow, answer) = (signed(ONE), Arc::new(Mutex::new(None)));
    let told = Arc::clone(&answer);
    assert_eq!(
        left_by(async move || {
            let secrets = Secrets::new([ONE]).unwrap();
            let layer = ScrapestWebhookLayer::from_secrets(secrets.clone());
            let clone = layer.clone();
            let app = app(layer);
            let [first, second, third] = requests;
            assert_eq!(status(&app, first).await, 200);
            // One that is verified only after the exchange keeps the old set until then.
            let (begun, body) = slow.into_http::<Body>("/").into_parts();
            let late = async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                axum::body::to_bytes(body, usize::MAX).await
            };
            let late = Body::from_stream(futures(late));
            let waiting = tokio::spawn(app.clone().oneshot(Request::from_parts(begun, late)));
            tokio::task::yield_now().await;
            secrets.replace([TWO, ONE]).unwrap();
            assert_eq!(status(&app, second).await, 200);
            *told.lock().unwrap() = Some(waiting.await.unwrap().unwrap().status().as_u16());
            secrets.replace([TWO]).unwrap();
            assert_eq!(status(&app, third).await, 401);
            drop((clone, secrets, app));
        }),
        0
    );
    assert_eq!(*answer.lock().unwrap(), Some(200));
}

fn futures<E>(
    late: impl Future<Output = Result<Bytes, E>>,
) -> impl futures_util::Stream<Item = Result<Bytes, E>> {
    futures_util::stream::once(late)
}

#[test]
fn secrets_from_a_file_by_webhook_and_as_tokens_leave_nothing_behind() {
    let file = std::env::temp_dir().join(format!("webhook-freed-{}", std::process::id()));
    std::fs::write(&file, format!("{ONE}\n{TWO}\n")).unwrap();
    let requests = [signed(ONE), signed(TWO)];
    let left = left_by(async || {
        let (secrets, watch) = Secrets::from_watched_file(&file, Duration::from_secs(60)).unwrap();
        let webhook = Webhook::new("one", secrets.clone());
        let layer = ScrapestWebhookLayer::for_webhooks(move |_| Some(webhook.clone()));
        let app = app(layer);
        for request in requests {
            assert_eq!(status(&app, request).await, 200);
        }
        let place = TokenIn::header("x-token");
        let tokens = ScrapestWebhookLayer::insecure_with_token(place, ONE).unwrap();
        // Refused: the second has the label of the first.
        let labelled = || Secret::from(ONE).with_label("one");
        drop((watch, app, tokens, Secrets::new([labelled(), labelled()]).unwrap_err()));
    });
    std::fs::remove_file(&file).unwrap();
    assert_eq!(left, 0);
}
