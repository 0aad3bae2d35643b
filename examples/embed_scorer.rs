//! The scorer inside another program: one model file, no dependency, one scratch a thread.
//! `cargo run --release --no-default-features --example embed_scorer -- shop.dmran teapot cup`

use dmran::scorer::{Event, Scorer, Scratch};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: embed_scorer MODEL ITEM...   (the items that somebody took just now, oldest first)");
        return ExitCode::from(2);
    };
    // Shared by all threads: `Scorer` is `Send + Sync`.
    let scorer = match Scorer::load(&path) {
        Ok(scorer) => scorer,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::from(2);
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
    let history: Vec<Event<String>> = arguments.map(|item| Event { item, time: now }).collect();

    let mut scratch = Scratch::new();
    let mut user = scorer.encode(&history, now, &mut scratch);
    if user.unknown() > 0 {
        eprintln!("{} of these items are unknown to the model", user.unknown());
    }
    let (owned, mut best) = (user.history().to_vec(), Vec::new());
    user.top_k(10, &owned, &mut best);
    for found in &best {
        println!("{}\t{:.4}", scorer.items().get(found.item as usize).unwrap_or_default(), found.score);
    }
    ExitCode::SUCCESS
}
