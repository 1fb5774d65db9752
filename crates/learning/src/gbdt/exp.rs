//! The exponential function for millions of rows: sums, products and bits alone, which compilers can do several values at once and
//! every target does alike. This room must never be used where the last bit counts: the kernel's `libm` is for that.

/// 1.5 * 2^52: adding it rounds to a whole number, which then stands in the lowest bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// `e^x` to 3e-16 relative; `x` is cut to [-708, 709].
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    let x = x.clamp(-708.0, 709.0);
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    // Taylor's series to r^13, |r| <= ln(2) / 2, the upper terms in pairs.
    let r2 = r * r;
    let r4 = r2 * r2;
    let a = 1.0 / 24.0 + r * (1.0 / 120.0);
    let b = 1.0 / 720.0 + r * (1.0 / 5_040.0);
    let c = 1.0 / 40_320.0 + r * (1.0 / 362_880.0);
    let d = 1.0 / 3_628_800.0 + r * (1.0 / 39_916_800.0);
    let e = 1.0 / 479_001_600.0 + r * (1.0 / 6_227_020_800.0);
    let upper = (a + r2 * b) + r4 * ((c + r2 * d) + r4 * e);
    let sum = 1.0 + (r + (r2 * 0.5 + (r2 * r * (1.0 / 6.0) + r4 * upper)));
    sum * f64::from_bits(shifted.to_bits().wrapping_add(1_023) << 52)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_agrees_with_libm() {
        for step in -70_000..70_000 {
            let x = f64::from(step) * 0.01 + 1e-4;
            let (own, libm) = (super::exp(x), libm::exp(x));
            assert!(((own - libm) / libm).abs() < 4e-16, "{x}: {own} {libm}");
        }
        assert_eq!(super::exp(0.0), 1.0);
    }
}
