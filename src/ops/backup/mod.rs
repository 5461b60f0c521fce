//! One file that holds all that a gateway knows: its configuration, its state, and its place in
//! each session. It is a tar packed by gzip, which every host can open; the last file in it is a
//! manifest with the length and the SHA-256 of all the others.
//!
//! Why a gateway need not stop for it: its files are logs that only grow and cells that are
//! replaced as a whole, so that any open file, up to the length that it had, is one that a power
//! cut might have left. [`snapshot`] says why all of them together are, too.

mod gzip;
mod place;
mod snapshot;
mod tar;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::base::limits;
use crate::base::text::Hex;

pub(crate) use place::{restore, usual_name};
pub(crate) use snapshot::{create, write_new};

/// The directory that all of it is below.
const ROOT: &str = "barnacle-backup/";
/// The manifest's name.
const MANIFEST: &str = "manifest.json";
/// The configuration's name.
const CONFIG: &str = "config.json5";
/// What the files of the state directory, and of the runtime directory, are below.
const STATE: &str = "state/";
const HOT: &str = "hot/";
/// What this program can restore.
const VERSION: u32 = 1;
/// What is copied at once.
const PIECE: usize = 64 * 1024;

/// What a backup says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    /// The format's version.
    pub(crate) version: u32,
    /// The program that made it, and its version.
    pub(crate) program: String,
    /// The host's name.
    pub(crate) host: String,
    /// When it was made.
    pub(crate) at: String,
    /// The configuration file that is in it, as it was called there.
    pub(crate) config: Option<String>,
    /// The state directory there.
    pub(crate) state: String,
    /// Whether nothing was written to any of the files while they were looked at, so that all of
    /// them are of one instant.
    pub(crate) still: bool,
    /// Every file but this one.
    pub(crate) files: Vec<Item>,
    /// What could not be taken in, and why.
    #[serde(default)]
    pub(crate) left_out: Vec<String>,
}

/// A file in a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    /// Its name.
    pub(crate) name: String,
    /// Its length.
    pub(crate) bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
}

/// A file that goes into a backup: as many bytes of it as it had.
struct Source<R> {
    name: String,
    bytes: u64,
    from: R,
}

/// Writes a backup of `sources`; completes the manifest.
fn pack<W: Write, R: Read>(
    out: W,
    sources: impl IntoIterator<Item = Source<R>>,
    mut manifest: Manifest,
    seconds: u64,
) -> io::Result<(W, Manifest)> {
    let mut out = gzip::Packer::new(out)?;
    for Source { name, bytes, mut from } in sources {
        let head = tar::header(&format!("{ROOT}{name}"), bytes, seconds);
        out.write_all(&head.ok_or_else(|| io::Error::other(format!("{name} does not fit in")))?)?;
        let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
        copy(&mut from, bytes, &mut |part| {
            hash.update(part);
            out.write_all(part)
        })
        .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        out.write_all(tar::END.get(..tar::padding(bytes)).unwrap_or_default())?;
        let sha256 = Hex(hash.finish().as_ref()).to_string();
        manifest.files.push(Item { name, bytes, sha256 });
    }
    let text = serde_json::to_vec_pretty(&manifest)?;
    let head = tar::header(&format!("{ROOT}{MANIFEST}"), text.len() as u64, seconds);
    out.write_all(&head.ok_or_else(|| io::Error::other("the manifest does not fit in"))?)?;
    out.write_all(&text)?;
    out.write_all(tar::END.get(..tar::padding(text.len() as u64)).unwrap_or_default())?;
    out.write_all(&tar::END)?;
    Ok((out.finish()?, manifest))
}

/// Hands on exactly `bytes` of `from`.
fn copy(
    from: &mut impl Read,
    bytes: u64,
    into: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let piece = piece.get_mut(..most).unwrap_or_default();
        from.read_exact(piece).map_err(tar::cut_off)?;
        into(piece)?;
        left -= most as u64;
    }
    Ok(())
}

