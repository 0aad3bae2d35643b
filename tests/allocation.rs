//! A training step allocates nothing once its buffers have seen their largest batch. A file of its own: the counter
//! is the allocator of the process.
#![cfg(feature = "train")]

#[path = "support/mod.rs"]
mod support;

use crate::support::counting::{allocations, count_this_thread};
use crate::support::ring::ring;
use dmran::data::{Negatives, Protocol, train_samples};
use dmran::model::init::initialise;
use dmran::model::{Dmran, Model};
use dmran::scorer::{Head, LastEvent, Settings, TimeKind, Variant};
use dmran::train::Trainer;
use dmran::train::config::{OptimizerKind, TrainConfig};
use dmran_kernels::Level;
use std::time::Duration;

/// Lets each of the pool's two threads take work from the other: the first time that a thread does so, the pool sets up
/// what it needs for that. On a busy machine that first time would otherwise come in the middle of the count.
fn both_steal() {
    let nap = || std::thread::sleep(Duration::from_millis(1));
    let here = rayon::current_thread_index;
    let me = here();
    for _ in 0..10_000 {
        let (_, (second, third)) = rayon::join(nap, || (here(), rayon::join(nap, here).1));
        if second != me && third == me {
            return;
        }
    }
    panic!("the two threads never took work from each other");
}

#[test]
fn a_warm_step_allocates_nothing() {
    let dataset = ring(60, 30);
    let (negatives, samples) = (Negatives::new(&dataset), train_samples(&dataset, Protocol::Paper));
    let order: Vec<u32> = (0..samples.len() as u32).collect();
    // A pool ends its threads some time after it was dropped, and each that ends hands what it kept for the others to the
    // heap: one allocation, which would fall into the count of a later pool. So all live until the end.
    let mut trainers = Vec::new();
    for (head, optimizer) in
        [(Head::Vanilla, OptimizerKind::Sgd), (Head::Atrank, OptimizerKind::Adagrad), (Head::Rows, OptimizerKind::Adam)]
    {
        for variant in [Variant::Full, Variant::Item, Variant::Feature] {
            let last = if head == Head::Rows { LastEvent::Row } else { LastEvent::None };
            let settings =
                Settings { last, d: 16, hops: 3, heads: 2, time: TimeKind::None, head, variant, ..Settings::default() };
            let config = TrainConfig { threads: 2, lr: 0.05, optimizer, ..TrainConfig::default() };
            let mut model = Dmran::new(settings.clone(), dataset.items(), 0, vec![]).unwrap();
            initialise(model.params_mut(), 0.1, 1);
            let mut trainer = Trainer::new(Box::new(model), settings, config.clone(), Level::current()).unwrap();
            let pool = trainer.pool();
            pool.broadcast(|_| count_this_thread());
            // From inside the pool, as a run does: entering it takes a place in a queue that grows now and then.
            let count = pool.install(|| {
                both_steal();
                let mut before = 0;
                for round in 0..3 {
                    if round == 1 {
                        before = allocations();
                    }
                    for batch in order.chunks(config.batch) {
                        trainer.step(&dataset, &negatives, &samples, batch, 0, 0).unwrap();
                    }
                }
                allocations() - before
            });
            trainers.push(trainer);
            assert_eq!(count, 0, "{head}, {variant}: {count} allocations in {} steps", 2 * order.chunks(32).len());
        }
    }
}
