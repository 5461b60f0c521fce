//! Takes out of a document whatever nobody reads: unknown keys, the earlier ones of keys that are
//! written twice, and more entries than anybody has. Each is said. What is left is small wherever
//! it is searched, however large the file is.

use std::collections::{BTreeSet, HashSet};

use super::Weight;
use super::findings::{Findings, PATH_BYTES_MAX};
use super::index::Spot;
use super::keys::{self, Key, Kind, Stand};
use super::path::{self, Step};
use super::raw::{Name, Node};
use crate::base::{limits, spell, text};

/// What was found wrong, and whether entries were left out because there were too many.
pub(super) struct Pruned<'t> {
    pub(super) findings: Findings<'t>,
    pub(super) is_cut: bool,
}

/// Prunes `root`, which was parsed from `text`.
pub(super) fn prune<'t>(text: &'t str, root: &mut Node<'_>) -> Pruned<'t> {
    let mut pruned = Pruned { findings: Findings::new(text), is_cut: false };
    pruned.section(&mut Vec::new(), Spot::top(), None, root);
    pruned
}

impl Pruned<'_> {
    /// A section of the table: what stands below is looked at one by one.
    fn section<'n>(
        &mut self,
        path: &mut Vec<Step<'n>>,
        spot: Spot,
        name: Option<&Name<'_>>,
        node: &mut Node<'n>,
    ) {
        match node {
            Node::Map(map) if !spot.takes_only_list() => {
                if spot.takes_any_name() {
                    self.own_names(path, name, map);
                } else {
                    self.known_names(path, spot, map);
                }
                for (name, value) in map {
                    path.push(name.step());
                    self.value(path, spot.below(&name.step()), name, value);
                    path.pop();
                }
            }
            Node::List(list) if spot.takes_list() => {
                if self.is_too_long(path, name, list.len()) {
                    list.truncate(limits::CONFIG_ENTRIES_MAX);
                }
                for (at, value) in list.iter_mut().enumerate() {
                    path.push(Step::Index(at));
                    self.section(path, spot.below(&Step::Index(at)), name, value);
                    path.pop();
                }
            }
            Node::Null => {}
            other => {
                let wanted = if spot.takes_only_list() { "a list" } else { "an object with keys" };
                let text = format!("{} where {wanted} belongs", other.what());
                self.findings.add(Weight::Warning, &path::show(path), name, &text, "");
            }
        }
    }

    /// Names of the writer's choice: told apart by every character; of one that is written twice,
    /// the last counts.
    fn own_names<'n>(
        &mut self,
        path: &mut Vec<Step<'n>>,
        name: Option<&Name<'_>>,
        map: &mut Vec<(Name<'n>, Node<'n>)>,
    ) {
        let mut seen = HashSet::new();
        let last: Vec<bool> =
            map.iter().rev().map(|(name, _)| seen.insert(name.as_str())).collect();
        let mut last = last.into_iter().rev();
        let mut kept = 0;
        let mut too_many = false;
        map.retain(|(name, value)| {
            if last.next() == Some(false) {
                self.twice(path, name);
                return false;
            }
            let counts = *value != Node::Null;
            kept += usize::from(counts);
            too_many |= kept > limits::CONFIG_ENTRIES_MAX;
            counts && !too_many
        });
        if too_many {
            self.is_too_long(path, name, kept);
        }
    }

    /// The table's names, however they are spelt.
    fn known_names<'n>(
        &mut self,
        path: &mut Vec<Step<'n>>,
        spot: Spot,
        map: &mut Vec<(Name<'n>, Node<'n>)>,
    ) {
        let mut seen = BTreeSet::new();
        let verdicts = map.iter().rev().map(|(name, _)| {
            let below = spot.below(&name.step());
            let is_known = below.key().is_some() || below.is_section();
            (is_known, !is_known || seen.insert(below))
        });
        let verdicts: Vec<(bool, bool)> = verdicts.collect();
        let mut verdicts = verdicts.into_iter().rev();
        map.retain(|(name, _)| match verdicts.next() {
            Some((false, _)) => {
                self.unknown(path, spot, name);
                false
            }
            Some((true, false)) => {
                self.twice(path, name);
                false
            }
            _ => true,
        });
    }

    /// What stands at a known name.
    fn value<'n>(
        &mut self,
        path: &mut Vec<Step<'n>>,
        spot: Spot,
        name: &Name<'n>,
        value: &mut Node<'n>,
    ) {
        let Some(key) = spot.key() else { return self.section(path, spot, Some(name), value) };
        self.stand(key, path, name);
        match value {
            Node::Map(map) if self.is_too_long(path, Some(name), map.len()) => {
                map.truncate(limits::CONFIG_ENTRIES_MAX);
            }
            Node::List(list) => {
                if self.is_too_long(path, Some(name), list.len()) {
                    list.truncate(limits::CONFIG_ENTRIES_MAX);
                }
                // No key's list holds lists or objects: that one is there is all that is told.
                for item in list {
                    match item {
                        Node::List(inner) => inner.clear(),
                        Node::Map(inner) => inner.clear(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn stand(&mut self, key: &Key, path: &[Step<'_>], name: &Name<'_>) {
        let (weight, text) = match key.stand {
            Stand::Works => return,
            Stand::Later => (Weight::Note, format!("accepted, but {}", key.doc)),
            Stand::Moot => (Weight::Note, format!("not needed: {}", key.doc)),
        };
        self.findings.add(weight, &path::show(path), Some(name), &text, "");
    }

    /// Whether there are more entries than are read, which is then said.
    fn is_too_long(&mut self, path: &[Step<'_>], name: Option<&Name<'_>>, length: usize) -> bool {
        let is_too_long = length > limits::CONFIG_ENTRIES_MAX;
        if is_too_long {
            self.is_cut = true;
            let text = format!("only the first {} are read", limits::CONFIG_ENTRIES_MAX);
            self.findings.add(Weight::Warning, &path::show(path), name, &text, "");
        }
        is_too_long
    }

    fn twice<'n>(&mut self, path: &mut Vec<Step<'n>>, name: &Name<'n>) {
        let text = "written twice; the last one counts";
        self.about_entry(path, name, |_| (text, String::new()));
    }

    fn unknown<'n>(&mut self, path: &mut Vec<Step<'n>>, spot: Spot, name: &Name<'n>) {
        self.about_entry(path, name, |path| {
            ("not known, so it does nothing", guess(path, spot, name.as_str()))
        });
    }

    /// Of very many the rest only counts, so that nothing is made of them.
    fn about_entry<'n>(
        &mut self,
        path: &mut Vec<Step<'n>>,
        name: &Name<'n>,
        say: impl FnOnce(&[Step<'n>]) -> (&'static str, String),
    ) {
        if self.findings.is_full() {
            return self.findings.count();
        }
        path.push(name.step());
        let (text, cure) = say(path);
        self.findings.add(Weight::Warning, &path::show(path), Some(name), text, &cure);
        path.pop();
    }
}

/// What may have been meant by `name` at `path`, which stands in the section `spot`: a sibling of
/// a like name, or a key of that very name elsewhere.
fn guess(path: &[Step<'_>], spot: Spot, name: &str) -> String {
    if let Some(sibling) = spell::nearest(name, spot.names()) {
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
