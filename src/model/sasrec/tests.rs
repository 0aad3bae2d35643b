use super::*;
use crate::autograd::ops::dropout::Rate;
use crate::autograd::tape::Tape;
use crate::model::last_rows;
use dmran_kernels::Level;

const HISTORY: [u32; 9] = [3, 1, 4, 1, 5, 2, 0, 5, 3];
const OFFSETS: [u32; 4] = [0, 5, 6, 9];
const CANDIDATES: [u32; 18] = [1, 0, 4, 2, 1, 3, 5, 5, 2, 0, 4, 1, 0, 0, 5, 2, 3, 1];

fn model(categories: bool) -> SasRec {
    let settings = Settings { d: 6, heads: 2, layers: 2, history_cap: 5, categories, ..Settings::default() };
    let sizes = Sizes { users: 3, items: 6, categories: 2, item_category: vec![0, 1, 1, 0, 0, 1] };
    let mut model = SasRec::new(&settings, &sizes, Start { seed: 3, table_std: Some(0.5) }).unwrap();
    // Vectors that start at 0 or 1 would hide what is wrong with them.
    let values = model.params.trained_mut();
    (0..values.len()).for_each(|i| values[i] += ((i * 7919 + 13) % 17) as f32 / 40.0 - 0.2);
    model.params.repack();
    model
}

fn batch<'a>(history: &'a [u32], rows: &'a [u32], candidates: &'a [u32]) -> Batch<'a> {
    let (users, buckets) = (&[0, 1, 2], &[0; 9]);
    Batch { users, history, buckets, offsets: &OFFSETS, rows, candidates, dropout: None }
}

fn every() -> Vec<u32> {
    (0..9).collect()
}

/// User vectors of the fused engine, row by row.
fn users(model: &SasRec, batch: &Batch<'_>, level: Level) -> Vec<Vec<f32>> {
    let mut tape = Tape::default();
    let mut g = Graph::new(&model.params, &mut tape, Engine::Fused, level);
    let u = model.users(&mut g, batch).unwrap().u;
    g.value(u).chunks(6).map(<[f32]>::to_vec).collect()
}

/// Writes one number of a model.
type Setter<'a> = Box<dyn FnMut(&mut SasRec, f32) + 'a>;

#[test]
fn an_event_sees_those_before_it_and_none_after() {
    let (model, every) = (model(false), every());
    for &level in Level::available() {
        let all = users(&model, &batch(&HISTORY, &every, &[]), level);
        for changed in 0..9 {
            let mut other = HISTORY;
            other[changed] = (other[changed] + 1) % 6;
            let got = users(&model, &batch(&other, &every, &[]), level);
            let end = OFFSETS.iter().find(|end| **end as usize > changed).map_or(9, |end| *end as usize);
            for row in 0..9 {
                let sees = (changed..end).contains(&row);
                assert_eq!(got[row] != all[row], sees, "{level}: row {row} after event {changed} was changed");
            }
        }
        let last = last_rows(&OFFSETS);
        let alone = users(&model, &batch(&HISTORY, &last, &[]), level);
        assert_eq!(alone, last.iter().map(|row| all[*row as usize].clone()).collect::<Vec<_>>(), "{level}");
    }
}

#[test]
fn places_count_from_the_end_of_the_history() {
    let mut model = model(false);
    let (every, level) = (every(), Level::best());
    let before = users(&model, &batch(&HISTORY, &every, &[]), level);
    // The place two before the last: of the histories of 5, 1 and 3 events the first and the last have it.
    model.params.table_mut(model.positions).data[2 * 6..3 * 6].fill(1.0);
    let after = users(&model, &batch(&HISTORY, &every, &[]), level);
    let changed: Vec<usize> = (0..9).filter(|row| before[*row] != after[*row]).collect();
    assert_eq!(changed, [2, 3, 4, 6, 7, 8]);
}

fn scores(model: &SasRec, engine: Engine, level: Level, dropout: Option<Rate>) -> (Vec<f32>, Tape, Var) {
    let (every, mut tape) = (every(), Tape::default());
    let mut g = Graph::new(&model.params, &mut tape, engine, level);
    let output = model.forward(&mut g, &Batch { dropout, ..batch(&HISTORY, &every, &CANDIDATES) });
    (g.value(output.scores).to_vec(), tape, output.scores)
}

