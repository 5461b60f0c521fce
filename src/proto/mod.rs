//! What the wires say: codecs, and the machines that judge by what was said.

pub mod completions;
pub mod control;
pub mod discord;
pub mod inflate;
pub mod json;
pub mod llm;
pub mod mcp;
pub mod media;
pub mod sse;
