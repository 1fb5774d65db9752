//! How large a share of rewards has come by an age: Kaplan and Meier (1958) over times to a reward, where what has not come is
//! censored at its age. It takes ages as independent of rewards: who was asked today is like who was asked last month.

use super::{Error, Wait, check};

/// The share of decisions whose reward has come, by age.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    window: f64,
    /// Ages at which rewards came, ascending.
    ages: Vec<f64>,
    /// Share of all decisions whose reward has come by then, ascending.
    come: Vec<f64>,
}

impl Arrival {
    /// Of `waits`, for rewards that count within `window` of the decision, above zero; later ones count as not come.
    ///
    /// # Errors
    /// A wait below zero or not finite, a window that is not above zero, no reward within it.
    pub fn fit(waits: &[Wait], window: f64) -> Result<Self, Error> {
        if !(window > 0.0 && window.is_finite()) {
            return Err(Error::Setting {
                what: "the window",
                found: window,
                wanted: "a time above zero",
            });
        }
        let mut held: Vec<(f64, bool)> = Vec::with_capacity(waits.len());
        check(waits)?;
        for wait in waits {
            held.push(match wait {
                Wait::Came(t) if *t <= window => (*t, true),
                Wait::Came(t) | Wait::Open(t) => (t.min(window), false),
            });
        }
        if !held.iter().any(|(_, came)| *came) {
            return Err(Error::NoneCame { rows: waits.len() });
        }
        // At equal ages what came counts before what is censored.
        held.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let (mut ages, mut come) = (Vec::new(), Vec::new());
        let mut open = 1.0;
        let mut at_risk = held.len() as f64;
        for same in held.chunk_by(|a, b| a.0 == b.0) {
            let came = same.iter().filter(|(_, came)| *came).count() as f64;
            if came > 0.0 {
                open *= 1.0 - came / at_risk;
                ages.push(same[0].0);
                come.push(1.0 - open);
            }
            at_risk -= same.len() as f64;
        }
        Ok(Self { window, ages, come })
    }

    /// Share of all decisions whose reward has come by `age`, 0 to 1; beyond the window that of the window.
    pub fn by(&self, age: f64) -> f64 {
        let known = self.ages.partition_point(|a| *a <= age);
        known.checked_sub(1).map_or(0.0, |i| self.come[i])
    }

    /// Share of the window's rewards that have come by `age`, 0 to 1.
    pub fn share(&self, age: f64) -> f64 {
        (self.by(age) / self.by(self.window)).clamp(0.0, 1.0)
    }

    /// The chance that a reward that has not come by `age` still comes within the window.
    pub fn still(&self, age: f64) -> f64 {
        let all = self.by(self.window);
        let open = 1.0 - self.by(age);
        if open <= 0.0 || age >= self.window {
            return 0.0;
        }
        ((all - self.by(age)) / open).clamp(0.0, 1.0)
    }

    /// A reward of which at `age` so much has come, made right on average: `found / share(age)`. None while less than
    /// `least_share` of the rewards has come by that age, above zero: such a sample says next to nothing yet.
    pub fn corrected(&self, found: f64, age: f64, least_share: f64) -> Option<f64> {
        let share = self.share(age);
        (share >= least_share && share > 0.0).then(|| found / share)
    }
}
