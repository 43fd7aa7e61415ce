//! What of a site is secret, and to whom.

use crate::files::Directory;
use tidegate_site::*;

const SITE: &str = "
certificates:
  - { certificate: certs/site.pem, key: certs/site.key }
  - { pfx: certs/site.pfx, password_file: certs/password }
  - { pfx: certs/site.pfx, password_variable: SHOP }
listeners: [{ address: 127.0.0.1:1, protocol: https }]
apps:
  shop: { wsgi: \"a:b\", environment_file: secrets.env, environment: { PLAIN: x } }
  desk: { wsgi: \"a:b\" }
hosts:
  - { names: [\"*\"], basic_auth: { users_file: users }, routes: [{ path: /, app: shop }, { path: /d, app: desk }] }
";

fn directory() -> Directory {
    let directory = Directory::new();
    directory.write("certs/site.pfx", b"");
    directory.write("certs/password", b"");
    directory.write("users", b"ada:$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW\n");
    directory
}

#[test]
fn the_secrets_are_the_proxys_or_the_app_servers() {
    let directory = directory();
    let site = directory.load(SITE).unwrap();
    let found: Vec<_> = site.secrets().into_iter().map(|secret| (secret.what, secret.file, secret.reader)).collect();
    let path = |name: &str| directory.path().join(name);
    let expected = [
        ("private key", path("certs").join("site.key"), Reader::Proxy),
        ("private key", path("certs").join("site.pfx"), Reader::Proxy),
        ("password", path("certs").join("password"), Reader::Proxy),
        ("users and password hashes", path("users"), Reader::Proxy),
        ("environment of an app", path("secrets.env"), Reader::AppServer),
    ];
    assert_eq!(found, expected);
    assert!(directory.load("app: a:b").unwrap().secrets().is_empty());
}

#[test]
fn each_program_leaves_the_others_secrets_alone() {
    let directory = directory();
    let file = directory.write("tidegate.yaml", SITE.as_bytes());
    let seen = |reader| {
        let site = load_as(&file, reader).unwrap();
        let users = site.hosts[0].rules.basic_auth.as_ref().unwrap().users.len();
        (site.apps[0].environment.keys().map(String::as_str).collect::<Vec<_>>().join(" "), users, site.secrets().len())
    };
    assert_eq!(seen(Reader::Command), ("ONLY_FILE PLAIN TOKEN".to_owned(), 1, 5));
    assert_eq!(seen(Reader::Proxy), ("PLAIN".to_owned(), 1, 5));
    assert_eq!(seen(Reader::AppServer), ("ONLY_FILE PLAIN TOKEN".to_owned(), 0, 5));
    // What is wrong in them is the business of whoever reads them.
    directory.write("users", b"ada\n");
    directory.write("secrets.env", b"wrong\n");
    assert_eq!(load_as(&file, Reader::Proxy).unwrap_err().problems().len(), 1);
    assert_eq!(load_as(&file, Reader::AppServer).unwrap_err().problems().len(), 1);
    assert_eq!(load(&file).unwrap_err().problems().len(), 2);
}
