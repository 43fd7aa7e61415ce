//! Prometheus' text format, as far as the cases need it.

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name, with `_bucket`, `_sum` or `_count` of a histogram.
    pub name: String,
    /// Names and values.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// Every sample of a scrape.
///
/// # Panics
/// When a line is malformed.
pub fn parse(text: &str) -> Vec<Sample> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(sample).collect()
}

/// The sum over the samples of this name that have all of these labels.
///
/// # Panics
/// When there is none: every series exists from the start.
pub fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |sample: &Sample, (name, value): &(&str, &str)| {
        sample.labels.iter().any(|(known, found)| known == name && found == value)
    };
    let mut fitting = samples
        .iter()
        .filter(|sample| sample.name == name && labels.iter().all(|label| has(sample, label)))
        .map(|sample| sample.value)
        .peekable();
    assert!(fitting.peek().is_some(), "there is no series {name} with {labels:?}");
    fitting.sum()
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("malformed sample: {line}"));
    let (name, mut rest) = match series.split_once('{') {
        Some((name, rest)) => (name, rest.strip_suffix('}').unwrap_or_else(|| panic!("malformed sample: {line}"))),
        None => (series, ""),
    };
    let mut labels = Vec::new();
    // The values that the cases meet hold no quotes.
    while let Some((label, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').unwrap_or_else(|| panic!("malformed sample: {line}"));
        labels.push((label.to_owned(), value.to_owned()));
        rest = after.trim_start_matches(',');
    }
    let value = match value {
        "+Inf" => f64::INFINITY,
        value => value.parse().unwrap_or_else(|_| panic!("malformed sample: {line}")),
    };
    Sample { name: name.to_owned(), labels, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_name_and_labels() {
        let samples = parse("# HELP a b\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\na{x=\"2\",y=\"2\"} 5\nb 6.5\n");
        assert_eq!(sum(&samples, "a", &[("x", "1")]), 7.0);
        assert_eq!(sum(&samples, "a", &[("y", "2"), ("x", "2")]), 5.0);
        assert_eq!(sum(&samples, "b", &[]), 6.5);
    }
}
