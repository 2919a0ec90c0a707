//! A page of Markdown for a terminal: what stands in our own pages, and no more of the language.

use unicode_width::UnicodeWidthStr as _;

/// Columns.
const WIDTH: usize = 80;

/// The page in lines of at most 80 columns, code and tables as they are.
pub(super) fn rendered(page: &str, colour: bool) -> String {
    let bold = |text: &str| if colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_string() };
    let mut out = String::new();
    let mut paragraph = String::new();
    let mut code = false;
    for line in page.lines() {
        let fence = line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if fence || code {
            flush(&mut out, &mut paragraph);
            if fence {
                code = !code;
            } else {
                out.push_str(format!("    {line}").trim_end());
                out.push('\n');
            }
        } else if heading.len() < line.len() && heading.starts_with(' ') {
            flush(&mut out, &mut paragraph);
            out.push_str(&bold(&plain(heading.trim())));
            out.push('\n');
        } else if line.trim().is_empty() || line.starts_with('|') {
            flush(&mut out, &mut paragraph);
            out.push_str(line.trim_end());
            out.push('\n');
        } else {
            if line.starts_with("- ") || line.starts_with("* ") {
                flush(&mut out, &mut paragraph);
            } else if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line.trim());
        }
    }
    flush(&mut out, &mut paragraph);
    out
}

/// Ends a paragraph or an item of a list: wrapped, an item's further lines under its text.
fn flush(out: &mut String, paragraph: &mut String) {
    if paragraph.is_empty() {
        return;
    }
    let indent = if paragraph.starts_with("- ") || paragraph.starts_with("* ") { "  " } else { "" };
    let text = plain(paragraph);
    let mut column = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if column > 0 && column + 1 + word.width() > WIDTH {
            out.push('\n');
            out.push_str(indent);
            column = indent.len();
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.width();
    }
    out.push('\n');
    paragraph.clear();
}

/// Text without its marks: links by their words, or by their address where that is all they are.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('[') {
        let (before, link) = rest.split_at(at);
        out.push_str(before);
        let parts = link.find("](").and_then(|middle| {
            let end = link.get(middle..)?.find(')')?;
            Some((link.get(1..middle)?, link.get(middle + 2..middle + end)?, link.get(middle + end + 1..)?))
        });
        let Some((words, address, after)) = parts.filter(|(words, ..)| !words.contains('[')) else {
            out.push('[');
            rest = link.get(1..).unwrap_or("");
            continue;
        };
        out.push_str(words);
        if address.starts_with("http") {
            out.push_str(" <");
            out.push_str(address);
            out.push('>');
        }
        rest = after;
    }
    out.push_str(rest);
    out.replace("**", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_readable_without_its_marks() {
        let page = "# FB0001: a **wall**\n\nSee [the page](a.md) and [AWS](https://a/b), `code [x]` too: one\ntwo.\n\n\
                    - an item that is so long that it can't be on one line of a terminal of eighty columns\n- two\n\n\
                    ```yaml\nA:\n  B: 1\n```\n\n| a | b |\n|---|---|\n";
        let expected = "FB0001: a wall\n\nSee the page and AWS <https://a/b>, `code [x]` too: one two.\n\n\
                        - an item that is so long that it can't be on one line of a terminal of eighty\n  columns\n\
                        - two\n\n    A:\n      B: 1\n\n| a | b |\n|---|---|\n";
        assert_eq!(rendered(page, false), expected);
        assert!(rendered(page, true).starts_with("\u{1b}[1mFB0001: a wall\u{1b}[0m\n"));
    }
}
