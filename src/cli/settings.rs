//! Settings of a training run: a TOML file, and flags that win over it.

use super::data_flags::{DataFlags, named};
use super::failure::Failure;
use clap::Args;
use dmran::data::{Protocol, SplitAt};
use dmran::model::Kind;
use dmran::scorer::{Block, Head, TimeKind, Variant};
use dmran::tape::Engine;
use dmran::train::config::{Denominator, L2Kind, NegativesKind, OnNan, OptimizerKind, StopMetric, inner_width};
use dmran::train::{Config, Loss, Preset};
use std::path::PathBuf;

/// Puts the fields that were given over fields of the same names.
macro_rules! over {
    ($from:expr => $to:expr; $($field:ident),+ $(,)?) => {
        $(if let Some(value) = $from.$field { $to.$field = value; })+
    };
}
pub(super) use over;

/// What the settings start from.
#[derive(Args, Debug, Default, Clone)]
pub struct RecipeFlags {
    /// Settings as TOML; flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Named settings that the file and the flags change: paper, auc, or everyday (the default)
    #[arg(long, value_parser = named::<Preset>)]
    pub preset: Option<Preset>,
}

/// Dimensions and choices of the model.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Model")]
pub struct ModelFlags {
    /// Width of every hidden vector
    #[arg(long, value_name = "N")]
    d: Option<usize>,
    /// Hops of the item level attention (the paper's r)
    #[arg(long, short = 'r', value_name = "N")]
    hops: Option<usize>,
    /// How many of a user's latest events the model reads
    #[arg(long, value_name = "N")]
    history_cap: Option<usize>,
    /// Number of time buckets
    #[arg(long, value_name = "N")]
    buckets: Option<usize>,
    /// How an event's age becomes a bucket: paper or atrank; order (its place from the end), age-order (both) or none
    #[arg(long, value_parser = named::<TimeKind>)]
    time: Option<TimeKind>,
    /// full, no-time, item or feature
    #[arg(long, value_parser = named::<Variant>)]
    variant: Option<Variant>,
    /// What follows the feature level attention: transformer or plain
    #[arg(long, value_parser = named::<Block>)]
    block: Option<Block>,
    /// How a candidate reads the user: atrank, vanilla or mean
    #[arg(long, value_parser = named::<Head>)]
    head: Option<Head>,
    /// Heads of the head atrank, and of the models atrank and sasrec; divides d
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Blocks of the model sasrec
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Inner width of the block's feed forward part [default: d / 4]
    #[arg(long, value_name = "N")]
    ff_width: Option<usize>,
    /// Inner width of the head's feed forward part [default: d / 4]
    #[arg(long, value_name = "N")]
    head_ff_width: Option<usize>,
    /// Whether each item has a bias
    #[arg(long, value_name = "BOOL")]
    item_bias: Option<bool>,
    /// Whether half of an item's vector is its category's, where the log has categories
    #[arg(long, value_name = "BOOL")]
    categories: Option<bool>,
    /// Epsilon of the block's layer norms, and of sasrec's
    #[arg(long, value_name = "X")]
    block_eps: Option<f32>,
    /// Epsilon of the head's layer norms
    #[arg(long, value_name = "X")]
    head_eps: Option<f32>,
}

