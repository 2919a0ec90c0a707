//! Templates, as they come from strangers: what begins with `---8<---` in a line parts files of one run. What is
//! asserted is in docs/fuzzing.md.
#![no_main]

use flyball_app::{
    document::{Files, Span},
    import::{Input, Options, PROBLEMS_MAX, import},
};
use libfuzzer_sys::fuzz_target;

/// The longest message or help, bytes: each quotes a bounded part of the file.
const TEXT_BYTES_MAX: usize = 4_096;

/// Names that choose a reader.
const NAMES: [&str; 4] = ["template.yaml", "serverless.yml", "other.json", "cdk.out/manifest.json"];

fuzz_target!(|data: (u8, &str)| {
    let (chosen, text) = data;
    let parts = || text.split("---8<---\n").take(4);
    let inputs = || {
        let named = parts().enumerate().map(|(at, text)| {
            let name = NAMES[(usize::from(chosen) + at) % NAMES.len()].to_string();
            Input { name, text: text.to_string() }
        });
        named.collect::<Vec<_>>()
    };
    let local = |name: &str| (!name.contains("missing")).then(|| parts().last().unwrap_or("").to_string());
    let options = Options { region: (chosen > 127).then(|| "eu-west-1".to_string()), ..Options::default() };
    let read = import(inputs(), &options, &local);
    assert!(read.problems.len() <= PROBLEMS_MAX && read.read <= NAMES.len());
    let files = &read.design.files;
    for problem in &read.problems {
        inside(files, problem.span);
        for part in [&problem.message, &problem.help] {
            assert!(!part.is_empty() && part.len() <= TEXT_BYTES_MAX, "{problem:?}");
            assert!(!part.contains(char::is_control), "{problem:?}");
        }
    }
    for (_, node) in read.design.nodes() {
        inside(files, node.span);
    }
    for (_, edge) in read.design.edges() {
        inside(files, edge.span);
    }
    let again = import(inputs(), &options, &local);
    assert_eq!(again.problems, read.problems, "the same files, the same answer");
    assert_eq!(again.design.edges().count(), read.design.edges().count());
});

fn inside(files: &Files, span: Span) {
    let text = files.text(span.file);
    assert!(text.get(span.start as usize..span.end as usize).is_some(), "{span:?}");
}
