//! Notes through a restart, a torn end, and the end of whoever asked.

use std::time::Duration;

use super::*;
use crate::core::chat::sample;
use crate::proto::llm::Call;
use crate::rt::executor;
use crate::rt::store::tests::Scratch;

/// Who asks, where, for what.
async fn does(notes: &Notes, author: u64, chat: u64, name: &str, arguments: Value) -> Outcome {
    let mut request = sample::request(chat, 100);
    request.author = author;
    let call = Call { name: name.into(), ..Call::default() };
    let by = clock::now() + Duration::from_secs(60);
    notes.run(&Ask { request: &request, call: &call, ordinal: 0, by }, &arguments).await
}

#[test]
fn notes_are_kept_over_a_restart_and_a_torn_end_and_those_forgotten_leave_no_word() {
    let state = Scratch::new();
    let path = state.path().to_owned();
    executor::run(move |spawner| async move {
        let notes = Notes::open(&spawner, &path);
        let save = json!({"text": "Ann's cat is called Mia"});
        assert_eq!(does(&notes, 7, 5, "memory_save", save.clone()).await.unwrap(), "noted (1)");
        let again = does(&notes, 7, 5, "memory_save", save).await.unwrap();
        assert!(again.contains("already (1)"), "{again}");
        let shared = json!({"text": "the meeting is on Monday", "about": "chat"});
        does(&notes, 7, 5, "memory_save", shared).await.unwrap();
        drop(notes);
        let file = path.join(FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.extend(b"torn");
        std::fs::write(&file, bytes).unwrap();
        let notes = Notes::open(&spawner, &path);
        let found = does(&notes, 7, 6, "memory_search", json!({"query": "CAT"})).await.unwrap();
        assert!(found.starts_with("1 (person, ") && found.contains("Mia"), "{found}");
        let found = does(&notes, 8, 5, "memory_search", json!({"query": ""})).await.unwrap();
        assert!(found.contains("Monday") && !found.contains("Mia"), "{found}");
        assert!(does(&notes, 8, 5, "memory_forget", json!({"id": 1})).await.is_err());
        let forgotten = does(&notes, 7, 6, "memory_forget", json!({"id": 1})).await.unwrap();
        assert_eq!(forgotten, "note 1 is forgotten");
        let file = std::fs::read(path.join(FILE)).unwrap();
        assert!(!String::from_utf8_lossy(&file).contains("Mia"), "its words are on the disk");
        let notes = Notes::open(&spawner, &path);
        assert_eq!(notes.all().len(), 1);
        let saved = does(&notes, 7, 5, "memory_save", json!({"text": "x"})).await.unwrap();
        assert_eq!(saved, "noted (3)", "a number is given once");
    });
}

#[test]
fn all_about_a_person_can_be_had_and_forgotten() {
    let state = Scratch::new();
    let path = state.path().to_owned();
    executor::run(move |spawner| async move {
        let notes = Notes::open(&spawner, &path);
        for (author, about) in [(7, "person"), (7, "chat"), (8, "person")] {
            let text = format!("of {author} about the {about}");
            let note = json!({"text": text, "about": about});
            does(&notes, author, 5, "memory_save", note).await.unwrap();
        }
        let discord = ChannelKind::Discord;
        assert_eq!(notes.of_person(discord, 7).len(), 2);
        assert_eq!(notes.forget_person(discord, 7).await.unwrap(), 2);
        assert_eq!(notes.forget_person(discord, 7).await.unwrap(), 0);
        let left = Notes::open(&spawner, &path).all();
        assert_eq!(left.len(), 1);
    });
}

#[test]
fn a_disk_that_cannot_be_written_costs_the_note_and_says_so() {
    let state = Scratch::new();
    let path = state.path().join("no-such-directory");
    executor::run(move |spawner| async move {
        let notes = Notes::open(&spawner, &path);
        let saved = does(&notes, 7, 5, "memory_save", json!({"text": "x"})).await;
        assert!(saved.unwrap_err().contains("cannot be kept"));
        let found = does(&notes, 7, 5, "memory_search", json!({"query": "x"})).await.unwrap();
        assert_eq!(found, "nothing is noted about that");
    });
}
