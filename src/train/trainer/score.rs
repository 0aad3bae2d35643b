//! Scores of given candidates through the training's forward pass.

use super::Trainer;
use crate::data::{Dataset, Sample};
use crate::train::shard::{FIXED_WORK, Shard, Source, cut};
use rayon::prelude::*;
use std::ops::Range;

/// Parts into which samples with `per` candidates each are cut for scoring: small ones, whose tapes are small.
pub(crate) fn scoring_shards(samples: usize, per: usize) -> usize {
    samples.div_ceil((64 / per.max(1)).clamp(1, 16))
}

impl Trainer {
    /// Scores of `per` candidates of each sample, into `out` (`samples.len() * per`), on all threads and ranks. The result of
    /// a sample does not depend on the others.
    pub fn score(&mut self, dataset: &Dataset, samples: &[Sample], candidates: &[u32], out: &mut [f32]) {
        self.refresh();
        let per = out.len() / samples.len().max(1);
        let parts: Vec<Range<usize>> = self.team.parts(samples.len()).collect();
        let own = parts[self.team.rank()].clone();
        let all = own.start * per..own.end * per;
        self.score_own(dataset, &samples[own], &candidates[all.clone()], per, &mut out[all]);
        let lengths: Vec<usize> = parts.iter().map(|part| part.len() * per).collect();
        self.team.gather(out, &lengths);
    }

    /// Scores without the other ranks.
    fn score_own(&mut self, dataset: &Dataset, samples: &[Sample], candidates: &[u32], per: usize, out: &mut [f32]) {
        let source = Source::new(dataset, &self.settings);
        let Trainer { model, config, level, pool, tapes, cuts, .. } = self;
        let (model, level, tapes) = (&**model, *level, &*tapes);
        cut(samples.iter().map(|s| source.length(*s)), scoring_shards(samples.len(), per), FIXED_WORK, cuts);
        let mut parts = Vec::with_capacity(cuts.len());
        let mut rest = out;
        for range in cuts.iter() {
            let (part, tail) = rest.split_at_mut(range.len() * per);
            parts.push(part);
            rest = tail;
        }
        pool.install(|| {
            cuts.par_iter().zip(parts).for_each(|(range, out)| {
                tapes.with(Shard::default, |shard| {
                    shard.fill(&source, &samples[range.clone()], &candidates[range.start * per..range.end * per]);
                    shard.forward(model, config.engine, level, |g, output| out.copy_from_slice(g.value(output.scores)));
                });
            });
        });
    }
}
