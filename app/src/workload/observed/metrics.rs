//! CloudWatch: `aws cloudwatch get-metric-data`.
//!
//! An answer says of a series only its label, so the commands that we print give labels that say everything:
//! `service/name/metric/statistic/period`, the period in seconds.

use serde::Deserialize;

use super::{Metric, Observed, json};
use crate::{Diagnostics, file::quoted};

/// What a label of ours begins with.
const SERVICES: [&str; 3] = ["lambda", "sqs", "apigateway"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    metric_data_results: Vec<Series>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Series {
    #[serde(default)]
    label: String,
    #[serde(default)]
    timestamps: Vec<Timestamp>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    status_code: String,
}

/// The second version of the command-line tool writes text, others seconds.
#[derive(Deserialize)]
#[serde(untagged)]
enum Timestamp {
    Seconds(f64),
    Text(String),
}

impl Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be less than 1e11")]
    fn seconds(&self) -> Option<i64> {
        match self {
            Timestamp::Seconds(seconds) => (0.0..1e11).contains(seconds).then_some(*seconds as i64),
            Timestamp::Text(text) => seconds_of(text),
        }
    }
}

impl Observed {
    /// Takes an answer of `aws cloudwatch get-metric-data`.
    ///
    /// # Errors
    /// Where it is none, was cut off, or has a value below zero.
    pub fn metrics(&mut self, file: &str, text: &str) -> Result<(), Diagnostics> {
        let what =
            "it is what `aws cloudwatch get-metric-data` answers: see `flyball import --print-commands`";
        let answers: Vec<Answer> = json::answers(file, text, what)?;
        let (mut taken, mut other) = (0_usize, 0_usize);
        for series in answers.into_iter().flat_map(|answer| answer.metric_data_results) {
            let Some((metric, period_s)) = metric_of(&series.label) else {
                other += 1;
                continue;
            };
            let refuse = |message: &str| {
                let message = format!("{}: {message}", quoted(&series.label));
                Err(json::wrong(file, "", (1, 1), &message, what))
            };
            if series.timestamps.len() != series.values.len() {
                return refuse("it has another number of values than of timestamps");
            }
            if !matches!(series.status_code.as_str(), "" | "Complete") {
                self.notes.push(format!("{file}: {} is {}", series.label, series.status_code));
            }
            let points = self.metrics.entry(metric).or_default();
            points.period_s = period_s;
            for (at, value) in series.timestamps.iter().zip(&series.values) {
                let Some(at) = at.seconds() else { return refuse("it has a timestamp that is none") };
                if !(0.0..=1e15).contains(value) {
                    return refuse(&format!("it has a value of {value}"));
                }
                points.values.insert(at, *value);
            }
            taken += 1;
        }
        if other > 0 {
            self.notes.push(format!(
                "{file}: {other} series have labels of another form than service/name/metric/statistic/period"
            ));
        }
        self.files.push(format!("{file}: {taken} series of CloudWatch"));
        Ok(())
    }
}

/// What a label of ours says.
fn metric_of(label: &str) -> Option<(Metric, i64)> {
    let parts: Vec<&str> = label.split('/').collect();
    let [service, name, metric, statistic, period] = parts.as_slice() else { return None };
    let period: i64 = period.parse().ok().filter(|period| (1..=86_400).contains(period))?;
    let known = SERVICES.contains(service) && !name.is_empty();
    let metric = Metric {
        service: (*service).to_string(),
        name: (*name).to_string(),
        metric: (*metric).to_string(),
        statistic: (*statistic).to_string(),
    };
    known.then_some((metric, period))
}

/// `2026-11-25T10:00:00Z`, with or without a fraction; also with `+00:00`.
fn seconds_of(text: &str) -> Option<i64> {
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fits = (1_970..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let rest = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let east = match rest {
        "" | "Z" => 0,
        _ => {
            let sign = if rest.starts_with('-') { -1 } else { 1 };
            let digits = rest.get(1..)?.replace(':', "");
            let (hours, minutes) = digits.split_at_checked(2)?;
            sign * (hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60)
        }
    };
    // Days since the epoch: years begin in March here, so that the leap day is the last one.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    fits.then(|| days * 86_400 + hour * 3_600 + minute * 60 + second - east)
}

/// A second since the epoch as `2026-11-25T10:00Z`.
pub(super) fn moment(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}Z", rest / 3_600, rest % 3_600 / 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:30:00Z", 951_827_400),
            ("2026-11-25T10:05:00+00:00", 1_795_601_100),
            ("2026-11-25T11:05:00.123+01:00", 1_795_601_100),
            ("2026-11-25T05:05:00-0500", 1_795_601_100),
        ];
        for (text, seconds) in cases {
            assert_eq!(seconds_of(text), Some(seconds), "{text}");
        }
        assert_eq!(moment(951_827_400), "2000-02-29T12:30Z");
        assert_eq!(moment(1_795_601_100), "2026-11-25T10:05Z");
        for wrong in ["", "yesterday", "2026-13-01T00:00:00Z", "2026-11-25", "2026-11-25T10:00:00+é1"] {
            assert_eq!(seconds_of(wrong), None, "{wrong}");
        }
    }
}
