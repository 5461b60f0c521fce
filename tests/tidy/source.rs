//! A file as the rules see it, and the little Rust that they need to read.
//!
//! Not a parser: comments and literals are blanked out, and what is left is searched for words,
//! paths and braces. That is enough for rules, and short enough to trust.

use std::path::Path;

/// One file as the rules see it.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and literals blanked out, line by line as it was.
    pub(crate) code: String,
    /// How many lines come before the tests.
    pub(crate) shipped: usize,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code = if is_rust(path) { blanked(text) } else { text.to_owned() };
        let shipped = if is_test_room(path) { 0 } else { lines_before_tests(&code) };
        Source { path: path.to_owned(), text: text.to_owned(), code, shipped }
    }

    /// The lines of code that reach users, with their numbers.
    pub(crate) fn shipped_code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().take(self.shipped).enumerate().map(|(at, line)| (at + 1, line))
    }

    /// The layer that the file belongs to.
    pub(crate) fn layer(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/").filter(|_| is_rust(&self.path))?;
        let name = inside.split('/').next()?.trim_end_matches(".rs");
        Some(name).filter(|name| !["lib", "main"].contains(name))
    }
}

pub(crate) fn is_rust(path: &str) -> bool {
    has_extension(path, &["rs"])
}

/// Rooms of tests alone, below the room that they test.
fn is_test_room(path: &str) -> bool {
    path.starts_with("src/") && (path.ends_with("/tests.rs") || path.contains("/tests/"))
}

/// How many lines come before `mod tests {` and its attributes.
fn lines_before_tests(code: &str) -> usize {
    let lines: Vec<&str> = code.lines().collect();
    let is_tests = |at: usize| {
        let mut after = lines[at + 1..].iter().skip_while(|line| !line.contains("mod "));
        lines[at] == "#[cfg(test)]" && after.next().is_some_and(|line| line.ends_with("tests {"))
    };
    (0..lines.len()).find(|&at| is_tests(at)).unwrap_or(lines.len())
}

/// Recorded inputs of tests are kept as they came.
pub(crate) fn is_recorded(path: &str) -> bool {
    path.contains("/data/") || path.contains("/corpus/")
}

pub(crate) fn has_extension(path: &str, known: &[&str]) -> bool {
    let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| known.contains(&extension))
}

/// Whether `code` holds `word` with no letter before or after it.
pub(crate) fn says(code: &str, word: &str) -> bool {
    words(code, word).next().is_some()
}

/// Where `word` stands on its own.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = code[..at].chars().next_back().filter(|_| word.starts_with(is_letter));
        let after = code[at + word.len()..].chars().next().filter(|_| word.ends_with(is_letter));
        !before.is_some_and(is_letter) && !after.is_some_and(is_letter)
    })
}

/// Where the function whose `fn` is at `start` ends; `None` if it has no body there, or is the
/// type `fn()`.
pub(crate) fn function_end(code: &[u8], start: usize) -> Option<usize> {
    if code.get(start + 2) == Some(&b'(') {
        return None;
    }
    let (mut round, mut curly) = (0, 0);
    for (at, byte) in code.iter().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => round += 1,
            b')' | b']' => round -= 1,
            b'{' => curly += 1,
            b'}' if curly == 1 => return Some(at),
            b'}' => curly -= 1,
            b';' if curly == 0 && round == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Every path of `code` that starts at the crate's root, by `crate` or by enough `super`s, as
/// `layer::room`, with the line it is on.
pub(crate) fn paths_from_root(file: &str, code: &str, roots: &[&str]) -> Vec<(usize, String)> {
    let inside = file.trim_start_matches("src/").trim_end_matches(".rs");
    let depth = inside.trim_end_matches("/mod").split('/').count();
    let line_of = |at: usize| code[..at].matches('\n').count() + 1;
    let mut found = Vec::new();
    for at in words(code, "crate") {
        if let Some(rest) = code[at..].strip_prefix("crate::") {
            found.extend(heads(rest).into_iter().map(|path| (line_of(at), path)));
        }
    }
    let climb = "super::".repeat(depth);
    for at in words(code, &climb).filter(|&at| !code[..at].ends_with("::")) {
        let known = |path: &String| roots.iter().any(|root| path.split("::").next() == Some(root));
        let paths = heads(&code[at + climb.len()..]);
        found.extend(paths.into_iter().filter(known).map(|path| (line_of(at), path)));
    }
    found
}

/// The first two segments of each path that `rest` begins with: one, or those of a `{…}` group.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        let ident = |text: &str| -> String {
            text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        let first = ident(rest);
        let Some(below) = rest[first.len()..].strip_prefix("::") else { return vec![first] };
        return heads(below).into_iter().map(|second| shorten(&first, &second)).collect();
    };
    let (mut depth, mut items, mut item) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            '{' | '}' => {
                depth += if c == '{' { 1 } else { -1 };
                item.push(c);
            }
            c => item.push(c),
        }
    }
    items.push(item);
    let items = items.iter().map(|item| item.trim()).filter(|item| !item.is_empty());
    items.flat_map(heads).collect()
}

fn shorten(first: &str, rest: &str) -> String {
    let second = rest.split("::").next().unwrap_or_default();
    if second.is_empty() { first.to_owned() } else { format!("{first}::{second}") }
}

/// `text` with comments, strings and characters blanked out; lines stay where they are.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = literal(rest, out.chars().next_back()).unwrap_or(0);
        if length == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

/// The length of the comment, string or character that `rest` begins with.
fn literal(rest: &str, before: Option<char>) -> Option<usize> {
    let upto = |end: &str, from: usize| {
        rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(upto("*/", 2));
    }
    if let Some(raw) = rest.strip_prefix('r')
        && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
        && raw.trim_start_matches('#').starts_with('"')
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        return Some(upto(&format!("\"{}", "#".repeat(hashes)), hashes + 2));
    }
    if rest.starts_with('"') {
        return Some(escaped_end(rest, '"'));
    }
    // 'x' and '\n' are characters; 'a without an end is a lifetime.
    let mut inner = rest.strip_prefix('\'')?.chars();
    match (inner.next()?, inner.next()?) {
        ('\\', _) => Some(escaped_end(rest, '\'')),
        (c, '\'') => Some(c.len_utf8() + 2),
        _ => None,
    }
}

fn escaped_end(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}
