//! Manifests for winget and scoop, which say where the Windows packages are to be had and what they have to be. Made of the
//! packages that were built, if it is said from where they will be downloaded; nothing is uploaded.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use super::{VERSION, msi};

/// The identifier in winget's repository: publisher and package.
const IDENTIFIER: &str = "Tidegate.Tidegate";
const PUBLISHER: &str = "Tidegate maintainers";
const SUMMARY: &str = "Serves Python WSGI applications: one YAML file, two services, no server in front";
/// The schema that the fields are of.
const SCHEMA: &str = "1.6.0";
/// Server 2019; what Tidegate is written for.
const LEAST_WINDOWS: &str = "10.0.17763.0";

/// Writes those of the packages in `out` that are there; says what was written, or why nothing was.
pub(super) fn write(out: &Path, url_base: Option<&str>) -> Result<()> {
    let Some(base) = url_base else {
        println!("      none: they say where the packages are downloaded, so give it: --url-base=https://...");
        return Ok(());
    };
    let base = base.trim_end_matches('/');
    let installer = out.join(msi::file_name(VERSION));
    if installer.is_file() {
        let place = out.join("winget");
        fs::create_dir_all(&place)?;
        let url = format!("{base}/{}", msi::file_name(VERSION));
        for (name, text) in winget(VERSION, &url, &digest(&installer)?) {
            fs::write(place.join(&name), text).with_context(|| format!("failed to write {name}"))?;
            println!("      {}", place.join(name).display());
        }
    }
    let folder = format!("tidegate-{VERSION}-windows-x86_64");
    let zip = out.join(format!("{folder}.zip"));
    if zip.is_file() {
        let file = out.join("scoop").join("tidegate.json");
        fs::create_dir_all(out.join("scoop"))?;
        fs::write(&file, scoop(VERSION, base, &folder, &digest(&zip)?))?;
        println!("      {}", file.display());
    }
    Ok(())
}

