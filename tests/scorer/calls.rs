//! The scorer from outside: one model for many threads, no allocation, top-k, cold users, unknown items. That its
//! scores are those of the training forward pass is tested in `equals_training.rs`.

use crate::support::counting::allocations_here;
use crate::support::model_file::{Mmix, parts, small_settings};
use dmran::scorer::{
    Block, Event, Head, Ids, Level, Model, ModelParts, Precision, ScoreError, Scored, Scorer, ScorerError,
    ScorerOptions, Scratch, Settings, Variant, expected_tensors,
};

fn scorer(settings: Settings) -> Scorer {
    Scorer::new(Model::from_parts(parts(settings)).unwrap()).unwrap()
}

/// Every variant with every head, with and without categories.
fn choices() -> impl Iterator<Item = Settings> {
    let each = |&variant: &'static Variant| Head::ALL.iter().map(move |&head| (variant, head));
    Variant::ALL.iter().flat_map(each).flat_map(|(variant, head)| {
        [false, true].map(|categories| Settings { variant, head, categories, ..small_settings() })
    })
}

/// A model with many items: ids `i00000`, `i00001`, ..., some of them with equal vectors and biases.
fn large(items: usize, settings: Settings) -> Scorer {
    let mut random = Mmix(11);
    let names: Vec<String> = (0..items).map(|i| format!("i{i:05}")).collect();
    let (categories, item_category) = match settings.categories {
        true => (Ids::from_sorted(["a", "b", "c"]).unwrap(), (0..items).map(|i| i as u32 / 2 % 3).collect()),
        false => (Ids::default(), Vec::new()),
    };
    let counts = dmran::scorer::Counts { items, categories: categories.len() };
    let tensors = expected_tensors(&settings, counts)
        .into_iter()
        .map(|spec| {
            let (rows, columns) = spec.shape.rows_columns();
            let mut values: Vec<f32> = (0..rows * columns).map(|_| random.weight()).collect();
            // Items come in pairs of twins, whose scores tie.
            if spec.name == "V" || spec.name == "bias" {
                let width = values.len() / items;
                let (twins, _) = values.as_mut_slice().split_at_mut(items / 2 * 2 * width);
                for pair in twins.chunks_exact_mut(2 * width) {
                    let (first, second) = pair.split_at_mut(width);
                    second.copy_from_slice(first);
                }
            }
            (spec.name.to_owned(), values)
        })
        .collect();
    let parts = ModelParts {
        settings,
        items: Ids::from_sorted(names).unwrap(),
        categories,
        item_category,
        card: crate::support::model_file::card(),
        tensors,
    };
    Scorer::new(Model::from_parts(parts).unwrap()).unwrap()
}

