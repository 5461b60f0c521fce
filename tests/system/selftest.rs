//! Whether the binary works on this machine, by its own word.

use serde_json::Value;

use crate::harness::{Dir, Run, path_text};

#[test]
fn the_self_test_passes_needs_nothing_and_leaves_nothing_behind() {
    let dir = Dir::new();
    let here = path_text(&dir.0);
    let mut run = Run::start(&["self-test"], &[("TMPDIR", &here)]);
    assert_eq!(run.code(), 0, "{}", run.output());
    for check in ["clock", "random", "json", "store", "discord"] {
        run.line(&format!("ok      {check}"));
    }
    let mut run = Run::start(&["self-test", "--json"], &[("TMPDIR", &here)]);
    assert_eq!(run.code(), 0, "{}", run.output());
    let answer: Value = serde_json::from_str(&run.stdout()).unwrap();
    let checks = answer["checks"].as_array().unwrap();
    assert!(answer["ok"] == true && checks.len() == 5, "{answer}");
    assert!(checks.iter().all(|check| check["ok"] == true && check["ms"].is_u64()), "{answer}");
    assert_eq!(std::fs::read_dir(&dir.0).unwrap().count(), 0);
}

#[test]
fn a_self_test_on_a_machine_that_lacks_something_fails_and_says_what() {
    let mut run = Run::start(&["self-test"], &[("TMPDIR", "/nonexistent")]);
    assert_eq!(run.code(), 73, "{}", run.output());
    run.line("no temporary directory /nonexistent");
}
