//! The table of keys as a tree, so that finding a written name in it costs the same however many
//! names a file holds.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::keys::{KEYS, Key, Kind};
use super::path::Step;
use crate::base::spell;

static INDEX: LazyLock<Index> = LazyLock::new(Index::new);

/// The tree, and what else is looked up often.
struct Index {
    branches: Vec<Branch>,
    keys: HashMap<&'static str, &'static Key>,
    likes: Vec<(&'static str, &'static str)>,
}

/// One place of the table.
#[derive(Default)]
struct Branch {
    key: Option<&'static Key>,
    /// Where the place is that this one is like.
    like: Option<u16>,
    /// What stands below, in the order of [`spell::order`].
    named: Vec<(&'static str, u16)>,
    any_name: Option<u16>,
    any_place: Option<u16>,
}

/// A place in the table: the one of that very path, and the one that it is like.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) struct Spot {
    own: Option<u16>,
    other: Option<u16>,
}

/// The key that the table writes as `path`.
pub(super) fn key(path: &str) -> Option<&'static Key> {
    INDEX.keys.get(path).copied()
}

/// The keys and sections that are like others: their own path and the other's.
pub(crate) fn likes() -> impl Iterator<Item = (&'static str, &'static str)> {
    INDEX.likes.iter().copied()
}

impl Spot {
    /// The whole file.
    pub(super) fn top() -> Spot {
        Spot { own: Some(0), other: None }
    }

    /// Where `path` leads, however its names are spelt.
    pub(super) fn at(path: &[Step<'_>]) -> Spot {
        path.iter().fold(Spot::top(), |spot, step| spot.below(step))
    }

    /// One step on.
    pub(super) fn below(self, step: &Step<'_>) -> Spot {
        let below = |at: Option<u16>| INDEX.branch(at)?.below(step);
        let own = below(self.own);
        let like = INDEX.branch(own).and_then(|branch| branch.like);
        Spot { own, other: below(self.other).or(like) }
    }

    /// The key that stands here.
    pub(super) fn key(self) -> Option<&'static Key> {
        self.branches().find_map(|branch| branch.key)
    }

    /// Whether names or places may stand below.
    pub(super) fn is_section(self) -> bool {
        self.branches().any(|branch| branch.has_names() || branch.any_place.is_some())
    }

    /// Whether the names below are the writer's own.
    pub(super) fn takes_any_name(self) -> bool {
        self.branches().any(|branch| branch.any_name.is_some())
    }

    /// Whether a list may stand here.
    pub(super) fn takes_list(self) -> bool {
        self.branches().any(|branch| branch.any_place.is_some())
    }

    /// Whether only a list may.
    pub(super) fn takes_only_list(self) -> bool {
        self.takes_list() && !self.branches().any(Branch::has_names)
    }

    /// The names that the table has below, sorted, without those of the writer's choice.
    pub(super) fn names(self) -> Vec<&'static str> {
        let below = self.branches().flat_map(|branch| branch.named.iter().map(|(name, _)| *name));
        let mut names: Vec<_> = below.collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn branches(self) -> impl Iterator<Item = &'static Branch> {
        [self.own, self.other].into_iter().filter_map(|at| INDEX.branch(at))
    }
}

impl Index {
    fn new() -> Index {
        let mut index = Index {
            branches: vec![Branch::default()],
            keys: KEYS.iter().map(|key| (key.path, key)).collect(),
            likes: Vec::new(),
        };
        for key in KEYS {
            let at = index.grow(key.path);
            match key.kind {
                Kind::Like(target) => index.likes.push((key.path, target)),
                _ => index.branches[usize::from(at)].key = Some(key),
            }
        }
        for (path, target) in index.likes.clone() {
            let (at, like) = (index.grow(path), index.grow(target));
            index.branches[usize::from(at)].like = Some(like);
        }
        index
    }

    fn branch(&self, at: Option<u16>) -> Option<&Branch> {
        self.branches.get(usize::from(at?))
    }

    /// The branch of `path`, which is made if it is not there.
    fn grow(&mut self, path: &'static str) -> u16 {
        let mut at = 0;
        for name in path.split('.') {
            let fresh = u16::try_from(self.branches.len()).unwrap_or(u16::MAX);
            let branch = &mut self.branches[usize::from(at)];
            at = match name {
                "*" => *branch.any_name.get_or_insert(fresh),
                "#" => *branch.any_place.get_or_insert(fresh),
                name => match branch.find(name) {
                    Ok(found) => branch.named[found].1,
                    Err(gap) => {
                        branch.named.insert(gap, (name, fresh));
                        fresh
                    }
                },
            };
            if at == fresh {
                self.branches.push(Branch::default());
            }
        }
        at
    }
}

impl Branch {
    fn has_names(&self) -> bool {
        self.any_name.is_some() || !self.named.is_empty()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.named.binary_search_by(|(known, _)| spell::order(known, name))
    }

    fn below(&self, step: &Step<'_>) -> Option<u16> {
        match step {
            Step::Index(_) => self.any_place,
            Step::Name(name) => match self.find(name) {
                Ok(found) => Some(self.named[found].1),
                Err(_) => self.any_name,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::super::path;
    use super::*;

    #[test]
    fn one_step_leads_to_one_place() {
        for branch in &INDEX.branches {
            let is_mixed = branch.any_name.is_some() && !branch.named.is_empty();
            assert!(!is_mixed, "a name of the table would be no name to choose");
            assert!(branch.named.is_sorted_by(|a, b| spell::order(a.0, b.0) == Ordering::Less));
        }
        for (pattern, _) in likes() {
            let outer = |(other, _): (&str, &str)| pattern.starts_with(&format!("{other}."));
            assert!(!likes().any(outer), "{pattern} would be like two others");
        }
        assert!(INDEX.branches.len() < usize::from(u16::MAX));
    }

    #[test]
    fn every_key_is_found_by_its_path() {
        for known in KEYS {
            assert_eq!(key(known.path).map(|key| key.path), Some(known.path));
            if !known.path.contains(['*', '#']) && !matches!(known.kind, Kind::Like(_)) {
                let found = Spot::at(&path::plain(known.path)).key();
                assert_eq!(found.map(|key| key.path), Some(known.path));
            }
        }
    }
}
