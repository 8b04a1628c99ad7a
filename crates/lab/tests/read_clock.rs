//! The browser's reader of the clock in the picture, run under node with a small stand-in for the canvas, agrees with the
//! Rust one.

use std::io::Write;
use std::process::{Command, Stdio};

use codec::clock_code;

/// Stands in for document.createElement("canvas"): drawImage averages the source's pixels under each target pixel.
const STUB: &str = r#"
const fs = require("fs");
const canvas = { getContext: () => ({
  drawImage(source, sx, sy, sw, sh, dx, dy, dw, dh) {
    this.data = new Uint8ClampedArray(dw * dh * 4);
    for (let y = 0; y < dh; y++) for (let x = 0; x < dw; x++) {
      const x0 = Math.floor(sx + x * sw / dw), x1 = Math.max(x0 + 1, Math.floor(sx + (x + 1) * sw / dw));
      const y0 = Math.floor(sy + y * sh / dh), y1 = Math.max(y0 + 1, Math.floor(sy + (y + 1) * sh / dh));
      let sum = 0;
      for (let j = y0; j < y1; j++) for (let i = x0; i < x1; i++) sum += source.luma[j * source.width + i];
      const v = sum / (x1 - x0) / (y1 - y0);
      this.data.set([v, v, v, 255], (y * dw + x) * 4);
    }
  },
  getImageData() { return { data: this.data }; },
}) };
globalThis.document = { createElement: () => canvas };
eval(fs.readFileSync(process.argv[1], "utf8"));
const [width, height] = process.argv.slice(2).map(Number);
const all = fs.readFileSync(0), size = width * height, out = [];
for (let at = 0; at < all.length; at += size) {
  out.push(readClock({ luma: all.subarray(at, at + size), width }, width, height)?.unixMs ?? "null");
}
console.log(out.join("\n"));
"#;

fn read_in_node(width: usize, height: usize, pictures: &[u8]) -> Vec<Option<u64>> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/read-clock.js");
    let mut node = Command::new("node")
        .args(["-e", STUB, script, &width.to_string(), &height.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is installed (the set-up script does it)");
    node.stdin.take().expect("piped").write_all(pictures).expect("node reads the pictures");
    let output = node.wait_with_output().expect("node ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("numbers").lines().map(|line| line.parse().ok()).collect()
}

#[test]
fn the_browser_reads_what_rust_draws_and_refuses_what_rust_refuses() {
    for (width, height) in [(1280, 720), (854, 480), (640, 360), (426, 240)] {
        let mut pictures = Vec::new();
        let times = [0, 1, 0xff_ffff, 1_795_255_000_123, (1 << 48) - 1];
        for unix_ms in times {
            let mut luma = vec![60; width * height];
            clock_code::draw(&mut luma, width, width, height, unix_ms);
            pictures.extend_from_slice(&luma);
        }
        // One cell turned over; one cell grey; no code at all.
        for (cell, value) in [(30, None), (31, Some(125)), (0, Some(60))] {
            let mut luma = vec![60; width * height];
            clock_code::draw(&mut luma, width, width, height, 1_795_255_000_123);
            for row in luma.chunks_mut(width).take(height / clock_code::STRIP_DIVISOR) {
                for v in &mut row[cell * width / 64..(cell + 1) * width / 64] {
                    *v = value.unwrap_or(251 - *v);
                }
            }
            pictures.extend_from_slice(&luma);
        }
        let expected: Vec<Option<u64>> =
            pictures.chunks(width * height).map(|luma| clock_code::read(luma, width, width, height)).collect();
        assert_eq!(expected[..5], times.map(Some), "{width}x{height}");
        assert_eq!(expected[5..], [None; 3], "{width}x{height}");
        assert_eq!(read_in_node(width, height, &pictures), expected, "{width}x{height}");
    }
}
