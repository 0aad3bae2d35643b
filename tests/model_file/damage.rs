//! A model file that is cut anywhere or has a flipped bit anywhere is refused.

use std::fs;

use crate::support::model_file::{ENTRY, HEADER, Mmix, get_u32, small_file, small_models};
use dmran::scorer::{Model, ModelFileError};

#[test]
fn a_file_cut_at_every_byte_is_refused() {
    for file in small_models().map(|model| model.to_bytes()) {
        cut_at_every_byte(&file);
    }
}

fn cut_at_every_byte(file: &[u8]) {
    for length in 0..file.len() {
        let error = Model::from_bytes(&file[..length]).expect_err("a cut file");
        let expected = match length {
            0 => matches!(error, ModelFileError::Empty),
            1..HEADER => {
                matches!(error, ModelFileError::TooShort { length: l } if l == length as u64)
            }
            _ => matches!(
                error,
                ModelFileError::Truncated { expected, found }
                    if expected == file.len() as u64 && found == length as u64
            ),
        };
        assert!(expected, "cut at {length}: {error:?}");
    }
}

/// The same through the file system, and through a memory map where it is there.
#[test]
fn a_cut_file_on_disk_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let file = small_file();
    for length in [0, 1, 7, 8, 63, 64, 65, 3000, file.len() - 64, file.len() - 1] {
        fs::write(&path, &file[..length]).unwrap();
        let check = |loaded: Result<Model, ModelFileError>| {
            let error = loaded.expect_err("a cut file");
            let expected = match length {
                0 => matches!(error, ModelFileError::Empty),
                1..HEADER => matches!(error, ModelFileError::TooShort { .. }),
                _ => matches!(error, ModelFileError::Truncated { .. }),
            };
            assert!(expected, "cut at {length}: {error:?}");
        };
        check(Model::load(&path));
        #[cfg(feature = "mmap")]
        check(Model::map(&path));
    }
}

#[test]
fn every_flipped_bit_of_header_and_index_is_refused() {
    small_models().for_each(|model| flip_every_bit(&model));
}

fn flip_every_bit(model: &Model) {
    let mut file = model.to_bytes();
    let end = HEADER + ENTRY * get_u32(&file, 24) as usize;
    for at in 0..end {
        for bit in 0..8 {
            file[at] ^= 1 << bit;
            let error = Model::from_bytes(&file).expect_err("a flipped bit");
            let named = match at {
                0..8 => matches!(error, ModelFileError::NotAModel { .. }),
                8..12 => matches!(error, ModelFileError::ByteOrder { .. }),
                12..16 => matches!(error, ModelFileError::Version { .. }),
                16..HEADER => matches!(error, ModelFileError::HeaderChecksum { .. }),
                _ => matches!(error, ModelFileError::IndexChecksum { .. }),
            };
            assert!(named, "byte {at} bit {bit}: {error:?}");
            file[at] ^= 1 << bit;
        }
    }
    assert_eq!(&Model::from_bytes(&file).unwrap(), model, "all bits are back");
}

#[test]
fn a_hundred_thousand_flipped_bits_of_the_sections_are_refused() {
    small_models().for_each(|model| flip_bits_of_sections(model.to_bytes()));
}

fn flip_bits_of_sections(mut file: Vec<u8>) {
    let start = HEADER + ENTRY * get_u32(&file, 24) as usize;
    let mut random = Mmix(20_261_123);
    let mut padding = 0;
    for round in 0..33_334 {
        let at = start + random.below(file.len() - start);
        let bit = random.below(8);
        file[at] ^= 1 << bit;
        match Model::from_bytes(&file) {
            Err(ModelFileError::SectionChecksum { .. }) => {}
            Err(ModelFileError::Padding { .. }) => padding += 1,
            other => panic!("round {round}, byte {at}, bit {bit}: {other:?}"),
        }
        file[at] ^= 1 << bit;
    }
    assert!(padding > 0 && padding < 33_334, "both kinds of bytes were hit");
}
