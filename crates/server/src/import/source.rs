//! A file as a stream of bytes: unpacked when it is gzipped (told by its first bytes, not its name), in UTF-8 whatever it was
//! written in, with the bytes read so far for a progress bar. Nothing here knows rows.

use crate::problem::{Problem, Result};
use encoding_rs_io::DecodeReaderBytesBuilder;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes looked at to tell the encoding.
const LOOKED_AT_BYTES: usize = 1 << 20;
const BUFFER_BYTES: usize = 1 << 16;
const GZIP: &[u8] = &[0x1f, 0x8b];
const PARQUET: &[u8] = b"PAR1";
const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// How a file is encoded, as a mapping says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8 when the beginning is, else GB18030; a byte-order mark decides first.
    #[default]
    Auto,
    /// UTF-8.
    Utf8,
    /// GB18030 (and so GBK and GB2312).
    Gb18030,
}

/// A file as found.
pub enum Source {
    /// Text in UTF-8; with `decoded`, it was turned into UTF-8 here, and U+FFFD stands where that was not possible.
    Text {
        /// The text.
        reader: Box<dyn BufRead + Send>,
        /// What it was turned from.
        decoded: Option<&'static str>,
    },
    /// A Parquet file, at its beginning.
    Parquet(File),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text { decoded, .. } => f
                .debug_struct("Text")
                .field("decoded", decoded)
                .finish_non_exhaustive(),
            Self::Parquet(_) => f.debug_struct("Parquet").finish_non_exhaustive(),
        }
    }
}

/// Counts the bytes that pass.
struct Counted<R> {
    inner: R,
    passed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.passed.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// Words for a file that cannot be read.
pub(crate) fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Box<Problem> {
    let mut words = error.to_string();
    // What the unpacker says, in words that say what to do.
    for (said, plain) in UNPACKER {
        words = words.replace(said, plain);
    }
    Problem::new("file_unreadable", format!("{}: {words}", path.display()))
}

const UNPACKER: [(&str, &str); 6] = [
    ("incomplete deflate stream", CUT_OFF),
    ("unexpected end of file", CUT_OFF),
    ("failed to fill whole buffer", CUT_OFF),
    ("corrupt deflate stream", DAMAGED),
    ("deflate decompression error", DAMAGED),
    (
        "corrupt gzip stream does not have a matching checksum",
        DAMAGED,
    ),
];
const CUT_OFF: &str = "the file is cut off before its end; copy it again";
const DAMAGED: &str = "what is packed in the file is damaged; copy it again";

/// Size of the file on disk in bytes.
///
/// # Errors
/// It cannot be looked at.
pub fn size(path: &Path) -> Result<u64> {
    std::fs::metadata(path)
        .map(|m| m.len())
        .map_err(|e| unreadable(path, &e))
}

/// Opens a file. `passed` counts the bytes read from disk.
///
/// # Errors
/// The file cannot be opened or unpacked.
pub fn open(path: &Path, encoding: Encoding, passed: Arc<AtomicU64>) -> Result<Source> {
    let fault = |e: io::Error| unreadable(path, &e);
    let mut file = File::open(path).map_err(fault)?;
    if file.metadata().map_err(fault)?.is_dir() {
        return Err(unreadable(path, &"this is a folder; name its files"));
    }
    let mut head = [0u8; 4];
    let got = fill(&mut file, &mut head).map_err(fault)?;
    file.rewind().map_err(fault)?;
    if &head[..got] == PARQUET {
        return Ok(Source::Parquet(file));
    }
    let counted = Counted {
        inner: file,
        passed,
    };
    let plain: Box<dyn BufRead + Send> = if head[..got].starts_with(GZIP) {
        let unpacked = MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, counted));
        Box::new(BufReader::with_capacity(BUFFER_BYTES, unpacked))
    } else {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, counted))
    };
    decode(path, plain, encoding)
}

fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match reader.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

fn decode(path: &Path, mut plain: Box<dyn BufRead + Send>, encoding: Encoding) -> Result<Source> {
    let mut head = vec![0u8; LOOKED_AT_BYTES];
    let got = fill(&mut plain, &mut head).map_err(|e| unreadable(path, &e))?;
    head.truncate(got);
    if head.starts_with(PARQUET) {
        // Parquet is read from its end, so a gzipped one is unpacked to a file of its own first.
        let mut file = tempfile::tempfile().map_err(|e| unreadable(path, &e))?;
        let mut whole = io::Cursor::new(head).chain(plain);
        io::copy(&mut whole, &mut file).map_err(|e| unreadable(path, &e))?;
        file.rewind().map_err(|e| unreadable(path, &e))?;
        return Ok(Source::Parquet(file));
    }
    let utf16 = match &head[..got.min(2)] {
        [0xff, 0xfe] => Some((encoding_rs::UTF_16LE, "UTF-16")),
        [0xfe, 0xff] => Some((encoding_rs::UTF_16BE, "UTF-16")),
        _ => None,
    };
    if encoding == Encoding::Gb18030 && !head.starts_with(UTF8_MARK) && is_surely_utf8(&head) {
        return Err(unreadable(
            path,
            &"the mapping says `encoding: gb18030` and the file is UTF-8; write `encoding: utf-8`, or leave it out",
        ));
    }
    if encoding == Encoding::Utf8 && !begins_as_utf8(&head) {
        return Err(unreadable(
            path,
            &"the mapping says `encoding: utf-8` and the file looks like GB18030; write `encoding: gb18030`, or leave it out",
        ));
    }
    let from = match encoding {
        Encoding::Utf8 => None,
        Encoding::Gb18030 => Some((encoding_rs::GB18030, "GB18030")),
        Encoding::Auto if utf16.is_some() => utf16,
        Encoding::Auto => (!begins_as_utf8(&head)).then_some((encoding_rs::GB18030, "GB18030")),
    };
    let marked = head.starts_with(UTF8_MARK);
    if marked {
        head.drain(..UTF8_MARK.len());
    }
    let whole = io::Cursor::new(head).chain(plain);
    match from {
        // A UTF-8 mark is believed over a mapping that says GB18030.
        Some((from, name)) if !marked => {
            let decoder = DecodeReaderBytesBuilder::new()
                .encoding(Some(from))
                .bom_override(true)
                .build(whole);
            let reader = BufReader::with_capacity(BUFFER_BYTES, SendRead(decoder));
            Ok(Source::Text {
                reader: Box::new(reader),
                decoded: Some(name),
            })
        }
        _ => Ok(Source::Text {
            reader: Box::new(BufReader::with_capacity(BUFFER_BYTES, whole)),
            decoded: None,
        }),
    }
}

