//! What arguments a model may give to a program. They are passed as they are, and no shell reads
//! them; what is judged here is what the program itself could take for something else.

use serde_json::{Value, json};

use crate::base::limits::{PROGRAM_ARG_BYTES_MAX, PROGRAM_ARGS_MAX};
use crate::base::text::Plain;

/// What may follow a program's own words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Shape {
    /// Nothing.
    #[default]
    None,
    /// Whatever the model likes, options too.
    Any,
    /// These, in this order.
    Slots(Vec<Slot>),
}

/// One argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slot {
    /// What it is called, for the model.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// What it may be.
    pub kind: Kind,
    /// Whether it may be left out; then all behind it may.
    pub optional: bool,
}

/// What an argument may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A text of at most so many characters that does not begin with `-`: it would be an option.
    Text(usize),
    /// A whole number within these bounds.
    Whole(i64, i64),
    /// One of these words.
    Choice(Vec<String>),
}

impl Shape {
    /// What is wrong with `args`, if anything is.
    ///
    /// # Errors
    /// A sentence for the model.
    pub fn check(&self, args: &[String]) -> Result<(), String> {
        if args.len() > PROGRAM_ARGS_MAX {
            return Err(format!("at most {PROGRAM_ARGS_MAX} arguments can be passed"));
        }
        if args.iter().any(|arg| arg.contains('\0') || arg.len() > PROGRAM_ARG_BYTES_MAX) {
            return Err("one of the arguments cannot be passed on".to_owned());
        }
        let slots = match self {
            Shape::Any => return Ok(()),
            Shape::None if args.is_empty() => return Ok(()),
            Shape::None => return Err("this program takes no arguments".to_owned()),
            Shape::Slots(slots) => slots,
        };
        if args.len() > slots.len() {
            return Err(format!("this program takes {} arguments at most", slots.len()));
        }
        for (at, slot) in slots.iter().enumerate() {
            match args.get(at) {
                Some(arg) => slot.check(arg)?,
                None if slot.optional => return Ok(()),
                None => return Err(format!("the argument {} is missing", slot.name)),
            }
        }
        Ok(())
    }

    /// It, for the model.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Shape::None => "no args".to_owned(),
            Shape::Any => "any args".to_owned(),
            Shape::Slots(slots) => {
                let slots: Vec<String> = slots.iter().map(Slot::words).collect();
                format!("args: [{}]", slots.join(", "))
            }
        }
    }
}

impl Slot {
    fn check(&self, arg: &str) -> Result<(), String> {
        let name = Plain(&self.name);
        match &self.kind {
            Kind::Text(_) if arg.starts_with('-') => {
                Err(format!("the argument {name} may not begin with -"))
            }
            Kind::Text(most) if arg.chars().count() > *most => {
                Err(format!("the argument {name} may have {most} characters at most"))
            }
            Kind::Text(_) => Ok(()),
            Kind::Whole(least, most) => {
                let is_plain = arg
                    .parse()
                    .is_ok_and(|n: i64| (*least..=*most).contains(&n) && n.to_string() == arg);
                let fault = || format!("the argument {name} is a number from {least} to {most}");
                if is_plain { Ok(()) } else { Err(fault()) }
            }
            Kind::Choice(words) if words.iter().any(|word| word == arg) => Ok(()),
            Kind::Choice(words) => {
                Err(format!("the argument {name} is one of: {}", words.join(", ")))
            }
        }
    }

    fn words(&self) -> String {
        let kind = match &self.kind {
            Kind::Text(_) => "text".to_owned(),
            Kind::Whole(least, most) => format!("{least}..{most}"),
            Kind::Choice(words) => words.join("|"),
        };
        let about = if self.about.is_empty() { String::new() } else { format!(", {}", self.about) };
        let optional = if self.optional { ", optional" } else { "" };
        format!("{} ({kind}{optional}{about})", self.name)
    }
}

/// The JSON schema of a list of arguments.
#[must_use]
pub fn schema() -> Value {
    json!({
        "type": "array", "maxItems": PROGRAM_ARGS_MAX,
        "items": {"type": "string", "maxLength": PROGRAM_ARG_BYTES_MAX},
        "description": "the program's arguments, one by one; no shell reads them",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(name: &str, kind: Kind, optional: bool) -> Slot {
        Slot { name: name.into(), about: String::new(), kind, optional }
    }

    fn check(shape: &Shape, args: &[&str]) -> Result<(), String> {
        shape.check(&args.iter().map(|&arg| arg.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn only_what_fits_the_shape_is_passed_on() {
        let shape = Shape::Slots(vec![
            slot("room", Kind::Choice(vec!["hall".into(), "bath".into()]), false),
            slot("degrees", Kind::Whole(-5, 30), false),
            slot("note", Kind::Text(5), true),
        ]);
        for args in [&["hall", "21"][..], &["bath", "-5", "short"], &["hall", "0", "$(x)"]] {
            assert_eq!(check(&shape, args), Ok(()), "{args:?}");
        }
        for args in [
            &[][..],
            &["hall"],
            &["cellar", "21"],
            &["hall", "31"],
            &["hall", "+1"],
            &["hall", "01"],
            &["hall", "1e1"],
            &["hall", "21", "--rm"],
            &["hall", "21", "-"],
            &["hall", "21", "123456"],
            &["hall", "21", "a", "b"],
            &["hall", "21", "a\0b"],
        ] {
            assert!(check(&shape, args).is_err(), "{args:?}");
        }
        assert_eq!(check(&Shape::None, &[]), Ok(()));
        assert!(check(&Shape::None, &["x"]).is_err());
        assert_eq!(check(&Shape::Any, &["--force", "-x"]), Ok(()));
        assert!(check(&Shape::Any, &["x\0"]).is_err());
        assert!(check(&Shape::Any, &vec!["x"; PROGRAM_ARGS_MAX + 1]).is_err());
        assert!(check(&Shape::Any, &[&"x".repeat(PROGRAM_ARG_BYTES_MAX + 1)]).is_err());
        assert_eq!(
            shape.words(),
            "args: [room (hall|bath), degrees (-5..30), note (text, optional)]"
        );
    }
}
