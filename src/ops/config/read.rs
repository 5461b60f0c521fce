//! Tolerant reading: each key is fetched as what the table says it is; whatever else stands there
//! becomes a mistake, and the caller's default holds.
//!
//! No mistake shows a value: a token pasted into the wrong place must not reach the log.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use super::env::Env;
use super::keys::{self, Key, Kind, Stand, Unit};
use super::raw::{Name, Node};
use super::{Mistake, Weight};
use crate::base::{limits, spell, text};

/// Of a key's path, this much is shown.
const PATH_BYTES_MAX: usize = 160;

/// A document being read.
pub(crate) struct Reader<'t> {
    text: &'t str,
    root: Node<'t>,
    env: &'t Env,
    mistakes: Vec<Mistake>,
    unreported: usize,
    #[cfg(test)]
    pub(crate) asked: BTreeSet<&'static str>,
}

impl<'t> Reader<'t> {
    /// Begins to read `root`, which was parsed from `text`.
    pub(crate) fn new(text: &'t str, root: Node<'t>, env: &'t Env) -> Reader<'t> {
        Reader {
            text,
            root,
            env,
            mistakes: Vec::new(),
            unreported: 0,
            #[cfg(test)]
            asked: BTreeSet::new(),
        }
    }

    /// Reads a [`Kind::Flag`].
    pub(crate) fn flag(&mut self, path: &'static str) -> Option<bool> {
        self.fetch(path, |_, value| match value {
            Node::Flag(flag) => Some(*flag),
            Node::Text(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// Reads a [`Kind::Whole`] within its bounds.
    pub(crate) fn whole(&mut self, path: &'static str) -> Option<u64> {
        self.fetch(path, |kind, value| {
            let Kind::Whole(least, most) = kind else { return None };
            let number = match value {
                Node::Whole(number) => u64::try_from(*number).ok()?,
                Node::Large(number) => *number,
                Node::Text(text) => text.trim().parse().ok()?,
                _ => return None,
            };
            (least..=most).contains(&number).then_some(number)
        })
    }

    /// Reads a [`Kind::Number`] within its bounds.
    pub(crate) fn number(&mut self, path: &'static str) -> Option<f64> {
        self.fetch(path, |kind, value| {
            let Kind::Number(least, most) = kind else { return None };
            number_of(value).filter(|number| (least..=most).contains(number))
        })
    }

    /// Reads a [`Kind::Span`] within its bounds.
    pub(crate) fn span(&mut self, path: &'static str) -> Option<Duration> {
        self.fetch(path, |kind, value| {
            let Kind::Span(unit, least, most) = kind else { return None };
            span_of(value, unit).filter(|span| (least..=most).contains(span))
        })
    }

    /// Reads a [`Kind::Text`].
    pub(crate) fn text(&mut self, path: &'static str) -> Option<String> {
        self.fetch(path, |_, value| match value {
            Node::Text(text) => Some(text.trim().to_owned()),
            _ => None,
        })
        .filter(|text| !text.is_empty())
    }

    /// Reads a [`Kind::Word`], however its case and hyphens are.
    pub(crate) fn word(&mut self, path: &'static str) -> Option<&'static str> {
        self.fetch(path, |kind, value| {
            let (Kind::Word(words), Node::Text(text)) = (kind, value) else { return None };
            words.iter().copied().find(|word| spell::same(word, text.trim()))
        })
    }

    /// Reads a [`Kind::Own`] by `read`; `None` from it is a mistake.
    pub(crate) fn own<T>(
        &mut self,
        path: &'static str,
        read: impl FnOnce(&Node<'_>) -> Option<T>,
    ) -> Option<T> {
        self.fetch(path, |_, value| read(value))
    }

    /// Whether anything but `null` stands at `path`.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.get(path).is_some_and(|(_, value)| *value != Node::Null)
    }

    /// The key at `path` as it is written, and its value; of one written twice, the last.
    pub(crate) fn get(&self, path: &str) -> Option<(&Name<'t>, &Node<'t>)> {
        let mut found = None;
        let mut at = &self.root;
        for segment in path.split('.') {
            let Node::Map(map) = at else { return None };
            let entry = map.iter().rev().find(|(name, _)| spell::same(name.as_str(), segment))?;
            found = Some((&entry.0, &entry.1));
            at = &entry.1;
        }
        found
    }

    /// Moves the entries of `from` over those of the object at `path`.
    pub(crate) fn overlay(&mut self, path: &str, from: Vec<(Name<'t>, Node<'t>)>) {
        let mut at = &mut self.root;
        for segment in path.split('.') {
            let Node::Map(map) = at else { return };
            let found = map.iter_mut().rev().find(|(name, _)| spell::same(name.as_str(), segment));
            let Some((_, value)) = found else { return };
            at = value;
        }
        let Node::Map(map) = at else { return };
        for (name, value) in from {
            map.retain(|(old, _)| !spell::same(old.as_str(), name.as_str()));
            map.push((name, value));
        }
    }

    /// Adds a mistake about the key at `path`.
    pub(crate) fn note(&mut self, weight: Weight, path: &str, text: &str, cure: &str) {
        let line = self.get(path).and_then(|(name, _)| name.line(self.text));
        self.report(weight, path, line, text, cure);
    }

    /// Looks at every key that is written and reports those that mean nothing or do nothing; then
    /// hands over all mistakes, in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Mistake> {
        let root = std::mem::replace(&mut self.root, Node::Null);
        self.walk("", &root);
        let mut mistakes = self.mistakes;
        mistakes.sort_by_key(|mistake| mistake.line.unwrap_or(usize::MAX));
        if self.unreported > 0 {
            let text = format!("{} more mistakes in the file", self.unreported);
            let (path, cure) = ("…".to_owned(), String::new());
            mistakes.push(Mistake { weight: Weight::Warning, path, line: None, text, cure });
        }
        mistakes
    }

    fn fetch<T>(
        &mut self,
        path: &'static str,
        read: impl FnOnce(Kind, &Node<'_>) -> Option<T>,
    ) -> Option<T> {
        #[cfg(test)]
        self.asked.insert(path);
        let key = keys::find(path)?;
        let (_, value) = self.get(path)?;
        let expanded = match value {
            Node::Null => return None,
            Node::Text(text) => match self.env.expand(text) {
                Ok(text) => Node::Text(Cow::Owned(text)),
                Err(fault) => {
                    let cure = "set it where the gateway starts, or write the value itself";
                    self.note(Weight::Warning, path, &fault, cure);
                    return None;
                }
            },
            other => other.clone(),
        };
        let read = read(key.kind, &expanded);
        if read.is_none() {
            self.misfit(key, &expanded);
        }
        read
    }

    fn misfit(&mut self, key: &Key, value: &Node<'_>) {
        let meant = match (key.kind, value) {
            (Kind::Word(words), Node::Text(text)) => {
                spell::nearest(text.trim(), words.iter().copied())
            }
            _ => None,
        };
        let cure = match meant {
            Some(word) => format!("did you mean \"{word}\"?"),
            None => format!("write {}", key.kind),
        };
        self.note(Weight::Warning, key.path, &format!("{} does not fit here", value.what()), &cure);
    }

    fn walk(&mut self, path: &str, node: &Node<'_>) {
        let Node::Map(map) = node else {
            if *node != Node::Null {
                let text = format!("{} where an object with keys belongs", node.what());
                self.report(Weight::Warning, path, None, &text, "");
            }
            return;
        };
        let mut seen = BTreeSet::new();
        // The last of a name counts, so it is met first.
        for (name, value) in map.iter().rev() {
            let known = name.as_str();
            let full = if path.is_empty() { known.to_owned() } else { format!("{path}.{known}") };
            let line = || name.line(self.text);
            if self.mistakes.len() >= limits::CONFIG_MISTAKES_MAX {
                self.unreported += 1;
            } else if !seen.insert(spell::fold(known)) {
                let text = "written twice; the last one counts";
                self.report(Weight::Warning, &full, line(), text, "");
            } else if let Some(key) = keys::find(&full) {
                self.stand(key, name);
            } else if !known.contains('.') && keys::names_below(&full).next().is_some() {
                self.walk(&full, value);
            } else {
                let text = "not known, so it does nothing";
                self.report(Weight::Warning, &full, line(), text, &guess(path, known));
            }
        }
    }

    fn stand(&mut self, key: &Key, name: &Name<'_>) {
        let (weight, text) = match key.stand {
            Stand::Works => return,
            Stand::Later => (Weight::Warning, format!("accepted, but {}", key.doc)),
            Stand::Moot => (Weight::Note, format!("not needed: {}", key.doc)),
        };
        self.report(weight, key.path, name.line(self.text), &text, "");
    }

    fn report(&mut self, weight: Weight, path: &str, line: Option<usize>, text: &str, cure: &str) {
        if self.mistakes.len() >= limits::CONFIG_MISTAKES_MAX {
            self.unreported += 1;
            return;
        }
        let path = text::Plain(text::truncate(path, PATH_BYTES_MAX)).to_string();
        self.mistakes.push(Mistake { weight, path, line, text: text.into(), cure: cure.into() });
    }
}

/// What may have been meant by `name` in the section `path`: a sibling of a like name, or a key
/// of that very name elsewhere.
fn guess(path: &str, name: &str) -> String {
    let below = if path.is_empty() { String::new() } else { format!("{path}.") };
    if let Some(sibling) = spell::nearest(name, keys::names_below(path)) {
        return format!("did you mean {below}{sibling}?");
    }
    let last = |key: &&Key| key.path.rsplit('.').next().is_some_and(|last| spell::same(last, name));
    let mut elsewhere = keys::KEYS.iter().filter(last);
    match (elsewhere.next(), elsewhere.next()) {
        (Some(key), None) => format!("did you mean {}?", key.path),
        _ => "remove it, or see `barnacle help config` for the keys there are".into(),
    }
}

/// A number, also one that came out of a variable as text.
pub(crate) fn number_of(value: &Node<'_>) -> Option<f64> {
    let number = match value {
        #[expect(clippy::cast_precision_loss, reason = "no bound of any key is near 2^53")]
        Node::Whole(number) => *number as f64,
        Node::Number(number) => *number,
        Node::Text(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A span: a bare number in `unit`, or a text such as `500ms`, `30s`, `5m`, `1h`.
pub(crate) fn span_of(value: &Node<'_>, unit: Unit) -> Option<Duration> {
    let bare = match unit {
        Unit::Millis => 1e-3,
        Unit::Seconds => 1.0,
    };
    let named = |text: &str| {
        let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        units.into_iter().find_map(|(unit, seconds)| {
            let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
            Some(number * seconds)
        })
    };
    let seconds = match value {
        Node::Text(text) if number_of(value).is_none() => named(text.trim())?,
        value => number_of(value)? * bare,
    };
    Duration::try_from_secs_f64(seconds).ok()
}
