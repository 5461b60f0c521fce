use proptest::strategy::Strategy as _;
use serde_json::json;

use super::*;

const NOW: Wall = Wall(1_774_085_213_589);

fn zones(name: Option<&str>) -> Result<TimeZone, String> {
    TimeZone::get(name.unwrap_or("UTC")).map_err(|_| "is nowhere".to_owned())
}

fn daily() -> Value {
    json!({
        "name": " morning ",
        "schedule": {"kind": "cron", "expr": " 0 7 * * * ", "tz": "Europe/Berlin"},
        "sessionTarget": "isolated",
        "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": "good morning", "timeoutSeconds": 30},
    })
}

fn read(params: &Value) -> (Job, When) {
    Job::read(params, NOW, &zones).expect("a job")
}

#[test]
fn a_job_is_read_tidied_and_has_the_usual_delivery() {
    let (job, when) = read(&daily());
    assert_eq!((job.name.as_str(), job.enabled), ("morning", true));
    assert_eq!(when.next(NOW), Some(Wall(1_774_159_200_000)), "07:00 in Berlin is 06:00");
    let delivery = job.delivery.as_ref().expect("it is told");
    assert_eq!((delivery.mode, delivery.channel.as_deref()), (Mode::Announce, Some("last")));
    assert_eq!(job.payload.timeout(), Some(Duration::from_secs(30)));
    assert_eq!(job.session("j"), "cron:j");
    // It is written as it is read.
    let written = serde_json::to_value(&job).expect("JSON");
    assert_eq!(read(&written).0, job);
    assert!(written.get("policy").is_none(), "what is usual needs no word: {written}");
}

#[test]
fn a_patch_changes_what_it_names_and_null_takes_away() {
    let (job, _) = read(&daily());
    let patch =
        |patch: Value| job.patched(&patch, NOW, &zones).map(|(job, when)| (job, when.is_some()));
    let (renamed, is_moved) = patch(json!({"name": "evening", "description": "x"})).expect("fine");
    assert_eq!((renamed.name.as_str(), is_moved), ("evening", false));
    let (moved, is_moved) =
        patch(json!({"schedule": {"kind": "every", "everyMs": 60_000}})).expect("fine");
    assert!(
        is_moved && moved.schedule == Schedule::Every { every_ms: 60_000, anchor_ms: Some(NOW.0) }
    );
    let (told, _) = patch(json!({"delivery": {"to": "channel:7"}})).expect("fine");
    let delivery = told.delivery.expect("it is there");
    assert_eq!(
        (delivery.channel.as_deref(), delivery.to.as_deref()),
        (Some("last"), Some("channel:7"))
    );
    let (quick, _) =
        patch(json!({"payload": {"kind": "agentTurn", "timeoutSeconds": 5}})).expect("fine");
    assert_eq!(quick.payload.text(), "good morning");
    let (bare, _) = patch(json!({"delivery": null})).expect("fine");
    assert_eq!(bare.delivery, None);
    // The state is the gateway's.
    let (same, _) = patch(json!({"state": {"nextRunAtMs": 1}})).expect("fine");
    assert_eq!(same, job);
    for bad in
        [json!({"name": null}), json!({"schedule": {"kind": "cron", "expr": "x"}}), json!([])]
    {
        assert!(patch(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn moments_are_read_as_people_and_programs_write_them() {
    for (text, shown) in [
        ("2026-12-24T18:00:00Z", Some("2026-12-24T18:00:00.000Z")),
        ("2026-12-24T18:00:00+02:00", Some("2026-12-24T16:00:00.000Z")),
        ("2026-12-24T18:00", Some("2026-12-24T18:00:00.000Z")),
        ("2026-12-24", Some("2026-12-24T00:00:00.000Z")),
        ("1774085213", Some("2026-03-21T09:26:53.000Z")),
        ("1774085213589", Some("2026-03-21T09:26:53.589Z")),
        ("", None),
        ("soon", None),
        ("99999999999999999999", None),
        ("1969-12-31T23:59:59Z", None),
    ] {
        assert_eq!(moment(text).map(|wall| wall.to_string()).as_deref(), shown, "{text:?}");
    }
}

#[test]
fn each_session_target_has_its_conversation() {
    for (target, key, session) in [
        ("main", None, "agent:ops:main"),
        ("main", Some("agent:ops:other"), "agent:ops:other"),
        ("isolated", Some("agent:ops:other"), "cron:j"),
        ("current", Some("agent:ops:other"), "agent:ops:other"),
        ("current", None, "cron:j"),
        ("session:standup", None, "standup"),
    ] {
        let (mut job, _) = read(&daily());
        job.agent_id = Some("ops".to_owned());
        (job.session_target, job.session_key) = (target.to_owned(), key.map(str::to_owned));
        assert_eq!(job.session("j"), session, "{target}");
    }
}

proptest::proptest! {
    /// Whatever comes over the wire is a job that can be written and read again, or is refused in
    /// few words.
    #[test]
    fn whatever_is_sent_is_a_job_or_refused(
        key in "name|schedule|payload|delivery|failureAlert|policy|agentId|enabled|sessionTarget",
        value in proptest::prop_oneof![
            proptest::strategy::Just(json!(null)),
            proptest::strategy::Just(json!([])),
            proptest::strategy::Just(json!({})),
            proptest::prelude::any::<i64>().prop_map(|n| json!(n)),
            "\\PC{0,40}".prop_map(|text| json!(text)),
            "[a-z]{1,8}".prop_map(|kind| json!({"kind": kind, "mode": kind})),
            proptest::prelude::any::<u64>().prop_map(|n| json!({"kind": "every", "everyMs": n})),
            "[0-9TZ:+-]{0,24}".prop_map(|at| json!({"kind": "at", "at": at})),
        ],
    ) {
        let mut params = daily();
        params[&key] = value;
        match Job::read(&params, NOW, &zones) {
            Ok((job, _)) => {
                let written = serde_json::to_value(&job).expect("JSON");
                let again = Job::deserialize(&written);
                proptest::prop_assert!(again.is_ok_and(|again| again == job));
            }
            Err(why) => proptest::prop_assert!(why.len() < 400 && !why.is_empty()),
        }
    }
}
