//! The units of Linux, and what the programs tell systemd.

use super::site;

#[tokio::test]
async fn the_units_are_what_systemd_accepts() {
    let mut site = site("units");
    // Ports that nobody listens on here: the units are only read.
    site.change(
        "listeners",
        "[{ address: '[::]:443', protocol: https }, { address: '[::1]:8443', protocol: https }, \
         { address: '0.0.0.0:80', protocol: redirect }]",
    );
    // One directory is made for it, the other is everybody's.
    site.change("log", "{ to: 'logs $a/tidegate.log', access: { to: /var/log/tidegate-test.log } }");
    site.write();
    let units = site.path("units");
    std::fs::create_dir(&units).unwrap();
    let directory = units.display().to_string();
    let account = String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let install = ["service", "install", "--unit-dir", &directory, "--account", account.trim()];
    let finished = site.tidegate(&install).await;
    assert_eq!(finished.code, 0, "{finished:?}");
    let written = ["tidegate-appserver.service", "tidegate-proxy.service", "tidegate-proxy.socket", "tidegate.target"];
    let mut verify = std::process::Command::new("systemd-analyze");
    verify.arg("verify").args(written.map(|unit| units.join(unit))).env("SYSTEMD_UNIT_PATH", format!("{directory}:"));
    let checked = verify.output();
    let checked = checked.expect("systemd-analyze is part of Debian's package systemd");
    let said = String::from_utf8_lossy(&checked.stderr);
    // Other units of the host may have faults of their own.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("tidegate")).collect();
    assert!(checked.status.success() && ours.is_empty(), "{said}");
    let socket = std::fs::read_to_string(units.join("tidegate-proxy.socket")).unwrap();
    for line in ["ListenStream=443", "ListenStream=[::1]:8443", "ListenStream=0.0.0.0:80", "BindIPv6Only=both"] {
        assert!(socket.lines().any(|own| own == line), "{line}: {socket}");
    }
    let proxy = std::fs::read_to_string(units.join("tidegate-proxy.service")).unwrap();
    let instance = &tidegate_site::load(&site.config()).unwrap().instance;
    let logs =
        format!("ReadWritePaths=\"{}\"", site.path("logs $a").canonicalize().unwrap_or(site.path("logs $a")).display());
    for line in ["CapabilityBoundingSet=", "ReadWritePaths=\"/var/log\"", &logs] {
        assert!(proxy.lines().any(|own| own == line), "{line}: {proxy}");
    }
    let server = std::fs::read_to_string(units.join("tidegate-appserver.service")).unwrap();
    let made = format!("RuntimeDirectory=tidegate-{}", &instance[..8]);
    for line in [&made, "RuntimeDirectoryMode=0700"] {
        assert!(server.lines().any(|own| own == line), "{line}: {server}");
    }
    assert!(finished.stderr.contains("apps can read the proxy's keys"), "{finished:?}");
    // The services of another site have a directory of their own, whatever their account.
    let other = super::site("other units");
    let install = ["service", "install", "--name", "Other", "--unit-dir", &directory, "--account", account.trim()];
    assert_eq!(other.tidegate(&install).await.code, 0);
    let of = |name: &str| {
        let unit = std::fs::read_to_string(units.join(name)).unwrap();
        unit.lines().find(|line| line.starts_with("RuntimeDirectory=")).unwrap().to_owned()
    };
    assert_ne!(of("other-appserver.service"), of("tidegate-appserver.service"));
}

/// Read only: the accounts need not be on this machine.
#[tokio::test]
async fn each_service_has_an_account_of_its_own_unless_one_is_chosen() {
    let site = site("accounts");
    let directory = site.path("units");
    std::fs::create_dir(&directory).unwrap();
    let target = directory.display().to_string();
    let units = async |more: &[&str]| {
        let install = ["service", "install", "--unit-dir", &target];
        let finished = site.tidegate(&[&install[..], more].concat()).await;
        assert_eq!(finished.code, 0, "{finished:?}");
        let of = |part: &str| std::fs::read_to_string(directory.join(format!("tidegate-{part}.service"))).unwrap();
        ([of("appserver"), of("proxy")], finished.stderr.contains("apps can read the proxy's keys"))
    };
    let value = |unit: &str, key: &str| {
        unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default().to_owned()
    };
    for (more, accounts) in [
        (&[][..], ["tidegate", "tidegate-proxy"]),
        (&["--account", "shop"], ["shop", "shop"]),
        (&["--proxy-account", "web"], ["tidegate", "web"]),
        (&["--account", "shop", "--proxy-account", "default"], ["shop", "tidegate-proxy"]),
    ] {
        let ([server, proxy], warned) = units(more).await;
        assert_eq!([value(&server, "User"), value(&proxy, "User")], accounts, "{more:?}");
        let [of_server, of_proxy] = accounts;
        let two = of_server != of_proxy;
        assert_eq!(warned, !two, "{more:?}");
        let trusts = |unit: &str, account: &str| unit.contains(&format!("\"--trust\" \"{account}\""));
        assert_eq!([trusts(&server, of_proxy), trusts(&proxy, of_server)], [two, two], "{more:?}");
        assert_eq!(value(&proxy, "SupplementaryGroups"), if two { of_server } else { "" }, "{more:?}");
        assert_eq!(value(&server, "RuntimeDirectoryMode"), if two { "0750" } else { "0700" }, "{more:?}");
        // Two that make it would take it from each other.
        assert!(!proxy.contains("RuntimeDirectory=") && !server.contains("SupplementaryGroups="), "{more:?}");
        assert_eq!(value(&proxy, "ExecReload").starts_with('+'), two, "{more:?}");
    }
}

/// The socket that systemd reads is an ordinary one, so this is what systemd sees.
#[tokio::test]
async fn both_programs_tell_systemd_when_they_serve_and_when_they_stop() {
    use tidegate_tests::program::Program;
    use tidegate_tests::wait::bounded;
    use tokio::net::UnixDatagram;

    let site = site("notify");
    let path = std::env::temp_dir().join(format!("tgn{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).unwrap();
    let heard = async || {
        let mut message = [0; 64];
        let length = bounded("a word of the program", socket.recv(&mut message)).await.unwrap();
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let mut running = Vec::new();
    for name in ["tidegate-appserver", "tidegate-proxy"] {
        let variables = [("NOTIFY_SOCKET", path.to_str().unwrap())];
        running.push(Program::start_with(name, &site.config(), &variables));
        assert_eq!(heard().await, "READY=1", "{name}");
    }
    for mut program in running.into_iter().rev() {
        program.ask_to_stop();
        assert_eq!(heard().await, "STOPPING=1", "{}", program.name);
        program.wait().await;
    }
    std::fs::remove_file(path).unwrap();
}
