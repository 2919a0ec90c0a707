//! Each rule finds what is planted, where it is, and leaves alone what is right.

use super::*;

fn file(path: &str, text: &str) -> File {
    File { path: path.into(), bytes: text.as_bytes().to_vec() }
}

/// What the rules find in one file, beside those that look for other files.
fn found(path: &str, text: &str) -> Vec<String> {
    all(&[file(path, text)]).0
}

/// That exactly one thing is found, and begins so.
fn assert_one(found: &[String], start: &str) {
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(start), "{found:#?}");
}

#[test]
fn a_dependency_that_points_upwards_is_found_in_every_way_to_write_it() {
    for text in [
        "[dependencies]\nflyball-server.workspace = true\n",
        "[dependencies]\nflyball-server = { path = \"../server\" }\n",
        "[build-dependencies]\nflyball-server = \"1\"\n",
        "[target.'cfg(unix)'.dependencies]\nflyball-server = \"1\"\n",
    ] {
        assert_one(&found("app/Cargo.toml", text), "app/Cargo.toml:2: [direction] app may use flyball-core,");
    }
    let text = "[package]\n[dependencies.flyball-core]\npath = \"../core\"\n";
    assert_one(&found("store/Cargo.toml", text), "store/Cargo.toml:2: [direction] store may use no crate");
    assert_one(&found("plugins/Cargo.toml", "[package]\n"), "plugins/Cargo.toml: [direction] a crate that");
    let right = "[dependencies]\nflyball-core.workspace = true\n[dev-dependencies]\nflyball-host = \"1\"\n";
    assert_eq!(found("app/Cargo.toml", right), [""; 0]);
}

#[test]
fn clocks_and_their_kind_are_found_in_pure_crates() {
    let text = "[dependencies]\nserde = \"1\"\ntokio.workspace = true\n";
    assert_one(&found("app/Cargo.toml", text), "app/Cargo.toml:3: [purity] tokio");
    assert_eq!(found("host/Cargo.toml", text), [""; 0]);
    let text = "// std::time is banned\nuse std::time::Instant;\n";
    assert_one(&found("app/src/a.rs", text), "app/src/a.rs:2: [purity] std::time");
    assert_eq!(found("host/src/a.rs", text), [""; 0]);
}

#[test]
fn a_ban_that_is_missing_from_cores_lints_is_found() {
    let manifest = file("core/Cargo.toml", "[package]\n");
    assert_eq!(all(std::slice::from_ref(&manifest)).0.len(), BANS.len());
    let bans: Vec<String> = BANS.iter().skip(1).map(|ban| format!("{{ path = \"{ban}\" }}\n")).collect();
    let found = all(&[manifest, file("core/clippy.toml", &bans.concat())]).0;
    assert_one(&found, "core/clippy.toml: [purity] does not ban std::collections::HashMap");
}

#[test]
fn what_is_too_long_or_too_large_is_found() {
    assert_eq!(found("a.rs", &"x\n".repeat(LINES_MAX)), [""; 0]);
    assert_one(&found("a.rs", &"x\n".repeat(LINES_MAX + 1)), "a.rs: [size] 801 lines");
    assert_eq!(found("a.rs", &format!("{}\n", "é".repeat(LINE_CHARS_MAX))), [""; 0]);
    assert_one(&found("a.rs", &format!("\n{}\n", "x".repeat(LINE_CHARS_MAX + 1))), "a.rs:2: [size] 121");
    assert_one(&found("a.wasm", &"\0".repeat(BINARY_BYTES_MAX + 1)), "a.wasm: [size] 3145729 bytes");
}

#[test]
fn what_is_not_finished_is_found() {
    for what in UNFINISHED_MACROS.iter().chain(&UNFINISHED_WORDS) {
        assert_one(&found("a.rs", &format!("fn a() {{}}\n{what}();\n")), "a.rs:2: [unfinished]");
        assert_eq!(found("a.rs", &format!("a{what}\n")), [""; 0], "a part of a longer word");
    }
    assert_one(&found("a.md", &format!("{}: more\n", UNFINISHED_WORDS[0])), "a.md:1: [unfinished]");
    assert_eq!(found("Cargo.lock", &format!("+{}/\n", UNFINISHED_WORDS[2])), [""; 0]);
}

