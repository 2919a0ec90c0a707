//! What is said of a run, from the files to the result: each field from what was measured.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc};

use flyball_app::{
    design::Design,
    import::{Input, Options, import},
    profile::Profile,
    workload,
};
use flyball_sim::{
    line::{InTurn, Search, load_line},
    plan::Plan,
    report::{Report, page},
    result::{RunResult, Scope, Simulation},
};

fn example(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn design(name: &str, text: &str) -> Design {
    import(vec![Input { name: name.into(), text: text.into() }], &Options::default(), &|_| None).design
}

fn plan(name: &str, text: &str, traffic: &str) -> (Plan, Design) {
    let workload = workload::read("traffic.toml", traffic).unwrap_or_else(|wrong| panic!("{wrong}")).workload;
    let design = design(name, text);
    let plan = if name.ends_with(".toml") {
        let application = flyball_app::read(name, text).unwrap_or_else(|wrong| panic!("{wrong}")).application;
        Plan::flyball(&Arc::new(application), &workload)
    } else {
        Plan::aws("test", &design, &Profile::built_in("aws").unwrap(), &workload)
    };
    (plan.unwrap_or_else(|problems| panic!("{problems:?}")), design)
}

fn run(name: &str, text: &str, traffic: &str, load: f64) -> (RunResult, Design) {
    let (plan, design) = plan(name, text, traffic);
    (flyball_sim::run(&plan, 1, load, &mut |_| false).unwrap(), design)
}

/// How a run's first broken promise is told.
fn told(run: &RunResult) -> (String, String, String) {
    let first = run.broken().next().unwrap_or_else(|| panic!("nothing broke: {:?}", run.promises));
    let broken = first.broken.as_ref().unwrap();
    let because =
        broken.because.as_ref().map_or(String::new(), |limit| format!("{} {}", limit.name, limit.of));
    let held = broken.held_by.as_ref().map_or(String::new(), |held| held.name.clone());
    (broken.path.join(" "), because, held)
}

/// The names on the drawing's red lines, and whether its boxes are marked.
fn marked(run: RunResult, design: &Design) -> (usize, usize) {
    let simulation = Simulation { run: Some(run), ..Simulation::default() };
    let page = page(&Report { simulation: &simulation, design: Some(design), against: None });
    let drawn =
        page.split("class=\"drawing\"").nth(1).map_or("", |rest| rest.split("</svg>").next().unwrap());
    let drawn = format!("{}{}", page.split("id=\"way\"").nth(1).unwrap_or(""), drawn);
    let drawn = drawn.split("</section>").next().unwrap();
    let lines = drawn.split("<path class=\"line ").skip(1);
    // The last is the key's.
    let red = lines.filter(|line| line.split('"').next().unwrap().contains("error")).count();
    let boxes = drawn.split("<g class=\"").skip(1);
    let red_boxes = boxes.filter(|one| one.split('"').next().unwrap().contains("error")).count();
    (red, red_boxes)
}

const SHOP: &str = "[application]\nname = \"shop\"\n[limits]\ncall_wait_max = \"500ms\"\n\
    [function.order]\ncomponent = \"a.wasm\"\n[function.order.grants]\nemit = [\"paid\"]\n\
    [function.ship]\ncomponent = \"b.wasm\"\nconcurrency = { cap = 4 }\n[function.ship.grants]\nemit = [\"news\"]\n\
    [function.tell]\ncomponent = \"c.wasm\"\n[function.tell.inbox]\nbatch_max = 1\n\
    [[route]]\npath = \"/orders\"\nmethods = [\"POST\"]\nfunction = \"order\"\n\
    [queue.paid]\nfunction = \"ship\"\nbatch_max = 1\n[topic.news]\nsubscribers = [{ function = \"tell\" }]\n";

const SHOPPING: &str = "duration = \"2m\"\n[traffic.orders]\nto = \"POST /orders\"\npeak_per_s = 20\n\
    tenants = 20\nzipf = 2.0\n[traffic.orders.client]\ntimeout = \"5s\"\n\
    [function.order]\nduration = \"5ms\"\nsteps = [{ emit = \"paid\" }]\n\
    [function.ship]\nduration = \"100ms\"\nsteps = [{ emit = \"news\" }]\n\
    [function.tell]\nduration = \"1ms\"\nsteps = [{ call = \"post\" }]\n[dependency.post]\nservers = 8\n\
    service = \"5ms\"\n";

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31\nResources:\n  \
    Jobs:\n    Type: AWS::SQS::Queue\n    Properties:\n      VisibilityTimeout: 60\n  \
    Web:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      Runtime: python3.13\n      \
    InlineCode: pass\n      Timeout: 10\n      Events:\n        Get:\n          Type: HttpApi\n          \
    Properties:\n            Path: /\n            Method: GET\n  \
    Work:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: a.b\n      Runtime: python3.13\n      \
    InlineCode: pass\n      Timeout: 30\n      ReservedConcurrentExecutions: 5\n      Events:\n        \
    Jobs:\n          Type: SQS\n          Properties:\n            Queue: !GetAtt Jobs.Arn\n            BatchSize: 1\n";

/// Where which application breaks, because of what, who holds it, and the way there: names of the drawing.
#[test]
fn the_way_to_a_wall_is_made_of_the_drawings_names_and_is_drawn_in_red() {
    // File, its text, traffic, load; way, limit, holder; red lines and boxes.
    type Case<'a> = (&'a str, &'a str, String, f64, [&'a str; 3], (usize, usize));
    let slow_post = SHOPPING.replace("service = \"5ms\"", "service = \"500ms\"");
    let web = "duration = \"5m\"\n[traffic.web]\nto = \"GET /\"\npeak_per_s = 200\n[traffic.web.client]\n\
               timeout = \"2s\"\n\
               [function.Web]\nduration = \"5ms\"\nsteps = [{ call = \"db\" }]\n[dependency.db]\nservers = 2\n\
               service = \"100ms\"\n[traffic.Jobs]\npeak_per_s = 2\n[function.Work]\nduration = \"1s\"\n";
    let jobs = "duration = \"20m\"\n[traffic.Jobs]\npeak_per_s = 20\n[function.Work]\nduration = \"1s\"\n";
    let long = "duration = \"5m\"\n[traffic.web]\nto = \"GET /\"\npeak_per_s = 1\n[function.Web]\nduration = \"15s\"\n";
    let cases: [Case<'_>; 5] = [
        (
            "flyball.toml",
            SHOP,
            SHOPPING.into(),
            4.0,
            ["orders gateway order paid ship", "concurrency ship", "t1"],
            (4, 1),
        ),
        (
            "flyball.toml",
            SHOP,
            slow_post,
            1.0,
            ["orders gateway order paid ship news @tell tell post", "servers post", "t1"],
            (8, 1),
        ),
        (
            "template.yaml",
            TEMPLATE,
            web.into(),
            1.0,
            ["web ServerlessHttpApi Web db", "servers db", ""],
            (3, 1),
        ),
        ("template.yaml", TEMPLATE, jobs.into(), 1.0, ["Jobs Work", "concurrency Work", ""], (1, 1)),
        (
            "template.yaml",
            TEMPLATE,
            long.into(),
            1.0,
            ["web ServerlessHttpApi Web", "timeout Web", ""],
            (2, 1),
        ),
    ];
    for (name, text, traffic, load, said, red) in cases {
        let (run, design) = run(name, text, &traffic, load);
        let (path, because, held) = told(&run);
        assert_eq!([path.as_str(), because.as_str(), held.as_str()], said, "{:?}", run.limits);
        let (lines, boxes) = marked(run, &design);
        // One line of the key is red too.
        assert_eq!((lines - 1, boxes), red, "{path}");
    }
}

