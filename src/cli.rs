//! The command line: one file a subcommand.

mod base;
mod bundled;
mod command;
mod convert;
mod crew;
mod data_flags;
mod evaluate;
mod experiment;
mod failure;
mod inspect;
mod machines;
mod manual;
mod model_file;
mod moment;
mod outputs;
mod page;
mod per_user;
mod print_config;
mod proposer;
mod recommend;
mod recommendations;
mod rules;
mod run;
mod score;
mod search;
mod settings;
mod show;
mod signals;
mod similar;
mod simulate;
mod train;
mod trials;
mod vectors;
mod watch;

use clap::{Parser, Subcommand};
use dmran::train::session::{Note, Weight};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Next-item recommendation by hierarchical attention (DMRAN), trained and scored on plain CPUs.
#[derive(Parser)]
#[command(name = "dmran", version, max_term_width = 110, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a model on a log of events, show what it learned, and write it to a file.
    Train(Box<train::Args>),
    /// The paper's tables and figures on your data: all models, several seeds, beside the paper's figures.
    Experiment(Box<experiment::Args>),
    /// Try settings from [search] of a TOML file and show the best, judged on the validation set.
    Search(Box<search::Args>),
    /// Measure a model on a log.
    Evaluate(evaluate::Args),
    /// Recommend items to users of a log.
    Recommend(Box<recommend::Args>),
    /// The items most like an item.
    Similar(similar::Args),
    /// Write the vectors of items and users to files, for indices and other programs.
    Vectors(vectors::Args),
    /// Answer requests, one JSON object a line: scores of given items, or the best ones.
    Score(score::Args),
    /// Write a model file with smaller tables of items.
    Convert(convert::Args),
    /// Show what is in a log or in a model.
    Inspect(inspect::Args),
    /// Print a shell's completions of all commands, to be read in by it.
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write a manual page for each command into a folder.
    Man {
        /// The folder; made if it is not there
        folder: PathBuf,
    },
}

/// Runs the program. Exit codes: 0 done (also where the reader of a pipe went away), 2 bad input or settings, 130 and
/// 143 stopped by SIGINT and SIGTERM, 1 any other failure.
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Train(args) => train::run(&args),
        Command::Experiment(args) => experiment::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Recommend(args) => recommend::run(&args),
        Command::Similar(args) => similar::run(&args),
        Command::Vectors(args) => vectors::run(&args),
        Command::Score(args) => score::run(&args),
        Command::Convert(args) => convert::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { folder } => manual::pages(&folder),
    };
    result.err().map_or(ExitCode::SUCCESS, |failure| ExitCode::from(failure.tell()))
}

/// A line to the person at the terminal, apart from the results.
fn note(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// What the library has to say, as a line to the person at the terminal.
fn say(what: &Note) {
    let marked = matches!(what, Note::ForeignBase { .. } | Note::Adapted(_)) || what.weight() == Weight::Warning;
    if marked { note(format_args!("note: {what}")) } else { note(what) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn no_two_flags_of_a_command_are_in_each_other_s_way() {
        super::Cli::command().debug_assert();
    }
}