/// Where the files of a backup go while it is read. None of them counts before [`unpack`] has read
/// all of it.
trait Sink {
    /// A file begins; its name is one of ours.
    fn begin(&mut self, name: &str) -> io::Result<()>;
    /// More of it.
    fn part(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Keeps nothing: to see whether it is whole.
struct Nowhere;

impl Sink for Nowhere {
    fn begin(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn part(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

fn odd(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

/// Reads a backup, to its end, and holds it against its manifest.
fn unpack(from: impl Read, sink: &mut impl Sink) -> io::Result<Manifest> {
    let mut from = gzip::Unpacker::new(from)?;
    let mut found: BTreeMap<String, Item> = BTreeMap::new();
    let mut manifest: Option<Manifest> = None;
    let mut total: u64 = 0;
    while let Some(head) = tar::next(&mut from)? {
        if manifest.is_some() {
            return Err(odd("something follows its manifest"));
        }
        let name = head.name.strip_prefix(ROOT).ok_or_else(|| odd("it is no backup of ours"))?;
        total = total.saturating_add(head.bytes);
        if total > limits::BACKUP_BYTES_MAX || found.len() >= limits::BACKUP_FILES_MAX {
            return Err(odd("there is more in it than any gateway keeps"));
        }
        if name == MANIFEST {
            manifest = Some(read_manifest(&mut from, head.bytes)?);
        } else {
            if !is_ours(name) {
                return Err(odd("a name in it leads to a place where nothing of ours belongs"));
            }
            sink.begin(name)?;
            let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
            copy(&mut from, head.bytes, &mut |part| {
                hash.update(part);
                sink.part(part)
            })?;
            let sha256 = Hex(hash.finish().as_ref()).to_string();
            let item = Item { name: name.to_owned(), bytes: head.bytes, sha256 };
            if found.insert(name.to_owned(), item).is_some() {
                return Err(odd("a file is in it twice"));
            }
        }
        let mut rest = [0; tar::BLOCK];
        let rest = rest.get_mut(..tar::padding(head.bytes)).unwrap_or_default();
        from.read_exact(rest).map_err(tar::cut_off)?;
    }
    let manifest = manifest.ok_or_else(|| odd("its manifest is missing"))?;
    let listed = manifest.files.iter().map(|item| (item.name.clone(), item.clone()));
    if listed.collect::<BTreeMap<_, _>>() != found || manifest.files.len() != found.len() {
        return Err(odd("what is in it is not what its manifest lists"));
    }
    Ok(manifest)
}

fn read_manifest(from: &mut impl Read, bytes: u64) -> io::Result<Manifest> {
    if bytes > limits::BACKUP_MANIFEST_BYTES_MAX {
        return Err(odd("its manifest is too long"));
    }
    let mut text = Vec::new();
    copy(from, bytes, &mut |part| {
        text.extend_from_slice(part);
        Ok(())
    })?;
    let value: serde_json::Value =
        serde_json::from_slice(&text).map_err(|_| odd("its manifest is no JSON"))?;
    match value["version"].as_u64() {
        Some(version) if version > u64::from(VERSION) => {
            Err(odd("a newer barnacle made it, and only that can restore it"))
        }
        _ => serde_json::from_value(value).map_err(|_| odd("its manifest cannot be read")),
    }
}

/// Whether `name` is one that [`create`] writes: no absolute path, no way up, nothing hidden in
/// how it is written.
fn is_ours(name: &str) -> bool {
    let below = [STATE, HOT].iter().find_map(|dir| name.strip_prefix(dir));
    name == CONFIG || below.is_some_and(is_plain_path)
}

/// Whether `path` is relative and only leads down.
fn is_plain_path(path: &str) -> bool {
    let is_plain = |part: &str| {
        !matches!(part, "" | "." | "..") && !part.contains(|c: char| c.is_control() || c == '\\')
    };
    path.len() <= limits::BACKUP_NAME_BYTES_MAX
        && path.split('/').count() <= limits::BACKUP_DEPTH_MAX
        && path.split('/').all(is_plain)
}

/// Reads `file` to its end, and tells what it says of itself.
///
/// # Errors
/// It is damaged, cut off, or no backup of ours.
pub(crate) fn verify(file: &std::path::Path) -> io::Result<Manifest> {
    unpack(io::BufReader::new(std::fs::File::open(file)?), &mut Nowhere)
}
