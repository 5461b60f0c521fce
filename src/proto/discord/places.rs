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
pub(super) struct Places(Box<[[Entry; WAYS]]>);

/// One of them; id 0 is nobody's.
#[derive(Clone, Copy)]
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
        Places(vec![[NONE; WAYS]; SETS].into_boxed_slice())
    }

    /// Learns what channel `id` is called and what is around it, in place of what was known.
    pub(super) fn learn(&mut self, id: u64, name: &str, parent: Option<u64>) {
        if id == 0 {
            return;
        }
        let Some(set) = self.0.get_mut(set_of(id)) else { return };
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
        set[0] = entry;
    }

    /// Forgets channel `id`.
    pub(super) fn forget(&mut self, id: u64) {
        let entries = self.0.get_mut(set_of(id)).into_iter().flatten();
        entries.filter(|entry| entry.id == id).for_each(|entry| *entry = NONE);
    }

    /// What is known of channel `id`.
    pub(super) fn get(&self, id: u64) -> Option<Place<'_>> {
        let entry = self.0.get(set_of(id))?.iter().find(|entry| entry.id == id && id != 0)?;
        let name = entry.name.get(..usize::from(entry.len)).unwrap_or_default();
        let name = str::from_utf8(name).unwrap_or_default();
        Some(Place { name, parent: Some(entry.parent).filter(|&parent| parent != 0) })
    }
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
