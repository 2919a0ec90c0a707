//! What a text is read as, where its parts stand, and where reading ends.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::document::{Unknown, Value};

fn read_all(text: &str, format: Format) -> (Files, Result<Parsed, ParseError>) {
    let mut files = Files::default();
    let file = files.add("a", text.to_string());
    let parsed = parse_all(&files, file, format);
    (files, parsed)
}

/// A tree in one line.
fn show(tree: &Tree) -> String {
    match &tree.value {
        Value::Null => "null".into(),
        Value::Bool(is) => is.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let inside = entries.iter().map(|entry| format!("{}: {}", entry.key, show(&entry.value)));
            format!("{{{}}}", inside.collect::<Vec<_>>().join(", "))
        }
        Value::Unknown(Unknown { why, .. }) => format!("?({why})"),
        Value::Pieces(_) | Value::Reference(_) => unreachable!("no parser makes these"),
    }
}

fn read(text: &str, format: Format) -> String {
    match read_all(text, format).1 {
        Ok(parsed) => parsed.documents.iter().map(show).collect::<Vec<_>>().join(" --- "),
        Err(error) => format!("{}..{} {error}", error.span.start, error.span.end),
    }
}

fn yaml(text: &str) -> String {
    read(text, Format::Yaml)
}

fn json(text: &str) -> String {
    read(text, Format::Json)
}

