//! An image's own commands.

use std::path::PathBuf;

use super::Call;
use crate::app::appliance;
use crate::ops::exit::Failure;
use crate::ops::options::Import;

/// What `barnacle help appliance` and the manual page tell of the image: a title and its text.
pub(super) const MANUAL: &[(&str, &str)] = &[
    (
        "The card",
        "The image's first partition is FAT, which every computer can write. What is put there is \
         taken over at the next start, at the first one and at every later: settings in \
         barnacle.txt, a whole configuration in barnacle.json5, public keys in authorized_keys, \
         and what Raspberry Pi Imager asks for (user-data, network-config). What was taken over \
         is wiped from there; what is wrong stays in its line, and is told in \
         barnacle-report.txt beside it, on the console and by `journalctl -u barnacle-import`. A \
         file of Imager's with a mistake stays in whole, and is looked at again once it is \
         changed. A power cut at any moment loses nothing.",
    ),
    (
        "What wiping means",
        "Wiping overwrites a file and deletes it. On flash memory that does not erase it: the \
         card writes zeros elsewhere and keeps the old place for a while. Who gets the card may \
         read old passwords and tokens from it with the right tools, and the ones in use from its \
         other partitions with none. Change them if it is lost.",
    ),
    (
        "Logging in",
        "SSH starts with the first key or password that may be used there, and not before. Keys \
         are for the user that Imager was told of, else for admin, and are added to those of \
         earlier times in /etc/ssh/authorized_keys.d. Nobody has a password unless Imager set \
         one; who has none may use sudo without.",
    ),
    (
        "The token",
        "As long as there is none, the console and barnacle-contact.txt on the card say where to \
         go with it; the code that the page asks for is shown on the console only (`barnacle help \
         setup`).",
    ),
    (
        "Other versions",
        "`sudo barnacle-upgrade FILE` takes a package or a binary, and checks it against a \
         SHA256SUMS beside it. It tests itself, and is given two starts in which to be ready; \
         else the version before it runs again, which the exit code says (70), the console and \
         the log. `sudo barnacle-upgrade --back` returns to the version before. The one that the \
         image came with is on a partition that is never written.",
    ),
];

/// See the table.
pub(crate) fn import(call: &mut Call<'_>) -> Result<(), Failure> {
    let boot = PathBuf::from(call.parsed.needed("boot")?);
    let root = call.parsed.path("root").unwrap_or_else(|| PathBuf::from("/"));
    let done = appliance::import(&Import { boot, root })?;
    if call.common.json {
        call.out.line(done.json())?;
        return done.end();
    }
    if let Some(report) = &done.report {
        call.out.line(report.trim_end())?;
    }
    for command in done.commands() {
        call.out.line(format_args!("not run, since the system is another: {command}"))?;
    }
    done.end()
}

/// See the table.
pub(crate) fn template(call: &mut Call<'_>) -> Result<(), Failure> {
    // The last line's break is the printer's.
    let text = appliance::template();
    call.out.line(text.strip_suffix('\n').unwrap_or(&text))
}
