//! A file as large as files may be, of any shape, is read at a small cost: the one thread that
//! reads it also has heartbeats to send.

use super::super::files;
use super::*;
use crate::base::spell::COMPARED;

/// Names compared while one file is read: some for each of its entries. Looking for each of many
/// entries in the whole table takes a hundred times as many.
const COMPARED_MAX: u64 = 8_000_000;

/// `open`, then as many entries as there is room for, then `close`.
fn filled(open: &str, entry: impl Fn(usize) -> String, close: &str) -> String {
    let mut text = open.to_owned();
    for n in 0.. {
        let entry = entry(n);
        if text.len() + entry.len() + close.len() > limits::CONFIG_BYTES_MAX {
            break;
        }
        text.push_str(&entry);
    }
    text + close
}

/// `entry` for each of `count` numbers.
fn repeated(count: usize, entry: impl Fn(usize) -> String) -> String {
    (0..count).map(entry).collect::<Vec<_>>().concat()
}

fn shapes() -> Vec<(&'static str, String)> {
    let accounts = repeated(limits::ACCOUNTS_MAX, |n| format!("a{n}:{{token:'t{n}'}},"));
    let wrong = repeated(limits::ACCOUNTS_MAX, |n| {
        format!("a{n}:{{{}}},", repeated(120, |n| format!("unknownKey{n}:0,")))
    });
    let discord = |keys: &str| format!("{{channels:{{discord:{{{keys}");
    let with_accounts = discord(&format!("accounts:{{{accounts}}},"));
    let env = repeated(limits::CONFIG_ENTRIES_MAX, |n| format!("E{n}:'e',"));
    let agents = format!("{{agents:{{defaults:{{env:{{{env}}}}},list:[");
    let long = |n: usize| format!("{n:0>64}");
    let strangers =
        repeated(limits::AGENTS_MAX, |n| format!("{{id:'{}'}},", long(n).replace('0', "x")));
    let strangers = format!("{{agents:{{list:[{strangers}]}},bindings:[");
    vec![
        ("servers", filled(&discord("guilds:{"), |n| format!("'{n}':{{}},"), "}}}}")),
        ("one server", filled(&discord("guilds:{"), |_| "'1':{},".into(), "}}}}")),
        ("wrong servers", filled(&discord("guilds:{"), |n| format!("'{n}':1,"), "}}}}")),
        ("unknown keys", filled("{", |n| format!("k{n}:0,"), "}")),
        ("unknown keys in lines", filled("{", |n| format!("k{n}:0,\n"), "}")),
        ("unknown keys of accounts", filled(&discord("accounts:{"), |_| wrong.clone(), "}}}}")),
        ("one key", filled("{", |_| "token:0,".into(), "}")),
        ("people", filled(&discord("allowFrom:["), |_| "1,".into(), "]}}}")),
        (
            "people of accounts",
            filled(&(with_accounts.clone() + "allowFrom:["), |_| "1,".into(), "]}}}"),
        ),
        ("lists of people", filled(&discord("allowFrom:["), |_| "[],".into(), "]}}}")),
        (
            "one list of lists",
            filled(&(with_accounts.clone() + "allowFrom:[["), |_| "[],".into(), "]]}}}"),
        ),
        (
            "channels of accounts",
            filled(
                &(with_accounts.clone() + "guilds:{"),
                |n| format!("'{n}':{{channels:{{{}}}}},", repeated(50, |n| format!("c{n}:{{}},"))),
                "}}}}",
            ),
        ),
        (
            "people of channels of accounts",
            filled(
                &(with_accounts.clone() + "groupPolicy:'open',guilds:{"),
                |n| format!("'{n}':{{channels:{{c:{{users:[{}]}}}}}},", "1,".repeat(500)),
                "}}}}",
            ),
        ),
        (
            "intents",
            filled(&(with_accounts.clone() + "intents:["), |_| "'MESAGES',".into(), "]}}}"),
        ),
        ("switches", filled(&(with_accounts + "intents:{"), |n| format!("i{n}:0,"), "}}}}")),
        ("agents", filled(&agents, |n| format!("{{id:'{n}'}},"), "]}}")),
        ("bindings", filled(&strangers, |n| format!("{{agentId:'{}'}},", long(n)), "]}")),
        ("a long key", filled("{channels:{discord:{", |_| "x".into(), ":0}}}")),
        ("a long value", filled("{logging:{level:'", |_| "x".into(), "'}}")),
        ("empty lists", filled("{logging:[", |_| "[],".into(), "]}")),
    ]
}

#[test]
fn a_file_of_any_shape_costs_little_more_than_its_length() {
    for (shape, text) in shapes() {
        assert!(text.len() > limits::CONFIG_BYTES_MAX - 32 * 1024, "{shape}");
        COMPARED.set(0);
        let (config, mistakes) = files::parse(&text, &Env::default()).expect(shape);
        let compared = COMPARED.get();
        assert!(compared <= COMPARED_MAX, "{shape}: {compared} names compared");
        assert!(mistakes.len() <= limits::CONFIG_MISTAKES_MAX + 1, "{shape}");
        assert!(config.accounts.len() <= limits::ACCOUNTS_MAX, "{shape}");
    }
}

#[test]
fn a_door_whose_rule_was_left_out_is_closed() {
    let servers = repeated(limits::CONFIG_ENTRIES_MAX + 1, |n| format!("'{n}':{{users:[1]}},"));
    let text = format!("{{channels:{{discord:{{groupPolicy:'open',guilds:{{{servers}}}}}}}}}");
    let (config, mistakes) = files::parse(&text, &Env::default()).expect("it can be read");
    assert_eq!(config.accounts[0].access.groups, crate::core::access::Policy::Allowlist);
    assert!(mistakes.iter().any(|mistake| mistake.text.contains("only in servers that were")));
}
