//! Access lists as Windows writes them (SDDL). Text alone, so that every one of them is tested on every system; used by the
//! Windows half for pipes, private files and protected places.

use crate::Audience;

/// Reading and writing without FILE_CREATE_PIPE_INSTANCE (which is FILE_APPEND_DATA): a client that had it could
/// make instances of its own and take other clients' connections.
const CONNECT: u32 = 0x0012_019b;
/// FILE_GENERIC_READ.
const READ_FILE: u32 = 0x0012_0089;
/// FILE_GENERIC_READ and FILE_GENERIC_EXECUTE, which a directory needs to be passed through.
const READ_DIRECTORY: u32 = 0x0012_00a9;
/// Reading, writing and deleting, without changing the list: what the system's own tools call "modify".
pub(crate) const MODIFY: u32 = 0x0013_01bf;

/// SYSTEM, Administrators.
const SYSTEM: [&str; 2] = ["SY", "BA"];

/// Of a new file for one account.
pub(crate) fn private(own: &str) -> String {
    format!("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;{own})")
}

/// Of a new pipe. Only the account that serves it can make instances or change the list: not even an administrator's
/// program gets in between by mistake.
pub(crate) fn pipe(audience: Audience, own: &str, trusted: &[String]) -> String {
    let system: &[&str] = if audience == Audience::Commands { &SYSTEM } else { &[] };
    let trusted: &[String] = if audience == Audience::Workers { &[] } else { trusted };
    let clients = system.iter().copied().chain(trusted.iter().map(String::as_str));
    let clients: String = clients.map(|client| format!("(A;;{CONNECT:#x};;;{client})")).collect();
    // The control pipe gives orders: programs of low integrity, such as a browser's, may not even read from it.
    let label = if audience == Audience::Commands { "S:(ML;;NWNR;;;ME)" } else { "" };
    format!("D:P(A;;GA;;;{own}){clients}{label}")
}

/// Of a place that only these accounts use.
pub(crate) fn place(readers: &[String], writers: &[String], is_directory: bool) -> String {
    // What is made in a directory gets the same.
    let (flags, read) = if is_directory { ("OICI", READ_DIRECTORY) } else { ("", READ_FILE) };
    let system = SYSTEM.iter().map(|system| format!("(A;{flags};FA;;;{system})"));
    let readers = readers.iter().map(|reader| format!("(A;{flags};{read:#x};;;{reader})"));
    let writers = writers.iter().map(|writer| format!("(A;{flags};{MODIFY:#x};;;{writer})"));
    let all: String = system.chain(readers).chain(writers).collect();
    format!("D:P{all}")
}

/// A list with an entry added that lets an account read: behind what is forbidden and allowed here, before what was inherited,
/// which is the order that Windows expects. Nothing for a text that is no list of entries: everybody may do everything then.
pub(crate) fn with_reader(list: &str, account: &str) -> Option<String> {
    let entries = list.strip_prefix("D:")?.find('(').map_or(list.len(), |at| at + 2);
    if list.contains("NO_ACCESS_CONTROL") {
        return None;
    }
    let (before, mut rest) = list.split_at(entries);
    let mut own = before.to_owned();
    while let Some(entry) = entry(rest) {
        // Type, flags, rights, ...: the flag ID says that it came from above.
        let flags = entry.split(';').nth(1).unwrap_or_default();
        if flags.as_bytes().chunks(2).any(|flag| flag == b"ID") {
            break;
        }
        own.push_str(entry);
        rest = rest.strip_prefix(entry)?;
    }
    Some(format!("{own}(A;;GR;;;{account}){rest}"))
}

