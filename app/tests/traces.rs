//! Traces: what is read of small cuts of real ones, and what a person sees of wrong ones.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helpers fail the test by panicking"
)]

use std::{
    fs,
    io::{self, BufRead, BufReader, Cursor, Read},
    path::Path,
};

use flyball_app::{
    Diagnostics,
    workload::{
        Lasting, Recorded,
        trace::{self, Format, Input, Inputs, TRACE_ERRORS_MAX},
    },
};
use flyball_core::Span;
use proptest::prelude::*;

fn cut(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workload/traces").join(name);
    fs::read(path).unwrap()
}

fn read_text(format: Option<Format>, bytes: impl AsRef<[u8]>) -> Result<Recorded, Diagnostics> {
    let mut text = Cursor::new(bytes);
    let arrivals = Input { name: "trace.csv", text: &mut text };
    trace::read(format, Inputs { arrivals, durations: None, memory: None })
}

fn read_day(texts: [&mut dyn BufRead; 3]) -> Result<Recorded, Diagnostics> {
    let [arrivals, durations, memory] = texts;
    let input = |name, text| Input { name, text };
    trace::read(
        None,
        Inputs {
            arrivals: input("inv.csv", arrivals),
            durations: Some(input("run.csv", durations)),
            memory: Some(input("mem.csv", memory)),
        },
    )
}

/// In a form for comparing: what it is, and each series in a line.
fn shown(recorded: &Recorded) -> String {
    let mut out = format!("{}; slots of {} s\n", recorded.what, recorded.slot.0 / 1_000_000);
    for one in &recorded.series {
        let name: String = one.name.chars().take(8).collect();
        let sum: u64 = one.counts.iter().map(|count| u64::from(*count)).sum();
        let first: Vec<u64> = one.moments.iter().take(3).map(|moment| moment.0).collect();
        let durations = match &one.duration {
            Some(Lasting::Measured(all)) => format!("{} measured from {:?}", all.len(), all.iter().min()),
            other => format!("{other:?}"),
        };
        let init = one.init.is_some();
        out += &format!(
            "{name}: {sum} in {} slots, first {first:?} us, {durations}, {:?} MB, init {init}\n",
            one.counts.len(),
            one.memory_mb
        );
    }
    out
}

#[test]
fn a_day_of_azure_2019_has_counts_durations_and_memory() {
    let [inv, run, mem] = ["azure2019-inv.csv", "azure2019-run.csv", "azure2019-mem.csv"].map(cut);
    let read = read_day([&mut inv.as_slice(), &mut run.as_slice(), &mut mem.as_slice()]);
    insta::assert_snapshot!("azure2019", shown(&read.unwrap()));
}

#[test]
fn single_invocations_are_sorted_and_counted_by_second() {
    let azure = read_text(None, cut("azure2021.csv")).unwrap();
    assert!(azure.series.iter().all(|one| one.moments.is_sorted()));
    insta::assert_snapshot!("azure2021", shown(&azure));
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/codewatch/traffic/arrivals.csv");
    let ours = read_text(None, fs::read(ours).unwrap()).unwrap();
    assert!(ours.what.starts_with("arrivals: "), "{}", ours.what);
    assert_eq!(ours.series.iter().map(|one| one.moments.len()).sum::<usize>(), 199);
    for one in azure.series.iter().chain(&ours.series) {
        assert_eq!(one.counts.iter().sum::<u32>() as usize, one.moments.len());
    }
}

#[test]
fn measured_invocations_give_warm_durations_and_cold_starts() {
    insta::assert_snapshot!("pacslab", shown(&read_text(None, cut("pacslab.csv")).unwrap()));
}

