//! The limits of what comes with messages: pictures, voice notes and other files.

/// Files of one message that are looked at; Discord lets people send as many ("Uploading Files").
pub const ATTACHMENTS_MAX: usize = 10;
/// Bytes kept of a file's name; it is for people to know it by.
pub const ATTACHMENT_NAME_BYTES_MAX: usize = 128;
/// Bytes kept of a file's declared type; the longest registered ones have some 70.
pub const ATTACHMENT_KIND_BYTES_MAX: usize = 80;
/// Bytes of a file's address. Discord's have two ids, the name and a signature: some 250. Of a
/// longer one nothing is kept, since half an address leads nowhere.
pub const ATTACHMENT_URL_BYTES_MAX: usize = 768;
