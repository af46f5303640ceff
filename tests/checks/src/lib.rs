//! Properties that hold for every input, from any generator. The fuzz targets and the property tests share
//! them.

mod body;
mod forwarded;
mod oracle;
mod reader;
mod receiver;
mod seeds;
mod signature;
mod stream;
mod timestamp;

pub use self::body::{scrapebadger as scrapebadger_body, scrapest as scrapest_body};
pub use self::forwarded::check as forwarded;
pub use self::signature::check as signature;
pub use self::stream::check as stream;
pub use self::timestamp::check as timestamp;

/// A check, which returns the number of runs, and its seed inputs.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    pub name: &'static str,
    pub seeds: fn() -> Vec<Vec<u8>>,
    pub check: fn(&[u8]) -> usize,
}

pub const ALL: [Check; 6] = [
    Check { name: "signature", seeds: seeds::signatures, check: signature },
    Check { name: "timestamp", seeds: seeds::timestamps, check: timestamp },
    Check { name: "scrapest_body", seeds: seeds::scrapest, check: scrapest_body },
    Check { name: "scrapebadger_body", seeds: seeds::scrapebadger, check: scrapebadger_body },
    Check { name: "forwarded", seeds: self::forwarded::seeds, check: forwarded },
    Check { name: "stream", seeds: seeds::streams, check: stream },
];

pub fn named(name: &str) -> Check {
    *ALL.iter().find(|check| check.name == name).expect("a check")
}

/// Runs on a clock that jumps to the next timer when no task is ready.
fn run(check: impl Future<Output = usize>) -> usize {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(check))
}
