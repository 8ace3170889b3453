"""ImageNet-1k: parquet shards of the hub to train/<wnid>/*.JPEG and val/<wnid>/*.JPEG, with the original bytes."""

import concurrent.futures
import os
import pathlib
import re
import shutil
import threading
import zlib
from dataclasses import dataclass

from get_data.failure import DATA, NETWORK, Failure, Progress, in_bytes, writing_failed
from get_data.files import Workplace, digest, free_space, read_lines, require_space, write_json, write_whole
from get_data.hub import Hub
from get_data.journal import Journal, manifest_of, verify

REPO = "ILSVRC/imagenet-1k"
REVISION = "49e2ee26f3810fb5a7536bbf732a7b07389a47b5"
SPLITS = {"train": ("train", 1_281_167), "val": ("validation", 50_000)}  # our folder -> name in the repository, images
CLASSES = 1000
IMAGE_BYTES = 130_000  # for the space that --limit needs
MOST_BAD = 0.001  # of the rows of a shard
LICENCE = "research, non-commercial; terms: https://huggingface.co/datasets/ILSVRC/imagenet-1k"


@dataclass(frozen=True)
class Shard:
    split: str  # our folder
    path: str  # in the repository
    size: int
    sha256: str  # "": not told

    @property
    def name(self):
        return self.path.rpartition("/")[2].removesuffix(".parquet")


def find_shards(files, splits):
    """The shards of each split, in order. A listing with a hole is refused."""
    shards = {}
    for split in splits:
        pattern = re.compile(rf"data/{SPLITS[split][0]}-(\d{{5}})-of-(\d{{5}})\.parquet")
        found = sorted(
            (match[1], int(match[2]), Shard(split, path, size, sha256))
            for path, size, sha256 in files
            if (match := pattern.fullmatch(path))
        )
        numbers = [int(number) for number, _, _ in found]
        if not found or any(total != len(found) for _, total, _ in found) or numbers != list(range(len(found))):
            raise Failure(
                NETWORK,
                f"{REPO} at revision {REVISION[:7]} lists {len(found)} shards of {SPLITS[split][0]}: "
                "incomplete. Run the same command again later",
            )
        shards[split] = [shard for _, _, shard in found]
    return shards


class Classes:
    """label <-> wnid as the shards tell it: one to one, and both in the same order."""

    def __init__(self, work):
        self.path, self.scratch, self.lock = work.path / "classes.tsv", work.scratch, threading.Lock()
        self.wnids = {}
        for line in read_lines(self.path):
            label, _, wnid = line.partition("\t")
            if not label.isdecimal():
                raise Failure(DATA, f"{self.path} is damaged. Delete it and run the same command again")
            self.wnids[int(label)] = wnid

    def learn(self, pairs, where):
        """Throws Failure when the pairs of a shard contradict each other or those of earlier shards."""
        with self.lock:
            wnids = dict(self.wnids)
            for label, wnid in sorted(pairs):
                if not 0 <= label < CLASSES:
                    raise Failure(
                        DATA, f"{where}: label {label}, expected 0..{CLASSES - 1}: not the labelled ImageNet-1k"
                    )
                if wnids.setdefault(label, wnid) != wnid:
                    raise Failure(
                        DATA, f"{where}: label {label} is {wnid} and {wnids[label]}: not the labelled ImageNet-1k"
                    )
            ordered = [wnids[label] for label in sorted(wnids)]
            if any(a >= b for a, b in zip(ordered, ordered[1:])):
                raise Failure(
                    DATA, f"{where}: the labels do not follow the order of the wnids: not ImageNet-1k as published"
                )
            if wnids != self.wnids:
                self.wnids = wnids
                write_whole(self.path, "".join(f"{k}\t{wnids[k]}\n" for k in sorted(wnids)).encode(), self.scratch)


def target(name, label):
    """(wnid, file name) of a row, or a text that says what is wrong with it. Nothing else of a row becomes a path."""
    if name is None or label is None:
        return "without a name or a label"
    match = re.fullmatch(r"([A-Za-z0-9_]{1,100})_(n[0-9]{8})\.JPEG", name)
    return (match[2], match[1] + ".JPEG") if match else f"named {name[:80]!r}"


