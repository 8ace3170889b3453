"""CIFAR-10 and CIFAR-100 in their binary form. The SHA-256 of each unpacked file decides, whatever the source was."""

import dataclasses
import hashlib
import os
import pathlib

from get_data import archive, png
from get_data.cifar_sets import LICENCE, PIXELS, SETS, Source
from get_data.download import Unavailable, fetch, received
from get_data.failure import DATA, NETWORK, RESOURCES, USAGE, Failure, in_bytes, shown, writing_failed
from get_data.files import Workplace, digest, free_space, require_space, write_json, write_whole


def broken(data, folder):
    """The files that are not there as they should be -> why."""
    found = {}
    for name, (size, sha256) in data.files.items():
        path = folder / name
        if not path.is_file():
            found[name] = "is missing"
        elif path.stat().st_size != size:
            found[name] = f"has {in_bytes(path.stat().st_size)} instead of {in_bytes(size)}"
        elif digest(path) != sha256:
            found[name] = "has another SHA-256: damaged"
    return found


class Unpacker:
    """Takes files of any form, checks them and puts them into place under their names."""

    def __init__(self, data, folder, scratch):
        self.data, self.folder, self.scratch = data, folder, scratch
        self.missing = set(broken(data, folder))
        self.wrong = {}  # files that had the wrong content, and why

    def store(self, name, content):
        """content: the whole file. Another content than expected is remembered, not stored."""
        if hashlib.sha256(content).hexdigest() == self.data.files[name][1]:
            if name in self.missing:
                write_whole(self.folder / name, content, self.scratch)
                self.missing.remove(name)
        else:
            self.wrong[name] = f"{name} has another SHA-256 than the original"

    def unpack(self, path, terminal):
        """A tar.gz with the binary or the python files."""
        limit = 4 * self.data.bytes + (64 << 20)
        for name, content in archive.members(path, limit, self.wanted, terminal):
            if name in self.data.files:
                self.store(name, content)
            else:
                self.store(self.data.python_files[name], self.from_pickle(content, f"{path}: {name}"))

    def wanted(self, name, size):
        if name in self.data.python_files:
            return size <= 2 * self.data.files[self.data.python_files[name]][0] + (1 << 20)
        if name not in self.data.files:
            return False
        expected = self.data.files[name][0]
        if size != expected:
            self.wrong[name] = f"{name} has {in_bytes(size)} instead of {in_bytes(expected)}"
        return size == expected

    def from_pickle(self, content, name):
        loaded = archive.load_arrays(content, name)
        pixels, labels = loaded.get("data"), [loaded.get(key) for key in self.data.labels]
        images = pixels.shape[0] if isinstance(pixels, archive.Array) and len(pixels.shape) == 2 else -1
        if (
            images < 0
            or pixels.shape[1] != PIXELS
            or len(pixels.raw) != images * PIXELS
            or any(not isinstance(column, list) or len(column) != images for column in labels)
        ):
            raise Failure(DATA, f"{name}: not the python version of {self.data.name}")
        return records(labels, [pixels.raw[i * PIXELS : (i + 1) * PIXELS] for i in range(images)], name)

    def convert(self, split, path):
        """A parquet file of PNG pictures. The batches may stand in another order: their hashes name them."""
        names = [name for name in self.data.files if name.startswith("test") == (split == "test")]
        content = from_parquet(path, self.data.columns)
        size = self.data.files[names[0]][0]
        by_hash = {self.data.files[name][1]: name for name in names}
        blocks = [content[at : at + size] for at in range(0, len(content), size)]
        for position, block in enumerate(blocks[: len(names)]):
            self.store(by_hash.get(hashlib.sha256(block).hexdigest(), names[position]), block)


def records(labels, pixels, name):
    try:
        heads = [bytes(column) for column in zip(*labels)]
    except (TypeError, ValueError) as error:
        raise Failure(DATA, f"{name}: a label that is no byte ({error})") from error
    return b"".join(part for record in zip(heads, pixels) for part in record)


def from_parquet(path, columns):
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, columns=["img", *columns]).to_pydict()
        pixels = [png.rgb_planes(image["bytes"], 32, 32) for image in table["img"]]
        return records([table[column] for column in columns], pixels, path)
    except (pyarrow.ArrowException, ValueError, KeyError, TypeError) as error:
        raise Failure(DATA, f"{path}: not the parquet file of CIFAR, or damaged ({error})") from error


def has_pyarrow():
    try:
        import pyarrow.parquet  # noqa: F401

        return True
    except ImportError:
        return False


def chosen_sources(data, options):
    if options.from_file:
        path = pathlib.Path(options.from_file)
        if not path.is_file():
            raise Failure(USAGE, f"--from-file {path}: no such file")
        return [Source("file", str(path))]
    if options.url:
        return [Source("binary", options.url)]
    return list(data.sources)


