//! Numbers as people read them: no more digits than mean something, always with their unit.

/// A load as a factor: `4.1×`, `12×`, `0.25×`.
pub(super) fn factor(value: f64) -> String {
    let value = finite(value);
    let digits = match value.abs() {
        v if v >= 9.95 || v == 0.0 => 0,
        v if v >= 0.995 => 1,
        v if v >= 0.0995 => 2,
        v if v >= 0.00995 => 3,
        _ => 4,
    };
    format!("{}×", fixed(value, digits))
}

/// Events per second, or per minute or hour where that is fewer than one: `156/s`, `4.5/s`, `12/min`.
pub(super) fn rate(per_s: f64) -> String {
    let per_s = finite(per_s);
    match per_s.abs() {
        0.0 => "0/s".into(),
        v if v >= 0.995 => format!("{}/s", plain(per_s)),
        v if v * 60.0 >= 0.995 => format!("{}/min", plain(per_s * 60.0)),
        _ => format!("{}/h", plain(per_s * 3_600.0)),
    }
}

/// The same in a sentence: `156 events/s`.
pub(super) fn events(per_s: f64) -> String {
    rate(per_s).replace('/', " events/")
}

/// Milliseconds: `0.4 ms`, `240 ms`, `1.4 s`, `14 s`, `12 min`, `3.5 h`, `4 days`. Two digits are enough.
pub(super) fn millis(ms: f64) -> String {
    let ms = finite(ms);
    match ms.abs() {
        v if v < 999.5 => format!("{} ms", significant2(ms)),
        _ => seconds(ms / 1_000.0),
    }
}

/// Seconds, in the unit that suits.
pub(super) fn seconds(s: f64) -> String {
    let s = finite(s);
    match s.abs() {
        0.0 => "0 s".into(),
        v if v < 0.9995 => format!("{} ms", significant2(s * 1_000.0)),
        v if v < 119.5 => format!("{} s", significant2(s)),
        v if v < 7_170.0 => format!("{} min", significant2(s / 60.0)),
        v if v < 172_000.0 => format!("{} h", significant2(s / 3_600.0)),
        v if v < 8_640_000.0 => format!("{} days", significant2(s / 86_400.0)),
        _ => format!("{} days", plain(s / 86_400.0)),
    }
}

/// A moment after the beginning: `0:42`, `12:05`, `3:07:30`.
pub(super) fn moment(s: f64) -> String {
    let whole = whole(s);
    let (hours, minutes, rest) = (whole / 3_600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{rest:02}") } else { format!("{minutes}:{rest:02}") }
}

/// How many: `0`, `12,411`, `3.45 million`.
pub(super) fn count(value: u64) -> String {
    match value {
        0..10_000_000 => thousands(&value.to_string()),
        _ => plain(float(value)),
    }
}

/// Up to three significant digits, whole above 100, with separators of thousands: `0.25`, `4.1`, `1,250`, `12.4
/// million`.
pub(super) fn plain(value: f64) -> String {
    let value = finite(value);
    match value.abs() {
        0.0 => "0".into(),
        v if v >= 9_999_500_000.0 => format!("{} billion", significant(value / 1e9)),
        v if v >= 9_999_500.0 => format!("{} million", significant(value / 1e6)),
        v if v >= 99.95 => thousands(&fixed(value, 0)),
        _ => significant(value),
    }
}

/// US dollars: `$0.00031`, `$4.20`, `$1,240`.
pub(super) fn usd(value: f64) -> String {
    let value = finite(value);
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    match value {
        0.0 => "$0".into(),
        v if v >= 9_999_500.0 => format!("{sign}${}", plain(v)),
        v if v >= 99.995 => format!("{sign}${}", thousands(&format!("{v:.0}"))),
        v if v >= 0.995 => format!("{sign}${v:.2}"),
        v => format!("{sign}${}", significant(v)),
    }
}

/// A share of a hundred: `0.1 %`, `62 %`, `99.9 %`.
pub(super) fn percent(value: f64) -> String {
    let value = finite(value);
    // What is not all must not read as all.
    let text = match value.abs() {
        v if (99.5..100.0).contains(&v) => trimmed(fixed((value * 100.0).trunc() / 100.0, 2)),
        v if v >= 10.0 => fixed(value, 0),
        _ => significant2(value),
    };
    format!("{text} %")
}

/// A number with a unit, each unit as it is usually read.
pub(super) fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "percent" => percent(value),
        "ms" => millis(value),
        "s" => seconds(value),
        "USD" => usd(value),
        "bytes" => bytes(value),
        "" => plain(value),
        unit if unit.ends_with("/s") => format!("{} {unit}", plain(value)),
        unit => format!("{} {}", plain(value), if value == 1.0 { one_of(unit) } else { unit }),
    }
}

/// A unit of which there is one: `batches` become `batch`, `calls at once` `call at once`.
fn one_of(unit: &str) -> &str {
    match unit {
        "batches" => "batch",
        "calls at once" => "call at once",
        unit => unit.strip_suffix('s').unwrap_or(unit),
    }
}

