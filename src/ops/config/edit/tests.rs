use super::*;
use proptest::prelude::*;

fn changed(text: &str, at: &str, to: &str) -> String {
    set(text, &path::parse(at).expect(at), &value(to)).expect(text)
}

fn removed(text: &str, at: &str) -> String {
    unset(text, &path::parse(at).expect(at)).expect(text).expect("it was there")
}

const FILE: &str = "// The bot of our club.
{
  channels: {
    discord: {
      token: '${DISCORD_BOT_TOKEN}', // never the token itself
      /* who may talk */ groupPolicy: 'allowlist',
      guilds: {
        '81384788765712384': { requireMention: false },
        // '5': {},
      },
    },
  },
  gateway: { port: 18789 }
}
";

#[test]
fn a_value_is_replaced_and_nothing_else() {
    let at = "channels.discord.group_policy";
    assert_eq!(changed(FILE, at, "open"), FILE.replace("'allowlist'", "'open'"));
    assert_eq!(changed(FILE, "gateway.port", "1"), FILE.replace("18789", "1"));
    let list = changed("{a: [1, 2, /* x */ 3]}", "a[1]", "['\"']");
    assert_eq!(list, "{a: [1, [\"\\\"\"], /* x */ 3]}");
}

#[test]
fn what_is_new_is_written_as_its_neighbours_are() {
    let fresh = changed(FILE, "channels.discord.allowFrom", "['1', 2]");
    let expected = "        // '5': {},\n      },\n      allowFrom: ['1', 2],\n    },\n";
    assert!(fresh.contains(expected), "{fresh}");
    let fresh = changed(FILE, "gateway.bind", "lan");
    assert!(fresh.contains("gateway: { port: 18789, bind: 'lan' }"), "{fresh}");
    let fresh = changed(FILE, "agents.defaults.kind", "echo");
    let agents = "  agents: {\n    defaults: {\n      kind: 'echo'\n    }\n  }\n}\n";
    let expected = ["  gateway: { port: 18789 },\n", agents].concat();
    assert!(fresh.ends_with(&expected), "{fresh}");
    let fresh = changed(FILE, "channels.discord.guilds.81384788765712384.users", "[5]");
    assert!(fresh.contains("{ requireMention: false, users: [5] },"), "{fresh}");
    let strict = "{\r\n\t\"a\": \"b\", // c\r\n\t\"d\": 1 // e\r\n}";
    let expected = "{\r\n\t\"a\": \"b\", // c\r\n\t\"d\": 1, // e\r\n\t\"f g\": \"h\"\r\n}";
    assert_eq!(changed(strict, "[\"f g\"]", "h"), expected);
}

#[test]
fn missing_parents_are_made() {
    assert_eq!(changed("", "a.b", "1"), "{\n  a: {\n    b: 1,\n  },\n}\n");
    assert_eq!(changed("{a: null}", "a.b", "1"), "{a: {\n  b: 1\n}}");
    assert_eq!(changed("{}", "a[0].b", "x"), "{\n  a: [{\n    b: \"x\",\n  }],\n}");
    assert_eq!(changed("{ // x\n}", "a", "1"), "{ // x\n  a: 1,\n}");
    assert_eq!(changed("{ /* x */ }", "a", "1"), "{ /* x */ a: 1 }");
    assert_eq!(changed("{a: []}", "a[0]", "1"), "{a: [1]}");
}

#[test]
fn what_is_removed_takes_its_line_along_and_leaves_comments() {
    let fresh = removed(FILE, "channels.discord.token");
    assert!(fresh.contains("    discord: {\n      // never the token itself\n"), "{fresh}");
    let fresh = removed(FILE, "channels.discord.guilds.81384788765712384");
    assert!(fresh.contains("      guilds: {\n        // '5': {},\n      },\n"), "{fresh}");
    let fresh = removed(FILE, "gateway");
    assert!(fresh.ends_with("    },\n  }\n}\n"), "{fresh}");
    assert_eq!(removed("{a: 1, b: 2}", "b"), "{a: 1}");
    assert_eq!(removed("{a: 1, b: 2}", "a"), "{b: 2}");
    assert_eq!(removed("{a: [1, 2, 3]}", "a[1]"), "{a: [1, 3]}");
    assert_eq!(removed("{a: 1, A: 2, b: 3}", "a"), "{b: 3}");
    assert_eq!(removed("{a /* x */: 1}", "a"), "{/* x */ }");
    assert_eq!(unset(FILE, &path::parse("gateway.host").expect("a path")), Ok(None));
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let refused =
        |text: &str, at: &str| set(text, &path::parse(at).expect(at), &value("1")).expect_err(text);
    assert!(refused(FILE, "gateway.port.x").contains("a number already"));
    assert!(refused("{a: [1]}", "a[5]").contains("the next is [1]"));
    assert!(refused("{a: [1]}", "a.b").contains("places, such as [1]"));
    assert!(refused("{a: ", "a").contains("file ends"));
}

#[test]
fn values_are_json5_or_texts() {
    assert_eq!(value("open"), Node::Text("open".into()));
    assert_eq!(value(" [1, 'a'] // x"), Node::List(vec![Node::Whole(1), Node::Text("a".into())]));
    assert_eq!(value("1, b: 2"), Node::Text("1, b: 2".into()));
    assert_eq!(value("18446744073709551615"), Node::Large(u64::MAX));
    assert_eq!(value("99999999999999999999"), Node::Text("99999999999999999999".into()));
    assert_eq!(value(""), Node::Text("".into()));
    assert_eq!(value("null"), Node::Null);
}

