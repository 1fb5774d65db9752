//! Steps of orders: rules 12, 13, 14 and 16, and rule 7 of what was signed. It must never count an order for what it was not
//! told to be.

use super::*;

impl Checker {
    /// Least fee of redeeming `shares` of `lots`, oldest first, in [`FEE_QUANTA`] of what `nav` is in; none when they are not
    /// there. Exact in what was told: rounding must neither make a fault nor hide one.
    pub(super) fn fees_due(
        &self,
        product: &str,
        lots: &[(Date, f64)],
        day: Date,
        shares: f64,
        nav: f64,
    ) -> Option<i128> {
        let p = self.products.get(product)?;
        let exempt = p.fee_exempt == Some(true);
        let ladder: &[FeeStep] = p.fee_ladder.as_deref().unwrap_or(&self.config.fee_ladder);
        let (mut left, mut due) = (shares, 0i128);
        if left <= 0.0 {
            return None;
        }
        let whole = |v: f64, parts: f64| (v * parts).round() as i128;
        for (bought, held) in lots {
            let taken = held.min(left);
            let days = i64::from((day - *bought).get_days());
            let rate = ladder
                .iter()
                .find(|step| days < step.under_days)
                .map_or(0.0, |step| step.rate);
            if !exempt {
                let of_lot = whole(taken, 1e6)
                    .saturating_mul(whole(nav, 1e6))
                    .saturating_mul(whole(rate, 1e9));
                due = due.saturating_add(of_lot);
            }
            left -= taken;
            if left <= 1e-9 {
                return Some(due);
            }
        }
        None
    }

    pub(super) fn order(&mut self, o: &Order) {
        let record = format!("order {}", o.id);
        let on = Occasion {
            purpose: Purpose::Buy,
            channel: &o.channel,
            recording: o.recording.is_some(),
            trail: o.trail.is_some(),
            is_own: o.decision.is_none(),
            ..occasion(o.at, &record, &o.customer, &o.product)
        };
        self.products.entry(o.product.clone()).or_default();
        let kept = SignedDuration::from_hours(24 * self.config.orders_kept_days);
        let c = self.customers.entry(o.customer.clone()).or_default();
        if c.last_order
            .is_none_or(|last| o.at.duration_since(last) > SignedDuration::from_hours(24))
        {
            (c.orders).retain(|_, x| x.ended.is_none_or(|e| o.at.duration_since(e) <= kept));
        }
        c.last_order = Some(o.at);
        let state = c.orders.entry(o.id.clone()).or_insert(OrderState {
            submitted: None,
            confirmed: None,
            ended: None,
            side: o.side,
            fast: None,
        });
        let before = state.clone();
        match o.step {
            Step::Submitted if before.submitted.is_none() => {
                state.submitted = Some(o.at);
                state.fast = (o.fast && o.side == Side::Redeem).then(|| Fast {
                    at: o.at,
                    product: o.product.clone(),
                    amount: o.amount,
                });
            }
            // Taken: what it takes of the day's limit is judged now.
            Step::Accepted => {
                let fast = state.fast.take();
                return self.redeemed_fast(fast, &o.customer, &record);
            }
            Step::Confirmed if before.confirmed.is_none() && before.ended.is_none() => {
                state.confirmed = Some(o.at);
                state.ended = Some(o.at);
                state.fast = None;
            }
            // What was refused took nothing of the day's limit.
            Step::Failed | Step::Cancelled if before.ended.is_none() => {
                state.ended = Some(o.at);
                state.fast = None;
            }
            Step::CancelRefused => {}
            // A step told again, or after the end, changes nothing.
            _ => return,
        }
        match o.step {
            Step::Submitted => self.submitted(o, &on),
            Step::Confirmed => {
                self.redeemed_fast(before.fast.clone(), &o.customer, &record);
                self.confirmed(o, &before, &on);
            }
            Step::CancelRefused => self.cancel_refused(&before, &on),
            _ => {}
        }
    }

    pub(super) fn submitted(&mut self, o: &Order, on: &Occasion<'_>) {
        if o.side == Side::Buy {
            self.suits(on);
            if self.products[on.product].private == Some(true)
                && let Some(c) = self.customers.get_mut(on.customer)
            {
                c.private_signed = Some(o.at);
            }
        }
        // 12
        if let Some(told) = o.trade_day {
            let day = self.calendar.as_ref().and_then(|c| c.order_day(o.at));
            let verdict = match day {
                None => (Unknown, "the calendar does not tell the day".to_owned()),
                Some(day) => judged((day != told).then(|| format!("counts for {day}, not {told}"))),
            };
            self.note(12, verdict, on);
        }
    }

    /// Rule 13: fast redemptions of a customer, product and day, as far as they were taken.
    pub(super) fn redeemed_fast(&mut self, fast: Option<Fast>, customer: &str, record: &str) {
        let Some(Fast {
            at,
            product,
            amount,
        }) = fast
        else {
            return;
        };
        let today = self.house_day(at);
        let limit = self
            .products
            .get(&product)
            .and_then(|p| p.fast_redemption_limit);
        let taken = &mut self.position(customer, &product).fast;
        let before = taken.filter(|(day, _)| *day == today).map_or(0, |f| f.1);
        let sum = before.saturating_add(amount.unwrap_or(0));
        *taken = Some((today, sum));
        let verdict = match (limit, amount) {
            (Some(limit), Some(_)) => {
                judged((sum > limit).then(|| format!("fast redemptions of {sum}, limit {limit}")))
            }
            _ => (Unknown, "limit or amount is not known".to_owned()),
        };
        self.note(13, verdict, &occasion(at, record, customer, &product));
    }

