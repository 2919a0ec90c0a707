//! YAML, JSON and TOML: any text is read or refused, and every place lies in it. What is asserted is in
//! docs/fuzzing.md.
#![no_main]

use flyball_app::document::{
    DEPTH_MAX, Files, Format, NODES_MAX, Parsed, Span, Tree, parse_all, parse_inside,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for format in [Format::Yaml, Format::Json, Format::Toml] {
        let mut files = Files::default();
        let file = files.add("a", text.to_string());
        let first = parse_all(&files, file, format);
        assert_eq!(parse_all(&files, file, format), first, "the same text, the same answer");
        match &first {
            Ok(parsed) => accepted(text, parsed),
            Err(error) => {
                inside(text, error.span);
                assert!(!error.message.is_empty() && !error.help.is_empty() && error.message.len() <= 4_096);
                assert!(!error.message.contains(char::is_control), "{error:?}");
            }
        }
        let at = Span { file, start: 0, end: 0 };
        assert_eq!(parse_inside(text, at, format).is_ok(), first.is_ok());
    }
});

fn inside(text: &str, span: Span) {
    assert!(text.get(span.start as usize..span.end as usize).is_some(), "{span:?}");
}

fn accepted(text: &str, parsed: &Parsed) {
    let mut nodes = 0;
    for tree in &parsed.documents {
        assert!(depth(tree) <= DEPTH_MAX);
        tree.visit(&mut |tree| {
            nodes += 1;
            inside(text, tree.span);
            let mut keys: Vec<&str> = tree.entries().iter().map(|entry| entry.key.as_str()).collect();
            tree.entries().iter().for_each(|entry| inside(text, entry.key_span));
            keys.sort_unstable();
            assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "no key twice: {keys:?}");
        });
    }
    assert!(nodes <= NODES_MAX);
    for doubt in &parsed.doubts {
        inside(text, doubt.span);
    }
}

fn depth(tree: &Tree) -> usize {
    let inside = tree.items().iter().chain(tree.entries().iter().map(|entry| &entry.value));
    1 + inside.map(depth).max().unwrap_or(0)
}
