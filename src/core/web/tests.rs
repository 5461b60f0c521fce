use proptest::prelude::*;

use super::*;
use crate::base::address::{Region, region};

fn target(text: &str) -> Target {
    Target::parse(text).unwrap_or_else(|refusal| panic!("{text}: {refusal}"))
}

fn rules(list: &[&str]) -> Rules {
    let list =
        list.iter().map(|text| Rule::parse(text).unwrap_or_else(|why| panic!("{text}: {why}")));
    Rules { list: list.collect(), near: Vec::new() }
}

#[test]
fn addresses_are_taken_apart_in_one_way_only() {
    for (text, shown) in [
        ("https://Example.ORG", "https://example.org/"),
        ("  https://example.org:443/a?b#c\n", "https://example.org/a?b"),
        ("HTTP://example.org.:8080?x=1", "http://example.org:8080/?x=1"),
        ("https://[2A00::1]:8443/", "https://[2a00::1]:8443/"),
        ("https://example.org/a/../b/./c/%2E%2e/d", "https://example.org/b/d"),
        ("https://example.org/../../etc", "https://example.org/etc"),
        ("https://example.org/a/..", "https://example.org/"),
        ("https://example.org//a//", "https://example.org//a//"),
        ("https://de.wikipedia.org/wiki/Käse?ü", "https://de.wikipedia.org/wiki/K%C3%A4se?%C3%BC"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://a_b.xn--bcher-kva.example/", "https://a_b.xn--bcher-kva.example/"),
    ] {
        assert_eq!(target(text).to_string(), shown, "{text}");
    }
}

#[test]
fn what_another_reader_might_understand_otherwise_is_refused() {
    for text in [
        "https://user@example.org/",
        "https://user:pw@127.0.0.1/",
        "https://example.org@127.0.0.1/",
        "https://example.org:0/",
        "https://example.org:/",
        "https://example.org:99999/",
        "https://example.org:+80/",
        "https://example.org:80:80/",
        "https://example.org\\@127.0.0.1/",
        "https://example.org/a b",
        "https://example.org/\u{7}",
        "https://exa\tmple.org/",
        "https://",
        "https:///path",
        "https:example.org",
        "https://.",
        "https://a..b/",
        "https://example.org../",
        "https://ex%61mple.org/",
        "https://exämple.org/",
        "https://ⓛocalhost/",
        "https://127。0。0。1/",
        "https://[::1%25eth0]/",
        "https://[::1]x/",
        "https://[127.0.0.1]/",
        "https://[::1/",
        "https://-.:1/x y",
        // Other spellings of 127.0.0.1.
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.01/",
        "https://127.0.0.1./",
        "https://0/",
        "https://0x/",
        "https://127.0.0.0x1/",
        "https://00000177.0.0.1/",
        "https://1.0x7f/",
    ] {
        let refused = Target::parse(text).expect_err(text);
        assert!(matches!(refused, Refusal::Unclear(_)), "{text}: {refused}");
    }
    for text in
        ["file:///etc/passwd", "gopher://example.org/", "javascript:1", "example.org", "", "//x/"]
    {
        assert_eq!(Target::parse(text), Err(Refusal::Scheme), "{text}");
    }
    let long = format!("https://example.org/{}", "x".repeat(URL_BYTES_MAX));
    assert!(Target::parse(&long).is_err());
    let swollen = format!("https://example.org/{}", "ü".repeat(URL_BYTES_MAX / 3));
    assert!(Target::parse(&swollen).is_err(), "escaped it is too long");
}

#[test]
fn a_redirect_leads_where_browsers_go_and_never_down() {
    let from = target("https://example.org/a/b?c");
    for (location, to) in [
        ("/x", "https://example.org/x"),
        ("x", "https://example.org/a/x"),
        ("../x?y", "https://example.org/x?y"),
        ("?d", "https://example.org/a/b?d"),
        ("#f", "https://example.org/a/b?c"),
        ("", "https://example.org/a/b?c"),
        ("//other.example/x", "https://other.example/x"),
        ("https://127.0.0.1/", "https://127.0.0.1/"),
        ("a:b/c", "scheme"),
        ("http://example.org/", "down"),
        ("//user@example.org/", "unclear"),
        ("/\u{1}", "unclear"),
    ] {
        let joined = match from.join(location) {
            Ok(target) => target.to_string(),
            Err(Refusal::Scheme) => "scheme".into(),
            Err(Refusal::Downgrade) => "down".into(),
            Err(_) => "unclear".into(),
        };
        assert_eq!(joined, to, "{location}");
    }
    assert!(target("http://example.org/").join("https://example.org/").is_ok());
}

#[test]
fn only_what_the_list_names_may_be_asked() {
    let list = rules(&[
        "example.org",
        "*.wiki.example",
        "https://api.example/v1/",
        "http://plain.example:8080",
        "[2a00::1]",
        "9.9.9.9",
    ]);
    for text in [
        "https://example.org/x?y",
        "https://a.wiki.example/",
        "https://a.b.wiki.example/",
        "https://api.example/v1",
        "https://api.example/v1/x",
        "https://api.example/v1?q",
        "http://plain.example:8080/",
        "https://[2a00:0::1]/",
        "https://9.9.9.9/",
        "https://api.example/x/../v1/y",
    ] {
        assert_eq!(list.judge(&target(text), Method::Get), Ok(Pass { near: false }), "{text}");
    }
    for text in [
        "https://example.org:8443/",
        "https://www.example.org/",
        "https://example.org.evil.example/",
        "https://wiki.example/",
        "https://evilwiki.example/",
        "https://api.example/",
        "https://api.example/v10",
        "https://api.example/v1/../admin",
        "https://api.example/v1/..%2fa",
        "https://api.example/v1%2f..%2fa",
        "https://api.example/v1/%5c..",
        "http://plain.example/",
        "https://plain.example:8080/",
        "https://[2a00::2]/",
        "https://9.9.9.10/",
        "http://localhost/",
        "https://127.0.0.1/",
    ] {
        let refused = list.judge(&target(text), Method::Get);
        assert!(matches!(refused, Err(Refusal::NotListed(_))), "{text}: {refused:?}");
    }
    let plain = list.judge(&target("http://example.org/"), Method::Get);
    assert_eq!(plain, Err(Refusal::Plain("example.org".into())));
}

#[test]
fn a_star_is_for_names_and_posting_and_private_hosts_are_said_by_themselves() {
    let mut list = rules(&["*", "http://nas.example:80", "api.example"]);
    assert!(list.judge(&target("https://anything.example/"), Method::Head).is_ok());
    assert!(list.judge(&target("https://8.8.8.8/"), Method::Get).is_err(), "an address is no name");
    let api = target("https://api.example/");
    assert_eq!(list.judge(&api, Method::Post), Err(Refusal::NoPost("api.example".into())));
    list.list[2].post = true;
    assert!(list.judge(&api, Method::Post).is_ok());
    let elsewhere = target("https://other.example/");
    assert!(list.judge(&elsewhere, Method::Post).is_err(), "that was said of one host only");
    list.near = vec![near("nas.example:80").unwrap(), near("[::1]:443").unwrap()];
    let nas = |text: &str| list.judge(&target(text), Method::Get).map(|pass| pass.near);
    assert_eq!(nas("http://nas.example/"), Ok(true));
    assert_eq!(nas("https://nas.example/"), Ok(false), "another port");
    for text in
        ["ftp://x", "*x.example", "*.1.2.3.4", "a b", "", "x/y?z", "x:0", "user@x", "https://"]
    {
        assert!(Rule::parse(text).is_err(), "{text}");
    }
    assert!(near("nas.example").is_err() && near("nas.example:x").is_err());
}

proptest! {
    #[test]
    fn what_is_let_through_reads_the_same_again(
        parts in proptest::collection::vec(prop_oneof![
            Just("https://"), Just("http://"), Just("example.org"), Just("127.0.0.1"), Just("@"),
            Just(":"), Just("80"), Just("/"), Just(".."), Just("."), Just("%2e"), Just("?"),
            Just("#"), Just("[::1]"), Just("["), Just("]"), Just("0x7f"), Just("\\"), Just("é"),
            Just("//"), Just(" "), Just("\t"), Just("a"),
        ], 0..10),
    ) {
        let text = parts.concat();
        if let Ok(first) = Target::parse(&text) {
            let shown = first.to_string();
            prop_assert_eq!(Target::parse(&shown), Ok(first.clone()), "{}", shown);
            // A host that reads as a number is the address that everybody reads.
            let ip: Option<IpAddr> = first.host.parse().ok();
            prop_assert_eq!(ip, first.ip);
            let uri = first.ip.map(region) == Some(Region::Public) || first.ip.is_none();
            prop_assert!(uri || rules(&["*"]).judge(&first, Method::Get).is_err());
        }
    }
}
