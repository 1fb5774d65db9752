//! What the text of the rules leaves to the operator, and what it marks `(?)`. Every default is the stricter reading or the
//! number that the text states. This room must never hold a rule.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A step of a redemption fee: the rate of shares held for fewer days than `under_days`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeStep {
    /// Days.
    pub under_days: i64,
    /// Least rate, 0..=1.
    pub rate: f64,
}

/// Settings, from `config.json`. What is left out has its default.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Rule 1: the class that never goes higher, not even with a signed warning.
    pub lowest_class: i64,
    /// Rule 1 (?): professionals are exempt from the comparison of class and risk when they are shown or buy. Rule 2 names no
    /// exemption, so nothing above her class is pushed to a professional either, unless `push_to_professionals`.
    pub professionals_exempt: bool,
    /// Rule 2: see above.
    pub push_to_professionals: bool,
    /// Rule 1: whether showing a fund above the class on a shelf is an offer.
    pub shelf_is_an_offer: bool,
    /// Rule 1: least age of customers; none asks for no age.
    pub least_age: Option<i64>,
    /// Rule 1: greatest age by risk, for instance `{"5": 70}`.
    pub oldest_by_risk: BTreeMap<i64, i64>,
    /// Rule 1: least years of experience by risk.
    pub experience_by_risk: BTreeMap<i64, i64>,
    /// Rule 1: longest term in days by class.
    pub longest_term_by_class: BTreeMap<i64, i64>,
    /// Rule 2 (?): a signed warning opens the customer's own purchase.
    pub warning_opens_own_purchase: bool,
    /// Rule 3: any raised risk cancels the send (`any`), or only one that is now above the class (`above_class`).
    pub raise_cancels: Raise,
    /// Rule 4: days for which an assessment is valid, by regime (`fund`, `bank`, `insurance`, `trust`), beside the expiry that
    /// the customer's facts name. The earlier end counts.
    pub assessment_days: BTreeMap<String, i64>,
    /// Rule 6 (?): online purchases of funds need an electronic trail.
    pub online_needs_trail: bool,
    /// Rule 6: channels that are online.
    pub online_channels: Vec<String>,
    /// Rule 6 (?): years for which the sealed copy of an erased customer with orders is kept.
    pub evidence_years: i64,
    /// Rule 7: hours without contact after a private fund was signed.
    pub cooling_off_hours: i64,
    /// Rule 8: words that promise, forecast, or sell by a lottery, a kickback or a gift. Compared without regard to case.
    pub forbidden_words: Vec<String>,
    /// Rule 8: conditions of an incentive that mean a purchase. Letters and digits alone are compared, without regard to case.
    pub purchase_conditions: Vec<String>,
    /// Rule 8: conditions that mean none. What stands in neither list is unknown.
    pub other_conditions: Vec<String>,
    /// Rule 9: months from inception before performance is shown.
    pub performance_months: i64,
    /// Rule 11: ways to say how to opt out, one of which stands in every text.
    pub opt_out_words: Vec<String>,
    /// Rule 11: first minute of the local day at which texts may be sent.
    pub sms_from_minute: i64,
    /// Rule 11: first minute of the local day at which they may no longer be.
    pub sms_to_minute: i64,
    /// Rule 11: offset of customers who have neither zone nor offset.
    pub utc_offset: String,
    /// Rule 12: trading days from order to confirmation.
    pub confirmation_days: u32,
    /// Rule 12 (?): the same of funds abroad.
    pub confirmation_days_qdii: u32,
    /// Rule 12: a confirmation later than that is a violation too.
    pub late_confirmation_is_violation: bool,
    /// Rule 10: what may be read when personalisation is off, and by prices: the inputs of suitability and declared rules. A
    /// name ending in `*` stands for all that begin so.
    pub declared_reads: Vec<String>,
    /// Rule 14: fees of products without a ladder of their own.
    pub fee_ladder: Vec<FeeStep>,
    /// Rule 15 (?): the tenant has the licence for portfolio advice.
    pub portfolio_licence: bool,
    /// Rule 16: days for which an order is remembered after its end.
    pub orders_kept_days: i64,
}

/// When a raised risk cancels a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Raise {
    /// Any raise.
    Any,
    /// A raise above the customer's class.
    AboveClass,
}

