//! What becomes of the files that come with messages, and of answers that are to be spoken: what
//! can go wrong with them, in words for people, and the marks by which agents know what was said.

use std::fmt;

use super::chat::{Attachment, Request};

/// Why something could not be looked at, listened to, or spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lapse {
    /// It is larger than what is looked at.
    TooLarge,
    /// It plays longer than what is listened to, or is a longer text than is spoken.
    TooLong,
    /// It does not lie where the service keeps its files.
    Elsewhere,
    /// It is not there any more.
    Gone,
    /// Where it lies, or who was asked, refused with this HTTP status.
    Refused(u16),
    /// Who was asked could not be reached, or broke off.
    Unreachable,
    /// It took too long.
    Slow,
    /// It is not what it is said to be, or what came back makes no sense.
    Garbled,
    /// There is nothing in it.
    Empty,
    /// Too many others are being looked at.
    Crowded,
}

impl Lapse {
    /// Every one there is; of numbers, 0.
    pub const ALL: [Lapse; 10] = [
        Lapse::TooLarge,
        Lapse::TooLong,
        Lapse::Elsewhere,
        Lapse::Gone,
        Lapse::Refused(0),
        Lapse::Unreachable,
        Lapse::Slow,
        Lapse::Garbled,
        Lapse::Empty,
        Lapse::Crowded,
    ];
}

/// The sentence for people, without a full stop.
impl fmt::Display for Lapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lapse::TooLarge => f.write_str("it is too large"),
            Lapse::TooLong => f.write_str("it is too long"),
            Lapse::Elsewhere => f.write_str("it does not lie where files of this service do"),
            Lapse::Gone => f.write_str("it is not there any more"),
            Lapse::Refused(status) => write!(f, "it was refused with HTTP {status}"),
            Lapse::Unreachable => f.write_str("what does that cannot be reached"),
            Lapse::Slow => f.write_str("it took too long"),
            Lapse::Garbled => f.write_str("it makes no sense"),
            Lapse::Empty => f.write_str("there is nothing in it"),
            Lapse::Crowded => f.write_str("too many others are at it"),
        }
    }
}

/// What became of a file, or of the wish to speak an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// What was spoken is now text.
    Heard,
    /// The answer is spoken, too.
    Spoken,
    /// A file was not looked at.
    Unread(Lapse),
    /// What was spoken was not understood.
    Unheard(Lapse),
    /// The answer is not spoken.
    Unspoken(Lapse),
}

impl Note {
    /// Every one there is; of numbers, 0.
    pub fn all() -> impl Iterator<Item = Note> {
        let failed = [Note::Unread, Note::Unheard, Note::Unspoken].into_iter();
        let failed = failed.flat_map(|note| Lapse::ALL.map(note));
        [Note::Heard, Note::Spoken].into_iter().chain(failed)
    }

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Note::Heard => "heard",
            Note::Spoken => "spoken",
            Note::Unread(_) => "file_unread",
            Note::Unheard(_) => "voice_unheard",
            Note::Unspoken(_) => "answer_unspoken",
        }
    }

    /// Whether it is against the wish of whoever wrote the message.
    #[must_use]
    pub fn is_drop(self) -> bool {
        !matches!(self, Note::Heard | Note::Spoken)
    }

    /// The HTTP status in it; 0 if there is none.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Note::Unread(Lapse::Refused(status))
            | Note::Unheard(Lapse::Refused(status))
            | Note::Unspoken(Lapse::Refused(status)) => status.into(),
            _ => 0,
        }
    }

    /// The same with this number, if it has one.
    #[must_use]
    pub fn with_number(self, number: u16) -> Note {
        match self {
            Note::Unread(Lapse::Refused(_)) => Note::Unread(Lapse::Refused(number)),
            Note::Unheard(Lapse::Refused(_)) => Note::Unheard(Lapse::Refused(number)),
            Note::Unspoken(Lapse::Refused(_)) => Note::Unspoken(Lapse::Refused(number)),
            note => note,
        }
    }

    /// What would change it, if that is ours to say.
    #[must_use]
    pub fn cure(self) -> Option<&'static str> {
        Some(match self {
            Note::Unread(Lapse::TooLarge) => "a smaller file",
            Note::Unheard(Lapse::TooLarge) => "a larger tools.media.audio.maxBytes",
            Note::Unheard(Lapse::TooLong) => "a larger tools.media.audio.maxSeconds",
            Note::Unheard(Lapse::Slow) => "a larger tools.media.audio.timeoutSeconds",
            Note::Unheard(Lapse::Unreachable | Lapse::Refused(_)) => {
                "look at tools.media.audio; the log has more"
            }
            Note::Unspoken(Lapse::TooLong) => "a larger messages.tts.maxTextLength",
            Note::Unspoken(Lapse::Unreachable | Lapse::Refused(_)) => {
                "look at messages.tts; the log has more"
            }
            _ => return None,
        })
    }
}

