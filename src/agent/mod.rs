//! What answers, and the loop that gives each message its turn.

pub mod echo;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use smol::channel::{Receiver, Sender};
use smol::future::or;

use crate::base::limits::TURNS_RUNNING_MAX;
use crate::core::answer::Answer;
use crate::core::chat::{ChatId, Request};
use crate::core::turn::{Fault, Told, Turns};
use crate::rt::clock;
use crate::rt::executor::{Spawner, Tier};
use echo::Echo;

/// Something that answers messages.
#[derive(Debug)]
pub enum Agent {
    /// It says what it hears.
    Echo(Echo),
}

impl Agent {
    async fn answer(&self, request: &Request) -> Result<Answer, Fault> {
        match self {
            Agent::Echo(echo) => echo.answer(request).await,
        }
    }
}

/// Runs the turns of `requests`, each of at most `deadline`, and tells about them, until
/// `requests` is closed and the last turn is over, or nobody listens any more. Dropped, it ends
/// every turn.
pub async fn run(
    agent: Rc<Agent>,
    deadline: Duration,
    requests: Receiver<Request>,
    told: Sender<Told>,
    spawner: Spawner,
) {
    let (over, finished) = smol::channel::bounded(TURNS_RUNNING_MAX);
    let mut turns = Turns::default();
    let mut tasks = BTreeMap::new();
    let mut is_open = true;
    while is_open || turns.running() > 0 {
        match or(next_event(&requests, is_open), async { Event::Over(finished.recv().await) }).await
        {
            Event::Asked(Some(request)) => {
                if let Err(Request { chat, id, .. }) = turns.ask(request)
                    && told.send(Told::Refused { chat, id }).await.is_err()
                {
                    return;
                }
            }
            Event::Asked(None) => is_open = false,
            Event::Over(Ok(chat)) => {
                tasks.remove(&chat);
                turns.finished(chat);
            }
            Event::Over(Err(_)) => return,
        }
        while let Some(request) = turns.poll() {
            let (agent, told, over) = (agent.clone(), told.clone(), over.clone());
            let chat = request.chat;
            let turn = async move {
                let is_heard = take_turn(&agent, deadline, &request, &told).await;
                // Without a listener there is nobody to take turns for.
                if is_heard {
                    // There is room for as many as run at once.
                    let _ = over.try_send(chat);
                } else {
                    over.close();
                }
            };
            tasks.insert(chat, spawner.spawn(Tier::Work, "turn", turn));
        }
    }
}

enum Event {
    /// A message, or the end of them.
    Asked(Option<Request>),
    /// The turn of a chat is over.
    Over(Result<ChatId, smol::channel::RecvError>),
}

async fn next_event(requests: &Receiver<Request>, is_open: bool) -> Event {
    if is_open { Event::Asked(requests.recv().await.ok()) } else { std::future::pending().await }
}

