//! How much memory a run will take, told before it starts.
//!
//! Workspaces are not computed from formulas, which nobody would keep up with the models, but from a model with tables
//! of a hundred rows: its tapes are measured on a few short histories, which tells what a sample, an event and a square
//! of a history's length take. The batches of the first epoch and of the measuring are then cut into shards
//! and blocks as the trainer would cut them.

mod probe;

use crate::data::{
    Dataset, Negatives, Protocol, Sample, last_of_each_user, test_samples, train_samples, validation_samples,
};
use crate::model::BuildError;
use crate::scorer::{Counts, TensorSpec, expected_tensors};
use crate::train::config::{Config, OnNan};
use crate::train::evaluate::USERS;
use crate::train::losses::Against;
use crate::train::rank::{self, RanksBy};
use crate::train::rivals::ItemKnn;
use crate::train::sampler::epoch_order;
use crate::train::shard::{FIXED_WORK, Source, cut, cut_blocks};
use crate::train::trainer::{group, scoring_shards};
use crate::train::tree::partial_sums;
use dmran_kernels::Level;
use probe::{Load, Probe, Shape};
use std::fmt;

/// Code, stacks and the allocator's own: what training takes beside its arrays. Measured.
const PROGRAM: u64 = 4 << 20;
/// The same for each thread.
const THREAD: u64 = 1 << 18;
/// Batches of an epoch that are looked at.
const BATCHES: usize = 4096;

/// An estimate of a run's memory in bytes, part by part.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// What the process holds before the run, the log above all.
    pub present: u64,
    /// The most that it has held so far: reading a log takes more than having it.
    pub peak_before: u64,
    /// The model's weights, in all their forms.
    pub parameters: u64,
    /// The optimiser's state.
    pub optimizer: u64,
    /// Copies of weights that a run carries along: the best epoch's, and where `on_nan` goes back to.
    pub copies: u64,
    /// Samples, their order, and what users own.
    pub samples: u64,
    /// Tapes, gradients and everything else that a step or a measurement works on.
    pub workspaces: u64,
    /// What comes on top at the end: the model as it is written, and the examples shown.
    pub finish: u64,
    /// What comes on top of parameters and optimiser while a checkpoint is loaded.
    pub loading: u64,
}

impl Memory {
    /// What a run of the model takes at least: its weights and the best epoch's, nothing else. For a first check, which
    /// costs nothing; [`Memory::estimate`] builds a model with small tables but all other weights.
    pub fn least(config: &Config, dataset: &Dataset) -> u64 {
        let counts = Counts { items: dataset.items(), categories: dataset.categories() };
        let numbers = |spec: TensorSpec| {
            let (rows, columns) = spec.shape.rows_columns();
            let (rows, columns) = (rows as u64, columns as u64);
            // Only what every model has: the item vectors and one matrix of the model's width.
            if matches!(spec.name, "V" | "C" | "W_v") { rows.saturating_mul(columns) } else { 0 }
        };
        expected_tensors(&config.model, counts).into_iter().map(numbers).fold(0, u64::saturating_add).saturating_mul(8)
    }

