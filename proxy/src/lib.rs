//! .

mod metrics;
