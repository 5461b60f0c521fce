//! What is remembered and looked at, to tell whether a message is meant for us.

use std::time::Duration;

/// So much of a text is looked at: whom it is for, people say in its first lines.
pub const INTENT_BYTES_MAX: usize = 600;
/// Chats of which is remembered what was said lately, some 500 bytes for each.
pub const INTENT_CHATS_MAX: usize = 256;
/// Messages of each: what lies further back tells nothing about the next.
pub const INTENT_LATELY_MAX: usize = 12;
/// Messages of each that went on to an agent and may wait for their answer.
pub const INTENT_ASKED_MAX: usize = 4;
/// Our answers to which reactions are heard: a day of them in most servers. 24 bytes each …
pub const INTENT_ANSWERS_MAX: usize = 256;
/// … and messages that we let pass, of which there are more, and which are asked about sooner.
pub const INTENT_PASSED_MAX: usize = 512;
/// What one reaction shifts, in hundredths of a weight: three by one person on three answers turn
/// what was just let in …
pub const INTENT_BIAS_STEP: i8 = 15;
/// … all of one person's at most: nobody alone can silence the bot for the others …
pub const INTENT_BIAS_PERSON_MAX: i8 = 45;
/// … and all of them together: they can turn what is doubtful, never what is clear.
pub const INTENT_BIAS_MAX: i8 = 100;
/// Reactions that count in one chat; the oldest makes room.
pub const INTENT_VOTES_MAX: usize = 32;
/// Of them, those of one person: enough to come to the bound, and one more to change it by …
pub const INTENT_VOTES_PERSON_MAX: usize = 4;
/// … and those on one message: a single bad answer that everybody laughs at is one, not thirty.
pub const INTENT_VOTES_MESSAGE_MAX: usize = 3;
/// How long a reaction counts, less each day: channels change what they are for.
pub const INTENT_VOTE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Chats of which reactions are remembered; the one longest without any makes room.
pub const INTENT_VOTED_CHATS_MAX: usize = 256;
/// What was said so long ago tells nothing about the next message, and is not kept over a restart.
pub const INTENT_TALK_KEPT: Duration = Duration::from_secs(3600);
/// All that is kept over a restart: what is counted above, a quarter more, and no more.
pub const INTENT_KEPT_BYTES_MAX: u32 = 512 * 1024;

const _: () = assert!(INTENT_BIAS_STEP <= INTENT_BIAS_PERSON_MAX);
const _: () = assert!(INTENT_BIAS_PERSON_MAX < INTENT_BIAS_MAX);
const _: () =
    assert!(INTENT_VOTES_PERSON_MAX * INTENT_BIAS_STEP as usize >= INTENT_BIAS_PERSON_MAX as usize);
const _: () = assert!(
    (INTENT_ANSWERS_MAX + INTENT_PASSED_MAX) * 24
        + INTENT_VOTED_CHATS_MAX * (11 + INTENT_VOTES_MAX * 25)
        + INTENT_CHATS_MAX * (13 + INTENT_LATELY_MAX * 41 + INTENT_ASKED_MAX * 17)
        < INTENT_KEPT_BYTES_MAX as usize
);
