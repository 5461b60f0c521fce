//! Discord: its gateway and its REST API.

pub mod rest;
