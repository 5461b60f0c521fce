//! The agent with real programs.

use super::*;
use crate::core::answer::Act;
use crate::core::chat::{Attachment, sample};
use crate::rt::store::tests::Scratch;
use std::time::Duration;

pub(in crate::agent) fn request() -> Request {
    Request {
        author: 3,
        text: "hello \"you\"".into(),
        reply_to: Some(5),
        late: true,
        attachments: vec![Attachment {
            name: "note.ogg".into(),
            kind: "audio/ogg".into(),
            bytes: 3,
            url: "https://cdn/note.ogg".into(),
            seconds: Some(2),
            ..Attachment::default()
        }],
        attempt: 1,
        session: 2,
        ..sample::request(7, 1_234_567_890_123_456_789)
    }
}

fn exec(dir: &Path, script: &str) -> Exec {
    Exec {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        usual_env: vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into())],
        walls: None,
        env: vec![("KEY".into(), Secret::new("value"))],
        dir: dir.into(),
        hidden: vec![dir.join("state")],
    }
}

fn answer_within(dir: &Path, script: &str, span: Duration) -> Result<Answer, Fault> {
    smol::block_on(exec(dir, script).answer(&request(), clock::now() + span))
}

fn answer(script: &str) -> Result<Answer, Fault> {
    answer_within(Scratch::new().path(), script, Duration::from_secs(60))
}

#[test]
fn the_program_reads_the_message_and_its_answer_is_said() {
    let heard = answer("echo \"$KEY\"; cat").unwrap().words();
    let (key, document) = heard.split_once('\n').unwrap();
    assert_eq!(key, "value");
    let document: serde_json::Value = serde_json::from_str(document).unwrap();
    let expected = serde_json::json!({
        "id": "1234567890123456789", "channel": "discord", "chat": "7", "guild": null,
        "author": { "id": "3", "name": "ann" }, "text": "hello \"you\"", "replyTo": "5",
        "account": "default", "agent": "main", "session": "agent:main:discord:direct:3-2",
        "late": true, "attempt": 1, "at": "1970-01-01T00:00:00.000Z", "attachments": [{
            "name": "note.ogg", "type": "audio/ogg", "bytes": 3, "url": "https://cdn/note.ogg",
            "seconds": 2,
        }],
    });
    assert_eq!(document, expected);
    assert_eq!(answer("true"), Ok(Answer::default()), "silence is an answer");
    let acts = answer(r#"echo '{"text": "a"}'; echo '{"react": "👍"}'"#).unwrap().acts;
    assert!(matches!(&*acts, [Act::Say { .. }, Act::React { to: None, .. }]), "{acts:?}");
}

#[test]
fn every_way_to_fail_is_a_fault_of_its_own() {
    assert_eq!(answer("echo hi; exit 3"), Err(Fault::Failed(Ending::Code(3))));
    assert_eq!(answer("kill -9 $$"), Err(Fault::Failed(Ending::Signal(9))));
    assert_eq!(answer("printf '\\377'"), Err(Fault::Garbled));
    assert_eq!(answer("echo '{\"error\": \"no\"}'"), Err(Fault::Declined));
    let dir = Scratch::new();
    let slow = answer_within(dir.path(), "echo hi; sleep 600", Duration::from_millis(300));
    assert_eq!(slow, Err(Fault::TooSlow));
    let nowhere = answer_within(&dir.path().join("none"), "true", Duration::from_secs(60));
    assert_eq!(nowhere, Err(Fault::Absent));
}

#[test]
fn files_come_from_its_own_directory_alone() {
    let dir = Scratch::new();
    let path = dir.path();
    std::fs::write(path.join("plot.png"), b"png").unwrap();
    std::fs::create_dir(path.join("state")).unwrap();
    std::fs::write(path.join("state/token"), b"secret").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, path.join("fifo"), rustix::fs::Mode::RWXU).unwrap();
    let names =
        ["plot.png", "state/token", "link", "../../etc/passwd", "/etc/passwd", "fifo", ".", "none"];
    let lines: Vec<String> = names
        .iter()
        .map(|name| format!(r#"echo '{{"file": {{"path": "{name}", "name": "../x/y.png"}}}}'"#))
        .collect();
    let hidden = vec![path.join("state").canonicalize().unwrap()];
    let exec = Exec { hidden, ..exec(path, &lines.join(";")) };
    let by = clock::now() + Duration::from_secs(60);
    let acts = smol::block_on(exec.answer(&request(), by)).unwrap().acts;
    let [Act::Say { files, .. }] = &*acts else { panic!("{acts:?}") };
    let files: Vec<_> = files.iter().map(|file| (&*file.name, &*file.bytes)).collect();
    assert_eq!(files, [("y.png", &b"png"[..])]);
}
