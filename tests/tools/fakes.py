"""Small data sets in the form of the real ones, and servers that hand them out badly. For test_get_data.py."""

import dataclasses
import functools
import gzip
import hashlib
import http.server
import io
import itertools
import json
import pathlib
import random
import re
import struct
import sys
import tarfile
import threading
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

from get_data import cifar, cifar_sets, imagenet  # noqa: E402

PER_FILE = {"cifar-10": 20, "cifar-100": 25}
WNIDS = [f"n{10000000 + 37 * label}" for label in range(10)]
SHARDS = {"train": 3, "validation": 2}
ROWS = 12  # images of a shard


# CIFAR: files of a few records, and everything that can be made from them.


@functools.lru_cache(None)
def noise(name, files, classes):
    rng = random.Random(name)
    return {
        file: b"".join(
            bytes(rng.randrange(n) for n in classes) + rng.randbytes(cifar_sets.PIXELS) for _ in range(PER_FILE[name])
        )
        for file in files
    }


def cifar_files(data):
    """name -> content. Pixels are noise, so that archives are as large as what they hold."""
    return noise(data.name, tuple(data.files), tuple(len(names) for names in data.names.values()))


def tar_gz(members):
    """members: (name or TarInfo, content) pairs. The same members give the same bytes."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as raw, tarfile.open(
        fileobj=raw, mode="w"
    ) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def binary_archive(data, files):
    return tar_gz(
        [
            (f"{data.folder}/readme.html", b"<html></html>"),
            *((f"{data.folder}/{name}", content) for name, content in files.items()),
        ]
    )


def text2(text):
    """Python 2's str, as pickle protocol 2 writes it."""
    return b"T" + struct.pack("<i", len(text)) + text


def number2(value):
    return b"J" + struct.pack("<i", value)


def array2(rows, width, raw):
    """A pickled numpy.ndarray of bytes, as Python 2 wrote those of the CIFAR archives."""
    kind = (
        b"cnumpy\ndtype\n"
        + text2(b"u1")
        + number2(0)
        + number2(1)
        + b"\x87R"
        + b"("
        + number2(3)
        + text2(b"|")
        + (b"NNN" + number2(-1) + number2(-1) + number2(0))
        + b"tb"
    )
    made = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number2(0) + b"\x85" + text2(b"b") + b"\x87R"
    return made + b"(" + number2(1) + number2(rows) + number2(width) + b"\x86" + kind + b"\x89" + text2(raw) + b"tb"


def dictionary2(entries):
    return b"\x80\x02}(" + b"".join(text2(key) + value for key, value in entries) + b"u."


def python_pickle(data, content):
    """A batch of the python version, from the binary file."""
    heads = len(data.labels)
    rows = [content[at : at + data.record] for at in range(0, len(content), data.record)]
    columns = [
        (key.encode(), b"](" + b"".join(number2(row[i]) for row in rows) + b"e") for i, key in enumerate(data.labels)
    ]
    pixels = array2(len(rows), cifar_sets.PIXELS, b"".join(row[heads:] for row in rows))
    return dictionary2([(b"batch_label", text2(b"training batch")), *columns, (b"data", pixels)])


def python_archive(data, files):
    return tar_gz(
        [
            (f"{data.name}-python/{name}", python_pickle(data, files[target]))
            for name, target in data.python_files.items()
        ]
    )


