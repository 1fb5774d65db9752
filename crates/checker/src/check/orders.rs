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
            recording: is_named(o.recording.as_ref()),
            trail: is_named(o.trail.as_ref()),
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
        self.is_one_order(o, &on);
        let c = self.customers.entry(o.customer.clone()).or_default();
        let state = c
            .orders
            .entry(o.id.clone())
            .or_insert_with(|| OrderState::new(o));
        state.is_fast |= o.fast && o.side == Side::Redeem;
        let before = state.clone();
        let end = |state: &mut OrderState, word| {
            (state.ended, state.ended_by) = (Some(o.at), word);
        };
        match o.step {
            Step::Submitted if before.submitted.is_none() => {
                state.submitted = Some(o.at);
                if state.is_fast && !before.fast_counted {
                    state.fast = Some(Fast::of(o));
                }
                self.submitted(o, &on);
            }
            // Taken: what it takes of the day's limit is judged now.
            Step::Accepted if before.ended.is_none() => {
                let fast = state.taken(o);
                self.redeemed_fast(fast, &o.customer, &record);
            }
            // Whatever ended it before: what is confirmed moves shares and money.
            Step::Confirmed if before.confirmed.is_none() => {
                state.confirmed = Some(o.at);
                end(state, "confirmed");
                let fast = state.taken(o);
                if let Some(ended) = before.ended {
                    let found = format!("it was {} at {ended}, and is confirmed", before.ended_by);
                    self.note(12, (Violated, found), &on);
                }
                // Nobody told that it was placed: it is judged as far as its confirmation tells.
                if before.submitted.is_none() && o.side == Side::Buy {
                    self.suits(&on);
                }
                self.redeemed_fast(fast, &o.customer, &record);
                self.confirmed(o, &before, &on);
            }
            // What was refused took nothing of the day's limit.
            Step::Failed if before.ended.is_none() => end(state, "failed"),
            Step::Cancelled if before.ended.is_none() => end(state, "cancelled"),
            Step::CancelRefused => self.cancel_refused(&before, &on),
            // A step told again, or after the end, changes nothing.
            _ => {}
        }
    }

    /// Rule 6: evidence that stands for two orders is evidence of neither. An id that named another order begins a new one,
    /// judged by itself.
    fn is_one_order(&mut self, o: &Order, on: &Occasion<'_>) {
        let Some(c) = self.customers.get_mut(&o.customer) else {
            return;
        };
        let fault = match c.orders.get(&o.id) {
            Some(x) if *x.product != *o.product => Some(format!(
                "this id stood for an order of {}, and now for one of {}",
                x.product, o.product
            )),
            Some(x) if x.side != o.side => Some(format!(
                "this id stood for a {:?}, and now for a {:?}",
                x.side, o.side
            )),
            Some(x) => (x.submitted.zip(x.ended))
                .filter(|(placed, _)| o.step == Step::Submitted && *placed != o.at)
                .map(|(_, ended)| format!("an order of this id was {} at {ended}", x.ended_by)),
            None => {
                if self.owners.len() >= self.owners_look_at {
                    self.owners.retain(|id, owner| {
                        let c = self.customers.get(&**owner);
                        c.is_some_and(|c| c.orders.contains_key(&**id))
                    });
                    self.owners_look_at = OWNERS_LOOK_AT.max(2 * self.owners.len());
                }
                let owner = (self.owners.get(&*o.id)).filter(|owner| ***owner != *o.customer);
                let fault = owner.map(|owner| format!("an order of {owner} has this id too"));
                self.owners
                    .insert(o.id.as_str().into(), o.customer.as_str().into());
                if let Some(found) = fault {
                    self.note(6, (Violated, found), on);
                }
                return;
            }
        };
        if let Some(found) = fault {
            let open = c.orders.remove(&o.id).filter(|x| x.ended.is_none());
            if let Some(fast) = open.and_then(|x| x.fast) {
                self.redeemed_fast(Some(fast), on.customer, on.record);
            }
            self.note(6, (Violated, found), on);
        }
    }

    fn submitted(&mut self, o: &Order, on: &Occasion<'_>) {
        if o.side == Side::Buy {
            self.suits(on);
            if self.products[on.product].private == Some(true)
                && let Some(c) = self.customers.get_mut(on.customer)
            {
                c.private_signed = Some(o.at);
            }
        }
        // 12
        let day = self.calendar.as_ref().and_then(|c| c.order_day(o.at));
        let verdict = match (o.trade_day, day) {
            (None, _) if o.fast && o.side == Side::Redeem => {
                (Unknown, "a fast redemption without a trade day".to_owned())
            }
            (None, _) => (Unknown, "the trade day was not told".to_owned()),
            (_, None) => (Unknown, "the calendar does not tell the day".to_owned()),
            (Some(told), Some(day)) => {
                judged((day != told).then(|| format!("counts for {day}, not {told}")))
            }
        };
        self.note(12, verdict, on);
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
        let day = self.house_day(at);
        let limit = (self.products.get(&*product)).and_then(|p| p.fast_redemption_limit);
        let taken = self.position(customer, &product).fast(day, amount);
        let verdict = match (limit, taken) {
            (None, _) => (
                Unknown,
                "a fast redemption of a product whose limit is not known".to_owned(),
            ),
            (_, None) => (
                Unknown,
                format!("fast redemptions of {day} are no longer remembered"),
            ),
            (Some(limit), Some(taken)) if taken.sum > limit => {
                let sum = taken.sum;
                judged(Some(format!("fast redemptions of {sum}, limit {limit}")))
            }
            (_, Some(taken)) if taken.is_open => (
                Unknown,
                format!("the amount of a fast redemption of {day} is not known"),
            ),
            _ => judged(None),
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
        let is_fast = before.is_fast;
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
