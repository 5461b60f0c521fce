//! Discord: its gateway and its REST API.

pub mod close;
pub mod gateway;
pub mod intents;
pub mod model;
mod places;
pub mod rest;
pub mod said;