#[test]
fn the_worst_hits_are_in_the_promises_unit() {
    let run = run("flyball.toml", SHOP, SHOPPING, 4.0).0;
    let first = run.broken().next().unwrap();
    assert_eq!(first.measure, "backlog_growth_percent");
    let hits = &first.broken.as_ref().unwrap().hits;
    assert_eq!((hits[0].name.as_str(), hits[0].value, hits.len()), ("paid", first.value, 1), "{hits:?}");
}

#[test]
fn one_function_that_takes_the_pool_starves_the_others() {
    let incident = "incidents/7-burst-takes-the-pool";
    let template = example(&format!("{incident}/template.yaml"));
    let traffic = example(&format!("{incident}/traffic.toml")).replace("2h", "15m");
    let run = run("template.yaml", &template, &traffic, 1.0).0;
    let starved = &run.tenants.starved[0];
    assert_eq!((starved.by.as_str(), starved.by_scope), ("Consume", Scope::Function));
    assert_eq!(
        (starved.whom.as_slice(), starved.whom_scope),
        ([String::from("Answer")].as_slice(), Scope::Function)
    );
    assert!(starved.share_percent > 90.0 && starved.throttled > 0, "{starved:?}");
    assert_eq!((starved.limit.scope, starved.limit.name.as_str()), (Scope::Platform, "concurrency"));
    let refused: u64 = run.sources.iter().find(|s| s.name == "people").unwrap().refused.values().sum();
    assert_eq!(
        refused,
        run.functions.iter().find(|f| f.name == "Answer").unwrap().throttled.values().sum::<u64>()
    );
}

