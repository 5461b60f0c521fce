//! What we decide, whatever the service: who is answered, by whom, when, and why not.

pub mod access;
pub mod answer;
pub mod backlog;
pub mod budget;
pub mod chat;
pub mod command;
pub mod dedup;
pub mod dialogue;
pub mod health;
pub mod inflight;
pub mod journal;
pub mod models;
pub mod outbox;
pub mod output;
pub mod pairing;
pub mod route;
pub mod runs;
pub mod schedule;
pub mod session;
pub mod supervise;
pub mod trace;
pub mod transcript;
pub mod turn;
pub mod twin;
pub mod uptime;
pub mod why;
