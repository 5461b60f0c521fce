//! A new version of the file that somebody asks for over the wire: what it may say, and how as
//! much as possible of the file's own text is kept.
//!
//! Whoever asks was shown blots in place of secrets, and so may send blots back: the secret that
//! stood there stays. A blot where there was no secret is refused, and so is one in an entry of a
//! list that is not otherwise the entry that was there: it might be another's. What runs as a
//! program, or is read or written as a file, is named by whoever can write the file, and never
//! over the wire.

use std::borrow::Cow;

use super::edit;
use super::hide::{BLOT, blot};
use super::path::{self, Step};
use super::raw::{self, Name, Node};
use crate::base::{limits, spell};

/// What OpenClaw's own gateway writes in place of a secret, and its clients send back.
const THEIR_BLOT: &str = "__OPENCLAW_REDACTED__";
/// Names behind which programs stand, and where a message goes with its credentials.
const PROGRAMS: [&str; 12] = [
    "command",
    "cmd",
    "program",
    "args",
    "argv",
    "exec",
    "env",
    "workspace",
    "cwd",
    "script",
    "shell",
    "url",
];
/// The same of files: names that end so.
const FILES: [&str; 3] = ["file", "dir", "path"];
/// More changes than this are written as a whole file; each one reads all of the text.
const EDITS_MAX: usize = 64;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish<'a> {
    /// The file is to say this, and nothing else.
    Whole(&'a str),
    /// The file is to say this besides: a merge patch (RFC 7396). Entries of lists are removed
    /// only at the paths that are named.
    Patch(&'a str, &'a [String]),
}

