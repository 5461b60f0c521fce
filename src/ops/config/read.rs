//! Tolerant reading: each key is fetched as what the table says it is; whatever else stands there
//! becomes a mistake, and the caller's default holds.
//!
//! A key may stand at several places: an account's own word beats the channel's, and that one the
//! word of a guide at the top of the file. The table says which places those are.
//!
//! No mistake shows a value: a token pasted into the wrong place must not reach the log.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use super::env::Env;
use super::keys::{self, Key, Kind, Stand, Unit};
use super::path::{self, Step};
use super::raw::{Name, Node};
use super::{Mistake, Weight};
use crate::base::{limits, spell, text};

/// Of a key's path, this much is shown.
const PATH_BYTES_MAX: usize = 160;

/// A document being read.
pub(crate) struct Reader<'r, 't> {
    text: &'t str,
    root: &'r Node<'t>,
    env: &'r Env,
    /// The objects that are being read within others, the innermost last.
    frames: Vec<Frame<'r, 't>>,
    mistakes: Vec<Mistake>,
    unreported: usize,
    #[cfg(test)]
    pub(crate) asked: BTreeSet<&'static str>,
}

/// One entry of an object or a list whose names are the writer's own.
#[derive(Clone)]
struct Frame<'r, 't> {
    /// As the table writes it: `channels.discord.guilds.*`.
    pattern: &'static str,
    entry: Entry<'r, 't>,
}

/// A value, and where it stands.
#[derive(Clone)]
pub(crate) struct Entry<'r, 't> {
    /// Its key; `None` in a list, and for the whole document.
    pub(crate) name: Option<&'r Name<'t>>,
    /// The value.
    pub(crate) value: &'r Node<'t>,
    path: Vec<Step<'r>>,
}

impl<'r> Entry<'r, '_> {
    /// The name that its writer chose; empty in a list.
    pub(crate) fn key(&self) -> &'r str {
        self.name.map_or("", Name::as_str)
    }
}

/// Where a key is looked for: an object, and the names from there on.
struct Place<'r, 't> {
    from: Entry<'r, 't>,
    rest: String,
}

impl<'r, 't> Reader<'r, 't> {
    /// Begins to read `root`, which was parsed from `text`.
    pub(crate) fn new(text: &'t str, root: &'r Node<'t>, env: &'r Env) -> Reader<'r, 't> {
        Reader {
            text,
            root,
            env,
            frames: Vec::new(),
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
            whole_of(value).filter(|number| (least..=most).contains(number))
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

    /// Reads a [`Kind::Text`] or a [`Kind::Secret`].
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
        self.find(path).is_some()
    }

    /// Whether it stands in the entry that is being read, and not only where all entries find it.
    pub(crate) fn has_itself(&self, path: &str) -> bool {
        let Some(frame) = self.frames.last() else { return self.has(path) };
        self.find(path).is_some_and(|found| found.path.starts_with(&frame.entry.path))
    }

    /// The entries of the object or list at `path`: of a key written twice, the last. Of more
    /// than the table of any chat service holds, the rest is left out, and said.
    pub(crate) fn entries(&mut self, path: &str) -> Vec<Entry<'r, 't>> {
        let Some(found) = self.find(path) else { return Vec::new() };
        let mut entries = Vec::new();
        let mut add = |name: Option<&'r Name<'t>>, step: Step<'r>, value: &'r Node<'t>| {
            let path = found.path.iter().cloned().chain([step]).collect();
            entries.push(Entry { name, value, path });
        };
        match found.value {
            Node::Map(map) => {
                let mut seen = BTreeSet::new();
                for (name, value) in map.iter().rev() {
                    if seen.insert(name.as_str()) && *value != Node::Null {
                        add(Some(name), Step::name(name.as_str()), value);
                    }
                }
                entries.reverse();
            }
            Node::List(list) => {
                for (at, value) in list.iter().enumerate() {
                    add(None, Step::Index(at), value);
                }
            }
            _ => {}
        }
        if entries.len() > limits::CONFIG_ENTRIES_MAX {
            let text = format!("only the first {} are read", limits::CONFIG_ENTRIES_MAX);
            self.note(Weight::Warning, path, &text, "");
            entries.truncate(limits::CONFIG_ENTRIES_MAX);
        }
        entries
    }

    /// Reads within `entry`, which stands where the table writes `pattern`: for the keys below
    /// it, and for those that it may have like another section.
    pub(crate) fn within<T>(
        &mut self,
        pattern: &'static str,
        entry: &Entry<'r, 't>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.frames.push(Frame { pattern, entry: entry.clone() });
        let result = read(self);
        self.frames.pop();
        result
    }

