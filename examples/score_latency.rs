//! p50 and p99 of one call (encode a user of 50 events and score), one thread, in microseconds; and the time of reading
//! the item table once. `cargo run --release --no-default-features --example score_latency [--lean] [HEAD|everyday...]`; `--lean`
//! computes nothing ahead for the items, `everyday` is the default preset.

#[path = "../benches/score/catalogue.rs"]
mod catalogue;

use catalogue::{ITEMS, candidates, everyday, history, scorer};
use dmran::scorer::{Head, Scorer, ScorerOptions, Scratch};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// p50 and p99 in microseconds of calls for about a second, after a tenth of one to warm up.
fn percentiles(mut call: impl FnMut()) -> [f64; 2] {
    let measure = |time: Duration, call: &mut dyn FnMut()| {
        let (start, mut all) = (Instant::now(), Vec::new());
        while start.elapsed() < time || all.len() < 20 {
            let before = Instant::now();
            call();
            all.push(before.elapsed().as_secs_f64() * 1e6);
        }
        all
    };
    measure(Duration::from_millis(100), &mut call);
    let mut all = measure(Duration::from_secs(1), &mut call);
    all.sort_by(f64::total_cmp);
    [all[all.len() / 2], all[all.len() * 99 / 100]]
}

fn line(what: &str, [p50, p99]: [f64; 2]) {
    println!("{what:<28} {p50:>10.1} {p99:>10.1}");
}

fn main() {
    println!("{:<28} {:>10} {:>10}", "microseconds", "p50", "p99");
    let (lean, asked): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|name| name == "--lean");
    let options = ScorerOptions { precompute: Some(lean.is_empty()), ..ScorerOptions::default() };
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    for &head in Head::ALL.iter().filter(|head| wanted(head.name())) {
        measure(head.name(), &scorer(head, options), head == Head::Mean);
    }
    if wanted("everyday") {
        measure("everyday", &everyday(options), false);
    }
}

/// Lines of one scorer, and of reading its table of items where `reads`.
fn measure(name: &str, scorer: &Scorer, reads: bool) {
    let ((events, now), mut scratch) = (history(), Scratch::new());
    line(
        &format!("{name}: encode"),
        percentiles(|| {
            black_box(scorer.encode(&events, now, &mut scratch).unknown());
        }),
    );
    for n in [1, 100, 1000, ITEMS] {
        let (candidates, mut scores) = (candidates(n), vec![0.0; n]);
        let call = || {
            let mut user = scorer.encode(&events, now, &mut scratch);
            let done = if n == ITEMS { user.score_all(&mut scores) } else { user.score(&candidates, &mut scores) };
            black_box(done.is_ok());
        };
        line(&format!("{name}: {n} candidates"), percentiles(call));
    }
    let mut best = Vec::new();
    let call = || {
        scorer.encode(&events, now, &mut scratch).top_k(10, &[], &mut best);
        black_box(best.len());
    };
    line(&format!("{name}: top 10 of {ITEMS}"), percentiles(call));
    if let (true, Some(table)) = (reads, scorer.model().tensor("V")) {
        // Many sums, so that the additions do not wait for each other.
        let call = || {
            let mut sums = [0.0f32; 64];
            for row in table.as_chunks::<64>().0 {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
            black_box(sums);
        };
        line("reading the table once", percentiles(call));
    }
}
