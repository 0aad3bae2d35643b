//! The scorer gives the bits of the training forward pass (fused engine), on every SIMD level of this CPU, for every
//! variant, head, block and kind of item vector; and `explain` agrees with the attention that the forward pass formed.

use crate::support::model_file::{Mmix, parts};
use dmran::autograd::tape::{Engine, Graph, Tape};
use dmran::model::{Batch, Dmran, Model as _, last_rows};
use dmran::scorer::{
    Block, Event, Head, LastEvent, Level, Model, Scorer, ScorerOptions, Scratch, Settings, TimeKind, Variant,
};
use dmran::spec::time;
use dmran::train::prologue::Prologue;

const DAY: i64 = 86_400;

/// The trainable model with a scorer model's numbers.
fn trainable(model: &Model) -> Dmran {
    let counts = model.counts();
    let mut dmran =
        Dmran::new(model.settings().clone(), counts.items, counts.categories, model.item_category().to_vec()).unwrap();
    let params = dmran.params_mut();
    for tensor in model.tensors() {
        let to = match (params.find_table(tensor.name()), params.find(tensor.name())) {
            (Some(id), _) => &mut params.table_mut(id).data[..],
            (None, Some(id)) => params.get_mut(id),
            (None, None) => panic!("training has no {}", tensor.name()),
        };
        to.copy_from_slice(tensor.values());
    }
    dmran
}

/// A model with weights in `[-scale / 2, scale / 2]`.
fn model(settings: Settings, scale: f32) -> Model {
    let mut parts = parts(settings);
    parts.tensors.iter_mut().flat_map(|(_, values)| values).for_each(|v| *v *= scale);
    Model::from_parts(parts).unwrap()
}

/// Every combination of choices, at the given width, hops and buckets.
fn settings(d: usize, hops: usize, buckets: usize) -> Vec<Settings> {
    let mut all = Vec::new();
    for &variant in Variant::ALL {
        for &head in Head::ALL {
            for &block in Block::ALL {
                for (categories, last) in [(false, LastEvent::None), (true, LastEvent::Row)] {
                    for (time, item_bias) in [(TimeKind::Paper, true), (TimeKind::None, false)] {
                        all.push(Settings {
                            d,
                            hops,
                            buckets,
                            history_cap: 25,
                            variant,
                            head,
                            heads: 2,
                            block,
                            categories,
                            last,
                            time,
                            item_bias,
                            ff_width: 5,
                            head_ff_width: 3,
                            ..Settings::default()
                        });
                    }
                }
            }
        }
    }
    all
}

struct Case {
    now: i64,
    histories: Vec<Vec<Event>>,
    /// As many for each history.
    candidates: Vec<Vec<u32>>,
}

/// What a [`Batch`] borrows.
struct Inputs {
    users: Vec<u32>,
    history: Vec<u32>,
    buckets: Vec<u32>,
    offsets: Vec<u32>,
    rows: Vec<u32>,
    candidates: Vec<u32>,
}

impl Inputs {
    fn batch(&self) -> Batch<'_> {
        Batch {
            users: &self.users,
            history: &self.history,
            buckets: &self.buckets,
            offsets: &self.offsets,
            rows: &self.rows,
            candidates: &self.candidates,
            dropout: None,
        }
    }
}

impl Case {
    fn new(lengths: &[usize], candidates: usize, seed: u64) -> Case {
        let mut random = Mmix(seed);
        let now = 20_000 * DAY;
        let mut item = |_| random.below(7) as u32;
        let candidates = lengths.iter().map(|_| (0..candidates).map(&mut item).collect()).collect();
        let histories = lengths
            .iter()
            .map(|&n| {
                let ages = (0..n as i64).rev().map(|k| now - k * k * DAY);
                ages.map(|time| Event { item: item(0), time }).collect()
            })
            .collect();
        Case { now, histories, candidates }
    }

    /// All users as training reads them.
    fn inputs(&self, s: &Settings) -> Inputs {
        let events = || self.histories.iter().flatten();
        let mut offsets = vec![0];
        for history in &self.histories {
            offsets.push(offsets[offsets.len() - 1] + history.len() as u32);
        }
        Inputs {
            users: vec![0; self.histories.len()],
            history: events().map(|e| e.item).collect(),
            buckets: events().map(|e| time::bucket(s.time, s.buckets, e.time, self.now)).collect(),
            rows: last_rows(&offsets),
            offsets,
            candidates: self.candidates.concat(),
        }
    }