    /// Adds a mistake about the key at `path`, or about where it would stand.
    pub(crate) fn note(&mut self, weight: Weight, path: &str, text: &str, cure: &str) {
        let (at, shown) = if let Some(found) = self.find(path) {
            (found.name.and_then(|name| name.place(self.text)), found.path)
        } else {
            let place = self.places(path).into_iter().next().map(|place| {
                let below = place.rest.split('.').filter(|name| !name.is_empty());
                let below = below.map(|name| Step::name(name).owned());
                place.from.path.iter().cloned().chain(below).collect()
            });
            (None, place.unwrap_or_default())
        };
        self.report(weight, &path::show(&shown), at, text, cure);
    }

    /// Adds a mistake about `entry` as a whole.
    pub(crate) fn note_at(
        &mut self,
        weight: Weight,
        entry: &Entry<'_, '_>,
        text: &str,
        cure: &str,
    ) {
        let at = entry.name.and_then(|name| name.place(self.text));
        self.report(weight, &path::show(&entry.path), at, text, cure);
    }

    /// Looks at every key that is written and reports those that mean nothing or do nothing; then
    /// hands over all mistakes, in the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Mistake> {
        self.walk(&mut Vec::new(), None, self.root);
        let mut mistakes = self.mistakes;
        mistakes.sort_by_key(|mistake| mistake.at.unwrap_or((usize::MAX, 0)));
        if self.unreported > 0 {
            let text = format!("{} more mistakes in the file", self.unreported);
            let (path, cure) = ("…".to_owned(), String::new());
            mistakes.push(Mistake { weight: Weight::Warning, path, at: None, text, cure });
        }
        mistakes
    }

    /// Where the key at `path` may stand; the place that counts most is first.
    fn places(&self, path: &str) -> Vec<Place<'r, 't>> {
        if let Some(place) = self.frames.iter().rev().find_map(|frame| frame.place(path)) {
            return vec![place];
        }
        let whole = Entry { name: None, value: self.root, path: Vec::new() };
        let mut places = vec![Place { from: whole.clone(), rest: path.to_owned() }];
        for (pattern, target) in keys::likes() {
            let Some(rest) = rest_of(path, target) else { continue };
            if pattern.contains(['*', '#']) {
                let frame = self.frames.iter().rev().find(|frame| frame.pattern == pattern);
                let entry = frame.map(|frame| frame.entry.clone());
                places.splice(0..0, entry.map(|from| Place { from, rest: rest.to_owned() }));
            } else {
                let dot = if rest.is_empty() { "" } else { "." };
                places.push(Place { from: whole.clone(), rest: format!("{pattern}{dot}{rest}") });
            }
        }
        places
    }

    /// What stands at `path`, unless it is `null`.
    fn find(&self, path: &str) -> Option<Entry<'r, 't>> {
        self.places(path).iter().find_map(Place::look)
    }

    fn fetch<T>(
        &mut self,
        path: &'static str,
        read: impl FnOnce(Kind, &Node<'_>) -> Option<T>,
    ) -> Option<T> {
        #[cfg(test)]
        self.asked.insert(path);
        let key = keys::KEYS.iter().find(|key| key.path == path)?;
        let found = self.find(path)?;
        let expanded = match self.expand(found.value) {
            Ok(value) => value,
            Err(fault) => {
                let cure = "set it where the gateway starts, or write the value itself";
                self.note(Weight::Warning, path, &fault, cure);
                return None;
            }
        };
        let read = read(key.kind, &expanded);
        if read.is_none() {
            self.misfit(key, &expanded);
        }
        read
    }

    /// Fills in the variables of a text, or of the texts in a list.
    fn expand(&self, value: &'r Node<'t>) -> Result<Cow<'r, Node<'t>>, String> {
        let fill = |text: &str| Ok(Node::Text(Cow::Owned(self.env.expand(text)?)));
        match value {
            Node::Text(text) => fill(text).map(Cow::Owned),
            Node::List(list) if list.iter().any(|item| matches!(item, Node::Text(_))) => {
                let expand = |item: &Node<'t>| match item {
                    Node::Text(text) => fill(text),
                    other => Ok(other.clone()),
                };
                let list: Result<Vec<Node<'t>>, String> = list.iter().map(expand).collect();
                list.map(|list| Cow::Owned(Node::List(list)))
            }
            other => Ok(Cow::Borrowed(other)),
        }
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

    fn walk(&mut self, path: &mut Vec<Step<'r>>, name: Option<&'r Name<'t>>, node: &'r Node<'t>) {
        let names = keys::names_below(path);
        match node {
            Node::Map(map) if !is_list(&names) => self.walk_map(path, &names, map),
            Node::List(list) if names.contains(&"#") => {
                for (at, value) in list.iter().enumerate() {
                    path.push(Step::Index(at));
                    self.walk(path, name, value);
                    path.pop();
                }
            }
            Node::Null => {}
            other => {
                let wanted = if is_list(&names) { "a list" } else { "an object with keys" };
                let text = format!("{} where {wanted} belongs", other.what());
                let at = name.and_then(|name| name.place(self.text));
                self.report(Weight::Warning, &path::show(path), at, &text, "");
            }
        }
    }

    fn walk_map(
        &mut self,
        path: &mut Vec<Step<'r>>,
        names: &[&'static str],
        map: &'r [(Name<'t>, Node<'t>)],
    ) {
        let mut seen = BTreeSet::new();
        // The last of a name counts, so it is met first.
        for (name, value) in map.iter().rev() {
            let known = name.as_str();
            path.push(Step::name(known));
            // Names of the writer's own choice are told apart by every character.
            let folded =
                if names.contains(&"*") { known.chars().collect() } else { spell::fold(known) };
            let at = || name.place(self.text);
            if !seen.insert(folded) {
                let text = "written twice; the last one counts";
                self.report(Weight::Warning, &path::show(path), at(), text, "");
            } else if let Some(key) = keys::find(path) {
                self.stand(key, path, name);
            } else if !keys::names_below(path).is_empty() {
                self.walk(path, Some(name), value);
            } else if self.mistakes.len() >= limits::CONFIG_MISTAKES_MAX {
                self.unreported += 1;
            } else {
                let text = "not known, so it does nothing";
                let cure = guess(path, names, known);
                self.report(Weight::Warning, &path::show(path), at(), text, &cure);
            }
            path.pop();
        }
    }

    fn stand(&mut self, key: &Key, path: &[Step<'_>], name: &Name<'_>) {
        let (weight, text) = match key.stand {
            Stand::Works => return,
            Stand::Later => (Weight::Note, format!("accepted, but {}", key.doc)),
            Stand::Moot => (Weight::Note, format!("not needed: {}", key.doc)),
        };
        self.report(weight, &path::show(path), name.place(self.text), &text, "");
    }

    fn report(
        &mut self,
        weight: Weight,
        path: &str,
        at: Option<(usize, usize)>,
        text: &str,
        cure: &str,
    ) {
        let path = text::truncate(path, PATH_BYTES_MAX).to_owned();
        let mistake = Mistake { weight, path, at, text: text.into(), cure: cure.into() };
        // What all accounts share is read by each of them.
        if self.mistakes.contains(&mistake) {
            return;
        }
        if self.mistakes.len() >= limits::CONFIG_MISTAKES_MAX {
            self.unreported += 1;
        } else {
            self.mistakes.push(mistake);
        }
    }
}

impl<'r, 't> Frame<'r, 't> {
    /// Where `path` stands in this entry, if the table writes it below it.
    fn place(&self, path: &str) -> Option<Place<'r, 't>> {
        let rest = rest_of(path, self.pattern)?.to_owned();
        Some(Place { from: self.entry.clone(), rest })
    }
}

impl<'r, 't> Place<'r, 't> {
    /// What stands here, however its key is spelt; of one written twice, the last.
    fn look(&self) -> Option<Entry<'r, 't>> {
        let mut found = self.from.clone();
        for segment in self.rest.split('.').filter(|segment| !segment.is_empty()) {
            let Node::Map(map) = found.value else { return None };
            let same = |(name, _): &&'r (Name<'t>, _)| spell::same(name.as_str(), segment);
            let (name, value) = map.iter().rev().find(same)?;
            found.path.push(Step::name(name.as_str()));
            found = Entry { name: Some(name), value, path: found.path };
        }
        (*found.value != Node::Null).then_some(found)
    }
}

/// What is left of `path` below `section`, or nothing if it is that section itself.
fn rest_of<'p>(path: &'p str, section: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(section)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
}

