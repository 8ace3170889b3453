"""What is done: a journal of shards, and an index of every image with its CRC-32, by which damage is found later."""

import hashlib
import json
import threading
import zlib

from get_data.failure import DATA, Failure, in_bytes
from get_data.files import Workplace, read_lines, write_whole


class Journal:
    """Which shards are done: one JSON line each, written after their images are on the disk."""

    def __init__(self, work, revision):
        """Lines of another revision of the data set do not count."""
        self.path, self.scratch, self.lock = work.path / "journal.jsonl", work.scratch, threading.Lock()
        self.entries = {}
        for line in read_lines(self.path):
            try:
                entry = json.loads(line)
                self.entries[entry["shard"]] = entry
            except (ValueError, KeyError, TypeError) as error:
                raise Failure(DATA, f"{self.path} is damaged. Delete it and run the same command again") from error
        self.entries = {name: entry for name, entry in self.entries.items() if entry.get("revision") == revision}

    def save(self):
        """All lines anew, so that a crash leaves the old file or the new one."""
        write_whole(
            self.path, "".join(json.dumps(entry) + "\n" for entry in self.entries.values()).encode(), self.scratch
        )

    def add(self, entry):
        with self.lock:
            self.entries[entry["shard"]] = entry
            self.save()

    def done(self, name, wanted=None):
        """Whether all images of a shard are there, or as many as are wanted."""
        entry = self.entries.get(name)
        return bool(entry) and (entry["complete"] or (wanted is not None and entry["images"] >= wanted))


def index_lines(path):
    """(relative path, bytes, CRC-32) of each line of an index."""
    for line in read_lines(path):
        try:
            name, size, crc = line.split("\t")
            yield name, int(size), int(crc, 16)
        except ValueError as error:
            raise Failure(
                DATA, f"{path} is damaged. Delete {path.parent.parent} and run the command without --verify"
            ) from error


def manifest_of(index, entries):
    """Bytes of all images, and the SHA-256 over (path, size) in bytewise order."""
    lines, total = [], 0
    for entry in entries:
        for name, size, _ in index_lines(index / f"{entry['shard']}.tsv"):
            lines.append(f"{name}\t{size}\n")
            total += size
    return total, hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def verify(dest, revision, terminal):
    """Reads every image and compares it with the index: a flipped bit mostly escapes a decoder. Shards with damage are
    taken out of the journal, so that the next run fetches them again."""
    if not (dest / ".get_data" / "journal.jsonl").is_file():
        raise Failure(
            DATA,
            f"{dest}: nothing to verify, {dest / '.get_data' / 'journal.jsonl'} is missing. Run the same "
            "command without --verify",
        )
    with Workplace(dest) as work:
        journal = Journal(work, revision)
        damaged, images, size, broken = [], 0, 0, []
        for entry in list(journal.entries.values()):
            wrong = []
            index = work.path / "index" / f"{entry['shard']}.tsv"
            lines = list(index_lines(index))
            if len(lines) != entry["images"]:
                wrong.append(f"{index} has {len(lines)} lines instead of {entry['images']}")
            for name, length, crc in lines:
                reason = compare(dest / name, length, crc)
                if reason:
                    wrong.append(f"{dest / name} {reason}")
                images, size = images + 1, size + length
            if wrong:
                damaged += wrong
                broken.append(entry["shard"])
        if not damaged:
            terminal.result(f"{dest}: {images:,} images, {in_bytes(size)}, all as they were written")
            return
        for shard in broken:
            del journal.entries[shard]
        journal.save()
    more = f"\n... and {len(damaged) - 10} more" if len(damaged) > 10 else ""
    raise Failure(
        DATA,
        "\n".join(damaged[:10])
        + more
        + f"\nRun the same command without --verify: {len(broken)} "
        f"shard{'s are' if len(broken) != 1 else ' is'} fetched again",
    )


def compare(path, size, crc):
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if len(content) != size:
        return f"has {in_bytes(len(content))} instead of {in_bytes(size)}"
    return "" if zlib.crc32(content) == crc else "is damaged: another CRC-32 than when it was written"
