//! What a scene does not say of its own names: what each policy is for, and by which events a customer opts out and signs. It
//! must never say of a policy that offers products that it offers none.

use super::Purpose;
use luopan_kernel::time::Micros;

/// Names of policies by what they are for, and of events. The defaults are those of the fund pack. A policy in no list
/// reaches out.
#[derive(Debug, Clone)]
pub struct Names {
    /// Policies of what a customer browses.
    pub shelves: Vec<String>,
    /// Policies that check a customer's own purchase.
    pub purchases: Vec<String>,
    /// Policies that check a customer's own redemption.
    pub redemptions: Vec<String>,
    /// Policies that advise to leave a product: what they choose is left.
    pub advice: Vec<String>,
    /// Policies that explain what is held and offer nothing.
    pub explanations: Vec<String>,
    /// Event by which a customer opts out of every channel.
    pub opted_out: String,
    /// Event of a signed warning, with `item` and `rating`.
    pub warning: String,
    /// Event of an acknowledged notice, with `item` and `version`.
    pub acknowledgement: String,
    /// Decisions and orders from then on; facts are told whenever they were. None for all.
    pub from: Option<Micros>,
    /// Channel of text messages, and the text that whoever sends them writes.
    pub text: Option<(String, String)>,
}

impl Default for Names {
    fn default() -> Self {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect();
        Self {
            shelves: names(&["shelf", "story", "moment_story"]),
            purchases: names(&["own_purchase"]),
            redemptions: names(&["own_redemption"]),
            advice: names(&["switch_advice"]),
            explanations: names(&["fallen_holding"]),
            opted_out: "unsubscribed".to_owned(),
            warning: "risk_warning_signed".to_owned(),
            acknowledgement: "notice_acknowledged".to_owned(),
            from: None,
            text: None,
        }
    }
}

impl Names {
    /// What a policy is for.
    pub fn purpose(&self, policy: &str) -> Purpose {
        let known = [
            (&self.shelves, Purpose::Show),
            (&self.purchases, Purpose::Buy),
            (&self.redemptions, Purpose::Redeem),
            (&self.advice, Purpose::Advise),
            (&self.explanations, Purpose::Explain),
        ];
        let found = known.iter().find(|(l, _)| l.iter().any(|n| n == policy));
        found.map_or(Purpose::Push, |(_, purpose)| *purpose)
    }
}
