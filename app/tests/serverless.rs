//! What `serverless.yml` files become: a snapshot of the graph for each folder in `serverless/`, and how wrong and
//! hostile files are met.
#![allow(clippy::unwrap_used, reason = "a test that can't read its files fails")]

use std::{fs, path::Path};

use flyball_app::import::{Imported, Input, Options, import};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serverless")
}

fn read(name: &str, options: &Options) -> Imported {
    let path = folder();
    let input = Input { name: name.into(), text: fs::read_to_string(path.join(name)).unwrap() };
    import(vec![input], options, &|name| fs::read_to_string(path.join(name)).ok())
}

fn shown(imported: &Imported) -> String {
    let files = &imported.design.files;
    let mut text = imported.design.to_string();
    for problem in &imported.problems {
        let place = files.place(problem.span);
        let (line, column) = (place.line, place.column);
        text.push_str(&format!("{} {}:{line}:{column} {}\n", problem.code, place.file, problem.message));
    }
    text
}

fn of_text(text: &str) -> Imported {
    let input = Input { name: "serverless.yml".into(), text: text.into() };
    import(vec![input], &Options::default(), &|_| None)
}

#[test]
fn graphs() {
    let cases = ["variables", "functions", "events", "plugins"].map(|name| format!("{name}/serverless.yml"));
    let others = ["resources/serverless.json", "compose/serverless-compose.yml"].map(String::from);
    insta::with_settings!({ snapshot_path => "serverless", prepend_module_to_snapshot => false, omit_expression => true }, {
        for name in cases.iter().chain(&others) {
            let case = name.split('/').next().unwrap();
            insta::assert_snapshot!(case, shown(&read(name, &Options::default())));
        }
        let options = Options { stage: Some("prod".into()), region: Some("us-west-2".into()), ..Options::default() };
        insta::assert_snapshot!("variables_prod", shown(&read("variables/serverless.yml", &options)));
    });
}

/// For comparisons with what the framework itself makes: types by logical id.
#[test]
#[ignore]
fn dump() {
    let path = std::env::var("DUMP").unwrap();
    let input = Input { name: "serverless.yml".into(), text: fs::read_to_string(&path).unwrap() };
    let dir = Path::new(&path).parent().unwrap();
    let imported = import(vec![input], &Options::default(), &|name| fs::read_to_string(dir.join(name)).ok());
    println!("{}", shown(&imported));
}
