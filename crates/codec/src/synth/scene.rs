//! The moving picture: sea, boat and lighthouse outside the window, the walking light on the sill, the clock, and the cells
//! that a machine reads. Each frame is drawn over the last one; only what moves is touched.

use std::f32::consts::TAU;
use std::ops::Range;

use super::backdrop::{self, AMBER, HORIZON, LAMP, NIGHT, PAPER, SILL, Sheet};
use super::glyphs::{self, Type};
use super::picture::{Picture, Plane, Rgb, Sprite, mix, rgb};
use crate::clock_code;

/// Units of the sheet.
const CLOCK_HEIGHT: f32 = 84.0;
const CLOCK_MIDDLE: f32 = 602.0;
const CAPTION_TOP: f32 = 664.0;
const BEAM: (f32, f32) = (460.0, 170.0);
const BOAT: (f32, f32) = (76.0, 84.0);
/// The boat crosses once in this time.
const CROSSING_S: f64 = 30.0;
/// How far a row of the sea may be shifted, in pixels at 720p.
const SWELL: f32 = 7.0;
const STARS: u32 = 26;

pub(super) struct Scene {
    sheet: Sheet,
    still: Picture,
    frame: Picture,
    window: Plane,
    /// Wholly open spans of each row of the window, for luma and for chroma.
    spans: [Vec<Vec<Range<usize>>>; 2],
    sea: Picture,
    beam: Sprite,
    boat: Sprite,
    light: Sprite,
    digits: Vec<(char, Picture)>,
    day: u64,
}

impl Scene {
    /// Width and height are even.
    pub fn new(width: usize, height: usize) -> Self {
        let sheet = Sheet::new(width, height);
        let still = backdrop::paint(sheet, width, height);
        let window = backdrop::window(sheet, width, height);
        let margin = sea_margin(sheet);
        let sea = Picture::from_rgb(width + 2 * margin, height, |x, y| {
            let (ux, uy) = sheet.unit(x, y);
            backdrop::sea(ux - margin as f32 / sheet.scale, uy)
        });
        let k = sheet.scale;
        let style = clock_type(k);
        let digits = "0123456789:.".chars().map(|c| (c, digit(c, style))).collect();
        Self {
            spans: [spans(&window, 1), spans(&window, 2)],
            frame: still.clone(),
            beam: Sprite::new((BEAM.0 * 2.0 * k) as usize, (BEAM.1 * k) as usize, |x, y| beam(x / k, y / k)),
            boat: Sprite::new((BOAT.0 * k) as usize, (BOAT.1 * k) as usize, |x, y| boat(x / k, y / k, k)),
            light: Sprite::new((120.0 * k) as usize, (30.0 * k) as usize, |x, y| walking_light(x / k, y / k)),
            sheet,
            still,
            window,
            sea,
            digits,
            day: u64::MAX,
        }
    }

    /// The picture at a wall time.
    pub fn draw(&mut self, unix_us: u64) -> &Picture {
        let second = (unix_us % 1_000_000) as f32 / 1e6;
        let seconds = (unix_us % 3_600_000_000) as f64 / 1e6;
        self.outside(seconds, second, unix_us / 1_000_000);
        self.sill(second);
        self.clock(unix_us / 1000);
        self.code(unix_us / 1000);
        &self.frame
    }

    fn outside(&mut self, seconds: f64, second: f32, unix_s: u64) {
        // Down to the boat's keel: the soft edges of the panes are outside the sea's spans.
        let rows = self.sheet.row(LAMP.1 - BEAM.1 / 2.0)..self.sheet.row(HORIZON + BOAT.1);
        self.frame.restore(&self.still, rows);
        self.stars(seconds as f32);
        self.waves(seconds as f32);
        let along = (seconds / CROSSING_S).fract() as f32;
        let (x, y) = self.sheet.place(240.0 + along * 800.0, HORIZON - 38.0 + 3.0 * (seconds as f32 * 1.9).sin());
        self.frame.blend(
            &self.boat,
            x as i32 - (BOAT.0 * self.sheet.scale) as i32 / 2,
            y as i32,
            1.0,
            Some(&self.window),
        );
        // The lamp flashes with the tick in the sound; longer with the higher one.
        let fade = if unix_s.is_multiple_of(10) { 0.34 } else { 0.20 };
        let (x, y) = self.sheet.place(LAMP.0 - BEAM.0, LAMP.1 - BEAM.1 / 2.0);
        let strength = 0.14 + 0.86 * (-second / fade).exp();
        self.frame.blend(&self.beam, x as i32 & !1, y as i32 & !1, strength, Some(&self.window));
    }

