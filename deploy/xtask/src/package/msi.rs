//! The Windows installer, packed by wixl of msitools. Files only, below Program Files\Tidegate; whatever concerns
//! services is done by `tidegate.exe` itself, called at the right moments (docs/windows.md, "Installing").

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::{Files, VERSION};
use crate::machine::{self, Tool};
use crate::{cache, process};

/// Identifies the product over all its versions; never changes.
const UPGRADE_CODE: &str = "8B0E0C53-6E0F-4B57-9E3C-6A3D1D5B7F42";
const TOOLS: [Tool; 3] = [
    Tool { program: "wixl", package: "wixl" },
    Tool { program: "msibuild", package: "msitools" },
    Tool { program: "msiinfo", package: "msitools" },
];
/// The component of tidegate.exe, to which what is more than files belongs.
const COMMAND: &str = "Command";

/// What an administrator may say (docs/windows.md).
const PROPERTIES: [&str; 4] = ["SITE", "NAME", "ACCOUNT", "REMOVEDATA"];

/// A version that is newer than any: what an upgrade is tried with.
pub(super) const NEXT: &str = "99.0.0";

/// The package of a version.
pub(super) fn file_name(version: &str) -> String {
    format!("tidegate-{version}-windows-x86_64.msi")
}

/// Identifies a version: every version has one of its own, and the same however often it is packed.
pub(super) fn product_code(version: &str) -> String {
    let digest = cache::digest(&[UPGRADE_CODE, version]).to_uppercase();
    // 12 bytes of digest in the form of a version 8 UUID (RFC 9562), whose bits are the maker's own.
    format!(
        "{{{}-{}-8{}-A{}-{}00000000}}",
        &digest[..8],
        &digest[8..12],
        &digest[12..15],
        &digest[15..18],
        &digest[18..22]
    )
}

/// Makes it.
pub(super) fn make(files: &Files) -> Result<PathBuf> {
    machine::require(&TOOLS)?;
    files.programs_into("bin")?;
    files.papers_into("share")?;
    pack(&files.stage, VERSION, &files.out)
}

/// The same files as a newer version, for [`super::trial`].
pub(super) fn make_next(stage: &Path, out: &Path) -> Result<PathBuf> {
    pack(stage, NEXT, out)
}

fn pack(stage: &Path, version: &str, out: &Path) -> Result<PathBuf> {
    let source = stage.join("tidegate.wxs");
    fs::write(&source, source_text(stage, version)?)?;
    let out = out.join(file_name(version));
    process::run_quietly(
        process::command("wixl").args(["--arch", "x64", "--output"]).arg(&out).arg(&source).current_dir(stage),
    )?;
    complete(&out, stage)?;
    Ok(out)
}

/// Writes into the package what wixl has no words for, and looks at the result: each of these went wrong unseen once.
fn complete(package: &Path, stage: &Path) -> Result<()> {
    // `=-*`: set it for the machine at the installation, take it back at the removal.
    let environment = format!(
        "Environment\tName\tValue\tComponent_\r\ns72\tl255\tL255\ts72\r\nEnvironment\tEnvironment\r\n\
         Path\t=-*Path\t[~];[INSTALLDIR]\t{COMMAND}\r\n"
    );
    let table = stage.join("Environment.idt");
    fs::write(&table, environment)?;
    process::run_quietly(process::command("msibuild").arg(package).arg("-i").arg(&table))?;
    let secure = ["WIX_DOWNGRADE_DETECTED", "WIX_UPGRADE_DETECTED"].into_iter().chain(PROPERTIES);
    let secure = secure.collect::<Vec<_>>().join(";");
    let action = |name: &str, place: u32| {
        format!("INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('{name}', {place})")
    };
    for query in [
        // An elevated installation started by one who is not elevated is given these properties only.
        format!("UPDATE `Property` SET `Value` = '{secure}' WHERE `Property` = 'SecureCustomProperties'"),
        // Within the transaction: an upgrade that fails brings the old version back.
        "UPDATE `InstallExecuteSequence` SET `Sequence` = 1501 WHERE `Action` = 'RemoveExistingProducts'".to_owned(),
        action("RemoveEnvironmentStrings", 3300),
        action("WriteEnvironmentStrings", 5200),
    ] {
        process::run_quietly(process::command("msibuild").arg(package).arg("-q").arg(query))?;
    }
    let read = |table: &str| process::output(process::command("msiinfo").arg("export").arg(package).arg(table));
    let (properties, sequence) = (read("Property")?, read("InstallExecuteSequence")?);
    let row = |table: &str, row: &str| table.lines().any(|line| line.trim_end() == row);
    ensure!(row(&properties, &format!("SecureCustomProperties\t{secure}")), "properties were not made secure");
    ensure!(row(&sequence, "RemoveExistingProducts\t\t1501"), "the old version would go outside of the transaction");
    ensure!(row(&sequence, "InstallInitialize\t\t1500"), "the transaction does not begin where it is expected to");
    Ok(())
}