/// The text that the file is to have.
///
/// # Errors
/// Why it cannot have that, in a sentence.
pub(crate) fn rewrite(before: &str, wish: Wish<'_>) -> Result<String, String> {
    let old = raw::parse(before).map_err(|fault| fault.text)?.owned();
    let (Wish::Whole(written) | Wish::Patch(written, _)) = wish;
    let asked = raw::parse(written).map_err(|fault| format!("raw: {}", fault.text))?.owned();
    let merged = match wish {
        Wish::Whole(_) => asked.clone(),
        Wish::Patch(_, replaced) => merge(&[], &old, asked.clone(), replaced)?,
    };
    let new = restored(&[], merged, Some(&old))?;
    guard(&old, &new)?;
    match wish {
        // A text with a hand of its own, comments and all, is kept; plain JSON is only data.
        Wish::Whole(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() => {
            edited(text, &asked, &new)
        }
        _ => edited(before, &old, &new),
    }
}

/// The places at which `after` says something else than `before`.
pub(crate) fn changed_paths(before: &str, after: &str) -> Vec<String> {
    let (Ok(old), Ok(new)) = (raw::parse(before), raw::parse(after)) else { return Vec::new() };
    let mut edits = Vec::new();
    differences(&mut Vec::new(), &old, &new, &mut edits);
    edits.truncate(limits::CONFIG_MISTAKES_MAX);
    edits.iter().map(|(at, _)| path::show(at)).collect()
}

/// `text`, which says `old`, made to say `new`, with as little change as that takes.
fn edited(text: &str, old: &Node<'_>, new: &Node<'_>) -> Result<String, String> {
    let mut edits = Vec::new();
    differences(&mut Vec::new(), old, new, &mut edits);
    if edits.len() > EDITS_MAX {
        return Ok(format!("{}\n", edit::render(new)));
    }
    let mut text = Cow::Borrowed(text);
    for (at, value) in edits {
        let fresh = match value {
            Some(value) => edit::set(&text, &at, &value)?,
            None => match edit::unset(&text, &at)? {
                Some(fresh) => fresh,
                None => continue,
            },
        };
        text = Cow::Owned(fresh);
    }
    Ok(text.into_owned())
}

type Edit = (Vec<Step<'static>>, Option<Node<'static>>);

fn differences(at: &mut Vec<Step<'static>>, old: &Node<'_>, new: &Node<'_>, edits: &mut Vec<Edit>) {
    match (old, new) {
        (Node::Map(old), Node::Map(new)) => {
            for (name, _) in old.iter().filter(|(name, _)| find(new, name).is_none()) {
                let below = at.iter().cloned().chain([name.step().owned()]);
                edits.push((below.collect(), None));
            }
            for (name, value) in new {
                at.push(name.step().owned());
                match find(old, name) {
                    Some(before) => differences(at, before, value, edits),
                    None => edits.push((at.clone(), Some(value.clone().owned()))),
                }
                at.pop();
            }
        }
        (Node::List(old), Node::List(new)) if old.len() == new.len() => {
            for (place, (old, new)) in old.iter().zip(new).enumerate() {
                at.push(Step::Index(place));
                differences(at, old, new, edits);
                at.pop();
            }
        }
        (old, new) if old == new => {}
        (_, new) => edits.push((at.clone(), Some(new.clone().owned()))),
    }
}

/// The value of a key, however it is spelt; of several, the last, which counts.
fn find<'n, 't>(map: &'n [(Name<'t>, Node<'t>)], name: &Name<'_>) -> Option<&'n Node<'t>> {
    let exact = map.iter().rev().find(|(other, _)| other.as_str() == name.as_str());
    let same = || map.iter().rev().find(|(other, _)| spell::same(other.as_str(), name.as_str()));
    exact.or_else(same).map(|(_, value)| value)
}

fn below(at: &[Step<'_>], step: Step<'static>) -> Vec<Step<'static>> {
    at.iter().map(Step::owned).chain([step]).collect()
}

/// The merge patch, but that a list loses entries only where that is wanted.
fn merge(
    at: &[Step<'static>],
    old: &Node<'static>,
    patch: Node<'static>,
    replaced: &[String],
) -> Result<Node<'static>, String> {
    let Node::Map(patch) = patch else { return kept(at, old, patch, replaced) };
    let mut map = match old {
        Node::Map(map) => map.clone(),
        Node::Null => Vec::new(),
        old => return kept(at, old, merge(at, &Node::Null, Node::Map(patch), replaced)?, replaced),
    };
    for (name, value) in patch {
        let at = below(at, name.step().owned());
        let before = find(&map, &name).cloned().unwrap_or(Node::Null);
        let is_meant = |other: &Name<'_>| spell::same(other.as_str(), name.as_str());
        if value == Node::Null {
            kept(&at, &before, Node::Null, replaced)?;
            map.retain(|(other, _)| !is_meant(other));
            continue;
        }
        let merged = merge(&at, &before, value, replaced)?;
        match map.iter_mut().rev().find(|(other, _)| is_meant(other)) {
            Some((_, inner)) => *inner = merged,
            None => map.push((name, merged)),
        }
    }
    Ok(Node::Map(map))
}

/// `new` in place of `old`, unless a list would lose entries unasked.
fn kept(
    at: &[Step<'static>],
    old: &Node<'static>,
    new: Node<'static>,
    replaced: &[String],
) -> Result<Node<'static>, String> {
    let Node::List(entries) = old else { return Ok(new) };
    let shown = path::show(at);
    let loses = match &new {
        Node::List(new) => entries.iter().any(|entry| !new.contains(entry)),
        _ => !entries.is_empty(),
    };
    if loses && !replaced.contains(&shown) {
        return Err(format!(
            "config.patch would remove entries from array path(s): {shown}. Pass replacePaths with \
             the exact path(s) where that is meant"
        ));
    }
    Ok(new)
}

fn is_blot(node: &Node<'_>) -> bool {
    matches!(node, Node::Text(text) if text == BLOT || text == THEIR_BLOT)
}

fn has_blot(node: &Node<'_>) -> bool {
    match node {
        Node::Map(map) => map.iter().any(|(_, value)| has_blot(value)),
        Node::List(list) => list.iter().any(has_blot),
        node => is_blot(node),
    }
}

/// `new` with the secrets of `old` where it has blots.
fn restored(
    at: &[Step<'static>],
    new: Node<'static>,
    old: Option<&Node<'static>>,
) -> Result<Node<'static>, String> {
    let shown = old.map(|old| blot(at, old.clone()));
    let refused = || {
        format!(
            "{} is a blot, and no secret stands there that could be kept: write the value itself, \
             or leave the key out",
            path::show(at)
        )
    };
    match new {
        Node::Map(map) => {
            let before = |name: &Name<'_>| match old {
                Some(Node::Map(old)) => find(old, name),
                _ => None,
            };
            let one = |(name, value): (Name<'static>, Node<'static>)| {
                let value = restored(&below(at, name.step().owned()), value, before(&name))?;
                Ok((name, value))
            };
            Ok(Node::Map(map.into_iter().map(one).collect::<Result<_, String>>()?))
        }
        Node::List(list) if list.iter().any(has_blot) => match (old, shown) {
            (Some(Node::List(old)), Some(Node::List(shown))) => {
                let one = |(place, entry): (usize, Node<'static>)| {
                    if !has_blot(&entry) {
                        return Ok(entry);
                    }
                    let shown = shown.get(place).map(Node::json);
                    match old.get(place).filter(|_| shown == Some(ours(entry).json())) {
                        Some(old) => Ok(old.clone()),
                        None => Err(refused()),
                    }
                };
                let list = list.into_iter().enumerate().map(one);
                Ok(Node::List(list.collect::<Result<_, String>>()?))
            }
            _ => Err(refused()),
        },
        new if is_blot(&new) => match (old, shown) {
            (Some(old), Some(shown)) if is_blot(&shown) => Ok(old.clone()),
            _ => Err(refused()),
        },
        new => Ok(new),
    }
}

