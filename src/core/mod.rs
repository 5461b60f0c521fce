//! What we decide, whatever the service: who is answered, by whom, when, and why not.

pub mod chat;
