//! A long text cut into parts that a service takes.
//!
//! Characters are counted as UTF-16 code units. Discord's API counts code points, as its people
//! say, and its own clients count units; a text that keeps to the larger number suits both.
//!
//! A cut is made at a line's end if one lies in the last half of the part, else between words,
//! else between characters that a reader takes for two. Code fences (three backticks, wherever
//! they stand, as Discord reads them) are kept whole: one that is cut is closed in its part, and
//! opened again with its language in the next. Each part looks at no more of the text than fits,
//! so the time is linear whatever the text.

/// Of parts smaller than this, a fence and its language would take up too much: there fences are
/// letters like others.
const FENCES_FROM: usize = 64;
/// A longer word behind a fence is no language.
const INFO_BYTES_MAX: usize = 24;
const FENCE: &str = "```";
/// What closes a fence that is cut.
const CLOSING: &str = "\n```";

/// A fence that is open.
#[derive(Clone, Copy)]
struct Open<'a> {
    /// The language.
    info: &'a str,
    /// Whether only white space came since.
    is_empty: bool,
}

/// A place where a cut can be made.
#[derive(Clone, Copy)]
struct Cut<'a> {
    /// The byte before which.
    at: usize,
    /// The fence that is open there.
    open: Option<Open<'a>>,
}

/// The places found in one part, the last of each kind.
#[derive(Default)]
struct Cuts<'a> {
    line: Option<Cut<'a>>,
    word: Option<Cut<'a>>,
    letter: Option<Cut<'a>>,
    /// Anywhere between two tokens.
    any: Option<Cut<'a>>,
}

/// The parts of a text; see [`split`].
pub struct Parts<'a> {
    rest: &'a str,
    chars_max: usize,
    /// The fence in which the last cut was made.
    open: Option<Open<'a>>,
    is_first: bool,
}

/// Cuts `text` into parts of at most `chars_max` characters. White space around a cut is dropped;
/// parts of white space alone are left out. A text that fits is one part, as it is.
#[must_use]
pub fn split(text: &str, chars_max: usize) -> Parts<'_> {
    // The widest character takes two units.
    Parts { rest: text, chars_max: chars_max.max(2), open: None, is_first: true }
}

/// How many characters `text` has.
#[must_use]
pub fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

impl Iterator for Parts<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while !self.rest.is_empty() {
            let opened = self.open;
            let (piece, open) = self.cut();
            self.open = open;
            let has_words = !piece.trim().is_empty();
            if open.is_some() {
                self.skip_closing();
            }
            if !has_words {
                // A fence with nothing in it is no part, and goes on in the next.
                continue;
            }
            let mut part = String::with_capacity(piece.len() + 16);
            if let Some(Open { info, .. }) = opened {
                part.push_str(FENCE);
                part.push_str(info);
                part.push('\n');
            }
            part.push_str(piece.trim_end());
            let is_whole = self.is_first && self.rest.is_empty();
            self.is_first = false;
            if open.is_some() && !is_whole {
                part.push_str(CLOSING);
            }
            return Some(part);
        }
        None
    }
}

impl<'a> Parts<'a> {
    /// Takes the next piece off, and says which fence is open at its end.
    fn cut(&mut self) -> (&'a str, Option<Open<'a>>) {
        let rest = self.rest;
        let cut = self.find_cut();
        let (piece, rest) = rest.split_at_checked(cut.at).unwrap_or((rest, ""));
        // What ends a word or a line goes with it; what a line begins with stays.
        let ends = !piece.ends_with(char::is_whitespace) && rest.starts_with(char::is_whitespace);
        let mut after = rest.chars();
        self.rest = if ends && after.next().is_some() { after.as_str() } else { rest };
        (piece, cut.open)
    }

    /// What was cut right before the end of its fence needs no second one.
    fn skip_closing(&mut self) {
        if let Some(rest) = self.rest.trim_start().strip_prefix(FENCE) {
            self.rest = rest;
            self.open = None;
        }
    }

