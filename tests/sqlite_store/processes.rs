//! Receivers in separate processes, of which some are killed.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_receiver_answers_503_until_its_file_can_be_opened() {
    let folder = Folder::new();
    let url = format!("sqlite:{}", folder.file("later/deliveries.db"));
    let make = || std::fs::create_dir(folder.file("later")).unwrap();
    process::starts_before_its_store(&url, make).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_file_act_as_one_receiver() {
    let folder = Folder::new();
    process::two_are_one(&format!("sqlite:{}", folder.file("deliveries.db"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_claim_of_a_killed_process_is_taken_over_when_its_lease_ends() {
    let folder = Folder::new();
    let (url, effects) =
        (format!("sqlite:{}", folder.file("deliveries.db")), folder.file("effects"));
    let mut dies = Process::start(&url, &effects, Duration::from_secs(60));
    let delivery = process::delivery();
    let (answer, ()) = tokio::join!(process::attempt(dies.address, &delivery), async {
        while effects::read(&effects).is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
        dies.kill();
    });
    assert_eq!(answer, None, "the connection must break");

    let next = Process::start(&url, &effects, Duration::from_millis(10));
    let took = process::deliver(&[next.address], &delivery).await;
    assert!(took < Duration::from_secs(5), "{took:?} for a lease of 2 s");
    let effects = effects::read(&effects);
    let effects = effects.values().next().unwrap();
    assert_eq!((effects.begun, effects.done, effects.overlaps), (2, 1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn confirmed_records_survive_kill_9() {
    let folder = Folder::new();
    let (url, effects) =
        (format!("sqlite:{}", folder.file("deliveries.db")), folder.file("effects"));
    let mut receiver = Process::start(&url, &effects, Duration::ZERO);
    let mut acknowledged = Vec::new();
    for _ in 0..5 {
        for _ in 0..20 {
            let delivery = process::delivery();
            assert_eq!(process::attempt(receiver.address, &delivery).await, Some(204));
            acknowledged.push(delivery);
        }
        receiver.kill();
        receiver = Process::start(&url, &effects, Duration::ZERO);
    }
    for delivery in &acknowledged {
        assert_eq!(process::attempt(receiver.address, delivery).await, Some(200));
    }
    let effects = effects::read(&effects);
    assert_eq!(effects.len(), acknowledged.len());
    assert!(effects.values().all(|effects| effects.begun == 1), "a duplicate ran");
}
