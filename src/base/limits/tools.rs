//! The limits of the tools that agents use.

use std::time::Duration;

/// What a tool tells the model: some four thousand tokens, which a small model can still read
/// several of.
pub const TOOL_OUTPUT_BYTES_MAX: usize = 16 * 1024;
/// How long a tool may take that does not say otherwise.
pub const TOOL_PATIENCE: Duration = Duration::from_secs(30);
/// What is left of a turn when its tools have to be done: enough for the model's last words.
pub const TOOL_TURN_RESERVE: Duration = Duration::from_secs(5);
/// Tools of one turn that are at work at the same time; more wait.
pub const TOOLS_RUNNING_MAX: usize = 8;
/// Calls of one turn: further ones fail, since the model runs in circles.
pub const TOOL_CALLS_MAX: u32 = 48;
/// Mistakes in the arguments of a call that are told at once.
pub const TOOL_MISTAKES_MAX: usize = 5;
/// How deep arguments are looked into; what is nested deeper is the tool's own matter.
pub const TOOL_SCHEMA_DEPTH_MAX: usize = 16;
