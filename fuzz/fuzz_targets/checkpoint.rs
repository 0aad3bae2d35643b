//! The checkpoint reader: any bytes give a checkpoint or a typed error, and what is accepted is written as it was read.
#![no_main]

use dmran::train::Checkpoint;
use dmran::train::checkpoint::repair_checksum;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Checkpoint::from_bytes(bytes).map(drop);
    // Past the checksum, which the fuzzer cannot guess.
    let mut file = bytes.to_vec();
    repair_checksum(&mut file);
    let Ok(checkpoint) = Checkpoint::from_bytes(&file) else { return };
    assert_eq!(checkpoint.to_bytes().expect("what was read can be written"), file);
});
