use proptest::prelude::*;

use super::super::hide::without_secrets;
use super::*;

const FILE: &str = "{
  // who the bot is
  channels: {
    discord: {
      token: 'hunter2', // mine
      dmPolicy: 'open',
      allowFrom: ['1', '2'],
      proxy: 'http://u:hunter2@p:1',
    },
  },
  agents: {
    defaults: {command: ['/bin/agent', '-x'], env: {KEY: 'hunter2'}, timeout: 30},
    list: [{id: 'a', kind: 'http', url: 'http://a/', headers: {auth: 'hunter2'}}],
  },
}
";

fn patch(patch: &str) -> Result<String, String> {
    rewrite(FILE, Wish::Patch(patch, &[]))
}

fn whole(text: &str) -> Result<String, String> {
    rewrite(FILE, Wish::Whole(text))
}

#[test]
fn a_patch_changes_what_it_names_and_keeps_everything_else_as_it_was_written() {
    let text =
        patch("{channels: {discord: {dmPolicy: 'pairing', historyLimit: 5}}}").expect("fine");
    assert!(text.contains("// who the bot is") && text.contains("'hunter2', // mine"), "{text}");
    assert!(text.contains("dmPolicy: 'pairing'") && text.contains("historyLimit: 5"), "{text}");
    let gone = patch("{channels: {discord: {dm_policy: null}}}").expect("however it is spelt");
    assert!(!gone.contains("dmPolicy") && gone.contains("// who the bot is"), "{gone}");
    assert_eq!(patch("{}").as_deref(), Ok(FILE));
    for broken in ["{", "[]", "5"] {
        assert!(patch(broken).is_err(), "{broken}");
    }
}

#[test]
fn blots_keep_the_secrets_that_they_stand_for_and_are_refused_elsewhere() {
    let shown = without_secrets(FILE);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(whole(&shown).as_deref(), Ok(FILE), "what was shown says what there was");
    let json = raw::parse(&shown).expect("parsed").json().to_string();
    assert_eq!(whole(&json).as_deref(), Ok(FILE), "as plain JSON, it keeps the comments too");
    assert_eq!(whole(&json.replace("***", THEIR_BLOT)).as_deref(), Ok(FILE));
    let other = shown.replace("'open'", "'pairing'");
    let text = whole(&other).expect("fine");
    assert!(text.contains("token: 'hunter2'") && text.contains("'pairing'"), "{text}");
    for (refused, at) in [
        ("{channels: {discord: {accounts: {new: {token: '***'}}}}}", "accounts.new.token"),
        ("{channels: {discord: {dmPolicy: '***'}}}", "dmPolicy"),
        ("{channels: {discord: {allowFrom: ['1', '2', '***']}}}", "allowFrom"),
    ] {
        let why = patch(refused).expect_err(refused);
        assert!(why.contains(at), "{why}");
    }
    // In a list, a secret may be given to another entry: then it is not.
    let moved = shown.replace("id: 'a'", "id: 'b'");
    assert!(whole(&moved).expect_err("another").contains("agents.list"), "{moved}");
}

#[test]
fn programs_and_files_are_never_named_over_the_wire() {
    for refused in [
        "{agents: {defaults: {command: ['/bin/sh']}}}",
        "{agents: {defaults: {Command: ['/bin/sh']}}}",
        "{agents: {defaults: {env: {LD_PRELOAD: '/x'}}}}",
        "{agents: {defaults: {workspace: '/etc'}}}",
        "{agents: {entries: {evil: {command: ['/bin/sh']}}}}",
        "{agents: {entries: {evil: {kind: 'exec', cmd: 'x'}}}}",
        "{agents: {entries: {evil: {url: 'http://evil/'}}}}",
        "{channels: {discord: {tokenFile: '/etc/shadow'}}}",
        "{channels: {discord: {token_file: '/etc/shadow'}}}",
        "{channels: {discord: {token: {source: 'file', id: '/etc/shadow'}}}}",
        "{logging: {file: '/etc/profile.d/x.sh'}}",
        "{net: {caFile: '/srv/mine.pem'}}",
    ] {
        let replaced = ["agents.defaults.command".to_owned(), "agents.defaults.Command".to_owned()];
        let why = rewrite(FILE, Wish::Patch(refused, &replaced)).expect_err(refused);
        assert!(why.contains("never over the wire"), "{refused}: {why}");
    }
    // The whole file again, with another argument to the program.
    let other = FILE.replace("'-x'", "'-y'");
    assert!(whole(&other).expect_err("refused").contains("agents.defaults.command"));
    // Less is no danger, and neither is what stays.
    assert!(patch("{agents: {defaults: {command: null}}}").is_err(), "a list is not lost unasked");
    let at = ["agents.defaults.command".to_owned()];
    let fewer = "{agents: {defaults: {command: null}}}";
    assert!(rewrite(FILE, Wish::Patch(fewer, &at)).is_ok_and(|text| !text.contains("/bin/agent")));
    assert!(patch("{agents: {defaults: {timeout: 60}}}").is_ok());
    assert!(patch("{channels: {discord: {token: {source: 'env', id: 'T'}}}}").is_ok());
}

#[test]
fn a_list_loses_entries_only_where_that_is_meant() {
    let less = "{channels: {discord: {allowFrom: ['1']}}}";
    assert!(patch(less).expect_err("refused").contains("channels.discord.allowFrom"));
    let at = ["channels.discord.allowFrom".to_owned()];
    assert!(rewrite(FILE, Wish::Patch(less, &at)).is_ok_and(|text| text.contains("['1']")));
    assert!(patch("{channels: {discord: {allowFrom: ['2', '1', '3']}}}").is_ok());
}

#[test]
fn a_great_change_is_written_anew_and_says_what_was_asked_for() {
    let guilds: Vec<String> =
        (1..200).map(|n| format!("'{n}': {{requireMention: true}}")).collect();
    let patch = format!("{{channels: {{discord: {{guilds: {{{}}}}}}}}}", guilds.join(", "));
    let text = rewrite(FILE, Wish::Patch(&patch, &[])).expect("fine");
    assert!(text.contains("hunter2") && raw::parse(&text).is_ok());
    assert!(rewrite("", Wish::Patch("{gateway: {port: 5}}", &[])).is_ok());
}

fn node() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "[a-z*]{0,4}".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(serde_json::Value::from),
            prop::collection::btree_map("token|env|a|B", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_wish_is_too_odd_and_none_shows_or_loses_what_it_must_not(value in node()) {
        let text = value.to_string();
        for wish in [Wish::Whole(&text), Wish::Patch(&text, &[])] {
            if let Ok(fresh) = rewrite(FILE, wish) {
                let read = raw::parse(&fresh);
                prop_assert!(read.is_ok());
                let (old, new) = (raw::parse(FILE).expect("fine"), read.expect("fine"));
                prop_assert!(guard(&old, &new).is_ok());
            }
        }
    }
}
