//! Prices as data: each with its source and its date.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Declares each price once: its variant, its key in the price file, whose it is and for what it is paid.
macro_rules! prices {
    ($($variant:ident = $key:literal, $service:literal, $what:literal;)+) => {
        /// Everything that has a price: the price file has a row for each, by [`Price::key`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Price {
            $(#[doc = concat!($service, ": ", $what, ".")] $variant,)+
        }

        impl Price {
            /// All of them, in the order of the price file.
            pub const ALL: &'static [Price] = &[$(Price::$variant,)+];

            /// Its key in the price file.
            pub const fn key(self) -> &'static str {
                match self {
                    $(Price::$variant => $key,)+
                }
            }

            /// Whose it is, such as `Lambda`.
            pub const fn service(self) -> &'static str {
                match self {
                    $(Price::$variant => $service,)+
                }
            }

            /// What is paid for: the unit, such as `GB-seconds`.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Price::$variant => $what,)+
                }
            }
        }
    };
}

prices! {
    LambdaRequests = "lambda.requests", "Lambda", "requests";
    LambdaX86 = "lambda.x86_gb_s", "Lambda", "GB-seconds, x86";
    LambdaArm = "lambda.arm_gb_s", "Lambda", "GB-seconds, arm";
    ProvisionedX86 = "lambda.provisioned_x86_gb_s", "Lambda", "GB-seconds of provisioned concurrency, x86";
    ProvisionedX86Runs = "lambda.provisioned_x86_run_gb_s", "Lambda", "GB-seconds on provisioned concurrency, x86";
    ProvisionedArm = "lambda.provisioned_arm_gb_s", "Lambda", "GB-seconds of provisioned concurrency, arm";
    ProvisionedArmRuns = "lambda.provisioned_arm_run_gb_s", "Lambda", "GB-seconds on provisioned concurrency, arm";
    LambdaStorage = "lambda.storage_gb_s", "Lambda", "GB-seconds of storage above 512 MB";
    DurableOperations = "lambda.durable_operations", "Lambda", "durable operations";
    SqsStandard = "sqs.standard_requests", "SQS", "requests, standard queues";
    SqsFifo = "sqs.fifo_requests", "SQS", "requests, FIFO queues";
    SnsPublishes = "sns.publishes", "SNS", "publishes";
    SnsFifoPublishes = "sns.fifo_publishes", "SNS", "publishes, FIFO topics";
    SnsHttpDeliveries = "sns.http_deliveries", "SNS", "deliveries by HTTP";
    SnsAwsDeliveries = "sns.aws_deliveries", "SNS", "deliveries to queues and functions";
    EventBridgeEvents = "eventbridge.events", "EventBridge", "events";
    EventBridgePipes = "eventbridge.pipe_requests", "EventBridge", "requests of pipes";
    EventBridgeScheduled = "eventbridge.scheduled", "EventBridge", "scheduled invocations";
    RestRequests = "apigateway.rest_requests", "API Gateway", "requests, REST";
    HttpRequests = "apigateway.http_requests", "API Gateway", "requests, HTTP";
    WebSocketMessages = "apigateway.websocket_messages", "API Gateway", "messages, WebSocket";
    Transitions = "states.transitions", "Step Functions", "state transitions";
    ExpressRequests = "states.express_requests", "Step Functions", "express requests";
    S3Puts = "s3.puts", "S3", "PUT requests";
    S3Gets = "s3.gets", "S3", "GET requests";
    DynamoDbWrites = "dynamodb.writes", "DynamoDB", "write units";
    DynamoDbReads = "dynamodb.reads", "DynamoDB", "read units";
    KinesisShardHours = "kinesis.shard_hours", "Kinesis", "shard hours";
    LogsIngested = "logs.ingested_gb", "CloudWatch Logs", "GB taken in";
}

/// Prices of one region with their sources.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices {
    /// Such as `us-east-1`.
    pub region: String,
    /// The day up to which sources were read.
    pub collected: String,
    rows: BTreeMap<Price, PriceRow>,
}

/// A price with its source.
#[derive(Debug, Clone, PartialEq)]
pub struct PriceRow {
    /// From so many units in a month on, US dollars for one unit; ascending, the first from 0.
    tiers: Vec<(f64, f64)>,
    /// A request counts once for each beginning chunk of so many bytes. `None`: once.
    pub chunk_bytes: Option<u64>,
    /// Where it is from.
    pub source: String,
    /// When it was so.
    pub date: String,
    /// It could not be verified: what rests on it says so.
    pub unverified: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    collected: String,
    region: String,
    prices: BTreeMap<String, FileRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRow {
    usd: Option<f64>,
    tiers: Option<Vec<(f64, f64)>>,
    per: f64,
    chunk_bytes: Option<u64>,
    source: String,
    date: String,
    #[serde(default)]
    unverified: bool,
}

impl Prices {
    /// Those of AWS that are built in.
    pub fn built_in() -> Prices {
        // A test reads them all, so that there is nothing wrong with them.
        read(include_str!("prices.toml")).unwrap_or_default()
    }