#[test]
fn both_engines_drop_the_same_and_agree() {
    for categories in [false, true] {
        let model = model(categories);
        for dropout in [None, Some(Rate { rate: 0.5, seed: 9 })] {
            let naive = scores(&model, Engine::Naive, Level::best(), dropout).0;
            for &level in Level::available() {
                let fused = scores(&model, Engine::Fused, level, dropout).0;
                for (got, want) in fused.iter().zip(&naive) {
                    assert!((got - want).abs() < 1e-5, "{level} {dropout:?}: {got} is not {want}");
                }
            }
        }
        let [a, b] = [9, 10].map(|seed| Rate { rate: 0.5, seed });
        let of = |rate| scores(&model, Engine::Fused, Level::best(), Some(rate)).0;
        assert_eq!(of(a), of(a));
        assert_ne!(of(a), of(b));
    }
}

/// A fixed weighting of the scores, so that no gradient cancels by symmetry.
fn weight(i: usize) -> f32 {
    ((i * 7919 + 13) % 17) as f32 / 8.5 - 0.9
}

#[test]
fn gradients_match_finite_differences() {
    let dropout = Some(Rate { rate: 0.3, seed: 4 });
    for engine in [Engine::Fused, Engine::Naive] {
        let mut model = model(true);
        let level = Level::best();
        let (_, mut tape, out) = scores(&model, engine, level, dropout);
        Graph::resume(&model.params, &mut tape, engine, level).backward_from(|grads| {
            grads.of(out).iter_mut().enumerate().for_each(|(i, d)| *d = weight(i));
        });
        let loss = |model: &SasRec| -> f64 {
            let scores = scores(model, engine, level, dropout).0;
            scores.iter().enumerate().map(|(i, s)| f64::from(*s) * f64::from(weight(i))).sum()
        };
        let check = |what: &str, got: f32, mut set: Setter<'_>, model: &mut SasRec| {
            let step = 2e-3f32;
            let mut side = |by: f32| {
                set(model, by);
                model.params.repack();
                loss(model)
            };
            let (up, down) = (side(step), side(-2.0 * step));
            side(step);
            let want = (up - down) / (2.0 * f64::from(step));
            assert!((f64::from(got) - want).abs() < 0.01 + 0.01 * want.abs(), "{engine:?} {what}: {got}, {want}");
        };
        let dense = tape.weight_grads()[..model.params.trained().len()].to_vec();
        for (i, got) in dense.iter().enumerate() {
            let name = model.params.name_at(i).to_owned();
            check(&name, *got, Box::new(move |m, by| m.params.trained_mut()[i] += by), &mut model);
        }
        let mut tables: Vec<Vec<f32>> = model.params.tables().iter().map(|t| vec![0.0; t.data.len()]).collect();
        for read in tape.gathered() {
            let cols = model.params.table(read.table).cols;
            for (id, grad) in tape.ids(read.ids).iter().zip(tape.grad(read.var).chunks(read.var.cols)) {
                let row = &mut tables[read.table.0][*id as usize * cols..][..cols];
                row.iter_mut().zip(&grad[read.column..]).for_each(|(sum, g)| *sum += g);
            }
        }
        for (t, grads) in tables.iter().enumerate() {
            let name = model.params.tables()[t].name.clone();
            for (i, got) in grads.iter().enumerate() {
                let set = move |m: &mut SasRec, by| m.params.table_mut(TableId(t)).data[i] += by;
                check(&name, *got, Box::new(set), &mut model);
            }
        }
    }
}

#[test]
fn heads_must_divide_the_width() {
    let settings = Settings { d: 6, heads: 4, ..Settings::default() };
    let error = SasRec::new(&settings, &Sizes::default(), Start { seed: 1, table_std: None }).err();
    assert_eq!(error, Some(SettingsError::HeadsDoNotDivide { d: 6, heads: 4 }));
}
