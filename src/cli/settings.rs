//! The configuration file: read, changed, examined.

use super::Call;
use crate::ops::exit::{Exit, Failure};

/// See the table.
pub(crate) fn get(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn set(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn unset(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn check(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn init(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn import(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn schema(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

/// See the table.
pub(crate) fn path(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

fn later(call: &Call<'_>) -> Failure {
    let name = call.parsed.command.map_or("", |command| command.name);
    Failure::new(Exit::Software, format!("`{name}` is not there yet"), "")
}