fn source_text(stage: &Path, version: &str) -> Result<String> {
    let mut tree = Directory::default();
    tree.read(&stage.join("bin"))?;
    let mut share = Directory::default();
    share.read(&stage.join("share"))?;
    // Programs and papers share the product's directory: a proper place for people to find both.
    tree.files.extend(share.files);
    tree.directories.extend(share.directories);
    let mut components = Vec::new();
    let mut listed = String::new();
    tree.list(stage, "INSTALLDIR", &mut listed, &mut components)?;
    let mut references = String::new();
    for component in &components {
        writeln!(references, "      <ComponentRef Id=\"{component}\"/>")?;
    }
    Ok(include_str!("../../../windows/tidegate.wxs")
        .replace("@VERSION@", version)
        .replace("@PRODUCT_CODE@", &product_code(version))
        .replace("@UPGRADE_CODE@", UPGRADE_CODE)
        .replace("@FILES@", &listed)
        .replace("@COMPONENTS@", &references))
}

/// A directory of the product.
#[derive(Default)]
struct Directory {
    files: BTreeMap<String, PathBuf>,
    directories: BTreeMap<String, Directory>,
}

impl Directory {
    fn read(&mut self, from: &Path) -> Result<()> {
        for entry in fs::read_dir(from)? {
            let path = entry?.path();
            let name = path.file_name().context("a file has a name")?.to_string_lossy().into_owned();
            if path.is_dir() {
                self.directories.entry(name).or_default().read(&path)?;
            } else {
                self.files.insert(name, path);
            }
        }
        Ok(())
    }

    fn list(&self, stage: &Path, id: &str, out: &mut String, components: &mut Vec<String>) -> Result<()> {
        for (name, path) in &self.files {
            let number = components.len();
            let source = path.strip_prefix(stage)?.display();
            // The one that the installer calls has names of its own.
            let (component, file) = match &**name {
                "tidegate.exe" => (COMMAND.to_owned(), "COMMAND".to_owned()),
                _ => (format!("C{number}"), format!("F{number}")),
            };
            writeln!(
                out,
                "<Component Id=\"{component}\" Guid=\"*\" Win64=\"yes\"><File Id=\"{file}\" Name=\"{name}\" Source=\"{source}\" \
                 KeyPath=\"yes\"/></Component>"
            )?;
            components.push(component);
        }
        for (number, (name, directory)) in self.directories.iter().enumerate() {
            let id = format!("{id}_{number}");
            writeln!(out, "<Directory Id=\"{id}\" Name=\"{name}\">")?;
            directory.list(stage, &id, out, components)?;
            writeln!(out, "</Directory>")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_product_code_in_the_form_of_a_guid() {
        let code = product_code("1.2.3");
        assert_eq!(code, product_code("1.2.3"));
        assert_ne!(code, product_code("1.2.4"));
        let groups: Vec<usize> = code.trim_matches(['{', '}']).split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
    }
}
