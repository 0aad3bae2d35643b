//! Full ranking gives what scoring one candidate after the other gives, for every model, whatever the blocks and the
//! number of threads.

use dmran::data::{Dataset, Protocol, Sample, test_samples};
use dmran::metrics::Ranked;
use dmran::model::Kind;
use dmran::scorer::{Head, TimeKind, Variant};
use dmran::train::evaluate::{Exam, full_ranking};
use dmran::train::rank::{Request, one_by_one};
use dmran::train::start::trainer;
use dmran::train::{Config, Trainer};
use dmran_kernels::Level;

const DAY: i64 = 86_400;
/// More than two blocks of items, and more than one tile of users.
const ITEMS: usize = 1100;
const USERS: u64 = 70;

/// Users with up to a dozen events, some of them repeats; user 3 has every item.
fn log(items: usize, users: u64) -> Dataset {
    let mut state = 5u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut offsets, mut list, mut times) = (vec![0], Vec::new(), Vec::new());
    for user in 0..users {
        let mut of: Vec<u32> = (0..2 + next(12)).map(|_| next(items as u64) as u32).collect();
        if user == 3 {
            of.extend(0..items as u32);
        }
        times.extend((0..of.len() as i64).map(|at| DAY * (at / 3)));
        list.extend(of);
        offsets.push(list.len());
    }
    let category = (0..items as u32).map(|item| item % 7).collect();
    Dataset::from_parts(offsets, list, times, category, items, 7).unwrap()
}

fn config(kind: Kind, head: Head, variant: Variant, categories: bool, threads: usize) -> Config {
    let mut config = Config::default();
    config.train.model = kind;
    config.train.threads = threads;
    config.train.init_std = 0.5;
    let model = &mut config.model;
    (model.d, model.hops, model.heads, model.ff_width, model.head_ff_width) = (8, 3, 2, 2, 2);
    (model.head, model.variant, model.categories, model.history_cap) = (head, variant, categories, 9);
    if variant == Variant::NoTime {
        model.time = TimeKind::None;
    }
    config
}

/// A model in which every tenth item is a twin of the item before it, and biases tell items apart by little.
fn model(config: &Config, dataset: &Dataset) -> Trainer {
    let mut trainer = trainer(config, dataset, Level::best()).unwrap();
    let params = trainer.model_mut().params_mut();
    for name in ["V", "bias"] {
        let Some(id) = params.find_table(name) else { continue };
        let table = params.table_mut(id);
        if name == "bias" {
            table.data.iter_mut().enumerate().for_each(|(at, x)| *x = (at % 3) as f32 * 0.125);
        }
        for item in (9..table.rows).step_by(10) {
            table.data.copy_within((item - 1) * table.cols..item * table.cols, item * table.cols);
            if name == "bias" {
                table.data[item] = table.data[item - 1];
            }
        }
    }
    trainer
}

fn slowly(trainer: &mut Trainer, request: &Request<'_>) -> Vec<Ranked> {
    one_by_one(request, |sample, items, out| trainer.score(request.dataset, &[sample], items, out))
}

fn cases() -> Vec<(Kind, Head, Variant, bool)> {
    let mut cases = Vec::new();
    for kind in [Kind::BprMf, Kind::BiLstm, Kind::BiLstmAttention, Kind::CnnPooling, Kind::Atrank] {
        cases.extend([false, true].map(|categories| (kind, Head::Mean, Variant::Full, categories)));
    }
    for &head in Head::ALL {
        for &variant in Variant::ALL {
            cases.push((Kind::Dmran, head, variant, variant != Variant::Feature));
        }
    }
    cases
}

/// Whether a user's scores are a product of vectors, whose sums run in another order than in the forward pass.
fn is_product(kind: Kind, head: Head) -> bool {
    match kind {
        Kind::Dmran => matches!(head, Head::Mean | Head::Rows),
        kind => matches!(kind, Kind::BprMf | Kind::BiLstm | Kind::CnnPooling),
    }
}

#[test]
fn blocks_rank_as_one_candidate_after_the_other_does() {
    let dataset = log(ITEMS, USERS);
    let samples = test_samples(&dataset, Protocol::Honest);
    let request = Request { dataset: &dataset, samples: &samples, most: 10 };
    for (kind, head, variant, categories) in cases() {
        let mut trainer = model(&config(kind, head, variant, categories, 2), &dataset);
        // The attentive rivals have no faster way to be compared with; a few users are enough.
        let few = Request { samples: &samples[..6], ..request };
        let (got, want) = (trainer.rank(&few), slowly(&mut trainer, &few));
        if !is_product(kind, head) {
            assert_eq!(got, want, "{kind}, {head}, {variant}");
            continue;
        }
        for (got, sample) in got.iter().zip(few.samples) {
            close(&mut trainer, &dataset, *sample, got);
        }
        // Alone a user is ranked as among others, to the last bit.
        let all = trainer.rank(&request);
        // Twins of two categories are none.
        assert!(categories || all.iter().any(|ranked| ranked.rank.ties > 0), "{kind}: no twins");
        for (at, together) in all.iter().enumerate() {
            let alone = Request { samples: &samples[at..=at], ..request };
            assert_eq!(trainer.rank(&alone), std::slice::from_ref(together), "{kind}, {head}, {variant}, user {at}");
        }
    }
}

