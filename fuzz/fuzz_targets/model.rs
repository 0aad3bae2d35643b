//! The model reader: any bytes give a model or a typed error. The checksums are repaired first, so that the fuzzer
//! gets past them; a model that is accepted must score, and write itself back unchanged.
#![no_main]

use dmran::scorer::{Event, Model, Scorer, Scratch, repair_checksums};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // As it is: only the checksums stand between the fuzzer and the reader.
    let _ = Model::from_bytes(bytes).map(drop);
    let mut file = bytes.to_vec();
    repair_checksums(&mut file);
    let Ok(model) = Model::from_bytes(&file) else { return };
    assert_eq!(model.to_bytes(), file, "a model is written as it was read");
    // Legal, but too slow to score here.
    let s = model.settings();
    if s.d > 64 || s.hops > 64 || s.ff_width > 256 || s.head_ff_width > 256 {
        return;
    }
    let Ok(scorer) = Scorer::new(model) else { return };
    let history = [Event { item: 0, time: i64::MIN }, Event { item: u32::MAX, time: 0 }, Event { item: 1, time: 5 }];
    let (mut scratch, mut best) = (Scratch::new(), Vec::new());
    let mut user = scorer.encode(&history, i64::MAX, &mut scratch);
    user.top_k(3, &[0], &mut best);
    let _ = user.explain(0);
});