    fn waves(&mut self, seconds: f32) {
        let margin = sea_margin(self.sheet) as f32;
        for (i, plane) in self.frame.planes.iter_mut().enumerate() {
            let half = usize::from(i > 0);
            for y in self.sheet.row(HORIZON) >> half..plane.height() {
                let depth = (self.sheet.unit(0, y << half).1 - HORIZON) / 180.0;
                let phase = seconds / 4.6 - depth * 5.0 + 0.4 * (seconds * 0.7 + depth * 23.0).sin();
                let shift = margin * (1.0 + depth.clamp(0.1, 1.0) * (phase * TAU).sin());
                let from = self.sea.planes[i].row(y);
                let start = shift as usize >> half;
                for span in &self.spans[half][y] {
                    let source = &from[start + span.start..start + span.end];
                    plane.samples[y * plane.width..][span.clone()].copy_from_slice(source);
                }
            }
        }
    }

    fn stars(&mut self, seconds: f32) {
        for i in 0..STARS {
            let (x, y) = self.sheet.place(290.0 + scatter(2 * i) * 700.0, 84.0 + scatter(2 * i + 1) * 120.0);
            let (x, y) = (x as usize, y as usize);
            let inside = x < self.window.width && y < self.window.height() && self.window.row(y)[x] == 255;
            let glow = 0.55 + 0.45 * (seconds * 1.3 + i as f32 * 2.1).sin();
            let still = self.still.planes[0].row(y.min(self.window.height() - 1));
            if inside {
                self.frame.planes[0].row_mut(y)[x] = still[x].saturating_add((glow * 90.0) as u8);
            }
        }
    }

    /// The light leaves the left end of the sill at each full second and reaches the right end with the next.
    fn sill(&mut self, second: f32) {
        let rows = self.sheet.row(SILL.2 - 18.0)..self.sheet.row(SILL.2 + 18.0);
        self.frame.restore(&self.still, rows);
        let (x, y) = self.sheet.place(SILL.0 + (SILL.1 - SILL.0) * second - 100.0, SILL.2 - 15.0);
        self.frame.blend(&self.light, x as i32, y as i32, 1.0, None);
    }

    fn clock(&mut self, unix_ms: u64) {
        let day = unix_ms / 86_400_000;
        let k = self.sheet.scale;
        if day != self.day {
            self.day = day;
            let caption = backdrop::caption(&date(day), k);
            let (x, y) = self.sheet.place(640.0 - caption.width() as f32 / k / 2.0, CAPTION_TOP);
            self.put(&caption, x, y);
        }
        let text = time_of_day(unix_ms);
        let width: usize = text.chars().map(|c| self.digit(c).width()).sum();
        let (mut x, y) = self.sheet.place(640.0 - width as f32 / k / 2.0, CLOCK_MIDDLE);
        for c in text.chars() {
            let Some(at) = self.digits.iter().position(|(known, _)| *known == c) else { continue };
            let tile = &self.digits[at].1;
            let top = y - tile.height() as f32 / 2.0;
            self.frame.put(tile, x as usize & !1, top as usize & !1);
            x += tile.width() as f32;
        }
    }

    fn digit(&self, c: char) -> &Picture {
        &self.digits.iter().find(|(known, _)| *known == c).unwrap_or(&self.digits[0]).1
    }

    fn put(&mut self, tile: &Picture, x: f32, y: f32) {
        let (x, y) = (x.max(0.0) as usize & !1, y.max(0.0) as usize & !1);
        self.frame.put(tile, x, y);
        self.still.put(tile, x, y);
    }

    fn code(&mut self, unix_ms: u64) {
        let (width, height) = (self.frame.width(), self.frame.height());
        let [luma, chroma @ ..] = &mut self.frame.planes;
        clock_code::draw(&mut luma.samples, width, width, height, unix_ms);
        for plane in chroma {
            let strip = (height / clock_code::STRIP_DIVISOR).div_ceil(2) * plane.width;
            plane.samples[..strip].fill(128);
        }
    }
}

fn sea_margin(sheet: Sheet) -> usize {
    ((SWELL * sheet.scale) as usize + 1).next_multiple_of(2)
}

/// For each row (of the plane that has one sample for `step` pixels): the spans that are wholly open.
fn spans(window: &Plane, step: usize) -> Vec<Vec<Range<usize>>> {
    let rows = (0..window.height() / step).map(|y| {
        let open = |x: usize| {
            window.row(y * step)[x * step] == 255 && window.row(y * step + step - 1)[x * step + step - 1] == 255
        };
        let mut spans: Vec<Range<usize>> = Vec::new();
        for x in (0..window.width / step).filter(|&x| open(x)) {
            match spans.last_mut() {
                Some(span) if span.end == x => span.end += 1,
                _ => spans.push(x..x + 1),
            }
        }
        spans
    });
    rows.collect()
}

fn clock_type(scale: f32) -> Type {
    Type { height: CLOCK_HEIGHT * scale, pen: 4.6 * scale, gap: 13.0 * scale }
}

