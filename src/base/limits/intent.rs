//! What is remembered and looked at, to tell whether a message is meant for us.

/// So much of a text is looked at: whom it is for, people say in its first lines.
pub const INTENT_BYTES_MAX: usize = 600;
/// Chats of which is remembered what was said lately, some 500 bytes for each.
pub const INTENT_CHATS_MAX: usize = 256;
/// Messages of each: what lies further back tells nothing about the next.
pub const INTENT_LATELY_MAX: usize = 12;
/// What one reaction shifts, in hundredths of a weight …
pub const INTENT_BIAS_STEP: i8 = 10;
/// … and all of them together at most: they can turn what is doubtful, never what is clear.
pub const INTENT_BIAS_MAX: i8 = 100;
