//! Lines of a text on its way to the reader of CSV: where each begins, so that a row is told by the line that an editor
//! shows, and how much passed since the last row. Nothing here knows cells.

use csv::ByteRecord;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest row of a CSV file in bytes; a longer one is most often a quote that was never closed.
pub const ROW_BYTES_MAX: u64 = 8 << 20;

/// Where the lines of a text begin that hold anything: those that have passed and that no row was found on yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: u64,
    breaks: u64,
    after_return: bool,
    begun: bool,
    starts: VecDeque<(u64, u64)>,
}

impl Lines {
    /// A break is a line feed, a carriage return, or both.
    fn pass(&mut self, bytes: &[u8]) {
        for (i, byte) in bytes.iter().enumerate() {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.breaks += 1;
                    self.begun = false;
                    self.after_return = *byte == b'\r';
                }
                _ => {
                    self.after_return = false;
                    if !self.begun {
                        self.begun = true;
                        self.starts
                            .push_back((self.bytes + i as u64, self.breaks + 1));
                    }
                }
            }
        }
        self.bytes += bytes.len() as u64;
    }

    /// The first line that holds anything at or after a byte. Bytes are asked for in their order.
    fn at(&mut self, byte: u64) -> u64 {
        while self.starts.front().is_some_and(|(start, _)| *start < byte) {
            self.starts.pop_front();
        }
        self.starts
            .front()
            .map_or(self.breaks + 1, |(_, line)| *line)
    }

    /// The line of a record of CSV, whose position is the end of the one before.
    pub(super) fn of(&mut self, record: &ByteRecord) -> u64 {
        self.at(record.position().map_or(0, csv::Position::byte))
    }
}

/// Refuses to read on when a row grows past [`ROW_BYTES_MAX`], and notes where lines begin.
pub(super) struct Bounded<R> {
    inner: R,
    since_row: Arc<AtomicU64>,
    lines: Arc<Mutex<Lines>>,
}

impl<R: Read> Bounded<R> {
    /// `since_row` is set back to nothing by whoever found a row.
    pub(super) fn new(inner: R, since_row: Arc<AtomicU64>, lines: Arc<Mutex<Lines>>) -> Self {
        Self {
            inner,
            since_row,
            lines,
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.lines.lock().pass(&buffer[..n]);
        if self.since_row.fetch_add(n as u64, Ordering::Relaxed) > ROW_BYTES_MAX {
            return Err(io::Error::other(format!(
                "a row is longer than {ROW_BYTES_MAX} bytes; is a quote left open, or is `quote` or `delimiter` of the mapping not right?"
            )));
        }
        Ok(n)
    }
}