#[test]
fn columns_are_found_by_their_names() {
    // As the original data set names and orders them, with Windows' ends of lines.
    let text = "HashOwner,HashApp,HashFunction,Trigger,1,2,3\r\no,a,f,http,1,0,2\r\no,a,g,queue,0,0,7\r\n";
    let read = read_text(None, text).unwrap();
    assert_eq!(read.what, "azure2019: 2 functions, 3 minutes, 10 invocations");
    assert_eq!((read.series[0].name.as_str(), &read.series[0].counts), ("f", &vec![1, 0, 2]));
    // Quoted fields hold commas; what is last in time may be first in the file.
    let text = "application,note,start_ms\n1,\"a, b\",5000\n2,,0\n1,\"c\",1000\n";
    let read = read_text(None, text).unwrap();
    assert_eq!(read.series[0].moments, [Span::from_secs(1), Span::from_secs(5)]);
    assert_eq!(read.series[0].counts, [0, 1, 0, 0, 0, 1]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let head = "app,func,end_timestamp,duration\n";
    let day = "HashOwner,HashApp,HashFunction,1,2\n";
    let cases: [(&str, Option<Format>, String); 16] = [
        ("empty", None, String::new()),
        ("no rows", None, head.into()),
        ("unknown columns", None, "time,value\n1,2\n".into()),
        ("another format", Some(Format::Azure2019), format!("{head}a,f,1,1\n")),
        ("cut off", None, format!("{head}a,f,1.5,0.5\na,f,2\n")),
        ("negative", None, format!("{head}a,f,-1,0.5\na,f,1,-0.5\n")),
        ("no number", None, format!("{head}a,f,nan,0.5\na,f,inf,0.5\na,f,,1\na,f,1e99,1\n")),
        ("too long", None, format!("{head}a,f,999999999999,0.5\na,f,1,1\n")),
        ("a day's counts", None, format!("{day}o,a,f,1,-2\no,a,g,1.5,2\no,a,h,4294967296,1\n")),
        ("a gap in the minutes", None, "HashOwner,HashApp,HashFunction,1,3\no,a,f,1,2\n".into()),
        ("no minutes", None, "HashOwner,HashApp,HashFunction\no,a,f\n".into()),
        ("two minutes of one name", None, "HashOwner,HashApp,HashFunction,1,minute_1\no,a,f,1,2\n".into()),
        ("cold or warm", Some(Format::Pacslab), {
            "is_cold,aws_duration,aws_max_mem,client_start_time,client_elapsed_time\nmaybe,1,1,1,1\n".into()
        }),
        ("a quote without end", None, format!("{head}\"a,f,1,1\n")),
        ("a long row", None, format!("{day}o,a,{},1,x\n", "f".repeat(5_000))),
        ("escapes", None, format!("{head}a,f,\u{1b}[31m,1\n")),
    ];
    let mut out = String::new();
    for (name, format, text) in cases {
        let Err(wrong) = read_text(format, &text) else { panic!("{name}: it was read") };
        assert!(!wrong.to_string().contains('\u{1b}'));
        out += &format!("## {name}\n{wrong}\n\n");
    }
    let wrong = read_text(None, b"a,b\n\xff\xfe").unwrap_err();
    out += &format!("## not a text\n{wrong}\n\n");
    let wrong = read_text(None, b"\x1f\x8b\x08\x00").unwrap_err();
    out += &format!("## compressed\n{wrong}\n\n");
    insta::assert_snapshot!("traces_wrong", out);
}

#[test]
fn further_files_are_told_apart() {
    let [inv, run, mem] = ["azure2019-inv.csv", "azure2019-run.csv", "azure2019-mem.csv"].map(cut);
    let wrong = read_day([&mut inv.as_slice(), &mut mem.as_slice(), &mut run.as_slice()]).unwrap_err();
    insta::assert_snapshot!("traces_interchanged", wrong.to_string());
    let (mut text, mut more) = (Cursor::new(cut("azure2021.csv")), Cursor::new(run));
    let input = |name, text| Input { name, text };
    let inputs =
        Inputs { arrivals: input("a", &mut text), durations: Some(input("b", &mut more)), memory: None };
    assert!(trace::read(None, inputs).is_err());
}

#[test]
fn of_very_many_errors_the_first_are_told_and_reading_stops() {
    let text = "start_ms,application\n".to_string() + &"x,1\n".repeat(100_000);
    let mut left = Cursor::new(text);
    let inputs = Inputs { arrivals: Input { name: "t", text: &mut left }, durations: None, memory: None };
    let wrong = trace::read(None, inputs).unwrap_err();
    assert_eq!(wrong.diagnostics.len(), TRACE_ERRORS_MAX);
    assert!(left.position() < 200);
}

/// So many bytes of the same, without a file.
struct Repeat {
    row: &'static [u8],
    at: usize,
    left: u64,
}

impl Read for Repeat {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let many = buffer.len().min(usize::try_from(self.left).unwrap());
        for byte in &mut buffer[..many] {
            *byte = self.row[self.at % self.row.len()];
            self.at += 1;
        }
        self.left -= many as u64;
        Ok(many)
    }
}