impl Default for Config {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect();
        let step = |under_days, rate| FeeStep { under_days, rate };
        Self {
            lowest_class: 1,
            professionals_exempt: true,
            push_to_professionals: false,
            shelf_is_an_offer: true,
            least_age: None,
            oldest_by_risk: BTreeMap::new(),
            experience_by_risk: BTreeMap::new(),
            longest_term_by_class: BTreeMap::new(),
            warning_opens_own_purchase: true,
            raise_cancels: Raise::Any,
            assessment_days: BTreeMap::new(),
            online_needs_trail: true,
            online_channels: words(&["app", "web", "mini_program"]),
            evidence_years: 20,
            cooling_off_hours: 24,
            forbidden_words: words(&[
                "保本",
                "保收益",
                "保证收益",
                "稳赚",
                "零风险",
                "无风险",
                "预期收益",
                "预计收益",
                "预测收益",
                "承诺收益",
                "抽奖",
                "回扣",
                "返现",
                "送礼",
                "礼品",
                "红包",
                "guaranteed",
                "risk-free",
                "risk free",
                "cannot lose",
                "expected return",
                "will return",
                "lottery",
                "prize draw",
                "kickback",
                "cashback",
                "free gift",
                "red packet",
            ]),
            purchase_conditions: words(&[
                "fund_purchase",
                "first_fund_purchase",
                "purchase",
                "first_purchase",
                "buy",
                "fund_buy",
                "order",
                "first_order",
                "fund_order",
                "order_submitted",
                "order_accepted",
                "order_confirmed",
                "subscribe",
                "subscription",
                "fund_subscription",
                "regular_investment",
                "购买",
                "首购",
                "首次购买",
                "基金购买",
                "购买基金",
                "买入",
                "申购",
                "认购",
                "下单",
                "定投",
            ]),
            other_conditions: words(&[
                "login",
                "registration",
                "sign_up",
                "check_in",
                "visit",
                "assessment",
                "risk_assessment",
                "survey",
                "birthday",
                "登录",
                "注册",
                "签到",
                "风险测评",
                "生日",
            ]),
            performance_months: 6,
            opt_out_words: words(&["拒收请回复", "退订回", "回T退订", "回TD退订", "reply STOP"]),
            sms_from_minute: 8 * 60,
            sms_to_minute: 21 * 60,
            utc_offset: "+08:00".to_owned(),
            confirmation_days: 1,
            confirmation_days_qdii: 2,
            late_confirmation_is_violation: true,
            declared_reads: words(&[
                "item.*",
                "env.*",
                "held.*",
                "age",
                "appetite_expires_at",
                "personalisation",
                "professional",
                "qualified",
                "risk_appetite",
            ]),
            fee_ladder: vec![step(7, 0.015), step(30, 0.01), step(180, 0.005)],
            portfolio_licence: false,
            orders_kept_days: 365,
        }
    }
}

impl Config {
    /// Looks whether the settings can be used.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn checked(mut self) -> Result<Self, String> {
        if crate::calendar::offset(&self.utc_offset).is_none() {
            return Err(format!(
                "`{}` is no offset; write `utc_offset` as `+08:00`",
                self.utc_offset
            ));
        }
        let minutes = 0..=1_440;
        if !minutes.contains(&self.sms_from_minute)
            || !minutes.contains(&self.sms_to_minute)
            || self.sms_from_minute >= self.sms_to_minute
        {
            return Err("sms_from_minute must be before sms_to_minute, both 0 to 1440".to_owned());
        }
        if self.orders_kept_days < 1 || self.evidence_years < 0 || self.cooling_off_hours < 0 {
            return Err(
                "orders_kept_days must be at least 1, evidence_years and cooling_off_hours at least 0"
                    .to_owned(),
            );
        }
        check_ladder(&self.fee_ladder)?;
        for word in &mut self.forbidden_words {
            *word = word.to_lowercase();
        }
        for word in &mut self.opt_out_words {
            *word = word.to_lowercase();
        }
        for list in [&mut self.purchase_conditions, &mut self.other_conditions] {
            for word in list.iter_mut() {
                *word = crate::text::plain(word);
            }
        }
        let both = |w: &&String| self.other_conditions.contains(*w);
        if let Some(word) = self.purchase_conditions.iter().find(both) {
            return Err(format!(
                "`{word}` stands in purchase_conditions and in other_conditions; leave it in one"
            ));
        }
        Ok(self)
    }
}

/// Looks whether a ladder's days ascend and its rates are shares.
pub(crate) fn check_ladder(ladder: &[FeeStep]) -> Result<(), String> {
    let ascends = ladder.windows(2).all(|w| w[0].under_days < w[1].under_days);
    let shares = ladder
        .iter()
        .all(|s| s.under_days > 0 && (0.0..=1.0).contains(&s.rate));
    if ascends && shares {
        Ok(())
    } else {
        Err("a fee ladder has days above zero that ascend and rates from 0 to 1".to_owned())
    }
}
