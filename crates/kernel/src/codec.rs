//! Bounded binary reading and writing: LEB128 variable-length integers, length-prefixed bytes, little-endian fixed words.
//!
//! Every stored record starts with a format byte; the types that use this codec own their format numbers. Reading never
//! panics on any bytes: a short, over-long or non-canonical input is an [`Error`].

/// What was wrong with bytes that were read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes ended before the record did.
    #[error("record ends early: {wanted} more bytes wanted at offset {at}")]
    Short {
        /// Bytes still wanted.
        wanted: usize,
        /// Offset at which they were wanted.
        at: usize,
    },
    /// A field held something its type does not allow.
    #[error("record is malformed: {what} at offset {at}")]
    Malformed {
        /// What was expected and not found.
        what: &'static str,
        /// Offset of the field.
        at: usize,
    },
    /// The record was written by a newer program.
    #[error(
        "{what} has format {found}, this program reads up to {known}; use the program that wrote it or a newer one"
    )]
    Newer {
        /// Kind of the record.
        what: &'static str,
        /// Format found.
        found: u8,
        /// Newest format this program reads.
        known: u8,
    },
}

/// Result of reading.
pub type Result<T> = core::result::Result<T, Error>;

/// Appends encoded fields to a byte buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A writer for a record whose first byte is its format number.
    pub fn with_format(format: u8) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.push(format);
        Self { bytes }
    }

    /// A writer that appends to an existing buffer (kept allocation).
    pub fn over(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, v: u8) {
        self.bytes.push(v);
    }

    /// Unsigned LEB128.
    #[inline]
    pub fn uint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.bytes.push((v as u8) | 0x80);
            v >>= 7;
        }
        self.bytes.push(v as u8);
    }

    /// Signed, zigzag LEB128.
    #[inline]
    pub fn int(&mut self, v: i64) {
        self.uint(((v << 1) ^ (v >> 63)) as u64);
    }

    /// Signed 128-bit: one byte flag for values that fit 64 bits, else 16 little-endian bytes.
    pub fn int128(&mut self, v: i128) {
        if let Ok(small) = i64::try_from(v) {
            self.u8(0);
            self.int(small);
        } else {
            self.u8(1);
            self.bytes.extend_from_slice(&v.to_le_bytes());
        }
    }

    /// IEEE-754 binary64, little-endian; every NaN is written as the one canonical NaN.
    pub fn f64(&mut self, v: f64) {
        let bits = if v.is_nan() {
            f64::NAN.to_bits() & !(1 << 63)
        } else {
            v.to_bits()
        };
        self.bytes.extend_from_slice(&bits.to_le_bytes());
    }

    /// Raw bytes of a length both sides know.
    pub fn raw(&mut self, v: &[u8]) {
        self.bytes.extend_from_slice(v);
    }

    /// Length-prefixed bytes.
    pub fn bytes(&mut self, v: &[u8]) {
        self.uint(v.len() as u64);
        self.bytes.extend_from_slice(v);
    }

    /// Length-prefixed UTF-8.
    pub fn str(&mut self, v: &str) {
        self.bytes(v.as_bytes());
    }

    /// Number of bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True when nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The encoded record.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads encoded fields, borrowing from the record.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from the beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads the format byte of a record of kind `what`, refusing formats newer than `known` and format zero.
    ///
    /// # Errors
    /// [`Error::Newer`], or [`Error::Malformed`] for zero.
    pub fn format(&mut self, what: &'static str, known: u8) -> Result<u8> {
        let found = self.u8()?;
        match found {
            0 => Err(self.malformed("a format number of at least 1")),
            f if f > known => Err(Error::Newer { what, found, known }),
            f => Ok(f),
        }
    }

    /// An error at the present offset.
    pub fn malformed(&self, what: &'static str) -> Error {
        Error::Malformed { what, at: self.at }
    }

    /// Offset of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// True when all bytes are read.
    pub fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Refuses bytes left over behind a complete record.
    ///
    /// # Errors
    /// [`Error::Malformed`] when bytes are left.
    pub fn done(&self) -> Result<()> {
        if self.is_done() {
            Ok(())
        } else {
            Err(self.malformed("the end of the record"))
        }
    }

    /// Exactly `n` raw bytes.
    ///
    /// # Errors
    /// [`Error::Short`].
    pub fn raw(&mut self, n: usize) -> Result<&'a [u8]> {
        let left = self.bytes.len() - self.at;
        if n > left {
            return Err(Error::Short {
                wanted: n - left,
                at: self.at,
            });
        }
        let out = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(out)
    }

    /// `N` raw bytes as an array.
    ///
    /// # Errors
    /// [`Error::Short`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let raw = self.raw(N)?;
        let mut out = [0; N];
        out.copy_from_slice(raw);
        Ok(out)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`Error::Short`].
    #[inline]
    pub fn u8(&mut self) -> Result<u8> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => Err(Error::Short {
                wanted: 1,
                at: self.at,
            }),
        }
    }

    /// Unsigned LEB128 of at most 64 bits.
    ///
    /// # Errors
    /// [`Error::Short`], [`Error::Malformed`] past 64 bits.
    #[inline]
    pub fn uint(&mut self) -> Result<u64> {
        // Most integers of a stored profile are small.
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.uint_of_many_bytes(),
        }
    }

    fn uint_of_many_bytes(&mut self) -> Result<u64> {
        let mut out = 0u64;
        for (i, byte) in self.bytes[self.at..].iter().enumerate() {
            if i == 9 && *byte > 1 {
                self.at += i;
                return Err(self.malformed("an integer of at most 64 bits"));
            }
            out |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.at += i + 1;
                return Ok(out);
            }
        }
        self.at = self.bytes.len();
        Err(Error::Short {
            wanted: 1,
            at: self.at,
        })
    }

    /// A count of things that each take at least `bytes_each` bytes of what is left: a corrupt count cannot make the
    /// reader allocate more than the record could hold.
    ///
    /// # Errors
    /// As [`Reader::uint`]; [`Error::Malformed`] for a count that cannot fit.
    pub fn count(&mut self, bytes_each: usize) -> Result<usize> {
        let n = usize::try_from(self.uint()?).map_err(|_| self.malformed("a count"))?;
        if n.saturating_mul(bytes_each.max(1)) > self.bytes.len() - self.at {
            return Err(self.malformed("a count that fits the record"));
        }
        Ok(n)
    }

    /// Zigzag LEB128.
    ///
    /// # Errors
    /// As [`Reader::uint`].
    #[inline]
    pub fn int(&mut self) -> Result<i64> {
        let v = self.uint()?;
        Ok(((v >> 1) as i64) ^ -((v & 1) as i64))
    }

    /// What [`Writer::int128`] wrote.
    ///
    /// # Errors
    /// As [`Reader::uint`].
    pub fn int128(&mut self) -> Result<i128> {
        match self.u8()? {
            0 => Ok(i128::from(self.int()?)),
            1 => Ok(i128::from_le_bytes(self.array()?)),
            _ => Err(self.malformed("a 128-bit integer flag of 0 or 1")),
        }
    }

    /// IEEE-754 binary64.
    ///
    /// # Errors
    /// [`Error::Short`].
    pub fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_bits(u64::from_le_bytes(self.array()?)))
    }

    /// Length-prefixed bytes.
    ///
    /// # Errors
    /// As [`Reader::uint`].
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.count(1)?;
        self.raw(n)
    }

    /// Length-prefixed UTF-8.
    ///
    /// # Errors
    /// As [`Reader::bytes`]; [`Error::Malformed`] when the bytes are not UTF-8.
    pub fn str(&mut self) -> Result<&'a str> {
        let raw = self.bytes()?;
        core::str::from_utf8(raw).map_err(|_| self.malformed("UTF-8 text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(a: u64, b: i64, c: i128, d: f64, e: String, f: Vec<u8>) {
            let mut w = Writer::with_format(1);
            w.uint(a);
            w.int(b);
            w.int128(c);
            w.f64(d);
            w.str(&e);
            w.bytes(&f);
            let bytes = w.into_bytes();
            let mut r = Reader::new(&bytes);
            prop_assert_eq!(r.format("t", 1).unwrap(), 1);
            prop_assert_eq!(r.uint().unwrap(), a);
            prop_assert_eq!(r.int().unwrap(), b);
            prop_assert_eq!(r.int128().unwrap(), c);
            let back = r.f64().unwrap();
            prop_assert!(back.to_bits() == d.to_bits() || (back.is_nan() && d.is_nan()));
            prop_assert_eq!(r.str().unwrap(), e);
            prop_assert_eq!(r.bytes().unwrap(), &f[..]);
            prop_assert!(r.done().is_ok());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut r = Reader::new(&bytes);
            while !r.is_done() {
                if r.uint().is_err() || r.str().is_err() || r.int128().is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn a_newer_format_is_refused_with_both_numbers() {
        let e = Reader::new(&[9]).format("profile", 1).unwrap_err();
        assert_eq!(
            e,
            Error::Newer {
                what: "profile",
                found: 9,
                known: 1
            }
        );
    }
}
