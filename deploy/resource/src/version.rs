//! VS_VERSIONINFO: a tree of blocks, each with its length, its value and a name, aligned to four bytes.

/// What a program says of itself.
pub(crate) struct Facts<'a> {
    pub(crate) file: &'a str,
    pub(crate) description: &'a str,
    pub(crate) company: &'a str,
    pub(crate) licence: &'a str,
    /// As in Cargo.toml.
    pub(crate) version: &'a str,
    pub(crate) is_program: bool,
}

const PRODUCT: &str = "Tidegate";
/// Unicode (1200), in the table of American English.
const TABLE: &str = "040904B0";

/// The resource.
pub(crate) fn block(facts: &Facts<'_>) -> Vec<u8> {
    let licence = format!("{}, {}", facts.company, facts.licence);
    let strings = [
        ("CompanyName", facts.company),
        ("FileDescription", facts.description),
        ("FileVersion", facts.version),
        ("InternalName", facts.file),
        ("LegalCopyright", &licence),
        ("OriginalFilename", facts.file),
        ("ProductName", PRODUCT),
        ("ProductVersion", facts.version),
    ];
    let strings: Vec<Vec<u8>> = strings.iter().map(|(name, value)| string(name, value)).collect();
    let table = node(TABLE, &[], true, &strings);
    // The same language and code page, as numbers.
    let translation = node("Translation", &[0x09, 0x04, 0xb0, 0x04], false, &[]);
    let children = [node("StringFileInfo", &[], true, &[table]), node("VarFileInfo", &[], true, &[translation])];
    node("VS_VERSION_INFO", &fixed(facts), false, &children)
}

/// VS_FIXEDFILEINFO.
fn fixed(facts: &Facts<'_>) -> Vec<u8> {
    const FOR_NT_WINDOWS_32: u32 = 0x0004_0004;
    let [high, low] = numbers(facts.version);
    let kind = if facts.is_program { 1 } else { 2 };
    // Signature, structure's version, both versions, mask and flags, system, kind, subkind, date.
    let fields = [0xfeef_04bd, 0x0001_0000, high, low, high, low, 0x3f, 0, FOR_NT_WINDOWS_32, kind, 0, 0, 0];
    fields.iter().flat_map(|field: &u32| field.to_le_bytes()).collect()
}

/// A version as two numbers of 32 bits, four of 16. What follows a hyphen has no place there.
fn numbers(version: &str) -> [u32; 2] {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = plain.split('.').map(|part| u32::from(part.parse::<u16>().unwrap_or_default()));
    let mut next = || parts.next().unwrap_or_default();
    [next() << 16 | next(), next() << 16 | next()]
}

fn string(name: &str, value: &str) -> Vec<u8> {
    node(name, &wide(value), true, &[])
}

/// A block. The length of a text counts letters, that of anything else bytes.
fn node(name: &str, value: &[u8], is_text: bool, children: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![0; 2];
    let length = if is_text { value.len() / 2 } else { value.len() };
    bytes.extend(short(length));
    bytes.extend(short(usize::from(is_text)));
    bytes.extend(wide(name));
    for part in std::iter::once(value).chain(children.iter().map(Vec::as_slice)).filter(|part| !part.is_empty()) {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(part);
    }
    let length = short(bytes.len());
    bytes[..2].copy_from_slice(&length);
    bytes
}

/// Nothing in version information is longer than a few hundred bytes.
fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()
}

/// UTF-16 with its zero.
fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_becomes_four_numbers() {
        for (version, expected) in
            [("1.2.3", [0x1_0002, 0x3_0000]), ("0.1.0-rc.1", [1, 0]), ("99.0", [99 << 16, 0]), ("x", [0, 0])]
        {
            assert_eq!(numbers(version), expected, "{version}");
        }
    }

    #[test]
    fn blocks_are_aligned_and_count_themselves() {
        // Six bytes, the name with its zero, and the value at the next multiple of four.
        let block = string("ab", "c");
        assert_eq!(block, [16, 0, 2, 0, 1, 0, b'a', 0, b'b', 0, 0, 0, b'c', 0, 0, 0]);
        let outer = node("x", &[], true, &[block.clone(), block]);
        assert_eq!((outer.len(), outer[0]), (44, 44));
    }
}
