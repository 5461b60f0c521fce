//! What a person may have meant by a word that does not exist.

#[cfg(test)]
use std::cell::Cell;
use std::cmp::Ordering;

/// Longer words are nobody's typo, and comparing costs the product of two lengths.
const CHARS_MAX: usize = 40;

/// The candidate that is nearest to `word`, if it is near enough to be meant: at most one slip in
/// three characters. Case, `-` and `_` do not count, and a swap of neighbours counts as one slip.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = start(word);
    let allowed = word.len().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (start(candidate), candidate))
        // Each character more or less is a slip.
        .filter(|(start, _)| start.len().abs_diff(word.len()) <= allowed)
        .map(|(start, candidate)| (distance(&word, &start), candidate))
        .filter(|&(slips, _)| slips <= allowed && slips < word.len())
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, candidate)| candidate)
}

/// Whether two names differ in nothing but case, `-` and `_`.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    #[cfg(test)]
    count();
    letters(a).eq(letters(b))
}

/// An order in which [`same`] names are equal.
#[must_use]
pub fn order(a: &str, b: &str) -> Ordering {
    #[cfg(test)]
    count();
    letters(a).cmp(letters(b))
}

#[cfg(test)]
thread_local! {
    /// How often this thread compared two names: what looking for one costs.
    pub(crate) static COMPARED: Cell<u64> = const { Cell::new(0) };
}

#[cfg(test)]
fn count() {
    COMPARED.set(COMPARED.get() + 1);
}

fn letters(word: &str) -> impl Iterator<Item = char> {
    word.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase())
}

/// A name without what [`same`] passes over.
#[must_use]
pub fn fold(word: &str) -> String {
    letters(word).collect()
}

/// The same, cut to a length that no real name reaches.
fn start(word: &str) -> Vec<char> {
    letters(word).take(CHARS_MAX).collect()
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    #[cfg(test)]
    COMPARED.set(COMPARED.get() + (a.len() * b.len()) as u64);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut slips = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                slips = slips.min(before[j - 1] + 1);
            }
            row.push(slips);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 4] = ["gateway", "status", "health", "logs"];

    #[test]
    fn slips_are_forgiven() {
        for (typo, meant) in
            [("gatewya", "gateway"), ("staus", "status"), ("helth", "health"), ("log", "logs")]
        {
            assert_eq!(nearest(typo, WORDS), Some(meant), "{typo}");
        }
        assert_eq!(nearest("max_retires", ["maxRetries"]), Some("maxRetries"));
    }

    #[test]
    fn strangers_are_not_guessed_at() {
        for word in ["", "x", "restart", "🦀🦀🦀", &"status".repeat(1000)] {
            assert_eq!(nearest(word, WORDS), None, "{word}");
        }
    }

    #[test]
    fn spelling_styles_are_the_same_name() {
        assert!(same("tcp_keepalive", "tcpKeepalive") && same("a-b", "AB"));
        assert!(!same("token", "tokens"));
    }
}
