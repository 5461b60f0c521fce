//! What is asked of the configuration file: to be examined, read, changed, begun, taken over.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::ops::config::{
    self, Broken, Dirs, Env, Imported, Mistake, Node, Step, Weight, edit, path,
};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::Common;

/// What a file is like.
pub(crate) struct Checked {
    /// The file; `None` if there is none, and the defaults hold.
    pub(crate) file: Option<PathBuf>,
    /// What is wrong in it.
    pub(crate) mistakes: Vec<Mistake>,
    /// Why it cannot be used at all.
    pub(crate) broken: Option<Broken>,
}

/// A file that was changed.
#[derive(Debug)]
pub(crate) struct Edited {
    /// The file.
    pub(crate) file: PathBuf,
    /// What is to be said about the new version.
    pub(crate) remarks: Vec<Mistake>,
    /// False if there was nothing to change.
    pub(crate) is_changed: bool,
}

/// OpenClaw's file, taken over or looked at.
pub(crate) struct Import {
    /// OpenClaw's.
    pub(crate) from: PathBuf,
    /// Ours.
    pub(crate) to: PathBuf,
    /// What became of what.
    pub(crate) imported: Imported,
    /// Our file's text, without secrets.
    pub(crate) preview: String,
    /// What a person should know besides.
    pub(crate) notes: Vec<String>,
}

/// Examines `file`, or the one that is used.
pub(crate) fn check(env: &Env, common: &Common, file: Option<&Path>) -> Checked {
    match config::load(env, file.or(common.config.as_deref())) {
        Ok(loaded) => Checked { file: loaded.file, mistakes: loaded.mistakes, broken: None },
        Err(broken) => {
            let file = Some(broken.file.clone());
            Checked { file, mistakes: Vec::new(), broken: Some(broken) }
        }
    }
}

impl Checked {
    /// Whether all of it means what it says.
    pub(crate) fn is_fine(&self) -> bool {
        self.broken.is_none() && self.mistakes.iter().all(|m| m.weight == Weight::Note)
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let broken = self.broken.as_ref().map(|broken| {
            let (line, column) = broken.at.unzip();
            json!({ "line": line, "column": column, "text": broken.text })
        });
        json!({
            "file": self.file,
            "ok": self.is_fine(),
            "usable": self.broken.is_none(),
            "broken": broken,
            "mistakes": self.mistakes.iter().map(Mistake::json).collect::<Vec<_>>(),
        })
    }
}

/// The value at `written`, or all of the file; secrets are blotted out unless they are asked for.
///
/// # Errors
/// There is no such setting, or no usable file.
pub(crate) fn get(
    env: &Env,
    common: &Common,
    written: Option<&str>,
    shows_secrets: bool,
) -> Result<Node<'static>, Failure> {
    let (file, text) = read(env, common)?;
    let root = parsed(&file, &text)?;
    let at = written.map_or(Ok(Vec::new()), steps)?;
    let Some(value) = edit::get(&root, &at) else {
        let text = format!("{} is not set in {}", path::show(&at), file.display());
        let default = config::find_key(&at).filter(|key| !key.default.is_empty());
        let cure = default.map_or_else(
            || "see `barnacle help config` for the keys there are".to_owned(),
            |key| format!("what holds then: {}", key.default),
        );
        return Err(Failure::new(Exit::Usage, text, cure));
    };
    let value = value.clone().owned();
    Ok(if shows_secrets { value } else { config::blot(&at, value) })
}

/// Puts `value` at `written`.
///
/// # Errors
/// It cannot be, or it would be a mistake and `force` is not given; the file is then as it was.
pub(crate) fn set(
    env: &Env,
    common: &Common,
    written: &str,
    value: &str,
    force: bool,
) -> Result<Edited, Failure> {
    let at = steps(written)?;
    let value = edit::value(value);
    change(env, common, force, |text| edit::set(text, &at, &value).map(Some))
}

/// Removes what is at `written`.
///
/// # Errors
/// It cannot be removed; the file is then as it was.
pub(crate) fn unset(
    env: &Env,
    common: &Common,
    written: &str,
    force: bool,
) -> Result<Edited, Failure> {
    let at = steps(written)?;
    change(env, common, force, |text| edit::unset(text, &at))
}

