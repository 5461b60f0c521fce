//! Discord: its gateway and its REST API.

pub mod intents;
pub mod rest;
pub mod intents;
pub mod model;
pub mod close;
pub mod gateway;
