"""Errors for people, and the only way by which text leaves the program."""

import errno
import sys
import time
import urllib.parse

USAGE, DATA, RESOURCES, NETWORK, INTERNAL, INTERRUPTED, TERMINATED = 2, 3, 6, 7, 70, 130, 143

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Failure(Exception):
    """Ends the program with this exit code. The text says what failed, why, and what to do."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def writing_failed(error, path):
    """What an OSError means that came from writing `path`."""
    if error.errno in NO_SPACE:
        return Failure(
            RESOURCES,
            f"no space left for {path}: {error.strerror}. Free some and run the same command "
            "again: what is complete is kept",
        )
    return Failure(RESOURCES, f"cannot write {path}: {error.strerror or error}. Choose another folder with --dest")


def in_bytes(count):
    """1,234 bytes, 12.3 kB, 170.1 MB, 6.7 GB: powers of 1000."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e4, "kB")):
        if count >= limit:
            return f"{count / (1e3 if unit == 'kB' else limit):.1f} {unit}"
    return f"{count:,} bytes"


def in_time(seconds):
    """45s, 10m 44s, 3h 12m, 1d 03:12"""
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60:02d}s"
    if seconds < 86400:
        return f"{seconds // 3600}h {seconds // 60 % 60:02d}m"
    return f"{seconds // 86400}d {seconds // 3600 % 24:02d}:{seconds // 60 % 60:02d}"


def shown(url):
    """A URL without what may be secret in it: user, password, query."""
    parts = urllib.parse.urlsplit(url)
    path = parts.path.replace("{}", "{train,test}")  # of a source in two files
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))


class Terminal:
    """Results go to stdout, all else to stderr. What hide() was told is replaced wherever it might appear."""

    def __init__(self):
        self.secrets = []
        self.line = 0  # characters of the progress line that stands on the terminal

    def hide(self, secret):
        if secret:
            self.secrets.append(secret)

    def clean(self, text):
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)

    def write(self, stream, text):
        if self.line:
            sys.stderr.write("\r" + " " * self.line + "\r")
            self.line = 0
        print(self.clean(text), file=stream, flush=True)

    def result(self, text):
        self.write(sys.stdout, text)

    def note(self, text):
        self.write(sys.stderr, text)

    def progress(self, text):
        text = self.clean(text)
        sys.stderr.write("\r" + text.ljust(self.line))
        sys.stderr.flush()
        self.line = len(text)


class Progress:
    """How far, how fast, how long: one line that is renewed on a terminal, a line now and then elsewhere."""

    def __init__(self, terminal, name, total, done=0):
        self.terminal, self.name, self.total, self.done = terminal, name, total, done
        self.live = sys.stderr.isatty()
        self.every = 0.2 if self.live else 30.0
        self.last = time.monotonic()
        self.marks = [(self.last, done)]  # for the rate: at most the last 20 lines or seconds

    def set(self, done, tail=""):
        self.done = done
        now = time.monotonic()
        if now - self.last < self.every:
            return
        self.last = now
        self.marks = self.marks[-20:] + [(now, done)]
        rate = (done - self.marks[0][1]) / (now - self.marks[0][0])
        text = f"  {self.name}"
        if self.total:
            text += f"  {100 * done // self.total}%"
        text += f"  {in_bytes(done)}  {in_bytes(max(rate, 0))}/s" if rate >= 1 else f"  {in_bytes(done)}"
        if self.total and rate >= 1:
            text += f"  ETA {in_time(max(self.total - done, 0) / rate)}"
        (self.terminal.progress if self.live else self.terminal.note)(text + tail)