    fn find_cut(&self) -> Cut<'a> {
        let rest = self.rest;
        let knows_fences = self.chars_max >= FENCES_FROM;
        let mut open = self.open;
        let prefix = open.map_or(0, |open| FENCE.len() + open.info.len() + 1);
        let (mut used, mut at, mut flags) = (prefix, 0, 0_usize);
        let mut cuts = Cuts::default();
        while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
            let Some(first) = tail.chars().next() else { break };
            let mut token = first.len_utf8();
            if knows_fences && tail.starts_with(FENCE) {
                token = FENCE.len();
                open = match open {
                    None => {
                        let info = info(tail.get(token..).unwrap_or(""));
                        // The language and the end of its line belong to the fence.
                        token += if info.is_empty() { 0 } else { info.len() + 1 };
                        Some(Open { info, is_empty: true })
                    }
                    Some(_) => None,
                };
                used += token;
            } else {
                if let Some(open) = &mut open {
                    open.is_empty &= first.is_whitespace();
                }
                used += first.len_utf16();
            }
            if used > self.chars_max {
                return cuts.best(at);
            }
            at += token;
            flags = if is_flag(first) { flags + 1 } else { 0 };
            let next = rest.get(at..).and_then(|tail| tail.chars().next());
            let closing = if open.is_some() { CLOSING.len() } else { 0 };
            if used + closing <= self.chars_max {
                let is_half = used * 2 >= self.chars_max;
                cuts.note(Cut { at, open }, (first, next), flags % 2 == 1, is_half);
            }
        }
        // All of it fits, unless a fence that nobody closed must be closed in it.
        let closing = if open.is_some() && !self.is_first { CLOSING.len() } else { 0 };
        if used + closing <= self.chars_max { Cut { at: rest.len(), open } } else { cuts.best(at) }
    }
}

impl<'a> Cuts<'a> {
    /// Takes in that a cut can be made between these two characters.
    fn note(
        &mut self,
        cut: Cut<'a>,
        (before, after): (char, Option<char>),
        in_flag: bool,
        is_half: bool,
    ) {
        self.any = Some(cut);
        // A fence with nothing in it is better opened in the next part.
        if cut.open.is_some_and(|open| open.is_empty) {
            return;
        }
        if before == '\n' && is_half {
            self.line = Some(cut);
        }
        if before.is_whitespace() || after.is_some_and(char::is_whitespace) {
            self.word = Some(cut);
        }
        let splits = after.is_some_and(|after| {
            joins_before(after) || before == JOINER || (in_flag && is_flag(after))
        });
        if !splits {
            self.letter = Some(cut);
        }
    }

    /// The best of them; `at` if there is none.
    fn best(&self, at: usize) -> Cut<'a> {
        let best = self.line.or(self.word).or(self.letter).or(self.any);
        best.unwrap_or(Cut { at: at.max(1), open: None })
    }
}

/// The language behind a fence's beginning, as Discord reads it: a word that ends with the line.
fn info(tail: &str) -> &str {
    let is_info = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '-' | '.' | '#');
    let end = tail.bytes().take(INFO_BYTES_MAX + 1).position(|byte| !is_info(byte.into()));
    match end.and_then(|end| tail.split_at_checked(end)) {
        Some((info, rest)) if rest.starts_with('\n') => info,
        _ => "",
    }
}

const JOINER: char = '\u{200d}';

/// Whether `c` belongs to what stands before it: marks, variation selectors, skin tones, tags, and
/// the joiner of emoji.
fn joins_before(c: char) -> bool {
    c == JOINER
        || matches!(
            c,
            '\u{300}'..='\u{36f}'
                | '\u{483}'..='\u{489}'
                | '\u{591}'..='\u{5bd}'
                | '\u{610}'..='\u{61a}'
                | '\u{64b}'..='\u{65f}'
                | '\u{93a}'..='\u{94f}'
                | '\u{e31}'
                | '\u{e34}'..='\u{e3a}'
                | '\u{e47}'..='\u{e4e}'
                | '\u{1ab0}'..='\u{1aff}'
                | '\u{1dc0}'..='\u{1dff}'
                | '\u{20d0}'..='\u{20ff}'
                | '\u{3099}'..='\u{309a}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{fe20}'..='\u{fe2f}'
                | '\u{1f3fb}'..='\u{1f3ff}'
                | '\u{e0020}'..='\u{e007f}'
                | '\u{e0100}'..='\u{e01ef}'
        )
}

