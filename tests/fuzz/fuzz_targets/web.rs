//! Whatever is written as a web address: it reads the same again, and neither it nor what it
//! redirects to is let through to an address of this machine.
#![no_main]

use barnacle::base::address::{Region, region};
use barnacle::core::web::{Method, Rule, Rules, Target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let (text, location) = text.split_once('\n').unwrap_or((&text, ""));
    let list = ["*", "http://*", "*.example.org", "https://example.org/a"];
    let list = list.map(|rule| Rule::parse(rule).expect("it is one")).into();
    let rules = Rules { list, near: Vec::new() };
    let _ = Rule::parse(text);
    let Ok(target) = Target::parse(text) else { return };
    for target in [Some(target.clone()), target.join(location).ok()].into_iter().flatten() {
        let shown = target.to_string();
        assert_eq!(Target::parse(&shown).as_ref(), Ok(&target), "{shown}");
        let ip: Option<std::net::IpAddr> = target.host.parse().ok();
        assert_eq!(ip, target.ip, "{shown}");
        let is_public = ip.is_none_or(|ip| region(ip) == Region::Public);
        assert!(is_public || rules.judge(&target, Method::Get).is_err(), "{shown}");
        assert!(!target.path.contains("/../") && target.path.starts_with('/'), "{shown}");
    }
});
