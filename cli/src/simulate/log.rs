//! Reads a log in pieces, entry by entry.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use flyball_core::journal::{Decoder, Entry, ReplayError};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use crate::stop::Stop;

/// Read at once.
const PIECE_BYTES: usize = 1 << 20;

/// Hands on every entry with its offset, as far as the log goes or is taken. Answers the bytes of a last entry
/// that is not whole.
///
/// # Errors
/// Where the file can't be read: exit 2. Within, where it is no whole log, or an entry was not taken.
pub fn read(
    log: &Path,
    take: impl FnMut(Entry, u64) -> Result<(), ReplayError>,
) -> Result<Result<usize, ReplayError>, Stop> {
    let unreadable = |error: io::Error| Stop::wrong(format!("{} can't be read: {error}", log.display()));
    let file = File::open(log).map_err(unreadable)?;
    let bar = progress(&file);
    let read = feed(file, &bar, take);
    bar.finish_and_clear();
    read.map_err(unreadable)
}

fn progress(file: &File) -> ProgressBar {
    let bytes = file.metadata().map(|metadata| metadata.len()).unwrap_or(0);
    let bar = ProgressBar::new(bytes).with_finish(ProgressFinish::AndClear);
    let style = ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left");
    style.map_or_else(|_| ProgressBar::hidden(), |style| bar.with_style(style))
}

fn feed(
    mut file: File,
    bar: &ProgressBar,
    mut take: impl FnMut(Entry, u64) -> Result<(), ReplayError>,
) -> io::Result<Result<usize, ReplayError>> {
    let mut decoder = Decoder::default();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = match file.read(&mut piece) {
            Ok(0) if decoder.is_empty() => return Ok(Err(ReplayError::NotALog)),
            Ok(0) => return Ok(Ok(decoder.left_bytes())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        decoder.feed(piece.get(..read).unwrap_or_default());
        if let Err(error) = take_all(&mut decoder, &mut take) {
            return Ok(Err(error));
        }
        bar.set_position(decoder.offset());
    }
}

fn take_all(
    decoder: &mut Decoder,
    take: &mut impl FnMut(Entry, u64) -> Result<(), ReplayError>,
) -> Result<(), ReplayError> {
    loop {
        let offset = decoder.offset();
        match decoder.next_entry()? {
            Some(entry) => take(entry, offset)?,
            None => return Ok(()),
        }
    }
}