/// With our own blots for OpenClaw's.
fn ours(node: Node<'static>) -> Node<'static> {
    match node {
        Node::Map(map) => Node::Map(map.into_iter().map(|(n, v)| (n, ours(v))).collect()),
        Node::List(list) => Node::List(list.into_iter().map(ours).collect()),
        node if is_blot(&node) => Node::Text(Cow::Borrowed(BLOT)),
        node => node,
    }
}

/// Refuses another program or file than those that the file names already.
fn guard(old: &Node<'_>, new: &Node<'_>) -> Result<(), String> {
    let (mut known, mut wanted) = (Vec::new(), Vec::new());
    named(&mut Vec::new(), old, &mut known);
    named(&mut Vec::new(), new, &mut wanted);
    match wanted.into_iter().find(|(folded, _, value)| {
        !known.iter().any(|(other, _, before)| other == folded && before == value)
    }) {
        None => Ok(()),
        Some((_, at, _)) => Err(format!(
            "{at} names a program, a file or an address that the gateway uses on this host: that \
             is set in the file itself (`barnacle config set`), never over the wire"
        )),
    }
}

/// A place, spelt in one way and as it was written, and what stands there.
type Named = (String, String, Node<'static>);

fn named(at: &mut Vec<Step<'static>>, node: &Node<'_>, out: &mut Vec<Named>) {
    if is_guarded(at, node) {
        let folded = spell::fold(&path::show(at));
        out.push((folded, path::show(at), node.clone().owned()));
        return;
    }
    match node {
        Node::Map(map) => {
            for (name, value) in map {
                at.push(name.step().owned());
                named(at, value, out);
                at.pop();
            }
        }
        Node::List(list) => {
            for (place, value) in list.iter().enumerate() {
                at.push(Step::Index(place));
                named(at, value, out);
                at.pop();
            }
        }
        _ => {}
    }
}

fn is_guarded(at: &[Step<'_>], node: &Node<'_>) -> bool {
    let Some(Step::Name(name)) = at.last() else { return false };
    let name = spell::fold(name);
    // OpenClaw's reference to a secret: from a variable, and not from any file or program.
    let is_elsewhere = || !matches!(node, Node::Text(source) if source == "env");
    PROGRAMS.contains(&name.as_str())
        || FILES.iter().any(|end| name.ends_with(end))
        || name == "source" && is_elsewhere()
}

/// A limit that the cost of a change depends on.
const _: () = assert!(EDITS_MAX < limits::CONFIG_ENTRIES_MAX);

#[cfg(test)]
mod tests;