/// Whether only a list can stand where these are the names below.
fn is_list(names: &[&str]) -> bool {
    names.iter().all(|name| *name == "#") && !names.is_empty()
}

/// What may have been meant by `name` at `path`, whose section knows `names`: a sibling of a like
/// name, or a key of that very name elsewhere.
fn guess(path: &[Step<'_>], names: &[&'static str], name: &str) -> String {
    let siblings = names.iter().copied().filter(|name| !matches!(*name, "*" | "#"));
    if let Some(sibling) = spell::nearest(name, siblings) {
        let mut meant = path.to_vec();
        meant.pop();
        meant.push(Step::name(sibling));
        let meant = path::show(&meant);
        return format!("did you mean {}?", text::truncate(&meant, PATH_BYTES_MAX));
    }
    let last = |key: &&Key| {
        let is_fixed = !key.path.contains(['*', '#']) && !matches!(key.kind, Kind::Like(_));
        is_fixed && key.path.rsplit('.').next().is_some_and(|last| spell::same(last, name))
    };
    let mut elsewhere = keys::KEYS.iter().filter(last);
    match (elsewhere.next(), elsewhere.next()) {
        (Some(key), None) => format!("did you mean {}?", key.path),
        _ => "remove it, or see `barnacle help config` for the keys there are".into(),
    }
}

/// A whole number, also one that came out of a variable as text.
pub(crate) fn whole_of(value: &Node<'_>) -> Option<u64> {
    match value {
        Node::Whole(number) => u64::try_from(*number).ok(),
        Node::Large(number) => Some(*number),
        Node::Text(text) => text.trim().parse().ok(),
        _ => None,
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
