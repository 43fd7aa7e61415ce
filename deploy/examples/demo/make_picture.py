"""Makes `static/tide.png`, the picture of the static files page: `python make_picture.py`.

A week of tides at the coast of nowhere: the sum of the two strongest tidal constituents, M2 (12.42 hours)
and S2 (12 hours), whose beat gives neap tides (at the left) and spring tides (at the right). Written as PNG with zlib and struct alone.
"""

import math
import struct
import zlib
from pathlib import Path

WIDTH, HEIGHT = 960, 400
NEAP, HOURS = 177.4, 7 * 24
SKY, FAR, NEAR, DEEP = (224, 238, 240), (94, 168, 182), (20, 112, 132), (11, 58, 76)


def level(hour, shift=0.0):
    """Height of the water between -1 and 1."""
    m2 = math.cos(2 * math.pi * (hour + shift) / 12.42)
    s2 = math.cos(2 * math.pi * (hour + shift) / 12.0)
    return 0.68 * m2 + 0.32 * s2


def mix(a, b, share):
    return tuple(round(x + (y - x) * share) for x, y in zip(a, b))


def pixel(x, y):
    """Three layers of water against the sky, their edges smoothed over one pixel."""
    colour = mix((244, 248, 248), SKY, y / HEIGHT)
    hour = NEAP + x / WIDTH * HOURS
    for middle, swing, shift, water in (
        (0.42, 0.16, 3.0, FAR),
        (0.55, 0.20, 1.5, NEAR),
        (0.70, 0.22, 0.0, DEEP),
    ):
        edge = (middle - swing * level(hour, shift)) * HEIGHT
        colour = mix(colour, water, min(max(y - edge + 0.5, 0.0), 1.0))
    return colour


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture():
    rows = (b"\0" + bytes(v for x in range(WIDTH) for v in pixel(x, y)) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


if __name__ == "__main__":
    Path(__file__).with_name("static").joinpath("tide.png").write_bytes(picture())
