//! The commands of agents and of their sessions.

use super::Command;

/// Those of agents and sessions.
pub(super) const COMMANDS: &[Command] = &[];
