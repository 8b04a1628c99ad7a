// Reads the capture time out of a picture of the synthetic broadcast: the row of 64 black and white cells along its top edge
// (layout in docs/design/time.md, drawn and also read by crates/codec/src/clock_code.rs). A classic script: inject it into a
// page and call readClock(video, video.videoWidth, video.videoHeight). Any image source of drawImage will do, at any size.
//
// Returns {unixMs}, or null when there is no code that can be trusted.
const readClock = (() => {
  const CELLS = 64;
  const STRIP = 36; // the strip is 1/36 of the height
  const CELL = 8; // pixels of a cell in the small canvas
  const FINDER = [[0, 1], [1, 0], [2, 1], [3, 0], [60, 1], [61, 1], [62, 0], [63, 0]]; // [cell, white]
  const MIN_CONTRAST = 64;

  let context = null;

  function smallContext() {
    if (context === null) {
      const canvas = document.createElement("canvas");
      canvas.width = CELLS * CELL;
      canvas.height = CELL;
      context = canvas.getContext("2d", { willReadFrequently: true });
    }
    return context;
  }

  // Mean of red, green and blue in the middle of a cell.
  function level(data, cell) {
    let sum = 0;
    for (let y = 3; y <= 4; y++) {
      for (let x = cell * CELL + 3; x <= cell * CELL + 4; x++) {
        const at = (y * CELLS * CELL + x) * 4;
        sum += data[at] + data[at + 1] + data[at + 2];
      }
    }
    return sum / 12;
  }

  function crc8(bytes) {
    let crc = 0xff;
    for (const byte of bytes) {
      crc ^= byte;
      for (let i = 0; i < 8; i++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1;
    }
    return crc;
  }

  function byteAt(bits, cell) {
    let value = 0;
    for (let i = 0; i < 8; i++) value = (value << 1) | bits[cell + i];
    return value;
  }

  function decode(levels) {
    const mean = (white) => FINDER.filter((f) => f[1] === white).reduce((sum, f) => sum + levels[f[0]], 0) / 4;
    const black = mean(0);
    const contrast = mean(1) - black;
    if (!(contrast >= MIN_CONTRAST)) return null;
    const share = levels.map((l) => (l - black) / contrast);
    if (share.some((s) => s > 0.35 && s < 0.65)) return null;
    const bits = share.map((s) => (s > 0.5 ? 1 : 0));
    if (FINDER.some(([cell, white]) => bits[cell] !== white)) return null;
    const bytes = [0, 1, 2, 3, 4, 5].map((i) => byteAt(bits, 4 + 8 * i));
    if (crc8(bytes) !== byteAt(bits, 52)) return null;
    // 48 bits fit in a double, not in the 32 bits of the shift operators.
    return { unixMs: bytes.reduce((n, byte) => n * 256 + byte, 0) };
  }

  return function readClock(imageSource, width, height) {
    const strip = Math.floor(height / STRIP);
    if (!(width >= CELLS) || !(strip >= 1)) return null;
    const small = smallContext();
    small.drawImage(imageSource, 0, 0, width, strip, 0, 0, CELLS * CELL, CELL);
    const { data } = small.getImageData(0, 0, CELLS * CELL, CELL);
    return decode(Array.from({ length: CELLS }, (_, cell) => level(data, cell)));
  };
})();
globalThis.readClock = readClock;
