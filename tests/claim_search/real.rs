//! Compares the model with the code: the memory store gives the model's answers, and the pipeline makes the
//! program's calls.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Full;
use scrapest_webhook::service::VerifiedBody;
use scrapest_webhook::store::{Claim, DeliveryStore, Fence, Key, MemoryStore, Owner, Settled};
use scrapest_webhook::{Rejection, RejectionKind, ScrapestWebhookLayer, testing};
use support::scripted::{ScriptedStore, Verb};
use tokio::time::advance;
use tower::{Layer, ServiceExt};

use crate::model::{self, Claimed, Record};
use crate::state::{Request, Scenario, Sender, State};

const LEASE: Duration = Duration::from_secs(15);
const KEEP: Duration = Duration::from_secs(1_000_000);
const SECRET: &str = "whsec_canary_7b1d5f0c93aa4e21";

fn owner(number: model::Owner) -> Owner {
    Owner::from_bytes([number + 1; 16])
}

/// A real record beside the model's.
struct Both {
    store: MemoryStore,
    key: Key,
    model: Record,
    /// The fence of the last acquired claim.
    fence: u64,
    attempt: u32,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Ask(Verb, model::Owner),
    LeaseEnds,
    Forgotten,
}

impl Both {
    fn new() -> Self {
        let key = Key::from_bytes([7; 32]);
        Self { store: MemoryStore::new(), key, model: Record::Absent, fence: 0, attempt: 0 }
    }

    /// Acts on both, and returns whether they answer the same.
    async fn act(&mut self, act: Act) -> bool {
        match act {
            Act::LeaseEnds => {
                advance(LEASE).await;
                self.model.expire();
                true
            }
            Act::Forgotten => {
                advance(KEEP + LEASE).await;
                (self.model, self.attempt) = (Record::Absent, 0);
                true
            }
            Act::Ask(verb, by) => self.ask(verb, by),
        }
    }

    fn ask(&mut self, verb: Verb, by: model::Owner) -> bool {
        let (key, fence) = (&self.key, Fence::new(self.fence));
        let settled = match verb {
            Verb::Claim => return self.claim(by),
            Verb::Renew => (now(self.store.renew(key, owner(by), LEASE)), self.model.renew(by)),
            Verb::Complete => (
                now(self.store.complete(key, owner(by), fence, KEEP)),
                self.model.complete(by, None),
            ),
            Verb::Release => {
                (now(self.store.release(key, owner(by))), self.model.release(by, None))
            }
        };
        matches!(
            settled,
            (Settled::Done, model::Settled::Done) | (Settled::Lost, model::Settled::Lost)
        )
    }

    fn claim(&mut self, by: model::Owner) -> bool {
        let held = matches!(self.model, Record::Running { owner, .. } if owner == by);
        let real = now(self.store.claim(&self.key, owner(by), LEASE, KEEP));
        match (real, self.model.claim(by, None)) {
            (Claim::Completed, Claimed::Completed) => true,
            // Time advances in whole leases.
            (Claim::InProgress { retry_after }, Claimed::InProgress) => retry_after == LEASE,
            (Claim::Acquired { fence, attempt }, Claimed::Acquired) => {
                let (before, attempts) = (self.fence, self.attempt);
                (self.fence, self.attempt) = (fence.get(), attempt);
                match held {
                    true => (fence.get(), attempt) == (before, attempts),
                    false => fence.get() > before && attempt == attempts + 1,
                }
            }
            _ => false,
        }
    }
}

/// The memory store answers at once.
fn now<T, E: std::fmt::Debug>(answer: impl Future<Output = Result<T, E>>) -> T {
    answer.now_or_never().unwrap().unwrap()
}

/// Tests each sequence of five acts of two owners.
#[tokio::test(start_paused = true)]
async fn the_memory_store_answers_as_the_model_does() {
    let verbs = [Verb::Claim, Verb::Renew, Verb::Complete, Verb::Release];
    let asks = verbs.into_iter().flat_map(|verb| [Act::Ask(verb, 0), Act::Ask(verb, 1)]);
    let acts: Vec<_> = asks.chain([Act::LeaseEnds, Act::Forgotten]).collect();
    for sequence in 0..acts.len().pow(5) {
        let mut both = Both::new();
        for nth in 0..5 {
            let act = |nth: u32| acts[sequence / acts.len().pow(nth) % acts.len()];
            if !both.act(act(nth)).await {
                panic!("after {:?}: {:?}", (0..=nth).map(act).collect::<Vec<_>>(), both.model);
            }
        }
    }
}

/// The history of a record before the request.
const HISTORIES: [Record; 5] = [
    Record::Absent,
    Record::Retryable,
    Record::Completed,
    Record::Running { owner: 6, leased: true },
    Record::Running { owner: 6, leased: false },
];

async fn make(store: &MemoryStore, key: &Key, record: Record) {
    let by = owner(6);
    if record == Record::Absent {
        return;
    }
    let lease = match record {
        Record::Running { leased: false, .. } => Duration::from_millis(1),
        _ => LEASE,
    };
    store.claim(key, by, lease, KEEP).await.unwrap();
    match record {
        Record::Retryable => store.release(key, by).await.unwrap(),
        Record::Completed => store.complete(key, by, Fence::new(1), KEEP).await.unwrap(),
        _ => Settled::Done,
    };
}

