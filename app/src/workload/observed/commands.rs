//! The commands that make the exports: read-only, for a shell, with the AWS CLI.

use std::fmt::Write as _;

use crate::design::{Design, Node};

/// Series in one call of GetMetricData; AWS takes 500 (API model, `MetricDataQueries`).
const QUERIES_MAX: usize = 500;
/// Functions and queues for which commands are printed; of more only the first.
const RESOURCES_MAX: usize = 1_000;

/// What is asked of a function: metric and statistic.
const OF_FUNCTION: [(&str, &str); 6] = [
    ("Invocations", "Sum"),
    ("Errors", "Sum"),
    ("Throttles", "Sum"),
    ("Duration", "p50"),
    ("Duration", "p99"),
    ("ConcurrentExecutions", "Maximum"),
];
/// What is asked of a queue.
const OF_QUEUE: [(&str, &str); 2] =
    [("NumberOfMessagesSent", "Sum"), ("ApproximateNumberOfMessagesVisible", "Maximum")];

const HEAD: &str = r#"# Exports for `flyball import`. These commands list, get and query; none changes anything.
# AWS CLI 1 or 2, with credentials that may: cloudformation:ListStackResources,
# cloudformation:DescribeStackResource, cloudwatch:GetMetricData, logs:StartQuery, logs:GetQueryResults,
# xray:GetServiceGraph, servicequotas:ListServiceQuotas.
# Set these four. Of single minutes CloudWatch has the last 15 days; X-Ray answers for some hours at most.
STACK=my-stack
START=2026-01-01T00:00:00Z
END=2026-01-08T00:00:00Z
PEAK=2026-01-05T12:00:00Z # an hour with much traffic begins here

seconds() { date -u -d "$1" +%s 2>/dev/null || date -j -u -f %Y-%m-%dT%H:%M:%SZ "$1" +%s; }
"#;

const LOGS: &str = r#"do
  QUERY=$(aws logs start-query --log-group-name "/aws/lambda/$NAME" --limit 10000 \
    --start-time "$(seconds "$START")" --end-time "$(seconds "$END")" \
    --query-string 'filter @type = "REPORT" | fields @log, @duration, @initDuration, @maxMemoryUsed' \
    --query queryId --output text)
  while STATUS=$(aws logs get-query-results --query-id "$QUERY" --query status --output text)
    [ "$STATUS" = Running ] || [ "$STATUS" = Scheduled ]; do sleep 2; done
  aws logs get-query-results --query-id "$QUERY" --output json
done > logs.json
"#;

const REST: &str = r#"
# Who calls whom, and what that takes; only where tracing is on.
aws xray get-service-graph --start-time "$(seconds "$PEAK")" --end-time "$(($(seconds "$PEAK") + 3600))" \
  --output json > xray.json

# The account's limits.
for SERVICE in lambda apigateway events states; do
  aws service-quotas list-service-quotas --service-code "$SERVICE" --output json
done > quotas.json

flyball import --names names.json --metrics metrics.json --logs logs.json --xray xray.json --quotas quotas.json \
  --out traffic.toml --profile-out profile.toml
"#;

/// A function or queue of the template.
struct Resource<'d> {
    node: &'d Node,
    /// The shell's variable that holds its deployed name.
    variable: String,
    queue: bool,
}

/// The commands, as a shell script. With a design, of its functions and queues by their logical ids; without, of all
/// functions and queues of the account.
pub fn commands(design: Option<&Design>) -> String {
    let resources = design.map(resources).unwrap_or_default();
    let mut out = HEAD.to_string();
    out += "\n# Which deployed name is which logical id.\n";
    out += "aws cloudformation list-stack-resources --stack-name \"$STACK\" --output json > names.json\n";
    for resource in &resources {
        out += &resource.lookup();
    }
    out += "\n# How much, how long, how often it failed.\n";
    match resources.is_empty() {
        true => all_metrics(&mut out),
        false => metrics(&mut out, &resources),
    }
    let functions: Vec<&Resource<'_>> = resources.iter().filter(|resource| !resource.queue).collect();
    if functions.is_empty() {
        out += "\n# Single runs: durations, cold starts, memory. Name the functions that matter.\nfor NAME in \
                FUNCTION ANOTHER; ";
    } else {
        out += "\n# Single runs: durations, cold starts, memory.\nfor NAME in";
        for function in functions {
            out += &format!(" \"${}\"", function.variable);
        }
        out += "; ";
    }
    out += LOGS;
    out + REST
}

