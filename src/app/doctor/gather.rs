//! Looks at everything, and changes nothing.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access, statfs, statvfs};
use serde_json::Value;
use smol::future::zip;

use super::judge::{
    Account, Application, Asked, Configuration, Facts, Guild, Holder, Hosting, Keeping, Kind,
    Refusal, State, Trouble, Walls, Way,
};
use crate::app::account;
use crate::base::end::{DialFault, Phase};
use crate::base::{End, Secret, Wall, limits};
use crate::ops::config::{self, Config, Dirs, Discord, Env, Intents, Loaded, Weight};
use crate::ops::options::Common;
use crate::proto::discord::intents;
use crate::rt::executor::{Spawner, Tier};
use crate::rt::net::http::{Client, HttpError, Method, Request, Response};
use crate::rt::net::tcp::{self, Families, TcpOptions};
use crate::rt::net::{Endpoint, Net, dns::Resolver};
use crate::rt::{clock, confine, lock};

/// The file system that container engines lay over an image (linux/magic.h).
const OVERLAYFS_MAGIC: i64 = 0x794c_7630;

/// Platforms that put to sleep whoever seems idle, by a variable that they set, and what helps.
const PLATFORMS: &[(&str, &str, &str)] = &[
    ("DYNO", "Heroku", "eco dynos sleep: use a worker dyno that does not"),
    ("K_SERVICE", "Cloud Run", "set a minimum of one instance, with CPU always allocated"),
    ("AWS_LAMBDA_FUNCTION_NAME", "AWS Lambda", "it runs for minutes only: use a machine or ECS"),
    ("RENDER", "Render", "free web services sleep: use a background worker"),
    ("REPL_ID", "Replit", "it sleeps when nobody looks: use a Reserved VM deployment"),
    ("RAILWAY_ENVIRONMENT", "Railway", "leave App Sleeping switched off"),
    ("FLY_APP_NAME", "Fly.io", "set auto_stop_machines = \"off\" in fly.toml"),
    ("WEBSITE_INSTANCE_ID", "Azure App Service", "switch Always On on"),
    ("SPACE_ID", "Hugging Face Spaces", "free spaces sleep: set the sleep time to never"),
];

/// What was found, and what is needed to find more.
pub(super) struct Patient {
    pub(super) facts: Facts,
    pub(super) config: Config,
}

/// All that can be found on this host.
pub(super) fn set_out(env: &Env, common: &Common, running: Result<Value, String>) -> Patient {
    let dirs = Dirs::of(env);
    let last_good = || config::load_last_good(&dirs.as_ref()?.state, env);
    let (loaded, broken) = match config::load(env, common.config.as_deref()) {
        Ok(loaded) => (Some(loaded), None),
        Err(broken) => (last_good(), Some(broken.to_string())),
    };
    let has_last_good = broken.is_some() && loaded.is_some();
    let Loaded { config, mistakes, file, text } = loaded.unwrap_or_else(|| Loaded {
        config: Config::usual(),
        mistakes: Vec::new(),
        file: None,
        text: String::new(),
    });
    let warnings = mistakes.iter().filter(|mistake| mistake.weight == Weight::Warning);
    let (running, silence) = match running {
        Ok(running) => (Some(running), String::new()),
        Err(silence) => (None, silence),
    };
    let facts = Facts {
        exposed: exposed(env, &config, file.as_deref().map(|file| (file, &*text)), dirs.as_ref()),
        config: Configuration {
            mistakes: warnings.map(ToString::to_string).collect(),
            file,
            broken,
            has_last_good,
        },
        accounts: config.accounts.iter().map(account).collect(),
        hosting: hosting(env, running.as_ref()),
        state: state(dirs),
        walls: Walls { wanted: config.outside.confined(), missing: confine::missing() },
        running,
        silence,
        wall: clock::wall(),
    };
    Patient { facts, config }
}

