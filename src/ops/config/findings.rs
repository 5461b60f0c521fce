//! What is found wrong, while it is being found: bounded in number, and each place in the text
//! looked for only once all are known.

use super::raw::Name;
use super::{Mistake, Weight};
use crate::base::{limits, text};

/// Of a key's path, this much is shown.
pub(super) const PATH_BYTES_MAX: usize = 160;

/// What is wrong with a text.
pub(super) struct Findings<'t> {
    text: &'t str,
    found: Vec<Finding>,
    /// Those that only counted.
    more: usize,
}

/// One thing that is wrong, and where it begins.
#[derive(PartialEq, Eq)]
struct Finding {
    weight: Weight,
    path: String,
    at: Option<usize>,
    text: String,
    cure: String,
}

impl<'t> Findings<'t> {
    /// Nothing yet.
    pub(super) fn new(text: &'t str) -> Findings<'t> {
        Findings { text, found: Vec::new(), more: 0 }
    }

    /// Whether further ones only count.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= limits::CONFIG_MISTAKES_MAX
    }

    /// Counts one that nobody will read.
    pub(super) fn count(&mut self) {
        self.more += 1;
    }

    /// Adds one about the key `name`, which is shown as `path`.
    pub(super) fn add(
        &mut self,
        weight: Weight,
        path: &str,
        name: Option<&Name<'_>>,
        text: &str,
        cure: &str,
    ) {
        let path = text::truncate(path, PATH_BYTES_MAX).to_owned();
        let at = name.and_then(|name| name.offset(self.text));
        let finding = Finding { weight, path, at, text: text.into(), cure: cure.into() };
        // What all accounts share is read by each of them.
        if self.found.contains(&finding) {
            return;
        }
        if self.is_full() {
            self.more += 1;
        } else {
            self.found.push(finding);
        }
    }

    /// All of them and, as far as there is room, `others`, in the order of the file.
    pub(super) fn finish(mut self, others: Findings<'_>) -> Vec<Mistake> {
        self.more += others.more;
        for finding in others.found {
            if self.is_full() {
                self.more += 1;
            } else {
                self.found.push(finding);
            }
        }
        self.found.sort_by_key(|finding| finding.at.unwrap_or(usize::MAX));
        let (mut place, mut done) = ((1, 1), 0);
        let mut mistakes = Vec::new();
        for Finding { weight, path, at, text, cure } in self.found {
            if let Some(at) = at {
                place = after(place, self.text.get(done..at).unwrap_or_default());
                done = at;
            }
            mistakes.push(Mistake { weight, path, at: at.map(|_| place), text, cure });
        }
        if self.more > 0 {
            let text = format!("{} more mistakes in the file", self.more);
            let (path, cure) = ("…".to_owned(), String::new());
            mistakes.push(Mistake { weight: Weight::Warning, path, at: None, text, cure });
        }
        mistakes
    }
}

/// The line and column behind `text`, which begins at `place`.
fn after((line, column): (usize, usize), text: &str) -> (usize, usize) {
    match text.rsplit_once('\n') {
        Some((before, last)) => (line + before.matches('\n').count() + 1, last.chars().count() + 1),
        None => (line, column + text.chars().count()),
    }
}