    /// The estimate for the model `name` (see [`build`](crate::model::build())) on `dataset`, on as many threads as the
    /// configuration asks for. `checkpoint` is the length of the checkpoint that the run goes on from, 0 without one.
    ///
    /// # Errors
    /// If there is no such model, or its settings break a rule.
    pub fn estimate(
        name: &str,
        config: &Config,
        dataset: &Dataset,
        level: Level,
        checkpoint: u64,
    ) -> Result<Memory, BuildError> {
        // Before the probe: what it leaves behind is used again.
        let (present, peak_before) = process(dataset);
        let probe = Probe::new(name, config, dataset, level)?;
        let sizes = probe.sizes();
        let train = &config.train;
        let negatives = Negatives::new(dataset);
        let (protocol, split) = (config.eval.protocol, config.eval.split());
        let mut samples = train_samples(dataset, split);
        samples.retain(|sample| negatives.available(sample.user) > 0);
        let test = test_samples(dataset, split);
        let validation = if protocol == Protocol::Paper { test.clone() } else { validation_samples(dataset, split) };
        let users = dataset.users() as u64;
        let listed = (samples.len() + validation.len() + test.len()) as u64;

        let mut shards = Shards::default();
        let every_position = probe.every_position();
        let source = Source { every_position, ..Source::new(dataset, &config.model) };
        if every_position {
            last_of_each_user(&mut samples);
        }
        let mut order = Vec::new();
        epoch_order(samples.len(), train.seed, 0, &mut order);
        let per = train.candidates_per_row();
        let mut lookups = [0u64; 2];
        let load = probe.training(per);
        let whole_batches = train.loss.against() != Against::Own;
        let mut most_rows = 0;
        for batch in order.chunks(train.batch).take(BATCHES) {
            let batch: Vec<Sample> = batch.iter().map(|at| samples[*at as usize]).collect();
            shards.take(&source, &batch, train.shard_count(), &load, per, probe.in_blocks() && !whole_batches);
            let rows: usize = batch.iter().map(|s| source.rows(*s)).sum();
            most_rows = most_rows.max(rows);
            let events: usize = batch.iter().map(|s| source.length(*s)).sum();
            lookups[0] = lookups[0].max(events as u64);
            lookups[1] = lookups[1].max(probe.candidates(rows, per, train.shard_count()) as u64);
        }
        let threads = match train.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let against = if protocol == Protocol::Paper { 1 } else { config.eval.validation_negatives };
        let mut scoring = 0;
        for (list, per) in [(&validation, 1 + against), (&test, 2)] {
            let load = probe.scoring(per);
            for part in list.chunks(USERS) {
                let mut tapes = Shards::default();
                tapes.take(&source, part, scoring_shards(part.len(), per), &load, per, false);
                scoring = scoring.max(tapes.largest());
            }
        }
        let (items, d) = (dataset.items(), config.model.d);
        let lengths = test.iter().map(|sample| source.length(*sample));
        let ranking = match probe.ranks_by() {
            RanksBy::Products => rank::fixed::bytes(users as usize, items, d, threads) as u64,
            RanksBy::Scorer => 4 * (items * (d + threads)) as u64 + sizes.dense,
            RanksBy::Blocks => {
                let load = probe.scoring(rank::BLOCK.min(items));
                let longest = load.of(lengths.max().into_iter(), rank::BLOCK.min(items));
                scoring = scoring.max(longest.bytes());
                4 * (items * (1 + threads)) as u64
            }
        };
        let rivals = (8 * ItemKnn::most_neighbours(dataset, split) + 8 * dataset.events() + 4 * threads * items) as u64;
        // Of the weights the best epoch's and those that on_nan goes back to; of their average, where one is kept, the running one
        // and again that one.
        let kinds = if train.average > 0.0 { 2 } else { 1 };
        let copies = sizes.trained * kinds * if train.on_nan == OnNan::HalveLr { 2 } else { 1 };
        let optimizer = train.optimizer.states() as u64 * sizes.trained;
        let rolled_back = if train.on_nan == OnNan::HalveLr { optimizer } else { 0 };
        Ok(Memory {
            present,
            peak_before,
            parameters: sizes.parameters,
            optimizer,
            copies: copies + rolled_back,
            samples: 8 * listed + 4 * samples.len() as u64 + 4 * dataset.events() as u64 + 8 * users,
            workspaces: with_holes(shards.bytes(threads))
                + sizes.dense
                + probe.catalogue(most_rows)
                + probe.lookups(lookups)
                + probe.row_gradients(lookups)
                + with_holes(scoring) * threads as u64
                + (ranking + 96 * users + 4 * dataset.events() as u64).max(rivals)
                + 64 * USERS as u64 * (1 + against) as u64
                + 24 * users
                + PROGRAM
                + THREAD * threads as u64,
            // The model as it is written, which is also that of the examples, with its packed forms.
            finish: sizes.parameters,
            loading: checkpoint,
        })
    }

    /// That of one of several ranks, each of which has state and copies of its own rows of the tables alone: about.
    #[must_use]
    pub fn shared(self, ranks: usize) -> Memory {
        let part = |bytes: u64| bytes / ranks.max(1) as u64;
        Memory { optimizer: part(self.optimizer), copies: part(self.copies), loading: part(self.loading), ..self }
    }

    /// The most that the process will hold.
    pub fn peak(&self) -> u64 {
        let trainer = self.present + self.parameters + self.optimizer + self.samples;
        let run = trainer + self.copies + self.workspaces + self.finish;
        // A checkpoint is compared with the model before it takes the place of its numbers.
        run.max(trainer + self.loading).max(self.peak_before)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", Bytes(self.peak()))?;
        let parts = [
            ("program and log", self.present),
            ("parameters", self.parameters),
            ("optimiser", self.optimizer),
            ("copies of them", self.copies),
            ("samples", self.samples),
            ("workspaces", self.workspaces),
            ("writing the model", self.finish),
            ("loading a checkpoint", self.loading),
        ];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(_, bytes)| *bytes > 0)
            .map(|(name, bytes)| format!("{name} {}", Bytes(bytes)))
            .collect();
        write!(f, "{})", parts.join(", "))
    }
}

/// A number of bytes in words: `12.3 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.0 as f64 / f64::from(1 << 20);
        if mib < 1000.0 { write!(f, "{mib:.1} MiB") } else { write!(f, "{:.2} GiB", mib / 1024.0) }
    }
}

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = (text[..split].trim(), text[split..].to_ascii_lowercase());
        let factor = match &*unit {
            "" | "b" => 1.0,
            "k" | "kib" => f64::from(1 << 10),
            "m" | "mib" => f64::from(1 << 20),
            "g" | "gib" => f64::from(1 << 30),
            "t" | "tib" => f64::from(1 << 30) * 1024.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            _ => return Err(format!("unknown unit {unit:?}; for instance 500MiB, 2GiB, 2GB")),
        };
        match number.parse::<f64>() {
            Ok(number) if number > 0.0 && number.is_finite() => Ok(Bytes((number * factor) as u64)),
            _ => Err("a number of bytes, for instance 500MiB or 2GiB".into()),
        }
    }
}