/// An account of which nothing is known yet but what is configured.
fn account(discord: &Discord) -> Account {
    let refusal = || match discord.token {
        Some(_) => Refusal::Unreachable("Discord was not asked".to_owned()),
        None => Refusal::NoToken,
    };
    let (wanted, is_modest) = match discord.intents {
        Intents::AgentRecommended => (intents::Intents::AGENT_RECOMMENDED, true),
        Intents::Bits(bits) => (intents::Intents(bits), false),
    };
    let holder = match discord.token.as_ref().map(|token| lock::holder_of("discord", token)) {
        Some(lock::Holder::Nobody) => Holder::Nobody,
        Some(lock::Holder::Process { pid }) => Holder::Process(pid),
        Some(lock::Holder::Unknown) | None => Holder::Unknown,
    };
    Account {
        name: discord.id.clone(),
        enabled: discord.enabled,
        token_from: discord.token_from.clone(),
        wanted,
        is_modest,
        learns: discord.intent.as_ref().is_some_and(|filter| filter.learns),
        has_keepalive: discord.keepalive.is_some(),
        application: Err(refusal()),
        guilds: Err(refusal()),
        ways: Vec::new(),
        ahead: None,
        holder,
    }
}

/// The files with secrets in them that everybody can read.
fn exposed(
    env: &Env,
    config: &Config,
    file: Option<(&Path, &str)>,
    dirs: Option<&Dirs>,
) -> Vec<PathBuf> {
    // Secrets may come from elsewhere; a file that only names them is no secret.
    let secrets = config.secrets();
    let holds = |text: &str| secrets.iter().any(|secret| text.contains(secret.expose()));
    let candidates = [
        file.filter(|(_, text)| holds(text)).map(|(file, _)| file.to_owned()),
        env.get("DISCORD_BOT_TOKEN_FILE").map(PathBuf::from),
        dirs.map(Dirs::gateway_token),
        dirs.map(Dirs::bot_token),
    ];
    let is_open = |path: &PathBuf| fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o004 != 0);
    candidates.into_iter().flatten().filter(is_open).collect()
}

fn state(dirs: Option<Dirs>) -> State {
    let Some(path) = dirs.map(|dirs| dirs.state) else { return State::default() };
    // What is not there yet is made by the gateway, in the directory above it that is.
    let Some(there) = path.ancestors().find(|dir| dir.exists()) else {
        return State { path: Some(path), ..State::default() };
    };
    let fault = if there.is_dir() {
        access(there, Access::WRITE_OK | Access::EXEC_OK).err().map(|errno| errno.to_string())
    } else {
        Some(format!("{} is not a directory", there.display()))
    };
    let free = statvfs(there).ok().map(|room| room.f_bavail.saturating_mul(room.f_frsize));
    let is_overlay = statfs(there).is_ok_and(|fs| i128::from(fs.f_type) == OVERLAYFS_MAGIC.into());
    State { fault, free, is_fleeting: is_overlay && is_container(), path: Some(path) }
}

fn is_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists())
}

fn hosting(env: &Env, running: Option<&Value>) -> Hosting {
    let is_set = |(variable, ..): &&(&str, _, _)| env.get(variable).is_some();
    let platform = PLATFORMS.iter().find(is_set).map(|&(_, name, habit)| (name, habit));
    let is_container = is_container() || env.get("KUBERNETES_SERVICE_HOST").is_some();
    let pid = running.and_then(|status| status["pid"].as_u64());
    let group = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/cgroup")).ok());
    let keeping = group.map_or(Keeping::Unknown, |group| keeping(&group, lingers));
    Hosting { platform, is_container, keeping }
}

/// What a line of /proc/PID/cgroup tells.
pub(super) fn keeping(group: &str, lingers: impl Fn(&str) -> bool) -> Keeping {
    let path = group.lines().find_map(|line| line.strip_prefix("0::"));
    let Some(path) = path else { return Keeping::Unknown };
    let parts = || path.split('/');
    let user = parts().find_map(|part| part.strip_prefix("user@")?.strip_suffix(".service"));
    let is_session = parts().any(|part| part.starts_with("session-"));
    let is_service = path.trim_end().strip_suffix(".service").is_some();
    match user {
        Some(user) if is_service => Keeping::UserService { lingers: lingers(user) },
        Some(_) => Keeping::Session,
        None if is_session => Keeping::Session,
        None if is_service => Keeping::Service,
        None => Keeping::Unknown,
    }
}

/// Whether what the user with this number runs goes on without a login (loginctl(1)).
fn lingers(user: &str) -> bool {
    let names = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = names.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(user)).then_some(name)
    });
    // Who is in no list cannot be looked up, and is not to be blamed.
    name.is_none_or(|name| Path::new("/var/lib/systemd/linger").join(name).exists())
}

