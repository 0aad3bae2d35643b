//! Files that are no model, and models whose header or index was made to be wrong: each broken rule is refused with its
//! own error. Checksums are repaired after the damage, so that they do not hide the rule.

use std::fs;
use std::path::PathBuf;

use crate::support::model_file::{
    DIM_0, DIM_1, ENTRY, LENGTH, OFFSET, assert_error, entry, get_u32, get_u64, put, refused, refused_entry, section,
    settings_field, small_file, start,
};
use dmran::scorer::ModelFileError as E;
use dmran::scorer::{Model, repair_checksums};

fn load(content: &[u8]) -> E {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    fs::write(&path, content).unwrap();
    Model::load(&path).expect_err("the file should be refused")
}

#[test]
fn repairing_an_undamaged_file_changes_nothing() {
    let mut file = small_file();
    repair_checksums(&mut file);
    assert_eq!(file, small_file());
    // And it does not stumble over anything that is not a model.
    for length in [0, 1, 63, 64, 65, 127, 128, 200] {
        repair_checksums(&mut vec![0xff; length]);
    }
}

// What is no model at all.

#[test]
fn an_empty_file() {
    assert_error!(load(b""), E::Empty);
    assert_error!(Model::from_bytes(b"").unwrap_err(), E::Empty);
}

#[test]
fn an_html_page() {
    let error = load(b"\n<!DOCTYPE html><html><body>404 Not Found</body></html>");
    assert_eq!(error.to_string(), "not a model: the file looks like an HTML or XML page");
    assert_error!(error, E::NotAModel { looks_like: Some(_) });
}

#[test]
fn a_gzip() {
    let mut gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec();
    gzip.extend(small_file());
    let error = load(&gzip);
    assert_eq!(error.to_string(), "not a model: the file looks like gzip; unpack it first");
    assert_error!(error, E::NotAModel { looks_like: Some(_) });
}

#[test]
fn a_model_after_a_text_mode_transfer() {
    let file = small_file();
    let mut damaged = b"\x89DMRAN\n".to_vec();
    damaged.extend(&file[8..]);
    assert_error!(load(&damaged), E::NotAModel { looks_like: Some(_) });
}

#[test]
fn random_bytes() {
    let error = Model::from_bytes(&[0xa5; 1000]).unwrap_err();
    assert_error!(error, E::NotAModel { looks_like: None });
}

#[test]
fn a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let error = Model::load(folder.path()).unwrap_err();
    assert_error!(error, E::NotAFile { found: "a folder", .. });
}

#[cfg(unix)]
#[test]
fn a_named_pipe_does_not_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.is_ok_and(|status| status.success()), "mkfifo");
    let error = Model::load(&path).unwrap_err();
    assert_error!(error, E::NotAFile { found: "a named pipe", .. });
    #[cfg(feature = "mmap")]
    assert_error!(Model::map(&path).unwrap_err(), E::NotAFile { found: "a named pipe", .. });
}

#[cfg(unix)]
#[test]
fn a_device() {
    let error = Model::load("/dev/zero").unwrap_err();
    assert_error!(error, E::NotAFile { found: "a device", .. });
}

#[test]
fn a_path_to_nothing() {
    let error = Model::load(PathBuf::from("no/such/model")).unwrap_err();
    assert_error!(error, E::Io { action: "open", .. });
}

// The header.

#[test]
fn a_newer_version() {
    let error = refused(|file| file[12] = 3);
    assert_eq!(error.to_string(), "the model has version 3, newer than version 2, the newest that this program reads");
    assert_error!(error, E::Version { found: 3 });
    assert_error!(refused(|file| file[12] = 0), E::Version { found: 0 });
    // Of version 2, but with tables as in version 1.
    assert_error!(refused(|file| file[12] = 2), E::SectionName { expected: "V.bf16", .. });
}

#[test]
fn another_byte_order() {
    let error = refused(|file| file[8..12].reverse());
    assert_error!(error, E::ByteOrder { found: [1, 2, 3, 4] });
}

#[test]
fn another_kind_of_model() {
    let error = refused(|file| put(file, 40, b"bpr-mf"));
    assert_error!(error, E::Kind { found } if found == "bpr-mf");
}

#[test]
fn reserved_bytes_in_use() {
    assert_error!(refused(|file| file[28] = 1), E::Reserved);
}

#[test]
fn trailing_bytes() {
    let length = small_file().len() as u64;
    for extra in [1, 64, 1000] {
        let error = refused(|file| file.extend(vec![0; extra as usize]));
        assert_error!(
            error,
            E::TrailingBytes { expected, found } if expected == length && found == length + extra
        );
    }
}

#[test]
fn a_header_that_promises_more_than_there_is() {
    for promised in [1 << 20, 1 << 40, u64::MAX] {
        let error = refused(|file| put(file, 16, &promised.to_le_bytes()));
        assert_error!(error, E::Truncated { expected, .. } if expected == promised);
    }
}

#[test]
fn no_section_and_too_many() {
    for count in [0, 97, u32::MAX] {
        let error = refused(|file| put(file, 24, &count.to_le_bytes()));
        assert_error!(error, E::SectionCount { found, limit: 96 } if found == count);
    }
    // Two sections do not fit into what is left of 128 bytes.
    let mut tiny = small_file()[..128].to_vec();
    put(&mut tiny, 16, &128_u64.to_le_bytes());
    put(&mut tiny, 24, &2_u32.to_le_bytes());
    repair_checksums(&mut tiny);
    let error = Model::from_bytes(&tiny).unwrap_err();
    assert_error!(error, E::SectionCount { found: 2, limit: 1 });
}

