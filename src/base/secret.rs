//! A string that no printer can show.

use std::fmt;

/// A token or password. It can be used, but neither `{}` nor `{:?}` nor a log line shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps `text`, without the white space that a pasted token or a file's last line brings.
    #[must_use]
    pub fn new(text: &str) -> Secret {
        Secret(text.trim().into())
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_prints_and_trims() {
        let secret = Secret::new(" hunter2\n");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), "hunter2");
        assert!(Secret::new(" \n").is_empty());
    }
}
