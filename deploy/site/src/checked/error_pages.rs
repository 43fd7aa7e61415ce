//! Checked: the operator's own pages for failures.

/// Pages by status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPages(pub Vec<ErrorPage>);

/// A page and the statuses that it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorPage {
    /// When it is shown.
    pub statuses: Statuses,
    /// What it is.
    pub form: PageForm,
    /// The file's text, taken apart at its placeholders.
    pub pieces: Vec<PagePiece>,
}

/// Statuses that share a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statuses {
    /// This one.
    One(u16),
    /// All of 4xx (4) or 5xx (5).
    Class(u16),
}

/// What a page is, by its file's extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageForm {
    /// `.html`, `.htm`
    Html,
    /// `.txt`
    Text,
    /// `.json`
    Json,
}

/// A part of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PagePiece {
    /// As it is.
    Text(String),
    /// `{status}`: the number.
    Status,
    /// `{reason}`: the status in words.
    Reason,
    /// `{cause}`: the cause's label; nothing if there is none.
    Cause,
    /// `{request_id}`
    RequestId,
    /// `{message}`: what happened, for people.
    Message,
}

impl ErrorPages {
    /// The page for a status; one of its own before that of its class.
    pub fn of(&self, status: u16) -> Option<&ErrorPage> {
        let of = |statuses| self.0.iter().find(|page| page.statuses == statuses);
        of(Statuses::One(status)).or_else(|| of(Statuses::Class(status / 100)))
    }
}
