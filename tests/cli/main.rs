//! The program from outside: every command, with good input and bad.
#![cfg(feature = "cli")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod experiment;
mod grow;
#[cfg(unix)]
mod outputs;
mod production;
mod score;
mod search;
mod serving_rules;
mod train;
mod using;
