use std::collections::BTreeMap;

use flyball_app::workload::{
    Arrivals as Within, Client, Lasting, Recorded, Retry, Series, Shape, Source, Tenants, Volume,
};

use super::*;

const HOUR: Span = Span::from_secs(3_600);

fn source(volume: Volume) -> Source {
    Source {
        to: None,
        volume,
        shape: Shape::Flat,
        arrivals: Within::Poisson,
        from: Span::ZERO,
        until: None,
        events_max: None,
        tenants: Tenants::Many { count: 1, zipf: 0.0 },
        event_bytes: 1_024,
        items: 1,
        client: Client { timeout: None, retry: Retry::default(), retry_budget_percent: None, keyed: false },
        scaled: true,
        as_functions: false,
    }
}

fn per_second(rate: f64) -> Source {
    source(Volume::PerSecond(rate))
}

fn trace(series: &[&[u32]]) -> Source {
    let series =
        series.iter().map(|counts| Series { counts: counts.to_vec(), ..Series::default() }).collect();
    source(Volume::Recorded(Recorded { what: "test".into(), slot: Span::from_secs(60), series }))
}

fn all(source: &Source, duration: Span, scale: f64, seed: u64) -> Vec<Arrival> {
    let arrivals: Vec<Arrival> =
        Arrivals::new("s", source, Window::of(duration), scale, seed).unwrap().collect();
    assert!(arrivals.is_sorted_by_key(|arrival| arrival.at), "time goes back");
    let until = source.until.unwrap_or(duration).min(duration);
    assert!(arrivals.iter().all(|arrival| arrival.at >= source.from && arrival.at < until));
    arrivals
}

/// Events in each minute.
fn minutes(arrivals: &[Arrival]) -> Vec<f64> {
    let mut minutes = vec![0.0; 60];
    arrivals.iter().for_each(|arrival| minutes[(arrival.at.0 / 60_000_000) as usize] += 1.0);
    minutes
}

#[test]
fn poisson_counts_have_the_mean_and_the_variance_of_the_theory() {
    let minutes = minutes(&all(&per_second(40.0), HOUR, 0.5, 1));
    let mean = minutes.iter().sum::<f64>() / 60.0;
    assert!((mean - 1_200.0).abs() < 4.0 * (1_200.0f64 / 60.0).sqrt(), "mean {mean}");
    // Chi-square of 60 minutes about their stated mean: 60 ± 4 × √120.
    let chi: f64 = minutes.iter().map(|count| (count - 1_200.0).powi(2) / 1_200.0).sum();
    assert!((16.0..104.0).contains(&chi), "chi-square {chi}");
}

#[test]
fn constant_arrivals_are_equally_far_apart_and_exactly_as_many_as_stated() {
    let events = all(&Source { arrivals: Within::Constant, ..per_second(10.0) }, HOUR, 1.0, 1);
    assert_eq!(events.len(), 36_000);
    assert_eq!(events[0].at, Span::from_millis(50));
    for (before, after) in events.iter().zip(&events[1..]) {
        assert!((after.at.0 - before.at.0).abs_diff(100_000) <= 1, "{before:?} {after:?}");
    }
}

#[test]
fn bursts_are_whole_and_as_many_as_their_size_makes_them() {
    let events = all(&Source { arrivals: Within::Bursts { size: 25 }, ..per_second(50.0) }, HOUR, 1.0, 1);
    let mut bursts: BTreeMap<Span, u32> = BTreeMap::new();
    events.iter().for_each(|event| *bursts.entry(event.at).or_default() += 1);
    assert!(bursts.values().all(|size| size % 25 == 0));
    let expected = 50.0 * 3_600.0 / 25.0;
    assert!((bursts.len() as f64 - expected).abs() < 4.0 * expected.sqrt(), "{} bursts", bursts.len());
}

