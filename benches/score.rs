//! The scorer, one thread: encoding a user of 50 events, and encoding with 1, 100, 1,000 candidates or all 63,001 items
//! (top 10), for each head; and the top 10 of a million items with the table in each of its forms.
//!
//! `cargo bench --no-default-features --bench score -- vanilla` runs one head;
//! `cargo run --release --no-default-features --example score_latency` gives p50 and p99 instead.

#[path = "score/catalogue.rs"]
mod catalogue;

use catalogue::{candidates, everyday, history, model, scorer};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmran::scorer::{Head, Precision, Proposer, Rules, Scorer, ScorerOptions, Scratch};
use std::hint::black_box;

fn bench(c: &mut Criterion) {
    for &head in Head::ALL {
        calls(c, head.name(), &scorer(head, ScorerOptions::default()));
    }
    calls(c, "everyday", &everyday(ScorerOptions::default()));
}

fn calls(c: &mut Criterion, name: &str, scorer: &Scorer) {
    let (events, now) = history();
    let (mut scratch, mut best) = (Scratch::new(), Vec::new());
    let mut group = c.benchmark_group(format!("score/{name}"));
    group.sample_size(20);
    group.bench_function("encode", |b| {
        b.iter(|| black_box(scorer.encode(&events, now, &mut scratch).unknown()));
    });
    for n in [1, 100, 1000] {
        let (candidates, mut scores) = (candidates(n), vec![0.0; n]);
        group.throughput(Throughput::Elements(n as u64));
        group.bench_with_input(BenchmarkId::new("encode and score", n), &candidates, |b, candidates| {
            b.iter(|| scorer.encode(&events, now, &mut scratch).score(candidates, black_box(&mut scores)));
        });
    }
    group.throughput(Throughput::Elements(catalogue::ITEMS as u64));
    group.bench_function("encode and top 10 of all", |b| {
        b.iter(|| {
            scorer.encode(&events, now, &mut scratch).top_k(10, &[], &mut best);
            black_box(best.len())
        });
    });
    group.finish();
}

/// A catalogue beyond the caches, in each form of its table.
fn tables(c: &mut Criterion) {
    let measured = std::env::args().any(|argument| argument == "--bench");
    // Where it is only tried, a small one will do.
    let items = if measured { 1_000_000 } else { catalogue::ITEMS };
    let (events, now) = history();
    let mut group = c.benchmark_group(format!("score/mean/{items} items, top 10 of all"));
    group.sample_size(20).throughput(Throughput::Elements(items as u64));
    let of = |precision| {
        let model = model(Head::Mean, items).with_precision(precision);
        Scorer::with_options(model, ScorerOptions::default()).expect("a level of this CPU")
    };
    for &precision in Precision::ALL {
        let scorer = of(precision);
        let (mut scratch, mut best) = (Scratch::new(), Vec::new());
        group.bench_function(precision.name(), |b| {
            b.iter(|| {
                scorer.encode(&events, now, &mut scratch).top_k(10, &[], &mut best);
                black_box(best.len())
            });
        });
    }
    let (small, exact) = (of(Precision::Int8), of(Precision::F32));
    let proposer = Proposer::new(&small, &exact, Proposer::DEFAULT).expect("the same items");
    let (mut scratch, mut best, rules) = (Scratch::new(), Vec::new(), Rules::default());
    group.bench_function("int8 proposes 100, f32 ranks them", |b| {
        b.iter(|| {
            let proposed = proposer.propose(&events, now, 10, &rules, &[]);
            exact.encode(&events, now, &mut scratch).top_k_of(10, &proposed, &rules, &mut best);
            black_box(best.len())
        });
    });
    group.finish();
}

criterion_group!(score, bench, tables);
criterion_main!(score);
