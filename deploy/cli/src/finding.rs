//! What a look at a site finds: good, unknown, a warning or a problem, with the next step. `check` shows findings as they come,
//! `doctor` with their next steps or as JSON.

use std::fmt::{self, Display};

use serde_json::{Value, json};

use crate::style::Style;

/// How one thing looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Good,
    /// It was not looked at, or the system does not tell: neither good nor bad.
    Unknown,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) verdict: Verdict,
    /// What it is about, in a word or two.
    pub(crate) topic: String,
    /// What was found; further lines are a traceback or the like.
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) next: Option<String>,
}

/// How findings are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A line each.
    Lines,
    /// And the next step below what is not good.
    Steps,
    /// Not before the end.
    Json,
}

/// The findings so far.
pub(crate) struct Report {
    style: Style,
    form: Form,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(form: Form, style: Style) -> Self {
        Self { style, form, findings: Vec::new() }
    }

    /// A finding whose next step is the usual one for what it is about.
    pub(crate) fn line(&mut self, verdict: Verdict, topic: &str, text: impl Display) {
        let text = text.to_string();
        let next = verdict.is_bad().then(|| usual_step(topic, &text));
        self.add(Finding { verdict, topic: topic.to_owned(), text, next });
    }

    /// A thing that is good.
    pub(crate) fn good(&mut self, topic: &str, text: impl Display) {
        self.line(Verdict::Good, topic, text);
    }

    /// A thing that nobody knows about, for a reason.
    pub(crate) fn unknown(&mut self, topic: &str, text: impl Display) {
        self.line(Verdict::Unknown, topic, text);
    }

    /// A thing that works, and may not for long or not for everybody.
    pub(crate) fn warning(&mut self, topic: &str, text: impl Display, next: impl Display) {
        let (text, next) = (text.to_string(), Some(next.to_string()));
        self.add(Finding { verdict: Verdict::Warning, topic: topic.to_owned(), text, next });
    }

    /// A thing that does not work.
    pub(crate) fn problem(&mut self, topic: &str, text: impl Display, next: impl Display) {
        let (text, next) = (text.to_string(), Some(next.to_string()));
        self.add(Finding { verdict: Verdict::Problem, topic: topic.to_owned(), text, next });
    }

    /// Any finding.
    pub(crate) fn add(&mut self, finding: Finding) {
        if self.form != Form::Json {
            print!("{}", finding.show(self.form, self.style));
        }
        self.findings.push(finding);
    }

    /// How many have this verdict.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// `2 problems, 1 warning, 3 unknown`; nothing where all is good.
    pub(crate) fn summary(&self) -> Option<String> {
        let many = |verdict, one: &str, more: &str| match self.count(verdict) {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {more}")),
        };
        let counted = [
            many(Verdict::Problem, "problem", "problems"),
            many(Verdict::Warning, "warning", "warnings"),
            many(Verdict::Unknown, "unknown", "unknown"),
        ];
        let counted: Vec<String> = counted.into_iter().flatten().collect();
        (!counted.is_empty()).then(|| counted.join(", "))
    }

    /// All of them, for programs.
    pub(crate) fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|Finding { verdict, topic, text, next }| {
                json!({ "verdict": verdict.word(), "topic": topic, "text": text, "next": next })
            })
            .collect();
        json!({
            "problems": self.count(Verdict::Problem),
            "warnings": self.count(Verdict::Warning),
            "unknown": self.count(Verdict::Unknown),
            "findings": findings,
        })
    }
}

impl Finding {
    fn show(&self, form: Form, style: Style) -> String {
        let Self { verdict, topic, text, next } = self;
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let mut out = format!("{} {topic:<12} {first}\n", Marked(*verdict, style));
        for line in lines {
            out.push_str(&format!("{:8}{line}\n", ""));
        }
        if form == Form::Steps
            && let Some(next) = next
        {
            out.push_str(&format!("        {} {next}\n", style.quiet("next:       ")));
        }
        out
    }
}

impl Verdict {
    /// Whether something is to be done about it, so that it needs a next step.
    pub(crate) fn is_bad(self) -> bool {
        matches!(self, Self::Warning | Self::Problem)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// A verdict as a word of constant width.
struct Marked(Verdict, Style);

impl Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(verdict, style) = self;
        let word = format!("{:<7}", verdict.word());
        match verdict {
            Verdict::Good => style.good(word).fmt(f),
            Verdict::Unknown => style.quiet(word).fmt(f),
            Verdict::Warning => style.warning(word).fmt(f),
            Verdict::Problem => style.bad(word).fmt(f),
        }
    }
}

/// What is usually done about a topic of `tidegate check`.
fn usual_step(topic: &str, text: &str) -> String {
    match topic {
        "certificate" if text.contains("valid only from") => {
            "see that this machine's clock is right; else wait, or name another certificate".to_owned()
        }
        "certificate" if text.contains("OCSP") => {
            "fetch a new response (`openssl ocsp -respout`), or remove `ocsp` from the certificate".to_owned()
        }
        "certificate" if text.contains("none is for") => {
            "name a certificate for it under `certificates`, or take the name out of `hosts`".to_owned()
        }
        "certificate" => {
            "put a good one in its place, or name another under `certificates`; a running site takes it by \
                          itself, else `tidegate reload`"
                .to_owned()
        }
        "clients" => "put a PEM file with the authorities of your clients there (`client_certificates`)".to_owned(),
        "buffers" => "let the proxy's account write there, or name another directory as `limits.buffer_dir`".to_owned(),
        _ => "correct it and run this again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_its_next_step_below_and_its_traceback_indented() {
        let finding = Finding {
            verdict: Verdict::Problem,
            topic: "apps".to_owned(),
            text: "shop: import failed\nTraceback".to_owned(),
            next: Some("install it".to_owned()),
        };
        let lines = "problem apps         shop: import failed\n        Traceback\n";
        assert_eq!(finding.show(Form::Lines, Style::plain()), lines);
        let steps = format!("{lines}        next:        install it\n");
        assert_eq!(finding.show(Form::Steps, Style::plain()), steps);
    }

    #[test]
    fn everything_that_is_bad_has_a_next_step_and_what_is_unknown_is_counted_apart() {
        let mut report = Report::new(Form::Json, Style::plain());
        assert_eq!(report.summary(), None);
        report.line(Verdict::Good, "site file", "a");
        report.line(Verdict::Warning, "certificate", "b");
        report.problem("services", "c", "d");
        report.problem("services", "c", "d");
        assert_eq!(report.summary().as_deref(), Some("2 problems, 1 warning"));
        let json = report.json();
        assert_eq!((&json["problems"], &json["findings"][0]["next"]), (&json!(2), &Value::Null));
        assert!(json["findings"][1]["next"].is_string());
        report.unknown("clock", "the system does not tell");
        assert_eq!(report.summary().as_deref(), Some("2 problems, 1 warning, 1 unknown"));
        let json = report.json();
        let last = &json["findings"][4];
        assert_eq!((&json["unknown"], &last["verdict"], &last["next"]), (&json!(1), &json!("unknown"), &Value::Null));
    }
}
