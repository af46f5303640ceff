//! Properties that hold for every input, checked with random changes to genuine inputs. A few cases run by
//! default; for a long run use `PROPTEST_CASES=1000000 cargo test --release --test properties`. `tests/fuzz`
//! fuzzes the same properties.

use checks::Check;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One change to an input.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index),
    /// Replaces everything after this place with the rest of another input.
    Cross(Index, Vec<u8>),
}

/// Tokens that may confuse a parser.
const TOKENS: [&[u8]; 24] = [
    b"\r\n",
    b"\n",
    b"\0",
    b" ",
    b",",
    b"=",
    b"-",
    b"+",
    b"\"",
    b"\\u0000",
    b"{}",
    b"[[",
    b"null",
    b"1e400",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"sha256=",
    b"sha1=",
    b"0\r\n\r\n",
    b"\xff",
    b"\xef\xbb\xbf",
    b":60Z",
    b"x-signature-256: ",
    b"\"challenge\":\"a\",",
];

fn changes(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Change> {
    use Change::*;
    let at = || any::<Index>();
    let token = select(TOKENS.to_vec()).prop_map(<[u8]>::to_vec);
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Set(at, byte)),
        (at(), 0..8_u8).prop_map(|(at, bit)| Flip(at, bit)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Insert(at, vec![byte])),
        (at(), token).prop_map(|(at, token)| Insert(at, token)),
        (at(), at()).prop_map(|(at, length)| Remove(at, length)),
        (at(), at()).prop_map(|(at, length)| Repeat(at, length)),
        (at(), select(seeds)).prop_map(|(at, seed)| Cross(at, seed)),
    ]
}

fn apply(change: Change, input: &mut Vec<u8>) {
    let place = |at: Index, length: usize| at.index(length + 1);
    match change {
        Change::Set(at, byte) => {
            let at = place(at, input.len());
            input.splice(at..(at + 1).min(input.len()), [byte]);
        }
        Change::Flip(at, bit) => {
            if !input.is_empty() {
                let length = input.len();
                input[at.index(length)] ^= 1 << bit;
            }
        }
        Change::Insert(at, bytes) => {
            let at = place(at, input.len());
            input.splice(at..at, bytes);
        }
        Change::Remove(at, length) => {
            let at = place(at, input.len());
            let end = at + place(length, (input.len() - at).min(32));
            input.drain(at..end);
        }
        Change::Repeat(at, length) => {
            let at = place(at, input.len());
            let end = at + place(length, input.len() - at);
            input.extend_from_within(at..end);
        }
        Change::Cross(at, seed) => {
            let at = place(at, input.len());
            input.truncate(at);
            input.extend_from_slice(seed.get(at..).unwrap_or_default());
        }
    }
}

fn inputs(seeds: fn() -> Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec(changes(seeds()), 0..5);
    (select(seeds()), changes).prop_map(|(mut input, changes)| {
        changes.into_iter().for_each(|change| apply(change, &mut input));
        input
    })
}

macro_rules! properties {
    ($($name:ident: $check:ident;)+) => {
        proptest! {$(
            #[test]
            fn $name(input in inputs(checks::named(stringify!($check)).seeds)) {
                checks::$check(&input);
            }
        )+}
    };
}

properties! {
    only_the_right_signature_is_accepted: signature;
    only_fresh_requests_run: timestamp;
    any_scrapest_body_runs_once_or_is_refused: scrapest_body;
    any_scrapebadger_body_runs_once_or_is_refused: scrapebadger_body;
    the_last_element_of_a_trusted_proxy_decides: forwarded;
    unsigned_bytes_of_a_connection_are_never_taken_for_signed: stream;
}

/// Otherwise the tests above might pass because every input is refused.
#[test]
fn many_of_the_original_inputs_are_accepted() {
    for Check { name, seeds, check } in checks::ALL {
        let inputs = seeds();
        let run = inputs.iter().filter(|input| check(input) > 0).count();
        assert!(3 * run > inputs.len(), "{name}: {run} of {}", inputs.len());
    }
}
