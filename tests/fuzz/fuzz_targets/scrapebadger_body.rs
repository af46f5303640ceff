#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    scrapest_webhook_fuzz::checks::scrapebadger_body(input);
});