    /// A price's row.
    pub fn row(&self, price: Price) -> Option<&PriceRow> {
        self.rows.get(&price)
    }
}

impl PriceRow {
    /// US dollars for so many units in a month: each tier's units at its own price. Nothing for fewer than none.
    pub fn usd(&self, units: f64) -> f64 {
        let ends = self.tiers.iter().skip(1).map(|(from, _)| *from).chain([f64::INFINITY]);
        self.tiers.iter().zip(ends).map(|((from, usd), end)| (units.min(end) - from).max(0.0) * usd).sum()
    }

    /// How often one request of that size counts: at least once.
    pub fn chunks(&self, bytes: u64) -> u64 {
        self.chunk_bytes.map_or(1, |chunk| bytes.div_ceil(chunk.max(1)).max(1))
    }
}

fn read(text: &str) -> Result<Prices, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut rows = BTreeMap::new();
    for (key, row) in file.prices {
        let price = Price::ALL.iter().find(|price| price.key() == key);
        let price = *price.ok_or_else(|| format!("{key}: no such price"))?;
        let tiers = match (row.usd, row.tiers) {
            (Some(usd), None) => vec![(0.0, usd)],
            (None, Some(tiers)) => tiers,
            _ => return Err(format!("{key}: `usd` or `tiers`")),
        };
        let ascends =
            tiers.first().is_some_and(|first| first.0 == 0.0) && tiers.is_sorted_by(|a, b| a.0 < b.0);
        let priced = row.per > 0.0 && tiers.iter().all(|(_, usd)| *usd >= 0.0);
        if !ascends || !priced {
            return Err(format!("{key}: tiers that ascend from 0, prices of 0 or more, `per` above 0"));
        }
        let tiers = tiers.into_iter().map(|(from, usd)| (from, usd / row.per)).collect();
        let FileRow { chunk_bytes, source, date, unverified, .. } = row;
        rows.insert(price, PriceRow { tiers, chunk_bytes, source, date, unverified });
    }
    Ok(Prices { region: file.region, collected: file.collected, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_price_has_a_row_with_a_source_and_a_date() {
        let prices = read(include_str!("prices.toml")).unwrap();
        for price in Price::ALL {
            let row = prices.row(*price).unwrap_or_else(|| panic!("{} has no row", price.key()));
            assert!(row.source.len() > 5 && row.date.starts_with("202"), "{}", price.key());
        }
        assert_eq!(prices.rows.len(), Price::ALL.len());
        assert_eq!((prices.region.as_str(), prices.collected.as_str()), ("us-east-1", "2026-11-23"));
    }

    #[test]
    fn each_tier_is_paid_at_its_own_price() {
        let prices = Prices::built_in();
        // From the rows: by hand.
        let cases = [
            (Price::LambdaRequests, 3e6, 0.60),
            (Price::LambdaX86, 6e9, 100_000.2),
            (Price::LambdaX86, 20e9, 100_000.2 + 135_000.0 + 66_667.0),
            (Price::LambdaArm, 1e6, 13.3334),
            (Price::RestRequests, 333e6, 1_165.5),
            (Price::RestRequests, 21e9, 1_165.5 + 667.0 * 2.8 + 19_000.0 * 2.38 + 1_000.0 * 1.51),
            (Price::HttpRequests, 400e6, 390.0),
            (Price::EventBridgeScheduled, 15e6, 1.0),
            (Price::Transitions, 4_000.0, 0.1),
            (Price::LogsIngested, 10.0, 5.0),
            (Price::LambdaRequests, -5.0, 0.0),
        ];
        for (price, units, usd) in cases {
            let got = prices.row(price).unwrap().usd(units);
            assert!((got - usd).abs() < 1e-6 * usd.max(1.0), "{price:?}, {units}: {got}, not {usd}");
        }
    }

    #[test]
    fn a_mebibyte_is_sixteen_chunks_and_nothing_is_one() {
        let prices = Prices::built_in();
        let chunks = |price, bytes| prices.row(price).unwrap().chunks(bytes);
        let sizes = [0, 1, 65_536, 65_537, 1 << 20];
        assert_eq!(sizes.map(|bytes| chunks(Price::SqsStandard, bytes)), [1, 1, 1, 2, 16]);
        assert_eq!(chunks(Price::LambdaRequests, 1 << 20), 1);
    }

    #[test]
    fn a_wrong_file_is_refused() {
        let row = |row: &str| read(&format!("collected = \"\"\nregion = \"\"\n[prices]\n{row}")).unwrap_err();
        let good = "source = \"\", date = \"\", per = 1";
        let wrong = "lambda.requests: tiers that ascend from 0, prices of 0 or more, `per` above 0";
        let cases = [
            (format!("\"lambda.request\" = {{ usd = 1, {good} }}"), "lambda.request: no such price"),
            (format!("\"lambda.requests\" = {{ {good} }}"), "lambda.requests: `usd` or `tiers`"),
            (format!("\"lambda.requests\" = {{ tiers = [[5, 1.0]], {good} }}"), wrong),
            (format!("\"lambda.requests\" = {{ usd = -1, {good} }}"), wrong),
        ];
        for (text, told) in cases {
            assert_eq!(row(&text), told);
        }
    }
}
