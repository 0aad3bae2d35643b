//! `dmran train --simulate-ranks`: what several machines would reach.

use super::failure::Failure;
use dmran::train::memory::Bytes;
use dmran::train::ranks::cost::Network;
use dmran::train::session::Session;
use dmran::train::simulate::simulate;
use dmran_kernels::Level;
use std::io::Write;

/// How many machines, and between them what.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Several machines")]
pub struct SimulateFlags {
    /// Train nothing, but say what 2, 4, 8 ... up to N machines like this one would reach (docs/machines.md)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..))]
    simulate_ranks: Option<u16>,
    /// Their network: Gbit/s, with 30 microseconds for a message
    #[arg(long, value_name = "SPEED", default_value = "25GbE", requires = "simulate_ranks")]
    network: Network,
}

impl SimulateFlags {
    /// Whether it was asked for.
    pub fn is_set(&self) -> bool {
        self.simulate_ranks.is_some()
    }

    /// Takes some steps and prints what they come to.
    pub fn run(&self, session: &Session, out: &mut impl Write) -> Result<(), Failure> {
        let (most, network) = (self.simulate_ranks.unwrap_or(1).into(), &self.network);
        let dataset = &session.opened().log.dataset;
        let estimates = simulate(session.config(), dataset, Level::from_env()?, most)?;
        let Some(alone) = estimates.first() else { return Ok(()) };
        let (samples, shards) = (alone.samples, alone.step.shards);
        writeln!(out, "a step of {samples} samples in {shards} shards; network: {network}")?;
        writeln!(out, "ranks  computing    sent by a rank  messages  exchange  samples/s  speed-up")?;
        for estimate in &estimates {
            let step = &estimate.step;
            let total = estimate.total(network);
            writeln!(
                out,
                "{:>5}  {:>6.1} ms  {:>16}  {:>8}  {:>5.1} ms  {:>9.0}  {:>7.2}x",
                step.ranks,
                1e3 * estimate.seconds,
                Bytes(step.bytes() as u64).to_string(),
                step.messages(),
                1e3 * (total - estimate.seconds),
                samples as f64 / total,
                alone.total(network) / total
            )?;
        }
        if estimates.last().is_some_and(|last| last.step.ranks * 2 <= most) {
            writeln!(out, "More ranks cannot share {shards} shards: --shards or a larger --batch has more.")?;
        }
        Ok(())
    }
}
