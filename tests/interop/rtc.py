"""aiortc as a publisher by WHIP or a player by WHEP: another WebRTC stack than the browser's.

    rtc.py publish URL KEY SECONDS [FILM]   a film, else a test picture and a tone of 440 Hz
    rtc.py play URL SECONDS                 prints what came as JSON; times are those of arrival, since aiortc tells no other
"""

import asyncio
import fractions
import json
import sys
import time

import aiohttp
import numpy
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpsender import RTCRtpSender
from av import AudioFrame, VideoFrame

from clip import Reader, luma, mono

RATE = 48_000
BLOCK = 960


class Picture(MediaStreamTrack):
    kind = "video"

    def __init__(self):
        super().__init__()
        self.began, self.count = time.time(), 0

    async def recv(self):
        await asyncio.sleep(max(0, self.began + self.count / 30 - time.time()))
        picture = numpy.zeros((360, 640, 3), dtype=numpy.uint8)
        picture[:, (self.count * 8) % 640 :][:, :80] = (40, 160, 240)
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = self.count * 3000, fractions.Fraction(1, 90_000)
        self.count += 1
        return frame


class Tone(MediaStreamTrack):
    kind = "audio"

    def __init__(self):
        super().__init__()
        self.began, self.count = time.time(), 0

    async def recv(self):
        await asyncio.sleep(max(0, self.began + self.count / RATE - time.time()))
        at = numpy.arange(self.count, self.count + BLOCK) / RATE
        samples = (numpy.sin(at * 440 * 2 * numpy.pi) * 8000).astype(numpy.int16)
        frame = AudioFrame.from_ndarray(numpy.repeat(samples, 2).reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.count, fractions.Fraction(1, RATE)
        self.count += BLOCK
        return frame


async def signal(http, connection, url, key=None):
    await connection.setLocalDescription(await connection.createOffer())
    headers = {"content-type": "application/sdp"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    async with http.post(url, data=connection.localDescription.sdp, headers=headers) as response:
        body = await response.text()
        if response.status != 201:
            sys.exit(f"{response.status}: {body}")
        await connection.setRemoteDescription(RTCSessionDescription(sdp=body, type="answer"))
        return str(response.url.join(response.url.with_path(response.headers["location"])))


async def publish(url, key, seconds, film=None):
    player = MediaPlayer(film) if film else None
    if player:
        # Each track would begin its own time when it is first asked, and the two would be apart by as much.
        player.video._start = player.audio._start = time.time() + 1
    connection = RTCPeerConnection()
    transceiver = connection.addTransceiver(player.video if player else Picture(), direction="sendonly")
    codecs = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType in ("video/H264", "video/rtx")])
    connection.addTransceiver(player.audio if player else Tone(), direction="sendonly")
    async with aiohttp.ClientSession() as http:
        session = await signal(http, connection, url, key)
        await asyncio.sleep(seconds)
        print(json.dumps({"state": connection.connectionState}))
        async with http.delete(session) as response:
            assert response.status == 200, response.status
    await connection.close()


async def play(url, seconds):
    connection = RTCPeerConnection()
    seen = {"width": 0, "blocks": 0, "loudest": 0}
    reader = Reader()

    @connection.on("track")
    def on_track(track):
        async def read():
            try:
                while True:
                    frame = await track.recv()
                    now_ms = time.monotonic() * 1000
                    if track.kind == "video":
                        seen["width"] = frame.width
                        reader.picture(now_ms, luma(frame))
                    else:
                        seen["blocks"] += 1
                        reader.sound(now_ms, mono(frame), frame.sample_rate)
                        seen["loudest"] = max(seen["loudest"], int(abs(frame.to_ndarray()).max()))
            except MediaStreamError:
                pass

        asyncio.ensure_future(read())

    connection.addTransceiver("video", direction="recvonly")
    connection.addTransceiver("audio", direction="recvonly")
    async with aiohttp.ClientSession() as http:
        session = await signal(http, connection, url)
        await asyncio.sleep(seconds)
        async with http.delete(session) as response:
            assert response.status == 200, response.status
    await connection.close()
    print(json.dumps({**seen, **reader.finish()}))


if __name__ == "__main__":
    what, url, *rest = sys.argv[1:]
    if what == "publish":
        asyncio.run(publish(url, rest[0], float(rest[1]), *rest[2:]))
    else:
        asyncio.run(play(url, float(rest[0])))