/// What Discord says, and how far it is. All accounts are asked at the same time.
pub(super) async fn ask_discord(spawner: &Spawner, patient: &mut Patient) {
    let Patient { facts, config } = patient;
    let ca_file = config.ca_file.clone();
    let asking: Vec<_> = config
        .accounts
        .iter()
        .map(|discord| {
            let (own, discord, ca_file) = (spawner.clone(), discord.clone(), ca_file.clone());
            let mut found = account(&discord);
            spawner.spawn(Tier::Wire, "doctor", async move {
                if found.enabled {
                    let net = account::network(&own, &discord, ca_file.as_deref());
                    match net {
                        Ok(net) => examine(&net, &discord, &mut found).await,
                        Err(refused) => {
                            found.application = Err(Refusal::Unreachable(refused.text.clone()));
                            found.guilds = Err(Refusal::Unreachable(refused.text));
                        }
                    }
                }
                found
            })
        })
        .collect();
    facts.accounts.clear();
    for task in asking {
        facts.accounts.push(task.await);
    }
}

async fn examine(net: &Net, discord: &Discord, found: &mut Account) {
    let (api, http) = (account::api(discord), Client::new(net, Tier::Wire));
    let to_api = way(net, "REST API", &api, ["http", "https"]).await;
    let trouble = to_api.whole.as_ref().err().map(|trouble| trouble.text.clone());
    found.ways.push(to_api);
    if let Some(trouble) = trouble {
        let why = format!("{} is not reached ({trouble})", found.ways[0].host);
        if discord.token.is_some() {
            found.application = Err(Refusal::Unreachable(why.clone()));
            found.guilds = Err(Refusal::Unreachable(why));
        }
        return;
    }
    let gateway = http.send(Request::new(Method::GET, format!("{api}/gateway"))).await;
    found.ahead = gateway.as_ref().ok().and_then(|answer| ahead(answer, clock::wall()));
    let url = gateway.ok().and_then(|answer| {
        let body: Value = serde_json::from_slice(&answer.body).ok()?;
        Some(body["url"].as_str()?.to_owned())
    });
    if let Some(url) = url {
        found.ways.push(way(net, "gateway", &url, ["ws", "wss"]).await);
    }
    let Some(token) = &discord.token else { return };
    found.application = application(&http, &api, token).await;
    let guilds = get(&http, token, format!("{api}/users/@me/guilds?limit=200")).await;
    found.guilds = guilds.map(|guilds| {
        let guilds = guilds.as_array().map(Vec::as_slice).unwrap_or_default().iter();
        guilds
            .map(|guild| Guild {
                name: guild["name"].as_str().unwrap_or("?").to_owned(),
                permissions: number(&guild["permissions"]),
            })
            .collect()
    });
}

/// The application behind the token.
pub(in crate::app) async fn application(
    http: &Client,
    api: &str,
    token: &Secret,
) -> Asked<Application> {
    let answer = get(http, token, format!("{api}/applications/@me")).await?;
    let name = answer["bot"]["username"].as_str().or(answer["name"].as_str()).unwrap_or("?");
    Ok(Application {
        id: number(&answer["id"]),
        name: name.to_owned(),
        flags: answer["flags"].as_u64().unwrap_or(0),
    })
}

/// Discord writes large numbers as text.
fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

/// What Discord answers about `url`.
pub(in crate::app) async fn get(http: &Client, token: &Secret, url: String) -> Asked<Value> {
    let request = crate::channels::discord::authorized(Request::new(Method::GET, url), token);
    read(http.send(request).await)
}

/// What an answer says, if it is one.
pub(super) fn read(answer: Result<Response, HttpError>) -> Asked<Value> {
    match answer {
        Ok(answer) if answer.status.is_success() => serde_json::from_slice(&answer.body)
            .map_err(|_| Refusal::Unreachable("the answer is not Discord's".to_owned())),
        Ok(answer) => Err(Refusal::Status(answer.status.as_u16())),
        Err(error) => Err(Refusal::Unreachable(error.to_string())),
    }
}

/// By how many seconds `now` is ahead of the answer's `Date`.
fn ahead(answer: &Response, now: Wall) -> Option<i64> {
    let theirs = Wall::of_http_date(answer.headers.get("date")?.to_str().ok()?)?;
    let (ours, theirs) = (i64::try_from(now.0).ok()?, i64::try_from(theirs.0).ok()?);
    Some((ours - theirs) / 1000)
}