/// Changes the file by `edit`, which gives its new text.
pub(super) fn change(
    env: &Env,
    common: &Common,
    force: bool,
    edit: impl FnOnce(&str) -> Result<Option<String>, String>,
) -> Result<Edited, Failure> {
    let asked = common.config.as_deref();
    let found = config::find_file(env, asked).filter(|file| file.exists());
    let Some(file) = found.clone().or_else(|| config::new_file(env, asked)) else {
        return Err(nowhere());
    };
    if config::is_openclaws(env, &file) && !force {
        let text = format!("{} is OpenClaw's own file, and OpenClaw may refuse it", file.display());
        let cure = "`barnacle config import` makes one of ours from it; --force changes it anyway";
        return Err(Failure::new(Exit::Config, text, cure));
    }
    let before = match &found {
        Some(file) => Some(config::read_text(file).map_err(|broken| unusable(&broken))?),
        None => None,
    };
    let text = before.as_deref().unwrap_or_default();
    let known = match config::parse(text, env) {
        Ok((_, mistakes)) => mistakes,
        Err(fault) => {
            return Err(unusable(&Broken { file, at: fault.at, text: fault.text }));
        }
    };
    let refused = |why: String| Failure::new(Exit::Usage, why, "");
    let Some(fresh) = edit(text).map_err(refused)? else {
        return Ok(Edited { file, remarks: Vec::new(), is_changed: false });
    };
    let (_, mistakes) = config::parse(&fresh, env).map_err(|fault| refused(fault.text))?;
    let is_new =
        |m: &&Mistake| !known.iter().any(|old| (&old.path, &old.text) == (&m.path, &m.text));
    let remarks: Vec<Mistake> = mistakes.iter().filter(is_new).cloned().collect();
    // What is set for the gateway need not be set here.
    let is_grave = |m: &&Mistake| m.weight == Weight::Warning && !m.is_about_a_variable();
    if let Some(mistake) = remarks.iter().find(is_grave).filter(|_| !force) {
        let text = format!("{}: {}", mistake.path, mistake.text);
        let more = if mistake.cure.is_empty() { "" } else { "; " };
        let cure = format!("{}{more}--force writes it nevertheless", mistake.cure);
        return Err(Failure::new(Exit::Config, text, cure));
    }
    config::write(&file, before.as_deref(), &fresh).map_err(unwritten)?;
    Ok(Edited { file, remarks, is_changed: true })
}

/// Writes a first file, and says where.
///
/// # Errors
/// There is one already and `force` is not given, or it cannot be written.
pub(crate) fn init(
    env: &Env,
    common: &Common,
    template: &str,
    force: bool,
) -> Result<PathBuf, Failure> {
    let known = config::TEMPLATES.iter().find(|(name, _)| *name == template);
    let Some((_, text)) = known else {
        let names = config::TEMPLATES.map(|(name, _)| name).join(", ");
        let text = format!("there is no template \"{template}\"");
        return Err(Failure::new(Exit::Usage, text, format!("there is: {names}")));
    };
    let file = config::new_file(env, common.config.as_deref()).ok_or_else(nowhere)?;
    put(&file, text, force)?;
    Ok(file)
}

/// Takes over OpenClaw's file, or only says what that would bring.
///
/// # Errors
/// There is none, it cannot be read, or ours is there already and `force` is not given.
pub(crate) fn import(
    env: &Env,
    common: &Common,
    from: Option<&Path>,
    force: bool,
    dry_run: bool,
) -> Result<Import, Failure> {
    let found = from.map(Path::to_owned).or_else(|| config::openclaws_file(env));
    let from = found.ok_or_else(|| {
        Failure::new(Exit::Usage, "no file of OpenClaw's is found", "name it on the command line")
    })?;
    let to = config::new_file(env, common.config.as_deref()).ok_or_else(nowhere)?;
    let text = config::read_text(&from).map_err(|broken| unusable(&broken))?;
    let imported = config::import(&text).map_err(|fault| {
        unusable(&Broken { file: from.clone(), at: fault.at, text: fault.text })
    })?;
    if !dry_run {
        put(&to, &imported.text, force)?;
    }
    let preview = config::without_secrets(&imported.text);
    let notes = notes(env, &from, &imported);
    Ok(Import { from, to, imported, preview, notes })
}

