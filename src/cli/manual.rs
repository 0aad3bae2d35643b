//! `dmran completions` and `dmran man`: what a package of the program ships beside it.

use super::Cli;
use super::failure::Failure;
use super::outputs::{self, Holds};
use clap::CommandFactory;
use clap_complete::Shell;
use dmran::durable::write_atomically;
use std::io::{self, Write};
use std::path::Path;

/// Prints the completions.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    // Made whole first: the generator panics where its output cannot be written.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dmran", &mut text);
    Ok(io::stdout().lock().write_all(&text)?)
}

/// Writes `dmran.1` and a page for each command.
pub fn pages(folder: &Path) -> Result<(), Failure> {
    let wrong = |path: &Path, error: io::Error| Failure::Input(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(folder).map_err(|error| wrong(folder, error))?;
    let mut command = Cli::command();
    command.build();
    let commands = command.get_subcommands().filter(|command| command.get_name() != "help");
    for command in commands.chain([&command]) {
        // After `build` a command's display name has its parent's in front: dmran-train.
        let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
        let path = folder.join(format!("{name}.1"));
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone().name(name)).render(&mut page)?;
        // A page begins with how to write an apostrophe.
        outputs::free(&path, Holds::Known(|start| start.starts_with(b".ie")))
            .map_err(|why| Failure::Input(format!("{}: {why}", path.display())))?;
        write_atomically(&path, |out| out.write_all(&page)).map_err(|error| wrong(&path, error))?;
    }
    Ok(())
}