/// Tries the way to the host of `url`: by each family of addresses, and to its end.
async fn way(net: &Net, what: &'static str, url: &str, schemes: [&str; 2]) -> Way {
    let [plain, secure] = schemes;
    let endpoint = url.parse().ok().and_then(|url| Endpoint::of(&url, plain, secure).ok());
    let Some(endpoint) = endpoint else {
        let trouble = Trouble { text: DialFault::Forbidden.to_string(), kind: Kind::Way };
        let families = [None, None];
        return Way { what, host: url.to_owned(), proxy: None, families, whole: Err(trouble) };
    };
    let proxy = net.proxy().filter(|proxy| proxy.serves(&endpoint)).map(ToString::to_string);
    let families = async {
        // What a proxy does with the name is its own business.
        if proxy.is_some() { [None, None] } else { families(&endpoint).await }
    };
    let (families, whole) = zip(families, whole(net, &endpoint)).await;
    Way { what, host: endpoint.host.to_string(), proxy, families, whole }
}

async fn whole(net: &Net, endpoint: &Endpoint) -> Result<u128, Trouble> {
    let (start, phase) = (clock::now(), Cell::new(Phase::Resolve));
    let by = start + limits::HTTP_CONNECT_DEADLINE;
    let end = match clock::timeout(by, net.connect(endpoint, &phase)).await {
        Some(Ok(_)) => return Ok(clock::now().since(start).as_millis()),
        Some(Err(fault)) => End::Dial(fault),
        None => End::Silence(phase.get()),
    };
    let kind = match end {
        End::Dial(DialFault::Dns) | End::Silence(Phase::Resolve) => Kind::Dns,
        End::Dial(DialFault::Tls | DialFault::Clock) => Kind::Tls,
        End::Dial(DialFault::Proxy(_)) | End::Silence(Phase::Proxy) => Kind::Proxy,
        _ => Kind::Way,
    };
    Err(Trouble { text: end.to_string(), kind })
}

/// A TCP connection by IPv4 and one by IPv6.
async fn families(endpoint: &Endpoint) -> [Option<Result<u128, String>>; 2] {
    let resolver = Resolver::system();
    let by = clock::now() + limits::DOCTOR_FAMILY_DEADLINE;
    let found = clock::timeout(by, resolver.resolve(&endpoint.host, endpoint.port)).await;
    let addrs = found.and_then(Result::ok).map(|found| found.list).unwrap_or_default();
    let of = |v6: bool| {
        let own: Vec<_> = addrs.iter().copied().filter(|addr| addr.is_ipv6() == v6).collect();
        async move {
            if own.is_empty() {
                return None;
            }
            let start = clock::now();
            let (known, options) = (Families::default(), TcpOptions::default());
            let dial = tcp::connect(&endpoint.host, &own, &known, &options);
            Some(match clock::timeout(by, dial).await {
                Some(Ok(_)) => Ok(millis(clock::now().since(start))),
                Some(Err(fault)) => Err(fault.to_string()),
                None => Err("no answer".to_owned()),
            })
        }
    };
    let (v4, v6) = zip(of(false), of(true)).await;
    [v4, v6]
}

fn millis(span: Duration) -> u128 {
    span.as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_tell_what_keeps_a_process() {
        let of = |path: &str| keeping(&format!("0::{path}\n"), |user| user == "1000");
        let user = "/user.slice/user-1000.slice";
        for (path, kept) in [
            ("/system.slice/barnacle.service".to_owned(), Keeping::Service),
            (
                format!("{user}/user@1000.service/app.slice/barnacle.service"),
                Keeping::UserService { lingers: true },
            ),
            (
                "/user.slice/user-7.slice/user@7.service/app.slice/b.service".to_owned(),
                Keeping::UserService { lingers: false },
            ),
            (format!("{user}/session-3.scope"), Keeping::Session),
            (format!("{user}/user@1000.service/app.slice/vte-spawn-1.scope"), Keeping::Session),
            ("/".to_owned(), Keeping::Unknown),
        ] {
            assert_eq!(of(&path), kept, "{path}");
        }
        assert_eq!(keeping("12:cpu:/a\n", |_| true), Keeping::Unknown);
    }
}
