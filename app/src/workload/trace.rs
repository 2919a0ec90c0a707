//! Recorded traffic of others, read line by line within bounds.

/// A kind of trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// Azure Functions 2019: invocations of each function in each minute of a day.
    Azure2019,
    /// Azure Functions 2021: single invocations.
    Azure2021,
    /// Measured invocations of AWS Lambda, cold and warm.
    Pacslab,
    /// Starts of single invocations, with the application that each was of.
    Arrivals,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 4] = [Format::Azure2019, Format::Azure2021, Format::Pacslab, Format::Arrivals];

    /// Its name in a traffic file.
    pub const fn key(self) -> &'static str {
        match self {
            Format::Azure2019 => "azure2019",
            Format::Azure2021 => "azure2021",
            Format::Pacslab => "pacslab",
            Format::Arrivals => "arrivals",
        }
    }
}
