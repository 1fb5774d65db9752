//! What is tried and watched: contests, monitors.

use super::base::*;
use crate::shape::Kind;

pub(super) static CONTEST: Kind = Kind::Object(&shape(
    "contest",
    "A challenger decides in a champion's place for a share of the customers; a customer stays with who decided first.",
    &[
        must("champion", &NAME, "the policy that is asked for"),
        must("challenger", &NAME, "the policy that decides in its place"),
        must("share", &SHARE, "share of the customers for whom it does"),
    ],
));

pub(super) static MONITOR: Kind = Kind::Object(&shape(
    "monitor",
    "Compares a policy's recent decisions with those of a time before, and raises an event where they changed beyond a limit and beyond chance.",
    &[
        must("policy", &NAME, "the policy whose decisions are watched"),
        may(
            "reward",
            &NAME,
            "the reward that is looked at; may be left out where the policy has one",
        ),
        may("every", &DURATION, "between two looks; 1d when left out"),
        may("recent", &DURATION, "the recent time; 7d when left out"),
        may(
            "reference",
            &DURATION,
            "the time before it that it is compared with; 28d when left out",
        ),
        must(
            "limits",
            &Kind::Object(&shape(
                "drift limits",
                "How much of a change is let through. What has no limit is not watched.",
                &[
                    may(
                        "psi",
                        &POSITIVE,
                        "population stability index of any feature, of the scores and of the arms: 0.2 is usual",
                    ),
                    may(
                        "calibration",
                        &POSITIVE,
                        "how far rewards lie from the scores that foretold them, in units of the reward",
                    ),
                    may(
                        "reward",
                        &POSITIVE,
                        "change of the mean reward, as a share of what it was",
                    ),
                ],
            )),
            "at least one",
        ),
    ],
));