fn history(random: &mut Mmix, events: usize, items: usize) -> Vec<Event> {
    (0..events).map(|n| Event { item: random.below(items) as u32, time: n as i64 * 40_000 }).collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn one_model_serves_64_threads() {
    const THREADS: u64 = 64;
    const CALLS: usize = 10_000;
    const DISTINCT: usize = 50;
    fn shared<T: Send + Sync>(_: &T) {}
    let scorer = scorer(small_settings());
    shared(&scorer);
    // What call number i of any thread asks for, and the answer of a single thread.
    let ask: Vec<(Vec<Event>, Vec<u32>)> = (0..DISTINCT)
        .map(|i| {
            let mut random = Mmix(i as u64);
            let history = history(&mut random, 1 + i % 6, 7);
            (history, (0..1 + i % 3).map(|_| random.below(7) as u32).collect())
        })
        .collect();
    let answer = |i: usize, scratch: &mut Scratch, scores: &mut Vec<f32>| {
        let (history, candidates) = &ask[i % DISTINCT];
        scores.resize(candidates.len(), 0.0);
        scorer.encode(history, 300_000, scratch).score(candidates, scores).unwrap();
    };
    let mut scratch = Scratch::new();
    let want: Vec<Vec<u32>> = (0..DISTINCT)
        .map(|i| {
            let mut scores = Vec::new();
            answer(i, &mut scratch, &mut scores);
            bits(&scores)
        })
        .collect();
    assert!(want.windows(2).any(|w| w[0] != w[1]), "the users differ");
    std::thread::scope(|threads| {
        for t in 0..THREADS {
            let (answer, want) = (&answer, &want);
            threads.spawn(move || {
                let (mut scratch, mut scores) = (Scratch::new(), Vec::new());
                for call in 0..CALLS {
                    // Each thread in an order of its own.
                    let i = (call * (2 * t as usize + 1) + t as usize) % DISTINCT;
                    answer(i, &mut scratch, &mut scores);
                    assert!(scores.iter().map(|s| s.to_bits()).eq(want[i].iter().copied()), "thread {t}, call {call}");
                }
            });
        }
    });
}

#[test]
fn warm_calls_do_not_allocate() {
    for settings in choices() {
        let scorer = large(300, settings.clone());
        let mut random = Mmix(3);
        let users: Vec<_> = (0..5).map(|n| history(&mut random, 1 + 4 * n, 300)).collect();
        let candidates: Vec<u32> = (0..280).map(|_| random.below(300) as u32).collect();
        let (mut scratch, mut scores, mut best) = (Scratch::new(), vec![0.0; 280], Vec::new());
        let mut all = |scratch: &mut Scratch| {
            for history in &users {
                let mut user = scorer.encode(history, 700_000, scratch);
                user.score(&candidates, &mut scores).unwrap();
                user.top_k(20, &candidates[..40], &mut best);
                user.top_k_where(7, |item| item % 2 == 0, &mut best);
            }
        };
        all(&mut scratch);
        let before = allocations_here();
        all(&mut scratch);
        assert_eq!(allocations_here() - before, 0, "{settings:?}");
    }
}

#[test]
fn string_ids_do_not_allocate_either() {
    let scorer = scorer(small_settings());
    let history = [("b1", 1), ("日本", 2), ("?", 3), ("🛒", 4)].map(|(item, time)| Event { item, time });
    let mut scratch = Scratch::new();
    scorer.encode(&history, 5, &mut scratch);
    let before = allocations_here();
    assert_eq!(scorer.encode(&history, 5, &mut scratch).unknown(), 1);
    assert_eq!(allocations_here() - before, 0);
}

#[test]
fn top_k_is_the_head_of_all_scores_in_order() {
    // More than one block, the last one not full.
    const ITEMS: usize = 1001;
    for settings in choices() {
        let scorer = large(ITEMS, settings);
        let mut random = Mmix(5);
        let mut scratch = Scratch::new();
        let history = history(&mut random, 9, ITEMS);
        let mut user = scorer.encode(&history, 700_000, &mut scratch);
        let mut scores = vec![0.0; ITEMS];
        user.score_all(&mut scores).unwrap();
        let mut order: Vec<u32> = (0..ITEMS as u32).collect();
        order.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]).then(a.cmp(&b)));
        assert!(order.windows(2).any(|w| scores[w[0] as usize] == scores[w[1] as usize]), "there are ties");

        let mut best = vec![Scored { item: 1, score: 9.0 }];
        let items = |best: &[Scored]| best.iter().map(|b| b.item).collect::<Vec<_>>();
        for k in [0, 1, 2, 10, 255, 256, 257, ITEMS, ITEMS + 5, usize::MAX] {
            user.top_k(k, &[], &mut best);
            assert_eq!(items(&best), order[..k.min(ITEMS)], "k = {k}");
            assert!(best.iter().all(|b| b.score.to_bits() == scores[b.item as usize].to_bits()));
        }
        // Without the best, an item twice and one that does not exist.
        let exclude = [order[3], order[0], order[0], u32::MAX, order[7]];
        let left: Vec<u32> = order.iter().copied().filter(|item| !exclude.contains(item)).collect();
        user.top_k(10, &exclude, &mut best);
        assert_eq!(items(&best), left[..10]);
        let odd: Vec<u32> = order.iter().copied().filter(|item| item % 2 == 1).collect();
        user.top_k_where(30, |item| item % 2 == 1, &mut best);
        assert_eq!(items(&best), odd[..30]);
        user.top_k_where(30, |item| item == 5, &mut best);
        assert_eq!(items(&best), [5]);
    }
}

