//! What never moves: a dark room, a bay window of three panes with amber frames, and the evening outside it. Painted once.
//!
//! Everything is laid out on a sheet of 1280 x 720 units that is scaled to fit the picture and centred in it.

use super::glyphs::{self, Type, to_segment};
use super::picture::{Picture, Plane, Rgb, mix, rgb};

pub(super) const AMBER: Rgb = rgb(0xffb454);
pub(super) const PAPER: Rgb = rgb(0xf7efe2);
pub(super) const NIGHT: Rgb = rgb(0x0d0b0a);
const DIM: Rgb = rgb(0xa08c74);

/// The line where sky and sea meet, and the sun above it.
pub(super) const HORIZON: f32 = 318.0;
const SUN: (f32, f32) = (640.0, 304.0);
/// The lighthouse's lamp.
pub(super) const LAMP: (f32, f32) = (905.0, 196.0);
/// The sill: a line on which a light walks from end to end each second.
pub(super) const SILL: (f32, f32, f32) = (272.0, 1008.0, 532.0);

/// The panes, seen from the room: the middle one is farther away.
const PANES: [[(f32, f32); 4]; 3] = [
    [(288.0, 78.0), (456.0, 106.0), (456.0, 462.0), (288.0, 498.0)],
    [(502.0, 110.0), (778.0, 110.0), (778.0, 458.0), (502.0, 458.0)],
    [(824.0, 106.0), (992.0, 78.0), (992.0, 498.0), (824.0, 462.0)],
];
const ROUNDING: f32 = 9.0;
const FRAME: f32 = 4.5;

/// From units of the sheet to pixels.
#[derive(Clone, Copy)]
pub(super) struct Sheet {
    pub scale: f32,
    left: f32,
    top: f32,
}

impl Sheet {
    pub fn new(width: usize, height: usize) -> Self {
        let scale = (width as f32 / 1280.0).min(height as f32 / 720.0);
        Self { scale, left: (width as f32 - 1280.0 * scale) / 2.0, top: (height as f32 - 720.0 * scale) / 2.0 }
    }

    /// Pixel position of a point of the sheet.
    pub fn place(&self, x: f32, y: f32) -> (f32, f32) {
        (self.left + x * self.scale, self.top + y * self.scale)
    }

    /// Even pixel row of a height of the sheet.
    pub fn row(&self, y: f32) -> usize {
        (self.place(0.0, y).1.max(0.0) as usize) & !1
    }

    /// The point of the sheet at a pixel's centre.
    pub fn unit(&self, x: usize, y: usize) -> (f32, f32) {
        ((x as f32 + 0.5 - self.left) / self.scale, (y as f32 + 0.5 - self.top) / self.scale)
    }
}

/// The still picture: room, window, evening.
pub(super) fn paint(sheet: Sheet, width: usize, height: usize) -> Picture {
    let mut text = Vec::new();
    let mark = Type { height: 21.0, pen: 1.6, gap: 9.0 };
    text.push((title("ORIEL", (84.0, 58.0), mark, sheet), PAPER));
    Picture::from_rgb(width, height, |px, py| {
        let (x, y) = sheet.unit(px, py);
        let mut colour = room(x, y, sheet.scale);
        for (letters, ink) in &text {
            colour = mix(colour, *ink, letters.coverage(px, py));
        }
        mix(colour, AMBER, mark_coverage(x, y, sheet.scale))
    })
}

/// Where the window is open: 255 outside, 0 on frames and wall.
pub(super) fn window(sheet: Sheet, width: usize, height: usize) -> Plane {
    let open = |i: usize| {
        let (x, y) = sheet.unit(i % width, i / width);
        ((0.5 - pane_distance(x, y) * sheet.scale).clamp(0.0, 1.0) * 255.0) as u8
    };
    Plane { width, samples: (0..width * height).map(open).collect() }
}

fn room(x: f32, y: f32, scale: f32) -> Rgb {
    let d = pane_distance(x, y);
    let cover = |edge: f32| (0.5 - (d - edge) * scale).clamp(0.0, 1.0);
    // Lamplight on the wall around the window; none below the sill, where the clock's tiles need a flat ground.
    let glow = (-d.max(0.0) / 95.0).exp() * 0.16 + (-d.max(0.0) / 14.0).exp() * 0.10;
    let wall = mix(NIGHT, AMBER, glow * (1.0 - smooth((y - 470.0) / (SILL.2 - 470.0))));
    let lit = mix(AMBER, rgb(0xc97a2b), ((y - 80.0) / 420.0).clamp(0.0, 1.0));
    let sill = to_segment((x, y), (SILL.0, SILL.2), (SILL.1, SILL.2)) - 1.5;
    let wall = mix(wall, lit, (0.5 - sill * scale).clamp(0.0, 1.0) * 0.55);
    mix(mix(wall, lit, cover(FRAME)), evening(x, y), cover(0.0))
}

