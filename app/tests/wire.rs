//! What plain resources become: a snapshot of the graph for each template in `wire/`.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::{fs, path::Path};

use flyball_app::import::{Input, Options, import};

/// The graph of files as text, with what is wrong with them.
fn outline(names: &[&Path]) -> String {
    let input = |path: &&Path| Input {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    let imported = import(names.iter().map(input).collect(), &Options::default(), &|_| None);
    let problems = imported.problems.iter().map(|problem| format!("{}: {}\n", problem.code, problem.message));
    format!("{}{}", imported.design, problems.collect::<String>())
}

fn in_folder(folder: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths
}

#[test]
fn graphs() {
    insta::with_settings!({ snapshot_path => "wire", prepend_module_to_snapshot => false, omit_expression => true }, {
        for path in in_folder("wire") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            insta::assert_snapshot!(name, outline(&[&path]));
        }
    });
}

#[test]
fn several_files_are_one_system() {
    let paths = in_folder("wire/several");
    let paths: Vec<&Path> = paths.iter().map(std::path::PathBuf::as_path).collect();
    insta::with_settings!({ snapshot_path => "wire", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("several", outline(&paths));
    });
}