/// The calls of the program without interference: verbs, with 0 for the tag and 1 for the id.
fn questions(tag: Record, id: Record, succeeds: bool) -> (Vec<(Verb, usize)>, &'static str, State) {
    use crate::state::Next::*;
    let request = |sender| Request { body: 0, id: 0, sender };
    let scenario = Scenario {
        requests: [Sender::Genuine, Sender::Nobody, Sender::Nobody, Sender::Nobody].map(request),
        event_of: [0, 1],
        unreliable: false,
        forgets: false,
        acknowledges_first: false,
        defect: None,
    };
    let mut state = State::start();
    (state.tags[0], state.ids[0]) = (tag, id);
    let mut asked = Vec::new();
    loop {
        asked.extend(match state.attempts[0].next {
            Begin | ClaimTag => Some((Verb::Claim, 0)),
            ClaimId => Some((Verb::Claim, 1)),
            GiveBack { .. } | ReleaseTag(_) => Some((Verb::Release, 0)),
            ReleaseId(_) => Some((Verb::Release, 1)),
            CompleteTag => Some((Verb::Complete, 0)),
            CompleteId => Some((Verb::Complete, 1)),
            Run | Nothing { .. } => None,
        });
        let unwanted = if succeeds { "fails" } else { "succeeds" };
        let mut steps = state.steps(&scenario).into_iter().filter(|step| {
            step.what.1 != "crashes"
                && step.what.1 != unwanted
                && !step.what.1.contains("lease is over")
        });
        let step = steps.next().unwrap();
        state = step.state;
        if let Nothing { .. } = state.attempts[0].next {
            return (asked, step.what.1, state);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_pipeline_makes_the_same_store_calls_as_the_program() {
    for (tag, id, succeeds) in HISTORIES
        .into_iter()
        .flat_map(|tag| HISTORIES.map(|id| (tag, id)))
        .flat_map(|(tag, id)| [(tag, id, true), (tag, id, false)])
    {
        let signed = testing::scrapest(SECRET).sign();
        let dry = ScriptedStore::recording();
        ask(&dry, &signed, true).await;
        let keys = dry.keys();
        let store = ScriptedStore::recording();
        make(store.real(), &keys[0], tag).await;
        make(store.real(), &keys[1], id).await;
        advance(Duration::from_millis(2)).await;

        let (status, reason) = ask(&store, &signed, succeeds).await;
        let place = |key| keys.iter().position(|known| *known == key).unwrap();
        let asked: Vec<_> = store.calls().iter().map(|call| (call.verb, place(call.key))).collect();
        let context = format!("{tag:?}, {id:?}, {succeeds}");
        // A lease that is over changes the record on the next claim.
        let (mut tag, mut id) = (tag, id);
        for record in [&mut tag, &mut id] {
            if matches!(record, Record::Running { leased: false, .. }) {
                *record = Record::Retryable;
            }
        }
        let (mut expected, end, mut after) = questions(tag, id, succeeds);
        let answer = match (status, reason) {
            (200, None) => "is answered with its success",
            (200, Some(RejectionKind::Duplicate)) => "is told that it is a duplicate",
            (500, None) | (503, Some(RejectionKind::InProgress)) => "is told to try again",
            other => panic!("{other:?}: {context}"),
        };
        assert_eq!(answer, end, "{context}");
        if status == 503 {
            // It waited until the answer deadline and claimed again.
            expected.extend(expected.clone());
        }
        assert_eq!(asked, expected, "{context}");
        for (key, model) in keys.iter().zip([&mut after.tags[0], &mut after.ids[0]]) {
            let real = store.real().claim(key, owner(8), LEASE, KEEP).await.unwrap();
            let same = matches!(
                (real, model.claim(8, None)),
                (Claim::Completed, Claimed::Completed)
                    | (Claim::InProgress { .. }, Claimed::InProgress)
                    | (Claim::Acquired { .. }, Claimed::Acquired)
            );
            assert!(same, "{real:?}: {context}");
        }
    }
}

async fn ask(
    store: &ScriptedStore,
    signed: &testing::SignedRequest,
    succeeds: bool,
) -> (u16, Option<RejectionKind>) {
    let layer = ScrapestWebhookLayer::new(SECRET)
        .with_store(store.clone())
        .with_answer_deadline(Duration::from_millis(20));
    let handler = tower::service_fn(move |_: axum::http::Request<VerifiedBody>| async move {
        let status = if succeeds { 200 } else { 500 };
        let answer = axum::http::Response::builder().status(status);
        Ok::<_, std::convert::Infallible>(answer.body(Full::<Bytes>::default()).unwrap())
    });
    let request = signed.clone().into_http::<Full<Bytes>>("/");
    let answer = layer.layer(handler).oneshot(request).await.unwrap();
    (answer.status().as_u16(), answer.extensions().get().map(Rejection::kind))
}