#[test]
fn all_items_in_a_row_have_the_bits_of_items_by_their_indices_in_every_stored_form() {
    // More than one block; wide enough that both parts of an item's vector are read where they stand.
    const ITEMS: usize = 601;
    for (d, categories) in [(32, true), (64, true), (48, true), (32, false)] {
        for (&head, &precision) in Head::ALL.iter().flat_map(|head| Precision::ALL.iter().map(move |form| (head, form)))
        {
            let model = large(ITEMS, Settings { d, head, categories, ..small_settings() }).model().clone();
            let scorer = Scorer::new(model.with_precision(precision)).unwrap();
            let mut scratch = Scratch::new();
            let history = history(&mut Mmix(5), 9, ITEMS);
            let mut user = scorer.encode(&history, 700_000, &mut scratch);
            let (mut all, mut listed) = (vec![1.0; ITEMS], vec![2.0; ITEMS]);
            user.score_all(&mut all).unwrap();
            // From the last to the first: no two are neighbours in the table's order.
            let ids: Vec<u32> = (0..ITEMS as u32).rev().collect();
            user.score(&ids, &mut listed).unwrap();
            listed.reverse();
            let bits = |scores: &[f32]| scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&all), bits(&listed), "{head} {precision} d={d} categories={categories}");
        }
    }
}

#[test]
fn cold_users_get_the_order_of_the_bias() {
    for settings in choices() {
        for item_bias in [true, false] {
            let scorer = scorer(Settings { item_bias, ..settings.clone() });
            let bias = scorer.model().tensor("bias").map_or(vec![0.0; 7], <[f32]>::to_vec);
            let mut order: Vec<u32> = (0..7).collect();
            order.sort_by(|&a, &b| bias[b as usize].total_cmp(&bias[a as usize]).then(a.cmp(&b)));
            let mut scratch = Scratch::new();
            // A user before, of whom nothing may be left.
            scorer.encode(&[Event { item: 3, time: 0 }], 0, &mut scratch);
            for history in [&[][..], &[Event { item: "?", time: 3 }, Event { item: "", time: 4 }]] {
                let mut user = scorer.encode(history, 100, &mut scratch);
                assert!(user.is_cold() && user.history().is_empty());
                assert_eq!(user.unknown(), history.len());
                let (mut scores, mut best) = ([1.0; 2], Vec::new());
                user.score(&[6, 2], &mut scores).unwrap();
                assert_eq!(scores, [bias[6], bias[2]]);
                user.top_k(7, &[], &mut best);
                assert_eq!(best.iter().map(|b| b.item).collect::<Vec<_>>(), order);
                let why = user.explain(4).unwrap();
                assert_eq!((why.score, why.bias), (bias[4], bias[4]));
                assert!(why.events.is_empty() && why.dimensions.is_empty());
            }
        }
    }
}

#[test]
fn unknown_items_are_skipped_and_counted() {
    let scorer = scorer(small_settings());
    let known = [("b1", 10), ("c", 20), ("é", 90_000)].map(|(item, time)| Event { item, time });
    let mixed = [("nobody", 5), ("b1", 10), ("B1", 15), ("c", 20), ("", 30), ("é", 90_000)]
        .map(|(item, time)| Event { item, time });
    let by_index = [(0, 10), (7, 11), (3, 20), (u32::MAX, 21), (4, 90_000)].map(|(item, time)| Event { item, time });
    let all: Vec<u32> = (0..7).collect();
    let mut scratch = Scratch::new();
    macro_rules! scored {
        ($history:expr) => {{
            let mut user = scorer.encode($history, 200_000, &mut scratch);
            let mut scores = [0.0; 7];
            user.score(&all, &mut scores).unwrap();
            (user.unknown(), user.history().to_vec(), bits(&scores))
        }};
    }
    let (unknown, history, want) = scored!(&known);
    assert_eq!((unknown, history), (0, vec![0, 3, 4]));
    assert_eq!(scored!(&mixed), (3, vec![0, 3, 4], want.clone()));
    assert_eq!(scored!(&by_index), (2, vec![0, 3, 4], want));
}

