//! No block of memory that held a secret, or a key state derived from it, is freed before it is zeroized. This
//! is a separate binary because its allocator applies to the whole process.

use std::fs;
use std::time::Duration;

use scrapest_webhook::testing::{SignedRequest, scrapest};
use scrapest_webhook::{ScrapestWebhookLayer, Secret, Secrets, TokenIn, Webhook};
use sha2::block_api::compress256;
use spy::Piece;
use support::{Folder, Framework, Handler, InProcess, Server, eventually};
use zeroize::zeroize_stack;

#[global_allocator]
static SPY: spy::Spy = spy::Spy;

/// A secret in the forms that may be in memory: itself, its two HMAC blocks, and their SHA-256 states.
struct Canary {
    secret: &'static str,
    pieces: Vec<(String, Piece)>,
}

impl Canary {
    /// `secret` has 32 to 64 bytes and is used by this test only.
    fn new(secret: &'static str) -> Self {
        let canary = Self::watched(secret);
        // The copies on this stack are not made by the crate.
        zeroize_stack::<65_536>();
        canary
    }

    #[inline(never)]
    fn watched(secret: &'static str) -> Self {
        const INITIAL: [u32; 8] = [
            0x6a09_e667,
            0xbb67_ae85,
            0x3c6e_f372,
            0xa54f_f53a,
            0x510e_527f,
            0x9b05_688c,
            0x1f83_d9ab,
            0x5be0_cd19,
        ];
        let mut pieces = Vec::new();
        let mut watch = |what: &str, bytes: &[u8]| {
            for half in bytes[..32].as_chunks().0 {
                pieces.push((what.to_owned(), spy::watch(*half)));
            }
        };
        watch("the secret", secret.as_bytes());
        for (what, pad) in [("the inner key", 0x36), ("the outer key", 0x5c)] {
            let mut block = [0; 64];
            block[..secret.len()].copy_from_slice(secret.as_bytes());
            block.iter_mut().for_each(|byte| *byte ^= pad);
            watch(what, &block);
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            let mut bytes = [0; 32];
            for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
                *to = word.to_ne_bytes();
            }
            watch(&format!("{what}'s state"), &bytes);
        }
        Self { secret, pieces }
    }

    /// A genuine request with a new id.
    fn sign(&self) -> SignedRequest {
        let signed = self.signed();
        zeroize_stack::<65_536>();
        signed
    }

    #[inline(never)]
    fn signed(&self) -> SignedRequest {
        scrapest(self.secret).sign()
    }

    fn is_gone_without_a_trace(&self, after: &str) {
        for (what, piece) in &self.pieces {
            assert_eq!(
                piece.found(),
                0,
                "blocks that were freed with {what} in them, after {after}"
            );
        }
    }
}

/// Sends a genuine request under this secret, and its duplicate.
async fn delivers(server: &Server, canary: &Canary, status: u16) {
    let request = canary.sign();
    for _ in 0..2 {
        assert_eq!(server.send(&request).await.status, status);
    }
}

#[test]
fn the_spy_detects_a_key_that_is_freed_without_erasure() {
    let secret = Canary::new("whsec_freed_as_it_is_5d1c9a0e77b3f264");
    let found = |place: usize| secret.pieces[place].1.found();
    let block = secret.secret.as_bytes().to_vec();
    assert_eq!(found(0), 0);
    drop(block);
    assert_eq!((found(0), found(1)), (1, 1));

    let mut grows = Vec::with_capacity(64);
    grows.extend_from_slice(secret.secret.as_bytes());
    grows.reserve(1_000);
    assert_eq!(found(0), 2);
    grows.fill(0);
    drop(grows);

    // Beside other bytes, and unaligned.
    let mac = secret.secret.bytes().map(|byte| byte ^ 0x36);
    drop([vec![1, 2, 3], mac.collect()].concat());
    assert_eq!((found(0), found(2), found(3)), (2, 2, 2), "the parts, and the whole");
}

