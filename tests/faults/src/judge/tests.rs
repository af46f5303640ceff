//! Pairs of journals that differ in one line: one is correct, the other is a violation.

use super::{History, Terms, Verdict, judge};

const TERMS: Terms = Terms {
    lease: 1_000,
    recovery: 100,
    takeover_slack: 200,
    forgets: false,
    stops_with_a_receiver: false,
};

fn verdict(name: &str, journal: &str) -> Verdict {
    verdict_on(TERMS, name, journal)
}

fn verdict_on(terms: Terms, name: &str, journal: &str) -> Verdict {
    let path = std::env::temp_dir().join(format!("judged-{}-{name}", std::process::id()));
    let lines: Vec<_> = journal.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let history = History::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    judge(&history, terms)
}

fn found(verdict: &Verdict) -> Vec<&'static str> {
    verdict.violations().into_iter().map(|(what, _)| what).collect()
}

#[test]
fn a_delivery_handled_and_then_acknowledged_is_correct() {
    let verdict = verdict(
        "innocent",
        "1 sent a ok r0
         2 begin a r0 1
         3 effect a r0 1
         4 over a r0 1
         5 answered a 200",
    );
    assert_eq!((found(&verdict), verdict.acknowledged, verdict.runs), (vec![], 1, 1));
}

#[test]
fn an_acknowledgement_before_the_effect_is_a_loss() {
    let early = "1 sent a ok r0
                 2 begin a r0 1
                 3 answered a 200
                 4 effect a r0 1
                 5 over a r0 1";
    assert_eq!(found(&verdict("early", early)), ["lost"]);
    assert_eq!(found(&verdict("never", "1 sent a ok r0\n2 answered a 204")), ["lost"]);
}

#[test]
fn only_a_delivery_refused_without_a_fault_is_a_loss() {
    let refused = "5000 sent a ok r0\n5100 answered a 503\n5200 gave-up a";
    assert_eq!(found(&verdict("refused", refused)), ["lost"]);
    for (name, excuse) in [
        ("store", "4000 store-down\n9000 store-up"),
        ("just back", "4000 store-down\n4950 store-up"),
        ("stopped", "4000 stopped r0\n9000 continued r0"),
        ("killed", "5050 killed r0"),
    ] {
        let verdict = verdict(name, &format!("{excuse}\n{refused}"));
        assert_eq!((found(&verdict), verdict.unreachable.len()), (vec![], 1), "{name}");
    }
    let willing = refused.replace("ok", "fail");
    assert_eq!(found(&verdict("unwilling", &willing)), [""; 0]);
}

const TWICE: &str = "10 sent a ok r0
                     20 begin a r0 1
                     30 effect a r0 1
                     2000 sent a ok r1
                     2010 begin a r1 2
                     2020 effect a r1 2
                     2030 over a r1 2
                     2040 answered a 200";

#[test]
fn a_second_effect_needs_a_kill_between_the_first_and_its_record() {
    let excused = verdict("excused", &format!("{TWICE}\n900 killed r0"));
    assert_eq!((found(&excused), excused.excused_doubles, excused.takeovers), (vec![], 1, 1));

    let heard = TWICE.replace("2000 sent", "40 over a r0 1\n50 answered a 200\n2000 sent");
    assert_eq!(found(&verdict("heard", &heard)), ["double"]);
    let heard_and_killed = verdict("heard and killed", &format!("{heard}\n900 killed r0"));
    assert_eq!(found(&heard_and_killed), ["double"]);
}

#[test]
fn overlapping_runs_need_a_process_paused_for_most_of_a_lease() {
    let overlap = TWICE.replace("2040 answered", "3000 over a r0 1\n3001 answered");
    assert_eq!(found(&verdict("overlap", &overlap)), ["double", "overlap"]);
    let zombie = verdict("zombie", &format!("{overlap}\n25 stopped r0\n2500 continued r0"));
    assert_eq!((found(&zombie), zombie.zombies), (vec![], 2));
    let unrecorded = format!("{TWICE}\n40 over a r0 1\n45 stopped r0\n2500 continued r0");
    assert_eq!(found(&verdict("unrecorded", &unrecorded)), [""; 0]);
    let heard = unrecorded.replace("45 stopped", "43 answered a 200\n45 stopped");
    assert_eq!(found(&verdict("heard, then stopped", &heard)), ["double"]);
    let too_short = format!("{overlap}\n1900 stopped r0\n2500 continued r0");
    assert_eq!(found(&verdict("too short", &too_short)), ["double", "overlap"]);
}

#[test]
fn a_receiver_stopped_during_a_write_blocks_those_sharing_its_file() {
    let journal = TWICE.replace("2000 sent", "40 over a r0 1\n45 answered a 503\n2000 sent");
    let journal = format!("{journal}\n25 stopped r1\n1990 continued r1");
    assert_eq!(found(&verdict("server", &journal)), ["double"]);
    let file = verdict_on(Terms { stops_with_a_receiver: true, ..TERMS }, "file", &journal);
    assert_eq!((found(&file), file.zombies), (vec![], 1));
}

#[test]
fn a_takeover_is_due_at_the_end_of_the_lease_and_its_fence_is_larger() {
    let late = "10 sent a ok r0
                20 begin a r0 7
                30 killed r0
                40 sent a ok r1
                1300 begin a r1 7
                1310 effect a r1 7
                1320 over a r1 7
                1330 answered a 200";
    assert_eq!(found(&verdict("late", late)), ["late takeover", "fence shrank"]);
    let due = late.replace("1300 begin a r1 7", "1100 begin a r1 8").replace("r1 7", "r1 8");
    assert_eq!(found(&verdict("due", &due)), [""; 0]);
}
