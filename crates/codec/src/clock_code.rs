//! The machine-readable clock in the picture: a row of black and white cells along the top edge that spells the
//! capture time, so that a test can read the delay off any picture, at any scale, after any codec.
//!
//! ```text
//! |<---------------------------- picture width = 64 equal cells ----------------------------->|
//! | 1 0 1 0 |  48 bits: unix milliseconds, most significant first  | 8 bits: CRC | 1 1 0 0    |
//! | finder  |  cells 4..52                                         | cells 52..60| finder     |
//! ```
//! The strip is 1/36 of the picture's height. White is luma 235, black 16, chroma neutral. The CRC is CRC-8 (polynomial
//! 0x07, initial value 0xff, no reflection, no final xor) of the six time bytes. `docs/design/time.md` has the whole text;
//! the browser's reader is `crates/lab/assets/read-clock.js`.

/// Cells in the row; a cell is 1/64 of the picture's width.
pub const CELLS: usize = 64;
/// The strip's height is the picture's height divided by this.
pub const STRIP_DIVISOR: usize = 36;

const HEAD: [bool; 4] = [true, false, true, false];
const TAIL: [bool; 4] = [true, true, false, false];
const WHITE: u8 = 235;
const BLACK: u8 = 16;
/// The least luma difference between the white and the black finder cells that counts as a code.
const MIN_CONTRAST: i32 = 64;

/// The cells for a time in unix milliseconds (its low 48 bits): `true` is white.
pub fn cells(unix_ms: u64) -> [bool; CELLS] {
    let mut cells = [false; CELLS];
    cells[..4].copy_from_slice(&HEAD);
    for (i, cell) in cells[4..52].iter_mut().enumerate() {
        *cell = unix_ms >> (47 - i) & 1 == 1;
    }
    let crc = crc8(&unix_ms.to_be_bytes()[2..]);
    for (i, cell) in cells[52..60].iter_mut().enumerate() {
        *cell = crc >> (7 - i) & 1 == 1;
    }
    cells[60..].copy_from_slice(&TAIL);
    cells
}

/// Draws the code into a luma plane of `stride` bytes a row. The chroma under it must be neutral (128).
pub fn draw(luma: &mut [u8], stride: usize, width: usize, height: usize, unix_ms: u64) {
    let Some(first) = luma.get_mut(..width) else {
        return;
    };
    for (i, white) in cells(unix_ms).into_iter().enumerate() {
        first[i * width / CELLS..(i + 1) * width / CELLS].fill(if white { WHITE } else { BLACK });
    }
    let first = first.to_vec();
    for row in luma.chunks_mut(stride).take(height / STRIP_DIVISOR).skip(1) {
        row[..width].copy_from_slice(&first);
    }
}

/// Reads the code from a luma plane: unix milliseconds, or `None` when there is none or it cannot be trusted (low
/// contrast, a finder that does not fit, a cell between black and white, a wrong CRC).
pub fn read(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<u64> {
    let strip = height / STRIP_DIVISOR;
    if width < CELLS || strip == 0 || luma.len() < (strip - 1) * stride + width || stride < width {
        return None;
    }
    // The middle two fifths of each cell, so that neighbours do not bleed in after scaling.
    let rows = strip * 3 / 10..(strip * 7).div_ceil(10);
    let mut level = [0i32; CELLS];
    for (i, level) in level.iter_mut().enumerate() {
        let columns = (i * 10 + 3) * width / (CELLS * 10)..((i * 10 + 7) * width).div_ceil(CELLS * 10);
        let samples = rows.clone().flat_map(|y| luma[y * stride..][columns.clone()].iter());
        let count = rows.len() * columns.len();
        *level = samples.map(|&v| i32::from(v)).sum::<i32>() / i32::try_from(count).ok()?;
    }
    decode(&level)
}

fn decode(level: &[i32; CELLS]) -> Option<u64> {
    let finder = |white: bool| {
        let cells = HEAD.iter().zip(&level[..4]).chain(TAIL.iter().zip(&level[60..]));
        cells.filter(|(cell, _)| **cell == white).map(|(_, level)| level).sum::<i32>() / 4
    };
    let (black, white) = (finder(false), finder(true));
    let contrast = white - black;
    if contrast < MIN_CONTRAST {
        return None;
    }
    let mut bits = [false; CELLS];
    for (bit, level) in bits.iter_mut().zip(level) {
        let percent = (level - black) * 100 / contrast;
        if (35..=65).contains(&percent) {
            return None;
        }
        *bit = percent > 50;
    }
    if bits[..4] != HEAD || bits[60..] != TAIL {
        return None;
    }
    let number = |bits: &[bool]| bits.iter().fold(0u64, |n, &bit| n << 1 | u64::from(bit));
    let unix_ms = number(&bits[4..52]);
    (u64::from(crc8(&unix_ms.to_be_bytes()[2..])) == number(&bits[52..60])).then_some(unix_ms)
}

fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0xff, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| if crc & 0x80 == 0 { crc << 1 } else { crc << 1 ^ 0x07 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drawn_time_is_read_back_at_odd_sizes() {
        for (width, height) in [(1280, 720), (854, 480), (640, 360), (426, 240), (320, 180), (1921, 1081)] {
            let mut luma = vec![60; width * height];
            for unix_ms in [0, 1, 1_795_255_000_123, (1 << 48) - 1] {
                draw(&mut luma, width, width, height, unix_ms);
                assert_eq!(read(&luma, width, width, height), Some(unix_ms), "{width}x{height}");
            }
        }
    }

    #[test]
    fn one_flipped_cell_is_refused() {
        let (width, height) = (640, 360);
        for cell in 0..CELLS {
            let mut luma = vec![60; width * height];
            draw(&mut luma, width, width, height, 1_795_255_000_123);
            for row in luma.chunks_mut(width).take(height / STRIP_DIVISOR) {
                for v in &mut row[cell * 10..(cell + 1) * 10] {
                    *v = BLACK + WHITE - *v;
                }
            }
            assert_eq!(read(&luma, width, width, height), None, "cell {cell}");
        }
    }

    #[test]
    fn pictures_without_a_code_are_none() {
        assert_eq!(read(&[128; 640 * 360], 640, 640, 360), None);
        assert_eq!(read(&[], 0, 0, 0), None);
        assert_eq!(read(&[0; 100], 640, 640, 360), None);
        let noise: Vec<u8> = (0..640 * 360u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_eq!(read(&noise, 640, 640, 360), None);
    }
}
