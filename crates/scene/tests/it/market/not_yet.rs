//! Cases of the market rules that the fund pack cannot say yet, by reason and name. A case leaves the list when the pack can say
//! it. None is added: a name that the pack does keep is refused by the tests, and so is a list that is longer than it was.

/// Reason and names of cases.
pub(super) const NOT_YET: &[(&str, &[&str])] = &[
    (
        "settings of an operator: this pack holds the defaults",
        &[
            "with the exemption switched off a professional is as anybody",
            "a risk of the class and an age above the limit of the settings",
            "a risk of the class and the greatest age of the settings",
            "less experience than the settings ask for",
            "as much experience as the settings ask for",
            "a term longer than the settings allow the class",
            "the longest term that the settings allow the class",
            "with the opening switched off a warning opens nothing",
            "unless the settings say so",
            "the risk is raised within the class, which the settings let pass",
            "within the validity of the regime",
            "at the end of the validity of the regime",
            "the validity of another regime",
            "with the trail switched off",
            "a late confirmation, which the settings let pass",
            "portfolio advice with the licence",
        ],
    ),
    (
        "the pack has no list of classes for a fund",
        &["an exception of the product"],
    ),
    (
        "an order as it was placed; the check of the purchase is asked before it",
        &[
            "an order above the class that answers an offer",
            "an order above the class of the customer's own after a warning",
        ],
    ),
    (
        "a send: the decision asked for again at the send knows the risk of now, not that of when it was queued",
        &[
            "the risk is raised within the class and it is sent",
            "the risk is raised above the class and the send is cancelled",
        ],
    ),
    (
        "the pack sells in the app alone",
        &["a purchase in a branch needs no electronic trail"],
    ),
    (
        "erasing and sealed copies: no command erases yet",
        &[
            "erased, with a sealed copy for as long as it takes",
            "erased, with a sealed copy that ends a day early",
            "erased without a sealed copy",
            "an erased customer is pushed to",
            "the sealed copy is read by those who keep the evidence",
            "the sealed copy is read by a marketing path",
        ],
    ),
    (
        "steps of an order, which no decision makes",
        &[
            "confirmed 23:59 h after signing",
            "confirmed 24:00 h after signing",
            "stepping back is refused on the last day of hesitation",
            "stepping back is refused after the hesitation period",
        ],
    ),
    (
        "texts, incentives and journeys, which no decision holds",
        &[
            "a plain text",
            "a promise of return",
            "a promise of return in Chinese",
            "a forecast",
            "a lottery",
            "a kickback",
            "a gift",
            "a gift beside a fund",
            "a red packet on condition of a fund purchase",
            "a red packet for logging in",
            "no sender",
            "no way out",
        ],
    ),
    (
        "a record that the pack's shelf does not make: it reads no habit, and what is read is always recorded",
        &[
            "switched off, and a habit was read for a shelf",
            "switched off, and what was read is not recorded",
        ],
    ),
    (
        "prices and uses of data, which no policy of the pack makes",
        &[
            "a price of declared rules",
            "a price that reads a tag",
            "the same declared inputs, other tags, the same price",
            "the same declared inputs, other tags, another price",
            "biometrics with consent",
            "biometrics without consent",
            "a partner with the consent for biometrics alone",
            "a partner with consent",
        ],
    ),
    (
        "intake takes the scene's own zone where a customer's cannot be read",
        &["a zone that cannot be read"],
    ),
    (
        "the day of a confirmation, which no decision makes",
        &[
            "confirmed on T+1",
            "confirmed on T",
            "confirmed on T+2",
            "a fund abroad confirmed on T+2",
            "a fund abroad confirmed on T+1",
            "a product with days of its own",
            "confirmed across a long holiday",
            "confirmation past the calendar's end",
        ],
    ),
    (
        "earning days and fast redemptions, which no decision makes",
        &[
            "earning starts on the next trading day, after the holiday",
            "earning starts in the holiday",
            "earning stops on the next trading day, after the holiday",
            "earning stops on the day of confirmation",
            "a product that earns from the day of confirmation",
            "earning past the calendar's end",
            "fast redemptions up to the limit",
            "fast redemptions a cent over the limit",
            "the limit begins anew the next day",
            "a fast redemption of a product whose limit is not known",
        ],
    ),
    (
        "fees of a redemption as it was confirmed, and switching advice, which no policy of the pack gives",
        &[
            "six days, 1.5 %",
            "six days, a cent less",
            "seven days, 1 %",
            "seven days, a cent less",
            "29 days, 1 %",
            "30 days, 0.5 %",
            "30 days, a cent less",
            "180 days, nothing",
            "six days of an exempt product",
            "six days of a product with a ladder of its own",
            "the oldest shares are redeemed first",
            "more is redeemed than was bought",
            "switching advice shows the fee",
            "switching advice without the fee",
            "switching advice shows too small a fee",
        ],
    ),
    (
        "conversions are counted by rewards (`confirmed`), not by decisions",
        &[
            "a confirmed order",
            "a submitted order",
            "an accepted order",
            "a cancelled order",
            "an order that nobody told of",
        ],
    ),
];

/// Length of the list. It is lowered with the list and never raised.
pub(super) const NOT_YET_MOST: usize = 93;
