//! Counts effects, independently of what it is to prove: an append-only file, one line a step.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;

/// Appends a line, which is on its way to the disk when this returns: a killed process loses none.
pub fn note(path: &str, line: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    // One write: lines of two processes do not mix.
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// What happened to one delivery, in order.
#[derive(Debug, Default)]
pub struct Effects {
    pub begun: usize,
    pub done: usize,
    /// A run began while another was neither done nor killed.
    pub overlaps: usize,
    running: Vec<String>,
}

/// Lines are `begin <process> <id>`, `done <process> <id>`, `killed <process>`.
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