/// The entry that a text begins with; a condition in it has brackets of its own.
fn entry(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' if depth == 1 => return text.get(..=at),
            ')' => depth = depth.checked_sub(1)?,
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "S-1-5-80-1";

    #[test]
    fn each_pipe_is_for_its_audience_alone() {
        let trusted = ["S-1-5-80-2".to_owned()];
        for (audience, trusted, expected) in [
            (
                Audience::Commands,
                &trusted[..],
                "D:P(A;;GA;;;S-1-5-80-1)(A;;0x12019b;;;SY)(A;;0x12019b;;;BA)(A;;0x12019b;;;S-1-5-80-2)S:(ML;;NWNR;;;ME)",
            ),
            (Audience::Commands, &[], "D:P(A;;GA;;;S-1-5-80-1)(A;;0x12019b;;;SY)(A;;0x12019b;;;BA)S:(ML;;NWNR;;;ME)"),
            (Audience::Workers, &trusted, "D:P(A;;GA;;;S-1-5-80-1)"),
            (Audience::Proxy, &trusted, "D:P(A;;GA;;;S-1-5-80-1)(A;;0x12019b;;;S-1-5-80-2)"),
            (Audience::Proxy, &[], "D:P(A;;GA;;;S-1-5-80-1)"),
        ] {
            assert_eq!(pipe(audience, OWN, trusted), expected);
        }
    }

    #[test]
    fn a_client_reads_and_writes_and_can_neither_make_instances_nor_change_the_list() {
        // By name: READ_DATA, WRITE_DATA, READ_EA, WRITE_EA, READ_ATTRIBUTES, WRITE_ATTRIBUTES, READ_CONTROL, SYNCHRONIZE.
        let named = 0x1 | 0x2 | 0x8 | 0x10 | 0x80 | 0x100 | 0x2_0000 | 0x10_0000;
        assert_eq!(CONNECT, named);
        // CREATE_PIPE_INSTANCE, DELETE, WRITE_DAC, WRITE_OWNER.
        for kept in [0x4, 0x1_0000, 0x4_0000, 0x8_0000] {
            assert_eq!(CONNECT & kept, 0);
        }
    }

    #[test]
    fn a_place_is_for_the_system_and_those_named() {
        let (readers, writers) = (["S-1-5-80-1".to_owned()], ["S-1-5-80-2".to_owned()]);
        assert_eq!(place(&readers, &[], false), "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;0x120089;;;S-1-5-80-1)");
        assert_eq!(
            place(&readers, &writers, true),
            "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;S-1-5-80-1)(A;OICI;0x1301bf;;;S-1-5-80-2)"
        );
        assert_eq!(private(OWN), "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;S-1-5-80-1)");
    }

    #[test]
    fn a_reader_is_added_before_what_was_inherited_and_takes_nothing_from_others() {
        for (list, expected) in [
            // As Windows writes that of a key after an import.
            (
                "D:PAI(A;;0xd01f01ff;;;SY)(A;;0xd01f01ff;;;BA)",
                Some("D:PAI(A;;0xd01f01ff;;;SY)(A;;0xd01f01ff;;;BA)(A;;GR;;;S-1-5-80-1)"),
            ),
            ("D:AI(D;;GA;;;BG)(A;ID;FA;;;SY)", Some("D:AI(D;;GA;;;BG)(A;;GR;;;S-1-5-80-1)(A;ID;FA;;;SY)")),
            ("D:(A;OICIID;FA;;;SY)", Some("D:(A;;GR;;;S-1-5-80-1)(A;OICIID;FA;;;SY)")),
            (
                "D:(XA;;GA;;;SY;(@User.a == \"(\" || (Member_of {BA})))",
                // A bracket in a text confuses it: then nothing of the rest is taken for an entry, and all of it stays.
                Some("D:(A;;GR;;;S-1-5-80-1)(XA;;GA;;;SY;(@User.a == \"(\" || (Member_of {BA})))"),
            ),
            ("D:(XA;;GA;;;SY;(Member_of {BA}))", Some("D:(XA;;GA;;;SY;(Member_of {BA}))(A;;GR;;;S-1-5-80-1)")),
            ("D:P", Some("D:P(A;;GR;;;S-1-5-80-1)")),
            ("D:NO_ACCESS_CONTROL", None),
            ("", None),
        ] {
            assert_eq!(with_reader(list, OWN).as_deref(), expected, "{list}");
        }
    }

    #[test]
    fn writers_may_not_change_the_list() {
        assert_eq!(MODIFY & 0x000c_0000, 0);
    }
}
