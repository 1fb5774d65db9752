//! The engine over the memory backend: the loop, its laws under concurrency, and comparison with slow oracles.

mod attacks;
mod between;
mod catalogue;
mod concurrency;
mod contests;
mod dataset;
mod examples;
mod fleet;
mod identity;
mod inputs;
mod left_undone;
mod matching;
mod moment;
mod orders;
mod pacing;
mod point_in_time;
mod replay;
mod retention;
mod scene_change;
mod shadow;
mod support;
mod through;
mod time;
mod unanswered;
mod whole_loop;
