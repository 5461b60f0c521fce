//! The limits of what comes with messages: pictures, voice notes and other files.

use std::time::Duration;

/// Files of one message that are looked at; Discord lets people send as many ("Uploading Files").
pub const ATTACHMENTS_MAX: usize = 10;
/// Bytes kept of a file's name; it is for people to know it by.
pub const ATTACHMENT_NAME_BYTES_MAX: usize = 128;
/// Bytes kept of a file's declared type; the longest registered ones have some 70.
pub const ATTACHMENT_KIND_BYTES_MAX: usize = 80;
/// Bytes of a file's address. Discord's have two ids, the name and a signature: some 250. Of a
/// longer one nothing is kept, since half an address leads nowhere.
pub const ATTACHMENT_URL_BYTES_MAX: usize = 768;

// ---- What is looked at and listened to ---------------------------------------------------------

/// A picture that a model is shown: what the strictest of the large providers takes.
pub const PICTURE_BYTES_MAX: u64 = 5 * 1024 * 1024;
/// Pictures of one message that a model is shown.
pub const PICTURES_MAX: usize = 4;
/// A text file that a model reads with the message: some ten thousand tokens at most.
pub const TEXT_FILE_BYTES_MAX: u64 = 32 * 1024;
/// Text files of one message.
pub const TEXT_FILES_MAX: usize = 4;
/// Bytes of files that all turns hold together. A picture is held some four times over while it
/// is written into a request, so this is 60 MB of a small machine's 512.
pub const MEDIA_HELD_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How long a turn waits until others have let go of theirs …
pub const MEDIA_PATIENCE: Duration = Duration::from_secs(10);
/// … and how often it looks.
pub const MEDIA_LOOK: Duration = Duration::from_millis(50);
/// How long the fetching of one file may take: it comes from a fast network.
pub const MEDIA_DEADLINE: Duration = Duration::from_secs(30);
/// A voice note, if nobody says: a quarter of an hour as Discord records them …
pub const VOICE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// … and how long it may play: five minutes are a long message, and a small machine listens about
/// as long as somebody speaks.
pub const VOICE_SECONDS_MAX: u64 = 300;
/// How long listening to it may take, if nobody says.
pub const VOICE_TIMEOUT: Duration = Duration::from_secs(60);
/// Endpoints that are asked one after the other.
pub const VOICE_ENDPOINTS_MAX: usize = 4;
/// Voice notes of one message that are listened to; Discord's own recorder sends one.
pub const VOICES_MAX: usize = 3;
/// What comes back for a voice note: the text, wrapped.
pub const VOICE_ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Tries for a boundary that a recording does not hold; one is enough.
pub const VOICE_BOUNDARY_TRIES_MAX: u32 = 8;
/// Characters of an answer that are spoken, if nobody says: two minutes; `OpenAI` takes 4096.
pub const SPEECH_CHARS_MAX: u64 = 1500;
/// How long speaking may take, if nobody says.
pub const SPEECH_TIMEOUT: Duration = Duration::from_secs(30);
/// A spoken answer; it goes into the outbox, on the disk, and to Discord.
pub const SPEECH_BYTES_MAX: usize = 4 * 1024 * 1024;

const _: () = assert!(PICTURE_BYTES_MAX <= MEDIA_HELD_BYTES_MAX);
const _: () = assert!(VOICE_BYTES_MAX <= MEDIA_HELD_BYTES_MAX);
const _: () = assert!(SPEECH_BYTES_MAX <= super::AGENT_FILE_BYTES_MAX);
