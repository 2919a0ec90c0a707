use std::fs;

use super::*;

fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, String) {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let name = root.path().to_str().unwrap().to_string();
    (root, name)
}

const TEMPLATE: &str = "Resources:\n  A: {Type: AWS::SQS::Queue}\n";

fn names(gathered: &Gathered, root: &str) -> Vec<String> {
    let strip = |name: &str| name.strip_prefix(root).unwrap().trim_start_matches('/').to_string();
    gathered.inputs.iter().map(|input| strip(&input.name)).collect()
}

#[test]
fn of_a_directory_the_templates_are_read_and_nothing_else() {
    let (_kept, root) = tree(&[
        ("b/template.yaml", TEMPLATE),
        ("a.yml", TEMPLATE),
        ("a/serverless.yml", "service: a\n"),
        ("a/serverless-compose.yml", "services: {a: {path: .}}\n"),
        ("package.json", "{\"name\": \"Resources\"}"),
        ("node_modules/x/template.yaml", TEMPLATE),
        (".aws-sam/build/template.yaml", TEMPLATE),
        ("cdk.out/manifest.json", "{\"artifacts\": {}}"),
        ("page/public/manifest.json", "{\"name\": \"a web page\"}"),
        ("cdk.out/A.template.json", "{\"Resources\": {\"A\": {\"Type\": \"AWS::SQS::Queue\"}}}"),
    ]);
    std::os::unix::fs::symlink("/", format!("{root}/everything")).unwrap();
    let gathered = gather(&Disk, &[format!("{root}/")]).unwrap();
    assert_eq!(
        names(&gathered, &root),
        ["a.yml", "a/serverless-compose.yml", "a/serverless.yml", "b/template.yaml", "cdk.out/manifest.json"]
    );
    assert!(gathered.unread.is_empty());
}

#[test]
fn a_plan_is_read_as_powershell_writes_it() {
    let plan = "{\"terraform_version\": \"1.9.5\", \"planned_values\": {\"é\": 1}}";
    let wide = std::iter::once(0xfeff).chain(plan.encode_utf16()).flat_map(u16::to_le_bytes);
    let (_kept, root) = tree(&[]);
    let path = format!("{root}/plan.json");
    fs::write(&path, wide.collect::<Vec<_>>()).unwrap();
    let gathered = gather(&Disk, &[path]).unwrap();
    assert_eq!(gathered.inputs.iter().map(|input| input.text.as_str()).collect::<Vec<_>>(), [plan]);
    assert!(gathered.unread.is_empty());
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let (_kept, root) = tree(&[("empty/a.txt", "")]);
    fs::write(format!("{root}/latin.yaml"), b"a: 1\nb: caf\xe9\n").unwrap();
    fs::write(format!("{root}/wide.yaml"), b"\xff\xfea\0").unwrap();
    let paths = ["gone.yaml", "latin.yaml", "wide.yaml", "empty"].map(|name| format!("{root}/{name}"));
    let gathered = gather(&Disk, &paths).unwrap();
    let said: Vec<(&str, usize, &str)> =
        gathered.unread.iter().map(|unread| (unread.code, unread.at, unread.message.as_str())).collect();
    assert_eq!(
        said,
        [
            ("FE3190", 0, "there is no such file or directory"),
            ("FE3191", 11, "the file is not UTF-8: byte 0xe9 at offset 11 is none of its characters"),
            ("FE3191", 0, "the file is UTF-16"),
            ("FE3190", 0, "there is no template in it"),
        ]
    );
}

#[test]
fn what_a_template_names_is_read_unless_a_link_leads_out() {
    let (_kept, root) = tree(&[("app/in.json", "in"), ("shared/out.json", "out")]);
    std::os::unix::fs::symlink(format!("{root}/shared/out.json"), format!("{root}/app/link.json")).unwrap();
    let roots = BTreeSet::from([format!("{root}/app")]);
    let read = |path: &str| local(&Disk, &roots, &format!("{root}/{path}"));
    assert_eq!(read("app/in.json").as_deref(), Some("in"));
    assert_eq!(read("shared/out.json").as_deref(), Some("out"), "its path says so");
    assert_eq!(read("app/link.json"), None);
    assert_eq!(read("app"), None);
}