/// The training itself.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Training")]
pub struct TrainFlags {
    /// Passes over the training samples
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Samples a step
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// sgd, adagrad or adam
    #[arg(long, value_parser = named::<OptimizerKind>)]
    optimizer: Option<OptimizerKind>,
    /// Learning rate of the first epoch
    #[arg(long, value_name = "X")]
    lr: Option<f32>,
    /// The learning rate is multiplied by this after each epoch
    #[arg(long, value_name = "X")]
    decay: Option<f32>,
    /// From this step on the learning rate is multiplied by --step-factor; 0 = never
    #[arg(long, value_name = "STEP")]
    step_at: Option<u64>,
    /// See --step-at
    #[arg(long, value_name = "X")]
    step_factor: Option<f32>,
    /// Largest global norm of a gradient; 0 = no limit
    #[arg(long, value_name = "X")]
    clip: Option<f32>,
    /// What the l2 term counts: activation or weights
    #[arg(long, value_parser = named::<L2Kind>)]
    l2: Option<L2Kind>,
    /// Weight of the l2 term
    #[arg(long, value_name = "X")]
    l2_weight: Option<f32>,
    /// Weight of the looked-up rows' l2 term with --l2 weights
    #[arg(long, value_name = "X")]
    l2_rows: Option<f32>,
    /// Weight of the redundancy penalty (the paper's lambda 3)
    #[arg(long, value_name = "X")]
    penalty: Option<f32>,
    /// bce (eq 20, 21), bpr, softmax (eq 18, 19: over all items), or sampled-softmax (over items drawn for a batch)
    #[arg(long, value_name = "NAME")]
    loss: Option<Loss>,
    /// Items that a batch's samples are compared with (sampled-softmax)
    #[arg(long, value_name = "N")]
    shared_negatives: Option<usize>,
    /// Draw shared items in proportion to this power of their training events plus one; 0: uniformly
    #[arg(long, value_name = "X")]
    sampling_power: Option<f32>,
    /// Correct shared items' scores for how often they are drawn: true (the default) or false
    #[arg(long, value_name = "BOOL")]
    logq: Option<bool>,
    /// Items that the softmax losses compare with: all, or unseen (without what the user had before)
    #[arg(long, value_parser = named::<Denominator>)]
    denominator: Option<Denominator>,
    /// When negatives are drawn: fresh (anew in each epoch) or static (once)
    #[arg(long, value_parser = named::<NegativesKind>)]
    negatives: Option<NegativesKind>,
    /// Negatives for each positive
    #[arg(long, value_name = "N")]
    negatives_per_positive: Option<usize>,
    /// Standard deviation of the tables' starting values; 0 = the model's own start
    #[arg(long, value_name = "X")]
    init_std: Option<f32>,
    /// Share of the entries of history vectors that training drops
    #[arg(long, value_name = "X")]
    dropout: Option<f32>,
    /// Parts of a batch that are computed side by side; changes the last bits of results; 0 = by batch size
    #[arg(long, value_name = "N")]
    shards: Option<usize>,
    /// A loss or gradient that is not finite: stop, or halve-lr (take the epoch again with half the learning rate)
    #[arg(long, value_parser = named::<OnNan>)]
    on_nan: Option<OnNan>,
    /// What the best epoch is picked by, on the validation set: ndcg or hr (at 10, a full ranking), auc or loss
    #[arg(long, value_parser = named::<StopMetric>)]
    early_stop_metric: Option<StopMetric>,
    /// End after this many epochs in a row without a better one; 0 = never
    #[arg(long, value_name = "N")]
    patience: Option<usize>,
}

/// Where and how to compute; results do not depend on the threads.
#[derive(Args, Debug, Default, Clone, Copy)]
#[command(next_help_heading = "Computing")]
pub struct ComputeFlags {
    /// fused (SIMD kernels) or naive (the reference, slow)
    #[arg(long, value_parser = named::<Engine>)]
    pub engine: Option<Engine>,
    /// Threads; 0 = one a core, or RAYON_NUM_THREADS. Results do not depend on it
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// How results are measured.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Measuring")]
pub struct EvalFlags {
    /// honest (pick the epoch on each user's second to last event, test on the last; what others did later is learned
    /// from), time (learn from what is before one moment for everybody, test on what comes after) or paper (pick the
    /// epoch on the test set)
    #[arg(long, value_parser = named::<Protocol>)]
    protocol: Option<Protocol>,
    /// The moment of --protocol time: the share of events before it, a date, or seconds since 1970 [default: 0.9]
    #[arg(long, value_name = "MOMENT", allow_negative_numbers = true)]
    split_at: Option<SplitAt>,
    /// Test on all events after the moment of --protocol time one by one, not on each user's first alone
    #[arg(long)]
    test_all: bool,
    #[command(flatten)]
    measure: MeasureFlags,
}

/// How results are measured, whatever the protocol.
#[derive(Args, Debug, Default)]
pub struct MeasureFlags {
    /// The k of HR@k and its like; one or several: 5,10,20
    #[arg(long, short, value_name = "N", value_delimiter = ',')]
    k: Option<Vec<usize>>,
    /// Negatives a user of the validation AUC (honest protocol)
    #[arg(long, value_name = "N")]
    validation_negatives: Option<usize>,
    /// Users of the full ranking, drawn by the seed; 0 = all
    #[arg(long, value_name = "N")]
    rank_users: Option<usize>,
}

impl ModelFlags {
    /// Puts the flags that were given over the settings.
    pub fn apply(&self, config: &mut Config) {
        let model = &mut config.model;
        if let Some(d) = self.d {
            // Widths that were left to follow d follow the new one.
            let follows = [model.ff_width, model.head_ff_width].map(|width| width == inner_width(model.d));
            model.d = d;
            if follows[0] {
                model.ff_width = inner_width(d);
            }
            if follows[1] {
                model.head_ff_width = inner_width(d);
            }
        }
        over!(self => model; hops, history_cap, buckets, time, variant, block, head, heads, layers, ff_width, head_ff_width,
            item_bias, categories, block_eps, head_eps);
    }
}

impl TrainFlags {
    /// Whether the number of epochs was given.
    pub fn has_epochs(&self) -> bool {
        self.epochs.is_some()
    }