/// Keeps the decoder's type out of signatures.
struct SendRead<R>(R);

impl<R: Read> Read for SendRead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Characters beyond ASCII from which UTF-8 is told for sure: that so many characters of GB18030 are UTF-8 by chance does not
/// happen.
const SURE_CHARACTERS: usize = 16;

fn is_surely_utf8(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(e) if e.error_len().is_none() => {
            std::str::from_utf8(&head[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    text.chars()
        .filter(|c| !c.is_ascii())
        .take(SURE_CHARACTERS)
        .count()
        == SURE_CHARACTERS
}

/// True when the bytes are UTF-8, apart from a character cut off at their end, or are so with fewer faults than GB18030:
/// one torn byte must not turn a whole file of UTF-8 into other characters.
fn begins_as_utf8(head: &[u8]) -> bool {
    let Err(fault) = std::str::from_utf8(head) else {
        return true;
    };
    if fault.error_len().is_none() && head.len() == LOOKED_AT_BYTES {
        return true;
    }
    let faults = |text: &str| text.chars().filter(|c| *c == '\u{fffd}').count();
    let (other, _) = encoding_rs::GB18030.decode_without_bom_handling(head);
    faults(&String::from_utf8_lossy(head)) <= faults(&other)
}

/// The ending of a file's name that says how it is written, without `.gz`.
#[must_use]
pub fn ending(path: &Path) -> String {
    let mut path = PathBuf::from(path);
    if path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("gz"))
    {
        path.set_extension("");
    }
    path.extension()
        .map(|e| e.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn read(bytes: &[u8], encoding: Encoding) -> (String, Option<&'static str>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        match open(file.path(), encoding, Arc::default()).unwrap() {
            Source::Text {
                mut reader,
                decoded,
            } => {
                let mut out = String::new();
                reader.read_to_string(&mut out).unwrap();
                (out, decoded)
            }
            Source::Parquet(_) => panic!("no text"),
        }
    }

    #[test]
    fn encodings_are_told_apart() {
        assert_eq!(
            read("id,城市\n1,上海\n".as_bytes(), Encoding::Auto),
            ("id,城市\n1,上海\n".into(), None)
        );
        let (gb, _, _) = encoding_rs::GB18030.encode("id,城市\n1,上海\n");
        assert_eq!(
            read(&gb, Encoding::Auto),
            ("id,城市\n1,上海\n".into(), Some("GB18030"))
        );
        assert_eq!(read(&gb, Encoding::Gb18030).0, "id,城市\n1,上海\n");
        assert_eq!(
            read(b"\xef\xbb\xbfid\n", Encoding::Gb18030),
            ("id\n".into(), None)
        );
        assert_eq!(
            read(b"\xff\xfei\0d\0", Encoding::Auto),
            ("id".into(), Some("UTF-16"))
        );
    }

    #[test]
    fn a_wrong_encoding_is_told() {
        let names = "代码,名称\n1,华夏成长混合\n2,中海可转债债券\n";
        let refused = |bytes: &[u8], encoding| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(bytes).unwrap();
            let problem = open(file.path(), encoding, Arc::default()).unwrap_err();
            (problem.code, problem.detail)
        };
        let (gb, _, _) = encoding_rs::GB18030.encode(names);
        let (code, words) = refused(names.as_bytes(), Encoding::Gb18030);
        assert_eq!(code, "file_unreadable");
        assert!(words.contains("the file is UTF-8; write"), "{words}");
        let (_, words) = refused(&gb, Encoding::Utf8);
        assert!(words.contains("looks like GB18030; write"), "{words}");
    }

    #[test]
    fn one_torn_byte_does_not_change_the_encoding() {
        let torn = [&b"id,\xff\n"[..], "1,上海市\n".as_bytes()].concat();
        assert!(begins_as_utf8(&torn));
    }

    #[test]
    fn gzip_is_told_by_its_first_bytes() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"a,b\n1,2\n").unwrap();
        assert_eq!(
            read(&packed.finish().unwrap(), Encoding::Auto).0,
            "a,b\n1,2\n"
        );
    }

    #[test]
    fn endings_are_seen_through_gz() {
        assert_eq!(ending(Path::new("a/b.CSV.gz")), "csv");
        assert_eq!(ending(Path::new("b.parquet")), "parquet");
        assert_eq!(ending(Path::new("b")), "");
    }
}