#[test]
fn names_that_say_nothing_are_found() {
    assert_one(&found("server/src/utils.rs", "\n"), "server/src/utils.rs: [name] utils");
    assert_one(&found("core/src/common/a.rs", "\n"), "core/src/common/a.rs: [name] common");
    assert_one(&found("server/src/types.rs", "\n"), "server/src/types.rs: [name] types");
    assert_eq!(found("server/src/admin/types.rs", "\n"), [""; 0]);
}

#[test]
fn places_on_a_machine_are_found_in_text_and_in_what_is_built() {
    for path in MACHINE {
        assert_one(&found("a.md", &format!("\nsee {path}me\n")), "a.md:2: [machine]");
    }
    assert_one(&found("a.wasm", &format!("\0{}me", MACHINE[0])), "a.wasm: [machine]");
    assert_eq!(found("a.wasm", &format!("\0{MACHINE_OF_OTHERS}")), [""; 0]);
    assert_eq!(found("a.md", &format!("https://example.com/art{}a\n", MACHINE[0])), [""; 0]);
}

#[test]
fn a_code_without_a_page_and_a_page_without_a_code_are_found() {
    let index = || file("docs/errors/README.md", "[FE1001](FE1001.md)\n");
    let page = |text: &str| file("docs/errors/FE1001.md", text);
    let source = || file("core/src/a.rs", "\nconst CODE: &str = \"FE1001\";\n");
    let right = || page("# FE1001: throttled\n");
    assert_eq!(all(&[index(), right(), source()]).0, [""; 0]);
    assert_one(&found("core/src/a.rs", "\n\"FE1001\"\n"), "core/src/a.rs:2: [errors] FE1001 has no page");
    assert_one(&all(&[index(), right()]).0, "docs/errors/FE1001.md: [errors] no source has");
    assert_one(&all(&[right(), source()]).0, "docs/errors/README.md: [errors] FE1001 is missing");
    assert_one(&all(&[index(), page("# Throttled\n"), source()]).0, "docs/errors/FE1001.md:1: [errors] its");
}

#[test]
fn links_and_paths_that_lead_nowhere_are_found() {
    let there = || file("docs/a.md", "[up](../README.md#part), [web](https://example.com/x), [here](#b)\n");
    let readme = |text: &str| file("README.md", text);
    assert_eq!(all(&[there(), readme("[a](docs/a.md) [docs](docs/)\n```\n[x](y)\n```\n")]).0, [""; 0]);
    assert_one(&all(&[there(), readme("\n[b](docs/b.md)\n")]).0, "README.md:2: [link] nothing is tracked");
    assert_one(&found("docs/c.md", "[out](../../c)\n"), "docs/c.md:1: [link]");
    let map = |text: &str| all(&[there(), readme("\n"), file("ARCHITECTURE.md", text)]).0;
    assert_eq!(map("`docs/`, `docs/a.md`, `application/json`, `a / b`\n"), [""; 0]);
    assert_one(&map("`docs/b`\n"), "ARCHITECTURE.md:1: [map] nothing is tracked at docs/b");
    assert_one(&map("`gone/src/b.rs`\n"), "ARCHITECTURE.md:1: [map]");
}

#[test]
fn white_space_out_of_place_is_found() {
    assert_one(&found("a.md", "a"), "a.md: [white space] the last line");
    assert_one(&found("a.md", "a\nb \n"), "a.md:2: [white space] spaces");
    assert_one(&found("a.md", "a\r\n"), "a.md:1: [white space] CRLF");
    assert_eq!(found("x/samples/a.json", "a \r\n"), [""; 0]);
}

#[test]
fn a_document_that_names_a_test_which_is_gone_is_found() {
    let source = file("a/tests/a.rs", "fn a_promise_that_is_held() {\n}\n");
    let page = |name: &str| file("SPECIFICATION.md", &format!("# S\n\n| held | `{name}` |\n"));
    assert_eq!(all(&[source.clone(), page("a_promise_that_is_held")]).0, [""; 0]);
    assert_eq!(all(&[source.clone(), page("waiting_events_max")]).0, [""; 0]);
    let found = all(&[source, page("a_promise_that_was_held")]).0;
    assert_one(&found, "SPECIFICATION.md:3: [tests] there is no test a_promise_that_was_held");
}
