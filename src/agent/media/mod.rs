//! What comes with messages besides words: it is fetched, looked at and listened to in the turn,
//! before the agent is asked; and answers are spoken, after it was.
//!
//! Nothing of this can lose a message or an answer: what cannot be had is told in a line.

pub mod fetch;
pub mod voice;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::base::Instant;
use crate::base::limits::{
    MEDIA_HELD_BYTES_MAX, MEDIA_LOOK, MEDIA_PATIENCE, PICTURE_BYTES_MAX, PICTURES_MAX,
    TEXT_FILE_BYTES_MAX, TEXT_FILES_MAX, VOICES_MAX,
};
use crate::core::answer::{Act, Answer, File};
use crate::core::chat::{Attachment, Content, Request};
use crate::core::media::{self, Lapse, Note};
use crate::proto::media::{Recording, Sound, sniff};
use crate::rt::clock;
use crate::rt::net::Net;
use fetch::Fetch;
use voice::{Ears, Mouth, Studio, When};

/// See the module.
#[derive(Debug, Default)]
pub struct Media {
    /// The way to the files of each account.
    fetchers: BTreeMap<Box<str>, Fetch>,
    studio: Option<Studio>,
    ears: Option<Ears>,
    mouth: Option<Mouth>,
    /// Bytes that turns hold.
    held: Rc<Cell<u64>>,
}

/// What was found with a message.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What became of what came with it.
    pub(super) notes: Vec<Note>,
    /// What the person is told, if something they said was not understood.
    pub(super) apology: Option<String>,
    /// Whether there is anything left to ask an agent about.
    pub(super) is_mute: bool,
    /// Whether the person has spoken, and was understood.
    was_heard: bool,
    /// Room for what is in the request, until the turn is over.
    room: Vec<Held>,
}

/// Room that is taken.
#[derive(Debug)]
struct Held {
    bytes: u64,
    all: Rc<Cell<u64>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.all.set(self.all.get().saturating_sub(self.bytes));
    }
}

impl Media {
    /// With the way to the files of each account.
    #[must_use]
    pub fn new(fetchers: Vec<(Box<str>, Fetch)>) -> Media {
        Media { fetchers: fetchers.into_iter().collect(), ..Media::default() }
    }

    /// With ears, a mouth, or both, that are reached by `net`.
    #[must_use]
    pub fn voiced(mut self, net: &Net, ears: Option<Ears>, mouth: Option<Mouth>) -> Media {
        self.studio = Some(Studio::new(net));
        (self.ears, self.mouth) = (ears, mouth);
        self
    }

    /// Looks at what came with `request`, by `by`: what was spoken becomes text, and if the agent
    /// is a model, it is shown texts, and pictures if it `sees`.
    pub(super) async fn look(&self, request: &mut Request, wants: Wants, by: Instant) -> Found {
        let mut found = Found::default();
        if request.attachments.is_empty() {
            return found;
        }
        let Some(fetch) = self.fetchers.get(&request.account) else { return found };
        let had_words = !request.text.trim().is_empty();
        self.listen(fetch, request, by, &mut found).await;
        if wants.reads {
            self.read(fetch, request, wants.sees, by, &mut found).await;
        }
        let is_other = |file: &Attachment| !file.is_sound();
        let has_others = request.attachments.iter().any(is_other);
        found.is_mute = found.apology.is_some() && !had_words && !found.was_heard && !has_others;
        found
    }

    async fn listen(&self, fetch: &Fetch, request: &mut Request, by: Instant, found: &mut Found) {
        let (Some(studio), Some(ears)) = (&self.studio, &self.ears) else { return };
        let sounds = (0..request.attachments.len())
            .filter(|&at| request.attachments.get(at).is_some_and(Attachment::is_sound))
            .take(VOICES_MAX)
            .collect::<Vec<_>>();
        for at in sounds {
            let Some(file) = request.attachments.get(at) else { continue };
            let heard = self.understand(fetch, studio, ears, file, by).await;
            let Some(file) = request.attachments.get_mut(at) else { continue };
            match heard {
                Ok(words) => {
                    file.is_heard = true;
                    media::hear(request, &words);
                    found.was_heard = true;
                    found.notes.push(Note::Heard);
                }
                Err(lapse) => {
                    file.lapse = Some(lapse);
                    found.notes.push(Note::Unheard(lapse));
                    found.apology.get_or_insert_with(|| media::apology(lapse));
                }
            }
        }
    }

    async fn understand(
        &self,
        fetch: &Fetch,
        studio: &Studio,
        ears: &Ears,
        file: &Attachment,
        by: Instant,
    ) -> Result<String, Lapse> {
        if file.seconds.is_some_and(|seconds| seconds > ears.seconds_max) {
            return Err(Lapse::TooLong);
        }
        let (bytes, _held) = self.fetch(fetch, file, ears.bytes_max, by).await?;
        let kind = sniff(&bytes).filter(|kind| kind.starts_with("audio/"));
        let kind = kind.ok_or(Lapse::Garbled)?;
        studio.listen(ears, Recording { name: &file.name, kind, bytes: &bytes }, by).await
    }

