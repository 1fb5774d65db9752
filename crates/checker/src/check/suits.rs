//! Whether an item suits a customer: rules 1, 2, 4, 5, 6 and 7 of one item, one customer and one occasion. It must never look
//! at the steps of an order.

use super::*;

impl Checker {
    /// Rules 1, 2, 4, 5, 6 and 7 of one item for one customer.
    pub(super) fn suits(&mut self, on: &Occasion<'_>) {
        let (Some(c), Some(p)) = (
            self.customers.get(on.customer),
            self.products.get(on.product),
        ) else {
            return;
        };
        let mut notes: Vec<(u8, (Verdict, String))> = Vec::new();
        let assessment = self.assessment(c, p, on.at);
        let rating = p.rating();
        // 4
        let rated = (rating.is_none()).then(|| "the product has no risk rating".to_owned());
        notes.push((4, judged(assessment.clone().err().or(rated))));
        // 1 and 2
        if let (Ok(class), Some(rating)) = (assessment, rating) {
            notes.push(self.level(c, class, rating, on));
            notes.push((1, judged(self.beyond_level(c, p, class, rating))));
        }
        let position = c.positions.get(on.product);
        if on.purpose == Purpose::Buy {
            // 5
            if let Some(version) = &p.notice_version {
                let acknowledged = position.and_then(|x| x.acknowledged.as_ref());
                let fault = (acknowledged != Some(version)).then(|| {
                    format!(
                        "the notice is version {version}, acknowledged was {}",
                        shown(acknowledged)
                    )
                });
                notes.push((5, judged(fault)));
            }
            // 6
            if let Some(channels) = &p.recording_channels
                && channels.iter().any(|x| x == on.channel)
            {
                let fault = (!on.recording)
                    .then(|| format!("no recording, which channel {} needs", on.channel));
                notes.push((6, judged(fault)));
            }
            let online = self.config.online_channels.iter().any(|x| x == on.channel);
            if self.config.online_needs_trail && online && regime(p) == "fund" {
                let fault = (!on.trail).then(|| "no electronic trail".to_owned());
                notes.push((6, judged(fault)));
            }
        } else if c.erased {
            notes.push((6, judged(Some("the customer was erased".to_owned()))));
        }
        // 7
        if p.private == Some(true) {
            let fault = (c.qualified != Some(true)).then(|| {
                "a private fund, and the customer is not known to be qualified".to_owned()
            });
            notes.push((7, judged(fault)));
        }
        for (rule, judged) in notes {
            self.note(rule, judged, on);
        }
    }

    /// The class that counts at `at`, or why there is none.
    pub(super) fn assessment(
        &self,
        c: &Customer,
        p: &Product,
        at: Timestamp,
    ) -> Result<i64, String> {
        let told = c.risk_appetite.ok_or("the customer has no assessment")?;
        let class = (c.class()).ok_or_else(|| format!("class {told} is none; it is 1 to 5"))?;
        let days = self.config.assessment_days.get(regime(p));
        let by_regime = match days {
            None => None,
            Some(days) => {
                let assessed = (c.assessed_at)
                    .ok_or("the regime sets a validity and the day of assessment is not known")?;
                Some(assessed + SignedDuration::from_hours(24 * days))
            }
        };
        let ends = (c.appetite_expires_at.into_iter())
            .chain(by_regime)
            .min()
            .ok_or("it is not known until when the assessment is valid")?;
        if at >= ends {
            return Err(format!("the assessment expired at {ends}"));
        }
        Ok(class)
    }

    /// Risk against class: rule 2 of what is pushed and of a warning, else rule 1.
    pub(super) fn level(
        &self,
        c: &Customer,
        class: i64,
        rating: i64,
        on: &Occasion<'_>,
    ) -> (u8, (Verdict, String)) {
        let is_professional = c.professional == Some(true);
        let exempt = is_professional && self.config.professionals_exempt;
        let above = rating > class;
        let found = |what: &str| Some(format!("risk {rating}, class {class}: {what}"));
        match on.purpose {
            Purpose::Push => {
                let may = is_professional && self.config.push_to_professionals;
                let fault = (above && !may).then(|| found("pushed")).flatten();
                (2, judged(fault))
            }
            Purpose::Show | Purpose::Redeem => {
                let fault = above && !exempt && self.config.shelf_is_an_offer;
                (1, judged(fault.then(|| found("shown")).flatten()))
            }
            Purpose::Buy => {
                if !above || exempt {
                    return (1, judged(None));
                }
                if class <= self.config.lowest_class {
                    return (1, judged(found("the lowest class never goes higher")));
                }
                let position = c.positions.get(on.product);
                let warned = (position.and_then(|p| p.warned))
                    .is_some_and(|w| self.config.warning_opens_own_purchase && w >= rating);
                match (warned, on.is_own) {
                    (true, true) => (2, judged(None)),
                    (true, false) => (2, judged(found("bought on an offer, warning or not"))),
                    (false, _) => (1, judged(found("bought without a warning of this risk"))),
                }
            }
        }
    }

    /// Suitability beyond the level: age, experience, term, exceptions of the product; only what the settings ask for.
    pub(super) fn beyond_level(
        &self,
        c: &Customer,
        p: &Product,
        class: i64,
        rating: i64,
    ) -> Option<String> {
        let s = &self.config;
        let unknown_or = |value: Option<i64>, good: &dyn Fn(i64) -> bool| !value.is_some_and(good);
        if s.least_age.is_some_and(|a| unknown_or(c.age, &|x| x >= a)) {
            return Some(format!("age {}, which is too young", shown(c.age)));
        }
        let oldest = s.oldest_by_risk.get(&rating);
        if oldest.is_some_and(|a| unknown_or(c.age, &|x| x <= *a)) {
            return Some(format!("age {} for risk {rating}", shown(c.age)));
        }
        let least = s.experience_by_risk.get(&rating);
        if least.is_some_and(|y| unknown_or(c.experience_years, &|x| x >= *y)) {
            let years = shown(c.experience_years);
            return Some(format!("{years} years of experience for risk {rating}"));
        }
        let term = s.longest_term_by_class.get(&class);
        if term.is_some_and(|d| unknown_or(p.term_days, &|x| x <= *d)) {
            return Some(format!(
                "a term of {} days for class {class}",
                shown(p.term_days)
            ));
        }
        (p.not_for_classes.as_ref())
            .is_some_and(|list| list.contains(&class))
            .then(|| format!("the product is not for class {class}"))
    }
}