#[test]
fn every_shape_gives_the_events_that_its_rate_comes_to_minute_by_minute() {
    let minute = |n: u64| Span::from_secs(n * 60);
    // Events a second at the minute's middle.
    type Rate = fn(f64) -> f64;
    let cases: [(Shape, Rate); 4] = [
        (Shape::Ramp { from: 0.2, to: 1.0 }, |m| 20.0 + 80.0 * m / 60.0),
        (Shape::Diurnal { peak_to_mean: 1.6, period: HOUR }, |m| {
            62.5 - 37.5 * (m / 60.0 * std::f64::consts::TAU).cos()
        }),
        (Shape::Diurnal { peak_to_mean: 1.6, period: minute(30) }, |m| {
            62.5 - 37.5 * (m / 30.0 * std::f64::consts::TAU).cos()
        }),
        (
            Shape::Points(vec![(minute(10), 0.5), (minute(20), 0.0), (minute(30), 0.0), (minute(30), 1.0)]),
            |m| match m {
                m if m < 10.0 => 50.0,
                m if m < 20.0 => 100.0 - m * 5.0,
                m if m < 30.0 => 0.0,
                _ => 100.0,
            },
        ),
    ];
    for (shape, rate) in cases {
        for arrivals in [Within::Poisson, Within::Constant] {
            let events = all(&Source { shape: shape.clone(), arrivals, ..per_second(100.0) }, HOUR, 1.0, 5);
            let mut chi = 0.0;
            for (number, count) in minutes(&events).into_iter().enumerate() {
                let expected = 60.0 * rate(number as f64 + 0.5);
                let sigma = if arrivals == Within::Poisson { expected.sqrt() } else { 0.0 };
                let rounding = 2.0 + expected * 2e-3;
                assert!(
                    (count - expected).abs() <= 4.5 * sigma + rounding,
                    "{shape:?}, minute {number}: {count}"
                );
                chi += if expected > 0.0 { (count - expected).powi(2) / expected } else { 0.0 };
            }
            assert!(chi < 104.0, "{shape:?}: chi-square {chi}");
        }
    }
}

#[test]
fn a_source_has_its_window_and_its_number() {
    let window = Source {
        from: Span::from_secs(600),
        until: Some(Span::from_secs(1_200)),
        arrivals: Within::Constant,
        shape: Shape::Ramp { from: 0.0, to: 1.0 },
        ..per_second(10.0)
    };
    assert_eq!(all(&window, HOUR, 1.0, 1).len(), 3_000);
    assert_eq!(Arrivals::new("s", &window, Window::of(HOUR), 1.0, 1).unwrap().expected(), 3_000.0);
    assert_eq!(all(&Source { events_max: Some(17), ..window.clone() }, HOUR, 1.0, 1).len(), 17);
    assert_eq!(all(&Source { scaled: false, ..window.clone() }, HOUR, 9.0, 1).len(), 3_000);
    assert_eq!(all(&window, Span::from_secs(300), 1.0, 1).len(), 0);
    assert_eq!(all(&window, Span::ZERO, 1.0, 1).len(), 0);
    assert_eq!(all(&per_second(0.0), HOUR, 1.0, 1).len(), 0);
    assert_eq!(
        all(&Source { shape: Shape::Ramp { from: 0.0, to: 0.0 }, ..per_second(9.0) }, HOUR, 1.0, 1),
        []
    );
}

#[test]
fn tenants_follow_zipf() {
    const N: f64 = 180_000.0;
    for (count, zipf) in [(10u32, 0.0), (10, 1.0), (1_000, 0.7), (100_000, 1.1)] {
        let events =
            all(&Source { tenants: Tenants::Many { count, zipf }, ..per_second(50.0) }, HOUR, 1.0, 3);
        let mut counts = vec![0.0; count as usize];
        events.iter().for_each(|event| counts[event.tenant as usize] += 1.0);
        let weights: Vec<f64> = (1..=count).map(|rank| f64::from(rank).powf(-zipf)).collect();
        let sum: f64 = weights.iter().sum();
        for rank in [0, 1, 2, count as usize / 2] {
            let expected = N * weights[rank] / sum;
            let off = (counts[rank] - expected).abs();
            assert!(
                off < 4.5 * expected.sqrt() + 3.0,
                "{count} {zipf}, rank {rank}: {} {expected}",
                counts[rank]
            );
        }
    }
}

#[test]
fn other_tenants_do_not_change_the_times() {
    let at = |source: &Source, seed| all(source, HOUR, 1.0, seed).iter().map(|e| e.at).collect::<Vec<_>>();
    let plain = per_second(1.0);
    let shared = Source { tenants: Tenants::Many { count: 50, zipf: 1.0 }, ..plain.clone() };
    assert_eq!(at(&plain, 1), at(&shared, 1));
    assert_ne!(at(&plain, 1), at(&plain, 2));
}

