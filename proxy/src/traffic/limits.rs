//! The limits of a site: what stands behind the rules of its hosts and routes. Made with each configuration;
//! a rule that a reload leaves as it was keeps what it has counted.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_site::{RateLimit, RateLimits, Rules, Site};

use super::Subject;
use super::gate::{Gate, Turn};
use super::rate::Limiter;
use crate::metrics::Metrics;
use crate::request::error::Failure;

/// The limits of a site, by their place.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    rates: HashMap<Arc<str>, Vec<Arc<Limiter>>>,
    gates: HashMap<Arc<str>, Arc<Gate>>,
}

impl Limits {
    /// The limits of a site, with the state of `before` where a rule is the same.
    pub(crate) fn new(site: &Site, before: Option<&Self>, metrics: &Metrics) -> Self {
        let mut limits = Self::default();
        let rules = site.hosts.iter().flat_map(|host| host.routes.iter().map(|route| &route.rules));
        for rules in rules {
            if let Some(rates) = &rules.rate_limits
                && !limits.rates.contains_key(&rates.place)
            {
                limits.rates.insert(Arc::clone(&rates.place), limiters(rates, before, metrics));
            }
            if let Some(rule) = &rules.concurrency
                && !limits.gates.contains_key(&rule.place)
            {
                let known = before.and_then(|before| before.gates.get(&rule.place)).filter(|gate| gate.rule == **rule);
                let gate = known.cloned().unwrap_or_else(|| {
                    let limit = format!("concurrency {}", rule.per.label());
                    Arc::new(Gate::new(rule, metrics.limit(&rule.place, &limit)))
                });
                limits.gates.insert(Arc::clone(&rule.place), gate);
            }
        }
        limits
    }

    /// Counts a request, and lets it in when it is its turn. What is returned is kept until its response
    /// has left.
    pub(crate) async fn admit(&self, rules: &Rules, subject: Subject<'_>) -> Result<Option<Turn>, Failure> {
        if let Some(rates) = &rules.rate_limits {
            for limiter in self.rates.get(&rates.place).into_iter().flatten() {
                limiter.check(&subject)?;
            }
        }
        let Some(rule) = &rules.concurrency else { return Ok(None) };
        let Some(gate) = self.gates.get(&rule.place) else { return Ok(None) };
        gate.enter(&subject).await.map(Some)
    }
}

fn limiters(rates: &RateLimits, before: Option<&Limits>, metrics: &Metrics) -> Vec<Arc<Limiter>> {
    let known = before.and_then(|before| before.rates.get(&rates.place)).map_or(&[][..], Vec::as_slice);
    let limiter = |rule: &RateLimit| match known.iter().find(|known| known.rule == *rule) {
        Some(known) => Arc::clone(known),
        None => Arc::new(Limiter::new(&rates.place, rule, metrics.limit(&rates.place, &rule.key.label()))),
    };
    rates.limits.iter().map(limiter).collect()
}
