//! The gateway process: stopped, restarted, called.

use super::Call;
use crate::ops::exit::{Exit, Failure};

/// See the table.
pub(crate) fn stop(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn restart(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn call(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

fn later(call: &Call<'_>) -> Failure {
    let name = call.parsed.command.map_or("", |command| command.name);
    Failure::new(Exit::Software, format!("`{name}` is not there yet"), "")
}