/// What a person who moves in should know.
fn notes(env: &Env, from: &Path, imported: &Imported) -> Vec<String> {
    let mut notes = Vec::new();
    let beside = from.parent().map(|dir| dir.join(".env"));
    let env_file = beside.and_then(|file| Some((config::read_text(&file).ok()?, file)));
    let in_file: Vec<&str> = match &env_file {
        Some((text, _)) => config::names_in_env_file(text),
        None => Vec::new(),
    };
    let has_token = imported.taken.iter().any(|path| path.ends_with("token"));
    let token = (!has_token).then(|| "DISCORD_BOT_TOKEN".to_owned());
    for name in imported.variables.iter().chain(&token) {
        if env.get(name).is_some() {
            continue;
        }
        notes.push(match &env_file {
            Some((_, file)) if in_file.contains(&name.as_str()) => format!(
                "{name} is set in {}, which barnacle does not read: give it to the service \
                 (EnvironmentFile={})",
                file.display(),
                file.display()
            ),
            _ => format!("{name} is not set here: set it where the gateway starts"),
        });
    }
    let has_agent = |key: &str| imported.taken.iter().any(|path| path.ends_with(key));
    if !has_agent(".command") && !has_agent(".url") {
        notes.push(
            "no agent is configured that barnacle can ask: it says back what was said until \
             agents.defaults.command or agents.defaults.url is set"
                .to_owned(),
        );
    }
    notes.push("stop OpenClaw first: two programs with one token throw each other out".to_owned());
    notes
}

/// Which file is read, and all that are tried, in their order.
pub(crate) fn files(env: &Env, common: &Common) -> (Option<PathBuf>, Vec<PathBuf>) {
    let asked = common.config.as_deref();
    let found = config::find_file(env, asked);
    let named = asked.is_some() || env.get("BARNACLE_CONFIG").is_some();
    let tried = if named { found.clone().into_iter().collect() } else { config::usual_files(env) };
    (found, tried)
}

/// The last good copy that a gateway falls back to, if there is one.
pub(crate) fn last_good(env: &Env) -> Option<PathBuf> {
    let file = config::last_good_file(&Dirs::of(env)?.state);
    file.exists().then_some(file)
}

fn put(file: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let before = match config::read_text(file) {
        Ok(_) if !force => {
            let text = format!("{} is there already", file.display());
            let cure = "--force replaces it and keeps the old one as .bak";
            return Err(Failure::new(Exit::Usage, text, cure));
        }
        Ok(before) => Some(before),
        Err(broken) if file.exists() => return Err(unusable(&broken)),
        Err(_) => None,
    };
    config::write(file, before.as_deref(), text).map_err(unwritten)
}

/// The file and its text.
pub(super) fn read(env: &Env, common: &Common) -> Result<(PathBuf, String), Failure> {
    let file = config::find_file(env, common.config.as_deref()).ok_or_else(|| {
        let cure = "`barnacle config init` writes a first one; without one the defaults hold";
        Failure::new(Exit::Usage, "there is no configuration file", cure)
    })?;
    let text = config::read_text(&file).map_err(|broken| unusable(&broken))?;
    Ok((file, text))
}

/// The text as a tree.
pub(super) fn parsed<'t>(file: &Path, text: &'t str) -> Result<Node<'t>, Failure> {
    config::parse_tree(text).map_err(|fault| {
        unusable(&Broken { file: file.to_owned(), at: fault.at, text: fault.text })
    })
}

fn steps(written: &str) -> Result<Vec<Step<'static>>, Failure> {
    path::parse(written).map_err(|why| {
        let text = format!("\"{written}\" is no path: {why}");
        Failure::new(Exit::Usage, text, "write it like channels.discord.groupPolicy")
    })
}

fn unusable(broken: &Broken) -> Failure {
    Failure::new(Exit::Config, broken.to_string(), "correct that first")
}

fn unwritten(why: String) -> Failure {
    Failure::new(Exit::State, why, "the file is as it was")
}

fn nowhere() -> Failure {
    let text = "there is no place for a file: HOME is not set";
    Failure::new(Exit::Usage, text, "name one with --config")
}
