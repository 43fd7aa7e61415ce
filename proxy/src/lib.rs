//! .

mod access;
mod metrics;
