//! The commands of scheduled jobs.

use super::Command;

/// Those of jobs.
pub(super) const COMMANDS: &[Command] = &[];