fn digest(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The three files of a version in winget's repository, by their names.
fn winget(version: &str, url: &str, sha256: &str) -> [(String, String); 3] {
    let head = format!("PackageIdentifier: {IDENTIFIER}\nPackageVersion: {version}\n");
    let tail = |kind: &str| format!("ManifestType: {kind}\nManifestVersion: {SCHEMA}\n");
    let code = msi::product_code(version);
    let sha256 = sha256.to_uppercase();
    [
        (format!("{IDENTIFIER}.yaml"), format!("{head}DefaultLocale: en-US\n{}", tail("version"))),
        (
            format!("{IDENTIFIER}.installer.yaml"),
            format!(
                "{head}Platform:\n- Windows.Desktop\nMinimumOSVersion: {LEAST_WINDOWS}\nInstallerType: wix\nScope: machine\n\
                 UpgradeBehavior: install\nProductCode: '{code}'\nInstallers:\n- Architecture: x64\n  InstallerUrl: {url}\n  \
                 InstallerSha256: {sha256}\n{}",
                tail("installer")
            ),
        ),
        (
            format!("{IDENTIFIER}.locale.en-US.yaml"),
            format!(
                "{head}PackageLocale: en-US\nPublisher: {PUBLISHER}\nPackageName: Tidegate\nLicense: Apache-2.0 OR MIT\n\
                 ShortDescription: '{SUMMARY}'\n{}",
                tail("defaultLocale")
            ),
        ),
    ]
}

/// The one file of a scoop bucket. The zip has all in a folder.
fn scoop(version: &str, base: &str, folder: &str, sha256: &str) -> String {
    format!(
        r#"{{
    "version": "{version}",
    "description": "{SUMMARY}",
    "homepage": "{base}",
    "license": "Apache-2.0|MIT",
    "architecture": {{
        "64bit": {{
            "url": "{base}/{folder}.zip",
            "hash": "{sha256}",
            "extract_dir": "{folder}"
        }}
    }},
    "bin": "tidegate.exe",
    "notes": "`tidegate init` in an application's directory, then `tidegate up`. Services need the programs in a place that every account can read: install.ps1 puts them there."
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{process, python};

    const SHA: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";

    /// Top-level keys of a flat YAML file, with what follows on their line.
    fn keys(text: &str) -> Vec<(&str, &str)> {
        text.lines().filter(|line| !line.starts_with([' ', '-'])).filter_map(|line| line.split_once(':')).collect()
    }

    #[test]
    fn each_winget_file_has_the_required_fields_and_no_unknown_ones() {
        let url = "https://example.com/tidegate.msi";
        let common = ["PackageIdentifier", "PackageVersion", "ManifestType", "ManifestVersion"];
        // Required fields of the schemas first, then those of the others that are used.
        let fields: [(&str, &[&str], &[&str]); 3] = [
            ("version", &["DefaultLocale"], &[]),
            (
                "installer",
                &["Installers"],
                &["Platform", "MinimumOSVersion", "InstallerType", "Scope", "UpgradeBehavior", "ProductCode"],
            ),
            ("defaultLocale", &["PackageLocale", "Publisher", "PackageName", "License", "ShortDescription"], &[]),
        ];
        for ((name, text), (kind, required, optional)) in winget("1.2.3", url, SHA).iter().zip(fields) {
            let found = keys(text);
            for key in common.iter().chain(required) {
                assert_eq!(found.iter().filter(|(name, _)| name == key).count(), 1, "{name}: {key}");
            }
            for (key, _) in &found {
                assert!(common.contains(key) || required.contains(key) || optional.contains(key), "{name}: {key}");
            }
            assert!(found.contains(&("ManifestType", &format!(" {kind}"))), "{name}");
            assert!(name.starts_with("Tidegate.Tidegate.") && name.ends_with(".yaml"), "{name}");
            assert!(text.is_ascii() && text.ends_with('\n'), "{name}");
        }
        let [_, (_, installer), (_, locale)] = winget("1.2.3", url, SHA);
        for line in [
            "- Architecture: x64".to_owned(),
            format!("  InstallerUrl: {url}"),
            format!("  InstallerSha256: {}", SHA.to_uppercase()),
            format!("ProductCode: '{}'", msi::product_code("1.2.3")),
        ] {
            assert!(installer.lines().any(|found| found == line), "{line}: {installer}");
        }
        let short = keys(&locale).into_iter().find(|(key, _)| *key == "ShortDescription").unwrap().1;
        assert!((3..=256).contains(&short.trim().len()), "{short}");
    }

    #[test]
    fn the_scoop_file_is_json_with_the_required_fields() {
        let file = std::env::temp_dir().join(format!("tidegate-scoop-{}.json", std::process::id()));
        fs::write(&file, scoop("1.2.3", "https://example.com/d", "tidegate-1.2.3", SHA)).unwrap();
        let look = "import json, sys\nd = json.load(open(sys.argv[1]))\na = d['architecture']['64bit']\n\
                    print('|'.join([*sorted(d), a['url'], a['hash'], a['extract_dir'], d['version']]))";
        let mut command = process::command(python::of_machine().unwrap());
        let said = process::output(command.args(["-c", look]).arg(&file)).unwrap();
        fs::remove_file(&file).unwrap();
        let expected = format!(
            "architecture|bin|description|homepage|license|notes|version|https://example.com/d/tidegate-1.2.3.zip|{SHA}|tidegate-1.2.3|1.2.3"
        );
        assert_eq!(said.trim(), expected);
    }

    #[test]
    fn without_an_address_nothing_is_written() {
        let out = std::env::temp_dir().join(format!("tidegate-manifests-{}", std::process::id()));
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join(msi::file_name(VERSION)), "an installer").unwrap();
        write(&out, None).unwrap();
        assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
        write(&out, Some("https://example.com/")).unwrap();
        let installer = fs::read_to_string(out.join("winget/Tidegate.Tidegate.installer.yaml")).unwrap();
        assert!(installer.contains(&format!("InstallerUrl: https://example.com/{}", msi::file_name(VERSION))));
        assert!(installer.contains(&digest(&out.join(msi::file_name(VERSION))).unwrap().to_uppercase()));
        assert!(!out.join("scoop").exists());
        fs::remove_dir_all(&out).unwrap();
    }
}
