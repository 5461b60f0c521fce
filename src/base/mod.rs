//! The words that every layer speaks: time, chance, limits, and how things end.
//!
//! Nothing here knows a protocol, a clock or a socket.

pub mod address;
pub mod backoff;
pub mod base64;
pub mod end;
pub mod hash;
pub mod limit;
pub mod limits;
pub mod machine;
pub mod ring;
pub mod rng;
pub mod secret;
pub mod spell;
pub mod split;
pub mod tally;
pub mod text;
pub mod time;
pub mod timer;

pub use end::End;
pub use machine::Machine;
pub use rng::Rng;
pub use secret::Secret;
pub use time::{Instant, Wall};