/// Lambda has no order of tenants: a loud one's calls stand before those of all others.
#[test]
fn a_loud_tenant_starves_others_on_a_pool_and_not_under_fair_queueing() {
    let traffic = "duration = \"10m\"\n[traffic.loud]\nto = \"TO\"\ntenant = \"loud\"\npeak_per_s = 200\n\
        from = \"2m\"\nuntil = \"8m\"\n[traffic.others]\nto = \"TO\"\ntenants = 50\npeak_per_s = 5\n";
    let web = format!("{traffic}[function.Web]\nduration = \"500ms\"\n").replace("TO", "GET /");
    let template = TEMPLATE
        .replace("      Timeout: 10\n", "      Timeout: 10\n      ReservedConcurrentExecutions: 20\n");
    let run_aws = run("template.yaml", &template, &web, 1.0).0;
    let starved = run_aws.tenants.starved.iter().find(|one| one.by_scope == Scope::Tenant).unwrap();
    assert_eq!((starved.by.as_str(), starved.whom_scope), ("loud", Scope::Tenant));
    assert!(starved.share_percent > 50.0 && starved.whom_count > 25 && starved.throttled > 0, "{starved:?}");
    let groups: Vec<(&str, u64, &str)> = run_aws
        .tenants
        .groups
        .iter()
        .map(|one| (one.group.as_str(), one.tenants, one.name.as_str()))
        .collect();
    assert_eq!((groups[0], groups.last().unwrap()), (("quiet", 25, ""), &("loud", 1, "loud")));
    // The same on Flyball: the loud tenant waits for itself.
    let own = format!("{traffic}[function.ship]\nduration = \"500ms\"\n").replace("TO", "paid");
    let application = SHOP.replace("cap = 4", "cap = 20");
    let fair = run("flyball.toml", &application, &own, 1.0).0;
    assert_eq!(fair.tenants.starved, []);
    let most = |name: &str| {
        let group = fair.tenants.groups.iter().find(|one| one.group == name).unwrap();
        group.dwell_p99_ms.iter().copied().fold(0.0, f64::max)
    };
    assert!(most("quiet") < 2_000.0 && most("loud") > 60_000.0, "{} {}", most("quiet"), most("loud"));
}

/// A dependency without servers that are full, but slower the more is asked of it: what ends the runs is their timeout.
/// Twice as long is tried.
#[test]
fn a_timeout_is_a_wall_and_is_raised() {
    let traffic = |to: &str, function: &str| {
        format!(
            "duration = \"1m\"\n[traffic.web]\nto = \"{to}\"\npeak_per_s = 20\n[function.{function}]\n\
             duration = \"5ms\"\nsteps = [{{ call = \"db\" }}]\n[dependency.db]\nservice = \"100ms\"\n\
             growth = [[1, 1.0], [20, 2.0], [60, 400.0]]\n"
        )
    };
    let shop = SHOP.replace("component = \"a.wasm\"", "component = \"a.wasm\"\ntimeout = \"10s\"");
    let cases = [
        ("flyball.toml", shop.as_str(), traffic("POST /orders", "order"), "order"),
        ("template.yaml", TEMPLATE, traffic("GET /", "Web"), "Web"),
    ];
    for (name, text, traffic, function) in cases {
        let (plan, _) = plan(name, text, &traffic);
        let search = Search { seeds: vec![1], thorough: true };
        let line = load_line(&plan, &search, &InTurn, &|_| false).unwrap();
        let because = line.wall.and_then(|wall| wall.because).unwrap();
        assert_eq!((because.name.as_str(), because.of.as_str(), because.value), ("timeout", function, 10.0));
        assert_eq!(line.raising.map(|raising| raising.to), Some(20.0), "{name}");
    }
}

