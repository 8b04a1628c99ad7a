"""The film that every publisher of the interop table sends, and what a player made of it.

    clip.py make FILE SECONDS    the time in each picture (docs/design/time.md), a tick on each second over a soft tone
    clip.py read FILE            reads a recording of it; prints Seen as JSON

Made once and mostly sent as it is: encoding it anew for each cell would cost more than all players together.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field

import av
import numpy

WIDTH, HEIGHT, FPS, RATE = 640, 360, 30, 48_000
CELLS, STRIP = 64, HEIGHT // 36
HEAD, TAIL = [1, 0, 1, 0], [1, 1, 0, 0]
TONE, TICK, TICK_S = 0.05, 0.5, 0.03
LOUD = 0.2


def crc8(data):
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def cells(ms):
    data = ms.to_bytes(6, "big")
    bits = numpy.unpackbits(numpy.frombuffer(data + bytes([crc8(data)]), dtype=numpy.uint8))
    return numpy.concatenate([HEAD, bits, TAIL])


def read_cells(levels):
    """The milliseconds in a row of 64 brightnesses, or None."""
    finder = numpy.concatenate([levels[:4], levels[60:]])
    want = numpy.array(HEAD + TAIL, dtype=bool)
    black, white = finder[~want].mean(), finder[want].mean()
    if white - black < 64:
        return None
    bits = (levels > (black + white) / 2).astype(numpy.uint8)
    data = numpy.packbits(bits[4:60]).tobytes()
    if list(bits[:4]) != HEAD or list(bits[60:]) != TAIL or crc8(data[:6]) != data[6]:
        return None
    return int.from_bytes(data[:6], "big")


def read_picture(luma):
    height, width = luma.shape
    strip, cell = height // 36, width / CELLS
    rows = luma[strip * 3 // 10 : max(strip * 3 // 10 + 1, strip * 7 // 10)].astype(numpy.float32).mean(axis=0)
    return read_cells(numpy.array([rows[int((i + 0.3) * cell) : int((i + 0.7) * cell) + 1].mean() for i in range(CELLS)]))


def make(path, seconds):
    sound = f"{TONE}*sin(2*PI*440*t)+{TICK}*sin(2*PI*1000*t)*lt(mod(t\\,1)\\,{TICK_S})"
    ffmpeg = subprocess.Popen(
        ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-"]
        + ["-f", "lavfi", "-i", f"aevalsrc={sound}|{sound}:s={RATE}:d={seconds}"]
        + ["-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-b:v", "600k", "-maxrate", "600k", "-bufsize", "600k"]
        + ["-g", "60", "-sc_threshold", "0", "-c:a", "aac", "-b:a", "96k", "-y", path],
        stdin=subprocess.PIPE,
    )
    luma = numpy.tile(numpy.linspace(60, 180, WIDTH, dtype=numpy.uint8), (HEIGHT, 1))
    chroma = bytes([128]) * (WIDTH * HEIGHT // 2)
    for n in range(seconds * FPS):
        picture = luma.copy()
        x = n * 4 % (WIDTH - 60)
        picture[150:210, x : x + 60] = 230
        picture[:STRIP] = numpy.repeat(numpy.where(cells(round(n * 1000 / FPS)), 235, 16).astype(numpy.uint8), WIDTH // CELLS)
        ffmpeg.stdin.write(picture.tobytes())
        ffmpeg.stdin.write(chroma)
    ffmpeg.stdin.close()
    sys.exit(ffmpeg.wait())


@dataclass
class Seen:
    """What came out of a player. Times are the player's own, in milliseconds."""

    pictures: int = 0
    longest_gap_ms: float = 0
    ticks: int = 0
    sound_ms: float = 0
    longest_silence_ms: float = 0
    # How late the sound is against the picture, median over the ticks; None where the clock or the ticks cannot be read.
    sync_ms: float | None = None
    video: str = ""
    audio: str = ""


@dataclass
class Reader:
    seen: Seen = field(default_factory=Seen)
    clocks: list = field(default_factory=list)
    ticks: list = field(default_factory=list)
    last_picture: float | None = None
    last_sound: float | None = None

    def picture(self, at_ms, luma):
        self.seen.pictures += 1
        if self.last_picture is not None:
            self.seen.longest_gap_ms = max(self.seen.longest_gap_ms, at_ms - self.last_picture)
        self.last_picture = at_ms
        clock = read_picture(luma)
        if clock is not None:
            self.clocks.append((at_ms, clock))

    def sound(self, at_ms, samples, rate):
        """One channel, between -1 and 1."""
        length_ms = len(samples) * 1000 / rate
        if self.last_sound is None:
            self.last_sound = at_ms
        if numpy.sqrt((samples**2).mean()) > TONE / 3:
            self.seen.longest_silence_ms = max(self.seen.longest_silence_ms, at_ms - self.last_sound)
            self.last_sound = at_ms + length_ms
            self.seen.sound_ms += length_ms
        loud = numpy.nonzero(numpy.abs(samples) > LOUD)[0]
        if len(loud) and (not self.ticks or at_ms + loud[0] * 1000 / rate - self.ticks[-1] > 500):
            self.ticks.append(at_ms + loud[0] * 1000 / rate)

    def finish(self):
        self.seen.ticks = len(self.ticks)
        if self.clocks and self.ticks:
            at = numpy.array([at - clock for at, clock in self.clocks])
            when = numpy.array([at for at, _ in self.clocks])
            late = []
            for tick in self.ticks:
                near = at[numpy.abs(when - tick) < 1000]
                if len(near):
                    late.append((tick - numpy.median(near) + 500) % 1000 - 500)
            self.seen.sync_ms = round(float(numpy.median(late)), 1) if late else None
        return {key: round(value) if isinstance(value, float) and key != "sync_ms" else value for key, value in asdict(self.seen).items()}


def mono(frame):
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    samples = samples[0]
    return samples / 32768 if samples.dtype == numpy.int16 else samples / 2147483648 if samples.dtype == numpy.int32 else samples


def luma(frame):
    if not frame.format.name.startswith("yuv"):
        frame = frame.reformat(format="yuv420p")
    plane = frame.planes[0]
    return numpy.frombuffer(plane, dtype=numpy.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]


def read(path):
    reader = Reader()
    with av.open(path) as file:
        for stream in file.streams:
            setattr(reader.seen, stream.type, stream.codec_context.name)
        for frame in file.decode():
            if frame.pts is None:
                continue
            if isinstance(frame, av.VideoFrame):
                reader.picture(frame.time * 1000, luma(frame))
            else:
                reader.sound(frame.time * 1000, mono(frame), frame.sample_rate)
    print(json.dumps(reader.finish()))


if __name__ == "__main__":
    what, path, *rest = sys.argv[1:]
    make(path, int(rest[0])) if what == "make" else read(path)
