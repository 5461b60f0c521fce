//! Tolerant reading: each key is fetched as what the table says it is; whatever else stands there
//! becomes a mistake, and the caller's default holds.
//!
//! A key may stand at several places: an account's own word beats the channel's, and that one the
//! word of a guide at the top of the file. The table says which places those are.
//!
//! No mistake shows a value: a token pasted into the wrong place must not reach the log.

use std::borrow::Cow;
#[cfg(test)]
use std::collections::BTreeSet;
use std::time::Duration;

use super::env::Env;
use super::findings::Findings;
use super::index;
use super::keys::{Key, Kind, Unit};
use super::path::{self, Step};
use super::prune::Pruned;
use super::raw::{Name, Node};
use super::{Mistake, Weight};
use crate::base::{limits, spell};

/// Places where one key may stand: no key has more.
const PLACES_MAX: usize = 4;

/// A document being read.
pub(crate) struct Reader<'r, 't> {
    /// The whole document.
    whole: Entry<'r, 't>,
    env: &'r Env,
    /// The objects that are being read within others, the innermost last.
    frames: Vec<Frame<'r, 't>>,
    /// What was wrong before reading.
    pruned: Pruned<'t>,
    findings: Findings<'t>,
    /// Entries that may still be read. What accounts or agents share is read by each of them.
    left: usize,
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

/// Where a key is looked for: an object, and the names from there on, in two parts.
struct Place<'p, 'r, 't> {
    from: &'p Entry<'r, 't>,
    rest: [&'p str; 2],
}

/// What stands at a place.
struct Found<'p, 'r, 't> {
    name: Option<&'r Name<'t>>,
    value: &'r Node<'t>,
    place: Place<'p, 'r, 't>,
}

