//! Checked: redirects and rewrites, with their patterns compiled and their destinations in parts.

use std::fmt;

use regex::Regex;

/// A redirect of a host, for the paths that it fits.
#[derive(Debug, Clone, PartialEq)]
pub struct Redirect {
    /// The paths.
    pub pattern: Pattern,
    /// Where they lead.
    pub answer: Redirection,
}

/// Where a client is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Redirection {
    /// A path, or an absolute URL.
    pub to: Destination,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Whether the request's query goes along.
    pub keep_query: bool,
}

/// A path that is taken for another one before a route is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewrite {
    /// The paths.
    pub pattern: Pattern,
    /// The path that is looked for instead; a query in it comes before the request's own.
    pub to: Destination,
}

/// Which paths. They are compared as clients send them, nothing decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum Pattern {
    /// This path.
    Path(String),
    /// This path, stored without a slash at its end, and all below it.
    Below(String),
    /// Those in which the expression is found.
    Expression(Expression),
}

/// A compiled regular expression of bounded size; matching takes time linear in the path.
#[derive(Clone)]
pub struct Expression(pub Regex);

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.as_str())
    }
}

/// A path or URL with places for parts of the request's path. They are never in a URL's scheme or
/// host, so no request can choose the site that it is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(pub Vec<Part>);

/// A part of a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Text(String),
    /// What follows the pattern's or the route's path, without the slash before it.
    Rest,
    /// A group of the expression.
    Group(usize),
}
