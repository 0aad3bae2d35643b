//! Models, losses and training: against PyTorch's values in double precision, by finite differences, and by what runs promise.
#![cfg(feature = "train")]

#[path = "../support/mod.rs"]
mod support;

mod catalogue;
mod contract;
mod losses;
mod models;
mod oracle_cases;
mod protocol_time;
mod ranking;
mod run_folder;
mod runs;
mod shared_candidates;
