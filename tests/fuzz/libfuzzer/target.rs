//! Whichever target the program is named after.
#![no_main]

use std::sync::LazyLock;

use leno_fuzz::{Target, find};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    find(env!("CARGO_BIN_NAME")).expect("each program is named after a target")
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    (TARGET.check)(input);
});
