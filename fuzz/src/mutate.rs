//! Mutations from a seed: the same seed gives the same inputs on every machine. Simple on purpose; libFuzzer, which sees what a change
//! reaches, finds more.

/// A generator of numbers (Steele, Lea and Flood 2014: SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        if end == 0 {
            return 0;
        }
        (self.next() % end as u64) as usize
    }
}

/// Bytes and words that readers look for.
const WORDS: &[&[u8]] = &[
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\x00\x00\x00\x00\x00\x00\xf8\x7f",
    b"\x00\x00\x00\x00\x00\x00\xf0\xff",
    b"\x00",
    b"\xff",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"1e308",
    b"-0.0",
    b"\"\\ud800\"",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[[[[[[[[[[[[[[[",
    b"((((((((((((((((",
    b"\n",
    b"  ",
    b"\t",
    b": ",
    b"- ",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!",
    b"|\n",
    b"'",
    b"\"",
    b"#",
    b"\xef\xbb\xbf",
    b"\xe4\xb8\xad",
    b" && ",
    b" || ",
    b" ? ",
    b" in ",
    b"!",
    b"duration(\"1d\")",
    b"money(\"1\", \"CNY\")",
    b".size()",
    b"item.",
    b"request.",
];

/// A change of `input`, with `other` to take from, at most `most` bytes long.
#[must_use]
pub fn mutate(input: &[u8], other: &[u8], dice: &mut Dice, most: usize) -> Vec<u8> {
    let mut out = input.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(out.len() + 1);
        let end = at + dice.below((out.len() - at).min(64) + 1);
        match dice.below(9) {
            0 if at < out.len() => out[at] ^= 1 << dice.below(8),
            1 if at < out.len() => out[at] = dice.next() as u8,
            2 => drop(out.drain(at..end)),
            3 => out.truncate(at),
            4 => drop(out.splice(at..at, WORDS[dice.below(WORDS.len())].iter().copied())),
            5 => drop(out.splice(at..end, WORDS[dice.below(WORDS.len())].iter().copied())),
            6 => {
                let copy = out[at..end].to_vec();
                let to = dice.below(out.len() + 1);
                drop(out.splice(to..to, copy));
            }
            7 => {
                let from = dice.below(other.len() + 1);
                let to = from + dice.below((other.len() - from).min(256) + 1);
                drop(out.splice(at..end, other[from..to].iter().copied()));
            }
            _ => {
                for byte in &mut out[at..end] {
                    *byte = byte.wrapping_add(dice.below(3) as u8);
                }
            }
        }
    }
    out.truncate(most);
    out
}
