//! The examination of the whole set-up.

use super::Call;
use crate::ops::exit::{Exit, Failure};

/// See the table.
pub(crate) fn doctor(call: &mut Call<'_>) -> Result<(), Failure> {
    Err(later(call))
}

fn later(call: &Call<'_>) -> Failure {
    let name = call.parsed.command.map_or("", |command| command.name);
    Failure::new(Exit::Software, format!("`{name}` is not there yet"), "")
}