class Extractor:
    """Writes the images of shards."""

    def __init__(self, dest, work, parquet, terminal):
        import pyarrow

        self.arrow, self.parquet = pyarrow, parquet
        self.dest, self.work, self.terminal = dest, work, terminal
        self.classes = Classes(work)

    def extract(self, shard, path, limit=None, only=None):
        """limit: at most so many images. only: the wnids that are taken. Returns the entry for the journal."""
        try:
            file = self.parquet.ParquetFile(path, memory_map=True, pre_buffer=False, page_checksum_verification=True)
            self.check_schema(file.schema_arrow, shard)
            targets, bad = self.plan(file, shard)
            lines = self.write(file, shard, targets, bad, limit, only)
        except (self.arrow.ArrowException, EOFError) as error:
            raise Failure(
                DATA, f"{shard.path}: not a parquet file, or damaged ({str(error)[:200]}). Run the same command again"
            ) from error
        os.sync()
        folder = self.work.path / "index"
        folder.mkdir(exist_ok=True)
        write_whole(folder / f"{shard.name}.tsv", "".join(lines).encode(), self.work.scratch)
        return {
            "shard": shard.name,
            "split": shard.split,
            "rows": len(targets),
            "images": len(lines),
            "bad": len(bad),
            "bytes": shard.size,
            "sha256": shard.sha256 or digest(path),
            "revision": REVISION,
            "complete": limit is None or (only is None and len(lines) + len(bad) == len(targets)),
        }

    def check_schema(self, schema, shard):
        arrow = self.arrow
        expected = {
            "image": arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]),
            "label": arrow.int64(),
        }
        for name, kind in expected.items():
            found = schema.field(name).type if name in schema.names else "missing"
            if found != kind:
                raise Failure(
                    DATA, f"{shard.path}: column {name} is {found}, expected {kind}: not ImageNet-1k as published"
                )

    def plan(self, file, shard):
        """Where each row goes, and the rows that go nowhere, from names and labels; before anything is written."""
        targets, bad, seen, pairs = [], [], set(), set()
        for batch in file.iter_batches(batch_size=4096, columns=["image.path", "label"], use_threads=False):
            for name, label in zip(batch.column("image").field("path").to_pylist(), batch.column("label").to_pylist()):
                place = target(name, label)
                if place in seen:
                    place = f"named {name!r} twice"
                if isinstance(place, str):
                    self.report(bad, file, shard, len(targets), place)
                    place = None
                else:
                    seen.add(place)
                    pairs.add((label, place[0]))
                targets.append(place)
        self.classes.learn(pairs, shard.path)
        return targets, bad

    def report(self, bad, file, shard, row, reason):
        """A bad row is named and left out; too many of them are an error."""
        bad.append(row)
        rows = file.metadata.num_rows
        if len(bad) > MOST_BAD * rows:
            raise Failure(
                DATA,
                f"{shard.path} row {row}: {reason}. {len(bad)} of {rows} rows are bad, more than "
                f"{100 * MOST_BAD:g} %: not ImageNet-1k as published",
            )
        self.terminal.note(f"  {shard.path} row {row}: {reason}; left out")

    def write(self, file, shard, targets, bad, limit, only):
        """Writes the images and returns the lines of the index: path, bytes, CRC-32."""
        lines, row, folders = [], 0, set()
        temporary = self.work.scratch / shard.name
        for batch in file.iter_batches(batch_size=64, columns=["image"], use_threads=False):
            for data in batch.column("image").field("bytes"):
                place, row = targets[row], row + 1
                if place is None or (only is not None and place[0] not in only):
                    continue
                if limit is not None and len(lines) >= limit:
                    return lines
                content = data.as_py()
                if not content:
                    self.report(bad, file, shard, row - 1, "without an image")
                    continue
                folder = self.dest / shard.split / place[0]
                try:
                    if folder not in folders:
                        folder.mkdir(parents=True, exist_ok=True)
                        folders.add(folder)
                    temporary.write_bytes(content)
                    os.replace(temporary, folder / place[1])
                except OSError as error:
                    raise writing_failed(error, folder / place[1]) from error
                lines.append(f"{shard.split}/{place[0]}/{place[1]}\t{len(content)}\t{zlib.crc32(content):08x}\n")
        return lines


