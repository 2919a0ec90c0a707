//! For Graphviz.

use super::{Look, Picture, Stroke, class};

pub(super) fn draw(picture: &Picture) -> String {
    let mut out = String::from("digraph flyball {\n  rankdir=LR;\n");
    out.push_str("  node [fontname=\"Helvetica\" fontsize=11 style=filled fillcolor=white];\n");
    out.push_str("  edge [fontname=\"Helvetica\" fontsize=9 color=\"#5b6470\"];\n");
    for (index, one) in picture.boxes.iter().enumerate() {
        let shape = match one.look {
            Look::Entrance => "house",
            Look::Function => "box",
            Look::Queue => "cds",
            Look::Topic => "oval",
            Look::Store => "cylinder",
            Look::Machine => "component",
            Look::External => "plaintext",
        };
        let mark = one.mark();
        let mark = if mark.is_empty() { mark } else { format!("\\n✗ {mark}") };
        let label = format!("{}\\n{}{mark}", quoted(&one.name), quoted(&one.about));
        let wall = one.level.map_or(String::new(), |level| {
            format!(" color=\"{0}\" fontcolor=\"{0}\" penwidth=2", colour(class(level)))
        });
        out.push_str(&format!("  n{index} [label=\"{label}\" shape={shape}{wall}];\n"));
    }
    for line in &picture.lines {
        let style = match line.stroke {
            Stroke::Sync => "bold",
            Stroke::Async => "solid",
            Stroke::Weak => "dashed",
            Stroke::Dead => "dotted",
        };
        let wall = line
            .level
            .map_or(String::new(), |level| format!(" color=\"{}\" penwidth=2", colour(class(level))));
        out.push_str(&format!("  n{} -> n{} [style={style}{wall}];\n", line.from, line.to));
    }
    out.push_str("}\n");
    out
}

fn quoted(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' => "\\\"".to_string(),
            '\\' => "\\\\".to_string(),
            c if c.is_control() => "\u{fffd}".to_string(),
            c => c.to_string(),
        })
        .collect()
}

fn colour(class: &str) -> &'static str {
    match class {
        "error" => "#c62828",
        "warning" => "#b26a00",
        _ => "#1565c0",
    }
}
