//! A small Discord of our own: gateway and REST on loopback, good enough that public client
//! libraries log in to it, with faults that can be injected. `demo`, `drill` and `sandbox` are
//! its faces, and the system tests drive it through the last of them.

mod faults;
mod journal;
mod model;
mod session;
mod world;

pub use faults::{ARGS, Args, Deed, FAULTS, Fault, Kick, Promise, Scope, Sees, Stage};
pub use journal::{Event, What};