/// White space and comments as they stand between tokens.
fn blank() -> BoxedStrategy<String> {
    prop_oneof![
        6 => Just(String::new()),
        3 => Just(" ".to_owned()),
        2 => Just("\n  ".to_owned()),
        1 => Just("\r\n\t".to_owned()),
        1 => "/\\*[a-z{}'\", \n]{0,8}\\*/",
        1 => "//[a-z{}'\", ]{0,8}\n",
    ]
    .boxed()
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]", "'[a-d .]{1,3}'", "\"[a-d]\\\\\"\"", "\\$_[a-d]"]
}

/// A value with comments anywhere.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-0x1F".to_owned()),
        Just("+1.5e3".to_owned()),
        Just("NaN".to_owned()),
        Just("-Infinity".to_owned()),
        "'[a-z/*,{}]{0,5}'",
        "\"[a-z/*,']{0,5}\\\\\"\"",
    ];
    let value = leaf.prop_recursive(4, 24, 4, |inner| {
        let entry = (blank(), inner, blank());
        prop_oneof![
            (prop::collection::vec(entry.clone(), 0..4), any::<bool>(), blank()).prop_map(
                |(items, comma, end)| {
                    let items: Vec<String> =
                        items.into_iter().map(|(a, item, b)| format!("{a}{item}{b}")).collect();
                    let comma = if comma && !items.is_empty() { "," } else { "" };
                    format!("[{}{comma}{end}]", items.join(","))
                }
            ),
            map(entry),
        ]
    });
    let entry = (blank(), value, blank());
    (blank(), map(entry), blank()).prop_map(|(a, map, b)| format!("{a}{map}{b}"))
}

fn map(entry: impl Strategy<Value = (String, String, String)>) -> impl Strategy<Value = String> {
    let member = (blank(), key(), blank(), entry);
    (prop::collection::vec(member, 0..4), any::<bool>(), blank()).prop_map(
        |(members, comma, end)| {
            let members: Vec<String> = members
                .into_iter()
                .map(|(a, key, b, (c, value, d))| format!("{a}{key}{b}:{c}{value}{d}"))
                .collect();
            let comma = if comma && !members.is_empty() { "," } else { "" };
            format!("{{{}{comma}{end}}}", members.join(","))
        },
    )
}

/// Every path in a document, and a few that are not there.
fn paths(node: &Node<'_>, at: &[Step<'static>], all: &mut Vec<Vec<Step<'static>>>) {
    let mut below = |step: Step<'static>, inner: Option<&Node<'_>>| {
        let path: Vec<_> = at.iter().cloned().chain([step]).collect();
        if let Some(inner) = inner {
            paths(inner, &path, all);
        }
        all.push(path);
    };
    match node {
        Node::Map(map) => {
            for (name, inner) in map {
                below(Step::name(name.as_str()).owned(), Some(inner));
            }
            below(Step::name("new key"), None);
        }
        Node::List(list) => {
            for (place, inner) in list.iter().enumerate() {
                below(Step::Index(place), Some(inner));
            }
            below(Step::Index(list.len()), None);
        }
        _ => {}
    }
}

/// The comments of `text` but for those within `without`.
fn comments_of(text: &str, without: Option<&Range<usize>>) -> Vec<String> {
    let within = |c: &Range<usize>| without.is_some_and(|w| w.contains(&c.start));
    let kept = scan::comments(text).into_iter().filter(|comment| !within(comment));
    kept.map(|comment| text[comment].to_owned()).collect()
}

proptest! {
    #[test]
    fn whatever_is_changed_comments_and_everything_else_stay(
        text in document(),
        pick in any::<prop::sample::Index>(),
        to in prop_oneof![document(), Just("x y".to_owned()), Just("7".to_owned())],
        removes in any::<bool>(),
    ) {
        let root = raw::parse(&text).expect(&text);
        let mut all = Vec::new();
        paths(&root, &[], &mut all);
        let at = pick.get(&all);
        let tree = scan::scan(&text).expect("what parses can be scanned");
        let old = at.iter().try_fold(&tree, |tree, step| child(tree, step));
        let gone = old.map(|tree| tree.span.clone());
        let to = value(&to);
        let mut expected = root.clone();
        let fresh = if removes {
            if old.is_none() {
                prop_assert_eq!(unset(&text, at), Ok(None));
                return Ok(());
            }
            let fresh = unset(&text, at).expect(&text).expect("it was there");
            let parent = &at[..at.len() - 1];
            while take(&mut expected, at) && !within_list(&expected, parent) {}
            fresh
        } else {
            // Of a key that stands twice, the last counts, and what is in the first is not there.
            if put(&mut expected, at, &to).is_err() {
                prop_assert!(set(&text, at, &to).is_err());
                return Ok(());
            }
            set(&text, at, &to).expect(&text)
        };
        let read = raw::parse(&fresh).expect(&fresh);
        prop_assert!(is_same(&read, &expected), "{} | {}", text, fresh);
        // Removing a key that stands twice takes the comments of both.
        let parent = &at[..at.len() - 1];
        let within = parent.iter().try_fold(&tree, |tree, step| child(tree, step));
        let name = name_of(at.last().expect("a step"));
        let is_it =
            |e: &&Entry| e.key.as_ref().is_some_and(|(_, key)| spell::same(key, &name));
        let twins = within.map_or(0, |within| within.entries.iter().filter(is_it).count());
        let is_twice = removes && twins > 1;
        if !is_twice {
            let kept = comments_of(&text, gone.as_ref());
            prop_assert_eq!(comments_of(&fresh, None), kept, "{}", text);
        }
    }

    #[test]
    fn no_text_and_no_path_panics(text in ".{0,80}", at in ".{0,20}", to in ".{0,20}") {
        let Ok(at) = path::parse(&at) else { return Ok(()) };
        let _ = set(&text, &at, &value(&to));
        let _ = unset(&text, &at);
        let _ = scan::scan(&text);
    }
}
