//! The gradients of a batch: shards side by side, in groups that are nodes of the [tree], each with a workspace and the sum over
//! the shards that are through. Of several ranks each computes its own shards; what they come to is exchanged and summed.

use super::{StepReport, Trainer};
use crate::autograd::tape::Workspace;
use crate::data::Dataset;
use crate::train::config::L2Kind;
use crate::train::loss::{Extent, Terms};
use crate::train::ranks::cost::RowsRead;
use crate::train::sampler::{self, Purpose};
use crate::train::shard::{FIXED_WORK, Job, Shard, cut};
use crate::train::sparse::RowGrads;
use crate::train::tree;
use dmran_kernels::Level;
use dmran_kernels::loss::sum_squares;
use dmran_kernels::optim::add_scaled;
use rayon::prelude::*;
use std::ops::Range;

/// Weights whose squares are summed at a time.
const CHUNK: usize = 1 << 13;

/// Shards of a group, which are computed one after the other: a power of two, so that a group is a node of the tree, and so
/// few that no thread waits long for another at the end.
pub(crate) fn group(shards: usize, threads: usize) -> usize {
    let most = shards.div_ceil(2 * threads).max(1);
    1 << most.ilog2()
}

/// What the shards of a group share.
#[derive(Default)]
pub(super) struct Group {
    workspace: Workspace,
    /// The sum over the shards that are through.
    run: tree::Run,
}

impl Group {
    pub fn bytes(&self) -> usize {
        self.workspace.bytes() + self.run.bytes()
    }
}

/// Calls `pass` for each of the shards from `first` on with its number, on all threads; then `after` with what its pass left in
/// the group.
fn each_shard(
    (first, shards): (usize, &mut [Shard]),
    groups: &mut [Group],
    size: usize,
    pass: impl Fn(usize, &mut Shard) + Sync,
    after: impl Fn(&mut Group) + Sync,
) {
    let groups = shards.par_chunks_mut(size).zip(groups).enumerate().with_max_len(1);
    groups.for_each(|(number, (shards, group))| {
        group.run.begin();
        for (shard, i) in shards.iter_mut().zip(first + number * size..) {
            shard.lent(&mut group.workspace, |shard| pass(i, shard));
            after(group);
        }
    });
}

