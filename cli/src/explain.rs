//! `flyball explain CODE`: the page of a rule or an error, for a terminal.

mod markdown;
mod pages;

use std::io::IsTerminal as _;

use flyball_app::check::ours;
use serde_json::json;

use crate::{
    arguments::Format,
    stop::{Stop, print, print_json},
};

/// Prints the page.
///
/// # Errors
/// A code that nothing has: exit 2, with the nearest.
pub fn run(code: &str, format: Format) -> Result<(), Stop> {
    let wanted = code.trim().to_ascii_uppercase();
    let pages: Vec<(&str, &str)> = ours()
        .iter()
        .map(|rule| (rule.about().code, rule.about().page))
        .chain(pages::ERRORS.iter().copied())
        .collect();
    let Some((code, page)) = pages.iter().find(|(code, _)| *code == wanted) else {
        let nearest = nearest(&wanted, pages.iter().map(|(code, _)| *code));
        return Err(Stop::wrong(format!("there is no {wanted}; the nearest is {nearest}")));
    };
    match format {
        Format::Json => print_json(&json!({ "code": code, "page": page })),
        _ => {
            let terminal = std::io::stdout().is_terminal();
            print(&markdown::rendered(page, terminal && std::env::var_os("NO_COLOR").is_none()))
        }
    }
}

/// The code with the fewest letters to change; of several the first.
fn nearest<'a>(wanted: &str, codes: impl Iterator<Item = &'a str>) -> &'a str {
    let short: String = wanted.chars().take(16).collect();
    codes.min_by_key(|code| (distance(&short, code), code.len())).unwrap_or("FB0001")
}

/// How many letters must be changed, added or left out.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, letter) in a.chars().enumerate() {
        let mut next = vec![at + 1];
        for (index, other) in b.iter().enumerate() {
            let change = row.get(index).map_or(0, |cost| cost + usize::from(letter != *other));
            let add = row.get(index + 1).map_or(usize::MAX, |cost| cost + 1);
            let leave = next.last().map_or(usize::MAX, |cost| cost + 1);
            next.push(change.min(add).min(leave));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_code_is_the_one_with_the_fewest_slips() {
        let codes = || ["FB0001", "FB0007", "FE3001"].into_iter();
        assert_eq!(nearest("FB007", codes()), "FB0007");
        assert_eq!(nearest("FE301", codes()), "FE3001");
        assert_eq!(nearest("", codes()), "FB0001");
        assert_eq!(nearest(&"X".repeat(1_000_000), codes()), "FB0001");
    }

    #[test]
    fn every_page_of_an_error_is_in_the_binary() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| {
                entry.unwrap().file_name().into_string().unwrap().strip_suffix(".md").map(Into::into)
            })
            .filter(|name: &String| name != "README")
            .collect();
        there.sort();
        let known: Vec<&str> = pages::ERRORS.iter().map(|(code, _)| *code).collect();
        assert_eq!(known, there, "cli/src/explain/pages.rs lists them in order");
    }
}