    /// Scores of all candidates by the training forward pass over the whole batch at once.
    fn trained(&self, dmran: &mut Dmran, level: Level) -> Vec<f32> {
        Prologue::default().forward(dmran, Engine::Fused, level);
        let inputs = self.inputs(dmran.settings());
        let mut tape = Tape::default();
        let g = &mut Graph::new(dmran.params(), &mut tape, Engine::Fused, level);
        let scores = dmran.forward(g, &inputs.batch()).scores;
        g.value(scores).to_vec()
    }

    /// The same by the scorer, user after user.
    fn scored(&self, scorer: &Scorer, scratch: &mut Scratch) -> Vec<f32> {
        let mut all = Vec::new();
        for (history, candidates) in self.histories.iter().zip(&self.candidates) {
            let mut scores = vec![0.0; candidates.len()];
            scorer.encode(history, self.now, scratch).score(candidates, &mut scores).unwrap();
            all.extend(scores);
        }
        all
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

fn check(all: &[Settings], scale: f32, cases: &[Case]) {
    // One scratch for all models and users: nothing of one may be left in the next.
    let mut scratch = Scratch::new();
    for settings in all {
        let model = model(settings.clone(), scale);
        let mut dmran = trainable(&model);
        for &level in Level::available() {
            let scorers = [true, false].map(|precompute| {
                let options = ScorerOptions { level: Some(level), precompute: Some(precompute) };
                Scorer::with_options(model.clone(), options).unwrap()
            });
            for case in cases {
                let want = case.trained(&mut dmran, level);
                assert!(want.iter().all(|x| x.is_finite()), "{settings:?}");
                for scorer in &scorers {
                    let got = case.scored(scorer, &mut scratch);
                    assert_eq!(bits(&got), bits(&want), "{level}: {settings:?}\n{got:?}\n{want:?}");
                }
            }
        }
    }
}

#[test]
fn every_choice_has_the_training_bits() {
    let cases = [Case::new(&[1, 3, 25], 5, 1), Case::new(&[2, 9], 40, 2)];
    check(&settings(16, 3, 4), 1.0, &cases);
}

#[test]
fn odd_sizes_and_a_part_of_a_block_have_the_training_bits() {
    check(&settings(6, 1, 14), 1.0, &[Case::new(&[1, 7, 20], 67, 3)]);
    let odd: Vec<_> = settings(19, 5, 3)
        .into_iter()
        .filter(|s| !s.categories)
        .map(|s| Settings { heads: 1, last: LastEvent::Row, ..s })
        .collect();
    check(&odd, 1.0, &[Case::new(&[4, 12], 17, 4)]);
}

/// Where tanh saturates and the softmax has to subtract its maximum.
#[test]
fn large_weights_have_the_training_bits() {
    check(&settings(18, 4, 4), 30.0, &[Case::new(&[1, 3, 17], 5, 5)]);
}

/// More candidates than a block has, and the whole table.
#[test]
fn many_candidates_have_the_bits_of_one() {
    let mut scratch = Scratch::new();
    let case = Case::new(&[9], 600, 6);
    for settings in settings(16, 3, 4) {
        let scorer = Scorer::new(model(settings, 1.0)).unwrap();
        let mut user = scorer.encode(&case.histories[0], case.now, &mut scratch);
        let (mut many, mut all) = (vec![0.0; 600], vec![0.0; 7]);
        user.score(&case.candidates[0], &mut many).unwrap();
        user.score_all(&mut all).unwrap();
        for (&item, score) in case.candidates[0].iter().zip(many) {
            let mut one = [0.0];
            user.score(&[item], &mut one).unwrap();
            assert_eq!(bits(&one), bits(&[score]));
            assert_eq!(one[0].to_bits(), all[item as usize].to_bits());
        }
    }
}

/// Only the latest `history_cap` events are read.
#[test]
fn a_long_history_is_cut_to_its_latest_events() {
    let mut scratch = Scratch::new();
    let case = Case::new(&[40], 7, 7);
    let scorer = Scorer::new(model(settings(16, 3, 4)[0].clone(), 1.0)).unwrap();
    let history = &case.histories[0];
    let (mut whole, mut cut) = ([0.0; 7], [0.0; 7]);
    scorer.encode(history, case.now, &mut scratch).score(&case.candidates[0], &mut whole).unwrap();
    scorer.encode(&history[15..], case.now, &mut scratch).score(&case.candidates[0], &mut cut).unwrap();
    assert_eq!(bits(&whole), bits(&cut));
}

/// With the head `mean` and the variant `item` an event's share is the mean of A over the hops.
#[test]
fn explain_follows_the_attention_of_the_forward_pass() {
    let all = settings(16, 3, 4);
    let settings = all.iter().find(|s| s.variant == Variant::Item && s.head == Head::Mean).unwrap();
    let model = model(settings.clone(), 3.0);
    let case = Case::new(&[6], 1, 8);
    let mut dmran = trainable(&model);
    let level = Level::best();
    Prologue::default().forward(&mut dmran, Engine::Fused, level);
    let inputs = case.inputs(settings);
    let mut tape = Tape::default();
    let g = &mut Graph::new(dmran.params(), &mut tape, Engine::Fused, level);
    let (output, trace) = dmran.trace(g, &inputs.batch());
    let a = g.value(trace.a.unwrap());
    let scorer = Scorer::with_level(model, level).unwrap();
    let mut scratch = Scratch::new();
    let why = scorer.encode(&case.histories[0], case.now, &mut scratch).explain(case.candidates[0][0]).unwrap();
    assert_eq!(why.score.to_bits(), g.value(output.scores)[0].to_bits());
    assert_eq!((why.gate, why.dimensions.len(), why.events.len()), (1.0, 0, 6));
    for event in &why.events {
        let want = a[event.position * 3..][..3].iter().sum::<f32>() / 3.0;
        assert!((event.share - want).abs() < 1e-6, "{event:?}, not {want}");
        assert_eq!(event.item, inputs.history[event.position]);
    }
}

/// The focus and the way of the shares through the feature level, against the naive engine's beta.
#[test]
fn explain_follows_beta_of_the_naive_engine() {
    let all = settings(16, 3, 4);
    let settings = all.iter().find(|s| s.variant == Variant::Feature && s.head == Head::Mean).unwrap();
    let model = model(settings.clone(), 3.0);
    let dmran = trainable(&model);
    let case = Case::new(&[6], 1, 9);
    let inputs = case.inputs(settings);
    let mut tape = Tape::default();
    let g = &mut Graph::new(dmran.params(), &mut tape, Engine::Naive, Level::Portable);
    let (_, trace) = dmran.trace(g, &inputs.batch());
    // One row a pair, i by i.
    let beta = g.value(trace.alignment.unwrap().beta);
    let scorer = Scorer::new(model).unwrap();
    let mut scratch = Scratch::new();
    let why = scorer.encode(&case.histories[0], case.now, &mut scratch).explain(case.candidates[0][0]).unwrap();
    assert_eq!((why.gate, why.dimensions.len()), (0.0, 16));
    let mean = |j: usize, k: usize| (0..6).map(|i| beta[(i * 6 + j) * 16 + k]).sum::<f32>() / 6.0;
    for event in &why.events {
        let want = (0..16).map(|k| mean(event.position, k)).sum::<f32>() / 16.0;
        assert!((event.share - want).abs() < 1e-5, "{event:?}, not {want}");
    }
    for focus in &why.dimensions {
        let want = (0..6).map(|j| mean(j, focus.dimension)).fold(0.0, f32::max);
        assert!((focus.focus - want).abs() < 1e-5, "{focus:?}, not {want}");
        assert!((mean(focus.row, focus.dimension) - want).abs() < 1e-5);
    }
}

/// The last event's row is the last event's: with the head `mean` and the variant `item` a share is the mean over hops and row.
/// With the head `rows` all of what is added counts, and shares still sum to 1.
#[test]
fn explain_gives_the_last_events_row_to_the_last_event() {
    let all = settings(16, 3, 4);
    let case = Case::new(&[6], 1, 10);
    let of = |head, variant| {
        let settings = all.iter().find(|s| s.variant == variant && s.head == head).unwrap().clone();
        let scorer = Scorer::new(model(Settings { last: LastEvent::Row, ..settings.clone() }, 3.0)).unwrap();
        let mut scratch = Scratch::new();
        let why = scorer.encode(&case.histories[0], case.now, &mut scratch).explain(case.candidates[0][0]).unwrap();
        let mut shares: Vec<_> = why.events.iter().map(|e| (e.position, e.share)).collect();
        shares.sort_by_key(|(position, _)| *position);
        let shares: Vec<f32> = shares.into_iter().map(|(_, share)| share).collect();
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{settings:?}: {shares:?}");
        assert!(shares.iter().all(|share| *share > 0.0), "{settings:?}: {shares:?}");
        shares
    };
    // A quarter is the row's; of the rest the hops have a third each, whose weights sum to 1 over the events.
    let mean = of(Head::Mean, Variant::Item);
    assert!(mean[5] > 0.25 && mean[..5].iter().sum::<f32>() < 0.75, "{mean:?}");
    for variant in [Variant::Item, Variant::Full, Variant::NoTime] {
        of(Head::Rows, variant);
    }
    assert_ne!(of(Head::Rows, Variant::Item), mean);
}
