//! For Markdown, where Mermaid draws.

use super::{Look, Picture, Stroke, class};

pub(super) fn draw(picture: &Picture) -> String {
    let mut out = String::from("flowchart LR\n");
    for (index, one) in picture.boxes.iter().enumerate() {
        let (open, close) = match one.look {
            Look::Entrance => ("([", "])"),
            Look::Function | Look::External => ("[", "]"),
            Look::Queue => ("[[", "]]"),
            Look::Topic => ("{{", "}}"),
            Look::Store => ("[(", ")]"),
            Look::Machine => ("[/", "/]"),
        };
        let mark = one.mark();
        let mark = if mark.is_empty() { mark } else { format!("<br/>✗ {mark}") };
        let about = escaped(&one.about);
        out.push_str(&format!("  n{index}{open}\"{}<br/>{about}{mark}\"{close}\n", escaped(&one.name)));
    }
    let mut walled = Vec::new();
    for (index, line) in picture.lines.iter().enumerate() {
        let arrow = match line.stroke {
            Stroke::Sync => "==>",
            Stroke::Async => "-->",
            Stroke::Weak => "-.->",
            Stroke::Dead => "-. dead letters .->",
        };
        out.push_str(&format!("  n{} {arrow} n{}\n", line.from, line.to));
        if let Some(level) = line.level {
            walled.push((index, class(level)));
        }
    }
    for (name, colour) in COLOURS {
        let boxes: Vec<String> = picture
            .boxes
            .iter()
            .enumerate()
            .filter(|(_, one)| one.level.is_some_and(|level| class(level) == *name))
            .map(|(index, _)| format!("n{index}"))
            .collect();
        if !boxes.is_empty() {
            out.push_str(&format!("  classDef {name} stroke:{colour},stroke-width:3px\n"));
            out.push_str(&format!("  class {} {name}\n", boxes.join(",")));
        }
        let lines: Vec<String> =
            walled.iter().filter(|(_, class)| class == name).map(|(index, _)| index.to_string()).collect();
        if !lines.is_empty() {
            out.push_str(&format!("  linkStyle {} stroke:{colour},stroke-width:3px\n", lines.join(",")));
        }
    }
    out
}

const COLOURS: &[(&str, &str)] = &[("error", "#c62828"), ("warning", "#b26a00"), ("note", "#1565c0")];

/// Text of others inside quotes: entities for what Mermaid or HTML would read.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => "#quot;".to_string(),
            '<' => "#lt;".to_string(),
            '>' => "#gt;".to_string(),
            '&' => "#amp;".to_string(),
            '#' => "#35;".to_string(),
            '`' => "#96;".to_string(),
            c if c.is_control() => "\u{fffd}".to_string(),
            c => c.to_string(),
        })
        .collect()
}
