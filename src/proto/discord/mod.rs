//! Discord: its gateway and its REST API.