#[test]
fn short_forms_are_the_long_ones() {
    assert_eq!(yaml("a: !Ref x"), r#"{a: {Ref: "x"}}"#);
    assert_eq!(yaml("a: !GetAtt x.Arn"), r#"{a: {Fn::GetAtt: ["x", "Arn"]}}"#);
    assert_eq!(yaml("a: !GetAtt x.Outputs.Y"), r#"{a: {Fn::GetAtt: ["x", "Outputs.Y"]}}"#);
    assert_eq!(yaml("a: !GetAtt [x, Arn]"), r#"{a: {Fn::GetAtt: ["x", "Arn"]}}"#);
    assert_eq!(yaml("a: !Sub '${x}-y'"), r#"{a: {Fn::Sub: "${x}-y"}}"#);
    assert_eq!(
        yaml("a: !If [c, !Ref yes, !Ref 'AWS::NoValue']"),
        r#"{a: {Fn::If: ["c", {Ref: "yes"}, {Ref: "AWS::NoValue"}]}}"#
    );
    assert_eq!(yaml("a: !Condition on"), r#"{a: {Condition: "on"}}"#);
    assert_eq!(
        yaml("- !Join\n  - ''\n  - - a\n    - !Ref b\n- !GetAZs\n- !Base64\n  Fn::Sub: x"),
        r#"[{Fn::Join: ["", ["a", {Ref: "b"}]]}, {Fn::GetAZs: null}, {Fn::Base64: {Fn::Sub: "x"}}]"#
    );
}

#[test]
fn tags_that_nobody_knows_are_unknown_values() {
    assert_eq!(yaml("a: !Magic 5"), r#"{a: ?("!Magic" is a tag that CloudFormation does not have)}"#);
    assert_eq!(
        yaml("a: !vault\n  b: 1\nc: 2"),
        r#"{a: ?("!vault" is a tag that CloudFormation does not have), c: 2}"#
    );
    assert_eq!(
        yaml("a: !!str 5\nb: !!int '5'\nc: ! 5\nd: !!set {x}"),
        r#"{a: "5", b: 5, c: "5", d: {x: null}}"#
    );
}

#[test]
fn plain_scalars_are_those_of_yaml_1_1() {
    assert_eq!(
        yaml("[yes, No, ON, off, true, FALSE, y, n]"),
        r#"[true, false, true, false, true, false, "y", "n"]"#
    );
    assert_eq!(yaml("[~, null, '', 'null', \"yes\"]"), r#"[null, null, "", "null", "yes"]"#);
    assert_eq!(yaml("[1, -1, 0, 1.5, 1e3, .5, 0x1F]"), "[1, -1, 0, 1.5, 1000.0, 0.5, 31]");
    // Accounts, versions and times keep their text.
    assert_eq!(
        yaml("[012345678901, 2012-10-17, 1_000, 12:30, 1.2.3, 99999999999999999999, .inf, 1e999, .]"),
        r#"["012345678901", "2012-10-17", "1_000", "12:30", "1.2.3", "99999999999999999999", ".inf", "1e999", "."]"#
    );
    assert_eq!(yaml("yes: 1\n010: 2\nnull: 3"), "{yes: 1, 010: 2, null: 3}");
}

#[test]
fn anchors_aliases_and_merge_keys() {
    assert_eq!(yaml("a: &x {b: 1}\nc: *x"), "{a: {b: 1}, c: {b: 1}}");
    assert_eq!(
        yaml("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n  e: 4"),
        "{a: {b: 1, c: 2}, d: {c: 3, e: 4, b: 1}}"
    );
    assert_eq!(
        yaml("- &x {a: 1}\n- &y {a: 2, b: 2}\n- <<: [*x, *y]"),
        "[{a: 1}, {a: 2, b: 2}, {a: 1, b: 2}]"
    );
    assert_eq!(yaml("a: &x !Ref b\nc: *x"), r#"{a: {Ref: "b"}, c: {Ref: "b"}}"#);
    assert!(yaml("a: &x [*x]").contains("inside of the value that it stands for"));
    assert!(yaml("a: *x").contains("unknown anchor"));
    let (_, parsed) = read_all("a:\n  <<: 5\n  b: 1", Format::Yaml);
    let parsed = parsed.unwrap();
    assert_eq!(show(&parsed.documents[0]), "{a: {b: 1}}");
    assert_eq!(parsed.doubts[0].message, "`<<` takes a map or a list of maps; this is passed over");
}

#[test]
fn of_keys_that_stand_twice_the_last_counts() {
    for (text, format) in
        [("b: 0\na: 1\nb: 2\na: 3\na: 4", Format::Yaml), (r#"{"b":0,"a":1,"b":2,"a":3,"a":4}"#, Format::Json)]
    {
        let (files, parsed) = read_all(text, format);
        let parsed = parsed.unwrap();
        assert_eq!(show(&parsed.documents[0]), "{b: 2, a: 4}");
        assert_eq!(parsed.doubts.len(), 3, "{:?}", parsed.doubts);
        assert!(parsed.doubts.iter().all(|doubt| doubt.message.contains("stands twice")));
        assert_ne!(files.place(parsed.doubts[0].span).column + files.place(parsed.doubts[0].span).line, 2);
    }
}

#[test]
fn of_very_many_doubts_the_first_are_told() {
    let (_, parsed) = read_all(&"a: 1\n".repeat(5_000), Format::Yaml);
    assert_eq!(parsed.unwrap().doubts.len(), 1_000);
}

#[test]
fn several_documents_are_several_trees() {
    assert_eq!(yaml("a: 1\n---\nb: 2\n...\n---\n"), "{a: 1} --- {b: 2} --- null");
    assert_eq!(yaml(""), "");
    assert_eq!(yaml("# nothing\n"), "");
    assert_eq!(json(" "), "");
}

#[test]
fn brackets_may_end_at_a_lower_indentation() {
    let text = "a:\n    b:\n      - Statement: [{\n        c: 1, # é ]\n      }]\n    d: [\n  x,\n  y ]\n    \
                e: {\n}\nf: 2";
    assert_eq!(yaml(text), "{a: {b: [{Statement: [{c: 1}]}], d: [\"x\", \"y\"], e: {}}, f: 2}");
    assert!(yaml("a:\n  b: 1\n c: 2").contains("indentation"), "{}", yaml("a:\n  b: 1\n c: 2"));
}

#[test]
fn a_placeholder_of_json_needs_no_quotes() {
    let text = "{\"a\": ${Longest}, \"b\": [\"${In}, \\\"${quotes}\", ${ two }], \"c\": 1}";
    let (files, parsed) = read_all(text, Format::Json);
    let tree = &parsed.unwrap().documents[0];
    assert_eq!(show(tree), r#"{a: "${Longest}", b: ["${In}, \"${quotes}", "${ two }"], c: 1}"#);
    assert_eq!(files.place(tree.get("c").unwrap().span).column, 63);
    let open = json("{\"a\": ${Longest, \"b\": 1}");
    assert!(open.starts_with("6.."), "it does not end: {open}");
    assert!(json("{\"a\": ${Longest} \"b\": 1}").contains("must stand"), "what else is wrong is told");
}

#[test]
fn quotes_may_go_on_at_a_lower_indentation() {
    let text = "a:\n    b: \"Tells it. \n    Or \\\"not\\\".\"\nc:\n  d: 'one\ntwo'\ne: 1";
    assert_eq!(yaml(text), r#"{a: {b: "Tells it.      Or \"not\"."}, c: {d: "one two"}, e: 1}"#);
    assert!(yaml("a:\n  b: 'one\ntwo").contains("quote"), "{}", yaml("a:\n  b: 'one\ntwo"));
}

#[test]
fn marks_of_unicode_line_ends_and_tabs() {
    assert_eq!(yaml("\u{feff}a: 1\r\nb:\r\n  - |\r\n    x\r\n    y\r\n"), "{a: 1, b: [\"x\\ny\\n\"]}");
    assert_eq!(json("\u{feff}{\"a\":\r\n\t1}"), "{a: 1}");
    assert!(yaml("a:\n\tb: 1").contains("no tabs"), "{}", yaml("a:\n\tb: 1"));
    assert_eq!(yaml("a: 1\t# tab\nb:\t2"), "{a: 1, b: 2}");
}

#[test]
fn brackets_may_close_too_far_to_the_left() {
    let text = "a:\n  b:\n    c: [ # why [\n    \"x # y\", 'it''s',\n  don't, # because ]\n    ]\n    \
                d: {\n\"e\": [1,\n2]}\n";
    let (files, parsed) = read_all(text, Format::Yaml);
    let parsed = parsed.unwrap();
    let tree = &parsed.documents[0];
    assert_eq!(show(tree), r#"{a: {b: {c: ["x # y", "it's", "don't"], d: {e: [1, 2]}}}}"#);
    let place = files.place(tree.at(&["a", "b", "d", "e"]).unwrap().items()[1].span);
    assert_eq!((place.line, place.column), (9, 1));
    // Brackets that close more than the line before opened.
    assert_eq!(yaml("a:\n  b: [[\n 1\n ]]\nc: 2\n"), "{a: {b: [[1]]}, c: 2}");
    assert!(!yaml("a:\n  b: [\n  ]]]]\n ]\n").is_empty());
    let many = |n: usize| (0..n).map(|at| format!("k{at}:\n  a: [\n ]\n")).collect::<String>();
    assert!(yaml(&many(100)).starts_with('{'));
    // Where reading again and again would take too long, it ends.
    assert!(yaml(&many(100_000)).contains("invalid indentation"));
}

#[test]
fn a_key_that_is_no_text_counts_as_its_text() {
    let (_, parsed) = read_all("Name: {{ cookiecutter.name }}\nb: 1", Format::Yaml);
    let parsed = parsed.unwrap();
    assert_eq!(show(&parsed.documents[0]), "{Name: {{ cookiecutter.name }: null}, b: 1}");
    assert_eq!(parsed.doubts.len(), 1);
}

#[test]
fn json_is_read_with_its_places() {
    assert_eq!(
        json(r#"{"a": [1, -2.5, "x\n\u00e9\ud83d\ude00", true, null], "b": {}, "c": []}"#),
        "{a: [1, -2.5, \"x\\né😀\", true, null], b: {}, c: []}"
    );
    assert_eq!(json("// a comment\n{\"a\": /* one */ 1}"), "{a: 1}");
    assert_eq!(json("12345678901234567890123"), "\"12345678901234567890123\"");
    for (text, error) in [
        ("{\"a\": 1,}", "8..9 \"}\" where a key in quotes must stand"),
        ("[1 2]", "3..4 \"2\" where `,` or a closing bracket must stand"),
        ("[1,", "3..3 the text ends where a value must stand"),
        ("{\"a\"", "4..4 the text ends where `:` must stand"),
        ("{} {}", "3..4 something stands behind the end"),
        ("{'a': 1}", "1..2 single-quoted"),
        ("[1}", "2..3 \"}\" where"),
        ("{\"a\": \"b", "6..8 unterminated string"),
        ("{a: 1}", "1..2 \"a\" where a key in quotes"),
    ] {
        let read = json(text);
        assert!(read.starts_with(error), "{text}: {read}");
    }
}

#[test]
fn toml_is_read_in_the_files_order() {
    assert_eq!(
        read("b = 1\na = 'x'\n[z.y]\nk = [1, 2.5, {m = true}]\n[c]\nd = 1979-05-27\n", Format::Toml),
        "{b: 1, a: \"x\", z: {y: {k: [1, 2.5, {m: true}]}}, c: {d: \"1979-05-27\"}}"
    );
    assert!(read("a = ", Format::Toml).contains("see https://toml.io"));
}

#[test]
fn a_text_in_another_stands_where_that_stands() {
    let mut files = Files::default();
    let at = Span { file: files.add("a", "0123456789".into()), start: 3, end: 5 };
    let tree = parse_inside("{\"a\": [1]}", at, Format::Json).unwrap();
    let mut spans = Vec::new();
    tree.visit(&mut |tree| spans.push(tree.span));
    assert_eq!(spans, [at; 3]);
    assert_eq!(parse_inside("{", at, Format::Json).unwrap_err().span, at);
}

/// Each value's text in the file, with its key's.
fn places(text: &str, format: Format) -> String {
    let (_, parsed) = read_all(text, format);
    let mut out = String::new();
    let mut slice = |span: Span| {
        let _ = write!(out, "<{}>", &text[span.start as usize..span.end as usize]);
    };
    for tree in &parsed.unwrap().documents {
        tree.visit(&mut |tree| {
            tree.entries().iter().for_each(|entry| slice(entry.key_span));
            slice(tree.span);
        });
    }
    out
}

#[test]
fn places_are_exact() {
    assert_eq!(places("a: 'b'\n", Format::Yaml), "<a><a: 'b'><'b'>");
    assert_eq!(
        places("é: !Sub \"日\"\nx:\n  - [1, 2 ]\n  - &a {b: c }  \n\n", Format::Yaml),
        "<é><x><é: !Sub \"日\"\nx:\n  - [1, 2 ]\n  - &a {b: c }><\"日\"><\"日\"><\"日\">\
         <- [1, 2 ]\n  - &a {b: c }><[1, 2 ]><1><2><b><{b: c }><c>"
    );
    assert_eq!(
        places("a: plain text  # why\nb: !Ref  x \n", Format::Yaml),
        "<a><b><a: plain text  # why\nb: !Ref  x><plain text><x><x><x>"
    );
    assert_eq!(places("a: !GetAtt b.c\n", Format::Yaml), "<a><a: !GetAtt b.c><b.c><b.c><b.c><b.c><b.c>");
    assert_eq!(
        places("{\"é\" : [ 1 ], \"b\":{}}", Format::Json),
        "<\"é\"><\"b\"><{\"é\" : [ 1 ], \"b\":{}}><[ 1 ]><1><{}>"
    );
    assert_eq!(
        places("k = [1]\n[t]\nb = 'x'\n", Format::Toml),
        "<k><t><k = [1]\n[t]\nb = 'x'\n><[1]><1><b><[t]><'x'>"
    );
}

#[test]
fn what_is_too_deep_too_large_or_a_bomb_is_refused() {
    let deep = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
    assert!(json(&deep("[", "]", DEPTH_MAX - 1)).starts_with('['));
    for text in [deep("[", "]", 100_000), deep("[", "", 100_000), deep("{\"a\":", "}", 200)] {
        assert!(json(&text).contains("more than 128 deep"), "{}", json(&text));
        assert!(yaml(&text).contains("more than 128 deep"), "{}", yaml(&text));
    }
    assert!(yaml(&"- ".repeat(100_000)).contains("more than 128 deep"));
    let tags = "a: ".to_string() + &"[!Ref ".repeat(90) + "x" + &"]".repeat(90);
    assert!(!yaml(&tags).is_empty());
    // Ten to the ninth.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
    for level in 1..10 {
        let inside = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{inside}]");
    }
    assert!(yaml(&bomb).contains("more than 2000000 values"));
    let long = format!("a: &a '{}'\nb: [{}]", "x".repeat(1 << 20), "*a, ".repeat(1_000));
    assert!(yaml(&long).contains("more than 2000000 values"));
    let merge = "- &a {b: 1, c: 2}\n".to_string() + &"- <<: [*a, *a, *a, *a, *a, *a]\n".repeat(300_000);
    assert!(yaml(&merge).contains("more than 2000000 values"));
    let many = format!("[{}]", "0,".repeat(NODES_MAX + 1));
    assert!(json(&many).contains("more than 2000000 values"));
    let (_, huge) = read_all(&" ".repeat(DOCUMENT_BYTES_MAX + 1), Format::Yaml);
    assert_eq!(huge.unwrap_err().message, "67108865 bytes; at most 67108864 are read");
}

/// Pieces that meet the readers in odd orders.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a: ",
        "b: ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "? ",
        ": ",
        "!Ref ",
        "!Sub ",
        "!GetAtt ",
        "!X ",
        "!!str ",
        "&a ",
        "*a",
        "<<: ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "x",
        "é",
        "日",
        "\u{1f600}",
        "1",
        "yes",
        "~",
        "#",
        "---\n",
        "...\n",
        "\r\n",
        "\t",
        "\u{feff}",
        "%YAML 1.1\n",
        "\\u00e9",
        "\\ud83d",
        "=",
        ".",
        "null",
        "\0",
        "\u{85}",
        "\u{2028}",
    ]);
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn spans_are_inside(text: &str, tree: &Tree) {
    tree.visit(&mut |tree| {
        let of_keys = tree.entries().iter().map(|entry| entry.key_span);
        for span in of_keys.chain([tree.span]) {
            assert!(text.get(span.start as usize..span.end as usize).is_some(), "{text:?} {span:?}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_is_a_panic_and_all_places_are_in_it(text in prop_oneof![pieces(), any::<String>()]) {
        for format in [Format::Yaml, Format::Json, Format::Toml] {
            match read_all(&text, format).1 {
                Ok(parsed) => {
                    parsed.documents.iter().for_each(|tree| spans_are_inside(&text, tree));
                    for doubt in parsed.doubts {
                        prop_assert!(text.get(doubt.span.start as usize..doubt.span.end as usize).is_some());
                    }
                }
                Err(error) => {
                    let (start, end) = (error.span.start as usize, error.span.end as usize);
                    prop_assert!(text.get(start..end).is_some(), "{error:?}");
                    prop_assert!(!error.message.is_empty() && !error.help.is_empty());
                    prop_assert!(!error.message.contains(char::is_control), "{error:?}");
                }
            }
        }
    }
}
