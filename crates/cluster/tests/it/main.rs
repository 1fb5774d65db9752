//! The cluster's backends pass the suites on real servers, which the tests start themselves on free ports in temporary folders.

mod both;
mod jetstream;
mod measure_jetstream;
mod postgres;
mod servers;
