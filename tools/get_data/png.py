"""8-bit RGB pictures out of PNG files, without a library. Enough for the parquet files of CIFAR."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def rgb_planes(png, width, height):
    """The R, G and B planes of a picture of this size, width * height bytes each. Throws ValueError."""
    if not png.startswith(SIGNATURE):
        raise ValueError("not a PNG file")
    at, packed, head = len(SIGNATURE), b"", None
    while at + 12 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        if at + 12 + length > len(png) or zlib.crc32(kind + body) != struct.unpack_from(">I", png, at + 8 + length)[0]:
            raise ValueError("damaged")
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    if head != (width, height, 8, 2, 0, 0, 0):
        raise ValueError(f"not an 8-bit RGB picture of {width}x{height}")
    rows = zlib.decompressobj().decompress(packed, height * (3 * width + 1) + 1)
    if len(rows) != height * (3 * width + 1):
        raise ValueError("damaged")
    pixels = unfiltered(rows, 3 * width)
    return pixels[0::3] + pixels[1::3] + pixels[2::3]


def unfiltered(rows, stride):
    """Undoes the five filters of PNG: each row of `stride` bytes follows a byte that names its filter."""
    out, above = bytearray(), bytes(stride)
    for at in range(0, len(rows), stride + 1):
        kind, row = rows[at], bytearray(rows[at + 1 : at + 1 + stride])
        for i in range(stride if kind else 0):
            left, up, corner = (row[i - 3], above[i], above[i - 3]) if i >= 3 else (0, above[i], 0)
            if kind == 1:
                guess = left
            elif kind == 2:
                guess = up
            elif kind == 3:
                guess = (left + up) // 2
            elif kind == 4:
                guess = paeth(left, up, corner)
            else:
                raise ValueError("damaged")
            row[i] = (row[i] + guess) & 255
        out += row
        above = row
    return bytes(out)


def paeth(left, up, corner):
    estimate = left + up - corner
    distances = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
    return (left, up, corner)[distances.index(min(distances))]