    /// Looks at pictures and texts, as many as there may be.
    async fn read(
        &self,
        fetch: &Fetch,
        request: &mut Request,
        sees: bool,
        by: Instant,
        found: &mut Found,
    ) {
        let (mut pictures, mut texts) = (0, 0);
        for file in &mut request.attachments {
            let is_picture = file.is_picture();
            let (count, count_max, bytes_max) = if is_picture {
                (&mut pictures, PICTURES_MAX, PICTURE_BYTES_MAX)
            } else {
                (&mut texts, TEXT_FILES_MAX, TEXT_FILE_BYTES_MAX)
            };
            let is_wanted = if is_picture { sees } else { file.is_text() };
            if !is_wanted || *count >= count_max {
                continue;
            }
            *count += 1;
            let looked = match self.fetch(fetch, file, bytes_max, by).await {
                Ok((bytes, held)) => content(is_picture, bytes).map(|content| (content, held)),
                Err(lapse) => Err(lapse),
            };
            match looked {
                Ok((content, held)) => {
                    file.content = Some(content);
                    found.room.push(held);
                }
                Err(lapse) => {
                    file.lapse = Some(lapse);
                    found.notes.push(Note::Unread(lapse));
                }
            }
        }
    }

    /// What is in `file`, and the room that it takes.
    async fn fetch(
        &self,
        fetch: &Fetch,
        file: &Attachment,
        bytes_max: u64,
        by: Instant,
    ) -> Result<(Vec<u8>, Held), Lapse> {
        if file.bytes > bytes_max {
            return Err(Lapse::TooLarge);
        }
        let held = self.hold(file.bytes, by).await?;
        Ok((fetch.get(file, bytes_max, by).await?, held))
    }

    /// Takes room for so many bytes, as soon as there is some.
    async fn hold(&self, bytes: u64, by: Instant) -> Result<Held, Lapse> {
        let by = by.min(clock::now() + MEDIA_PATIENCE);
        while self.held.get().saturating_add(bytes) > MEDIA_HELD_BYTES_MAX {
            if clock::now() >= by {
                return Err(Lapse::Crowded);
            }
            clock::sleep(MEDIA_LOOK).await;
        }
        self.held.set(self.held.get() + bytes);
        Ok(Held { bytes, all: self.held.clone() })
    }

    /// Has `answer` spoken, if it is to be, and attaches that. What became of it.
    pub(super) async fn speak(&self, found: &Found, answer: &mut Answer) -> Option<Note> {
        let (Some(studio), Some(mouth)) = (&self.studio, &self.mouth) else { return None };
        let is_due = mouth.when == When::Always || found.was_heard;
        let words = answer.words();
        if !is_due || words.trim().is_empty() {
            return None;
        }
        if words.chars().count() > mouth.chars_max {
            return Some(Note::Unspoken(Lapse::TooLong));
        }
        let bytes = match studio.speak(mouth, &words).await {
            Ok(bytes) => bytes,
            Err(lapse) => return Some(Note::Unspoken(lapse)),
        };
        let name = match mouth.sound {
            Sound::Opus => "answer.ogg",
            Sound::Mp3 => "answer.mp3",
        };
        let file = File { name: name.into(), bytes };
        let says = answer.acts.iter_mut().rev().find_map(|act| match act {
            Act::Say { files, .. } => Some(files),
            _ => None,
        });
        says?.push(file);
        Some(Note::Spoken)
    }
}

/// What the agent can be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wants {
    /// Texts.
    pub(super) reads: bool,
    /// And pictures.
    pub(super) sees: bool,
}

fn content(is_picture: bool, bytes: Vec<u8>) -> Result<Content, Lapse> {
    if is_picture {
        let kind = sniff(&bytes).filter(|kind| kind.starts_with("image/"));
        let kind = kind.ok_or(Lapse::Garbled)?;
        return Ok(Content::Picture { kind: kind.into(), bytes: bytes.into() });
    }
    let text = String::from_utf8(bytes).map_err(|_| Lapse::Garbled)?;
    Ok(Content::Text(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::executor;
    use std::time::Duration;

    #[test]
    fn files_wait_for_room_and_who_has_none_in_time_is_told() {
        executor::run(|_| async {
            let media = Media::default();
            let soon = || clock::now() + Duration::from_millis(100);
            let all = media.hold(MEDIA_HELD_BYTES_MAX, soon()).await.expect("there is room");
            assert_eq!(media.hold(1, soon()).await.err(), Some(Lapse::Crowded));
            assert_eq!(media.hold(u64::MAX, soon()).await.err(), Some(Lapse::Crowded));
            drop(all);
            let next = media.hold(MEDIA_HELD_BYTES_MAX, soon()).await.expect("there is room again");
            assert_eq!((next.bytes, media.held.get()), (MEDIA_HELD_BYTES_MAX, next.bytes));
            drop(next);
            assert_eq!(media.held.get(), 0);
        });
    }

    #[test]
    fn what_is_no_picture_and_no_text_is_not_shown() {
        assert_eq!(content(true, b"<svg>".to_vec()), Err(Lapse::Garbled));
        assert_eq!(content(true, b"OggS".to_vec()), Err(Lapse::Garbled));
        assert_eq!(content(false, b"\xff\xfe".to_vec()), Err(Lapse::Garbled));
        assert_eq!(content(false, b"words".to_vec()), Ok(Content::Text("words".into())));
    }
}
