"""tar.gz and pickle from people who are not trusted. A name in an archive selects; it never becomes a path."""

import gzip
import io
import pickle
import posixpath
import tarfile
import zlib

from get_data.failure import DATA, Failure


class Bounded(io.RawIOBase):
    """Reads gzip, and stops an archive that unpacks to more than `limit` bytes."""

    def __init__(self, path, limit):
        self.path, self.left = path, limit
        self.file = gzip.open(path, "rb")

    def readable(self):
        return True

    def readinto(self, buffer):
        count = self.file.readinto(buffer)
        self.left -= count
        if self.left < 0:
            raise Failure(DATA, f"{self.path}: unpacks to far more than it should. Refused")
        return count

    def close(self):
        self.file.close()
        super().close()


def members(path, limit, wanted, terminal):
    """(base name, content) of the regular files of a tar.gz for which wanted(base name, size) holds, in order. Links,
    devices and folders are passed over; absolute names and names with '..' are refused with a message. Throws Failure
    when the archive is cut or damaged, or unpacks to more than `limit` bytes."""
    try:
        with Bounded(path, limit) as raw, tarfile.open(fileobj=raw, mode="r|") as archive:
            for member in archive:
                name = posixpath.basename(member.name)
                if member.name.startswith("/") or ".." in member.name.split("/"):
                    terminal.note(f"  archive member {member.name[:100]!r} refused")
                elif member.isreg() and wanted(name, member.size):
                    yield name, archive.extractfile(member).read()
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise Failure(DATA, f"{path}: no tar.gz archive, or cut or damaged ({error})") from error


class Array:
    """Stands in for numpy.ndarray: keeps the shape and the raw bytes."""

    shape, raw = (), b""

    def __setstate__(self, state):
        _, self.shape, _, _, raw = state
        self.raw = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)


class Type:
    """Stands in for numpy.dtype."""

    def __init__(self, *arguments):
        pass

    def __setstate__(self, state):
        pass


class ArrayUnpickler(pickle.Unpickler):
    """Knows arrays and nothing else, so nothing that a pickle names is ever run."""

    known = {"_reconstruct": lambda *arguments: Array(), "ndarray": Array, "dtype": Type}
    modules = {
        "_reconstruct": ("numpy.core.multiarray", "numpy._core.multiarray"),
        "ndarray": ("numpy",),
        "dtype": ("numpy",),
    }

    def find_class(self, module, name):
        if module not in self.modules.get(name, ()):
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return self.known[name]


def load_arrays(content, name):
    """A pickled dictionary of lists, texts and arrays."""
    try:
        loaded = ArrayUnpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything
        raise Failure(DATA, f"{name}: pickle refused: {error}") from error
    if not isinstance(loaded, dict):
        raise Failure(DATA, f"{name}: a pickled {type(loaded).__name__}, expected a dictionary")
    return loaded
