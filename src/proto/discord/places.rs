//! What is known of channels and threads: their names, and of a thread the channel around it. A
//! message tells neither, and rules speak of both.
//!
//! A table of fixed size, made once: the place of a channel follows from its id, among a few
//! others of which the one longest unheard of gives way.

use crate::base::limits::{PLACE_NAME_BYTES_MAX, PLACES_MAX};
use crate::base::text;

/// Places that a channel may lie at.
const WAYS: usize = 8;
const SETS: usize = PLACES_MAX / WAYS;

/// The channels and threads of one account.
pub(super) struct Places {
    sets: Box<[[Entry; WAYS]]>,
    /// How often something was learned that was not known.
    changes: u64,
}

/// The version of the bytes that are kept.
const VERSION: u8 = 1;

/// One of them; id 0 is nobody's.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    id: u64,
    parent: u64,
    len: u8,
    name: [u8; PLACE_NAME_BYTES_MAX],
}

const NONE: Entry = Entry { id: 0, parent: 0, len: 0, name: [0; PLACE_NAME_BYTES_MAX] };

/// A channel or thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place<'a> {
    /// Its name; empty if it was too long to keep.
    pub name: &'a str,
    /// Of a thread, the channel around it.
    pub parent: Option<u64>,
}

impl Places {
    /// The only allocation.
    pub(super) fn new() -> Places {
        Places { sets: vec![[NONE; WAYS]; SETS].into_boxed_slice(), changes: 0 }
    }

    /// Learns what channel `id` is called and what is around it, in place of what was known.
    pub(super) fn learn(&mut self, id: u64, name: &str, parent: Option<u64>) {
        if id == 0 {
            return;
        }
        let Some(set) = self.sets.get_mut(set_of(id)) else { return };
        let at = set.iter().position(|entry| entry.id == id).unwrap_or(WAYS - 1);
        // The one heard of last comes first.
        if let Some(front) = set.get_mut(..=at) {
            front.rotate_right(1);
        }
        let mut entry = Entry { id, parent: parent.unwrap_or(0), ..NONE };
        // Half a name would match what it is not.
        if text::truncate(name, PLACE_NAME_BYTES_MAX).len() == name.len()
            && let Some(room) = entry.name.get_mut(..name.len())
        {
            room.copy_from_slice(name.as_bytes());
            entry.len = u8::try_from(name.len()).unwrap_or(0);
        }
        self.changes += u64::from(set[0] != entry);
        set[0] = entry;
    }

    /// Forgets channel `id`.
    pub(super) fn forget(&mut self, id: u64) {
        let entries = self.sets.get_mut(set_of(id)).into_iter().flatten();
        for entry in entries.filter(|entry| entry.id == id && id != 0) {
            *entry = NONE;
            self.changes += 1;
        }
    }

    /// What is known of channel `id`.
    pub(super) fn get(&self, id: u64) -> Option<Place<'_>> {
        let entry = self.sets.get(set_of(id))?.iter().find(|entry| entry.id == id && id != 0)?;
        let name = entry.name.get(..usize::from(entry.len)).unwrap_or_default();
        let name = str::from_utf8(name).unwrap_or_default();
        Some(Place { name, parent: Some(entry.parent).filter(|&parent| parent != 0) })
    }

    /// How often something was learned that was not known.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// All of it, to be kept over a restart.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        // Those heard of last come last, so that they are so again when all is learned anew.
        for entry in self.sets.iter().flat_map(|set| set.iter().rev()).filter(|one| one.id != 0) {
            bytes.extend_from_slice(&entry.id.to_le_bytes());
            bytes.extend_from_slice(&entry.parent.to_le_bytes());
            bytes.push(entry.len);
            bytes.extend_from_slice(entry.name.get(..entry.len.into()).unwrap_or_default());
        }
        bytes
    }

    /// Takes in what [`encode`](Places::encode) gave, as far as it can be read. True if that was
    /// all of it.
    pub(super) fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((&VERSION, mut rest)) = bytes.split_first() else { return false };
        while !rest.is_empty() {
            let Some(((id, parent, name), more)) = read(rest) else { return false };
            self.learn(id, name, Some(parent).filter(|&parent| parent != 0));
            rest = more;
        }
        true
    }
}