    pub(super) fn confirmed(&mut self, o: &Order, before: &OrderState, on: &Occasion<'_>) {
        let p = &self.products[on.product];
        let calendar = self.calendar.as_ref();
        let exchange = |at| calendar.map_or_else(|| self.house_day(at), |c| c.day(at));
        let day = o.confirmed_on.unwrap_or_else(|| exchange(o.at));
        let mut notes = Vec::new();
        // 7
        if p.private == Some(true) && before.side == Side::Buy {
            let quiet = SignedDuration::from_hours(self.config.cooling_off_hours);
            notes.push((
                7,
                match before.submitted {
                    None => (Unknown, "when it was signed is not known".to_owned()),
                    Some(signed) => {
                        let since = o.at.duration_since(signed);
                        judged(
                            (since < quiet)
                                .then(|| format!("confirmed {since:#} after it was signed")),
                        )
                    }
                },
            ));
        }
        // 12
        let days = p.confirmation_days.unwrap_or(match p.qdii {
            Some(true) => self.config.confirmation_days_qdii,
            _ => self.config.confirmation_days,
        });
        let due = (before.submitted)
            .and_then(|at| calendar?.order_day(at))
            .and_then(|t| calendar?.after(t, days));
        let is_fast = o.fast && before.side == Side::Redeem;
        notes.push((
            12,
            match due {
                // The text has days for ordinary orders alone.
                _ if is_fast => (
                    Unknown,
                    "the text gives a fast redemption no day".to_owned(),
                ),
                None => (Unknown, "the day of confirmation is not known".to_owned()),
                Some(due) => {
                    let late = day > due && self.config.late_confirmation_is_violation;
                    judged((day < due || late).then(|| format!("confirmed on {day}, due on {due}")))
                }
            },
        ));
        // 13
        if p.money_market == Some(true) {
            let due = calendar.and_then(|c| c.after(day, p.earning_days.unwrap_or(1)));
            notes.push((
                13,
                match (due, o.earning_changes_on) {
                    _ if is_fast => (
                        Unknown,
                        "the text gives a fast redemption no day".to_owned(),
                    ),
                    (Some(due), Some(told)) => judged(
                        (due != told).then(|| format!("earning changes on {due}, not {told}")),
                    ),
                    (None, _) => (Unknown, "the calendar does not tell the day".to_owned()),
                    (_, None) => (Unknown, "no day of earning is recorded".to_owned()),
                },
            ));
        }
        // 14
        if before.side == Side::Redeem {
            notes.push((14, self.fee(o, day, on)));
        }
        for (rule, judged) in notes {
            self.note(rule, judged, on);
        }
        let Some(shares) = o.shares.filter(|s| *s > 0.0) else {
            return;
        };
        let lots = &mut self.position(on.customer, on.product).lots;
        match before.side {
            Side::Buy => match lots.iter_mut().find(|(d, _)| *d == day) {
                Some((_, held)) => *held += shares,
                None => {
                    lots.push((day, shares));
                    lots.sort_by_key(|(d, _)| *d);
                }
            },
            Side::Redeem => {
                let mut left = shares;
                for (_, held) in lots.iter_mut() {
                    let taken = held.min(left);
                    *held -= taken;
                    left -= taken;
                }
                lots.retain(|(_, held)| *held > 1e-9);
            }
        }
    }

    pub(super) fn fee(&self, o: &Order, day: Date, on: &Occasion<'_>) -> (Verdict, String) {
        let lots = (self.customers.get(on.customer))
            .and_then(|c| c.positions.get(on.product))
            .map_or(&[][..], |p| &p.lots);
        let (Some(shares), Some(nav), Some(fee)) = (o.shares, o.nav, o.fee) else {
            return (Unknown, "shares, nav or fee are not recorded".to_owned());
        };
        let Some(due) = self.fees_due(on.product, lots, day, shares, nav * 100.0) else {
            return (Unknown, "more is redeemed than was seen bought".to_owned());
        };
        let least = due / FEE_QUANTA;
        judged((i128::from(fee) < least).then(|| format!("fee {fee}, at least {least}")))
    }

    /// Rule 7: within the hesitation period the customer may always step back.
    pub(super) fn cancel_refused(&mut self, before: &OrderState, on: &Occasion<'_>) {
        let Some(days) = self.products[on.product].hesitation_days else {
            return;
        };
        let verdict = match before.confirmed.or(before.submitted) {
            None => (Unknown, "when it began is not known".to_owned()),
            Some(began) => {
                let within = on.at.duration_since(began) < SignedDuration::from_hours(24 * days);
                judged(within.then(|| format!("refused within {days} days of hesitation")))
            }
        };
        self.note(7, verdict, on);
    }

    /// Rule 16.
    pub(super) fn conversion(&mut self, c: &Conversion) {
        let record = format!("conversion by order {}", c.order);
        let on = occasion(c.at, &record, &c.customer, "");
        let order = (self.customers.get(&c.customer)).and_then(|x| x.orders.get(&c.order));
        let verdict = match order {
            None => (Unknown, "the order is not known".to_owned()),
            Some(o) => judged((o.confirmed.is_none()).then(|| "not confirmed".to_owned())),
        };
        self.note(16, verdict, &on);
    }
}
