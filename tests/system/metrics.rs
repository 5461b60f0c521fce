//! What a monitor scrapes: read by Prometheus's own parser, and drawn by the dashboard.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, seconds, wait};

const DASHBOARD: &str = include_str!("../../packaging/grafana/barnacle.json");

/// Reads a scrape and says what is in it: each family's type and its samples.
const PARSE: &str = r#"
import json, sys
from prometheus_client.parser import text_string_to_metric_families
out = []
for family in text_string_to_metric_families(sys.stdin.read()):
    samples = [[s.name, s.labels, s.value] for s in family.samples]
    out.append({"name": family.name, "type": family.type, "help": family.documentation,
                "samples": samples})
json.dump(out, sys.stdout)
"#;

/// A sample's labels and value, by its name.
type Samples = BTreeMap<String, Vec<(BTreeMap<String, String>, f64)>>;

struct Scrape {
    text: String,
    families: Vec<Value>,
    samples: Samples,
}

impl Scrape {
    fn of(gateway: &Gateway) -> Scrape {
        let answer = gateway.get("/metrics", &[]);
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
        let mut parser = Command::new("/usr/bin/python3")
            .args(["-c", PARSE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        parser.stdin.take().unwrap().write_all(answer.body.as_bytes()).unwrap();
        let parsed = parser.wait_with_output().unwrap();
        assert!(parsed.status.success(), "is python3-prometheus-client there?\n{}", answer.body);
        let families: Vec<Value> = serde_json::from_slice(&parsed.stdout).unwrap();
        let mut samples = Samples::new();
        for sample in families.iter().flat_map(|family| family["samples"].as_array().unwrap()) {
            let labels = serde_json::from_value(sample[1].clone()).unwrap();
            let name = sample[0].as_str().unwrap().to_owned();
            samples.entry(name).or_default().push((labels, sample[2].as_f64().unwrap()));
        }
        Scrape { text: answer.body, families, samples }
    }

    /// The value of the sample with this name and this label; 0 if there is none.
    fn value(&self, name: &str, label: (&str, &str)) -> f64 {
        let is_meant =
            |labels: &BTreeMap<String, String>| labels.get(label.0).is_some_and(|v| v == label.1);
        let samples = self.samples.get(name).into_iter().flatten();
        samples.filter(|(labels, _)| is_meant(labels)).map(|(_, value)| value).sum()
    }

    /// That it is this whole number.
    fn assert_is(&self, name: &str, label: (&str, &str), value: f64) {
        let is = self.value(name, label);
        assert!((is - value).abs() < 1e-9, "{name} {label:?} is {is}, not {value}:\n{}", self.text);
    }

    /// That buckets rise, and the last of them holds all.
    fn assert_histograms(&self) {
        let mut seen = 0;
        for family in self.families.iter().filter(|family| family["type"] == "histogram") {
            let name = family["name"].as_str().unwrap();
            let buckets = &self.samples[&format!("{name}_bucket")];
            let mut last: BTreeMap<Vec<(String, String)>, (f64, f64)> = BTreeMap::new();
            for (labels, value) in buckets {
                let bound = labels["le"].parse().unwrap_or(f64::INFINITY);
                let others = labels.iter().filter(|(key, _)| *key != "le");
                let series = others.map(|(key, value)| (key.clone(), value.clone())).collect();
                let (below, count) = last.insert(series, (bound, *value)).unwrap_or((-1.0, 0.0));
                assert!(bound > below && *value >= count, "{name} {labels:?}");
            }
            for (labels, count) in &self.samples[&format!("{name}_count")] {
                let series: Vec<_> = labels.clone().into_iter().collect();
                assert_eq!(last[&series], (f64::INFINITY, *count), "{name} {labels:?}");
                seen += 1;
            }
            assert!(self.samples.contains_key(&format!("{name}_sum")), "{name}");
        }
        assert!(seen >= 3, "{seen} histograms");
    }
}

const ACCOUNT: (&str, &str) = ("account", "default");

#[test]
fn a_scrape_tells_what_happened() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let first = Scrape::of(&gateway);
    first.assert_histograms();
    first.assert_is("barnacle_channel_up", ACCOUNT, 1.0);
    first.assert_is("barnacle_channel_up", ("channel", "discord"), 1.0);
    first.assert_is("barnacle_reconnects_total", ACCOUNT, 0.0);
    sandbox.answer(&sandbox.ask("hello"));
    sandbox.say(&json!({"text": "to nobody"}));
    let at = sandbox.fault("close-1005", json!({}));
    sandbox.recovery(at, "resumed", seconds(60));
    let scrape = wait("the figures to follow", PATIENCE, || {
        let scrape = Scrape::of(&gateway);
        let is_back = scrape.value("barnacle_time_to_recover_seconds_count", ACCOUNT) > 0.0;
        let has_beat = scrape.value("barnacle_heartbeat_rtt_seconds_count", ACCOUNT) > 0.0;
        (is_back && has_beat).then_some(scrape)
    });
    scrape.assert_histograms();
    for (name, label, value) in [
        ("barnacle_reconnects_total", ("cause", "close_1005"), 1.0),
        ("barnacle_resume_total", ("outcome", "resumed"), 1.0),
        ("barnacle_drops_total", ("reason", "not_mentioned"), 1.0),
        ("barnacle_agent_turns_total", ("outcome", "answered"), 1.0),
        ("barnacle_outbox_delivered_total", ACCOUNT, 1.0),
        ("barnacle_identifies_total", ACCOUNT, 1.0),
        ("barnacle_identify_remaining", ACCOUNT, 999.0),
    ] {
        scrape.assert_is(name, label, value);
    }
    // Of the process: what can be said of any.
    let whole = |name: &str| scrape.samples[name][0].1;
    assert!(whole("process_resident_memory_bytes") > 1e6);
    assert!(whole("process_open_fds") > 5.0 && whole("process_max_fds") > 100.0);
    assert!(whole("process_cpu_seconds_total") > 0.0);
    assert!(whole("barnacle_disk_written_bytes_total") > 100.0);
    let age =
        whole("process_start_time_seconds") - first.samples["process_start_time_seconds"][0].1;
    assert!(age.abs() < 1.0, "it began when it began: {age}");
    let proof = scrape.value("barnacle_channel_last_proof_timestamp_seconds", ACCOUNT);
    assert!(proof >= whole("process_start_time_seconds"), "{}", scrape.text);
}

#[test]
fn a_channel_that_is_down_is_told_so_and_why() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    sandbox.fault("refuse", json!({"cleared": true}));
    let scrape = wait("a failed dial", PATIENCE, || {
        let scrape = Scrape::of(&gateway);
        let failures = scrape.value("barnacle_dial_failures_total", ("cause", "dial_refused"));
        (failures > 0.0).then_some(scrape)
    });
    scrape.assert_is("barnacle_channel_up", ACCOUNT, 0.0);
}