#[test]
fn a_trace_gives_its_counts_slot_by_slot_and_series_by_series() {
    let counts: [&[u32]; 3] = [&[3, 0, 500, 1], &[0, 0, 20], &[7; 60]];
    for arrivals in [Within::Poisson, Within::Constant, Within::Bursts { size: 6 }] {
        let events = all(&Source { arrivals, ..trace(&counts) }, HOUR, 1.0, 1);
        let mut got = vec![vec![0u32; 60]; 3];
        events.iter().for_each(|e| got[e.series as usize][(e.at.0 / 60_000_000) as usize] += 1);
        for (series, counts) in counts.iter().enumerate() {
            assert_eq!(&got[series][..counts.len()], *counts, "{arrivals:?}");
            assert!(got[series][counts.len()..].iter().all(|count| *count == 0));
        }
    }
}

#[test]
fn a_trace_lies_evenly_within_its_slots() {
    // 60 slots of 400, in tenths of a slot: 2,400 each, chi-square of 10 classes at most 9 + 4 × √18.
    let events = all(&trace(&[&[400; 60]]), HOUR, 1.0, 2);
    let mut tenths = [0.0f64; 10];
    events.iter().for_each(|event| tenths[(event.at.0 / 6_000_000 % 10) as usize] += 1.0);
    let chi: f64 = tenths.iter().map(|count| (count - 2_400.0).powi(2) / 2_400.0).sum();
    assert!(chi > 0.5 && chi < 26.0, "chi-square {chi}");
}

#[test]
fn a_trace_is_scaled_in_the_mean_and_shifted_by_its_beginning() {
    let trace = trace(&[&[1; 60], &[3; 60]]);
    let arrivals = Arrivals::new("s", &trace, Window::of(HOUR), 0.3, 1).unwrap();
    assert_eq!(arrivals.expected(), 72.0);
    assert!((arrivals.peak_per_s() - 4.0 * 0.3 / 60.0).abs() < 1e-12);
    let many: usize = (0..200).map(|seed| all(&trace, HOUR, 0.3, seed).len()).sum();
    // Of each seed 60 × (0.3 × 0.7 + 0.9 × 0.1) is the variance.
    assert!((many as f64 - 72.0 * 200.0).abs() < 4.0 * (200.0 * 18.0f64).sqrt(), "{many}");
    let late = all(&Source { from: Span::from_secs(1_800), ..trace.clone() }, HOUR, 1.0, 1);
    assert_eq!(late.len(), 120);
    assert_eq!(all(&trace, HOUR, 2.0, 1).len(), 480);
}

#[test]
fn users_are_the_worlds_to_drive() {
    let think = Lasting::Constant(Span::from_secs(1));
    let closed = source(Volume::Users { count: 10, think });
    let mut arrivals = Arrivals::new("s", &closed, Window::of(HOUR), 2.5, 1).unwrap();
    assert_eq!(arrivals.next(), None);
    assert_eq!(
        arrivals.users().map(|users| (users.count, users.think.mean())),
        Some((25, Span::from_secs(1)))
    );
    assert!(Arrivals::new("s", &per_second(1.0), Window::of(HOUR), 1.0, 1).unwrap().users().is_none());
}

