//! A file that came with a message ("Attachment Object"), in a buffer that serves every message.

use crate::base::limits;
use crate::proto::json::Capture;

/// What is read of a file.
#[derive(Clone, Debug)]
pub struct File {
    pub(super) name: Capture<{ limits::ATTACHMENT_NAME_BYTES_MAX }>,
    pub(super) kind: Capture<{ limits::ATTACHMENT_KIND_BYTES_MAX }>,
    pub(super) url: Capture<{ limits::ATTACHMENT_URL_BYTES_MAX }>,
    bytes: u64,
    seconds: Option<u32>,
}

impl File {
    pub(super) const fn new() -> File {
        File {
            name: Capture::new(),
            kind: Capture::new(),
            url: Capture::new(),
            bytes: 0,
            seconds: None,
        }
    }

    /// Its name, or the beginning of that.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Its type, if it is said.
    #[must_use]
    pub fn kind(&self) -> &str {
        if self.kind.is_cut() { "" } else { self.kind.as_str() }
    }

    /// Where it lies; empty if the address is longer than any that Discord gives.
    #[must_use]
    pub fn url(&self) -> &str {
        if self.url.is_cut() { "" } else { self.url.as_str() }
    }

    /// How long it is said to be.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How long it plays, if it is a voice note; begun seconds count.
    #[must_use]
    pub fn seconds(&self) -> Option<u32> {
        self.seconds
    }

    pub(super) fn read_bytes(&mut self, text: &str) {
        // What is no length is one that nobody fetches.
        self.bytes = text.parse().unwrap_or(u64::MAX);
    }

    pub(super) fn read_seconds(&mut self, text: &str) {
        self.seconds = text.parse().ok().map(whole_seconds);
    }
}

/// A number of seconds, in whole ones: those that are begun count.
pub(in crate::proto::discord) fn whole_seconds(seconds: f64) -> u32 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast saturates, and of what is no number makes 0"
    )]
    let whole = seconds.ceil() as u32;
    whole
}

/// Whether all that is told of them is the same.
impl PartialEq for File {
    fn eq(&self, other: &File) -> bool {
        let all = |file: &File| (file.bytes, file.seconds);
        all(self) == all(other)
            && self.name() == other.name()
            && self.kind() == other.kind()
            && self.url() == other.url()
    }
}

impl Eq for File {}