/// One turn. False if nobody listens.
async fn take_turn(
    agent: &Agent,
    deadline: Duration,
    request: &Request,
    told: &Sender<Told>,
) -> bool {
    let (chat, id) = (request.chat, request.id);
    if told.send(Told::Started { chat, id }).await.is_err() {
        return false;
    }
    let answer = clock::timeout(clock::now() + deadline, agent.answer(request)).await;
    let (answer, fault) = match answer.unwrap_or(Err(Fault::TooSlow)) {
        Ok(answer) => (answer, None),
        Err(fault) => (Answer::text(fault.apology()), Some(fault)),
    };
    told.send(Told::Answered { chat, id, answer, fault }).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use crate::base::limits::{TURN_DEADLINE, TURNS_QUEUED_PER_CHAT_MAX};
    use crate::core::chat::ChannelKind;
    use crate::rt::executor;

    fn chat(id: u64) -> ChatId {
        ChatId { channel: ChannelKind::Discord, id }
    }

    fn request(to: u64, id: u64) -> Request {
        Request {
            account: "default".into(),
            agent: "main".into(),
            chat: chat(to),
            id,
            seq: id,
            guild: None,
            author: 1,
            author_name: "ann".into(),
            text: format!("text {id}").into(),
            reply_to: None,
            at: Wall(0),
            late: false,
            attempt: 0,
            session: 0,
        }
    }

    /// All that is told about `requests`.
    fn story(echo: Echo, deadline: Duration, requests: Vec<Request>) -> Vec<Told> {
        executor::run(move |spawner| async move {
            let (asks, asked) = smol::channel::unbounded();
            let (told, listen) = smol::channel::unbounded();
            for request in requests {
                asks.try_send(request).unwrap();
            }
            drop(asks);
            run(Rc::new(Agent::Echo(echo)), deadline, asked, told, spawner).await;
            std::iter::from_fn(|| listen.try_recv().ok()).collect()
        })
    }

    fn answers(story: &[Told], of: u64) -> Vec<String> {
        let text = |told| match told {
            &Told::Answered { chat: at, ref answer, .. } if at == chat(of) => Some(answer.words()),
            _ => None,
        };
        story.iter().filter_map(text).collect()
    }

    #[test]
    fn every_chat_is_answered_in_its_order() {
        let asked = [(1, 10), (1, 11), (2, 20), (1, 12)].map(|(to, id)| request(to, id));
        let story = story(Echo::default(), TURN_DEADLINE, asked.into());
        assert_eq!(answers(&story, 1), ["text 10", "text 11", "text 12"]);
        assert_eq!(answers(&story, 2), ["text 20"]);
        let mut under_way = Vec::new();
        for told in story {
            match told {
                Told::Started { chat, .. } => {
                    assert!(!under_way.contains(&chat), "one turn per chat at a time");
                    under_way.push(chat);
                }
                Told::Answered { chat, fault, .. } => {
                    assert_eq!(fault, None);
                    under_way.retain(|&other| other != chat);
                }
                Told::Refused { .. } => panic!("there was room"),
            }
        }
    }

    #[test]
    fn an_agent_that_takes_too_long_is_excused() {
        let busy = Echo { burn: Duration::from_millis(20) };
        let story = story(busy, Duration::ZERO, vec![request(1, 10)]);
        let (answer, fault) = (Answer::text(Fault::TooSlow.apology()), Some(Fault::TooSlow));
        let answered = Told::Answered { chat: chat(1), id: 10, answer, fault };
        assert_eq!(story, [Told::Started { chat: chat(1), id: 10 }, answered]);
    }

    #[test]
    fn a_busy_agent_answers_all_the_same() {
        let busy = Echo { burn: Duration::from_millis(5) };
        let story = story(busy, TURN_DEADLINE, vec![request(1, 10), request(2, 20)]);
        assert_eq!(
            (answers(&story, 1), answers(&story, 2)),
            (vec!["text 10".into()], vec!["text 20".into()])
        );
    }

    #[test]
    fn a_message_too_many_is_refused_aloud() {
        let many = TURNS_QUEUED_PER_CHAT_MAX as u64 + 8;
        let busy = Echo { burn: Duration::from_millis(1) };
        let asked = (0..many).map(|id| request(1, id)).collect();
        let story = story(busy, TURN_DEADLINE, asked);
        let refused = story.iter().filter(|told| matches!(told, Told::Refused { .. })).count();
        assert!(refused > 0);
        assert_eq!(answers(&story, 1).len() + refused, usize::try_from(many).unwrap());
    }

    #[test]
    fn without_a_listener_it_ends() {
        executor::run(|spawner| async move {
            let (asks, asked) = smol::channel::unbounded();
            let (told, listen) = smol::channel::bounded(1);
            drop(listen);
            asks.try_send(request(1, 1)).unwrap();
            run(Rc::new(Agent::Echo(Echo::default())), TURN_DEADLINE, asked, told, spawner).await;
            assert!(asks.is_closed());
        });
    }
}
