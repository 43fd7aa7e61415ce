//! What Windows' service manager says and takes, as tables without a system: the meaning of its errors, and the accounts that
//! run a service without a password. Used by the Windows half.

use std::io;

use crate::service::Obstacle;
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

/// An account as the manager is to have it; or why it is none that runs a service without a password.
pub(crate) fn account(name: &str) -> Result<String, String> {
    let (domain, own) = name.rsplit_once('\\').unwrap_or(("", name));
    let is_system = matches!(domain.to_ascii_uppercase().as_str(), "" | "NT AUTHORITY" | ".");
    let letters: String = own.to_ascii_lowercase().split_whitespace().collect();
    match letters.as_str() {
        "localservice" if is_system => Ok(r"NT AUTHORITY\LocalService".to_owned()),
        "networkservice" if is_system => Ok(r"NT AUTHORITY\NetworkService".to_owned()),
        "localsystem" | "system" if is_system => Ok("LocalSystem".to_owned()),
        _ if domain.eq_ignore_ascii_case("NT SERVICE") && !own.is_empty() => Ok(name.to_owned()),
        _ if own.len() > 1 && own.ends_with('$') => Ok(name.to_owned()),
        _ => Err(format!(
            "{name} is an account with a password, which Tidegate does not keep: expected a managed service account \
             (DOMAIN\\name$), NT SERVICE\\..., LocalService, NetworkService or LocalSystem; without --account each service \
             has one of its own"
        )),
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
    fn accounts_without_a_password_are_taken() {
        for (name, expected) in [
            (r"DOMAIN\shop$", Some(r"DOMAIN\shop$")),
            (r"NT SERVICE\TidegateProxy", Some(r"NT SERVICE\TidegateProxy")),
            ("LocalService", Some(r"NT AUTHORITY\LocalService")),
            (r"NT AUTHORITY\Network Service", Some(r"NT AUTHORITY\NetworkService")),
            (r".\LocalSystem", Some("LocalSystem")),
            (r"DOMAIN\LocalService", None),
            (r"DOMAIN\shop", None),
            (r".\shop", None),
            (r"NT SERVICE\", None),
            ("$", None),
            ("Administrator", None),
        ] {
            assert_eq!(account(name).ok().as_deref(), expected, "{name}");
        }
    }
}
