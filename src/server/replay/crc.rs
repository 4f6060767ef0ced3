//! CRC-32, the checksum of Ethernet and gzip (RFC 1952 §8): it notices every change of up to four
//! bytes in a row. What is checked, and why, is not known here.

/// The polynomial, its lowest power in the highest bit.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What eight bits do to a remainder, and what they do with so many more bytes behind them: eight
/// bytes are then taken in at once.
const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut number: u32 = 0;
    while number < 256 {
        let mut remainder = number;
        let mut bit = 0;
        while bit < 8 {
            let carry = if remainder & 1 == 1 { POLYNOMIAL } else { 0 };
            remainder = remainder >> 1 ^ carry;
            bit += 1;
        }
        tables[0][number as usize] = remainder;
        number += 1;
    }
    let mut row = 1;
    while row < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[row - 1][byte];
            tables[row][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        row += 1;
    }
    tables
}

/// A checksum that is being worked out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crc(u32);

impl Default for Crc {
    fn default() -> Self {
        Crc(!0)
    }
}

impl Crc {
    /// That of `bytes`.
    pub(super) fn of(bytes: &[u8]) -> u32 {
        Crc::default().and(bytes).sum()
    }

    /// Takes in `bytes`, behind all that came before.
    #[must_use]
    pub(super) fn and(self, bytes: &[u8]) -> Crc {
        let Crc(mut remainder) = self;
        let (eights, rest) = bytes.as_chunks::<8>();
        for &eight in eights {
            let [low, high] = [[0, 1, 2, 3], [4, 5, 6, 7]].map(|at| at.map(|at| eight[at]));
            let low = (u32::from_le_bytes(low) ^ remainder).to_le_bytes();
            let both = low.into_iter().chain(high);
            remainder = both
                .zip(TABLES.iter().rev())
                .fold(0, |sum, (byte, table)| sum ^ table[usize::from(byte)]);
        }
        for &byte in rest {
            let [lowest, ..] = remainder.to_le_bytes();
            remainder = remainder >> 8 ^ TABLES[0][usize::from(lowest ^ byte)];
        }
        Crc(remainder)
    }

    /// The checksum of all that was taken in.
    pub(super) fn sum(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_that_others_work_out() {
        // The check value of CRC-32/ISO-HDLC, and what `gzip -lv` says of the others.
        assert_eq!(Crc::of(b"123456789"), 0xcbf4_3926);
        assert_eq!(Crc::of(b""), 0);
        assert_eq!(Crc::of(b"a"), 0xe8b7_be43);
        assert_eq!(Crc::of(b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }

    #[test]
    fn it_does_not_matter_where_the_bytes_are_cut() {
        let bytes: Vec<u8> = (0..100).collect();
        let whole = Crc::of(&bytes);
        for at in 0..=bytes.len() {
            let (front, back) = bytes.split_at(at);
            assert_eq!(Crc::default().and(front).and(back).sum(), whole);
        }
    }
}
