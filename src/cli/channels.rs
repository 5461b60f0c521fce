//! The connections to chat services: shown, started, stopped.

use super::Call;
use crate::ops::exit::{Exit, Failure};

/// See the table.
pub(crate) fn status(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn list(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn history(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn start(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn stop(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn restart(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

fn later(call: &Call<'_>) -> Failure {
    let name = call.parsed.command.map_or("", |command| command.name);
    Failure::new(Exit::Software, format!("`{name}` is not there yet"), "")
}
