//! Score lines: any bytes give a request or a typed error, and every request gets an answer that is JSON.
#![no_main]

use dmran::score_lines::Request;
use dmran::scorer::{Model, Scorer, Scratch};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static SCORER: LazyLock<Scorer> = LazyLock::new(|| {
    let model = include_bytes!("../corpus/model/seed-full-categories.dmran");
    Scorer::new(Model::from_bytes(model).expect("the seed is a model")).expect("this CPU has a tier")
});

fuzz_target!(|line: &[u8]| {
    let Ok(request) = Request::parse(line) else { return };
    let answer = request.answer(&SCORER, &mut Scratch::new());
    assert_eq!(answer.scores.as_ref().map(Vec::len), request.candidates.as_ref().map(Vec::len));
    serde_json::to_vec(&answer).expect("an answer is JSON");
});