// Where the sections lie.

#[test]
fn an_unaligned_section() {
    let error = refused_entry("card", OFFSET, |offset| offset + 4);
    assert_error!(error, E::Unaligned { section: 4, .. });
}

#[test]
fn overlapping_sections() {
    let error = refused_entry("W_s1", OFFSET, |offset| offset - 64);
    assert_error!(error, E::Overlap { offset, expected, .. } if expected == offset + 64);
    let error = refused_entry("settings", OFFSET, |_| 0);
    assert_error!(error, E::Overlap { section: 0, offset: 0, .. });
    // A section that reaches into the next.
    let error = refused_entry("W_s1", LENGTH, |length| length + 64);
    assert_error!(error, E::Overlap { .. });
}

#[test]
fn a_gap_between_sections() {
    let error = refused_entry("W_s1", OFFSET, |offset| offset + 64);
    assert_error!(error, E::Gap { offset, expected, .. } if offset == expected + 64);
}

#[test]
fn a_section_beyond_the_end() {
    let error = refused_entry("hhat.ln2.b", LENGTH, |length| length + 64);
    assert_error!(error, E::BeyondEnd { .. });
    for length in [u64::MAX, u64::MAX - 63, 1 << 63, 1 << 32] {
        assert_error!(refused_entry("V", LENGTH, |_| length), E::BeyondEnd { length: l, .. } if l == length);
    }
    let error = refused_entry("V", OFFSET, |_| u64::MAX - 63);
    assert_error!(error, E::BeyondEnd { .. });
}

#[test]
fn bytes_after_the_last_section() {
    let error = refused(|file| {
        file.extend([0; 64]);
        let length = file.len() as u64;
        put(file, 16, &length.to_le_bytes());
    });
    assert_error!(error, E::Unclaimed { end, file } if file == end + 64);
}

#[test]
fn padding_in_use() {
    let error = refused(|file| {
        let at = start(file, "card") - 1;
        file[at] = 1;
    });
    assert_error!(error, E::Padding { section: "item_category" });
    let error = refused(|file| *file.last_mut().unwrap() = 1);
    assert_error!(error, E::Padding { section: "hhat.ln2.b" });
}

// Which sections there are.

#[test]
fn sections_in_another_order() {
    let error = refused(|file| {
        // Both have the same shape: only the names tell them apart.
        let (a, b) = (entry(section(file, "W_s3")), entry(section(file, "W_s4")));
        for i in 0..24 {
            file.swap(a + i, b + i);
        }
    });
    assert_error!(error, E::SectionName { expected: "W_s3", found, .. } if found == "W_s4");
    let error = refused(|file| put(file, entry(0), b"sittings"));
    assert_error!(error, E::SectionName { section: 0, expected: "settings", .. });
}

#[test]
fn a_missing_and_an_extra_section() {
    // One section less: the last entry becomes the first 64 bytes of payload, which must not be a hole.
    let cut = |change: fn(&mut [u8])| {
        refused(move |file| {
            let count = get_u32(file, 24);
            let last = entry(count as usize - 1);
            let length = get_u64(file, last + LENGTH).next_multiple_of(64) as usize;
            file.truncate(file.len() - length);
            file.drain(last..last + ENTRY);
            put(file, 24, &(count - 1).to_le_bytes());
            for i in 0..count as usize - 1 {
                let at = entry(i) + OFFSET;
                let moved = get_u64(file, at) - ENTRY as u64;
                put(file, at, &moved.to_le_bytes());
            }
            let length = file.len() as u64;
            put(file, 16, &length.to_le_bytes());
            change(file);
        })
    };
    assert_error!(cut(|_| {}), E::SectionName { expected: "hhat.ln2.b", found, .. } if found == "nothing");
    // Without time the settings demand fewer tensors: T is one too many at its place.
    let error = settings_field(4, 2);
    assert_error!(error, E::SectionName { expected: "W_v", found, .. } if found == "T");
    // Head `mean` needs no tensors of its own, so the first one of the head is too many.
    let error = settings_field(7, 2);
    assert_error!(error, E::SectionName { expected: "nothing", found, .. } if found == "h.W_q");
}

#[test]
fn dimensions_that_the_settings_do_not_demand() {
    let error = refused_entry("W_s2", DIM_0, |_| 2);
    assert_error!(error, E::SectionShape { section: "W_s2", ref expected, ref found } if *expected == [3, 4] && *found == [2, 4]);
    for huge in [0, u64::MAX, 1 << 62, 1 << 32] {
        assert_error!(refused_entry("V", DIM_0, |_| huge), E::SectionShape { section: "V", .. });
        assert_error!(refused_entry("b_d", DIM_1, |_| huge | 1), E::SectionShape { section: "b_d", .. });
    }
}

#[test]
fn a_length_that_the_dimensions_do_not_take() {
    let error = refused_entry("b_d", LENGTH, |length| length + 4);
    assert_error!(error, E::SectionLength { section: "b_d", expected: 16, found: 20 });
    let error = refused_entry("settings", LENGTH, |_| 60);
    assert_error!(error, E::SectionLength { section: "settings", expected: 64, found: 60 });
}
