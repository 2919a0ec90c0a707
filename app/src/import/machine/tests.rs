use super::text::{self, Substitutions};
use crate::document::{Entry, Files, Piece, Reference, Span, Tree, Value};

/// A text that stands in a file, in quotes, as it is.
fn written(files: &mut Files, text: &str) -> Tree {
    let file = files.add("template.yaml", format!("Definition: |\n{text}"));
    let span = Span { file, start: 13, end: u32::try_from(13 + text.len()).unwrap() };
    Tree::text(span, text)
}

fn reference(resource: &str) -> Piece {
    Piece::Reference(Reference::to(resource, Some("Arn")))
}

fn literal(text: &str) -> Piece {
    Piece::Literal(text.to_string())
}

#[test]
fn the_parts_of_a_text_have_their_places_in_the_template() {
    let mut files = Files::default();
    let text = "{\"StartAt\": \"B\",\n  \"States\": {\n    \"A\": {\"Next\": \"B\"},\n    \"B\": {}}}\n";
    let text = written(&mut files, text);
    let tree = text::tree(&text, &files).unwrap();
    let places: Vec<(String, usize, usize)> = tree
        .get("States")
        .unwrap()
        .entries()
        .iter()
        .map(|entry| {
            let place = files.place(entry.key_span);
            (entry.key.clone(), place.line, place.column)
        })
        .collect();
    assert_eq!(places, [("A".to_string(), 4, 6), ("B".to_string(), 5, 6)]);
}

#[test]
fn pieces_stand_where_they_stood_in_or_out_of_quotes() {
    let mut files = Files::default();
    let span = written(&mut files, "").span;
    let pieces = vec![
        literal("{\"Resource\": \""),
        reference("Charge"),
        literal("\", \"Longer\": \"a\\\""),
        reference("Charge"),
        literal("/b\", \"Bare\": "),
        reference("Seconds"),
        literal("}"),
    ];
    let tree = text::tree(&Tree { value: Value::Pieces(pieces), span }, &files).unwrap();
    let Some(Value::Reference(whole)) = tree.get("Resource").map(|tree| &tree.value) else {
        panic!("{tree:?}")
    };
    assert_eq!(whole.resource, "Charge");
    let longer = vec![literal("a\""), reference("Charge"), literal("/b")];
    assert_eq!(tree.get("Longer").unwrap().value, Value::Pieces(longer));
    assert!(tree.get("Bare").unwrap().reference().is_some());
}

#[test]
fn what_is_no_definition_says_why() {
    let mut files = Files::default();
    let broken = written(&mut files, "{\"StartAt\": \n  ]");
    let why = text::tree(&broken, &files).unwrap_err();
    assert!(why.starts_with("in its line 2, column 3: "), "{why}");
    let unknown = Tree::unknown(broken.span, "a parameter without a default");
    assert_eq!(text::tree(&unknown, &files).unwrap_err(), "a parameter without a default");
}

fn substitutions(span: Span, entries: &[(&str, Value)]) -> Tree {
    let entry = |(key, value): &(&str, Value)| Entry {
        key: (*key).to_string(),
        key_span: span,
        value: Tree { value: value.clone(), span },
    };
    Tree::map(span, entries.iter().map(entry).collect())
}

#[test]
fn substitutions_are_put_in_by_name_and_others_are_left() {
    let mut files = Files::default();
    let span = written(&mut files, "").span;
    let Piece::Reference(charge) = reference("Charge") else { unreachable!() };
    let map = substitutions(span, &[("F", Value::Reference(charge)), ("N", Value::Integer(7))]);
    let replaced = |text: &str| {
        let mut tree = Tree::text(span, text);
        Substitutions::new(Some(&map)).apply(&mut tree);
        tree.value
    };
    assert!(matches!(replaced("${F}"), Value::Reference(_)));
    assert_eq!(replaced("${F}:live"), Value::Pieces(vec![reference("Charge"), literal(":live")]));
    assert_eq!(replaced("${N}${N}"), Value::Text("77".into()));
    assert_eq!(replaced("${Other} ${"), Value::Text("${Other} ${".into()));
}

#[test]
fn substitutions_can_t_make_a_definition_endless() {
    let mut files = Files::default();
    let span = written(&mut files, "").span;
    let map = substitutions(span, &[("Long", Value::Text("x".repeat(1 << 20)))]);
    let mut tree = Tree::text(span, "${Long}".repeat(1000));
    Substitutions::new(Some(&map)).apply(&mut tree);
    let Value::Pieces(pieces) = tree.value else { panic!("nothing is unknown") };
    let size: usize =
        pieces.iter().map(|piece| if let Piece::Literal(text) = piece { text.len() } else { 0 }).sum();
    assert_eq!(size, 4 << 20);
}
