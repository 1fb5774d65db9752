//! The pinned generator: the same seed gives the same draws on every target, for ever. A decision's seed is split into
//! streams by purpose, so that what is sampled for exploration never shares a number with the choice itself.
//!
//! This room must never seed itself: a seed is an argument, and what was drawn with it can be drawn again.

use crate::id::hash64;

/// What a stream of random numbers is for. Each purpose of one seed is a stream of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// Posterior draws that make a distribution.
    Draws = 1,
    /// Sampling the choice from the distribution.
    Choice = 2,
    /// Which replicates of a belief learn a sample, and how often.
    Resampling = 3,
    /// What a replicate believes before anything is learned.
    Prior = 4,
}

/// xoshiro256++ (Blackman and Vigna 2019), seeded by SplitMix64 (Steele, Lea and Flood 2014) as its authors advise.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The generator of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut s = seed;
        let state = core::array::from_fn(|_| {
            s = s.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = s;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        Self { state }
    }

    /// The stream of `seed` for one purpose.
    pub fn stream(seed: u64, purpose: Purpose) -> Self {
        let mut bytes = [0u8; 9];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8] = purpose as u8;
        Self::new(hash64(&bytes))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let out = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let t = b << 17;
        let c = c ^ a;
        let d = d ^ b;
        self.state = [a ^ d, b ^ c, c ^ t, d.rotate_left(45)];
        out
    }

    /// Uniform in [0, 1): a multiple of 2^-53.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * UNIT
    }

    /// Standard normal, by the inverse of its distribution function: one draw a number.
    pub fn normal(&mut self) -> f64 {
        // The middle of one of 2^53 cells: never zero, never one. Odd numerators above 2^53 would round, so the cell is
        // one of 2^52.
        normal_quantile(((self.bits() >> 12) as f64 + 0.5) * (2.0 * UNIT))
    }
}

/// 2^-53.
const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;

/// The `p` quantile of the standard normal distribution, `0 < p < 1`, to about 1e-16 relative (Wichura 1988, AS 241,
/// PPND16).
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * horner(&A, r) / horner(&B, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = libm::sqrt(-libm::log(tail));
    let x = if r <= 5.0 {
        horner(&C, r - 1.6) / horner(&D, r - 1.6)
    } else {
        horner(&E, r - 5.0) / horner(&F, r - 5.0)
    };
    if q < 0.0 { -x } else { x }
}

/// Coefficients ascending by power.
fn horner(coefficients: &[f64; 8], x: f64) -> f64 {
    let mut sum = coefficients[7];
    for c in coefficients[..7].iter().rev() {
        sum = sum * x + c;
    }
    sum
}

const A: [f64; 8] = [
    3.387_132_872_796_366_5,
    133.141_667_891_784_38,
    1_971.590_950_306_551_3,
    13_731.693_765_509_46,
    45_921.953_931_549_87,
    67_265.770_927_008_7,
    33_430.575_583_588_13,
    2_509.080_928_730_122_7,
];
const B: [f64; 8] = [
    1.0,
    42.313_330_701_600_91,
    687.187_007_492_057_9,
    5_394.196_021_424_751,
    21_213.794_301_586_597,
    39_307.895_800_092_71,
    28_729.085_735_721_943,
    5_226.495_278_852_855,
];
const C: [f64; 8] = [
    1.423_437_110_749_683_5,
    4.630_337_846_156_546,
    5.769_497_221_460_691,
    3.647_848_324_763_204_5,
    1.270_458_252_452_368_4,
    0.241_780_725_177_450_6,
    0.022_723_844_989_269_184,
    7.745_450_142_783_414e-4,
];
const D: [f64; 8] = [
    1.0,
    2.053_191_626_637_759,
    1.676_384_830_183_803_8,
    0.689_767_334_985_1,
    0.148_103_976_427_480_08,
    0.015_198_666_563_616_457,
    5.475_938_084_995_345e-4,
    1.050_750_071_644_416_9e-9,
];
const E: [f64; 8] = [
    6.657_904_643_501_103,
    5.463_784_911_164_114,
    1.784_826_539_917_291_3,
    0.296_560_571_828_504_87,
    0.026_532_189_526_576_124,
    0.001_242_660_947_388_078_4,
    2.711_555_568_743_487_6e-5,
    2.010_334_399_292_288e-7,
];
const F: [f64; 8] = [
    1.0,
    0.599_832_206_555_888,
    0.136_929_880_922_735_8,
    0.014_875_361_290_850_615,
    7.868_691_311_456_133e-4,
    1.846_318_317_510_054_8e-5,
    1.421_511_758_316_446e-7,
    2.044_263_103_389_939_8e-15,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_pinned() {
        // Golden values: a change here would make every recorded decision impossible to recompute.
        let mut r = Random::new(0);
        let bits: Vec<u64> = (0..3).map(|_| r.bits()).collect();
        assert_eq!(bits, GOLDEN_BITS);
        let mut r = Random::stream(7, Purpose::Choice);
        assert_eq!(r.uniform().to_bits(), GOLDEN_UNIFORM.to_bits());
        assert_eq!(r.normal().to_bits(), GOLDEN_NORMAL.to_bits());
        assert_ne!(
            Random::stream(7, Purpose::Draws).bits(),
            Random::stream(7, Purpose::Choice).bits()
        );
    }
    // The first is what the authors' C program gives for xoshiro256++ after SplitMix64 of seed 0.
    const GOLDEN_BITS: [u64; 3] = [
        5_987_356_902_031_041_503,
        7_051_070_477_665_621_255,
        6_633_766_593_972_829_180,
    ];
    const GOLDEN_UNIFORM: f64 = 0.6454102622968751;
    const GOLDEN_NORMAL: f64 = -0.08523073200020169;

    #[test]
    fn quantiles_agree_with_tables() {
        for (p, x) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.25, -0.674_489_750_196_081_7),
            (0.001, -3.090_232_306_167_813_5),
            (1e-20, -9.262_340_089_798_408),
        ] {
            assert!(
                (normal_quantile(p) - x).abs() < 1e-13,
                "{p}: {} is not {x}",
                normal_quantile(p)
            );
        }
    }

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let mut r = Random::new(3);
        let n = 100_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..n {
            let x = r.normal();
            sum += x;
            squares += x * x;
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 5.0 / n.sqrt());
        assert!((squares / n - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
    }
}
