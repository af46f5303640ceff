//! Counts effects without the code under test: an append-only file with one line per step.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;

/// Appends a line. The line is in the file when this returns, so a process that is killed loses none.
pub fn note(path: &str, line: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    // One write, so that lines of two processes do not mix.
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The history of one delivery.
#[derive(Debug, Default)]
pub struct Effects {
    pub begun: usize,
    pub done: usize,
    /// Counts runs that began while another was neither done nor killed.
    pub overlaps: usize,
    running: Vec<String>,
}

/// Parses lines of the forms `begin <process> <id>`, `done <process> <id>` and `killed <process>`.
pub fn read(path: &str) -> HashMap<String, Effects> {
    let mut effects: HashMap<String, Effects> = HashMap::new();
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["begin", process, id] => {
                let effects = effects.entry(id.to_owned()).or_default();
                effects.begun += 1;
                effects.overlaps += usize::from(!effects.running.is_empty());
                effects.running.push(process.to_owned());
            }
            ["done", process, id] => {
                let effects = effects.entry(id.to_owned()).or_default();
                effects.done += 1;
                effects.running.retain(|running| running != process);
            }
            ["killed", process] => {
                for effects in effects.values_mut() {
                    effects.running.retain(|running| running != process);
                }
            }
            _ => panic!("a line of three words, not {line:?}"),
        }
    }
    effects
}