impl Trainer {
    /// Gradients of the batch that `self.batch` and `self.candidates` hold, summed over the shards by the tree.
    pub(super) fn gradients(&mut self, dataset: &Dataset) -> StepReport {
        self.refresh();
        let source = self.source(dataset);
        let Trainer {
            model,
            config,
            level,
            pool,
            shards,
            groups,
            cuts,
            prologue,
            grads,
            rows,
            whole,
            sampled,
            batch,
            candidates,
            starts,
            shared,
            terms,
            users,
            team,
            shares,
            read,
            squares,
            ..
        } = self;
        let (model, level) = (&**model, *level);
        let most = config.shard_count();
        cut(batch.iter().map(|s| source.length(*s)), most, FIXED_WORK, cuts);
        if shards.len() < cuts.len() {
            shards.resize_with(cuts.len(), Shard::default);
        }
        let shards = &mut shards[..cuts.len()];
        let own = team.own(most, cuts.len());
        let size = group(own.len(), pool.current_num_threads());
        groups.resize_with(own.len().div_ceil(size).max(groups.len()), Group::default);
        let groups = &mut groups[..own.len().div_ceil(size)];
        let step = self.optimizer.step;
        let targets = batch.iter().map(|s| source.rows(*s)).sum();
        let job = Job { model, config, level, batch: Extent { samples: batch.len(), rows: targets }, shared };
        let dropout = |shard: usize| sampler::generator(config.seed, Purpose::Dropout, [step, shard as u64]);
        let mut rank = 0.0;
        let negatives = |shard: usize| sampler::generator(config.seed, Purpose::Shared, [step, shard as u64]);
        let by_users = whole.is_some() || sampled.is_some();
        let keep = |group: &mut Group| group.run.push(level, group.workspace.weight_grads_mut());
        pool.install(|| {
            let of = |i: usize| {
                let range = cuts[i].clone();
                (&batch[range.clone()], &candidates[starts[range.start]..starts[range.end]])
            };
            if by_users {
                let pass = |i: usize, shard: &mut Shard| {
                    let (samples, targets) = of(i);
                    shard.train_users(&job, &source, samples, targets, dropout(i));
                };
                each_shard((own.start, &mut shards[own.clone()]), groups, size, pass, |_| ());
                // Of the others' shards everybody needs to know what they compare with.
                shards.par_iter_mut().enumerate().filter(|(i, _)| !own.contains(i)).for_each(|(i, shard)| {
                    let (samples, targets) = of(i);
                    shard.note_users(config, &source, samples, targets);
                });
                let d = model.items().rows(model.params()).d();
                take_users(shards, d, users);
                let parts: Vec<usize> = if team.is_alone() {
                    Vec::new()
                } else {
                    // As many rows as candidates: a target has one here, itself.
                    let rows = |range: Range<usize>| match &cuts[range] {
                        [] => 0,
                        [first, .., last] => starts[last.end] - starts[first.start],
                        [only] => starts[only.end] - starts[only.start],
                    };
                    (0..team.count()).map(|rank| rows(team.of(rank, most, cuts.len())) * d).collect()
                };
                team.gather(users, &parts);
            } else {
                let pass = |i: usize, shard: &mut Shard| {
                    let (samples, candidates) = of(i);
                    shard.train(&job, &source, samples, candidates, dropout(i), negatives(i));
                };
                each_shard((own.start, &mut shards[own.clone()]), groups, size, pass, keep);
            }
            let d_users = match (whole.as_mut(), sampled.as_mut()) {
                (Some(whole), _) => {
                    rank = whole.loss(model, shards, users, team);
                    Some(whole.d_users())
                }
                (_, Some(sampled)) => {
                    rank = sampled.loss(model, shards, users, (shared, negatives(0)), team);
                    Some(sampled.d_users())
                }
                _ => None,
            };
            if let Some(d_users) = d_users {
                let d = d_users.len() / targets.max(1);
                let pass = |i: usize, shard: &mut Shard| {
                    // A target has one candidate here, itself.
                    let rows = starts[cuts[i].start] * d..starts[cuts[i].end] * d;
                    shard.train_users_backward(&job, &d_users[rows]);
                };
                each_shard((own.start, &mut shards[own.clone()]), groups, size, pass, keep);
            }
            sum(level, groups, grads);
            team.sum(level, grads, cuts.len().div_ceil(most.div_ceil(team.count())));
            let shards = &shards[own.clone()];
            let last = |table: usize| sampled.as_ref().map(|sampled| sampled.lookups(table));
            let cols = |table: usize| model.params().tables()[table].cols;
            let alone = team.is_alone();
            // Two things that leave threads idle, side by side.
            let collect = || {
                for (table, rows) in rows.iter_mut().enumerate() {
                    // What a sample looked up comes last, to the right of all shards.
                    let end = shards.len().next_power_of_two();
                    let of = |i: usize| match shards.get(i) {
                        Some(shard) => Some(shard.lookups(table)),
                        None => last(table).filter(|_| i == end && alone),
                    };
                    rows.collect(level, cols(table), of, if last(table).is_some() { end + 1 } else { shards.len() });
                }
            };
            rayon::join(|| prologue.backward(model, config.engine, level, grads), collect);
            let own_rows = |rows: &RowGrads| rows.rows().len();
            read.clear();
            read.extend(rows.iter().map(|rows| RowsRead { by_rank: own_rows(rows) as f64, ..RowsRead::default() }));
            if !alone {
                team.sum_rows(level, (model.params().tables(), shares), rows, last);
            }
            if let Some(whole) = whole {
                whole.add_rows(rows);
            }
            team.squares(rows, squares);
            for (table, (read, (_, all))) in read.iter_mut().zip(&*squares).enumerate() {
                (read.by_all, read.cols) = (*all as f64, cols(table));
                read.whole = whole.as_ref().is_some_and(|whole| whole.table(table).is_some());
            }
        });
        terms.clear();
        terms.extend(shards[own].iter().map(|shard| shard.terms));
        if !team.is_alone() {
            let mine: Vec<f64> = terms.iter().flat_map(|terms| terms.values()).collect();
            let all = team.gather_f64(&mine);
            terms.clear();
            terms.extend(all.as_chunks().0.iter().map(|values| Terms::from(*values)));
        }
        tree::fold(terms, |left, right| left.add(right));
        let mut terms = terms.first().copied().unwrap_or_default();
        terms.rank += rank;
        let trained = model.params().trained().len();
        if config.l2 == L2Kind::Weights {
            for (grads, weights) in grads.chunks_mut(CHUNK).zip(model.params().trained().chunks(CHUNK)) {
                terms.l2_dense += sum_squares(level, weights);
                add_scaled(level, &mut grads[..weights.len()], 2.0 * config.l2_weight, weights);
            }
        }
        // Fixed chunks, summed in order: the same bits for any number of threads.
        let dense: f64 = grads[..trained].chunks(CHUNK).map(|part| sum_squares(level, part)).sum();
        let is_whole = |table: usize| whole.as_ref().is_some_and(|whole| whole.table(table).is_some());
        let sparse = squares.iter().enumerate().filter(|(table, _)| !is_whole(*table));
        let tables = sparse.map(|(_, (squares, _))| squares).sum::<f64>();
        let norm = (dense + tables + whole.as_ref().map_or(0.0, |whole| whole.sum_squares(squares))).sqrt();
        StepReport { terms, norm, samples: batch.len() }
    }
}

/// Puts the shards' user vectors side by side, of width `d`; zeros where another rank has them.
fn take_users(shards: &[Shard], d: usize, users: &mut Vec<f32>) {
    users.clear();
    for shard in shards {
        let end = users.len() + shard.targets().len() * d;
        users.extend_from_slice(shard.users());
        users.resize(end, 0.0);
    }
}

/// Sums over the groups by the tree; the sum takes the place of `grads`. Runs on the current pool.
fn sum(level: Level, groups: &mut [Group], grads: &mut Vec<f32>) {
    groups.par_iter_mut().for_each(|group| {
        if let Some(sum) = group.run.finish(level) {
            std::mem::swap(sum, group.workspace.weight_grads_mut());
        }
    });
    tree::fold(groups, |left, right| {
        let (left, right) = (left.workspace.weight_grads_mut(), &right.workspace);
        tree::add(level, left, right.weight_grads());
    });
    match groups.first_mut() {
        Some(group) => std::mem::swap(grads, group.workspace.weight_grads_mut()),
        None => grads.fill(0.0),
    }
}
