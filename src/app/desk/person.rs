//! `person.*`: what is kept about a person, told or forgotten.

use std::rc::Rc;

use serde_json::Value;

use super::{handed_on, text_of};
use crate::app::house::House;
use crate::app::person;
use crate::control::{Answer, at_once, unknown};
use crate::core::person::Person;
use crate::proto::control::Fault;

/// `person.export` and `person.forget`.
pub(super) fn answer(house: &Rc<House>, verb: &str, params: &Value) -> Answer {
    let named = text_of(params, &["person"]).unwrap_or_default();
    let person: Person = match named.parse() {
        Ok(person) => person,
        Err(nobody) => {
            return at_once(Err(Fault::invalid(format!("person.{verb}: {nobody}"))));
        }
    };
    match verb {
        "export" => {
            let from = params["from"].as_u64().unwrap_or(0);
            let house = house.clone();
            Box::pin(async move { Ok(person::export(house, person, from).await) })
        }
        "forget" if params["confirm"] != true => {
            let text =
                "person.forget: `confirm` must be true: what is forgotten cannot be had back";
            at_once(Err(Fault::invalid(text)))
        }
        "forget" => {
            let there = house.clone();
            handed_on(house, async move {
                person::forget(there, person).await.map_err(|why| {
                    Fault::later(format!("not everything is gone yet, try again: {why}"), 1000)
                })
            })
        }
        other => at_once(Err(unknown(&format!("person.{other}")))),
    }
}
