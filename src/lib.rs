//! Next-item recommendation on plain CPUs: DMRAN, a hierarchical attention network (IJCAI 2019), trained and scored by code
//! of this project's own: reverse-mode autograd, fused SIMD kernels for AVX-512, AVX2, NEON and everything else (chosen at run
//! time), the trainer, and a scorer that depends on nothing.
//!
//! # From events to a model
//!
//! A log comes from files ([`data::open`]: CSV, JSON Lines, Parquet and more) or from memory ([`data::LogBuilder`]);
//! [`train::Session`] trains on it, measures, and gives the model.
//!
#![cfg_attr(feature = "train", doc = "```")]
#![cfg_attr(not(feature = "train"), doc = "```ignore")]
//! use dmran::data::{Event, LogBuilder, Opened, ReadOptions};
//! use dmran::train::{Config, Session};
//!
//! let mut log = LogBuilder::new(ReadOptions::default());
//! for user in 0..20 {
//!     for step in 0..6 {
//!         let (user, item) = (format!("user {user}"), format!("item {}", (user + step) % 12));
//!         log.push(Event { user: &user, item: &item, time: Some(1_700_000_000 + 90_000 * step), category: None })?;
//!     }
//! }
//! let config = Config::from_toml("model.d = 8\ntrain.epochs = 2")?; // over the preset `everyday`
//! let trained = Session::train(Opened::named(log.finish()?, "a ring"), config)?;
//! println!("{}", trained.figures.ranking); // HR@10, NDCG@10 and others, each with its standard error
//! for rival in &trained.rivals {
//!     println!("{}: {}", rival.name, rival.figures.auc);
//! }
//! let path = std::env::temp_dir().join(format!("dmran-front-{}.dmran", std::process::id()));
//! trained.save(&path)?;
//! # std::fs::remove_file(path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Recommendations inside another program
//!
//! [`scorer::Scorer`] is shared by all threads, each with a [`scorer::Scratch`] of its own. With `default-features = false` it
//! is all that is left of the crate.
//!
//! ```no_run
//! use dmran::scorer::{Event, Scorer, Scratch};
//!
//! let scorer = Scorer::load("shop.dmran")?;
//! let mut scratch = Scratch::new();
//! let history = [Event { item: "teapot", time: 1_700_000_000 }, Event { item: "cup", time: 1_700_086_400 }];
//! let mut user = scorer.encode(&history, 1_700_200_000, &mut scratch);
//! let (owned, mut best) = (user.history().to_vec(), Vec::new());
//! user.top_k(10, &owned, &mut best);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A model of one's own
//!
//! The autograd underneath takes any model: weights in [`autograd::params::Params`], a forward pass through
//! [`autograd::ops`] on a [`autograd::tape::Graph`], gradients by its `backward`, a step by [`train::optimizer::Optimizer`].
//!
#![cfg_attr(feature = "train", doc = "```")]
#![cfg_attr(not(feature = "train"), doc = "```ignore")]
//! use dmran::autograd::params::{Form, Params};
//! use dmran::autograd::tape::{Engine, Graph, Tape};
//! use dmran::train::{config::OptimizerKind, optimizer::Optimizer};
//! use dmran::{Level, autograd::ops};
//!
//! // The line through (1, 3), (2, 5), (3, 7).
//! let mut params = Params::default();
//! let (w, b) = (params.add("w", 1, 1, Form::Packed), params.add("b", 1, 1, Form::Plain));
//! let mut optimizer = Optimizer::new(Level::best(), OptimizerKind::Adam, &params);
//! let mut tape = Tape::default();
//! for _ in 0..2000 {
//!     let mut g = Graph::new(&params, &mut tape, Engine::Fused, Level::best());
//!     let x = g.constant(3, 1, |to| to.copy_from_slice(&[1.0, 2.0, 3.0]));
//!     let wrong = g.constant(3, 1, |to| to.copy_from_slice(&[-3.0, -5.0, -7.0]));
//!     let (w, b) = (g.param(w), g.param(b));
//!     let y = ops::linear(&mut g, x, w, Some(b));
//!     let miss = ops::add(&mut g, y, wrong);
//!     let loss = ops::sum_squares(&mut g, miss, 1.0);
//!     g.backward(&[(loss, 1.0)]);
//!     optimizer.step(&mut params, &tape, 0.02);
//! }
//! assert!((params.get(w)[0] - 2.0).abs() < 1e-2 && (params.get(b)[0] - 1.0).abs() < 1e-2);
//! ```
//!
//! `examples/own_op.rs` adds an operation and checks its gradient with [`autograd::check`].
//!
//! # Where things are
//!
//! | module | |
//! |---|---|
//! | [`scorer`] | model files, encoding of users, scores, the best items, explanations |
//! | [`data`] | readers, vocabularies, data sets, protocols |
//! | [`autograd`] | weights, tape, operations, the check of gradients |
//! | [`spec`] | what a DMRAN is: settings, tensors, time buckets |
//! | [`durable`] | files that are whole or not there |
//! | [`model`] | DMRAN and its rivals, one list ([`model::registry`]) |
//! | [`train`] | settings, losses, sampling, optimisers, the run, checkpoints, evaluation, [`train::Session`] |
//! | [`metrics`] | AUC, HR, NDCG and their like, with standard errors |
//! | [`experiment`], [`plot`], [`report`] | tables and figures over several runs, searches, the page about a run |
//! | [`score_lines`] | requests and answers as JSON Lines |
//! | `ffi` | the C interface (feature `capi`) |
//!
//! # Features
//!
//! | feature | what it adds | by default |
//! |---|---|---|
//! | `train` | everything but the scorer and the program | yes |
//! | `cli` | the program `dmran` | yes |
//! | `parquet` | Parquet and Arrow as sources of logs | yes |
//! | `mmap` | models by memory map | |
//! | `capi` | the C interface, `include/dmran.h` | |
//!
//! Results depend on settings, seed and the tier of instructions, never on the number of threads.
#![deny(unsafe_code)]

pub mod durable;
pub mod scorer;
pub mod spec;

#[cfg(feature = "capi")]
pub mod ffi;

pub use dmran_kernels::{Level, LevelError};

#[cfg(feature = "train")]
pub mod autograd;
#[cfg(feature = "train")]
pub mod batch;
#[cfg(feature = "train")]
pub mod data;
#[cfg(feature = "train")]
pub mod experiment;
#[cfg(feature = "train")]
pub mod lines;
#[cfg(feature = "train")]
pub mod metrics;
#[cfg(feature = "train")]
pub mod model;
#[cfg(feature = "train")]
pub mod plot;
mod pool;
#[cfg(feature = "train")]
pub mod report;
#[cfg(feature = "train")]
pub mod score_lines;
#[cfg(feature = "train")]
pub mod train;
#[cfg(feature = "train")]
pub mod vectors;

/// The README's example is compiled and run.
#[cfg(all(doctest, feature = "train"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
