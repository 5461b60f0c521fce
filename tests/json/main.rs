//! The tokenizer accepts what `serde_json` accepts, and hears the same.

mod oracle;

use oracle::{compare, tokenize};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

/// White space of all kinds, most often none.
fn space() -> impl Strategy<Value = &'static str> + Clone {
    prop_oneof![9 => Just(""), 1 => select(&[" ", "\n", "\t", "\r\n  "][..])]
}

/// A number's text: small, huge, tiny, on the edges of what 64 bits and an f64 hold.
fn number() -> impl Strategy<Value = String> {
    let edge = select(
        &["0", "-0", "0.0", "18446744073709551615", "18446744073709551616", "-9223372036854775809"]
            [..],
    );
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        edge.prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?",
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?[eE][+-]?[0-9]{1,3}",
        "-?[1-9][0-9]{0,3}[eE]-?[0-9]{6,12}",
    ]
}

/// A string's text: plain and long runs, all planes of Unicode, every escape, surrogates paired and
/// not.
fn string() -> impl Strategy<Value = String> {
    let hex =
        |codes: std::ops::RangeInclusive<u16>| codes.prop_map(|code| format!("\\u{code:04x}"));
    let piece = prop_oneof![
        4 => "[ !#-\\[\\]-~\u{7f}]{0,40}",
        3 => "[^\"\\\\\u{0}-\u{1f}]{0,6}",
        2 => select(&br#""\/bfnrt"#[..]).prop_map(|byte| format!("\\{}", char::from(byte))),
        1 => hex(0..=0xffff).prop_map(|escape| escape.to_uppercase().replace("\\U", "\\u")),
        1 => hex(0xd800..=0xdfff),
        2 => (hex(0xd800..=0xdbff), hex(0xdc00..=0xdfff)).prop_map(|(high, low)| high + &low),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// The text of a document. Keys come from a few, so that some come twice.
fn document() -> impl Strategy<Value = String> {
    let word = select(&["null", "true", "false"][..]).prop_map(str::to_owned);
    let leaf = prop_oneof![1 => word, 2 => number(), 3 => string()];
    let value = leaf.prop_recursive(6, 60, 6, |value| {
        let spaced = (space(), value, space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let key =
            prop_oneof![select(&["\"a\"", "\"b\"", "\"\""][..]).prop_map(str::to_owned), string()];
        let pair = (space(), key, space(), spaced.clone())
            .prop_map(|(a, key, b, value)| format!("{a}{key}{b}:{value}"));
        prop_oneof![
            (space(), prop::collection::vec(spaced, 0..6))
                .prop_map(|(empty, values)| format!("[{empty}{}]", values.join(","))),
            (space(), prop::collection::vec(pair, 0..6))
                .prop_map(|(empty, pairs)| format!("{{{empty}{}}}", pairs.join(","))),
        ]
    });
    (space(), value, space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"))
}

/// Sizes of the windows that a document is cut into.
fn windows() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![1..4_u8, 1..=255_u8], 0..8)
}

/// Bytes of which documents and their faults are made.
fn byte() -> impl Strategy<Value = u8> {
    let telling = b"{}[],:\"\\/ubnt0123456789eE+-.adflrs \n\t\0\x1f\x7f";
    prop_oneof![3 => select(&telling[..]), 1 => any::<u8>()]
}

/// The same cases each time: the fuzzer (tests/fuzz) is who looks for new ones.
fn config() -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(0x6a73_6f6e);
    ProptestConfig { cases: 4000, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn documents_are_heard_as_serde_json_hears_them(document in document(), windows in windows()) {
        compare(document.as_bytes(), &windows);
    }

    #[test]
    fn damaged_documents_are_judged_as_serde_json_judges_them(
        document in document(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, byte()), 1..4),
        windows in windows(),
    ) {
        let mut document = document.into_bytes();
        for (at, how, byte) in damage {
            let at = at.index(document.len() + 1);
            match how {
                0 => document.insert(at, byte),
                1 => document.truncate(at),
                _ if at == document.len() => {}
                2 => document[at] = byte,
                _ => drop(document.remove(at)),
            }
        }
        compare(&document, &windows);
    }

    #[test]
    fn garbage_is_judged_as_serde_json_judges_it(
        document in prop::collection::vec(byte(), 0..24),
        windows in windows(),
    ) {
        compare(&document, &windows);
    }

    #[test]
    fn strings_of_any_bytes_are_judged_as_serde_json_judges_them(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80..=0xff_u8], 0..12),
        windows in windows(),
    ) {
        compare(&[b"\"", bytes.as_slice(), b"\""].concat(), &windows);
    }

    #[test]
    fn numbers_are_judged_as_serde_json_judges_them(
        document in "[-+]?[0-9]{0,3}\\.?[0-9]{0,3}([eE]?[-+]?[0-9]{0,3})?",
        windows in windows(),
    ) {
        compare(document.as_bytes(), &windows);
    }
}

#[test]
fn the_oracle_itself_finds_differences() {
    let caught = |document: &[u8], said: &str| {
        let ours = tokenize(document, &[1]).unwrap();
        let theirs: serde_json::Value = serde_json::from_str(said).unwrap();
        ours != theirs
    };
    assert!(!caught(br#"{"a":[1,"\u00e4"]}"#, r#"{"a":[1,"ä"]}"#));
    assert!(caught(br#"{"a":[1,"\u00e4"]}"#, r#"{"a":[1,"a"]}"#));
    assert!(caught(br#"{"a":1,"a":2}"#, r#"{"a":1}"#));
}

#[test]
fn what_people_get_wrong_is_judged_alike() {
    let documents = [
        r#"{"a":1,}"#,
        "[1,]",
        "{a:1}",
        "{'a':1}",
        "NaN",
        "Infinity",
        "-Infinity",
        "0x10",
        "1_000",
        "// c\n1",
        "\u{feff}{}",
        "{}\0",
        "\u{a0}1",
        "[1e400]",
        "[-1e400]",
        "[1e-400]",
        "\"\\u{61}\"",
        "\"\\U0061\"",
        "\"\\'\"",
        "\"\t\"",
        "\"\u{2028}\"",
        "[\"\\ud800\\\"]",
        "\"\\ud800",
        "-",
        "--1",
        "[1}",
        r#""\u12g4""#,
        "{\"a\"}",
        "{\"a\":}",
        "nullnull",
        "1.7976931348623157e308",
        "0e999999999999",
        "1e-999999999999",
        "",
    ];
    for document in documents {
        compare(document.as_bytes(), &[1]);
        compare(document.as_bytes(), &[2, 3]);
    }
}
