use crate::check::words::{about, bytes, decimal, list, seconds};

#[test]
fn numbers_are_what_people_say() {
    let said: Vec<String> = [0.0, 1.0, 999.0, 1_250.0, 100_015.0, 4.5, -1.0, 0.04].map(decimal).to_vec();
    assert_eq!(said, ["0", "1", "999", "1,250", "100,015", "4.5", "-1", "0"]);
    assert_eq!(
        [262_144.0, 1_048_576.0, 6_291_456.0, 1_000.0].map(bytes),
        ["256 KiB", "1 MiB", "6 MiB", "1,000 bytes"]
    );
    let times = [3.0, 90.0, 299.0, 300.0, 900.0, 901.0, 21_600.0, 86_400.0, 345_600.0];
    let said = ["3 s", "90 s", "299 s", "5 min", "15 min", "901 s", "6 h", "24 h", "4 days"];
    assert_eq!(times.map(seconds), said);
    assert_eq!([100.0, 185.0, 90_000.0, 1_987_200.0].map(about), ["100 s", "3 min", "25 h", "23 days"]);
}

#[test]
fn names_are_listed_as_far_as_they_can_be_read() {
    assert_eq!(list(&["A"]), "A");
    assert_eq!(list(&["A", "B"]), "A and B");
    assert_eq!(list(&["A", "B", "C"]), "A, B and C");
    assert_eq!(list(&["A", "B", "C", "D"]), "A, B and 2 more");
}
