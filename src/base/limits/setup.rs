//! The limits of first contact: the page that takes the first token.

use std::time::Duration;

use super::PAIRING_CODE_CHARS;

/// Where the page is on the network, if it is to be there; beside the control port.
pub const SETUP_PORT: u16 = 18_790;
/// How long a code holds: a person reads it off a screen and types it.
pub const SETUP_CODE_TTL: Duration = Duration::from_secs(600);
/// Wrong codes that are looked at for each code, from all of the network together, and as many
/// from this host.
pub const SETUP_TRIES: u8 = 5;
/// Of these, how many are any one address's: one machine that guesses leaves some for others.
pub const SETUP_TRIES_PER_PEER: u8 = 3;
/// Codes that are made because somebody at this host asked for another, in [`SETUP_HOUR`].
pub const SETUP_CODES_BY_HAND_MAX: usize = 12;
/// See [`SETUP_CODES_BY_HAND_MAX`].
pub const SETUP_HOUR: Duration = Duration::from_secs(3600);
/// How long whoever had the right code may take for all of it: a token is to be made in the
/// portal, and a bot to be invited.
pub const SETUP_SESSION_TTL: Duration = Duration::from_secs(1800);
/// Tokens that one session may have tried: Discord blocks addresses that come with too many wrong
/// ones.
pub const SETUP_TOKENS_MAX: u8 = 20;
/// What the page posts: a token at most.
pub const SETUP_BODY_BYTES_MAX: usize = 4 * 1024;
/// Connections to the page on the network.
pub const SETUP_CONNECTIONS_MAX: usize = 16;
/// How often it is looked whether this host's addresses have changed, and whether the port of the
/// page is free by now.
pub const SETUP_LOOK: Duration = Duration::from_secs(5);
/// Addresses that are told to a person.
pub const SETUP_ADDRESSES_MAX: usize = 8;
/// How long an answer about the bot is good, so that a page that asks often costs Discord little.
pub const SETUP_FACTS_FOR: Duration = Duration::from_secs(4);

// Codes in an hour: those that follow one another by themselves, and those made by hand.
const CODES_PER_HOUR: u64 = SETUP_HOUR.as_secs() / SETUP_CODE_TTL.as_secs();
const GUESSES_PER_YEAR: u64 =
    (CODES_PER_HOUR + SETUP_CODES_BY_HAND_MAX as u64) * SETUP_TRIES as u64 * 24 * 366;
// A year of guessing without a pause finds a code with less than one chance in a million.
const _: () = assert!(GUESSES_PER_YEAR < (1 << (5 * PAIRING_CODE_CHARS)) / 1_000_000);
const _: () = assert!(SETUP_TRIES_PER_PEER < SETUP_TRIES);
const _: () = assert!(SETUP_CODE_TTL.as_secs() < SETUP_SESSION_TTL.as_secs());
