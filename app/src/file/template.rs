//! What `flyball init` writes.

use flyball_core::Name;

/// A commented application file with one function behind one route; everything else is there as a comment.
pub fn template(name: &Name) -> String {
    include_str!("template.toml").replacen("NAME", name, 1)
}
