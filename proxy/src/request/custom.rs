//! The operator's own page for a failure (`error_pages`), in place of Tidegate's. Called by `pages` for what the
//! proxy says itself, and by `dynamic` for an app's answer that the page stands in for.

use bytes::Bytes;
use http::StatusCode;
use tidegate_site::{ErrorPage, PageForm, PagePiece};

use super::pages::escape;
use super::words::name;

/// What a page's placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) status: StatusCode,
    pub(super) cause: Option<&'a str>,
    pub(super) request_id: &'a str,
    pub(super) message: &'a str,
}

/// The page's media type.
pub(super) fn content_type(page: &ErrorPage) -> &'static str {
    match page.form {
        PageForm::Html => "text/html; charset=utf-8",
        PageForm::Text => "text/plain; charset=utf-8",
        PageForm::Json => "application/json",
    }
}

/// The page with its placeholders filled in, escaped as its form demands.
pub(super) fn render(page: &ErrorPage, fields: Fields<'_>) -> Bytes {
    let mut out = String::with_capacity(1024);
    for piece in &page.pieces {
        let value: &str = match piece {
            PagePiece::Text(text) => {
                out.push_str(text);
                continue;
            }
            PagePiece::Status => fields.status.as_str(),
            PagePiece::Reason => name(fields.status),
            PagePiece::Cause => fields.cause.unwrap_or_default(),
            PagePiece::RequestId => fields.request_id,
            PagePiece::Message => fields.message,
        };
        match page.form {
            PageForm::Html => out.push_str(&escape(value)),
            PageForm::Text => out.push_str(value),
            PageForm::Json => {
                let quoted = serde_json::Value::from(value).to_string();
                // The page has the quotes.
                out.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
            }
        }
    }
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use tidegate_site::Statuses;

    use super::*;

    #[test]
    fn what_is_filled_in_is_escaped_as_the_form_demands() {
        let fields = Fields {
            status: StatusCode::SERVICE_UNAVAILABLE,
            cause: Some("maintenance"),
            request_id: "id-1",
            message: "\"<b>\\",
        };
        for (form, expected) in [
            (PageForm::Html, "<p>503 Service Unavailable maintenance id-1 &quot;&lt;b&gt;\\</p>"),
            (PageForm::Text, "<p>503 Service Unavailable maintenance id-1 \"<b>\\</p>"),
            (PageForm::Json, "<p>503 Service Unavailable maintenance id-1 \\\"<b>\\\\</p>"),
        ] {
            let text = |text: &str| PagePiece::Text(text.to_owned());
            let pieces = vec![
                text("<p>"),
                PagePiece::Status,
                text(" "),
                PagePiece::Reason,
                text(" "),
                PagePiece::Cause,
                text(" "),
                PagePiece::RequestId,
                text(" "),
                PagePiece::Message,
                text("</p>"),
            ];
            let page = ErrorPage { statuses: Statuses::One(503), form, pieces };
            assert_eq!(render(&page, fields), expected);
        }
    }
}
