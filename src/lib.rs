//! Barnacle keeps an AI agent reachable on chat services, day and night, from one small binary.
//!
//! The whole program in one sentence: **machines decide, ports do, one thread drives them,
//! snapshots tell.** The modules below are layers, listed bottom-up; a layer imports only from
//! those above it in this list, and `tests/tidy.rs` keeps it so.
#![forbid(unsafe_code)]

pub mod base;
pub mod proto;

pub mod core;

#[allow(unreachable_pub, reason = "`pub` here means: for other layers")]
mod rt;

#[allow(unreachable_pub, reason = "`pub` here means: for other layers")]
mod agent;
mod channels;
mod control;
#[allow(unreachable_pub, reason = "`pub` here means: for other layers")]
mod sandbox;

mod ops;

mod app;
mod cli;

/// Runs the program; the exit code is one of those that `barnacle help exit-codes` lists.
pub fn main() -> std::process::ExitCode {
    cli::main()
}

/// What the fuzzer of the configuration calls: see `tests/fuzz`.
#[cfg(fuzzing)]
pub fn fuzz_configuration(path: &[u8], file: &[u8]) {
    ops::config::survive(path, file);
}