/// Sky, sun, hills and lighthouse; the sea is [`sea`].
fn evening(x: f32, y: f32) -> Rgb {
    if y >= HORIZON {
        return sea(x, y);
    }
    let mut colour = sky(y);
    let sun = (x - SUN.0).hypot(y - SUN.1);
    colour = mix(colour, rgb(0xffc26e), (-sun / 70.0).exp() * 0.75);
    colour = mix(colour, rgb(0xffe0a6), (46.5 - sun).clamp(0.0, 1.0));
    let hills = 20.0 + 11.0 * (x * 0.013 + 1.0).sin() + 6.0 * (x * 0.031).sin();
    let left = hills * ((480.0 - x) / 160.0).clamp(0.0, 1.0);
    let right = (62.0 + 4.0 * (x * 0.07).sin()) * smooth((x - 836.0) / 66.0);
    let land = left.max(right) - (HORIZON - y);
    colour = mix(colour, rgb(0x1d1519), (land + 0.5).clamp(0.0, 1.0));
    let shade = ((LAMP.0 - x) / 9.0).clamp(-1.0, 1.0) * 0.5 + 0.5;
    let tower = 5.0 + (y - LAMP.1) * 0.045 - (x - LAMP.0).abs();
    let body = if (y - LAMP.1) % 28.0 < 14.0 { rgb(0xd9b48c) } else { rgb(0x7a3f2c) };
    let tall = (y - LAMP.1 - 9.0).min(HORIZON - 50.0 - y);
    colour = mix(colour, mix(rgb(0x2b1c1c), body, 0.25 + 0.7 * shade), (tower.min(tall) + 0.5).clamp(0.0, 1.0));
    let gallery = (9.0 - (x - LAMP.0).abs()).min(1.5 - (y - LAMP.1 - 9.0).abs());
    let roof = (y - LAMP.1 + 16.0 - (x - LAMP.0).abs() * 1.4).min(LAMP.1 - 6.0 - y);
    mix(colour, rgb(0x1d1519), (gallery.max(roof) + 0.5).clamp(0.0, 1.0))
}

fn sky(y: f32) -> Rgb {
    const STOPS: [(f32, Rgb); 5] = [
        (70.0, rgb(0x13131f)),
        (170.0, rgb(0x2e2136)),
        (240.0, rgb(0x6d3d43)),
        (290.0, rgb(0xc87446)),
        (HORIZON, rgb(0xf2a95c)),
    ];
    let next = STOPS.iter().position(|s| y < s.0).unwrap_or(STOPS.len() - 1).max(1);
    let (a, b) = (STOPS[next - 1], STOPS[next]);
    mix(a.1, b.1, smooth((y - a.0) / (b.0 - a.0)))
}

/// The sea with the sun's road on it.
pub(super) fn sea(x: f32, y: f32) -> Rgb {
    let depth = ((y - HORIZON) / 180.0).clamp(0.0, 1.0);
    let colour = mix(rgb(0x9a5a3c), rgb(0x17141d), depth.powf(0.45));
    let road = (-((x - SUN.0) / (26.0 + depth * 70.0)).powi(2)).exp();
    let ripple = 0.5 + 0.5 * (y * 0.62 + 1.7 * (x * 0.021 + y * 0.05).sin()).sin();
    let glint = 0.5 + 0.5 * (y * 0.29 + 2.6 * (x * 0.011 - y * 0.04).sin()).sin();
    mix(
        mix(colour, rgb(0x6f4a44), ripple * 0.16),
        rgb(0xffc377),
        road * (0.18 + 0.72 * glint * ripple) * (1.0 - 0.35 * depth),
    )
}

fn smooth(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Distance to the nearest pane, negative inside it.
fn pane_distance(x: f32, y: f32) -> f32 {
    PANES.iter().map(|pane| polygon((x, y), pane)).fold(f32::INFINITY, f32::min) - ROUNDING
}

fn polygon(p: (f32, f32), corners: &[(f32, f32); 4]) -> f32 {
    let edges = (0..4).map(|i| (corners[i], corners[(i + 1) % 4]));
    let inside = edges.clone().all(|(a, b)| (b.0 - a.0) * (p.1 - a.1) >= (b.1 - a.1) * (p.0 - a.0));
    let distance = edges.map(|(a, b)| to_segment(p, a, b)).fold(f32::INFINITY, f32::min);
    if inside { -distance } else { distance }
}

/// The mark in the corner: the same window, small.
fn mark_coverage(x: f32, y: f32, scale: f32) -> f32 {
    let small = pane_distance(640.0 + (x - 50.0) * 17.0, 288.0 + (y - 58.0) * 17.0) / 17.0;
    let middle = (x - 50.0).abs() < 9.5;
    let cover = (0.5 - small * scale).clamp(0.0, 1.0);
    if (x - 50.0).abs() > 26.0 || (y - 58.0).abs() > 18.0 { 0.0 } else { cover * if middle { 1.0 } else { 0.5 } }
}

/// A line of text in pixels of the picture.
pub(super) struct Letters {
    left: usize,
    top: usize,
    mask: glyphs::Mask,
}

impl Letters {
    pub fn coverage(&self, x: usize, y: usize) -> f32 {
        let (Some(x), Some(y)) = (x.checked_sub(self.left), y.checked_sub(self.top)) else { return 0.0 };
        if x < self.mask.width && y < self.mask.height { self.mask.coverage[y * self.mask.width + x] } else { 0.0 }
    }
}

/// Text with its left edge and middle at a point of the sheet.
fn title(text: &str, at: (f32, f32), style: Type, sheet: Sheet) -> Letters {
    let style = Type { height: style.height * sheet.scale, pen: style.pen * sheet.scale, gap: style.gap * sheet.scale };
    let (left, middle) = sheet.place(at.0, at.1);
    let height = (style.height + 4.0 * style.pen) as usize + 2;
    let mask = glyphs::line(text, style, height);
    Letters { left: left.max(0.0) as usize, top: (middle.max(0.0) as usize).saturating_sub(height / 2), mask }
}

/// The line under the clock, for one day (`2026-11-21`), on the room's flat dark.
pub(super) fn caption(day: &str, scale: f32) -> Picture {
    let style = Type { height: 15.0 * scale, pen: 1.15 * scale, gap: 5.5 * scale };
    let height = (24.0 * scale) as usize & !1;
    let mask = glyphs::line(&format!("TIME OF CAPTURE  {day} UTC"), style, height);
    Picture::from_rgb(mask.width & !1, height, |x, y| mix(NIGHT, DIM, mask.coverage[y * mask.width + x]))
}