#[test]
fn the_cap_counts_known_events() {
    let scorer = scorer(Settings { history_cap: 2, ..small_settings() });
    let history = ["?", "b1", "?", "c", "?", "é"].map(|item| Event { item, time: 0 });
    let mut scratch = Scratch::new();
    let user = scorer.encode(&history, 0, &mut scratch);
    assert_eq!((user.history(), user.unknown()), (&[3, 4][..], 1));
}

#[test]
fn broken_calls_are_refused() {
    let scorer = scorer(small_settings());
    let mut scratch = Scratch::new();
    let mut user = scorer.encode(&[Event { item: 1, time: 0 }], 0, &mut scratch);
    let mut scores = [5.0; 2];
    let beyond = ScoreError::NoSuchItem { position: 1, item: 7, items: 7 };
    assert_eq!(user.score(&[6, 7], &mut scores), Err(beyond.clone()));
    assert_eq!(beyond.to_string(), "candidate 1 is item 7; the model has 7 items");
    assert_eq!(user.score(&[6], &mut scores), Err(ScoreError::Length { candidates: 1, scores: 2 }));
    assert_eq!(user.score_all(&mut scores), Err(ScoreError::Length { candidates: 7, scores: 2 }));
    assert_eq!(scores, [5.0; 2], "unchanged");
    assert!(user.explain(7).is_err());
    let missing = [Level::Portable, Level::Neon, Level::Avx2, Level::Avx512].into_iter().find(|l| !l.is_available());
    if let Some(level) = missing {
        let error = Scorer::with_level(scorer.model().clone(), level).unwrap_err();
        assert!(matches!(error, ScorerError::Level(_)), "{error}");
    }
    assert!(matches!(Scorer::load("no such file"), Err(ScorerError::File(_))));
}

#[test]
fn products_are_computed_ahead_where_they_are_of_use_and_wanted() {
    for settings in choices() {
        let scorer = scorer(settings);
        assert_eq!(scorer.is_precomputed(), scorer.settings().variant != Variant::Feature, "{:?}", scorer.settings());
        let options = ScorerOptions { precompute: Some(false), ..ScorerOptions::default() };
        assert!(!Scorer::with_options(scorer.model().clone(), options).unwrap().is_precomputed());
    }
}

#[test]
fn shares_sum_to_one() {
    for (settings, block) in choices().flat_map(|s| Block::ALL.iter().map(move |b| (s.clone(), *b))) {
        let scorer = scorer(Settings { block, ..settings });
        let s = scorer.settings();
        let mut random = Mmix(8);
        let events = history(&mut random, 6, 7);
        let mut scratch = Scratch::new();
        let why = scorer.encode(&events, 700_000, &mut scratch).explain(2).unwrap();
        let sum: f32 = why.events.iter().map(|e| e.share).sum();
        assert!((sum - 1.0).abs() < 1e-5 && why.events.iter().all(|e| e.share > 0.0), "{s:?}: {why:?}");
        assert!(why.events.is_sorted_by(|a, b| a.share >= b.share));
        assert_eq!(why.events.len(), 6);
        let rows = if s.has_item_attention() { s.hops } else { 6 };
        let dimensions = if s.has_feature_attention() { s.d } else { 0 };
        assert_eq!(why.dimensions.len(), dimensions);
        let even = 1.0 / rows as f32 - 1e-6;
        assert!(why.dimensions.iter().all(|d| d.focus >= even && d.focus < 1.0 + 1e-6 && d.row < rows), "{why:?}");
        match (s.has_gate(), s.has_item_attention()) {
            (true, _) => assert!(why.gate > 0.0 && why.gate < 1.0),
            (false, item) => assert_eq!(why.gate, f32::from(item)),
        }
    }
}