#[test]
fn what_can_not_be_simulated_is_refused_with_its_limit() {
    let secs = Span::from_secs;
    let year_of = |years: u64| secs(years * 365 * 24 * 3_600);
    let shaped = |shape| Source { shape, ..per_second(1.0) };
    let tenants = |count, zipf| Source { tenants: Tenants::Many { count, zipf }, ..per_second(1.0) };
    let think = Lasting::Constant(Span::from_secs(1));
    let cases = [
        (per_second(1e12), HOUR, 1.0),
        (per_second(100.0), HOUR, 1e9),
        (per_second(1.0), year_of(100), 1.0),
        (per_second(1e3), year_of(1), 1.0),
        (per_second(f64::NAN), HOUR, 1.0),
        (per_second(-1.0), HOUR, 1.0),
        (per_second(1.0), HOUR, f64::INFINITY),
        (trace(&[&[u32::MAX; 60]]), HOUR, 1.0),
        (source(Volume::Users { count: 1_000, think }), HOUR, 1e6),
        (tenants(0, 0.0), HOUR, 1.0),
        (tenants(200_000, 0.0), HOUR, 1.0),
        (tenants(10, -1.0), HOUR, 1.0),
        (shaped(Shape::Points(vec![])), HOUR, 1.0),
        (shaped(Shape::Points(vec![(secs(9), 1.0), (secs(1), 1.0)])), HOUR, 1.0),
        (shaped(Shape::Ramp { from: -1.0, to: 1.0 }), HOUR, 1.0),
        (shaped(Shape::Diurnal { peak_to_mean: 0.5, period: HOUR }), HOUR, 1.0),
        (shaped(Shape::Diurnal { peak_to_mean: 2.0, period: Span::ZERO }), HOUR, 1.0),
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|(source, duration, scale)| {
            Arrivals::new("orders", source, Window::of(*duration), *scale, 1)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
    // A number that the source itself sets is good enough.
    assert_eq!(all(&Source { events_max: Some(5), ..per_second(1e12) }, HOUR, 1.0, 1).len(), 5);
}

/// A part of the traffic is the part of the whole: as much, from the same moments on.
#[test]
fn a_part_of_the_traffic_is_as_much_as_it_is_of_the_whole() {
    let day = Span::from_secs(86_400);
    let shapes = [
        Shape::Flat,
        Shape::Ramp { from: 0.0, to: 1.0 },
        Shape::Diurnal { peak_to_mean: 4.0, period: day },
        Shape::Points(vec![(Span::ZERO, 0.2), (HOUR, 1.0), (Span::from_secs(40_000), 0.1)]),
    ];
    for shape in shapes {
        let source = Source { shape: shape.clone(), ..per_second(2.0) };
        let whole = Arrivals::new("s", &source, Window::of(day), 1.0, 1).unwrap();
        let mut all = 0.0;
        for part in 0..6 {
            let begins = Span::from_secs(part * 14_400);
            let window = Window { begins, lasts: Span::from_secs(14_400), rises: Span::ZERO, whole: day };
            let arrivals = Arrivals::new("s", &source, window, 1.0, part).unwrap();
            let expected = whole.expected_within(begins, window.ends());
            assert!((arrivals.expected() - expected).abs() < 1e-6 * expected.max(1.0), "{shape:?} {part}");
            all += expected;
            let events: Vec<Arrival> = arrivals.collect();
            assert!(events.iter().all(|event| event.at < window.lasts), "{shape:?} {part}");
            let count = events.len() as f64;
            assert!((count - expected).abs() < 5.0 * expected.max(1.0).sqrt(), "{shape:?} {part}: {count}");
        }
        assert!((all - whole.expected()).abs() < 1e-6 * all, "{shape:?}");
    }
    let recorded = trace(&[&[0; 30], &[10; 60]]);
    let window = Window { begins: Span::from_secs(1_830), lasts: HOUR, rises: Span::ZERO, whole: HOUR };
    let events: Vec<Arrival> = Arrivals::new("s", &recorded, window, 1.0, 1).unwrap().collect();
    // Of the slot that is under way, the half; of the others, all.
    assert!((270..=299).contains(&events.len()), "{}", events.len());
    assert!(events.windows(2).all(|two| two[0].at <= two[1].at), "in their order");
}

#[test]
fn a_part_that_begins_in_the_middle_rises_from_nothing() {
    let source = per_second(100.0);
    let rises = Span::from_secs(300);
    let window = Window { begins: HOUR, lasts: Span::from_secs(600), rises, whole: Span::from_secs(7_200) };
    let events: Vec<Arrival> = Arrivals::new("s", &source, window, 1.0, 1).unwrap().collect();
    let before = events.iter().filter(|event| event.at < rises).count() as f64;
    let after = events.iter().filter(|event| event.at >= rises).count() as f64;
    assert!((before - 15_000.0).abs() < 5.0 * 15_000f64.sqrt(), "{before}");
    assert!((after - 30_000.0).abs() < 5.0 * 30_000f64.sqrt(), "{after}");
    let first = events.iter().filter(|event| event.at < Span::from_secs(30)).count();
    assert!(first < 300, "{first} of 3,000");
}

#[test]
fn users_of_a_part_begin_and_end_within_it() {
    let think = Lasting::Constant(Span::from_secs(1));
    let closed = Source {
        from: Span::from_secs(600),
        until: Some(Span::from_secs(1_500)),
        ..source(Volume::Users { count: 10, think })
    };
    let window = Window { begins: Span::from_secs(900), lasts: HOUR, rises: Span::ZERO, whole: HOUR };
    let arrivals = Arrivals::new("s", &closed, window, 1.0, 1).unwrap();
    let users = arrivals.users().unwrap();
    assert_eq!((users.from, users.until), (Span::ZERO, Span::from_secs(600)));
}