/// The number, the one of what is around it (or 0), and the name.
type Read<'a> = (u64, u64, &'a str);

/// An entry from the front of `bytes`, and what is behind it.
fn read(bytes: &[u8]) -> Option<(Read<'_>, &[u8])> {
    let (id, rest) = bytes.split_first_chunk()?;
    let (parent, rest) = rest.split_first_chunk()?;
    let (&len, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(len.into())?;
    let numbers = (u64::from_le_bytes(*id), u64::from_le_bytes(*parent));
    Some(((numbers.0, numbers.1, str::from_utf8(name).ok()?), rest))
}

/// Ids count milliseconds in their upper bits; multiplied they spread (Knuth's 2^64/φ).
fn set_of(id: u64) -> usize {
    let spread = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(spread).unwrap_or(0) % SETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_last_is_what_is_known() {
        let mut places = Places::new();
        places.learn(7, "general", None);
        places.learn(8, "a thread", Some(7));
        places.learn(8, "renamed", Some(7));
        assert_eq!(places.get(7), Some(Place { name: "general", parent: None }));
        assert_eq!(places.get(8), Some(Place { name: "renamed", parent: Some(7) }));
        places.forget(8);
        assert_eq!((places.get(8), places.get(0), places.get(9)), (None, None, None));
        places.learn(0, "nobody", None);
        assert_eq!(places.get(0), None);
    }

    #[test]
    fn a_name_that_does_not_fit_is_none_and_the_parent_is_kept() {
        let mut places = Places::new();
        let long = "ä".repeat(PLACE_NAME_BYTES_MAX);
        places.learn(7, &long, Some(1));
        assert_eq!(places.get(7), Some(Place { name: "", parent: Some(1) }));
        let fits = "x".repeat(PLACE_NAME_BYTES_MAX);
        places.learn(7, &fits, None);
        assert_eq!(places.get(7).unwrap().name, fits);
    }

    #[test]
    fn what_was_known_is_known_after_a_restart_and_damage_costs_what_it_hits() {
        let mut places = Places::new();
        for id in 1..3 * PLACES_MAX as u64 {
            places.learn(id << 22, &format!("channel {id}"), Some(id % 7));
        }
        let changes = places.changes();
        let last = (3 * PLACES_MAX as u64 - 1) << 22;
        let (name, parent) = places.get(last).map(|it| (it.name.to_owned(), it.parent)).unwrap();
        places.learn(last, &name, parent);
        assert_eq!(places.changes(), changes, "that was known");
        let bytes = places.encode();
        assert!(bytes.len() < crate::base::limits::PLACES_BYTES_MAX as usize);
        let mut again = Places::new();
        assert!(again.restore(&bytes));
        assert!(again.encode() == bytes);
        for length in (0..bytes.len()).step_by(1009) {
            let mut cut = Places::new();
            cut.restore(&bytes[..length]);
            assert!(cut.encode().len() <= length.max(1));
        }
        let damaged: Vec<u8> = bytes.iter().map(|byte| byte ^ 0xff).collect();
        assert!(!Places::new().restore(&damaged) && !Places::new().restore(&[]));
    }

    #[test]
    fn the_table_is_bounded_and_those_heard_of_last_remain() {
        let mut places = Places::new();
        let first = 1_090_000_000_000_000_000;
        let many = 20 * PLACES_MAX as u64;
        for n in 0..many {
            places.learn(first + (n << 22), "x", None);
        }
        let last = (many - PLACES_MAX as u64 / 4)..many;
        let known = last.clone().filter(|n| places.get(first + (n << 22)).is_some()).count();
        assert!(known * 100 >= last.count() * 95, "{known}");
    }
}
