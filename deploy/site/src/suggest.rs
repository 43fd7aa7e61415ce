//! "Did you mean": the known name closest to a mistyped one. Called for unknown keys and apps.

/// The closest of `known`, if it is close enough to be what was meant.
pub(crate) fn closest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let name = name.to_lowercase().replace('-', "_");
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    let begins = |candidate: &&&str| name.len() >= 4 && candidate.starts_with(&name);
    if let Some(candidate) = known.iter().find(begins) {
        return Some(candidate);
    }
    known
        .iter()
        .map(|candidate| (distance(&name, &candidate.replace('-', "_")), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Number of letters to insert, remove or replace, or of neighbours to swap.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let differs = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_recognised_and_others_are_not() {
        let known = ["threads", "python", "request_timeout", "queue"];
        for (name, expected) in [
            ("thread", Some("threads")),
            ("request", Some("request_timeout")),
            ("pyhton", Some("python")),
            ("request-timeout", Some("request_timeout")),
            ("Threads", Some("threads")),
            ("requst_timout", Some("request_timeout")),
            ("workers", None),
            ("q", None),
            ("", None),
        ] {
            assert_eq!(closest(name, &known), expected, "{name}");
        }
    }
}