impl<'r, 't> Reader<'r, 't> {
    /// Begins to read `root`, which was parsed from `text` and pruned.
    pub(crate) fn new(
        text: &'t str,
        root: &'r Node<'t>,
        pruned: Pruned<'t>,
        env: &'r Env,
    ) -> Reader<'r, 't> {
        Reader {
            whole: Entry { name: None, value: root, path: Vec::new() },
            env,
            frames: Vec::new(),
            pruned,
            findings: Findings::new(text),
            left: limits::CONFIG_READS_MAX,
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

    /// Whether a bare `true` or `false` stands where there might be a section.
    pub(crate) fn is_switch(&self, path: &str, flag: bool) -> bool {
        self.find(path).is_some_and(|found| matches!(found.value, Node::Flag(it) if *it == flag))
    }

    /// Whether it stands in the entry that is being read, and not only where all entries find it.
    pub(crate) fn has_itself(&self, path: &str) -> bool {
        let Some(frame) = self.frames.last() else { return self.has(path) };
        self.find(path).is_some_and(|found| std::ptr::eq(found.place.from, &raw const frame.entry))
    }

    /// Whether entries were left out because there were too many.
    pub(crate) fn is_cut(&self) -> bool {
        self.pruned.is_cut || self.left == 0
    }

    /// Whether further mistakes only count.
    pub(crate) fn is_full(&self) -> bool {
        self.findings.is_full()
    }

    /// The entries of the object or list at `path`.
    pub(crate) fn entries(&mut self, path: &str) -> Vec<Entry<'r, 't>> {
        let Some(found) = self.find(path) else { return Vec::new() };
        let above = found.place.path();
        let entry = |name: Option<&'r Name<'t>>, step: Step<'r>, value: &'r Node<'t>| {
            let path = above.iter().cloned().chain([step]).collect();
            Entry { name, value, path }
        };
        let mut entries: Vec<_> = match found.value {
            Node::Map(map) => map
                .iter()
                .take(self.left)
                .map(|(name, value)| entry(Some(name), Step::name(name.as_str()), value))
                .collect(),
            Node::List(list) => list
                .iter()
                .take(self.left)
                .enumerate()
                .map(|(at, value)| entry(None, Step::Index(at), value))
                .collect(),
            _ => Vec::new(),
        };
        if !self.spend(path, entries.len()) {
            entries.clear();
        }
        entries
    }

    /// Whether `count` more entries may be read; if not, none may from here on, and it is said.
    fn spend(&mut self, path: &str, count: usize) -> bool {
        if count == 0 || count < self.left {
            self.left -= count;
            return true;
        }
        self.left = 0;
        let text = "left out: the file has too many entries, counted for each that shares them";
        self.note(Weight::Warning, path, text, "split it among several gateways");
        false
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
        let (name, shown) = match self.find(path) {
            Some(found) => (found.name, path::show(&found.place.path())),
            None => (None, self.places(path).first().map(Place::show).unwrap_or_default()),
        };
        self.findings.add(weight, &shown, name, text, cure);
    }

    /// Adds a mistake about `entry` as a whole.
    pub(crate) fn note_at(
        &mut self,
        weight: Weight,
        entry: &Entry<'_, '_>,
        text: &str,
        cure: &str,
    ) {
        self.findings.add(weight, &path::show(&entry.path), entry.name, text, cure);
    }

    /// All mistakes, in the order of the file.
    pub(crate) fn finish(self) -> Vec<Mistake> {
        self.findings.finish(self.pruned.findings)
    }

    /// Where the key at `path` may stand; the place that counts most is first.
    fn places<'p>(&'p self, path: &'p str) -> heapless::Vec<Place<'p, 'r, 't>, PLACES_MAX> {
        let mut places = heapless::Vec::new();
        // No key has more places than there is room for, which a test shows.
        let mut add = |from, rest| drop(places.push(Place { from, rest }));
        if let Some((from, rest)) = self.frames.iter().rev().find_map(|frame| frame.below(path)) {
            add(from, ["", rest]);
            return places;
        }
        let others = |is_within: bool| {
            let is_meant = move |pattern: &str| pattern.contains(['*', '#']) == is_within;
            index::likes().filter_map(move |(pattern, target)| {
                Some((pattern, rest_of(path, target)?)).filter(|_| is_meant(pattern))
            })
        };
        for (pattern, rest) in others(true) {
            let frame = self.frames.iter().rev().find(|frame| frame.pattern == pattern);
            if let Some(frame) = frame {
                add(&frame.entry, ["", rest]);
            }
        }
        add(&self.whole, ["", path]);
        for (pattern, rest) in others(false) {
            add(&self.whole, [pattern, rest]);
        }
        places
    }

    /// What stands at `path`, unless it is `null`.
    fn find<'p>(&'p self, path: &'p str) -> Option<Found<'p, 'r, 't>> {
        self.places(path).into_iter().find_map(Place::look)
    }

    fn fetch<T>(
        &mut self,
        path: &'static str,
        read: impl FnOnce(Kind, &Node<'_>) -> Option<T>,
    ) -> Option<T> {
        #[cfg(test)]
        self.asked.insert(path);
        let key = index::key(path)?;
        let value = self.find(path)?.value;
        if let Node::List(list) = value
            && !self.spend(path, list.len())
        {
            return None;
        }
        let expanded = match self.expand(value) {
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
}

impl<'r, 't> Frame<'r, 't> {
    /// Where `path` stands in this entry, if the table writes it below it.
    fn below<'p>(&'p self, path: &'p str) -> Option<(&'p Entry<'r, 't>, &'p str)> {
        Some((&self.entry, rest_of(path, self.pattern)?))
    }
}

impl<'p, 'r, 't> Place<'p, 'r, 't> {
    /// The names of the keys on the way.
    fn segments(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        let parts = self.rest.into_iter().flat_map(|part| part.split('.'));
        parts.filter(|segment| !segment.is_empty())
    }

    /// What stands here, however its key is spelt.
    fn look(self) -> Option<Found<'p, 'r, 't>> {
        let start = (self.from.name, self.from.value);
        let (name, value) = self.segments().try_fold(start, |(_, value), segment| {
            child(value, segment).map(|(name, inner)| (Some(name), inner))
        })?;
        (*value != Node::Null).then_some(Found { name, value, place: self })
    }

    /// The path to what stands here, with its names as they are written.
    fn path(&self) -> Vec<Step<'r>> {
        let (mut path, mut value) = (self.from.path.clone(), self.from.value);
        for segment in self.segments() {
            let Some((name, inner)) = child(value, segment) else { break };
            path.push(Step::name(name.as_str()));
            value = inner;
        }
        path
    }

    /// The path of what is not here, as the table writes its names.
    fn show(&self) -> String {
        let path = self.from.path.iter().cloned().chain(self.segments().map(Step::name));
        path::show(&path.collect::<Vec<_>>())
    }
}

fn child<'r, 't>(value: &'r Node<'t>, name: &str) -> Option<&'r (Name<'t>, Node<'t>)> {
    let Node::Map(map) = value else { return None };
    map.iter().find(|(known, _)| spell::same(known.as_str(), name))
}

/// What is left of `path` below `section`, or nothing if it is that section itself.
fn rest_of<'p>(path: &'p str, section: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(section)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('.') }
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

#[cfg(test)]
mod tests {
    use super::super::keys::KEYS;
    use super::*;

    #[test]
    fn there_is_room_for_every_place_of_a_key() {
        for key in KEYS {
            let others = index::likes().filter(|(_, like)| rest_of(key.path, like).is_some());
            assert!(others.count() < PLACES_MAX, "{}", key.path);
        }
    }
}
