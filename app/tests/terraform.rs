//! What a plan of Terraform becomes.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test by panicking")]

use std::{fs, path::Path};

use flyball_app::{
    check::{Level, Look, check, ours},
    import::{Imported, Input, Options, import},
    profile::{Given, Profile},
};

fn of_text(text: &str) -> Imported {
    let input = Input { name: "plan.json".into(), text: text.into() };
    import(vec![input], &Options::default(), &|_| None)
}

fn plan() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/terraform/plan.json")).unwrap()
}

#[test]
fn what_is_not_known_yet_is_followed_to_the_resource_that_is_meant() {
    let imported = of_text(&plan());
    assert!(imported.problems.is_empty(), "{:?}", imported.problems);
    insta::with_settings!({
        snapshot_path => "terraform", prepend_module_to_snapshot => false, omit_expression => true
    }, {
        insta::assert_snapshot!("plan", imported.design.to_string());
    });
}

fn codes(imported: &Imported) -> Vec<&'static str> {
    let (profile, given) = (Profile::built_in("aws").unwrap(), Given::default());
    let look = Look { design: &imported.design, profile: &profile, given: &given };
    check(&look, &ours()).iter().map(|finding| finding.code).collect()
}

/// A policy that a plan does not tell may let the topic send; one that is not there does not.
#[test]
fn a_policy_that_is_not_known_is_not_one_that_is_missing() {
    let unknown = plan().replace("data.aws_iam_policy_document.orders", "local.policy");
    assert!(!codes(&of_text(&unknown)).contains(&"FB0021"));
    let missing = plan().replace("\"aws_sqs_queue_policy\"", "\"aws_vpc\"");
    assert!(codes(&of_text(&missing)).contains(&"FB0021"));
}

#[test]
fn the_walls_of_a_plan_are_told_by_their_addresses() {
    let imported = of_text(&plan());
    let (profile, given) = (Profile::built_in("aws").unwrap(), Given::default());
    let look = Look { design: &imported.design, profile: &profile, given: &given };
    let findings = check(&look, &ours());
    let told: Vec<String> = findings
        .iter()
        .filter(|finding| finding.level > Level::Advice)
        .map(|finding| format!("{} {} {}", finding.level.as_str(), finding.code, finding.resource))
        .collect();
    let walls = [
        "error FB0007 aws_sqs_queue.orders",
        "warning FB0003 aws_lambda_function.front",
        "note FB0025 module.charge.aws_lambda_function.this",
    ];
    assert_eq!(told, walls);
    // A plan is made of other files: what mends is for those.
    assert!(findings.iter().all(|finding| finding.fix.is_none()), "{findings:?}");
}

/// Modules that hand one another's outputs on in a circle, and many of them.
#[test]
fn outputs_that_name_one_another_end() {
    let names = ["module.b.x", "module.b.y", "module.b.z"].map(|name| format!("\"{name}\"")).join(",");
    let outputs = ["x", "y", "z"]
        .map(|name| {
            format!(
                "\"{name}\": {{\"expression\": {{\"references\": [{}]}}}}",
                names.replace("module.b", "var")
            )
        })
        .join(",");
    let given = ["x", "y", "z"].map(|name| format!("\"{name}\": {{\"references\": [{names}]}}")).join(",");
    let text = format!(
        r#"{{"format_version": "1.2", "planned_values": {{"root_module": {{
            "resources": [{{"address": "aws_lambda_event_source_mapping.m", "mode": "managed",
                "type": "aws_lambda_event_source_mapping", "name": "m", "values": {{}}}}],
            "child_modules": [{{"address": "module.b", "resources": []}}]}}}},
        "configuration": {{"root_module": {{
            "resources": [{{"address": "aws_lambda_event_source_mapping.m",
                "expressions": {{"event_source_arn": {{"references": [{names}]}}}}}}],
            "module_calls": {{"b": {{"expressions": {{{given}}}, "module": {{"outputs": {{{outputs}}}}}}}}}}}}}}}"#
    );
    let imported = of_text(&text);
    assert_eq!(imported.read, 1);
    assert_eq!(imported.design.edges().count(), 0);
}

#[test]
fn a_state_is_no_plan() {
    let imported =
        of_text(r#"{"format_version": "1.0", "terraform_version": "1.9.8", "values": {"root_module": {}}}"#);
    assert_eq!(imported.read, 0);
    let messages: Vec<&str> = imported.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        ["this is of Terraform, and no plan: `terraform show -json` of a saved plan is read"]
    );
}

#[test]
fn a_large_plan_is_followed_to_its_end() {
    const COUNT: usize = 2_000;
    let (mut resources, mut configured) = (Vec::new(), Vec::new());
    for at in 0..COUNT {
        for of in ["aws_sqs_queue", "aws_lambda_function", "aws_lambda_event_source_mapping"] {
            let head =
                format!(r#""address": "{of}.a{at}", "mode": "managed", "type": "{of}", "name": "a{at}""#);
            resources.push(format!("{{{head}, \"values\": {{}}}}"));
            if of == "aws_lambda_event_source_mapping" {
                let to = |of: &str| format!(r#"{{"references": ["{of}.a{at}.arn", "{of}.a{at}"]}}"#);
                let (source, function) = (to("aws_sqs_queue"), to("aws_lambda_function"));
                configured.push(format!(
                    r#"{{{head}, "expressions": {{"event_source_arn": {source}, "function_name": {function}}}}}"#
                ));
            }
        }
    }
    let text = format!(
        r#"{{"planned_values": {{"root_module": {{"resources": [{}]}}}},
        "configuration": {{"root_module": {{"resources": [{}]}}}}}}"#,
        resources.join(","),
        configured.join(",")
    );
    let imported = of_text(&text);
    assert_eq!(imported.design.edges().count(), COUNT);
    assert!(imported.design.unresolved.is_empty(), "{:?}", imported.design.unresolved.first());
}