def png(planes):
    """A 32x32 PNG of R, G and B planes that goes through all filters."""
    rows, above = bytearray(), bytes(96)
    for y in range(32):
        row = bytes(planes[1024 * c + 32 * y + x] for x in range(32) for c in range(3))
        kind = y % 5
        rows.append(kind)
        for i in range(96):
            left, up, corner = (row[i - 3] if i >= 3 else 0), above[i], (above[i - 3] if i >= 3 else 0)
            p = left + up - corner
            nearest = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
            rows.append((row[i] - (0, left, up, (left + up) // 2, nearest)[kind]) % 256)
        above = row

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packed = zlib.compress(bytes(rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", packed[:99])
        + chunk(b"IDAT", packed[99:])
        + chunk(b"IEND", b"")
    )


def cifar_parquet(data, files, split):
    """The parquet file of a split, the batches in reverse order."""
    import pyarrow
    import pyarrow.parquet

    content = b"".join(files[name] for name in reversed(list(files)) if name.startswith("test") == (split == "test"))
    rows = [content[at : at + data.record] for at in range(0, len(content), data.record)]
    heads = len(data.columns)
    columns = {"img": [{"bytes": png(row[heads:]), "path": None} for row in rows]}
    columns |= {name: [row[i] for row in rows] for i, name in enumerate(data.columns)}
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), out)
    return out.getvalue()


# ImageNet: shards of a few rows.


def picture(split, shard, row):
    return b"\xff\xd8" + random.Random(f"{split}{shard}{row}").randbytes(300 + 10 * row) + b"\xff\xd9"


def rows_of(split, shard, rows=ROWS):
    """(bytes, path, label) of each row."""
    made = []
    for row in range(rows):
        label = (row * 7 + shard) % len(WNIDS)
        name = (
            f"{WNIDS[label]}_{shard}{row:03d}" if split == "train" else f"ILSVRC2012_val_{shard * rows + row + 1:08d}"
        )
        made.append((picture(split, shard, row), f"{name}_{WNIDS[label]}.JPEG", label))
    return made


def parquet(rows, **kinds):
    """A shard. kinds: another type for a column."""
    import pyarrow as pa
    import pyarrow.parquet

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {
            "image": pa.array([{"bytes": data, "path": path} for data, path, _ in rows], image),
            "label": pa.array([label for _, _, label in rows], pa.type_for_alias(kinds.get("label", "int64"))),
        }
    )
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out, row_group_size=7, compression="snappy", write_page_checksum=True)
    return out.getvalue()


@functools.lru_cache(None)
def imagenet_shards():
    """path -> content"""
    return {
        f"data/{split}-{i:05d}-of-{n:05d}.parquet": parquet(rows_of(split, i))
        for split, n in SHARDS.items()
        for i in range(n)
    }


@functools.lru_cache(None)
def imagenet_expected():
    """relative path -> content, as it must lie on the disk in the end."""
    return {
        f"{'val' if split == 'validation' else split}/{path[-14:-5]}/{path[:-15]}.JPEG": data
        for split, n in SHARDS.items()
        for i in range(n)
        for data, path, _ in rows_of(split, i)
    }


