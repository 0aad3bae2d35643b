//! Runs the program in a folder of its own, on small generated logs.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Flags of a model that trains in a moment.
pub const TINY: &[&str] = &["--d", "8", "--hops", "3", "--epochs", "2", "--history-cap", "6"];

/// An empty folder in which the program runs; gone at the end.
pub struct Folder(TempDir);

/// How a run ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Folder {
    pub fn new() -> Folder {
        Folder(TempDir::new().unwrap())
    }

    /// A folder with `log.csv`: see [`log`].
    pub fn with_log() -> Folder {
        let folder = Folder::new();
        folder.write("log.csv", log());
        folder
    }

    /// A folder with `log.csv` and a model trained on it, `model.dmran`.
    pub fn with_model() -> Folder {
        let folder = Folder::with_log();
        folder.run(&[&["train", "log.csv"], TINY].concat()).ok();
        folder
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// The program with arguments, not yet started.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_dmran")));
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).env_remove("RAYON_NUM_THREADS");
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }
}

impl Ran {
    pub fn of(command: &mut Command) -> Ran {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Demands success.
    #[track_caller]
    pub fn ok(self) -> Ran {
        assert_eq!(self.code, 0, "stderr: {}", self.err);
        self
    }

    /// Demands exit code 2, nothing on stdout, and one error line that holds all of `parts`.
    #[track_caller]
    pub fn refused(self, parts: &[&str]) {
        assert_eq!((self.code, &*self.out), (2, ""), "stderr: {}", self.err);
        let errors: Vec<&str> = self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{}", self.err);
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in {}", self.err);
        }
    }
}

/// 40 users with 5 to 12 events each, 25 items in 4 categories, times over some weeks.
pub fn log() -> String {
    let mut state = 1u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let mut text = String::from("user,item,timestamp,category\n");
    for user in 0..40 {
        let mut time = 1_500_000_000 + below(1_000_000);
        for _ in 0..5 + below(8) {
            let item = below(25);
            writeln!(text, "u{user},i{item},{time},c{}", item % 4).unwrap();
            time += below(400_000);
        }
    }
    text
}
