//! The edge module run natively: what `edge/run-conformance.mjs` does through wasm, this does through the same Rust, so a
//! difference between the two targets shows as one of them failing.

mod conformance;
