//! Checked: which of an app's requests go first.

/// The class in which a route's requests wait for a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Before all others.
    High,
    /// What is not said otherwise.
    Normal,
    /// After all others.
    Low,
}

impl Priority {
    /// Every class, highest first: the order of their discriminants.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The word in the site file and in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}
