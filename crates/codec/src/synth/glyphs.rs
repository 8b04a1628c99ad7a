//! The few letters and the digits that the synthetic picture needs, as strokes: no font file, sharp at every size.
//! A glyph stands in a box one unit high (y grows downwards) and is drawn with a round pen.

use std::f32::consts::PI;

type Point = (f32, f32);

/// Strokes of one glyph and its width, in units of its height.
struct Glyph {
    strokes: Vec<Vec<Point>>,
    advance: f32,
}

/// A rendered glyph: how much of each pixel the pen covers, 0..=1.
pub(super) struct Mask {
    pub width: usize,
    pub height: usize,
    pub coverage: Vec<f32>,
}

/// How a line of text is drawn: height of the letters, the pen's radius and the gap between letters, all in pixels.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub height: f32,
    pub pen: f32,
    pub gap: f32,
}

/// Width of a character in pixels, the gap after it included.
pub(super) fn advance(c: char, style: Type) -> f32 {
    glyph(c).advance * style.height + style.gap
}

/// Width of a line in pixels, without a gap after its last letter.
pub(super) fn width(text: &str, style: Type) -> f32 {
    text.chars().map(|c| advance(c, style)).sum::<f32>() - style.gap
}

/// Draws a character into a box of `width` x `height` pixels, its own box centred sideways in it.
pub(super) fn render(c: char, style: Type, width: usize, height: usize) -> Mask {
    let glyph = glyph(c);
    let left = (width as f32 - glyph.advance * style.height) / 2.0;
    let top = (height as f32 - style.height) / 2.0;
    let strokes: Vec<Vec<Point>> = glyph
        .strokes
        .iter()
        .map(|s| s.iter().map(|p| (left + p.0 * style.height, top + p.1 * style.height)).collect())
        .collect();
    let mut coverage = vec![0.0; width * height];
    for (i, out) in coverage.iter_mut().enumerate() {
        let at = ((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
        *out = (style.pen + 0.5 - distance(at, &strokes)).clamp(0.0, 1.0);
    }
    Mask { width, height, coverage }
}

fn distance(at: Point, strokes: &[Vec<Point>]) -> f32 {
    let segments = strokes.iter().flat_map(|s| s.windows(2));
    segments.map(|s| to_segment(at, s[0], s[1])).fold(f32::INFINITY, f32::min)
}

/// Distance from a point to a line segment.
pub(super) fn to_segment(p: Point, a: Point, b: Point) -> f32 {
    let (px, py) = (p.0 - a.0, p.1 - a.1);
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let t = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    (px - t * dx).hypot(py - t * dy)
}

/// Part of an ellipse, degrees clockwise from the right.
fn arc(centre: Point, radius: Point, from: f32, to: f32) -> Vec<Point> {
    let at = |i: i32| (from + (to - from) * i as f32 / 24.0) * PI / 180.0;
    (0..=24).map(|i| (centre.0 + radius.0 * at(i).cos(), centre.1 + radius.1 * at(i).sin())).collect()
}

/// A bent line, drawn as a quadratic curve.
fn curve(a: Point, pull: Point, b: Point) -> Vec<Point> {
    let mix = |t: f32, a: f32, p: f32, b: f32| (1.0 - t) * (1.0 - t) * a + 2.0 * t * (1.0 - t) * p + t * t * b;
    (0..=16).map(|i| i as f32 / 16.0).map(|t| (mix(t, a.0, pull.0, b.0), mix(t, a.1, pull.1, b.1))).collect()
}

fn joined(parts: &[Vec<Point>]) -> Vec<Point> {
    parts.concat()
}

fn glyph(c: char) -> Glyph {
    const D: f32 = 0.60;
    let (strokes, advance) = match c {
        '0' | 'O' => (vec![bowl(0.3, 0.24)], D),
        '1' => (vec![vec![(0.15, 0.22), (0.34, 0.06), (0.34, 0.94)]], D),
        '2' => {
            let tail = vec![(0.06, 0.94), (0.54, 0.94)];
            (vec![joined(&[arc((0.3, 0.30), (0.24, 0.24), 195.0, 395.0), tail])], D)
        }
        '3' => {
            let upper = arc((0.3, 0.275), (0.21, 0.215), 205.0, 450.0);
            (vec![upper, arc((0.3, 0.705), (0.24, 0.235), 270.0, 515.0)], D)
        }
        '4' => (vec![vec![(0.43, 0.94), (0.43, 0.06), (0.05, 0.70), (0.56, 0.70)]], D),
        '5' => {
            let head = vec![(0.51, 0.06), (0.14, 0.06), (0.11, 0.47)];
            (vec![joined(&[head, arc((0.29, 0.655), (0.25, 0.285), 222.0, 510.0)])], D)
        }
        '6' => (six(), D),
        '7' => (vec![vec![(0.06, 0.06), (0.54, 0.06), (0.22, 0.94)]], D),
        '8' => {
            let upper = arc((0.3, 0.275), (0.2, 0.215), 0.0, 360.0);
            (vec![upper, arc((0.3, 0.705), (0.24, 0.235), 0.0, 360.0)], D)
        }
        '9' => (six().into_iter().map(|s| s.into_iter().map(|p| (D - p.0, 1.0 - p.1)).collect()).collect(), D),
        ':' => (vec![dot(0.34), dot(0.72)], 0.26),
        '.' => (vec![dot(0.92)], 0.24),
        '-' => (vec![vec![(0.08, 0.52), (0.34, 0.52)]], 0.42),
        'A' => (vec![vec![(0.03, 0.94), (0.3, 0.06), (0.57, 0.94)], vec![(0.12, 0.64), (0.48, 0.64)]], D),
        'C' => (
            vec![joined(&[arc((0.3, 0.3), (0.24, 0.24), 330.0, 180.0), arc((0.3, 0.7), (0.24, 0.24), 180.0, 30.0)])],
            0.58,
        ),
        'E' => {
            (vec![vec![(0.5, 0.06), (0.08, 0.06), (0.08, 0.94), (0.5, 0.94)], vec![(0.08, 0.48), (0.44, 0.48)]], 0.54)
        }
        'F' => (vec![vec![(0.5, 0.06), (0.08, 0.06), (0.08, 0.94)], vec![(0.08, 0.5), (0.44, 0.5)]], 0.52),
        'I' => (vec![vec![(0.1, 0.06), (0.1, 0.94)]], 0.2),
        'L' => (vec![vec![(0.08, 0.06), (0.08, 0.94), (0.48, 0.94)]], 0.5),
        'M' => (vec![vec![(0.07, 0.94), (0.07, 0.06), (0.36, 0.6), (0.65, 0.06), (0.65, 0.94)]], 0.72),
        'P' => (vec![joined(&[vec![(0.08, 0.94), (0.08, 0.06)], loop_right()])], 0.56),
        'R' => (vec![joined(&[vec![(0.08, 0.94), (0.08, 0.06)], loop_right()]), vec![(0.3, 0.54), (0.52, 0.94)]], 0.58),
        'T' => (vec![vec![(0.03, 0.06), (0.53, 0.06)], vec![(0.28, 0.06), (0.28, 0.94)]], 0.56),
        'U' => (vec![joined(&[vec![(0.07, 0.06)], arc((0.3, 0.71), (0.23, 0.23), 180.0, 0.0), vec![(0.53, 0.06)]])], D),
        _ => (Vec::new(), 0.34),
    };
    Glyph { strokes, advance }
}

fn dot(y: f32) -> Vec<Point> {
    vec![(0.125, y), (0.1251, y)]
}

/// A tall rounded ring.
fn bowl(x: f32, r: f32) -> Vec<Point> {
    joined(&[arc((x, 0.3), (r, r), 180.0, 360.0), arc((x, 0.7), (r, r), 0.0, 180.0), vec![(x - r, 0.3)]])
}

fn six() -> Vec<Vec<Point>> {
    vec![arc((0.3, 0.67), (0.24, 0.27), 0.0, 360.0), curve((0.46, 0.06), (0.08, 0.24), (0.06, 0.67))]
}

/// The upper loop of P and R.
fn loop_right() -> Vec<Point> {
    joined(&[arc((0.28, 0.3), (0.24, 0.24), 270.0, 450.0), vec![(0.08, 0.54)]])
}

/// Draws a line of text into a box of `height` pixels and its own width.
pub(super) fn line(text: &str, style: Type, height: usize) -> Mask {
    let width = (width(text, style) + style.gap + 2.0 * style.pen).ceil() as usize + 2;
    let mut coverage = vec![0.0f32; width * height];
    let mut left = style.pen;
    for c in text.chars() {
        let advance = advance(c, style);
        let letter = render(c, style, advance.ceil() as usize + 1, height);
        for (i, &cover) in letter.coverage.iter().enumerate() {
            let x = left as usize + i % letter.width;
            if x < width {
                let out = &mut coverage[i / letter.width * width + x];
                *out = out.max(cover);
            }
        }
        left += advance;
    }
    Mask { width, height, coverage }
}
