//! What Microsoft Defender leaves out of what a site uses. A scanner that looks into every file costs much and says nothing; that
//! it does is no fault, and nothing is to be excluded that was not measured.

use std::path::{Path, PathBuf};

use tidegate_host::machine::Defender;
use tidegate_site::Site;

use super::windows_path::{covers, is_same};
use crate::failure::Failure;
use crate::finding::{Finding, Report, Verdict};

const TOPIC: &str = "antivirus";

/// Looks at it where the system has one.
pub(super) fn look(site: &Site, report: &mut Report) -> Result<(), Failure> {
    let Some(defender) = tidegate_host::machine::defender() else { return Ok(()) };
    let proxy = crate::up::program("tidegate-proxy")?;
    let programs = proxy.parent().unwrap_or(&proxy).to_owned();
    let mut places = vec![programs, site.state_dir.clone(), site.limits.buffer.directory.clone()];
    places.extend(site.apps.iter().map(|app| app.directory.clone()));
    places.dedup();
    report.add(judge(&defender, &places, &proxy));
    Ok(())
}

fn judge(defender: &Defender, places: &[PathBuf], proxy: &Path) -> Finding {
    let finding = |verdict, text, next| Finding { verdict, topic: TOPIC.to_owned(), text, next };
    let show = |places: &[&PathBuf]| -> String {
        places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let all: Vec<&PathBuf> = places.iter().collect();
    if !defender.scans {
        let text = format!(
            "Microsoft Defender does not look into files; whether another scanner does is unknown. It would cost most in {}: \
             docs/antivirus.md",
            show(&all)
        );
        return finding(Verdict::Unknown, text, None);
    }
    let (paths, processes) = match (&defender.paths, &defender.processes) {
        (Ok(paths), Ok(processes)) => (paths, processes),
        (Err(reason), _) | (_, Err(reason)) => {
            let text = format!(
                "Microsoft Defender looks into files; what it leaves out is unknown: {reason}. It costs most in {}: \
                 docs/antivirus.md",
                show(&all)
            );
            return finding(Verdict::Unknown, text, None);
        }
    };
    if let Some(wide) = paths.iter().find(|path| is_whole_drive(path)) {
        return finding(
            Verdict::Warning,
            format!("Microsoft Defender leaves out all of {wide}: nothing that visitors send is looked at"),
            Some(format!(
                "`Remove-MpPreference -ExclusionPath '{wide}'`; what to exclude instead, if anything: docs/antivirus.md"
            )),
        );
    }
    let (out, seen): (Vec<&PathBuf>, Vec<&PathBuf>) =
        all.iter().partition(|place| paths.iter().any(|path| covers(path, place)));
    let mut parts = Vec::new();
    if !seen.is_empty() {
        parts.push(format!("looks into the files of {}", show(&seen)));
    }
    if !out.is_empty() {
        parts.push(format!("leaves out {}", show(&out)));
    }
    if processes.iter().any(|process| is_same(process, proxy) || is_same(process, Path::new("tidegate-proxy.exe"))) {
        parts.push("leaves out what tidegate-proxy.exe opens".to_owned());
    }
    let hint = if seen.is_empty() { "" } else { "; where starts or requests are slow: docs/antivirus.md" };
    finding(Verdict::Good, format!("Microsoft Defender {}{hint}", parts.join(", and ")), None)
}

/// `C:\`, `C:` or a star alone.
fn is_whole_drive(path: &str) -> bool {
    let path = path.trim_end_matches(['\\', '*']);
    path.is_empty() || (path.len() == 2 && path.ends_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_named_and_a_whole_drive_is_too_much() {
        let places = [r"C:\Tidegate", r"C:\ProgramData\shop"].map(PathBuf::from);
        let proxy = Path::new(r"C:\Tidegate\tidegate-proxy.exe");
        let of = |paths: &[&str], processes: &[&str]| {
            let list = |texts: &[&str]| Ok(texts.iter().map(|text| (*text).to_owned()).collect());
            Defender { scans: true, paths: list(paths), processes: list(processes) }
        };
        let hidden = Defender { paths: Err("only administrators may see them".to_owned()), ..of(&[], &[]) };
        for (defender, verdict, expected) in [
            (
                of(&[], &[]),
                Verdict::Good,
                r"Microsoft Defender looks into the files of C:\Tidegate, C:\ProgramData\shop; where",
            ),
            (
                of(&[r"c:\programdata"], &[]),
                Verdict::Good,
                r"files of C:\Tidegate, and leaves out C:\ProgramData\shop; where",
            ),
            (
                of(&[r"C:\Tidegate\", r"C:\ProgramData\*"], &["TIDEGATE-PROXY.exe"]),
                Verdict::Good,
                r"Microsoft Defender leaves out C:\Tidegate, C:\ProgramData\shop, and leaves out what tidegate-proxy.exe opens",
            ),
            (of(&[r"C:\"], &[]), Verdict::Warning, r"leaves out all of C:\:"),
            (of(&["*"], &[]), Verdict::Warning, "leaves out all of *:"),
            (hidden, Verdict::Unknown, "what it leaves out is unknown: only administrators may see them"),
            (Defender { scans: false, ..of(&[], &[]) }, Verdict::Unknown, "does not look into files; whether another"),
        ] {
            let finding = judge(&defender, &places, proxy);
            assert_eq!(finding.verdict, verdict, "{defender:?}");
            assert!(finding.text.contains(expected), "{defender:?}: {}", finding.text);
            assert_eq!(finding.next.is_some(), verdict.is_bad(), "{defender:?}");
        }
    }
}
