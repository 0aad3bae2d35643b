//! The `dmran` program: parses the command line and calls the library.
#![deny(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