/// The sentence for people.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Heard => f.write_str("what was spoken was written down"),
            Note::Spoken => f.write_str("the answer is spoken, too"),
            Note::Unread(lapse) => write!(f, "a file was not looked at: {lapse}"),
            Note::Unheard(lapse) => write!(f, "what was spoken was not understood: {lapse}"),
            Note::Unspoken(lapse) => write!(f, "the answer is not spoken: {lapse}"),
        }
    }
}

/// What the person reads whose voice note was not understood.
#[must_use]
pub fn apology(lapse: Lapse) -> String {
    let why = match lapse {
        Lapse::TooLarge | Lapse::TooLong => "it is too long for me. A shorter one may do",
        Lapse::Empty => "I could not hear any words in it",
        Lapse::Crowded | Lapse::Slow => "I have too much to do just now. Please try again later",
        _ => "something went wrong. Please try again, or write to me",
    };
    format!("Sorry, I could not listen to your voice message: {why}.")
}

/// Puts what was spoken into words among the text of `request`, marked as such.
pub fn hear(request: &mut Request, words: &str) {
    let spoken = format!("[voice message] {}", words.trim());
    request.text = match request.text.trim() {
        "" => spoken.into(),
        text => format!("{text}\n{spoken}").into(),
    };
}

/// What stands for a file where it cannot be shown.
#[must_use]
pub fn mark(attachment: &Attachment) -> String {
    let what = if attachment.is_sound() {
        "audio"
    } else if attachment.is_picture() {
        "image"
    } else {
        "file"
    };
    let name: String = attachment.name.chars().filter(|c| !c.is_control()).collect();
    match attachment.lapse {
        Some(lapse) => format!("[{what}: {name}; not looked at: {lapse}]"),
        None => format!("[{what}: {name}]"),
    }
}

/// What a transcript keeps of what was asked: the text, and what came with it.
#[must_use]
pub fn written(request: &Request) -> String {
    let marks = request.attachments.iter().filter(|file| !file.is_heard).map(mark);
    let text = Some(request.text.trim().to_owned()).filter(|text| !text.is_empty());
    text.into_iter().chain(marks).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::sample::request;

    #[test]
    fn what_was_spoken_is_marked_and_stands_behind_what_was_written() {
        let mut spoken = request(1, 2);
        spoken.text = " ".into();
        hear(&mut spoken, " turn left \n");
        assert_eq!(&*spoken.text, "[voice message] turn left");
        let mut both = request(1, 2);
        hear(&mut both, "turn left");
        assert_eq!(&*both.text, "text 2\n[voice message] turn left");
    }

    #[test]
    fn a_transcript_tells_of_files_and_not_of_a_voice_that_was_understood() {
        let file = |name: &str, kind: &str| Attachment {
            name: name.into(),
            kind: kind.into(),
            ..Attachment::default()
        };
        let mut request = request(1, 2);
        let heard = Attachment { is_heard: true, ..file("v.ogg", "audio/ogg") };
        let lapse = Some(Lapse::Refused(403));
        let gone = Attachment { lapse, ..file("b\u{7}.png", "image/png") };
        request.attachments = vec![heard, file("a.pdf", "application/pdf"), gone];
        assert_eq!(
            written(&request),
            "text 2\n[file: a.pdf]\n[image: b.png; not looked at: it was refused with HTTP 403]"
        );
    }

    #[test]
    fn every_apology_is_a_sentence_and_numbers_stay() {
        for lapse in Lapse::ALL {
            let said = apology(lapse);
            assert!(said.starts_with("Sorry") && said.ends_with('.'), "{said}");
        }
        for note in Note::all() {
            assert_eq!(note.with_number(0), note);
            assert!(note.number() == 0 && !note.to_string().is_empty());
        }
        let refused = Note::Unheard(Lapse::Refused(0)).with_number(503);
        assert_eq!(refused.number(), 503);
    }
}
