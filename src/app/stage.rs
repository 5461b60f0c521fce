//! A bot and the embedded Discord that it is connected to, in one process: what `demo` and `drill`
//! play on. The bot is the same code as `barnacle gateway`'s, from the socket up.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use smol::channel::{Receiver, bounded};

use super::account::{self, Plan, Started};
use super::staff::{Guard, Workplace};
use crate::agent::{Desk, sessions::Sessions};
use crate::base::{Secret, limits};
use crate::channels::discord::{Board, View};
use crate::core::health::Status;
use crate::ops::config::{Config, Dirs, Env};
use crate::ops::exit::{Exit, Failure};
use crate::proto::discord::gateway::Ask;
use crate::rt::clock;
use crate::rt::executor::Spawner;
use crate::sandbox::{Event, Handle, Options, Say};

/// Heartbeats come often on stage, so that faults which only they reveal show soon.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// The two, and the directory that the bot keeps its state in.
pub(super) struct Stage {
    pub(super) sandbox: Handle,
    pub(super) events: Receiver<Event>,
    started: Option<Started>,
    dir: TemporaryDir,
}

/// Gone when it is dropped.
pub(super) struct TemporaryDir(PathBuf);

impl Stage {
    /// Starts both and waits until the bot is connected.
    pub(super) async fn set(spawner: &Spawner) -> Result<Stage, Failure> {
        let options = Options { heartbeat: HEARTBEAT, ..Options::default() };
        Stage::with(spawner, options, None).await
    }

    /// The same with a sandbox as `options` say, whose certificate is in the file `trusted`.
    pub(super) async fn with(
        spawner: &Spawner,
        options: Options,
        trusted: Option<PathBuf>,
    ) -> Result<Stage, Failure> {
        let sandbox = super::sandbox::start(options, spawner).await?;
        let events = sandbox.events();
        let dir = TemporaryDir::new()?;
        let dirs = Dirs { state: dir.0.clone(), hot: None };
        let mut config = Config::usual();
        config.ca_file = trusted;
        // The directory's name is of this process alone, and so the token's lock is.
        config.accounts[0].token = Some(Secret::new(&format!("stage-{}", dir.0.display())));
        config.accounts[0].api_url = Some(format!("{}/v10", sandbox.urls().api));
        let (changed, _) = bounded(1);
        let workplace = Workplace::new(spawner, &dirs, &Env::default(), Guard::default());
        let desk = Desk::new(spawner, workplace.staff(&config), Sessions::open(&dirs.state));
        let board = Board::open(&dirs.state);
        let started =
            account::start(spawner, &dirs, &Plan::all(&config)[0], (&desk, &board), &changed)
                .map_err(|refused| Failure::new(Exit::Software, refused.text, ""))?;
        let stage = Stage { sandbox, events, started: Some(started), dir };
        stage.connected().await?;
        Ok(stage)
    }

    /// What there is to see of the bot.
    pub(super) fn view(&self) -> Option<View> {
        self.started.as_ref().map(|started| started.account.view())
    }

    /// Waits until the bot is connected.
    pub(super) async fn connected(&self) -> Result<(), Failure> {
        let deadline = clock::now() + limits::STAGE_DEADLINE;
        while clock::now() < deadline {
            let status = self.view().map(|view| view.vital().status);
            if status == Some(Status::Connected) {
                return Ok(());
            }
            clock::sleep(limits::STAGE_LOOK).await;
        }
        Err(Failure::new(Exit::Software, "the bot did not connect to the sandbox", ""))
    }

    /// A person says `text` to the bot; gives the channel and the message's id.
    pub(super) fn say(&self, text: &str) -> Result<(u64, u64), Failure> {
        let say = Say { text: text.to_owned(), mention: true, ..Say::default() };
        let said = self.sandbox.say(&say);
        said.map_err(|text| Failure::new(Exit::Software, text, ""))
    }

    /// The bot leaves, and the directory goes.
    pub(super) async fn strike(mut self) {
        if let Some(started) = self.started.take() {
            started.leave(Ask::Stop, limits::DRAIN).await;
        }
        drop(self.dir);
    }
}

impl TemporaryDir {
    pub(super) fn new() -> Result<TemporaryDir, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let name = format!("barnacle-{}-{:016x}", std::process::id(), crate::rt::os_seed());
        let path = crate::ops::config::temporary_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| {
            let text = format!("no temporary directory {}: {error}", path.display());
            Failure::new(Exit::State, text, "set TMPDIR to a place that can be written to")
        })?;
        Ok(TemporaryDir(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
