//! A still picture (JPEG) of an H.264 keyframe, for thumbnails.
//!
//! The bytes come from strangers. The picture's size is read from the SPS before any decoder sees it and is bounded; only
//! the parameter sets of the configuration record and slices reach the decoder.

use jpeg_encoder::{ImageBuffer, JpegColorType, SamplingFactor};
use openh264::OpenH264API;
use openh264::decoder::{DecodeOptions, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;

use crate::h264;

/// The widest picture that is made; larger ones are scaled down by averaging.
pub const MAX_WIDTH: usize = 640;
/// The largest picture that is decoded, in pixels: 4096 x 2304.
pub const MAX_PIXELS: u32 = 4096 * 2304;
const QUALITY: u8 = 75;
/// A keyframe larger than this is not looked at.
const MAX_BYTES: usize = 8 << 20;

/// Why there is no still picture.
#[derive(Debug, thiserror::Error)]
pub enum StillError {
    /// The configuration record has no usable parameter sets.
    #[error("avcC record is malformed")]
    Record,
    /// The access unit's lengths do not add up, it is too large, or it holds no slice.
    #[error("access unit is malformed")]
    AccessUnit,
    /// The picture is larger than [`MAX_PIXELS`].
    #[error("picture of {width}x{height} is too large")]
    TooLarge { width: u32, height: u32 },
    /// The decoder refused the bitstream (damaged, or a profile it does not have).
    #[error("decoder: {0}")]
    Decode(#[from] openh264::Error),
    /// The decoder had no complaint and no picture.
    #[error("no picture came out")]
    Empty,
    /// The JPEG could not be written.
    #[error("jpeg: {0}")]
    Jpeg(#[from] jpeg_encoder::EncodingError),
}

/// Decodes a keyframe (avcC record, length-prefixed access unit) and encodes it as a JPEG of at most [`MAX_WIDTH`] pixels.
pub fn jpeg(avcc: &[u8], access_unit: &[u8]) -> Result<Vec<u8>, StillError> {
    let stream = annex_b(avcc, access_unit)?;
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    let mut decoder = Decoder::with_api_config(OpenH264API::from_source(), config)?;
    let options = DecodeOptions::new().flush_after_decode(Flush::Flush);
    let picture = decoder.decode_with_options(&stream, options)?.ok_or(StillError::Empty)?;
    let small = Small::new(&picture).ok_or(StillError::Empty)?;
    let mut out = Vec::with_capacity(64 << 10);
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode_image(small)?;
    Ok(out)
}

/// Parameter sets and slices with start codes, sizes checked.
fn annex_b(avcc: &[u8], access_unit: &[u8]) -> Result<Vec<u8>, StillError> {
    let sets = h264::parameter_sets(avcc).ok_or(StillError::Record)?;
    for sps in &sets.sps {
        let (width, height) = h264::coded_size(sps).ok_or(StillError::Record)?;
        if width.checked_mul(height).is_none_or(|pixels| pixels > MAX_PIXELS) {
            return Err(StillError::TooLarge { width, height });
        }
    }
    if access_unit.len() > MAX_BYTES {
        return Err(StillError::AccessUnit);
    }
    let nals = h264::nals(access_unit, sets.length_bytes).ok_or(StillError::AccessUnit)?;
    let slices: Vec<&[u8]> =
        nals.into_iter().filter(|nal| matches!(h264::kind(nal), h264::SLICE | h264::IDR)).collect();
    if slices.is_empty() {
        return Err(StillError::AccessUnit);
    }
    let mut out = Vec::with_capacity(access_unit.len() + avcc.len() + 64);
    for nal in sets.sps.iter().chain(&sets.pps).chain(&slices) {
        out.extend_from_slice(&h264::START_CODE);
        out.extend_from_slice(nal);
    }
    Ok(out)
}

/// A picture scaled down by a whole number, in the JPEG colour space (BT.601, full range).
struct Small {
    width: usize,
    height: usize,
    /// Y, Cb, Cr, each at full (scaled-down) size.
    planes: [Vec<u8>; 3],
}

impl Small {
    fn new(picture: &impl YUVSource) -> Option<Self> {
        let (width, height) = picture.dimensions();
        let step = width.div_ceil(MAX_WIDTH).max(1);
        let (w, h) = (width / step, height / step);
        if w == 0 || h == 0 || u16::try_from(h).is_err() {
            return None;
        }
        let strides = picture.strides();
        let luma = shrink(picture.y(), strides.0, w, h, step, 0);
        let (cb, cr) = (shrink(picture.u(), strides.1, w, h, step, 1), shrink(picture.v(), strides.2, w, h, step, 1));
        let mut small = Self { width: w, height: h, planes: [luma, cb, cr] };
        small.convert_colours(height >= 720);
        Some(small)
    }

    /// From limited range and the matrix that HD (BT.709) or SD (BT.601) pictures have unless they say otherwise.
    fn convert_colours(&mut self, hd: bool) {
        let (kr, kb) = if hd { (0.2126f32, 0.0722f32) } else { (0.299, 0.114) };
        let [luma, blue, red] = &mut self.planes;
        for ((y, cb), cr) in luma.iter_mut().zip(blue).zip(red) {
            let luma = (f32::from(*y) - 16.0) * (255.0 / 219.0);
            let b = luma + (f32::from(*cb) - 128.0) * (255.0 / 112.0) * (1.0 - kb);
            let r = luma + (f32::from(*cr) - 128.0) * (255.0 / 112.0) * (1.0 - kr);
            let g = (luma - kr * r - kb * b) / (1.0 - kr - kb);
            let full = 0.299 * r + 0.587 * g + 0.114 * b;
            *y = full.round() as u8;
            *cb = ((b - full) / 1.772 + 128.0).round() as u8;
            *cr = ((r - full) / 1.402 + 128.0).round() as u8;
        }
    }
}

/// Averages `step` x `step` pixels of a plane that has one sample for `1 << half` pixels each way.
fn shrink(plane: &[u8], stride: usize, width: usize, height: usize, step: usize, half: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let rows = (y * step) >> half..(y * step + step).div_ceil(1 << half);
            let columns = (x * step) >> half..(x * step + step).div_ceil(1 << half);
            let count = (rows.len() * columns.len()) as u32;
            let sum: u32 = rows.map(|row| cells(plane, row * stride, columns.clone())).sum();
            out.push(((sum + count / 2) / count) as u8);
        }
    }
    out
}

fn cells(plane: &[u8], row: usize, columns: std::ops::Range<usize>) -> u32 {
    let cells = plane.get(row + columns.start..row + columns.end).unwrap_or_default();
    cells.iter().map(|&v| u32::from(v)).sum()
}

impl ImageBuffer for Small {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width as u16
    }

    fn height(&self) -> u16 {
        self.height as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let row = usize::from(y) * self.width..(usize::from(y) + 1) * self.width;
        for (buffer, plane) in buffers.iter_mut().zip(&self.planes) {
            buffer.extend_from_slice(&plane[row.clone()]);
        }
    }
}

#[cfg(test)]
mod tests;