/// A digit on the room's flat dark, in a tile of even size.
fn digit(c: char, style: Type) -> Picture {
    let width = (glyphs::advance(c, style).round() as usize).next_multiple_of(2);
    let height = ((style.height * 1.16) as usize).next_multiple_of(2);
    let mask = glyphs::render(c, style, width, height);
    let ink = if c.is_ascii_digit() { PAPER } else { AMBER };
    Picture::from_rgb(width, height, |x, y| mix(NIGHT, ink, mask.coverage[y * width + x]))
}

/// The lamp in the middle, its light to both sides.
fn beam(x: f32, y: f32) -> (Rgb, f32) {
    let (dx, dy) = ((x - BEAM.0).abs(), (y - BEAM.1 / 2.0).abs());
    let lamp = (-dx.hypot(dy) / 9.0).exp() + 0.45 * (-dx.hypot(dy) / 30.0).exp();
    let spread = 2.5 + dx * 0.10;
    let cone = (-(dy / spread).powi(2)).exp() * (-dx / 190.0).exp() * 0.5;
    // The sprite's edge must not show.
    let edge = ((BEAM.1 / 2.0 - dy) / 24.0).clamp(0.0, 1.0) * ((BEAM.0 - dx) / 60.0).clamp(0.0, 1.0);
    (rgb(0xffe7bd), (lamp + cone) * edge)
}

fn boat(x: f32, y: f32, scale: f32) -> (Rgb, f32) {
    let cover = |d: f32| (0.5 + d * scale).clamp(0.0, 1.0);
    let waterline = 72.0;
    let hull =
        (waterline - y).min(y - 60.0).min((waterline - y) * 1.3 + 26.0 - (x - 38.0).abs() - (waterline - 60.0) * 0.55);
    let main = (58.0 - y).min(x - 40.0).min((y - 4.0) * 0.46 - (x - 40.0));
    let jib = (56.0 - y).min(37.0 - x).min((y - 14.0) * 0.52 - (37.0 - x));
    let mast = 1.2 - (x - 38.5).abs() + (y - 2.0).min(60.0 - y).min(0.0);
    let lantern = 2.6 - (x - 60.0).hypot(y - 56.0);
    let sails = cover(main).max(cover(jib));
    let colour = mix(mix(rgb(0x1a1317), rgb(0xf3c98e), sails), rgb(0xffe7bd), cover(lantern));
    let colour = mix(colour, rgb(0xd98f4e), sails * ((y - 8.0) / 70.0).clamp(0.0, 1.0));
    (colour, cover(hull).max(sails).max(cover(mast)).max(cover(lantern)))
}

/// A bright dot at 100 units with its trail behind it.
fn walking_light(x: f32, y: f32) -> (Rgb, f32) {
    let (dx, dy) = (x - 100.0, y - 15.0);
    let dot = (6.0 - dx.hypot(dy)).clamp(0.0, 1.0) + 0.6 * (-dx.hypot(dy) / 6.0).exp();
    let trail = if dx < 0.0 { (dx / 34.0).exp() * (2.6 - dy.abs()).clamp(0.0, 1.0) * 0.8 } else { 0.0 };
    let edge = ((15.0 - dy.abs()) / 5.0).clamp(0.0, 1.0);
    (mix(AMBER, rgb(0xfff4dd), dot), dot.max(trail) * edge)
}

/// A fixed number in 0..1 for each `i`, without a visible pattern.
fn scatter(i: u32) -> f32 {
    let mixed = (i + 7).wrapping_mul(0x9e37_79b9);
    let mixed = (mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b);
    ((mixed ^ mixed >> 13) & 0xffff) as f32 / 65536.0
}

fn time_of_day(unix_ms: u64) -> String {
    let (s, ms) = (unix_ms / 1000, unix_ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3600 % 24, s / 60 % 60, s % 60)
}

/// Civil date of a day since 1970-01-01 (Howard Hinnant's days algorithm).
fn date(day: u64) -> String {
    let z = day + 719_468;
    let era = z / 146_097;
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{:02}", doy - (153 * mp + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_and_the_date_are_utc() {
        assert_eq!(time_of_day(1_795_255_323_045), "10:02:03.045");
        assert_eq!(
            (date(0), date(11_016), date(20_778)),
            ("1970-01-01".into(), "2000-02-29".into(), "2026-11-21".into())
        );
    }

    #[test]
    fn odd_shapes_are_drawn_too() {
        for (width, height) in [(64, 36), (720, 1280), (320, 180), (854, 480), (1920, 1080)] {
            let mut scene = Scene::new(width, height);
            for unix_us in [0, 999_999, 29_999_000_000, 1_795_255_323_045_000] {
                let drawn = scene.draw(unix_us);
                assert_eq!((drawn.width(), drawn.height()), (width, height));
            }
        }
    }
}
