//! An image's own commands.

use std::path::PathBuf;

use super::Call;
use crate::app::appliance;
use crate::ops::exit::Failure;
use crate::ops::options::Import;

/// See the table.
pub(crate) fn import(call: &mut Call<'_>) -> Result<(), Failure> {
    let boot = PathBuf::from(call.parsed.needed("boot")?);
    let root = call.parsed.path("root").unwrap_or_else(|| PathBuf::from("/"));
    let done = appliance::import(&Import { boot, root })?;
    if call.common.json {
        call.out.line(done.json())?;
        return done.end();
    }
    if let Some(report) = &done.report {
        call.out.line(report.trim_end())?;
    }
    for command in done.commands() {
        call.out.line(format_args!("not run, since the system is another: {command}"))?;
    }
    done.end()
}

/// See the table.
pub(crate) fn template(call: &mut Call<'_>) -> Result<(), Failure> {
    // The last line's break is the printer's.
    let text = appliance::template();
    call.out.line(text.strip_suffix('\n').unwrap_or(&text))
}