/// Two of these make a flag.
fn is_flag(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str, chars_max: usize) -> Vec<String> {
        split(text, chars_max).collect()
    }

    /// A text without fences, their languages and white space: what must come out as it went in.
    fn words(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace() && *c != '`').collect()
    }

    fn fences(part: &str) -> usize {
        part.matches(FENCE).count()
    }

    #[test]
    fn parts_end_at_lines_and_words() {
        assert_eq!(parts("one two three", 8), ["one two", "three"]);
        assert_eq!(parts("first line\nsecond line", 15), ["first line", "second line"]);
        assert_eq!(parts("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(parts("a longerword", 10), ["a", "longerword"]);
        assert_eq!(parts("", 4), [""; 0]);
        assert_eq!(parts("   \n  ", 4), [""; 0]);
        assert_eq!(parts("short", 2000), ["short"]);
        assert_eq!(parts("```\nnever closed", 2000), ["```\nnever closed"]);
    }

    #[test]
    fn units_are_counted_and_no_sign_is_cut() {
        assert_eq!(parts(&"🦀".repeat(5), 4), ["🦀🦀", "🦀🦀", "🦀"]);
        assert_eq!(parts("aaae\u{301}", 4), ["aaa", "e\u{301}"], "an accent");
        assert_eq!(parts("aa👩\u{200d}💻", 6), ["aa", "👩\u{200d}💻"], "joined signs");
        assert_eq!(parts("a🇩🇪🇫🇷", 7), ["a🇩🇪", "🇫🇷"], "flags");
        assert_eq!(parts("👍🏽👍🏽", 6), ["👍🏽", "👍🏽"], "skin tones");
        let marks = format!("e{}", "\u{301}".repeat(20));
        assert!(parts(&marks, 4).iter().all(|part| length(part) <= 4), "more than a part holds");
    }

    #[test]
    fn a_fence_that_is_cut_is_closed_and_opened_again_with_its_language() {
        let lines: Vec<String> = (0..20).map(|n| format!("    line {n};\n")).collect();
        let lines = lines.concat();
        let text = format!("See:\n```rust\n{lines}```\nThat is all.");
        let parts = parts(&text, 100);
        assert!(parts.len() > 2);
        assert!(parts[0].starts_with("See:\n```rust\n    line 0;") && parts[0].ends_with("\n```"));
        assert!(parts[1].starts_with("```rust\n    line ") && parts[1].ends_with("\n```"));
        assert!(parts.iter().all(|part| fences(part) == 2 && length(part) <= 100), "{parts:?}");
        assert!(parts.last().unwrap().ends_with("```\nThat is all."));
        assert_eq!(parts.concat().matches("line ").count(), 20);
    }

    #[test]
    fn no_part_has_an_empty_fence() {
        let before = "x".repeat(90);
        let text = format!("{before}\n```sh\nls -l\n```\nafter");
        assert_eq!(parts(&text, 100), [before.as_str(), "```sh\nls -l\n```\nafter"]);
        // The cut falls between the last line and the fence's end.
        let text = format!("```\n{}\n```\n{}", "y".repeat(92), "z".repeat(20));
        let parts = parts(&text, 100);
        assert_eq!(parts[0], format!("```\n{}\n```", "y".repeat(92)));
        assert_eq!(parts[1].trim_start(), "z".repeat(20));
    }

    #[test]
    fn hostile_texts_take_linear_time() {
        // By the number of parts, which each look at no more than fits; a quadratic splitter would
        // not come back from these.
        let million = 1_000_000;
        for text in [
            "x".repeat(million),
            "`".repeat(million),
            "``` ".repeat(million / 4),
            " ".repeat(million),
            "\u{301}".repeat(million / 2),
            format!("```{}", "y".repeat(million)),
            "a ".repeat(million / 2),
        ] {
            for chars_max in [64, 2000] {
                let count = parts(&text, chars_max).len();
                assert!(count <= 2 * million / (chars_max - 40) + 2, "{count} of {chars_max}");
            }
        }
    }

    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-z]{1,12}",
            3 => Just(" ".to_owned()),
            2 => Just("\n".to_owned()),
            2 => Just("``` ".to_owned()),
            1 => Just("```rust\n".to_owned()),
            1 => "`{1,7} ",
            1 => Just("👩\u{200d}💻".to_owned()),
            1 => Just("🇩🇪".to_owned()),
            1 => "[\\PC&&[^`]]{0,9}",
            1 => "[x]{50,200}",
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn nothing_is_lost_and_every_part_fits(text in texts(), chars_max in 2..300_usize) {
            let parts = parts(&text, chars_max);
            for part in &parts {
                prop_assert!(length(part) <= chars_max, "{part:?}");
                prop_assert!(!part.trim().is_empty());
            }
            let given = words(&parts.concat()).replace("rust", "");
            prop_assert_eq!(given, words(&text).replace("rust", ""));
        }

        #[test]
        fn fences_are_balanced_in_every_part(text in texts(), chars_max in 64..300_usize) {
            let parts = parts(&text, chars_max);
            if parts.len() > 1 {
                for part in &parts {
                    prop_assert!(fences(part).is_multiple_of(2), "{part:?} of {parts:?}");
                }
            }
        }

        #[test]
        fn words_that_fit_are_not_broken(
            words in prop::collection::vec("[a-z]{1,30}", 1..60),
            chars_max in 30..200_usize,
        ) {
            let parts = parts(&words.join(" "), chars_max);
            let said: Vec<&str> = parts.iter().flat_map(|part| part.split(' ')).collect();
            prop_assert_eq!(said, words);
        }
    }
}