def get(options, terminal):
    data = SETS[options.data]
    dest = pathlib.Path(options.dest or f"data/{data.name}")
    folder = dest / data.folder
    if options.verify:
        return verify(data, folder, terminal)
    found = broken(data, folder)
    kept = len(data.files) - len(found)
    if not found:
        terminal.result(f"{folder} is complete: {len(data.files)} files, {in_bytes(data.bytes)}, SHA-256 as expected")
        return
    sources = chosen_sources(data, options)
    needed = data.bytes + max(source.size for source in sources)
    terminal.note(
        f"{data.name}  {len(data.files)} files, {in_bytes(data.bytes)}, {kept} already there; needs "
        f"{in_bytes(needed)} for a while, free {in_bytes(free_space(dest))}"
    )
    if options.dry_run:
        for number, source in enumerate(sources, 1):
            terminal.result(f"source {number}: {shown(source.url)} ({source.form})")
        terminal.result(f"would write {folder}; nothing was done (--dry-run)")
        return
    require_space(dest, needed)
    with Workplace(dest) as work:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise writing_failed(error, folder) from error
        source = from_any(sources, Unpacker(data, folder, work.scratch), work, options, terminal)
        for name, classes in data.names.items():
            write_whole(folder / name, ("\n".join(classes) + "\n").encode(), work.scratch)
        write_json(
            dest / "dataset.json",
            {
                "v": 1,
                "name": data.name,
                "source": shown(source.url),
                "bytes": data.bytes,
                "licence": LICENCE,
                "files": {
                    f"{data.folder}/{name}": {"bytes": size, "sha256": sha256}
                    for name, (size, sha256) in data.files.items()
                },
            },
            work.scratch,
        )
    terminal.result(
        f"{folder}: {len(data.files)} files, {in_bytes(data.bytes)}, SHA-256 as expected\n"
        f"next: dino_knn --baseline pixels --data {dest}"
    )


def from_any(sources, unpacker, work, options, terminal):
    """Tries the sources in their order. Returns the one that worked."""
    usable = [source for source in sources if source.form != "parquet" or has_pyarrow()]
    reasons = [f"{shown(s.url)}: needs pyarrow, which is not installed" for s in sources if s not in usable]
    for source in usable:
        try:
            from_one(source, unpacker, work, source is usable[-1], options, terminal)
            for part in work.path.glob(f"{unpacker.data.name}-*.part"):  # of a source that was given up
                part.unlink()
            return source
        except Unavailable as error:
            reasons.append(f"{shown(source.url)}: {error}")
            terminal.note(f"  {reasons[-1]}")
    remedy = (
        "Leave out --url to try the known sources"
        if options.url
        else (
            f"Run the same command again, or fetch {unpacker.data.name}-binary.tar.gz by other means and name it with "
            "--from-file"
        )
    )
    raise Failure(NETWORK, f"{unpacker.data.name}: no source delivers it.\n  " + "\n  ".join(reasons) + f"\n{remedy}")


def from_one(source, unpacker, work, patient, options, terminal):
    if source.form == "file":
        unpacker.unpack(pathlib.Path(source.url), terminal)
        if unpacker.missing:
            raise Failure(DATA, f"{source.url}: {complaint(unpacker)}. Is it the right archive?")
        return
    parts = [(source, None)]
    if source.form == "parquet":
        parts = [
            (dataclasses.replace(source, url=source.url.format(split), size=size, sha256=sha256), split)
            for split, (size, sha256) in unpacker.data.parquet.items()
        ]
    paths = []
    for part, split in parts:
        paths.append(download(part, unpacker, split, work, patient, terminal))
    if unpacker.missing:
        for path in paths:
            path.unlink(missing_ok=True)
        raise Unavailable(complaint(unpacker))
    for path in paths:
        if not options.keep_shards:
            path.unlink(missing_ok=True)


def complaint(unpacker):
    if unpacker.missing == set(unpacker.data.files) and not unpacker.wrong:
        return f"no file of {unpacker.data.name} is in it"
    return ", ".join(unpacker.wrong.get(name, f"{name} is not in it") for name in sorted(unpacker.missing))


def download(source, unpacker, split, work, patient, terminal):
    """Fetches one file and unpacks it; once more from the start if it was continued and is wrong."""
    name = unpacker.data.name
    known = source.sha256 or source.size  # another address of the user's may hold something else
    label = source.form if known else hashlib.sha256(source.url.encode()).hexdigest()[:8]
    ending = f"-{split}.parquet" if split else ".tar.gz"
    path = work.path / f"{name}-{label}{ending}"
    part = path.with_name(path.name + ".part")
    terminal.note(f"  from {shown(source.url)}")
    for second in (False, True):
        continued = received(part) > 0
        if not path.is_file():
            fetch(source.url, part, terminal, source.size or None, b"PAR1" if split else b"\x1f\x8b", patient)
        else:
            part = path
        problem = ""
        if source.sha256 and digest(part) != source.sha256:
            problem = "the SHA-256 is wrong"
        else:
            if part != path:
                os.replace(part, path)
            try:
                unpacker.convert(split, path) if split else unpacker.unpack(path, terminal)
            except Failure as error:
                if error.code == RESOURCES:
                    raise
                problem = str(error)
        if not problem:
            return path
        part.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        part = path.with_name(path.name + ".part")
        if second or not continued:
            raise Unavailable(problem)
        terminal.note(f"  {problem} after a continued download; once more from the start")


def verify(data, folder, terminal):
    found = broken(data, folder)
    if not found:
        terminal.result(f"{folder}: {len(data.files)} files, {in_bytes(data.bytes)}, SHA-256 as expected")
        return
    raise Failure(
        DATA,
        "\n".join(f"{folder / name} {reason}" for name, reason in found.items())
        + "\nRun the same command without --verify: these files are fetched again",
    )
