//! `serverless.yml`: any text is read to a design, with what is wrong of it said. What is asserted is in
//! docs/fuzzing.md.
#![no_main]

use flyball_app::import::{Input, Options, import};
use libfuzzer_sys::fuzz_target;

/// The longest message, bytes: each quotes a bounded part of the file.
const TEXT_BYTES_MAX: usize = 4_096;

/// What local files hold: the first part of the input names them.
const LOCAL: &str = "key: ${self:custom.a}\nlist: [1, ${self:service}]\nfunctions: { g: { handler: h } }\n";

fuzz_target!(|text: &str| {
    // Without these it is no service, and nothing of what is fuzzed here would run.
    let whole = format!("service: s\nprovider: {{ name: aws, runtime: nodejs22.x }}\n{text}");
    for text in [text, whole.as_str()] {
        let input = || vec![Input { name: "serverless.yml".into(), text: text.to_string() }];
        let local = |path: &str| (!path.contains("missing")).then(|| LOCAL.to_string());
        let first = import(input(), &Options::default(), &local);
        let again = import(input(), &Options::default(), &local);
        assert_eq!(first.design.to_string(), again.design.to_string());
        assert_eq!(first.problems, again.problems);
        for problem in &first.problems {
            assert!(!problem.message.is_empty() && problem.message.len() <= TEXT_BYTES_MAX, "{problem:?}");
            let place = first.design.files.place(problem.span);
            assert!(place.line >= 1 && place.column >= 1, "{problem:?}");
        }
    }
});
