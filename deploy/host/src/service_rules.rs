//! What Windows' service manager says and takes, as tables without a system: the meaning of its errors, the accounts that
//! can run a service, and what a logon that is refused says of one. Used by the Windows half.

use std::io;

use crate::service::{Obstacle, ServiceAccount};
use crate::system_code;

/// What an error of the manager means, if it is one of those that an operator can do something about.
pub(crate) fn obstacle(error: &io::Error) -> Option<Obstacle> {
    Some(match system_code(error)? {
        5 => Obstacle::Rights,
        2 | 3 => Obstacle::NoProgram,
        1053 => Obstacle::NoAnswer,
        1056 => Obstacle::Runs,
        1057 => Obstacle::NoAccount,
        1058 => Obstacle::Disabled,
        1060 => Obstacle::NoService,
        1061 => Obstacle::Busy,
        1069 => Obstacle::Logon,
        1072 => Obstacle::Leaving,
        1073 => Obstacle::Exists,
        1078 => Obstacle::TitleTaken,
        _ => return None,
    })
}

/// An account as the manager is to have it; or why it can be none.
pub(crate) fn account(name: &str) -> Result<ServiceAccount, String> {
    let plain = |name: &str| Ok(ServiceAccount { name: name.to_owned(), has_password: false });
    let (domain, own) = name.rsplit_once('\\').unwrap_or(("", name));
    let is_system = matches!(domain.to_ascii_uppercase().as_str(), "" | "NT AUTHORITY" | ".");
    let letters: String = own.to_ascii_lowercase().split_whitespace().collect();
    match letters.as_str() {
        "localservice" if is_system => plain(r"NT AUTHORITY\LocalService"),
        "networkservice" if is_system => plain(r"NT AUTHORITY\NetworkService"),
        "localsystem" | "system" if is_system => plain("LocalSystem"),
        _ if domain.eq_ignore_ascii_case("NT SERVICE") && !own.is_empty() => plain(name),
        _ if own.len() > 1 && own.ends_with('$') => plain(name),
        _ if is_user(domain, own) => Ok(ServiceAccount { name: name.to_owned(), has_password: true }),
        _ => Err(format!(
            "{name} is no account for a service: expected a managed service account (DOMAIN\\name$), one with a password \
             (DOMAIN\\name, .\\name for one of this machine, name@domain), NT SERVICE\\..., LocalService, NetworkService or \
             LocalSystem; without --account each service has one of its own"
        )),
    }
}

/// Whether this names a user and says whose: a name alone may be this machine's or a domain's.
fn is_user(domain: &str, own: &str) -> bool {
    let is_plain = |text: &str| {
        let forbidden = |letter: char| letter.is_control() || "\"/\\[]:;|=,+*?<>".contains(letter);
        !text.trim().is_empty() && !text.contains(forbidden)
    };
    let of_system = ["NT SERVICE", "NT AUTHORITY", "BUILTIN", "IIS APPPOOL"];
    if of_system.iter().any(|system| system.eq_ignore_ascii_case(domain)) {
        return false;
    }
    match own.split_once('@') {
        Some((user, realm)) => domain.is_empty() && is_plain(user) && is_plain(realm) && !realm.contains('@'),
        None => is_plain(domain) && is_plain(own),
    }
}

/// What it says of an account that the system refuses to log it on as a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The password is right, and the right to log on in this way is missing, or denied.
    Right,
    /// It would be refused at a start, too.
    Account,
    /// Nothing: it could not be tried.
    Unknown,
}

/// The refusal in an error of a logon.
pub(crate) fn refusal(error: &io::Error) -> Refusal {
    match system_code(error) {
        Some(1385) => Refusal::Right,
        // Wrong name or password; empty password, hours, workstation; expired, disabled, to be changed, locked.
        Some(1326 | 1327 | 1328 | 1329 | 1330 | 1331 | 1793 | 1907 | 1909) => Refusal::Account,
        _ => Refusal::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context;

    #[test]
    fn an_error_keeps_its_meaning_whatever_is_said_about_it() {
        for (code, expected) in [
            (5, Some(Obstacle::Rights)),
            (1053, Some(Obstacle::NoAnswer)),
            (1056, Some(Obstacle::Runs)),
            (1058, Some(Obstacle::Disabled)),
            (1060, Some(Obstacle::NoService)),
            (1069, Some(Obstacle::Logon)),
            (1072, Some(Obstacle::Leaving)),
            (1073, Some(Obstacle::Exists)),
            (1078, Some(Obstacle::TitleTaken)),
            (1450, None),
        ] {
            let error = || io::Error::from_raw_os_error(code);
            assert_eq!(obstacle(&error()), expected, "{code}");
            assert_eq!(obstacle(&context(context(error(), "one"), "two")), expected, "{code}");
        }
        assert_eq!(obstacle(&io::Error::other("1058")), None);
    }

    #[test]
    fn accounts_are_taken_that_say_whose_they_are() {
        for (name, expected) in [
            (r"DOMAIN\shop$", Some((r"DOMAIN\shop$", false))),
            (r"NT SERVICE\TidegateProxy", Some((r"NT SERVICE\TidegateProxy", false))),
            ("LocalService", Some((r"NT AUTHORITY\LocalService", false))),
            (r"NT AUTHORITY\Network Service", Some((r"NT AUTHORITY\NetworkService", false))),
            (r".\LocalSystem", Some(("LocalSystem", false))),
            (r"DOMAIN\shop", Some((r"DOMAIN\shop", true))),
            (r"DOMAIN\LocalService", Some((r"DOMAIN\LocalService", true))),
            (r".\shop", Some((r".\shop", true))),
            ("shop@example.com", Some(("shop@example.com", true))),
            ("shop", None),
            (r"\shop", None),
            (r"DOMAIN\", None),
            (r"A\B\shop", None),
            (r"DOMAIN\shop@example.com", None),
            ("shop@", None),
            ("@example.com", None),
            ("a@b@c", None),
            (r"DOMAIN\sh*p", None),
            (r"BUILTIN\Administrators", None),
            (r"NT AUTHORITY\Everyone", None),
            (r"NT SERVICE\", None),
            ("$", None),
            ("Administrator", None),
        ] {
            let expected = expected.map(|(name, has_password)| ServiceAccount { name: name.to_owned(), has_password });
            assert_eq!(account(name).ok(), expected, "{name}");
        }
    }

    #[test]
    fn a_logon_that_is_refused_says_what_a_start_would_say() {
        for (code, expected) in [
            (1326, Refusal::Account),
            (1331, Refusal::Account),
            (1385, Refusal::Right),
            (1311, Refusal::Unknown),
            (120, Refusal::Unknown),
        ] {
            assert_eq!(refusal(&context(io::Error::from_raw_os_error(code), "x")), expected, "{code}");
        }
        assert_eq!(refusal(&io::Error::other("1326")), Refusal::Unknown);
    }
}
