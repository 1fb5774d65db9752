//! Pushes as they reach a customer: rules 3, 7 and 11, at once or when a queued one is sent, which then keeps all that a push
//! keeps. It must never take the facts of
//! when a push was queued for those of when it goes out.

use super::*;

impl Checker {
    /// Rules 7 and 11 at the moment at which a push reaches the customer.
    pub(super) fn reached(&mut self, on: &Occasion<'_>) {
        let Some(c) = self.customers.get(on.customer) else {
            return;
        };
        let mut notes = Vec::new();
        if let Some(signed) = c.private_signed {
            let quiet = SignedDuration::from_hours(self.config.cooling_off_hours);
            let since = on.at.duration_since(signed);
            if since < quiet {
                let fault = format!("contact {since:#} after a private fund was signed");
                notes.push((7, judged(Some(fault))));
            } else {
                notes.push((7, judged(None)));
            }
        }
        let out = (c.opted_out == Some(true)).then(|| "pushed after opting out".to_owned());
        notes.push((11, judged(out)));
        if on.channel == "sms" {
            let consent =
                (c.consent_sms != Some(true)).then(|| "no consent to text messages".to_owned());
            notes.push((11, judged(consent)));
            notes.push((11, self.hours(c, on.at)));
        }
        for (rule, judged) in notes {
            self.note(rule, judged, on);
        }
    }

    pub(super) fn hours(&self, c: &Customer, at: Timestamp) -> (Verdict, String) {
        let local: Option<DateTime> = match (&c.utc_offset, &c.zone) {
            (Some(text), _) => offset(text).map(|o| o.to_datetime(at)),
            (None, Some(zone)) => TimeZone::get(zone).ok().map(|z| z.to_datetime(at)),
            (None, None) => offset(&self.config.utc_offset).map(|o| o.to_datetime(at)),
        };
        let Some(local) = local else {
            return (Unknown, "the customer's zone cannot be read".to_owned());
        };
        let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
        let good = (self.config.sms_from_minute..self.config.sms_to_minute).contains(&minute);
        judged((!good).then(|| format!("a text message at {} local time", local.time())))
    }

    /// Rule 3, and all that a push keeps, by the facts of when a queued decision goes out.
    pub(super) fn send(&mut self, s: &Send) {
        let record = format!("send of {}", s.decision);
        let c = self.customers.entry(s.customer.clone()).or_default();
        let Some(queued) = c.queued.remove(&s.decision) else {
            let on = occasion(s.at, &record, &s.customer, "");
            self.note(3, (Unknown, "no such decision is queued".to_owned()), &on);
            return;
        };
        if s.status == Sent::Cancelled {
            return;
        }
        let (class, off) = (c.class(), c.personalisation == Some(false));
        for (item, before) in &queued.items {
            let on = Occasion {
                channel: &queued.channel,
                ..occasion(s.at, &record, &s.customer, item)
            };
            // The offer is made when it goes out: class, ratings and all else may be others than when it was queued.
            self.suits(&on);
            let now = self.products.get(item).and_then(Product::rating);
            let raised = match (*before, now) {
                (Some(before), Some(now)) => now > before,
                (_, None) => true,
                (None, Some(_)) => false,
            };
            let above = class.zip(now).is_none_or(|(class, now)| now > class);
            let cancels = match self.config.raise_cancels {
                Raise::Any => raised,
                Raise::AboveClass => raised && above,
            };
            let fault = cancels.then(|| {
                format!(
                    "risk {} when queued, {} when sent",
                    shown(*before),
                    shown(now)
                )
            });
            self.note(3, judged(fault), &on);
        }
        let first = queued.items.first().map_or("", |(item, _)| item);
        let on = Occasion {
            channel: &queued.channel,
            ..occasion(s.at, &record, &s.customer, first)
        };
        if off {
            self.note(10, queued.reads.clone(), &on);
        }
        self.reached(&on);
    }

    /// A queued push of which nobody told what became of it: whether it went out is not known.
    pub(super) fn unsent(&mut self, customer: &str, id: &str, queued: &Queued) {
        let record = format!("decision {id}");
        let item = queued.items.first().map_or("", |(item, _)| item);
        let on = Occasion {
            channel: &queued.channel,
            ..occasion(queued.at, &record, customer, item)
        };
        for rule in [3, 7, 11] {
            let found = "it was queued, and what became of it was not told".to_owned();
            self.note(rule, (Unknown, found), &on);
        }
    }
}
