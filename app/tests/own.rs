//! What `flyball.toml` files and the output of `cdk synth` become: snapshots of graphs.

#![expect(clippy::unwrap_used, reason = "a test that can't read its files fails")]

use std::{fs, path::Path};

use flyball_app::import::{Input, Options, import};

fn outline(folder: &str, name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let input = Input { name: name.into(), text: fs::read_to_string(folder.join(name)).unwrap() };
    let imported =
        import(vec![input], &Options::default(), &|name| fs::read_to_string(folder.join(name)).ok());
    let files = &imported.design.files;
    let paths = imported.design.nodes().filter_map(|(_, node)| {
        node.construct_path.as_ref().map(|path| format!("{} is {path}\n", node.name))
    });
    let problems = imported.problems.iter().map(|problem| {
        let place = files.place(problem.span);
        format!("{} {}:{} {}\n", problem.code, place.line, place.column, problem.message)
    });
    format!("{}{}{}", imported.design, paths.collect::<String>(), problems.collect::<String>())
}

#[test]
fn our_own_file_as_a_graph() {
    insta::with_settings!({ snapshot_path => "own", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("names", outline("own", "names.toml"));
        insta::assert_snapshot!("wrong", outline("own", "wrong.toml"));
        insta::assert_snapshot!("full", outline("good", "full.toml"));
        insta::assert_snapshot!("example", outline("good", "example.toml"));
    });
}

#[test]
fn the_stacks_of_a_synthesized_application_are_one_system() {
    insta::with_settings!({ snapshot_path => "cdk", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("shop", outline("cdk/shop", "cdk.out/manifest.json"));
    });
}
