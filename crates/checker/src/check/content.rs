//! What a decision says, shows, reads and advises: rules 8, 9, 10, 14 (of advice) and 15, with journeys, prices and uses of
//! data. It must never read a text for more than its words.

use super::*;

impl Checker {
    /// Rule 8 of a text and what is given.
    pub(super) fn wording(&mut self, d: &Decision, on: &Occasion<'_>) {
        if let Some(t) = &d.text {
            let fault = text::found(t, &self.config.forbidden_words)
                .map(|word| format!("the text says `{word}`"));
            self.note(8, judged(fault), on);
        }
        if let Some(incentive) = &d.incentive {
            let fault = (!d.items.is_empty()).then(|| format!("{} with a product", incentive.kind));
            let verdict = match fault {
                None => self.condition(incentive),
                fault => judged(fault),
            };
            self.note(8, verdict, on);
        }
    }

    pub(super) fn journey(&mut self, j: &Journey) {
        let Some(incentive) = &j.incentive else {
            return;
        };
        let record = format!("journey {}", j.id);
        let on = occasion(j.at, &record, "", "");
        self.note(8, self.condition(incentive), &on);
    }

    /// Rule 8 of what is given for something: words that mean a purchase break it, words that the settings name beside them
    /// keep it, and of others nothing is known.
    fn condition(&self, incentive: &Incentive) -> (Verdict, String) {
        let Some(condition) = &incentive.conditional_on else {
            return judged(None);
        };
        let (kind, plain) = (&incentive.kind, text::plain(condition));
        if self.config.purchase_conditions.contains(&plain) {
            judged(Some(format!(
                "{kind} on condition of a purchase (`{condition}`)"
            )))
        } else if self.config.other_conditions.contains(&plain) {
            judged(None)
        } else {
            let found = format!("whether `{condition}`, for which {kind} is given, is a purchase");
            (Unknown, found)
        }
    }

    /// Rule 9.
    pub(super) fn performance(&mut self, d: &Decision, on: &Occasion<'_>) {
        let Some(shows) = d.shows.as_ref().filter(|s| s.performance || s.annualised) else {
            return;
        };
        let today = self.house_day(d.at);
        let inception = self.products.get(on.product).and_then(|p| p.inception);
        let fault = match inception {
            None => Some("performance of a fund whose inception is not known".to_owned()),
            Some(day) => {
                let reached = |months: i64| {
                    let span = jiff::Span::new().try_months(months).ok();
                    span.and_then(|s| day.checked_add(s).ok())
                        .is_some_and(|d| d <= today)
                };
                let full_year = shows.window_days.is_some_and(|w| w >= 365) && reached(12);
                if !reached(self.config.performance_months) {
                    Some(format!("performance of a fund that began on {day}"))
                } else if shows.annualised && !full_year {
                    Some(format!(
                        "annualised over {} days of a fund that began on {day}",
                        shown(shows.window_days)
                    ))
                } else if !shows.volatility {
                    Some("a return without its volatility".to_owned())
                } else {
                    None
                }
            }
        };
        self.note(9, judged(fault), on);
    }

    pub(super) fn undeclared<'r>(&self, reads: &'r [String]) -> Option<&'r String> {
        reads.iter().find(|read| {
            !self
                .config
                .declared_reads
                .iter()
                .any(|name| match name.strip_suffix('*') {
                    Some(begin) => read.starts_with(begin),
                    None => *read == name,
                })
        })
    }

    /// Rule 10 of a decision.
    pub(super) fn personalisation(&mut self, d: &Decision, on: &Occasion<'_>) {
        let off = self
            .customers
            .get(&d.customer)
            .is_some_and(|c| c.personalisation == Some(false));
        if !off || matches!(d.purpose, Purpose::Buy | Purpose::Redeem) {
            return;
        }
        self.note(10, self.reads(d), on);
    }

    /// Rule 10 of what a decision read, where personalisation is off.
    pub(super) fn reads(&self, d: &Decision) -> (Verdict, String) {
        match &d.reads {
            None => (Unknown, "what was read is not recorded".to_owned()),
            Some(reads) => judged(
                self.undeclared(reads)
                    .map(|r| format!("personalisation is off and `{r}` was read")),
            ),
        }
    }

    pub(super) fn price(&mut self, p: &Price) {
        let record = format!("price of {}", p.product);
        let on = occasion(p.at, &record, &p.customer, &p.product);
        let verdict = match &p.reads {
            None => (Unknown, "what was read is not recorded".to_owned()),
            Some(reads) => judged(
                self.undeclared(reads)
                    .map(|r| format!("the price reads `{r}`")),
            ),
        };
        self.note(10, verdict, &on);
        let Some(declared) = &p.declared else { return };
        let prices = &mut self.products.entry(p.product.clone()).or_default().prices;
        let verdict = match prices.get(declared) {
            Some(before) => judged((*before != p.price).then(|| {
                format!(
                    "the same declared inputs cost {before} before and {} now",
                    p.price
                )
            })),
            None if prices.len() >= PRICES_MAX => {
                (Unknown, "more combinations of inputs than are kept".into())
            }
            None => {
                prices.insert(declared.clone(), p.price.clone());
                (Kept, String::new())
            }
        };
        self.note(10, verdict, &on);
    }

    pub(super) fn used(&mut self, u: &Use) {
        let c = self.customers.entry(u.customer.clone()).or_default();
        let (consent, word) = match u.of {
            UseOf::Biometrics => (c.consent_biometrics, "biometrics"),
            UseOf::Partners => (c.consent_partners, "partners"),
        };
        let fault = (consent != Some(true)).then(|| format!("no consent for {word}"));
        let on = occasion(u.at, "use", &u.customer, "");
        self.note(10, judged(fault), &on);
    }

    /// Rules 14 and 15 of advice.
    pub(super) fn advice(&mut self, d: &Decision, on: &Occasion<'_>) {
        if d.advice.as_deref() == Some("portfolio") {
            let fault = (!self.config.portfolio_licence)
                .then(|| "portfolio advice without the licence".to_owned());
            self.note(15, judged(fault), on);
        }
        let Some(from) = &d.switch_from else { return };
        let today = self.house_day(d.at);
        let lots = (self.customers.get(&d.customer))
            .and_then(|c| c.positions.get(from))
            .map_or(&[][..], |p| &p.lots);
        let shares: f64 = lots.iter().map(|(_, s)| s).sum();
        let due = self.fees_due(from, lots, today, shares, 1.0);
        let verdict = match (d.redemption_fee_shown, due) {
            (None, _) => judged(Some("switching advice shows no redemption fee".to_owned())),
            (Some(_), None) => (Unknown, "what is held is not known".to_owned()),
            (Some(shown), Some(due)) => {
                let rate = due as f64 / FEE_QUANTA as f64 / shares;
                judged((shown + 1e-9 < rate).then(|| format!("shown {shown}, due is {rate}")))
            }
        };
        self.note(14, verdict, on);
    }
}