/// The same where a heading has the unit already, or the unit says nothing new.
pub(super) fn short(value: f64, unit: &str) -> String {
    match unit {
        "percent" | "ms" | "s" | "USD" | "bytes" => with_unit(value, unit),
        unit if unit.ends_with("/s") => format!("{}/s", plain(value)),
        "MB" => format!("{} MB", plain(value)),
        _ => plain(value),
    }
}

fn bytes(value: f64) -> String {
    let units = [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB")];
    match units.into_iter().find(|(size, _)| value.abs() >= *size) {
        Some((size, unit)) => format!("{} {unit}", plain(value / size)),
        None => format!("{} bytes", plain(value)),
    }
}

/// What is in the middle, and in brackets from where to where it goes, where that can be told apart.
pub(super) fn range(words: fn(f64) -> String, min: f64, median: f64, max: f64) -> String {
    let (least, most) = (words(min), words(max));
    if least == most { words(median) } else { format!("{} ({least} – {most})", words(median)) }
}

/// From where to where something goes, in few letters: `240–260 ms`.
pub(super) fn from_to(words: fn(f64) -> String, min: f64, max: f64) -> String {
    let (least, most) = (words(min), words(max));
    if least == most {
        return most;
    }
    let unit = |text: &str| text.split_once(' ').map(|(_, unit)| unit.to_string());
    match (unit(&least), least.split_once(' ')) {
        (Some(of), Some((number, _))) if unit(&most) == Some(of.clone()) => format!("{number}–{most}"),
        _ => format!("{least}–{most}"),
    }
}

/// A number of things with the word for them: `1 tenant`, `412 tenants`.
pub(super) fn counted(number: u64, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {word}{plural}", count(number))
}

/// Three significant digits below 100, without zeros at the end.
fn significant(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        v if v >= 0.9995 => 2,
        v if v >= 0.09995 => 3,
        v if v >= 0.009995 => 4,
        v if v >= 0.0009995 => 5,
        _ => 7,
    };
    trimmed(fixed(value, digits))
}

/// Two significant digits, without zeros at the end.
fn significant2(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        v if v >= 9.95 => 0,
        v if v >= 0.995 => 1,
        v if v >= 0.0995 => 2,
        v if v >= 0.00995 => 3,
        _ => 4,
    };
    trimmed(fixed(value, digits))
}

fn fixed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    if text.trim_start_matches(['-', '0', '.']).is_empty() { "0".into() } else { text }
}

fn trimmed(text: String) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

fn thousands(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let mut out = sign.to_string();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What is not finite is nothing that can be said.
pub(super) fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

/// Whole seconds of a moment.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn whole(s: f64) -> u64 {
    finite(s).clamp(0.0, 4e15).round() as u64
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "only for shares and plots: the sixteenth digit is not shown")]
pub(super) fn float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        let cases: &[(String, &str)] = &[
            (factor(4.104), "4.1×"),
            (factor(1.0), "1.0×"),
            (factor(0.25), "0.25×"),
            (factor(0.011_33), "0.011×"),
            (factor(12.4), "12×"),
            (factor(9.96), "10×"),
            (factor(f64::NAN), "0×"),
            (rate(156.2), "156/s"),
            (rate(4.5), "4.5/s"),
            (rate(0.2), "12/min"),
            (rate(0.001), "3.6/h"),
            (millis(0.42), "0.42 ms"),
            (millis(999.7), "1 s"),
            (millis(14_230.0), "14 s"),
            (millis(1_090.0), "1.1 s"),
            (events(156.2), "156 events/s"),
            (seconds(720.0), "12 min"),
            (seconds(12_600.0), "3.5 h"),
            (seconds(0.25), "250 ms"),
            (moment(725.4), "12:05"),
            (moment(11_250.0), "3:07:30"),
            (moment(-1.0), "0:00"),
            (count(12_411), "12,411"),
            (count(34_500_000), "34.5 million"),
            (plain(1_249.6), "1,250"),
            (plain(99.96), "100"),
            (plain(f64::INFINITY), "0"),
            (usd(0.000_312), "$0.000312"),
            (usd(4.2), "$4.20"),
            (usd(1_239.7), "$1,240"),
            (percent(0.1), "0.1 %"),
            (percent(62.4), "62 %"),
            (percent(99.97), "99.97 %"),
            (percent(100.0), "100 %"),
            (with_unit(3.2, "percent"), "3.2 %"),
            (with_unit(1_048_576.0, "bytes"), "1 MiB"),
            (with_unit(1_000.0, "environments"), "1,000 environments"),
            (counted(1, "tenant"), "1 tenant"),
            (range(millis, 240.0, 251.0, 260.0), "251 ms (240 ms – 260 ms)"),
            (range(millis, 251.0, 251.1, 251.2), "251 ms"),
            (from_to(millis, 240.0, 260.0), "240–260 ms"),
            (from_to(millis, 940.0, 1_260.0), "940 ms–1.3 s"),
            (from_to(percent, 0.0, 0.0), "0 %"),
        ];
        for (said, expected) in cases {
            assert_eq!(said, expected);
        }
    }
}
