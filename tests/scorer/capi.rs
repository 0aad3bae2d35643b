//! The C ABI: a C program against both libraries, and the Python and JavaScript examples. Builds the libraries with Cargo,
//! so that what the header documents is what is tested. Where there is no C compiler, Python, Node.js or target
//! wasm32-unknown-unknown, a line says so; `DMRAN_WASM=dmran.wasm` gives a WebAssembly module that was built elsewhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::model_file::small_model;
use dmran::scorer::{Event, Scorer, Scratch};
use dmran_kernels::Level;

/// Runs a program; `None` where it does not exist.
fn run(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{command:?}: {error}"),
    }
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Builds `crate_type` as the header says, without `--release`, and gives the folder that it stands in.
fn library(crate_type: &str) -> PathBuf {
    build(crate_type, &[]).join("debug")
}

/// As [`library`], with more arguments; gives the folder of all targets.
fn build(crate_type: &str, more: &[&str]) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned();
    let build = Command::new(env!("CARGO"))
        .args(["rustc", "--lib", "--no-default-features", "--features", "capi", "--crate-type", crate_type])
        .args(["--quiet", "--locked", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .args(more)
        .arg("--target-dir")
        .arg(&target)
        .output()
        .unwrap();
    stdout(build);
    target
}

fn lines(scorer: &Scorer, history: &[Event], now: i64, k: usize, exclude: &[u32]) -> String {
    let (mut scratch, mut best) = (Scratch::new(), Vec::new());
    scorer.encode(history, now, &mut scratch).top_k(k, exclude, &mut best);
    let line = |b: &dmran::scorer::Scored| {
        // Nine digits are enough to tell all f32 apart.
        let id = scorer.items().get(b.item as usize).unwrap();
        (id.to_owned(), b.score.to_bits())
    };
    best.iter().map(line).map(|(id, bits)| format!("{id} {bits}\n")).collect()
}

/// The output of a program, with each score as its bits.
fn with_bits(output: &str) -> String {
    let line = |line: &str| {
        let (id, score) = line.rsplit_once(' ').unwrap();
        format!("{id} {}\n", score.parse::<f32>().unwrap().to_bits())
    };
    output.lines().map(line).collect()
}

#[test]
fn programs_in_c_and_python_get_the_scores_of_rust() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.dmran");
    small_model().save(&model).unwrap();
    let scorer = Scorer::new(small_model()).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));

    if run(Command::new("cc").arg("--version")).is_none() {
        println!("skipped: there is no C compiler (cc)");
        return;
    }
    let day = 86_400;
    let history = [Event { item: 0, time: day }, Event { item: 3, time: 3 * day }];
    let want = lines(&scorer, &history, 5 * day, 5, &[0, 3]);
    for crate_type in ["staticlib", "cdylib"] {
        let at = library(crate_type);
        let program = folder.path().join(crate_type);
        let mut cc = Command::new("cc");
        cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I"]).arg(root.join("include"));
        cc.arg(root.join("tests/capi.c")).arg("-o").arg(&program);
        match crate_type {
            "staticlib" => cc.arg(at.join("libdmran.a")),
            _ => cc.arg("-L").arg(&at).arg("-ldmran").arg(format!("-Wl,-rpath,{}", at.display())),
        };
        cc.args(["-lm", "-lpthread", "-ldl"]);
        stdout(cc.output().unwrap());
        let output = stdout(Command::new(&program).arg(&model).output().unwrap());
        assert_eq!(with_bits(&output), want, "{crate_type}");
    }

    let mut python = Command::new("python3");
    let shared = library("cdylib").join(if cfg!(target_os = "macos") { "libdmran.dylib" } else { "libdmran.so" });
    python.arg(root.join("examples/ctypes_example.py")).arg(shared).arg(&model).args(["b1", "c"]);
    match run(&mut python) {
        None => println!("skipped: there is no python3"),
        // All events are of this day, as in the example.
        Some(output) => {
            let history = [Event { item: 0, time: 0 }, Event { item: 3, time: 0 }];
            assert_eq!(with_bits(&stdout(output)), lines(&scorer, &history, 0, 5, &[]));
        }
    }
}

/// The library as a WebAssembly module, if one was given or can be built.
fn wasm() -> Option<PathBuf> {
    const TARGET: &str = "wasm32-unknown-unknown";
    if let Some(given) = std::env::var_os("DMRAN_WASM") {
        return Some(given.into());
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    let sysroot = stdout(Command::new(rustc).args(["--print", "sysroot"]).output().unwrap());
    let installed = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).exists();
    installed.then(|| build("cdylib", &["--target", TARGET]).join(TARGET).join("debug/dmran.wasm"))
}

#[test]
fn javascript_gets_the_scores_of_the_portable_tier() {
    let Some(module) = wasm() else {
        println!("skipped: the target wasm32-unknown-unknown is not installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.dmran");
    small_model().save(&model).unwrap();
    let scorer = Scorer::with_level(small_model(), Level::Portable).unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wasm_example.mjs");
    match run(Command::new("node").arg(example).arg(module).arg(&model).args(["b1", "c"])) {
        None => println!("skipped: there is no Node.js (node)"),
        Some(output) => {
            let history = [Event { item: 0, time: 0 }, Event { item: 3, time: 0 }];
            assert_eq!(with_bits(&stdout(output)), lines(&scorer, &history, 0, 5, &[]));
        }
    }
}
