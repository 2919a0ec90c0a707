//! Findings for people and programs.
//!
//! - `text`: grouped by path, the fix first.
//! - `json`, `sarif`: for programs.
//! - `graph`: the design as a drawing, with the walls marked.
