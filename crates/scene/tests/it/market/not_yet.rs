//! Cases of the market rules that the fund pack cannot say yet, by reason and name. A case leaves the list when the pack can say
//! it. Only a case that is new is added: a name that the pack does keep is refused by the tests, and so is a list that is longer
//! than it may be.

/// Reason and names of cases.
pub(super) const NOT_YET: &[(&str, &[&str])] = &[
    (
        "how late a confirmation may be, which the pack does not say",
        &["a late confirmation, which the settings let pass"],
    ),
    (
        "an order as it was placed; the check of the purchase is asked before it",
        &[
            "an order above the class that answers an offer",
            "an order above the class of the customer's own after a warning",
            "an order above the class of which only the confirmation was told",
        ],
    ),
    (
        "facts of a customer that change between queuing and sending, which the test does not tell the pack; it asks anew at the send",
        &[
            "the class is lowered while it is queued and it is sent",
            "the class is lowered while it is queued and the send is cancelled",
        ],
    ),
    (
        "what a record leaves out or contradicts, of which no decision is made",
        &[
            "what became of a queued push was not told",
            "an order id that stood for an order of another product",
            "an order id that stood for an order of another customer",
            "the day for which an order counts was not told",
            "a cancelled order is confirmed",
            "a fast redemption of the whole limit after one whose amount was not told",
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
            "a red packet on condition of an order, as another word has it",
            "a red packet for something that no list names",
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
        ],
    ),
    (
        "intake takes the scene's own zone where a customer's cannot be read",
        &["a zone that cannot be read"],
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

/// Length of the list. It is lowered with the list, and raised only with new cases that no pack can say.
pub(super) const NOT_YET_MOST: usize = 51;
