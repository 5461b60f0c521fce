//! What of a file must not be shown: tokens, passwords, and whatever looks like one.

use std::borrow::Cow;

use super::edit;
use super::keys::{self, Kind};
use super::path::Step;
use super::raw::{self, Name, Node};
use crate::base::{limits, spell};

/// What stands in place of a secret.
pub(super) const BLOT: &str = "***";
/// Parts of names behind which secrets are kept; such keys may be anybody's.
const WORDS: [&str; 8] = [
    "token",
    "secret",
    "password",
    "passwd",
    "apikey",
    "authorization",
    "credential",
    "privatekey",
];

/// `value`, which stands at `at`, without secrets. A reference to a variable is none.
pub(crate) fn blot(at: &[Step<'_>], value: Node<'static>) -> Node<'static> {
    let is_secret = is_secret(at);
    match value {
        Node::Map(map) => {
            let blot_one = |(name, value): (Name<'static>, Node<'static>)| {
                let step = Step::name(name.as_str()).owned();
                let below: Vec<Step<'_>> = at.iter().cloned().chain([step]).collect();
                (name, blot(&below, value))
            };
            Node::Map(map.into_iter().map(blot_one).collect())
        }
        Node::List(list) => {
            let below: Vec<Step<'_>> = at.iter().cloned().chain([Step::Index(0)]).collect();
            Node::List(list.into_iter().map(|item| blot(&below, item)).collect())
        }
        Node::Text(text) if is_secret && !is_reference(&text) || has_password(&text) => {
            Node::Text(Cow::Borrowed(BLOT))
        }
        Node::Whole(_) | Node::Large(_) | Node::Number(_) if is_secret => {
            Node::Text(Cow::Borrowed(BLOT))
        }
        other => other,
    }
}

/// A file's text without secrets, for showing it. One that holds very many shows none of itself.
pub(crate) fn without_secrets(text: &str) -> String {
    let Ok(root) = raw::parse(text) else { return String::new() };
    let mut found = Vec::new();
    let blotted = blot(&[], root.clone().owned());
    differences(&root, &blotted, &mut Vec::new(), &mut found);
    if found.len() > limits::CONFIG_MISTAKES_MAX {
        return edit::render(&blotted);
    }
    let mut out = text.to_owned();
    for at in &found {
        match edit::set(&out, at, &Node::Text(Cow::Borrowed(BLOT))) {
            Ok(fresh) => out = fresh,
            Err(_) => return edit::render(&blotted),
        }
    }
    // A key that stands twice has another value that was not found.
    let is_clean = raw::parse(&out).is_ok_and(|root| blot(&[], root.clone().owned()) == root);
    if is_clean { out } else { edit::render(&blotted) }
}

fn differences<'a>(
    a: &'a Node<'_>,
    b: &'a Node<'_>,
    at: &mut Vec<Step<'a>>,
    found: &mut Vec<Vec<Step<'a>>>,
) {
    match (a, b) {
        (Node::Map(a), Node::Map(b)) => {
            for ((name, a), (_, b)) in a.iter().zip(b) {
                at.push(Step::name(name.as_str()));
                differences(a, b, at, found);
                at.pop();
            }
        }
        (Node::List(a), Node::List(b)) => {
            for (place, (a, b)) in a.iter().zip(b).enumerate() {
                at.push(Step::Index(place));
                differences(a, b, at, found);
                at.pop();
            }
        }
        (Node::Text(a), Node::Text(b)) if a == b => {}
        (_, Node::Text(b)) if b == BLOT => found.push(at.clone()),
        _ => {}
    }
}

fn is_secret(at: &[Step<'_>]) -> bool {
    if keys::find(at).is_some_and(|key| matches!(key.kind, Kind::Secret)) {
        return true;
    }
    let named = at.iter().rev().find_map(|step| match step {
        Step::Name(name) => Some(name),
        Step::Index(_) => None,
    });
    let folded = named.map(|name| spell::fold(name)).unwrap_or_default();
    !folded.ends_with("file") && WORDS.iter().any(|word| folded.contains(word))
}

/// Whether a text is nothing but the name of a variable.
fn is_reference(text: &str) -> bool {
    let inside = text.trim().strip_prefix("${").and_then(|text| text.strip_suffix('}'));
    inside.is_some_and(|name| !name.contains(['$', '{', '}']))
}

/// Whether it is an address with a password in it.
fn has_password(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    authority.is_some_and(|authority| authority.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_wherever_they_stand_and_references_shown() {
        let text = "{
            token: 'hunter2', // at the top
            channels: {
                discord: {
                    proxy: 'http://ann:hunter2@proxy:1', tokenFile: '/run/token',
                    accounts: {work: {token: '${WORK}'}, play: {token: 'hunter2'}},
                },
                telegram: {botToken: 'hunter2', 'bot_token': 5},
            },
            agents: {defaults: {env: {A: 'hunter2'}, headers: {B: '${B}'},
                url: 'http://hunter2@b'}},
            gateway: {auth: {token: {source: 'env', id: 'T'}, password: 'hunter2'}},
        }";
        let shown = without_secrets(text);
        assert!(!shown.contains("hunter2"), "{shown}");
        for kept in ["'/run/token'", "'${WORK}'", "'${B}'", "id: 'T'", "// at the top"] {
            assert!(shown.contains(kept), "{kept} {shown}");
        }
        let long = format!("{{{}_token: 'hunter2'}}", "x".repeat(100));
        assert!(!without_secrets(&long).contains("hunter2"));
        let twice = without_secrets("{token: 'hunter2', token: 'x', TOKEN: 'hunter2'}");
        assert!(!twice.contains("hunter2"), "{twice}");
    }
}
