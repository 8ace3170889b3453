"""What is written: complete or not at all. One process per folder; hashes; space."""

import fcntl
import hashlib
import json
import os
import shutil

from get_data.failure import DATA, RESOURCES, Failure, in_bytes, writing_failed

BLOCK = 1 << 20


def digest(path, algorithm="sha256"):
    """The hash of a file, in hex."""
    state = hashlib.new(algorithm)
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def write_whole(path, content, scratch):
    """Writes bytes to a file of the folder `scratch` (same file system), then renames it to `path`."""
    temporary = scratch / f"{os.getpid()}-{path.name}"
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise writing_failed(error, path) from error


def write_json(path, content, scratch):
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode(), scratch)


def existing_parent(path):
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def free_space(path):
    return shutil.disk_usage(existing_parent(path)).free


def require_space(path, needed):
    """Throws when the file system of `path` has less than `needed` bytes and 2 % of them left."""
    free = free_space(path)
    if free < needed * 1.02:
        raise Failure(
            RESOURCES,
            f"{path}: {in_bytes(needed)} are needed, {in_bytes(free)} are free. Free some, or choose "
            "another disk with --dest",
        )


class Workplace:
    """The hidden folder of a data set, DEST/.get_data, locked while this object is open. Holds what is unfinished."""

    def __init__(self, dest):
        self.dest, self.path = dest, dest / ".get_data"
        self.scratch = self.path / "tmp"

    def __enter__(self):
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.lock = open(self.path / "lock", "a+")
        except OSError as error:
            raise writing_failed(error, self.path) from error
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.lock.seek(0)
            who = self.lock.read(32).strip() or "another one"
            self.lock.close()
            raise Failure(RESOURCES, f"{self.dest} is in use by process {who}. Wait for it, or end it") from error
        self.lock.truncate(0)
        self.lock.write(f"{os.getpid()}\n")
        self.lock.flush()
        self.clear()
        return self

    def __exit__(self, *error):
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.lock.close()

    def clear(self):
        """Removes what an interrupted run left half written."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        try:
            self.scratch.mkdir()
        except OSError as error:
            raise writing_failed(error, self.scratch) from error


def read_lines(path):
    """The complete lines of a text file of ours; none if it is not there. A line cut by a crash is left out."""
    if not path.exists():
        return []
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise Failure(DATA, f"{path} is damaged: {error}. Delete it and run the same command again") from error
    return text.split("\n")[:-1]