fn resources(design: &Design) -> Vec<Resource<'_>> {
    let functions = design.functions().map(|(_, node, _)| (node, false));
    let queues = design.queues().map(|(_, node, _)| (node, true));
    let plain = |node: &Node| !node.name.is_empty() && node.name.bytes().all(|b| b.is_ascii_alphanumeric());
    let all = functions.chain(queues).filter(|(node, _)| plain(node)).take(RESOURCES_MAX).enumerate();
    let resource = |(index, (node, queue)): (usize, (_, bool))| {
        let variable = format!("{}{}", if queue { 'Q' } else { 'F' }, index + 1);
        Resource { node, variable, queue }
    };
    all.map(resource).collect()
}

impl Resource<'_> {
    /// How the shell learns its deployed name.
    fn lookup(&self) -> String {
        let (variable, id) = (&self.variable, &self.node.name);
        let safe = |name: &&String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if let Some(name) = self.node.physical_name.as_ref().filter(safe) {
            return format!("{variable}={name} # {id}\n");
        }
        let lookup = format!(
            "{variable}=$(aws cloudformation describe-stack-resource --stack-name \"$STACK\" \\\n  \
             --logical-resource-id {id} --query StackResourceDetail.PhysicalResourceId --output text)\n"
        );
        // A queue's id is its address.
        if self.queue { format!("{lookup}{variable}=${{{variable}##*/}}\n") } else { lookup }
    }

    /// Its series, as entries of `MetricDataQueries`.
    fn queries(&self, from: usize) -> Vec<String> {
        let (service, namespace, dimension, metrics) = match self.queue {
            true => ("sqs", "AWS/SQS", "QueueName", OF_QUEUE.as_slice()),
            false => ("lambda", "AWS/Lambda", "FunctionName", OF_FUNCTION.as_slice()),
        };
        let (id, variable) = (&self.node.name, &self.variable);
        let one = |(index, (metric, statistic)): (usize, &(&str, &str))| {
            format!(
                "{{\"Id\":\"m{}\",\"Label\":\"{service}/{id}/{metric}/{statistic}/60\",\"MetricStat\":{{\"Metric\":\
                 {{\"Namespace\":\"{namespace}\",\"MetricName\":\"{metric}\",\"Dimensions\":[{{\"Name\":\
                 \"{dimension}\",\"Value\":\"${variable}\"}}]}},\"Period\":60,\"Stat\":\"{statistic}\"}}}}",
                from + index
            )
        };
        metrics.iter().enumerate().map(one).collect()
    }
}

/// Series of the template's resources, in as many calls as they need.
fn metrics(out: &mut String, resources: &[Resource<'_>]) {
    let mut queries: Vec<String> = Vec::new();
    for resource in resources {
        let more = resource.queries(queries.len() + 1);
        queries.extend(more);
    }
    *out += "{\n";
    for (index, part) in queries.chunks(QUERIES_MAX).enumerate() {
        // The shell puts deployed names into it.
        call(out, &format!("queries-{}.json", index + 1), "EOF", part);
    }
    *out += "} > metrics.json\n";
}

/// Series of all functions and queues, found by a search.
fn all_metrics(out: &mut String) {
    let functions = OF_FUNCTION.iter().map(|one| ("lambda", "AWS/Lambda", "FunctionName", one));
    let queues = OF_QUEUE.iter().map(|one| ("sqs", "AWS/SQS", "QueueName", one));
    let all = functions.chain(queues).enumerate();
    let query = |(index, (service, namespace, dimension, (metric, statistic))): (
        usize,
        (_, _, _, &(&str, &str)),
    )| {
        let (service, namespace, dimension): (&str, &str, &str) = (service, namespace, dimension);
        format!(
            "{{\"Id\":\"s{}\",\"Label\":\"{service}/${{PROP('Dim.{dimension}')}}/{metric}/{statistic}/60\",\
             \"Expression\":\"SEARCH('{{{namespace},{dimension}}} MetricName=\\\"{metric}\\\"', '{statistic}', 60)\"}}",
            index + 1
        )
    };
    let queries: Vec<String> = all.map(query).collect();
    *out += "# A search finds up to 500 series that had values within two weeks.\n{\n";
    call(out, "queries-1.json", "'EOF'", &queries);
    *out += "} > metrics.json\n";
}

fn call(out: &mut String, file: &str, end: &str, queries: &[String]) {
    // Writing to a String can't fail.
    let _ = write!(
        out,
        "cat > {file} <<{end}\n[\n{}\n]\nEOF\naws cloudwatch get-metric-data --start-time \"$START\" --end-time \
         \"$END\" \\\n  --scan-by TimestampAscending --metric-data-queries file://{file} --output json\n",
        queries.join(",\n")
    );
}
