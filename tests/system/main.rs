//! The real binary against its own sandbox: every promise as somebody meets it who runs barnacle.
//!
//! `cargo test --test system`, or `tests/run system` for the file that is shipped. Most of the time
//! is spent waiting for heartbeats and deadlines, so more threads than cores make it shorter:
//! `-- --test-threads=8`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these are tests"
)]

mod accounts;
mod agents;
mod appliance;
mod attachments;
mod backup;
mod chat;
mod cli;
mod clock;
mod commands;
mod completions;
mod config;
mod control;
mod cron;
mod dashboard;
mod desk;
mod doctor;
mod doors;
mod edited;
mod faces;
mod faults;
mod gap;
mod harness;
mod health;
mod hostile;
mod intent;
mod logfile;
mod logs;
mod memory;
mod metrics;
mod models;
mod openclaw;
mod outbox;
mod peers;
mod person;
mod provider;
mod proxy;
mod reach;
mod recover;
mod replies;
mod rest;
mod restart;
mod router;
mod rpc;
mod seeds;
mod selftest;
mod setup;
mod start;
mod templates;
mod terminal;
mod thousand;
mod tools;
mod turns;
mod voice;