    /// Whether the learning rate was given.
    pub fn has_lr(&self) -> bool {
        self.lr.is_some()
    }

    /// Puts the flags that were given over the settings.
    pub fn apply(&self, config: &mut Config) {
        over!(self => config.train; epochs, batch, seed, optimizer, lr, decay, step_at, step_factor, clip, l2,
            l2_weight, l2_rows, penalty, loss, shared_negatives, sampling_power, logq, denominator, negatives, negatives_per_positive, init_std, dropout, shards,
            on_nan, early_stop_metric, patience);
    }
}

impl ComputeFlags {
    /// Puts the flags that were given over the settings.
    pub fn apply(&self, config: &mut Config) {
        over!(self => config.train; engine, threads);
    }
}

impl EvalFlags {
    /// Puts the flags that were given over the settings.
    pub fn apply(&self, config: &mut Config) {
        over!(self => config.eval; protocol, split_at);
        config.eval.test_all |= self.test_all;
        self.measure.apply(config);
    }
}

impl MeasureFlags {
    /// Puts the flags that were given over the settings.
    pub fn apply(&self, config: &mut Config) {
        over!(self => config.eval; validation_negatives, rank_users);
        if let Some(k) = &self.k {
            config.eval.k = k.clone().into();
        }
    }

    /// Whether the number of ranked users was given.
    pub fn has_rank_users(&self) -> bool {
        self.rank_users.is_some()
    }
}

/// The settings of a training run, checked.
pub fn gather(
    recipe: &RecipeFlags,
    kind: Option<Kind>,
    data: &DataFlags,
    model: &ModelFlags,
    train: &TrainFlags,
    compute: ComputeFlags,
    eval: &EvalFlags,
) -> Result<Config, Failure> {
    let mut config = recipe.config(kind)?;
    apply_all(&mut config, data, model, train, compute, eval)?;
    Ok(config)
}

/// Puts all flags that were given over `config`, and checks it.
pub fn apply_all(
    config: &mut Config,
    data: &DataFlags,
    model: &ModelFlags,
    train: &TrainFlags,
    compute: ComputeFlags,
    eval: &EvalFlags,
) -> Result<(), Failure> {
    data.apply(&mut config.data);
    model.apply(config);
    train.apply(config);
    compute.apply(config);
    eval.apply(config);
    Ok(config.validate()?)
}

impl RecipeFlags {
    /// The text of the file of settings; empty without one.
    pub fn text(&self) -> Result<String, Failure> {
        let Some(path) = &self.config else { return Ok(String::new()) };
        let bytes = std::fs::read(path).map_err(|error| self.wrong(&error))?;
        String::from_utf8(bytes).map_err(|_| self.wrong(&"is not UTF-8 text"))
    }

    /// The preset with the file over it; `kind` wins over the file's model.
    pub fn config(&self, kind: Option<Kind>) -> Result<Config, Failure> {
        Config::from_toml_over(&self.text()?, self.preset, kind).map_err(|error| self.wrong(&error))
    }

    /// A complaint about the file.
    pub fn wrong(&self, why: &dyn std::fmt::Display) -> Failure {
        match &self.config {
            Some(path) => Failure::Input(format!("{}: {why}", path.display())),
            None => Failure::Input(why.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, flags: ModelFlags) -> Config {
        let mut config = Config::from_toml(text).unwrap();
        flags.apply(&mut config);
        config
    }

    #[test]
    fn flags_win_over_the_file() {
        let config = with("[model]\nd = 64\nhops = 3", ModelFlags { hops: Some(5), ..Default::default() });
        assert_eq!((config.model.d, config.model.hops), (64, 5));
    }

    #[test]
    fn inner_widths_follow_the_width_of_a_flag() {
        let d = || ModelFlags { d: Some(16), ..Default::default() };
        let model = with("", d()).model;
        assert_eq!((model.ff_width, model.head_ff_width), (4, 4));
        let model = with("[model]\nff_width = 9", d()).model;
        assert_eq!((model.ff_width, model.head_ff_width), (9, 4));
        let model = with("", ModelFlags { ff_width: Some(7), ..d() }).model;
        assert_eq!((model.ff_width, model.head_ff_width), (7, 4));
    }
}