async fn secrets_replaced_while_a_clone_lives_are_erased<F: Framework>() {
    // A different name per framework, because their tests run at the same time.
    let name = std::any::type_name::<F>();
    let (old, new, third): (&'static str, &'static str, &'static str) = match name.contains("Actix")
    {
        true => (
            "whsec_actix_old_8c0b5e1f9d7a4236_0001",
            "whsec_actix_new_1a9f3d7c5b2e8064_0002",
            "whsec_actix_3rd_73e0c4a8f1b6d592_0003",
        ),
        false => (
            "whsec_axum_old_e6b1f8024c9d7a35_00001",
            "whsec_axum_new_50d3a7c9e1f4b286_00002",
            "whsec_axum_3rd_9b4e2d60f7c8a135_00003",
        ),
    };
    let [old, new, third] = [old, new, third].map(Canary::new);
    let secrets = Secrets::new([old.secret]).unwrap();
    let layer = ScrapestWebhookLayer::from_secrets(secrets.clone());
    let server = F::serve(layer.clone(), Handler::ok()).await;
    delivers(&server, &old, 200).await;
    delivers(&server, &new, 401).await;

    secrets.replace([new.secret, old.secret]).unwrap();
    delivers(&server, &old, 200).await;
    delivers(&server, &new, 200).await;
    secrets.replace(vec![Secret::from(third.secret), Secret::from(new.secret)]).unwrap();
    delivers(&server, &old, 401).await;
    delivers(&server, &third, 200).await;
    server.shut_down().await;
    drop((server, secrets, layer));
    for canary in [&old, &new, &third] {
        canary.is_gone_without_a_trace("two exchanges and the end of the receiver");
    }
}

support::for_each_framework! {
    secrets_replaced_while_a_clone_lives_are_erased,
}

#[tokio::test]
async fn the_secret_is_erased_if_settings_change_while_a_clone_lives() {
    let canary = Canary::new("whsec_fixed_0f7d3b9e5a1c8246_settings");
    let layer = ScrapestWebhookLayer::new(canary.secret);
    let clone = layer.clone();
    let changed = layer.with_body_limit(10_000).with_namespace("another");
    let service = InProcess::new(&changed, Handler::ok());
    drop((changed, clone));
    assert_eq!(service.status(&canary.sign()).await, 200);
    drop(service);
    canary.is_gone_without_a_trace("the end of the layer, its clone and its service");
}

#[test]
fn refused_secrets_are_erased() {
    let canary = Canary::new("whsec_refused_4e8a2c6f0b9d7135_fifth");
    let secrets = || (0..5).map(|_| Secret::from(canary.secret));
    assert!(Secrets::new(secrets()).is_err(), "five are too many");
    let twice = secrets().take(2).map(|secret| secret.with_label("twice"));
    assert!(Secrets::new(twice).is_err(), "two have one label");
    let good = Secrets::new([canary.secret]).unwrap();
    assert!(good.replace([canary.secret, "short"]).is_err());
    // From a growing vector, and from every type.
    let mut grows = Vec::new();
    for secret in secrets() {
        grows.push(secret.clone());
    }
    drop((
        grows,
        Secret::from(String::from(canary.secret)),
        Secret::from(canary.secret.as_bytes()),
    ));
    drop(good);
    canary.is_gone_without_a_trace("secrets that were refused");
}

#[tokio::test]
async fn secrets_of_a_watched_file_are_erased() {
    const OLD: &str = "whsec_file_old_3c9e1f7a5b0d8624_00001";
    const NEW: &str = "whsec_file_new_a1d5f93e7c0b2846_00002";
    let (old, new) = (Canary::new(OLD), Canary::new(NEW));
    let folder = Folder::new();
    let path = folder.path().join("secret");
    fs::write(&path, old.secret).unwrap();
    drop(Secret::from_file(&path).unwrap());
    let (secrets, watch) = Secrets::from_watched_file(&path, Duration::from_millis(10)).unwrap();
    let watch = tokio::spawn(watch);
    let service =
        InProcess::new(&ScrapestWebhookLayer::from_secrets(secrets.clone()), Handler::ok());
    // Refused while the second line is incomplete, then accepted.
    let half = "short\nwhsec_file_new_a1d5f93e7c0b2846_00002";
    assert!(half.ends_with(NEW));
    for (content, canary) in [(half, &old), (NEW, &new)] {
        fs::write(&path, content).unwrap();
        for tries in 0.. {
            if service.status(&canary.sign()).await == 200 {
                break;
            }
            assert!(tries < 1_000, "the file was not taken over");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    drop((service, secrets));
    eventually("nobody watches the file", || watch.is_finished()).await;
    drop(watch);
    old.is_gone_without_a_trace("another took its place in the file");
    new.is_gone_without_a_trace("the end of the watch");
}

#[tokio::test]
async fn secrets_of_webhooks_and_tokens_are_erased() {
    let (canary, token) = (
        Canary::new("whsec_webhook_6b2f9d0e4c8a7135_00001"),
        Canary::new("whsec_token_d7c3a5e91f0b8246_0000002"),
    );
    let webhook = Webhook::new("one", Secrets::new([canary.secret]).unwrap());
    let asked = webhook.clone();
    let layer = ScrapestWebhookLayer::for_webhooks(move |_| Some(asked.clone()));
    let service = InProcess::new(&layer, Handler::ok());
    assert_eq!(service.status(&canary.sign()).await, 200);
    drop((layer, service, webhook));
    canary.is_gone_without_a_trace("the end of its webhook");

    let layer = ScrapestWebhookLayer::insecure_with_token(TokenIn::header("x-token"), token.secret);
    let service = InProcess::new(&layer.unwrap(), Handler::ok());
    let wrong = scrapest("another token").sign().with_header("x-token", "another token");
    assert_eq!(service.status(&wrong).await, 401);
    drop(service);
    token.is_gone_without_a_trace("the end of its layer");
}
