//! What answers: the agents by their names. [`Desk`] gives each message its turn with one.

mod ask;
mod company;
pub mod desk;
mod document;
pub mod echo;
pub mod exec;
pub mod http;
pub mod media;
pub mod model;
pub mod purse;
pub mod sessions;
pub mod store;
pub mod tools;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::base::Instant;
use crate::core::answer::Answer;
use crate::core::chat::Request;
use crate::core::permit::Permits;
use crate::core::turn::Fault;
use crate::rt::clock;
use echo::Echo;
use exec::Exec;
use http::Http;
use media::{Media, Wants};
use model::Model;
use store::Store;

pub use company::Hears;
pub use desk::Desk;

/// Something that answers messages.
#[derive(Debug)]
pub enum Agent {
    /// It says what it hears.
    Echo(Echo),
    /// A program.
    Exec(Exec),
    /// An HTTP endpoint.
    Http(Http),
    /// A language model.
    Model(Model),
    /// It never answers.
    #[cfg(test)]
    Hangs,
}

impl Agent {
    /// What of the files of a message it can be shown; others find them in its document.
    fn wants(&self) -> Wants {
        match self {
            Agent::Model(model) => Wants { reads: true, sees: model.sees() },
            _ => Wants { reads: false, sees: false },
        }
    }

    /// Whether it hears what is said while it works.
    fn can_hear(&self) -> bool {
        matches!(self, Agent::Model(_))
    }

    /// Its answer to `request`, by `by`. What was said before is in `store`; `hears` is told what
    /// it says before it is done.
    async fn answer(
        &self,
        request: &Request,
        store: Option<&Store>,
        by: Instant,
        hears: Hears<'_>,
    ) -> Result<Answer, Fault> {
        match self {
            Agent::Echo(echo) => in_time(by, echo.answer(request)).await,
            // It does not rest before the program is gone.
            Agent::Exec(exec) => exec.answer(request, by).await,
            Agent::Http(http) => in_time(by, http.answer(request, by, hears)).await,
            Agent::Model(model) => in_time(by, model.answer(request, store, by, hears)).await,
            #[cfg(test)]
            Agent::Hangs => in_time(by, std::future::pending()).await,
        }
    }

    /// What there is to say of it and its conversation, if it is ours to know.
    async fn about(&self, request: &Request, store: Option<&Store>) -> Option<String> {
        match self {
            Agent::Model(model) => Some(model.about(request, store).await),
            _ => None,
        }
    }

    /// Puts its conversation in short; what came of it, in words.
    async fn compact(&self, request: &Request, store: Option<&Store>, by: Instant) -> String {
        match self {
            Agent::Model(model) => model.compact(request, store, by).await,
            _ => "This agent remembers by itself: only it could put that in short.".to_owned(),
        }
    }
}

/// What `answer` says, if it does by `by`.
async fn in_time(
    by: Instant,
    answer: impl Future<Output = Result<Answer, Fault>>,
) -> Result<Answer, Fault> {
    clock::timeout(by, answer).await.unwrap_or(Err(Fault::TooSlow))
}

/// An agent, and what is asked of it.
#[derive(Debug)]
pub struct Member {
    /// Who answers.
    pub agent: Agent,
    /// The longest that one answer may take.
    pub deadline: Duration,
    /// Who may ask it.
    pub permits: Rc<Permits>,
}

/// All agents there are.
#[derive(Debug)]
pub struct Staff {
    members: BTreeMap<Box<str>, Rc<Member>>,
    usual: (Box<str>, Rc<Member>),
    /// What comes with messages besides words.
    media: Rc<Media>,
}

impl Staff {
    /// The agents of these names. `usual` answers what is meant for none of them.
    #[must_use]
    pub fn new(usual: (&str, Member), others: Vec<(Box<str>, Member)>) -> Staff {
        let (name, member) = usual;
        let usual = Rc::new(member);
        let others = others.into_iter().map(|(name, member)| (name, Rc::new(member)));
        let mut members: BTreeMap<_, _> = others.collect();
        members.insert(name.into(), usual.clone());
        Staff { members, usual: (name.into(), usual), media: Rc::default() }
    }

    /// With eyes, ears and a mouth.
    #[must_use]
    pub fn with(self, media: Media) -> Staff {
        Staff { media: Rc::new(media), ..self }
    }

    /// The agent called `name`, or else the usual one, with its name.
    fn find(&self, name: &str) -> (Rc<Member>, Option<&str>) {
        match self.members.get(name) {
            Some(member) => (member.clone(), None),
            None => (self.usual.1.clone(), Some(&self.usual.0)),
        }
    }
}
