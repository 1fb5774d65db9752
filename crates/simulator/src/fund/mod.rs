//! The world of a wealth platform at size: thousands of products with prices, a market, and up to ten million customers who
//! come, look, pay in, order, wait for the confirmation of T+1, panic and chase, and answer offers. See `docs/simulator.md`
//! for what it assumes and what it cannot show.
//!
//! [`World::advance`] plays customers, [`World::product_events`] tells of products, [`World::offer`] puts a product to a
//! customer. The same [`Settings`] give the same events, however time is cut and however many threads play. This room must
//! never do IO, read a clock or know the engine, and shares no code with the kernel's calendar and orders, so that each can
//! be checked by the other.

pub mod days;
mod ground;
mod listing;
mod market;
mod offers;
mod orders;
mod person;
mod product;
mod said;
mod session;
mod shard;
mod story;
#[cfg(feature = "truth")]
pub mod truth;
mod world;

pub use days::{BadCalendar, TradingDays};
pub use listing::{Change, Listing, Values};
pub use market::{BadHistory, HISTORY_MIN, History, NAV_UNITS};
pub use offers::{FATIGUE_HALF_LIFE_US, ORDER_DELAY_MEDIAN_US, ORDER_DELAY_SIGMA};
pub use orders::LOTS_MAX;
pub use person::ASSESSMENT_DAYS;
pub use product::{
    BadProducts, FACTORS, Kind, Listed, PRODUCTS_MAX, Parameters, Product, UNRATED_SHARE, made_up,
};
pub use said::{Attributes, Event, Happening, Page, Refusal, Side, Told, order_id};
pub use session::ATTEMPT_SHARE;
pub use story::{ProductChange, ProductEvent};
pub use world::{
    BadOffer, BadWorld, CALENDAR_AHEAD, CUSTOMERS_MAX, DAYS_MAX, Link, MADE_UP_PRODUCTS, Settings,
    THREADS_MAX, World,
};