/// The rank is right but for items whose scores differ by rounding.
fn close(trainer: &mut Trainer, dataset: &Dataset, sample: Sample, got: &Ranked) {
    let items: Vec<u32> = (0..dataset.items() as u32).collect();
    let mut scores = vec![0.0; items.len()];
    trainer.score(dataset, &[sample], &items, &mut scores);
    let events = dataset.history(sample.user).items;
    let (had, target) = (&events[..sample.target as usize], events[sample.target as usize]);
    let own = scores[target as usize];
    let others = || items.iter().filter(|item| **item != target && !had.contains(item)).map(|i| scores[*i as usize]);
    let within = 1e-5 * own.abs().max(1.0);
    let surely = others().filter(|s| *s > own + within).count() as u32;
    let perhaps = others().filter(|s| *s >= own - within).count() as u32;
    assert!((surely..=perhaps).contains(&got.rank.greater) && got.rank.greater + got.rank.ties <= perhaps);
    assert!(perhaps - surely < 12, "the bound tells nothing");
    assert_eq!(got.rank.others, others().count() as u32);
    for pair in got.top.windows(2) {
        assert!(scores[pair[0] as usize] >= scores[pair[1] as usize] - within);
    }
    let best = others().chain([own]).fold(f32::NEG_INFINITY, f32::max);
    assert!(got.top.len() == 10.min(got.rank.others as usize + 1) && scores[got.top[0] as usize] >= best - within);
}

#[test]
fn any_number_of_threads_gives_the_same_figures() {
    let dataset = log(ITEMS, USERS);
    for (kind, head) in
        [(Kind::BprMf, Head::Mean), (Kind::Dmran, Head::Mean), (Kind::Dmran, Head::Vanilla), (Kind::Atrank, Head::Mean)]
    {
        let figures = [1, 2, 5].map(|threads| {
            let mut config = config(kind, head, Variant::Full, true, threads);
            config.eval.k = [1, 5, 5000].into();
            let mut trainer = model(&config, &dataset);
            let exam = Exam::new(&dataset, &config);
            let rivals = trainer.pool().install(|| exam.rivals());
            format!("{:?} {:?} {rivals:?}", exam.figures(&mut trainer), exam.ranks(&mut trainer))
        });
        assert!(figures[0] == figures[1] && figures[1] == figures[2], "{kind}, {head}");
    }
}

#[test]
fn a_cutoff_beyond_the_catalogue_finds_everything_once() {
    let dataset = log(40, 5);
    let mut config = config(Kind::Dmran, Head::Mean, Variant::Full, true, 1);
    config.eval.k = [5000].into();
    let mut trainer = model(&config, &dataset);
    let exam = Exam::new(&dataset, &config);
    let ranks = exam.ranks(&mut trainer);
    // The one who has every item is not ranked.
    assert_eq!(ranks.iter().map(|ranked| ranked.user).collect::<Vec<_>>(), [0, 1, 2, 4]);
    for ranked in &ranks {
        let mut top = ranked.top.clone();
        top.sort_unstable();
        top.dedup();
        assert_eq!((top.len(), top.contains(&ranked.target)), (ranked.rank.others as usize + 1, true));
    }
    assert_eq!(exam.figures(&mut trainer).ranking.get("HR", Some(5000)).unwrap().mean, 1.0);
}

#[test]
fn items_with_nan_stand_above_everything_and_are_never_recommended() {
    let dataset = log(ITEMS, 8);
    let samples: Vec<Sample> = test_samples(&dataset, Protocol::Honest).into_iter().filter(|s| s.user != 3).collect();
    for (kind, head) in [(Kind::BprMf, Head::Mean), (Kind::Dmran, Head::Mean), (Kind::Dmran, Head::Vanilla)] {
        let mut trainer = model(&config(kind, head, Variant::Full, false, 2), &dataset);
        // Nobody has had item 600 but the one who has everything.
        let broken = 600;
        assert_eq!(dataset.popularity()[broken as usize], 1);
        let request = Request { dataset: &dataset, samples: &samples, most: 3 };
        let before = trainer.rank(&request);
        let params = trainer.model_mut().params_mut();
        let v = params.find_table("V").unwrap();
        let table = params.table_mut(v);
        let row = broken as usize * table.cols;
        table.data[row..row + table.cols].fill(f32::NAN);
        for (before, after) in before.iter().zip(trainer.rank(&request)) {
            assert!(!after.top.contains(&broken));
            let above = after.rank.greater - before.rank.greater;
            assert!(
                above <= 1 && before.rank.ties >= after.rank.ties && above + before.rank.ties - after.rank.ties <= 1
            );
        }
        let (got, want) = (trainer.rank(&request), slowly(&mut trainer, &request));
        if !is_product(kind, head) {
            assert_eq!(got, want, "{kind}, {head}");
        }
        let params = trainer.model_mut().params_mut();
        params.table_mut(v).data.fill(f32::NAN);
        for ranked in trainer.rank(&request) {
            assert_eq!((ranked.rank.greater, ranked.rank.ties, ranked.top.len()), (ranked.rank.others, 0, 0));
        }
    }
}

#[test]
fn more_users_than_are_in_memory_at_a_time_are_all_ranked() {
    let dataset = log(30, 4200);
    let mut trainer = model(&config(Kind::BprMf, Head::Mean, Variant::Full, false, 2), &dataset);
    let samples = test_samples(&dataset, Protocol::Honest);
    let all = full_ranking(&mut trainer, &dataset, &samples, 0, 2, 1);
    let some = [0, 1, 4095, 4096, 4099];
    for at in some {
        let request = Request { dataset: &dataset, samples: &samples[at..=at], most: 2 };
        let alone = trainer.rank(&request);
        assert!(alone[0].rank.others == 0 || all.contains(&alone[0]), "user {at}");
    }
    assert!(all.len() > 4150);
}
