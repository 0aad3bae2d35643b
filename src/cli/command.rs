//! The command as it was typed, for the model's card and for reports.

use dmran::train::session::command::quoted;
use std::ffi::OsString;

/// Flags that cannot change the model, with the number of values that follow them.
const OUTSIDE: [(&str, usize); 12] = [
    ("--jobs", 1),
    ("--report", 1),
    ("--out", 1),
    ("-o", 1),
    ("--threads", 1),
    ("--quiet", 0),
    ("-q", 0),
    ("--run", 1),
    ("--allow", 1),
    ("--keep-checkpoints", 1),
    ("--checkpoint-minutes", 1),
    ("--max-memory", 1),
];

/// The command of this process.
pub fn typed() -> String {
    command(std::env::args_os().skip(1))
}

/// The command as it was typed, without the flags that cannot change the model.
fn command(args: impl Iterator<Item = OsString>) -> String {
    let mut out = String::from("dmran");
    let mut skip = 0;
    for arg in args {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let arg = arg.to_string_lossy();
        let (flag, joined) = arg.split_once('=').map_or((&*arg, false), |(flag, _)| (flag, true));
        if let Some((_, values)) = OUTSIDE.iter().find(|(name, _)| *name == flag) {
            skip = if joined { 0 } else { *values };
            continue;
        }
        out.push(' ');
        out += &quoted(&arg);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_what_makes_the_model() {
        let line = |text: &[&str]| command(text.iter().map(OsString::from));
        assert_eq!(
            line(&["train", "--out", "x", "a.csv", "--threads=3", "-q", "--d", "16"]),
            "dmran train a.csv --d 16"
        );
        assert_eq!(line(&["train", "--delimiter", ";", "it's"]), "dmran train --delimiter ';' 'it'\\''s'");
    }
}
