use super::{Limit, Profile};

#[test]
fn every_limit_of_aws_has_a_row_with_source_and_date() {
    let aws = Profile::built_in("aws").expect("the profile is good");
    for limit in Limit::ALL {
        let ours = *limit == Limit::ApiFlyballBytesMax;
        let row = aws.row(*limit);
        assert_eq!(row.is_none(), ours, "{}", limit.key());
        assert!(
            row.is_none_or(|row| !row.source.is_empty() && row.date.starts_with("20")),
            "{}",
            limit.key()
        );
        assert!(row.is_none_or(|row| !row.stated), "{}", limit.key());
    }
}

#[test]
fn each_built_in_profile_is_read_without_an_error() {
    for name in Profile::names() {
        let profile = Profile::built_in(name).unwrap_or_else(|| panic!("{name} can't be read"));
        assert_eq!(profile.name(), name);
        assert_eq!(profile.collected().len(), "2026-11-23".len());
        for limit in Limit::ALL.iter().filter_map(|limit| profile.row(*limit)) {
            assert!(!limit.source.is_empty() && !limit.date.is_empty());
        }
    }
    assert!(Profile::built_in("azure").is_none());
}

#[test]
fn keys_lead_back_to_their_limits() {
    for limit in Limit::ALL {
        assert_eq!(Limit::of_key(limit.key()), Some(*limit));
        assert!(limit.describe().ends_with('.'), "{}", limit.key());
    }
}

#[test]
fn runtimes_have_days_that_compare_as_texts() {
    let aws = Profile::built_in("aws").expect("the profile is good");
    assert!(aws.runtimes().count() > 40);
    for (name, runtime) in aws.runtimes() {
        let days =
            [Some(&runtime.deprecated), runtime.create_blocked.as_ref(), runtime.update_blocked.as_ref()];
        for day in days.into_iter().flatten() {
            let parts: Vec<_> = day.split('-').map(str::len).collect();
            assert_eq!(parts, [4, 2, 2], "{name}: {day}");
        }
        assert!(!runtime.source.is_empty() && !runtime.date.is_empty(), "{name}");
    }
    let python = aws.runtime("python3.9").expect("it is known");
    assert!(python.deprecated.as_str() < aws.collected());
}

#[test]
fn flyballs_profile_is_what_its_model_has() {
    use flyball_core::model::PlatformLimits;
    let (profile, model) = (Profile::built_in("flyball").expect("it is good"), PlatformLimits::default());
    let whole = |limit| profile.whole(limit).expect("it has a row");
    assert_eq!(whole(Limit::LambdaConcurrency), i64::from(model.limits.concurrency.cap));
    assert_eq!(whole(Limit::LambdaRecursionHopsMax), i64::from(model.hops_max));
    for limit in [Limit::QueueMessageBytesDefault, Limit::TopicMessageBytesDefault, Limit::BusEventBytesMax] {
        assert_eq!(whole(limit), i64::try_from(model.event_bytes_max).expect("it fits"));
    }
    assert_eq!(whole(Limit::ApiFlyballBytesMax), i64::try_from(model.request_bytes_max).expect("it fits"));
}

#[test]
fn a_users_file_states_single_values() {
    let text = "[limits]\n\"lambda.concurrency\" = 3000\n\
                \"api.rest_timeout_max\" = { value = 60_000, unit = 'ms', source = 'case 17', date = '2026-10-01' }\n\
                [account]\ncomplete = true\n\
                [traffic.Orders]\npeak_per_s = 12.5\np99_ms = 800\n\
                [database.Main]\nconnections_max = 200\nprocessors = 2\n";
    let (profile, given) = Profile::with("ours.toml", text).unwrap_or_else(|wrong| panic!("{wrong}"));
    let row = profile.row(Limit::LambdaConcurrency).expect("it has a row");
    assert_eq!(
        (row.value, row.stated, row.raisable, row.source.as_str()),
        (3000.0, true, false, "ours.toml")
    );
    let row = profile.row(Limit::ApiRestTimeoutMax).expect("it has a row");
    assert_eq!((row.value, row.stated, row.source.as_str()), (60_000.0, true, "case 17"));
    let kept = profile.row(Limit::LambdaTimeoutMax).expect("it has a row");
    assert_eq!((kept.value, kept.stated), (900.0, false));
    assert!(given.account_complete);
    assert_eq!(given.traffic["Orders"].peak_per_s, Some(12.5));
    assert_eq!(given.traffic["Orders"].p50_ms, None);
    assert_eq!(given.databases["Main"].processors, Some(2.0));
}

#[test]
fn what_is_wrong_with_a_users_file_is_told_with_its_place() {
    let text = "base = 'awz'\nlimit = 1\n[limits]\n\"lambda.concurency\" = 1\n\"lambda.timeout_max\" = '15m'\n\
                \"queue.retention_max\" = -5\n\"lambda.memory_max\" = { value = 1, unit = 'bytes' }\n\
                [account]\ncomplete = 1\n[traffic.A]\npeak = 3\np99_ms = nan\n[traffic]\nB = 7\n";
    let wrong = Profile::with("ours.toml", text).expect_err("much is wrong");
    insta::with_settings!({
        omit_expression => true,
        prepend_module_to_snapshot => false,
        snapshot_path => "../../tests/snapshots"
    }, {
        insta::assert_snapshot!("profile_wrong", wrong.to_string());
    });
    assert!(Profile::with("ours.toml", &"#".repeat(5 << 20)).is_err());
}
