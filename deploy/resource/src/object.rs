//! Resources as linkers take them: GNU's a COFF object with a section `.rsrc` (PE format, "The .rsrc Section"),
//! Microsoft's a `.res` file.

use super::{LANGUAGE, Resource};

/// Every resource has this name, which means "the one" to Windows.
const NAME: u32 = 1;
const DIRECTORY: usize = 16;
const ENTRY: usize = 8;
const DATA_ENTRY: usize = 16;
/// Of an entry that leads to another directory.
const SUBDIRECTORY: u32 = 1 << 31;

/// An object for x86-64 whose section is the tree of these resources, sorted by type.
pub(crate) fn coff(resources: &[Resource]) -> Vec<u8> {
    const MACHINE_AMD64: u16 = 0x8664;
    const READABLE_DATA_ALIGNED_4: u32 = 0x4030_0040;
    const ADDRESS_WITHOUT_BASE: u16 = 3;
    const STATIC: u8 = 3;
    let (section, places) = section(resources);
    let start = 20 + 40;
    let relocations = start + section.len();
    let symbols = relocations + 10 * places.len();
    let mut out = Vec::with_capacity(symbols + 18 + 4);
    out.extend(MACHINE_AMD64.to_le_bytes());
    out.extend(1_u16.to_le_bytes());
    out.extend([0, number(symbols), 1].iter().flat_map(|field| field.to_le_bytes()));
    out.extend([0; 4]);
    out.extend(b".rsrc\0\0\0");
    let sizes = [0, 0, number(section.len()), number(start), number(relocations), 0];
    out.extend(sizes.iter().flat_map(|field| field.to_le_bytes()));
    out.extend(u16::try_from(places.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend([0; 2]);
    out.extend(READABLE_DATA_ALIGNED_4.to_le_bytes());
    out.extend(section);
    for place in places {
        out.extend(number(place).to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(ADDRESS_WITHOUT_BASE.to_le_bytes());
    }
    out.extend(b".rsrc\0\0\0");
    out.extend(0_u32.to_le_bytes());
    out.extend(1_u16.to_le_bytes());
    out.extend([0, 0, STATIC, 0]);
    // An empty table of strings is its own length.
    out.extend(4_u32.to_le_bytes());
    out
}

/// The section, and where in it addresses are that the linker completes.
fn section(resources: &[Resource]) -> (Vec<u8>, Vec<usize>) {
    let count = resources.len();
    let names = DIRECTORY + ENTRY * count;
    let languages = names + (DIRECTORY + ENTRY) * count;
    let entries = languages + (DIRECTORY + ENTRY) * count;
    let mut data = (entries + DATA_ENTRY * count).next_multiple_of(8);
    let (mut out, mut places, mut at) = (Vec::new(), Vec::new(), Vec::new());
    directory(
        &mut out,
        resources
            .iter()
            .enumerate()
            .map(|(index, resource)| (resource.kind, number(names + (DIRECTORY + ENTRY) * index) | SUBDIRECTORY)),
    );
    for index in 0..count {
        directory(&mut out, [(NAME, number(languages + (DIRECTORY + ENTRY) * index) | SUBDIRECTORY)].into_iter());
    }
    for index in 0..count {
        directory(&mut out, [(LANGUAGE, number(entries + DATA_ENTRY * index))].into_iter());
    }
    for resource in resources {
        places.push(out.len());
        at.push(data);
        out.extend([number(data), number(resource.bytes.len()), 0, 0].iter().flat_map(|field| field.to_le_bytes()));
        data = (data + resource.bytes.len()).next_multiple_of(8);
    }
    for (resource, at) in resources.iter().zip(at) {
        out.resize(at, 0);
        out.extend(&resource.bytes);
    }
    out.resize(data, 0);
    (out, places)
}

fn directory(out: &mut Vec<u8>, entries: impl ExactSizeIterator<Item = (u32, u32)>) {
    // Characteristics, time, version, number of names: none.
    out.extend([0; 14]);
    out.extend(u16::try_from(entries.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(entries.flat_map(|(id, offset)| [id, offset]).flat_map(u32::to_le_bytes));
}

/// A `.res` file: an empty resource that says what it is, then each with a header.
pub(crate) fn res(resources: &[Resource]) -> Vec<u8> {
    const MOVABLE_PURE: u16 = 0x30;
    const HEADER: u32 = 32;
    let mut out = Vec::new();
    let empty = Resource { kind: 0, bytes: Vec::new() };
    for resource in std::iter::once(&empty).chain(resources) {
        let is_empty = resource.kind == 0;
        let (name, flags, language) = if is_empty { (0, 0, 0) } else { (NAME, MOVABLE_PURE, LANGUAGE) };
        out.extend([number(resource.bytes.len()), HEADER].iter().flat_map(|field| field.to_le_bytes()));
        // A number instead of a text begins with this.
        for id in [resource.kind, name] {
            out.extend(((id << 16) | 0xffff).to_le_bytes());
        }
        out.extend(0_u32.to_le_bytes());
        out.extend(flags.to_le_bytes());
        out.extend(u16::try_from(language).unwrap_or_default().to_le_bytes());
        out.extend([0; 8]);
        out.extend(&resource.bytes);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// Resources are a few thousand bytes.
fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_leads_to_the_bytes() {
        let resources =
            [Resource { kind: 16, bytes: b"version".to_vec() }, Resource { kind: 24, bytes: b"manifest".to_vec() }];
        let (section, places) = section(&resources);
        let read = |at: usize| u32::from_le_bytes(section[at..at + 4].try_into().unwrap());
        for (index, resource) in resources.iter().enumerate() {
            let entry = DIRECTORY + ENTRY * index;
            assert_eq!(read(entry), resource.kind);
            let names = (read(entry + 4) & !SUBDIRECTORY) as usize;
            assert_eq!(read(names + DIRECTORY), NAME);
            let languages = (read(names + DIRECTORY + 4) & !SUBDIRECTORY) as usize;
            assert_eq!(read(languages + DIRECTORY), LANGUAGE);
            let data = read(languages + DIRECTORY + 4) as usize;
            assert_eq!(data, places[index]);
            let (start, length) = (read(data) as usize, read(data + 4) as usize);
            assert_eq!(section[start..start + length], resource.bytes);
        }
    }

    #[test]
    fn an_object_is_as_long_as_it_says() {
        let object = coff(&[Resource { kind: 16, bytes: vec![1; 5] }]);
        let symbols = u32::from_le_bytes(object[8..12].try_into().unwrap()) as usize;
        assert_eq!(object.len(), symbols + 18 + 4);
        assert_eq!(&object[symbols..symbols + 5], b".rsrc");
        assert_eq!(res(&[Resource { kind: 16, bytes: vec![1; 5] }]).len(), 32 + 32 + 8);
    }
}
