//! `cron(minutes hours day-of-month month day-of-week year)` as AWS reads it, and its shortest interval.

const NONE: &str = "it is no cron expression";

/// Years that are looked at where any will do: with three leap years, so that every distance of days occurs.
const YEARS: (i64, i64) = (2024, 2032);

/// Of years that are listed, so many are looked at.
const YEARS_MAX: usize = 16;

/// The shortest time between two runs, in seconds.
pub(super) fn shortest_s(text: &str) -> Result<i64, &'static str> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [minutes, hours, day, month, weekday, year] = fields.as_slice() else { return Err(NONE) };
    let minutes = numbers(minutes, 0, 59, &[]).ok_or(NONE)?;
    let hours = numbers(hours, 0, 23, &[]).ok_or(NONE)?;
    let months = numbers(month, 1, 12, &MONTHS).ok_or(NONE)?;
    let years = match *year {
        "*" | "?" => (YEARS.0..=YEARS.1).collect(),
        year => numbers(year, 1970, 2199, &[]).ok_or(NONE)?,
    };
    let days = Days::read(day, weekday).ok_or(NONE)?;

    let times: Vec<i64> =
        hours.iter().flat_map(|hour| minutes.iter().map(move |minute| hour * 60 + minute)).collect();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Err(NONE) };
    let within = times.iter().zip(times.iter().skip(1)).map(|(a, b)| b - a).min();
    let from_last_to_first = 24 * 60 - last + first;

    if matches!(days, Days::Every) && months.len() == 12 && years.len() > 1 {
        return Ok(within.map_or(from_last_to_first, |within| within.min(from_last_to_first)) * 60);
    }
    let mut between = None;
    let mut before: Option<i64> = None;
    for (year, month) in
        years.iter().take(YEARS_MAX).flat_map(|year| months.iter().map(move |month| (*year, *month)))
    {
        let first_day = day_number(year, month, 1);
        let length = month_length(year, month);
        for day in days.of(first_day, length) {
            let number = first_day + day - 1;
            if let Some(before) = before {
                let gap = (number - before - 1) * 24 * 60 + from_last_to_first;
                between = Some(between.map_or(gap, |shortest: i64| shortest.min(gap)));
            }
            before = Some(number);
        }
    }
    if before.is_none() {
        return Err("it never runs");
    }
    within.into_iter().chain(between).min().map(|minutes| minutes * 60).ok_or("it runs once")
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The numbers that a field names, in order: `*`, `1,3`, `1-5`, `*/10`, `5/15`, `MON-FRI`.
fn numbers(field: &str, min: i64, max: i64, names: &[&str]) -> Option<Vec<i64>> {
    let number = |text: &str| {
        let named = names.iter().zip(min..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let number = named.map_or_else(|| text.parse().ok(), |(_, number)| Some(number))?;
        (min..=max).contains(&number).then_some(number)
    };
    let mut all = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<i64>().ok().filter(|step| *step > 0)?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (min, max),
            Some((from, to)) => (number(from)?, number(to)?),
            None => {
                let from = number(range)?;
                (from, if step.is_some() { max } else { from })
            }
        };
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        // `FRI-MON` goes around.
        let upto = if from <= to { to } else { max };
        all.extend((from..=upto).step_by(step));
        if from > to {
            all.extend((min..=to).step_by(step));
        }
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// Which days a month has runs on.
enum Days {
    /// Every day.
    Every,
    /// These of the month.
    OfMonth(Vec<i64>),
    /// The last of the month, less so many.
    Last(i64),
    /// The working day nearest to this one; 0: the last one.
    Workday(i64),
    /// These of the week; 1 is Sunday.
    OfWeek(Vec<i64>),
    /// The `n`th such day of the week; 0: the last one.
    NthOfWeek(i64, i64),
}

impl Days {
    fn read(day: &str, weekday: &str) -> Option<Days> {
        let any = |field: &str| matches!(field, "*" | "?");
        match (any(day), any(weekday)) {
            (true, true) => Some(Days::Every),
            (true, false) => Days::of_week(weekday),
            (false, true) => Days::of_month(day),
            // AWS takes no expression that says both.
            (false, false) => None,
        }
    }

    fn of_month(field: &str) -> Option<Days> {
        match field {
            "L" => return Some(Days::Last(0)),
            "LW" => return Some(Days::Workday(0)),
            _ => {}
        }
        if let Some(before) = field.strip_prefix("L-") {
            return before.parse().ok().filter(|days| (0..31).contains(days)).map(Days::Last);
        }
        if let Some(near) = field.strip_suffix('W') {
            return near.parse().ok().filter(|day| (1..=31).contains(day)).map(Days::Workday);
        }
        numbers(field, 1, 31, &[]).map(Days::OfMonth)
    }

    fn of_week(field: &str) -> Option<Days> {
        let one = |text: &str| numbers(text, 1, 7, &WEEKDAYS)?.first().copied();
        if let Some((weekday, nth)) = field.split_once('#') {
            let nth = nth.parse().ok().filter(|nth| (1..=5).contains(nth))?;
            return Some(Days::NthOfWeek(one(weekday)?, nth));
        }
        match field.strip_suffix('L') {
            Some("") => Some(Days::OfWeek(vec![7])),
            Some(weekday) => Some(Days::NthOfWeek(one(weekday)?, 0)),
            None => numbers(field, 1, 7, &WEEKDAYS).map(Days::OfWeek),
        }
    }

    /// Those of a month with a first day and a length, in order.
    fn of(&self, first_day: i64, length: i64) -> Vec<i64> {
        // 1 January 1970, day 0, was a Thursday, which is 5.
        let weekday = |day: i64| (first_day + day - 1 + 4).rem_euclid(7) + 1;
        let first = |of: i64| 1 + (of - weekday(1)).rem_euclid(7);
        let mut days = match self {
            Days::Every => (1..=length).collect(),
            Days::OfMonth(days) => days.clone(),
            Days::Last(before) => vec![length - before],
            Days::Workday(0) => vec![workday(length, length, weekday(length))],
            Days::Workday(near) if *near <= length => vec![workday(*near, length, weekday(*near))],
            Days::Workday(_) => Vec::new(),
            Days::OfWeek(of) => of.iter().flat_map(|of| (first(*of)..=length).step_by(7)).collect(),
            Days::NthOfWeek(of, 0) => vec![first(*of) + (length - first(*of)) / 7 * 7],
            Days::NthOfWeek(of, nth) => vec![first(*of) + (nth - 1) * 7],
        };
        days.retain(|day| (1..=length).contains(day));
        days.sort_unstable();
        days
    }
}

/// The working day of the same month that is nearest to a day.
fn workday(near: i64, length: i64, weekday: i64) -> i64 {
    match weekday {
        7 if near == 1 => 3,
        7 => near - 1,
        1 if near == length => near - 2,
        1 => near + 1,
        _ => near,
    }
}

fn month_length(year: i64, month: i64) -> i64 {
    day_number(year + month / 12, month % 12 + 1, 1) - day_number(year, month, 1)
}

/// Days since 1 January 1970, in the Gregorian calendar.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that a leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
