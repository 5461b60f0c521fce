//! The commands of an image.

use super::{Command, flag};
use crate::cli::appliance;

/// Those of an image.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "appliance import",
        also: &[],
        words: "",
        summary: "take over what was put onto an image's boot partition",
        about: "The image calls it at each start, as root, before the network is up. It reads \
                barnacle.txt, barnacle.json5, authorized_keys, and what Raspberry Pi Imager \
                writes (user-data, network-config); writes host name, wireless network, keys, \
                user, time zone, token and configuration into the system; and wipes them from \
                there. What is wrong stays, and is told with its line and its cure, here and in \
                barnacle-report.txt beside it. Where several files say the same, the first of \
                these counts. A power cut at any moment loses nothing. Wiping a file on flash \
                memory does not erase it: who gets the card may still read old passwords and \
                tokens from it with the right tools. Fails with 65 if something is wrong there, \
                with 73 if something could not be written; then nothing was wiped.",
        flags: &[&[
            flag("boot", "DIR", "the boot partition, where it is mounted"),
            flag("root", "DIR", "for the system there (/); its programs are listed, and not run"),
        ]],
        run: appliance::import,
    },
    Command {
        name: "appliance template",
        also: &[],
        words: "",
        summary: "print barnacle.txt as an image has it: every setting explained, none made",
        about: "It is what is left in the place of a barnacle.txt that was taken over.",
        flags: &[],
        run: appliance::template,
    },
];
