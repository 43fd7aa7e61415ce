//! Who reads a site file. Each of the two programs leaves alone what is secret to it, so that its account need not be
//! able to read that.

/// Who reads a site file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// An administrator's command: everything.
    Command,
    /// The proxy: not the environment files of apps. Their variables are missing from [`crate::App::environment`].
    Proxy,
    /// The app server: not the files of users. There are none in [`crate::BasicAuth::users`].
    AppServer,
}

impl Reader {
    /// Whether it reads the secrets of apps.
    pub(crate) fn reads_environments(self) -> bool {
        self != Self::Proxy
    }

    /// Whether it reads the secrets of the proxy.
    pub(crate) fn reads_users(self) -> bool {
        self != Self::AppServer
    }
}