/// Each load is told once, with what the seeds have measured from the least to the greatest.
#[test]
fn the_curve_has_each_load_once() {
    let (plan, _) = plan("flyball.toml", SHOP, SHOPPING);
    let search = Search { seeds: (1..=5).collect(), thorough: true };
    let line = load_line(&plan, &search, &InTurn, &|_| false).unwrap();
    let up: Vec<_> = line.curve.iter().filter(|point| !point.on_way_back).collect();
    for pair in up.windows(2) {
        assert!(
            pair[1].load_factor / pair[0].load_factor > 1.04,
            "{} {}",
            pair[0].load_factor,
            pair[1].load_factor
        );
    }
    let most = up.iter().max_by_key(|point| point.seeds_tried).unwrap();
    assert_eq!(most.seeds_tried, 5);
    for point in &line.curve {
        let figures = [&point.min, &point.median, &point.max].map(|one| one.p99_ms);
        assert!(figures.is_sorted() && point.seeds_broken <= point.seeds_tried, "{point:?}");
        assert_eq!(point.holds, point.seeds_broken == 0);
    }
    let wall = line.wall.unwrap();
    assert_eq!(wall.path, ["orders", "gateway", "order", "paid", "ship"]);
    assert_eq!(wall.held_by.unwrap().name, "t1");
}

/// Fields of the result that are never anything but empty: there are none.
#[test]
fn no_field_is_always_empty() {
    let mut filled = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let incidents = [
        ("incidents/1-batch-started-again", "template.yaml"),
        ("incidents/5-lease-shorter-than-work", "template.yaml"),
    ];
    for (incident, file) in incidents {
        let traffic = example(&format!("{incident}/traffic.toml"));
        let run = run(file, &example(&format!("{incident}/{file}")), &traffic, 1.0).0;
        gather(&serde_json::to_value(&run).unwrap(), "run", &mut filled, &mut seen);
    }
    for load in [1.0, 4.0] {
        let run =
            run("flyball.toml", SHOP, &SHOPPING.replace("\"5ms\"\n", "\"5ms\"\nerror_rate = 0.02\n"), load).0;
        gather(&serde_json::to_value(&run).unwrap(), "run", &mut filled, &mut seen);
    }
    // Callers who give up, a database with connections of its own, a pool that is too small.
    let web = "duration = \"2m\"\n[traffic.web]\nto = \"GET /\"\npeak_per_s = 60\ntenants = 9\nzipf = 2.0\n\
               [traffic.web.client]\ntimeout = \"1s\"\nretries = 1\nretry_budget_percent = 5\n\
               [function.Web]\nduration = \"5ms\"\nleak = \"1MiB\"\nmemory = \"100MiB\"\n\
               steps = [{ call = \"db\", timeout = \"500ms\" }]\n\
               [dependency.db]\nservers = 2\nservice = \"100ms\"\nconnections_max = 40\nstatement_timeout = \"8s\"\n\
               [environments]\nidle_max = \"20s\"\nage_max = \"30s\"\n";
    let small = TEMPLATE
        .replace("      Timeout: 10\n", "      Timeout: 10\n      ReservedConcurrentExecutions: 60\n");
    // A function that gives the database up, and one that waits for it until nothing is free.
    for traffic in [web.to_string(), web.replace(", timeout = \"500ms\"", "")] {
        let run = run("template.yaml", &small, &traffic, 1.0).0;
        gather(&serde_json::to_value(&run).unwrap(), "run", &mut filled, &mut seen);
    }
    let empty: Vec<&String> = seen.difference(&filled).collect();
    // Of what these examples have nothing of: names only where something is there that would fill them.
    let known = [
        "run.about.traffic",
        "run.nodes.drained_after_s",
        "run.nodes.dropped",
        "run.platform.dwell.p50_ms",
        "run.platform.times.dwell_p50_ms",
        "run.tenants.shown.dwell.p50_ms",
        "run.tenants.starved.dwell_p99_ms",
        "run.about.invariants_checked",
        "run.sources.retries_let_be",
        "run.functions.memory_peak_mb",
        "run.dependencies.duplicates",
        "run.dependencies.broken_off",
        "run.dependencies.cancelled",
    ];
    let empty: Vec<&String> = empty.into_iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(empty.is_empty(), "{empty:#?}");
}

/// Notes every field by its way, and whether it says something.
fn gather(value: &serde_json::Value, at: &str, filled: &mut BTreeSet<String>, seen: &mut BTreeSet<String>) {
    use serde_json::Value;
    seen.insert(at.to_string());
    let says = match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => {
            items.iter().for_each(|item| gather(item, at, filled, seen));
            items.iter().any(|item| !item.is_number() || item.as_f64() != Some(0.0))
        }
        Value::Object(fields) => {
            // What is counted by name has others' words for keys.
            let by_name = ["errors", "refused", "failed", "throttled", "dead_letters", "dropped"];
            for (key, item) in fields {
                let last = at.rsplit('.').next().unwrap_or_default();
                let name = if by_name.contains(&last) { at.to_string() } else { format!("{at}.{key}") };
                gather(item, &name, filled, seen);
            }
            !fields.is_empty()
        }
    };
    if says {
        filled.insert(at.to_string());
    }
}
