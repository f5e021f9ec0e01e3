//! The bytes of a snapshot: what is in them, in which order, and how damage shows.
//!
//! Form (numbers little endian): `TWGD`, format u32, digest of the plant (32 bytes), number of parts u32, each part as its
//! length u64 and its bytes, BLAKE3 over all of that (32 bytes). There is one way to write a state down: the same state
//! gives the same bytes.
//!
//! The digest at the end is against accidents. It is no signature: whoever can write the bytes can write what a guard
//! believes, so keep them as safe as the journal, or sign them (`twinguard_integrity::seal`).

use twinguard_types::Digest;

use crate::Error;

const MAGIC: [u8; 4] = *b"TWGD";
/// Version of the whole: of the frame and of what its parts hold.
const FORMAT: u32 = 1;
/// Magic, format, plant, number of parts.
const HEAD: usize = 4 + 4 + 32 + 4;
const CHECK: usize = 32;

pub(crate) fn refuse(reason: impl Into<String>) -> Error {
    Error::Snapshot { reason: reason.into() }
}

/// Puts parts into a frame.
pub(crate) fn write(plant: Digest, parts: &[&[u8]]) -> Vec<u8> {
    let len = HEAD + CHECK + parts.iter().map(|part| 8 + part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&plant.0);
    bytes.extend_from_slice(&(parts.len() as u32).to_le_bytes());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    let check = blake3::hash(&bytes);
    bytes.extend_from_slice(check.as_bytes());
    bytes
}

/// The parts of a frame of this plant. They borrow the bytes: nothing is allocated for what a length claims.
pub(crate) fn read<const N: usize>(plant: Digest, bytes: &[u8]) -> Result<[&[u8]; N], Error> {
    let early = || refuse("it ends too early");
    let (magic, rest) = bytes.split_first_chunk::<4>().ok_or_else(early)?;
    if *magic != MAGIC {
        return Err(refuse("it is not a guard's"));
    }
    let (format, rest) = rest.split_first_chunk::<4>().ok_or_else(early)?;
    let format = u32::from_le_bytes(*format);
    if format != FORMAT {
        return Err(refuse(format!("it has format {format}, this version reads format {FORMAT}")));
    }
    let (of, rest) = rest.split_first_chunk::<32>().ok_or_else(early)?;
    let (framed, check) = bytes.split_last_chunk::<CHECK>().ok_or_else(early)?;
    if blake3::hash(framed).as_bytes() != check {
        return Err(refuse("its bytes are damaged, or it ends too early"));
    }
    if *of != plant.0 {
        return Err(refuse(format!("it is of the plant with digest {}, not of {plant}", Digest(*of))));
    }
    let (count, mut rest) = rest.split_first_chunk::<4>().ok_or_else(early)?;
    if u32::from_le_bytes(*count) as usize != N {
        return Err(refuse("it has another number of parts"));
    }
    let mut parts = [[].as_slice(); N];
    for part in &mut parts {
        let (len, after) = rest.split_first_chunk::<8>().ok_or_else(early)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
        (*part, rest) = after.split_at_checked(len).ok_or_else(early)?;
    }
    if rest.len() == CHECK { Ok(parts) } else { Err(refuse("it goes on after its end")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_of_format_1_stands() {
        let bytes = write(Digest([0xab; 32]), &[b"one", b""]);
        let mut golden = b"TWGD\x01\0\0\0".to_vec();
        golden.extend([0xab; 32]);
        golden.extend(b"\x02\0\0\0\x03\0\0\0\0\0\0\0one\0\0\0\0\0\0\0\0");
        golden.extend(blake3::hash(&golden).as_bytes());
        assert_eq!(bytes, golden);
        assert_eq!(read::<2>(Digest([0xab; 32]), &golden).unwrap(), [b"one".as_slice(), b""]);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let plant = Digest([7; 32]);
        let bytes = write(plant, &[b"state", b"twin"]);
        for place in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            assert!(read::<2>(plant, &flipped).is_err(), "bit {place}");
        }
        for cut in 0..bytes.len() {
            assert!(read::<2>(plant, &bytes[..cut]).is_err(), "cut at {cut}");
        }
        let refused = |plant, bytes: &[u8]| read::<2>(plant, bytes).unwrap_err().to_string();
        assert!(refused(Digest([8; 32]), &bytes).contains("it is of the plant with digest 07"));
        let mut newer = bytes.clone();
        newer[4] = 9;
        assert!(refused(plant, &newer).contains("it has format 9, this version reads format 1"));
        assert!(refused(plant, b"TWINxxxx").contains("it is not a guard's"));
    }

    #[test]
    fn a_length_beyond_the_end_costs_nothing() {
        let mut bytes = write(Digest::default(), &[b"x"]);
        bytes.truncate(bytes.len() - CHECK);
        bytes[HEAD..HEAD + 8].fill(0xff);
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(check.as_bytes());
        assert!(read::<1>(Digest::default(), &bytes).is_err());
    }
}
