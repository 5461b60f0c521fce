//! What is waited for on a host, and the self-test.

use std::time::Duration;

use super::{RESTART_SPACING, STAGE_DEADLINE};

/// By how much a clock must jump to have been set; less is how clocks are kept right.
pub const CLOCK_JUMP: Duration = Duration::from_secs(2);
/// For how long after it was set it is not doubted: by then, what failed before was tried again.
pub const CLOCK_DOUBT: Duration = Duration::from_secs(30);
/// How often it is looked whether the host has again what a connection waits for …
pub const GROUND_LOOK: Duration = Duration::from_secs(3);
/// … and how often while none waits.
pub const GROUND_LOOK_IDLE: Duration = Duration::from_secs(30);
/// How long one check of the self-test may take: the slowest is a minute under an emulator that
/// has little of its host.
pub const SELF_TEST_DEADLINE: Duration = Duration::from_secs(180);

const _: () = assert!(CLOCK_DOUBT.as_secs() > GROUND_LOOK.as_secs() + RESTART_SPACING.as_secs());
const _: () = assert!(STAGE_DEADLINE.as_secs() * 4 <= SELF_TEST_DEADLINE.as_secs());