#[test]
fn every_family_is_explained_and_no_label_names_a_person() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let id = sandbox.ask("who am I?");
    sandbox.answer(&id);
    let scrape = Scrape::of(&gateway);
    for family in &scrape.families {
        let name = family["name"].as_str().unwrap();
        let is_ours = name.starts_with("barnacle_") || name.starts_with("process_");
        assert!(is_ours && !family["help"].as_str().unwrap().is_empty(), "{family}");
        assert_ne!(family["type"], "unknown", "{name}");
    }
    let labels = scrape.samples.values().flatten().flat_map(|(labels, _)| labels);
    let names: BTreeSet<&str> = labels.clone().map(|(name, _)| name.as_str()).collect();
    let known = ["account", "boot_id", "cause", "channel", "le", "outcome", "reason", "tier"];
    let strange: Vec<_> = names.iter().filter(|name| !known.contains(name)).collect();
    assert_eq!(strange, [&"version"]);
    for (name, value) in labels {
        let digits = value.chars().filter(char::is_ascii_digit).count();
        assert!(digits < 17 || name == "boot_id", "{name} {value}");
        assert!(value.len() <= 64, "{name} {value}");
    }
    assert!(scrape.text.len() < 64 * 1024);
}

#[test]
fn who_may_ask_for_figures_and_where() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let also = gateway.get("/api/diagnostics/prometheus", &[]);
    assert!(also.status == 200 && also.body.contains("barnacle_channel_up{"), "{}", also.body);
    let foreign = [("Host", "evil.example")];
    assert_eq!(gateway.get("/metrics", &foreign).status, 403);
    gateway.again();
    gateway.await_channel("connected");
    assert!(gateway.get("/metrics", &[]).body.contains("barnacle_channel_up{"));
}

#[test]
fn the_dashboard_draws_nothing_that_is_not_there() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    sandbox.answer(&sandbox.ask("hello"));
    sandbox.say(&json!({"text": "to nobody"}));
    let scrape = Scrape::of(&gateway);
    // What has not happened yet has no samples, but its family is there. The parser cuts off what
    // counters end with.
    let is_family = |name: &str| {
        let name = name.strip_suffix("_total").unwrap_or(name);
        scrape.families.iter().any(|family| family["name"] == name)
    };
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut drawn = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let words = expression.split(|c: char| !is_word(c));
            let ours = |word: &&str| word.starts_with("barnacle_") || word.starts_with("process_");
            let names: Vec<&str> = words.filter(ours).collect();
            assert!(!names.is_empty(), "{expression}");
            for name in names {
                let is_there = scrape.samples.contains_key(name) || is_family(name);
                assert!(is_there, "{name} in {expression}");
                drawn.insert(name.to_owned());
            }
        }
    }
    assert!(drawn.len() > 25, "{drawn:?}");
}