# Servers.


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        web, path = self.server.web, self.path.partition("?")[0]
        web.requests.append((self.command, self.path, dict(self.headers)))
        fault = next(web.faults.get(path, iter(())), None)
        try:
            (fault or web.answer)(self, path)
        except (BrokenPipeError, ConnectionResetError):
            pass

    do_HEAD = do_GET

    def reply(self, status, content=b"", headers=(), length=None):
        """Content-Length may be a lie."""
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class Web:
    """A server on this machine. files: path -> content; faults: path -> iterator of what goes wrong, one a request."""

    def __init__(self, files=()):
        self.files, self.faults, self.requests = dict(files), {}, []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.web, self.server.daemon_threads = self, True
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def reset(self):
        self.faults.clear()
        self.requests.clear()

    def fault(self, path, *what, always=None):
        self.faults[path] = itertools.chain(what, itertools.repeat(always) if always else ())

    def content(self, path):
        return self.files[path]

    def answer(self, handler, path):
        if path not in self.files:
            return handler.reply(404, b"nothing here")
        content = self.content(path)
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if not wanted:
            return handler.reply(200, content)
        start = int(wanted[1])
        if start >= len(content):
            return handler.reply(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        handler.reply(206, content[start:], {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"})


def status(code, **headers):
    return lambda handler, path: handler.reply(code, b"{}", {k.replace("_", "-"): v for k, v in headers.items()})


def drop(count):
    """Promises the file, or the rest that was asked for, and sends `count` bytes of it."""

    def fault(handler, path):
        content, start = handler.server.web.content(path), 0
        wanted = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        headers = {}
        if wanted:
            start = int(wanted[1])
            headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        handler.reply(206 if wanted else 200, content[start : start + count], headers, len(content) - start)

    return fault


def hang(count, until):
    """The same, and then silence until the event is set."""

    def fault(handler, path):
        drop(count)(handler, path)
        handler.wfile.flush()
        until.wait(20)

    return fault


def cut(handler, path):
    """A file that is shorter, and a server that believes that it is whole."""
    handler.reply(200, handler.server.web.content(path)[:-1000])


def flip(handler, path):
    """One bit is wrong."""
    content = bytearray(handler.server.web.content(path))
    content[len(content) // 3] ^= 16
    handler.reply(200, bytes(content))


def whole(handler, path):
    """200 whatever range was asked for."""
    handler.reply(200, handler.server.web.content(path))


def elsewhere(handler, path):
    """206 with another range than the one asked for."""
    content = handler.server.web.content(path)
    handler.reply(206, content[5:], {"Content-Range": f"bytes 5-{len(content) - 1}/{len(content)}"})


def portal(handler, path):
    handler.reply(200, b"<html>Welcome to the hotel. Please log in.</html>" * 20, {"Content-Type": "text/html"})


def redirect(url):
    return lambda handler, path: handler.reply(302, b"", {"Location": url})


def closed(handler, path):
    """The connection ends without an answer."""
    handler.close_connection = True


class Hub(Web):
    """What huggingface_hub asks of the hub. Data files are redirected to another host, as the hub does."""

    def __init__(self, other, token):
        super().__init__()
        self.other, self.token, self.hashes = other, token, True
        self.tree = f"/api/datasets/{imagenet.REPO}/tree/{imagenet.REVISION}/data"
        self.files_at = f"/datasets/{imagenet.REPO}/resolve/{imagenet.REVISION}/"

    def shard(self, path):
        return self.files_at + path

    def publish(self, shards):
        self.shards = shards
        self.other.files = {"/cdn/" + path: content for path, content in shards.items()}

    def answer(self, handler, path):
        if path == self.tree:
            return handler.reply(200, json.dumps([self.entry(*shard) for shard in self.shards.items()]).encode())
        if handler.headers.get("Authorization") != f"Bearer {self.token}":
            return handler.reply(401, b"{}", {"X-Error-Code": "GatedRepo"})
        name = path.removeprefix(self.files_at)
        if name not in self.shards:
            return handler.reply(404, b"{}", {"X-Error-Code": "EntryNotFound"})
        handler.reply(302, b"", self.headers_of(name))

    def headers_of(self, name):
        content = self.shards[name]
        sha256 = hashlib.sha256(content).hexdigest()
        return {
            "Location": f"{self.other.address}/cdn/{name}",
            "X-Repo-Commit": imagenet.REVISION,
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(len(content)),
            "X-Xet-Hash": sha256,
            "Link": f'<{self.address}/api/xet-read-token>; rel="xet-auth"',
        }

    def entry(self, path, content):
        entry = {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
        if self.hashes:
            entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
        return entry


# Small sets instead of the real ones, in this process and in those that the tests start.


def install(address, second=""):
    """Makes get_data take small CIFAR sets from a server, and an ImageNet of a few rows for whole."""
    sets = {}
    for data in (cifar_sets.CIFAR10, cifar_sets.CIFAR100):
        files = cifar_files(data)
        packed = binary_archive(data, files)
        sources = [
            cifar_sets.Source(
                "binary", f"{host}/{data.name}-binary.tar.gz", len(packed), hashlib.sha256(packed).hexdigest()
            )
            for host in (address, second)
            if host
        ]
        sets[data.name] = dataclasses.replace(
            data,
            sources=tuple(sources),
            files={name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items()},
        )
    cifar.SETS = sets
    imagenet.CLASSES = len(WNIDS)
    imagenet.SPLITS = {"train": ("train", ROWS * SHARDS["train"]), "val": ("validation", ROWS * SHARDS["validation"])}
    return sets


if __name__ == "__main__":  # get_data.py on small sets: fakes.py ADDRESS [--kill N] ARGUMENTS
    import os
    import signal
    from get_data.command import main

    address, *arguments = sys.argv[1:]
    install(address)
    if arguments[0] == "--kill":  # kill -9 at the N-th renaming of a file
        calls, replace = itertools.count(1), os.replace

        def replace_or_die(*names):
            if next(calls) == int(arguments_kill):
                os.kill(os.getpid(), signal.SIGKILL)
            replace(*names)

        arguments_kill, arguments = arguments[1], arguments[2:]
        os.replace = replace_or_die
    code = main(arguments)
    sys.stdout.flush()
    os._exit(code)
