//! Questions that share a statement.

use futures_util::future::{join, join_all};
use scrapest_webhook::store::{Claims, Key};

use super::*;

/// Asks questions while the file is locked, so that they are answered together.
async fn together<T>(folder: &Folder, questions: impl Future<Output = T>) -> T {
    let mut other = other(folder).await;
    let locked = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    // `join` polls the questions first, so all of them wait before the lock is released.
    let (answers, committed) = join(questions, locked.commit()).await;
    committed.unwrap();
    answers
}

async fn claim_both(store: &SqliteStore, keys: [Key; 2]) -> Claims {
    let mut keys = keys.map(|key| (key, Fence::new(0)));
    store.claim_all(&mut keys, Owner::random(), LEASE, KEEP).await.unwrap()
}

async fn records(folder: &Folder) -> i64 {
    let count = "SELECT count(*) FROM scrapest_webhook_deliveries";
    sqlx::query_scalar(count).fetch_one(&mut other(folder).await).await.unwrap()
}

#[tokio::test]
async fn a_claim_refused_by_its_first_key_leaves_no_record_of_its_second() {
    let folder = Folder::new();
    let store = store(&folder);
    let (done, running) = (random_key(), random_key());
    let (owner, fence) = acquire(&store, done).await;
    store.complete(&done, owner, fence, KEEP).await.unwrap();
    acquire(&store, running).await;

    let replays = (0..20).map(|_| claim_both(&store, [done, random_key()]));
    let duplicates = (0..20).map(|_| claim_both(&store, [running, random_key()]));
    let new = (0..20).map(|_| claim_both(&store, [random_key(), random_key()]));
    let all = join(join_all(replays), join(join_all(duplicates), join_all(new)));
    let (replays, (duplicates, new)) = together(&folder, all).await;
    for claims in replays {
        assert_eq!(claims, Claims::Completed { place: 0 });
    }
    for claims in duplicates {
        assert!(matches!(claims, Claims::InProgress { place: 0, .. }), "{claims:?}");
    }
    for claims in new {
        assert_eq!(claims, Claims::Acquired { attempt: 1 });
    }
    assert_eq!(records(&folder).await, 2 + 2 * 20);
}

#[tokio::test]
async fn the_first_key_is_released_if_the_second_is_taken() {
    let folder = Folder::new();
    let store = store(&folder);
    let taken = random_key();
    acquire(&store, taken).await;
    let keys: Vec<_> = (0..20).map(|_| random_key()).collect();
    let claims = join_all(keys.iter().map(|key| claim_both(&store, [*key, taken])));
    for claims in together(&folder, claims).await {
        assert!(matches!(claims, Claims::InProgress { place: 1, .. }), "{claims:?}");
    }
    for key in keys {
        let claim = claim(&store, key).await;
        assert!(matches!(claim, Claim::Acquired { attempt: 2, .. }), "{claim:?}");
    }
}

#[tokio::test]
async fn each_of_several_calls_about_one_key_gets_its_own_result() {
    let folder = Folder::new();
    let store = store(&folder);
    let keys: Vec<_> = (0..20).map(|_| random_key()).collect();
    let holders = join_all(keys.iter().map(|key| acquire(&store, *key))).await;
    let strangers: Vec<_> = keys.iter().map(|_| (Owner::random(), Fence::new(1))).collect();
    // The holder and the stranger take turns at being first.
    let pairs: Vec<_> = (0..20)
        .map(|n| [(n, holders[n]), (n, strangers[n])])
        .flat_map(
            |[holder, stranger]| {
                if holder.0 % 2 == 0 { [holder, stranger] } else { [stranger, holder] }
            },
        )
        .collect();
    let is_holder = |n: usize, owner: Owner| owner.to_bytes() == holders[n].0.to_bytes();

    let renewals = pairs.iter().map(|(n, (owner, _))| store.renew(&keys[*n], *owner, LEASE));
    let renewals = together(&folder, join_all(renewals)).await;
    for ((n, (owner, _)), settled) in pairs.iter().zip(renewals) {
        assert_eq!(settled.unwrap() == Settled::Done, is_holder(*n, *owner), "renewed");
    }
    let releases = pairs[..20].iter().map(|(n, (owner, _))| store.release(&keys[*n], *owner));
    let releases = together(&folder, join_all(releases)).await;
    for ((n, (owner, _)), settled) in pairs.iter().zip(releases) {
        assert_eq!(settled.unwrap() == Settled::Done, is_holder(*n, *owner), "released");
    }
    let left = &pairs[20..];
    let completions =
        left.iter().map(|(n, (owner, fence))| store.complete(&keys[*n], *owner, *fence, KEEP));
    let completions = together(&folder, join_all(completions)).await;
    for ((n, (owner, _)), settled) in left.iter().zip(completions) {
        let is_told = settled.unwrap() == Settled::Done;
        // If the holder is second, the stranger has already completed the key.
        let is_first = n % 2 == 0;
        assert_eq!(is_told, is_holder(*n, *owner) && is_first, "completed");
    }
    for key in &keys[10..] {
        assert_eq!(claim(&store, *key).await, Claim::Completed);
    }
}