class Download:
    """One run."""

    def __init__(self, hub, every, dest, work, options, terminal):
        self.hub, self.every, self.dest, self.work, self.options, self.terminal = (
            hub,
            every,
            dest,
            work,
            options,
            terminal,
        )
        self.journal = Journal(work, REVISION)
        self.extractor = Extractor(dest, work, hub.parquet, terminal)
        self.shards = work.path / "shards"
        shutil.rmtree(self.shards / ".cache", ignore_errors=True)  # half-written files of an interrupted run
        self.failed = False
        self.tell_kept()

    def check(self, shard, path):
        if path.stat().st_size != shard.size:
            return f"{in_bytes(path.stat().st_size)} have arrived instead of {in_bytes(shard.size)}"
        return "the SHA-256 is wrong" if shard.sha256 and digest(path) != shard.sha256 else ""

    def one(self, shard, limit=None, only=None):
        path = self.shards / shard.path
        if not path.is_file() or self.check(shard, path):
            path.unlink(missing_ok=True)
            path = self.hub.fetch(shard.path, self.shards, lambda file: self.check(shard, file))
        try:
            entry = self.extractor.extract(shard, path, limit, only)
        except Failure as error:
            if error.code == DATA:
                path.unlink(missing_ok=True)
            raise
        self.journal.add(entry)
        self.tell_kept()
        if not self.options.keep_shards:
            path.unlink(missing_ok=True)
        return shard

    def tell_kept(self):
        """Lets messages about a failure say what is done."""
        kept = sum(self.journal.done(shard.name) for shard in self.every)
        self.hub.kept = f" ({kept} of {len(self.every)} files are kept)"

    def unless_failed(self, shard):
        return [] if self.failed else [self.one(shard)]

    def all(self, shards):
        """Several shards at a time. After an error those that run are finished and kept, others are not begun."""
        todo = [shard for shard in shards if not self.journal.done(shard.name)]
        kept = len(shards) - len(todo)
        size = sum(shard.size for shard in todo)
        require_space(self.dest, size + self.options.jobs * max((shard.size for shard in todo), default=0))
        progress = Progress(self.terminal, "", size)
        tail = f"   {kept} shards kept from the last run" if kept else ""
        finished, failure = [], None
        pool = concurrent.futures.ThreadPoolExecutor(self.options.jobs)
        try:
            for future in concurrent.futures.as_completed([pool.submit(self.unless_failed, shard) for shard in todo]):
                try:
                    finished += future.result()
                except Failure as error:
                    self.failed, failure = True, failure or error
                progress.name = f"{kept + len(finished)}/{len(shards)}"
                progress.set(sum(shard.size for shard in finished), tail)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        if failure:
            raise failure

    def some(self, shards, limit, only):
        """The first `limit` images of a split, shard after shard."""
        missing = limit
        for shard in shards:
            if missing <= 0:
                return
            if not self.journal.done(shard.name, missing):
                require_space(self.dest, missing * IMAGE_BYTES + shard.size)
                self.terminal.note(f"  {shard.path}, {in_bytes(shard.size)}")
                self.one(shard, missing, only)
            missing -= self.journal.entries[shard.name]["images"]


def get(options, terminal):
    dest = pathlib.Path(options.dest or "data/imagenet-1k")
    if options.verify:
        return verify(dest, REVISION, terminal)
    hub = Hub(REPO, REVISION, options.env_file, terminal)
    splits = find_shards(hub.list("data"), options.splits)
    every = [shard for split in splits.values() for shard in split]
    terminal.note(
        f"{REPO} @ {REVISION[:7]}  "
        + " + ".join(f"{SPLITS[s][0]} {len(splits[s])}" for s in splits)
        + f" shards, {in_bytes(sum(shard.size for shard in every))}; free {in_bytes(free_space(dest))}  "
        "(research, non-commercial)"
    )
    hub.probe(every[0].path)
    if options.dry_run:
        terminal.result(f"the hub grants access; would write {dest}; nothing was done (--dry-run)")
        return
    with Workplace(dest) as work:
        download = Download(hub, every, dest, work, options, terminal)
        if options.limit is None:
            download.all(every)
        else:
            for split, shards in splits.items():
                train = dest / "train"  # the readers refuse a class that the training images do not have
                only = {path.name for path in train.iterdir()} if split != "train" and train.is_dir() else None
                download.some(shards, options.limit, only)
        finish(dest, download, splits, options, terminal)
        if not options.keep_shards:
            shutil.rmtree(download.shards, ignore_errors=True)


def finish(dest, download, splits, options, terminal):
    """Compares the counts with those of ImageNet and describes the result in classes.txt and dataset.json."""
    entries, wnids, scratch = (
        download.journal.entries.values(),
        download.extractor.classes.wnids,
        download.work.scratch,
    )
    counts = {}
    for split in SPLITS:
        own = [entry for entry in entries if entry["split"] == split]
        if own:
            counts[split] = {key: sum(entry[key] for entry in own) for key in ("images", "bad", "rows")}
            counts[split]["complete"] = all(entry["complete"] for entry in own) and (
                split not in splits or len(own) == len(splits[split])
            )
    if options.limit is None:
        for split in splits:
            if counts[split]["rows"] != SPLITS[split][1]:
                raise Failure(
                    DATA,
                    f"{dest / split}: {counts[split]['rows']:,} images, expected {SPLITS[split][1]:,}: not "
                    "ImageNet-1k as published",
                )
        if len(wnids) != CLASSES:
            raise Failure(DATA, f"{dest}: {len(wnids)} classes, expected {CLASSES}: not ImageNet-1k as published")
    if len(wnids) == CLASSES:
        write_whole(dest / "classes.txt", "".join(f"{wnids[label]}\n" for label in sorted(wnids)).encode(), scratch)
    total, manifest = manifest_of(download.work.path / "index", entries)
    write_json(
        dest / "dataset.json",
        {
            "v": 1,
            "name": "imagenet-1k",
            "source": REPO,
            "revision": REVISION,
            "splits": counts,
            "classes": len(wnids),
            "bytes": total,
            "manifest_sha256": manifest,
            "licence": LICENCE,
        },
        scratch,
    )
    for split in splits:
        bad = counts[split]["bad"]
        terminal.result(
            f"{dest / split}: {counts[split]['images']:,} images" + (f", {bad} bad rows left out" if bad else "")
        )
    terminal.result(f"next: dino_pretrain --data {dest}")
