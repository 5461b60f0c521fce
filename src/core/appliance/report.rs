//! What is written back to the boot partition, for whoever reads it on another computer.

use std::fmt::Write as _;

use super::{File, Plan};

const WIPED: &str = "\
What was taken over is wiped from this partition as soon as this is written. On flash memory that
does not erase it: who gets the card may still read old passwords and tokens from it with the
right tools. Change them if it is lost.";

/// The report; none if nothing was on the partition for us. `troubles` kept something from being
/// done, so that nothing is wiped.
#[must_use]
pub fn report(plan: &Plan, troubles: &[String]) -> Option<String> {
    let Plan { taken, mistakes, notes, .. } = plan;
    if taken.is_empty() && mistakes.is_empty() && notes.is_empty() && troubles.is_empty() {
        return None;
    }
    let mut out = String::from("barnacle: what was taken over from this partition at a start\n");
    let list = |out: &mut String, title: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let _ = writeln!(out, "\n{title}");
            for line in lines {
                let _ = writeln!(out, "  - {line}");
            }
        }
    };
    list(&mut out, "Taken over:", taken.clone());
    let mut wrong: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    if plan.more > 0 {
        wrong.push(format!("and {} more mistakes", plan.more));
    }
    list(&mut out, "NOT taken over:", wrong);
    list(&mut out, "Besides:", notes.iter().map(ToString::to_string).collect());
    list(&mut out, "FAILED, and tried again at the next start:", troubles.to_vec());
    let seen: Vec<String> = plan.seen.iter().map(|file| file.name().to_owned()).collect();
    list(
        &mut out,
        "Still here with all that is in it, since something in it is wrong; it is looked at again\n\
         once it was changed. To be rid of it, delete it:",
        seen,
    );
    if !mistakes.is_empty() {
        let _ = writeln!(out, "\nSettings are corrected in {}.", File::Settings.name());
    }
    if !plan.wipes.is_empty() && troubles.is_empty() {
        let _ = writeln!(out, "\n{WIPED}");
    }
    Some(out)
}
