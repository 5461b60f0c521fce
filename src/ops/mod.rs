//! What keeps the program running for years: its configuration, and how it ends.

pub(crate) mod backup;
pub(crate) mod config;
pub(crate) mod exit;
pub(crate) mod options;
pub(crate) mod state;

/// Version and commit.
pub(crate) fn version() -> &'static str {
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("BARNACLE_COMMIT"), ")")
}
