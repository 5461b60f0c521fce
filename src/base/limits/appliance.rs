//! The limits of what an image takes over from its boot partition.

/// `barnacle.txt`: the template has a few kilobytes, and a person adds a few lines.
pub const CARD_SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// `authorized_keys`: a key of the longest kind has less than two kilobytes.
pub const CARD_KEYS_BYTES_MAX: usize = 64 * 1024;
/// What Raspberry Pi Imager writes has two kilobytes; people have added to it by hand.
pub const CARD_CLOUD_BYTES_MAX: usize = 256 * 1024;
/// Mistakes that are told; the rest are counted. Binary garbage has thousands of them.
pub const CARD_MISTAKES_MAX: usize = 50;
/// Keys for logging in, those of earlier imports included.
pub const CARD_KEYS_MAX: usize = 64;
/// How deep Imager's files are nested, and twice that.
pub const CARD_DEPTH_MAX: usize = 16;
/// Files with keys that are looked at: one for each person who may log in.
pub const CARD_USERS_MAX: usize = 32;
/// Files with names that are almost right: more than there are such names.
pub const CARD_STRAYS_MAX: usize = 32;
/// A file of the system that is changed by a line, such as `/etc/hosts`.
pub const CARD_HOST_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Characters of a host name (RFC 1123; one label, as mDNS wants it).
pub const HOST_NAME_CHARS_MAX: usize = 63;
/// Bytes of the name of a wireless network (IEEE 802.11, 9.4.2.2).
pub const SSID_BYTES_MAX: usize = 32;
/// Characters of its password (IEEE 802.11, J.4.1), at least …
pub const PASSPHRASE_CHARS_MIN: usize = 8;
/// … and at most; …
pub const PASSPHRASE_CHARS_MAX: usize = 63;
/// … one more are the digits of the key that is made of it.
pub const PSK_DIGITS: usize = 64;
/// Bytes of a password's hash: yescrypt's have about a hundred (crypt(5): 384 at most).
pub const PASSWORD_HASH_BYTES_MAX: usize = 384;

const _: () = assert!(PASSPHRASE_CHARS_MAX + 1 == PSK_DIGITS);
