//! Receivers in separate processes.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_receiver_answers_503_until_its_server_is_up() {
    let Some(mut server) = Postgres::stopped(&[]) else { return };
    process::starts_before_its_store(&server.url(), || server.run()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_on_one_server_act_as_one_receiver() {
    let server = server!();
    process::two_are_one(&server.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killing_receivers_and_the_server_during_runs_loses_nothing() {
    let (mut server, folder) = (server!(), Folder::new());
    let (url, effects) = (server.url(), folder.file("effects"));
    let runs_for = Duration::from_millis(50);
    let start = || Process::start(&url, &effects, runs_for);
    let mut receivers = [start(), start()];
    // A receiver that restarts has another port, so the senders look its address up.
    let addresses =
        std::sync::Arc::new(std::sync::Mutex::new(receivers.each_ref().map(|it| it.address)));
    let sending: Vec<_> = (0..60)
        .map(|number| {
            let addresses = std::sync::Arc::clone(&addresses);
            tokio::spawn(async move {
                sleep(Duration::from_millis(number * 60)).await;
                let delivery = process::delivery();
                let since = Instant::now();
                for turn in number as usize.. {
                    let to = addresses.lock().unwrap()[turn % 2];
                    if let Some(200..300) = process::attempt(to, &delivery).await {
                        break;
                    }
                    assert!(since.elapsed() < Duration::from_secs(60), "lost");
                    sleep(Duration::from_millis(200)).await;
                }
            })
        })
        .collect();
    let mut kills = 0;
    for turn in 0..6 {
        sleep(Duration::from_millis(500)).await;
        if turn == 3 {
            server.kill();
            server.run();
            continue;
        }
        receivers[turn % 2].kill();
        kills += 1;
        receivers[turn % 2] = start();
        addresses.lock().unwrap()[turn % 2] = receivers[turn % 2].address;
    }
    for sent in join_all(sending).await {
        sent.unwrap();
    }
    let effects = effects::read(&effects);
    assert_eq!(effects.len(), 60, "each delivery must have an effect");
    assert!(
        effects.values().all(|effects| effects.done >= 1 && effects.overlaps == 0),
        "{effects:?}"
    );
    let doubles: usize = effects.values().map(|effects| effects.done - 1).sum();
    // A delivery runs twice if its receiver was killed between the effect and the record: a few per kill.
    assert!(doubles <= kills * 3, "{doubles} second runs after {kills} kills");
}
