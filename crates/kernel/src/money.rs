//! Money: the currencies known, the places of their minor units, and amounts as decimals and back. Amounts are integers of
//! minor units everywhere else; nothing here rounds.

/// Active ISO 4217 currencies whose minor unit is a hundredth.
const HUNDREDTHS: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF \
CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR \
JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR \
NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY \
TTD TWD TZS UAH USD UYU UZS VED VES WST XCD YER ZAR ZMW ZWG";
/// Active ISO 4217 currencies without a minor unit.
const WHOLE: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
/// Active ISO 4217 currencies whose minor unit is a thousandth.
const THOUSANDTHS: &str = "BHD IQD JOD KWD LYD OMR TND";

/// All currencies known, in no particular order.
pub fn currencies() -> impl Iterator<Item = &'static str> {
    [HUNDREDTHS, WHOLE, THOUSANDTHS]
        .into_iter()
        .flat_map(str::split_whitespace)
}

/// Decimal places of the minor unit of an ISO 4217 currency; none when it is not known.
pub fn minor_digits(currency: &str) -> Option<u32> {
    [(HUNDREDTHS, 2), (WHOLE, 0), (THOUSANDTHS, 3)]
        .into_iter()
        .find(|(list, _)| list.split_whitespace().any(|c| c == currency))
        .map(|(_, digits)| digits)
}

/// A decimal amount as minor units with `digits` places, exactly: `12.5` with two places is 1250.
///
/// # Errors
/// A sentence that says what to write: not a decimal, more places than the currency has, or too large.
pub fn minor_units(text: &str, digits: u32) -> Result<i64, String> {
    let help = || format!("write a decimal with at most {digits} places, such as `12.50`");
    let (negative, body) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(help());
    }
    let significant = fraction.trim_end_matches('0');
    if significant.len() > digits as usize {
        return Err(format!(
            "`{text}` has more decimal places than the currency; {}",
            help()
        ));
    }
    let mut joined = String::from(whole);
    joined.push_str(significant);
    joined.extend(std::iter::repeat_n(
        '0',
        digits as usize - significant.len(),
    ));
    let value: i64 = joined
        .parse()
        .or_else(|e| if joined.is_empty() { Ok(0) } else { Err(e) })
        .map_err(|_: std::num::ParseIntError| "the amount is too large".to_owned())?;
    Ok(if negative { -value } else { value })
}

/// Minor units as a decimal: 1250 with two places is `12.50`.
pub fn decimal(minor: i64, digits: u32) -> String {
    let scale = 10u64.pow(digits);
    let magnitude = minor.unsigned_abs();
    let sign = if minor < 0 { "-" } else { "" };
    if digits == 0 {
        return format!("{sign}{magnitude}");
    }
    format!(
        "{sign}{}.{:0width$}",
        magnitude / scale,
        magnitude % scale,
        width = digits as usize
    )
}
