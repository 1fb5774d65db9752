//! Fault injection and checkers for the laws (development only).