/// What a gibibyte of the same row is ended with.
fn ended(start: &'static str, row: &'static str) -> String {
    let repeat = Repeat { row: row.as_bytes(), at: 0, left: 1 << 30 };
    let mut text = BufReader::new(start.as_bytes().chain(repeat));
    let inputs = Inputs { arrivals: Input { name: "t", text: &mut text }, durations: None, memory: None };
    trace::read(None, inputs).unwrap_err().diagnostics[0].message.clone()
}

#[test]
fn a_gibibyte_in_one_line_ends_at_a_limit() {
    assert_eq!(ended("", "0"), "this line has more than 262144 bytes");
    assert_eq!(ended("start_ms,application\n", "1"), "this line has more than 262144 bytes");
}

#[test]
fn of_functions_there_is_a_most() {
    let many: String = (0..10_001).map(|n| format!("1,{n}\n")).collect();
    let wrong = read_text(None, format!("start_ms,application\n{many}")).unwrap_err();
    assert_eq!(wrong.diagnostics[0].message, "more than 10000 functions");
    assert_eq!(wrong.diagnostics[0].line, 10_002);
}

#[test]
#[ignore = "twenty seconds without optimisation"]
fn a_gibibyte_of_rows_ends_at_a_limit() {
    assert_eq!(ended("start_ms,application\n", "1,1\n"), "more than 10000000 invocations");
}

#[test]
fn durations_of_many_invocations_are_thinned_evenly() {
    let rows: String = (0..10_000).map(|n| format!("a,f,{n},{}\n", f64::from(n) / 1e3)).collect();
    let read = read_text(None, format!("app,func,end_timestamp,duration\n{rows}")).unwrap();
    let Some(Lasting::Measured(kept)) = &read.series[0].duration else {
        panic!("{:?}", read.series[0].duration)
    };
    assert_eq!((kept.len(), kept[1].0 - kept[0].0), (625, 16_000));
}

#[test]
fn a_file_that_fails_is_no_panic() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let mut text = BufReader::new(Fails);
    let inputs = Inputs { arrivals: Input { name: "t", text: &mut text }, durations: None, memory: None };
    let wrong = trace::read(None, inputs).unwrap_err();
    assert_eq!(wrong.diagnostics[0].message, "the file can't be read: the disk is gone");
}

/// With FLYBALL_TRACES set to a folder of whole traces: `azure2019/{inv,run,mem}.csv`, `azure2021.csv`, `pacslab.csv`.
#[test]
#[ignore = "needs the whole traces"]
fn whole_traces_are_read() {
    let folder = std::env::var("FLYBALL_TRACES").unwrap();
    let open = |name: &str| BufReader::new(fs::File::open(Path::new(&folder).join(name)).unwrap());
    let (mut inv, mut run, mut mem) =
        (open("azure2019/inv.csv"), open("azure2019/run.csv"), open("azure2019/mem.csv"));
    let day = read_day([&mut inv, &mut run, &mut mem]).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(day.series.iter().all(|one| one.counts.len() == 1_440));
    println!("{}", day.what);
    for name in ["azure2021.csv", "pacslab.csv"] {
        let mut text = open(name);
        let inputs = Inputs { arrivals: Input { name, text: &mut text }, durations: None, memory: None };
        println!("{}", trace::read(None, inputs).unwrap_or_else(|wrong| panic!("{wrong}")).what);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_bytes_are_a_panic(
        head in proptest::sample::select(Format::ALL.to_vec()),
        rows in proptest::collection::vec("[a-z0-9.,\"\\-\n\r é]{0,40}", 0..20),
        raw in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let head = match head {
            Format::Azure2019 => "HashOwner,HashApp,HashFunction,1,2,3\n",
            Format::Azure2021 => "app,func,end_timestamp,duration\n",
            Format::Pacslab => "is_cold,aws_duration,aws_max_mem,client_start_time,client_elapsed_time\n",
            Format::Arrivals => "start_ms,application\n",
        };
        let _ = read_text(None, format!("{head}{}", rows.join("\n")));
        let _ = read_text(None, [head.as_bytes(), &raw].concat());
        let _ = read_text(None, raw);
    }
}
