//! A planar 4:2:0 picture (BT.709, limited range) and what is drawn on it: colours, tiles, sprites with alpha.

use openh264::formats::YUVSource;

/// Red, green, blue, 0..=1.
pub(super) type Rgb = [f32; 3];

/// `0xrrggbb`.
pub(super) const fn rgb(hex: u32) -> Rgb {
    [(hex >> 16 & 255) as f32 / 255.0, (hex >> 8 & 255) as f32 / 255.0, (hex & 255) as f32 / 255.0]
}

pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * t.clamp(0.0, 1.0))
}

/// Luma, blue and red difference.
pub(super) fn ycbcr(c: Rgb) -> [u8; 3] {
    let y = 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
    let level = |v: f32| v.round().clamp(0.0, 255.0) as u8;
    [level(16.0 + 219.0 * y), level(128.0 + 224.0 * (c[2] - y) / 1.8556), level(128.0 + 224.0 * (c[0] - y) / 1.5748)]
}

/// One plane of samples.
#[derive(Clone)]
pub(super) struct Plane {
    pub width: usize,
    pub samples: Vec<u8>,
}

impl Plane {
    pub fn row(&self, y: usize) -> &[u8] {
        &self.samples[y * self.width..][..self.width]
    }

    pub fn row_mut(&mut self, y: usize) -> &mut [u8] {
        &mut self.samples[y * self.width..][..self.width]
    }

    pub fn height(&self) -> usize {
        self.samples.len() / self.width
    }

    /// Copies `from`, or as much of it as fits, to (x, y).
    pub fn put(&mut self, from: &Plane, x: usize, y: usize) {
        let width = from.width.min(self.width.saturating_sub(x));
        for row in 0..from.height().min(self.height().saturating_sub(y)) {
            self.row_mut(y + row)[x..x + width].copy_from_slice(&from.row(row)[..width]);
        }
    }

    /// Copies whole rows from a plane of the same shape.
    pub fn restore(&mut self, from: &Plane, rows: std::ops::Range<usize>) {
        let range = rows.start * self.width..rows.end.min(self.height()) * self.width;
        self.samples[range.clone()].copy_from_slice(&from.samples[range]);
    }
}

/// Planes Y, Cb, Cr; the last two have half the width and height.
#[derive(Clone)]
pub(super) struct Picture {
    pub planes: [Plane; 3],
}

impl Picture {
    /// Width and height are even.
    pub fn from_rgb(width: usize, height: usize, at: impl Fn(usize, usize) -> Rgb) -> Self {
        let pixels: Vec<Rgb> = (0..width * height).map(|i| at(i % width, i / width)).collect();
        let luma = pixels.iter().map(|&c| ycbcr(c)[0]).collect();
        let chroma = |plane: usize| {
            let mut samples = Vec::with_capacity(width * height / 4);
            for i in 0..width / 2 * (height / 2) {
                let at = i / (width / 2) * 2 * width + i % (width / 2) * 2;
                let sum: u32 =
                    [at, at + 1, at + width, at + width + 1].iter().map(|&p| u32::from(ycbcr(pixels[p])[plane])).sum();
                samples.push(((sum + 2) / 4) as u8);
            }
            Plane { width: width / 2, samples }
        };
        Self { planes: [Plane { width, samples: luma }, chroma(1), chroma(2)] }
    }

    pub fn width(&self) -> usize {
        self.planes[0].width
    }

    pub fn height(&self) -> usize {
        self.planes[0].height()
    }

    /// Copies a tile to (x, y), both even.
    pub fn put(&mut self, tile: &Picture, x: usize, y: usize) {
        for (i, plane) in self.planes.iter_mut().enumerate() {
            let half = usize::from(i > 0);
            plane.put(&tile.planes[i], x >> half, y >> half);
        }
    }

    /// Copies whole rows (even bounds) from a picture of the same size.
    pub fn restore(&mut self, from: &Picture, rows: std::ops::Range<usize>) {
        for (i, plane) in self.planes.iter_mut().enumerate() {
            let half = usize::from(i > 0);
            plane.restore(&from.planes[i], rows.start >> half..rows.end.div_ceil(1 + half));
        }
    }

    /// Blends a sprite in with its left top corner at (x, y), clipped by the edge and by `window` (full size,
    /// 0..=255), if one is given.
    pub fn blend(&mut self, sprite: &Sprite, x: i32, y: i32, strength: f32, window: Option<&Plane>) {
        let strength = (strength.clamp(0.0, 1.0) * 256.0) as i32;
        for (i, plane) in self.planes.iter_mut().enumerate() {
            let half = u32::from(i > 0);
            let (colour, alpha) = (&sprite.colour.planes[i], &sprite.alpha[half as usize]);
            for row in 0..colour.height() {
                let Some(py) = usize::try_from((y >> half) + row as i32).ok().filter(|&py| py < plane.height()) else {
                    continue;
                };
                let clip = window.map(|window| window.row(py << half));
                let target = plane.row_mut(py);
                for (column, (&c, &a)) in colour.row(row).iter().zip(alpha.row(row)).enumerate() {
                    let px = (x >> half) + column as i32;
                    if a == 0 || px < 0 || px as usize >= target.len() {
                        continue;
                    }
                    let open = clip.map_or(255, |clip| i32::from(clip[(px as usize) << half]));
                    let sample = &mut target[px as usize];
                    let weight = i32::from(a) * open / 255 * strength;
                    let mixed = i32::from(*sample) + (i32::from(c) - i32::from(*sample)) * weight / (255 * 256);
                    *sample = mixed as u8;
                }
            }
        }
    }
}

impl YUVSource for Picture {
    fn dimensions(&self) -> (usize, usize) {
        (self.width(), self.height())
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.planes[0].width, self.planes[1].width, self.planes[2].width)
    }

    fn y(&self) -> &[u8] {
        &self.planes[0].samples
    }

    fn u(&self) -> &[u8] {
        &self.planes[1].samples
    }

    fn v(&self) -> &[u8] {
        &self.planes[2].samples
    }
}

/// A picture with alpha, at full size and at the size of the chroma planes.
pub(super) struct Sprite {
    colour: Picture,
    alpha: [Plane; 2],
}

impl Sprite {
    /// Width and height are rounded up to even; `at` gives colour and opacity (0..=1) at a pixel's centre.
    pub fn new(width: usize, height: usize, at: impl Fn(f32, f32) -> (Rgb, f32)) -> Self {
        let (width, height) = (width.next_multiple_of(2), height.next_multiple_of(2));
        let sample = |x: usize, y: usize| at(x as f32 + 0.5, y as f32 + 0.5);
        let level = |a: f32| (a.clamp(0.0, 1.0) * 255.0).round() as u8;
        let full = (0..width * height).map(|i| level(sample(i % width, i / width).1)).collect();
        let (w2, h2) = (width / 2, height / 2);
        let half = (0..w2 * h2).map(|i| level(at((i % w2 * 2 + 1) as f32, (i / w2 * 2 + 1) as f32).1)).collect();
        Self {
            colour: Picture::from_rgb(width, height, |x, y| sample(x, y).0),
            alpha: [Plane { width, samples: full }, Plane { width: w2, samples: half }],
        }
    }
}
