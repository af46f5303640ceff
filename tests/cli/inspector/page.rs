//! The inspector's page in a real browser.

use scrapest_webhook::testing;

use super::{inspected, tweet};
use crate::browser::Browser;
use crate::listening::{PATH, client};
use crate::upstream::{Act, Upstream};

/// Text that a stranger may write into a tweet.
const HOSTILE: &str =
    "<script>window.hit = 1</script>\"><img src=x onerror='window.hit = 1'>\u{202e}txet";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_are_usable_by_keyboard_and_text_is_escaped() {
    let Some(mut browser) = Browser::start() else { return };
    let upstream = Upstream::start(&[Act::Answer("500 Oops\r\n")]).await;
    let flags = ["--output", "quiet", "--ui-keep", "2000", "--forward", &upstream.url()];
    let (listening, url) = inspected(&flags);
    browser.open(&url);
    let failed = tweet("the first attempt fails").with_delivery_id("delivery-1").sign();
    assert_eq!(listening.send(&failed).await.status, 500);
    let one = client::text_to(PATH, &testing::scrapest("a secret that is another").sign());
    let forged = (0..20).map(|_| client::send(listening.address, &one));
    for answer in futures_util::future::join_all(forged).await {
        assert_eq!(answer.status, 401);
    }
    // From here on, the open page is updated live.
    browser.waits_for("document.querySelectorAll('.row').length === 21");
    for _ in 0..49 {
        let requests: Vec<_> =
            (0..20).map(|_| client::text_to(PATH, &tweet("one of a thousand").sign())).collect();
        let sent = requests.iter().map(|text| client::send(listening.address, text));
        for answer in futures_util::future::join_all(sent).await {
            assert_eq!(answer.status, 204);
        }
    }
    let hostile = tweet(HOSTILE).with_delivery_id("<b>\"id\"</b>").sign();
    assert_eq!(listening.send(&hostile).await.status, 204);
    browser.waits_for("document.getElementById('count').textContent === '1002 requests'");

    // The newest request, by keyboard only.
    browser.press("Home");
    browser.waits_for("document.getElementById('body')?.textContent.includes('onerror')");
    assert_eq!(
        browser.value(
            "document.getElementById('body').textContent.includes('<script>window.hit = 1')"
        ),
        true
    );
    assert_eq!(
        browser.value("document.getElementById('event').textContent.includes('onerror')"),
        true
    );
    assert_eq!(browser.value("document.querySelectorAll('img, script:not([nonce]), b').length"), 0);
    assert_eq!(browser.value("window.hit === undefined"), true);
    assert_eq!(
        browser.value("getComputedStyle(document.getElementById('body')).unicodeBidi"),
        "plaintext"
    );
    browser.press("r");
    browser.waits_for("document.getElementById('said').textContent.includes('answered 204')");
    let replayed = upstream.received().into_iter().last().unwrap();
    assert_eq!(replayed.header("webhook-origin"), Some("replayed"));

    // The oldest request, its attempts, and the filter.
    browser.press("End");
    browser.waits_for(
        "document.getElementById('detail').textContent.includes('the service answered 500')",
    );
    assert_eq!(listening.send(&failed).await.status, 204);
    browser.waits_for("document.getElementById('count').textContent === '1003 requests'");
    browser.press("k");
    browser.press("j");
    browser.waits_for(
        "document.getElementById('detail').textContent.includes('Requests for the same delivery')",
    );
    browser.press("/");
    browser.waits_for("document.activeElement.id === 'text'");
    for key in ["w", "r", "o", "n", "g"] {
        browser.press(key);
    }
    browser.waits_for("document.getElementById('count').textContent === '20 of 1003 requests'");
    browser.press("Enter");
    browser.waits_for(
        "document.querySelector('.cause')?.textContent.includes('or with another secret')",
    );
    browser.press("Escape");
    browser.waits_for("document.activeElement.id === 'list'");

    // The dark and the light color scheme.
    let background = "getComputedStyle(document.body).backgroundColor";
    for (scheme, color) in [("dark", "rgb(13, 17, 23)"), ("light", "rgb(255, 255, 255)")] {
        let features = serde_json::json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.call("Emulation.setEmulatedMedia", serde_json::json!({"features": features}));
        browser.waits_for(&format!("{background} === '{color}'"));
    }

    // A page of another origin that knows the URL can neither read nor send.
    let received = upstream.received().len();
    let other = url.replace("127.0.0.1", "localhost");
    browser.open(&other);
    let blocked =
        format!("fetch('{url}requests/1').then(r => r.text()).then(() => 'read', () => 'blocked')");
    // The other page has its own content security policy. Without it, only the browser's rules and ours protect the
    // inspector.
    browser.call("Page.setBypassCSP", serde_json::json!({"enabled": true}));
    browser.open(&other);
    assert_eq!(browser.value(&blocked), "blocked");
    let sent = format!(
        "fetch('{url}requests/1002/replay', {{method: 'POST', mode: 'no-cors'}}).then(() => 'sent', () => 'blocked')"
    );
    browser.value(&sent);
    assert_eq!(upstream.received().len(), received, "nothing was replayed");
}