/// What growing buffers take with the holes that they leave in the allocator's heap: a quarter more, measured with
/// glibc's.
fn with_holes(bytes: u64) -> u64 {
    bytes + bytes / 4
}

/// The most that each shard's buffers hold: they are kept from batch to batch and never shrink.
#[derive(Default)]
struct Shards {
    most: Vec<Load>,
    cuts: Vec<std::ops::Range<usize>>,
    blocks: Vec<std::ops::Range<usize>>,
}

impl Shards {
    fn take(
        &mut self,
        source: &Source<'_>,
        samples: &[Sample],
        shards: usize,
        shape: &Shape,
        per: usize,
        in_blocks: bool,
    ) {
        cut(samples.iter().map(|s| source.length(*s)), shards, FIXED_WORK, &mut self.cuts);
        if self.most.len() < self.cuts.len() {
            self.most.resize(self.cuts.len(), Load::default());
        }
        for (most, range) in self.most.iter_mut().zip(&self.cuts) {
            let samples = &samples[range.clone()];
            cut_blocks(samples.iter().map(|s| source.length(*s)), in_blocks, &mut self.blocks);
            for block in &self.blocks {
                most.max(&shape.of(samples[block.clone()].iter().map(|s| source.length(*s)), per));
            }
        }
    }

    /// What the shards hold in training, with the workspaces that they share on so many threads.
    fn bytes(&self, threads: usize) -> u64 {
        let own: u64 = self.most.iter().map(|load| load.bytes() - load.lent()).sum();
        let lent = self.most.iter().map(Load::lent).max().unwrap_or(0);
        let dense = self.most.iter().map(Load::dense).max().unwrap_or(0);
        let group = group(self.most.len(), threads);
        // A group has a workspace, and partial sums over 1, 2, 4 ... of its shards.
        own + (lent + dense * partial_sums(group) as u64) * self.most.len().div_ceil(group) as u64
    }

    fn largest(&self) -> u64 {
        self.most.iter().map(Load::bytes).max().unwrap_or(0)
    }
}

/// What the process holds now, and the most that it has held. Measured on Linux; elsewhere the data set's arrays.
fn process(dataset: &Dataset) -> (u64, u64) {
    let arrays = 8 * dataset.users() + 12 * dataset.events() + 4 * dataset.items();
    let present = status("VmRSS:").unwrap_or((8 << 20) + arrays as u64);
    (present, peak_so_far().unwrap_or(present))
}

/// The most that this process has held so far, where the operating system tells it (Linux).
pub fn peak_so_far() -> Option<u64> {
    status("VmHWM:")
}

/// What the machine has to spare now, where the operating system tells it (Linux).
pub fn available() -> Option<u64> {
    field(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

fn status(name: &str) -> Option<u64> {
    field(&std::fs::read_to_string("/proc/self/status").ok()?, name)
}

/// The bytes that a file of the kernel's tells in a line: `VmHWM:    2048 kB`.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::model::build::{Sizes, Start, build};

    #[test]
    fn what_the_kernel_tells_is_read() {
        let text = "MemTotal:       24000 kB\nMemAvailable:    2048 kB\nOdd: many\n";
        assert_eq!(["MemAvailable:", "MemFree:", "Odd:"].map(|name| field(text, name)), [Some(2 << 20), None, None]);
        assert!(available().is_none_or(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn bytes_are_read_and_written() {
        let read = |text: &str| text.parse::<Bytes>().map(|bytes| bytes.0);
        assert_eq!((read("2GiB"), read("1.5k"), read("500 MB")), (Ok(2 << 30), Ok(1536), Ok(500_000_000)));
        for wrong in ["", "GiB", "-1", "0", "2 GiX", "NaN", "inf"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert_eq!((Bytes(1 << 20).to_string(), Bytes(3 << 30).to_string()), ("1.0 MiB".into(), "3.00 GiB".into()));
    }

    #[test]
    fn parameters_are_counted_exactly_for_every_model() {
        let dataset = Dataset::from_histories(&[&[0, 1, 2, 3, 4, 5], &[1000, 7, 8, 900]], 1001).unwrap();
        let mut config = Config::default();
        config.model.d = 16;
        config.adapt(&dataset);
        for name in Kind::trained().map(Kind::name) {
            let sizes = Sizes { users: 2, items: 1001, categories: 0, item_category: vec![] };
            let start = Start { seed: 1, table_std: None };
            let params = build(name, &config.model, &sizes, start).unwrap();
            let memory = Memory::estimate(name, &config, &dataset, Level::best(), 0).unwrap();
            // The best epoch's, and with DMRAN the average.
            let copies = if config.train.average > 0.0 { 2 } else { 1 };
            assert_eq!(memory.copies, copies * 4 * params.params().count() as u64, "{name}");
            assert_eq!(memory.parameters, params.params().bytes() as u64, "{name}");
        }
    }
}
