"""tools/get_data.py against servers that fail, archives that lie and parquet files made here, all on this machine.

    python3 tests/tools/test_get_data.py            all tests; those of imagenet-1k need huggingface_hub and pyarrow
    python3 tests/tools/test_get_data.py --table    the tables of faults in docs/datasets.md, as they are

Every run has a token in HF_TOKEN and is searched for it: what was printed, what was written, what servers received.
"""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import fakes  # noqa: E402
from fakes import closed, cut, drop, elsewhere, flip, hang, portal, redirect, status, whole  # noqa: E402
from get_data import archive, cifar, cifar_sets, command, download, hub, imagenet, png  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKEN = "hf_" + "RecognisableTokenOfTheTests" + "0123456789"
ARCHIVE = "/cifar-10-binary.tar.gz"
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # thousands of small files

try:
    import huggingface_hub  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    missing = ""
except ImportError as error:
    missing = f"{error}: pip install huggingface_hub pyarrow"
needs_modules = unittest.skipIf(missing, missing)

web, second, fake_hub, sets = None, None, None, None
searched = {"runs": 0, "files": 0, "requests": 0, "authorized": 0}


def setUpModule():
    global web, second, fake_hub, sets
    web, second = fakes.Web(), fakes.Web()
    fake_hub = fakes.Hub(second, TOKEN)
    os.environ.update(HF_ENDPOINT=fake_hub.address, HF_HUB_DOWNLOAD_TIMEOUT="2", HF_HUB_ETAG_TIMEOUT="2")
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    sets = fakes.install(web.address)
    for data in sets.values():
        web.files[f"/{data.name}-binary.tar.gz"] = fakes.binary_archive(data, fakes.cifar_files(data))
    if not missing:
        fake_hub.publish(fakes.imagenet_shards())


def tearDownModule():
    for server in (web, second, fake_hub):
        server.close()


def no_certificates(*arguments, **named):
    """Reading them takes longer than most tests, and the servers speak plain HTTP."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Ended:
    """A run: exit code, stdout, stderr, seconds slept."""

    def __init__(self, code, out, err, slept=()):
        self.code, self.out, self.err, self.slept = code, out, err, list(slept)

    def __repr__(self):
        return f"exit code {self.code}\n{self.out}{self.err}"


class Case(unittest.TestCase):
    """In an empty folder, with servers that do nothing wrong yet."""

    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="get_data.", dir=MEMORY))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.before = os.getcwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, self.before)
        (self.folder / "home").mkdir()
        self.environment = {"HF_TOKEN": TOKEN, "HF_HOME": str(self.folder / "home")}
        for server in (web, second, fake_hub):
            server.reset()

    def run_it(self, *arguments, **environment):
        """Runs get_data.py in this process, without its pauses, and searches for the token."""
        out, err, slept = io.StringIO(), io.StringIO(), []
        handler = signal.getsignal(signal.SIGTERM)
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, {**self.environment, **environment}))
            stack.enter_context(mock.patch("time.sleep", slept.append))
            stack.enter_context(mock.patch("random.uniform", lambda low, high: low))
            stack.enter_context(mock.patch("ssl.create_default_context", no_certificates))
            stack.enter_context(mock.patch("os.sync", lambda: None))  # waits for the whole machine
            stack.enter_context(mock.patch("os.fsync", lambda file: None))
            stack.enter_context(contextlib.redirect_stdout(out))
            stack.enter_context(contextlib.redirect_stderr(err))
            code = command.main(list(arguments))
        signal.signal(signal.SIGTERM, handler)
        ended = Ended(code, out.getvalue(), err.getvalue(), slept)
        self.search(ended)
        return ended

    def search(self, ended):
        """No token in what was printed, in a file, or in what another host than the hub received."""
        self.assertNotIn(TOKEN, ended.out + ended.err)
        for path in self.folder.rglob("*"):
            self.assertNotIn(TOKEN, str(path))
            if path.is_file() and not path.name.endswith((".env", "token")):
                self.assertNotIn(TOKEN.encode(), path.read_bytes(), path)
                searched["files"] += 1
        for method, path, headers in web.requests + second.requests:
            self.assertNotIn(TOKEN, f"{method} {path} {headers}")
            self.assertNotIn("Authorization", {name.title() for name in headers})
            searched["requests"] += 1
        searched["authorized"] += sum(TOKEN in str(headers) for _, _, headers in fake_hub.requests)
        searched["runs"] += 1

    def plain(self, text):
        """Text of a run without what differs from run to run."""
        for server, name in ((web, "SERVER"), (second, "MIRROR"), (fake_hub, "HUB")):
            text = text.replace(server.address, f"https://{name}")
        text = re.sub(r"http://127.0.0.1:\d+", "https://NOBODY", text)
        return re.sub(r"process \d+", "process 4711", text.replace(str(self.folder) + "/", ""))

    def assert_cifar(self, name="cifar-10", dest=None):
        """The set is complete and nothing is left over."""
        data, dest = sets[name], pathlib.Path(dest or f"data/{name}")
        for file, content in fakes.cifar_files(data).items():
            self.assertEqual((dest / data.folder / file).read_bytes(), content)
        left = sorted(path.name for path in (dest / ".get_data").iterdir())
        self.assertEqual([name for name in left if name != "lock"], [])

    def assert_imagenet(self, dest="data/imagenet-1k"):
        expected = fakes.imagenet_expected()
        found = {
            str(path.relative_to(dest)): path.read_bytes()
            for split in ("train", "val")
            for path in pathlib.Path(dest, split).rglob("*")
            if path.is_file()
        }
        self.assertEqual(sorted(found), sorted(expected))
        self.assertEqual(found, expected)
        self.assertEqual(
            sorted(path.name for path in pathlib.Path(dest).iterdir()),
            [".get_data", "classes.txt", "dataset.json", "train", "val"],
        )
        self.assertEqual(pathlib.Path(dest, "classes.txt").read_text().split(), fakes.WNIDS)


# One row of the table: what goes wrong, how the test does it, what the user sees, the exit code.


class Fault:
    """prepare(case) sets the fault up and may return a function that repairs what is not of the servers.
    mended: huggingface_hub tries again by itself since some version; older ones leave it to us, with a message."""

    def __init__(self, title, prepare, code, arguments=(), mended=False):
        self.title, self.prepare, self.code, self.arguments = title, prepare, code, list(arguments)
        self.mended = mended


def at(path, *what, always=None):
    return lambda case: web.fault(path, *what, always=always)


def at_hub(path, *what, always=None):
    return lambda case: fake_hub.fault(path(), *what, always=always)


def at_other(path, *what, always=None):
    return lambda case: second.fault(path(), *what, always=always)


def tree():
    return fake_hub.tree


def shard():
    return fake_hub.shard("data/train-00001-of-00003.parquet")


def stored():
    return "/cdn/data/train-00001-of-00003.parquet"


def patched(target, name, value):
    """A fault inside this machine: lasts until the first run is over."""

    def prepare(case):
        patch = mock.patch.object(target, name, value)
        patch.start()
        return patch.stop

    return prepare


def small_files(case):
    """No file may grow beyond 100 kB: what a full disk looks like to a program, apart from the number of the error."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, old)


def no_space(case):
    """The disk is full at the tenth image."""
    count, write = iter(range(1, 10**6)), pathlib.Path.write_bytes

    def write_or_fail(path, content):
        if next(count) >= 10:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(path, content)

    return patched(pathlib.Path, "write_bytes", write_or_fail)(case)


def in_use(name):
    def prepare(case):
        workplace = pathlib.Path("data", name, ".get_data")
        workplace.mkdir(parents=True)
        lock = open(workplace / "lock", "w")
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        return lock.close

    return prepare


def file_in_the_way(case):
    pathlib.Path("data").write_text("not a folder")
    return lambda: os.unlink("data")


def given(name, content):
    """A file for --from-file, made by content()."""

    def prepare(case):
        pathlib.Path(name).write_bytes(content())

    return prepare


def part_of_archive(size=100_000, flipped=False):
    """What an earlier run has left, right or wrong."""

    def prepare(case):
        content = bytearray(web.files[ARCHIVE][:size])
        if flipped:
            content[size // 2] ^= 1
        workplace = pathlib.Path("data/cifar-10/.get_data")
        workplace.mkdir(parents=True)
        (workplace / "cifar-10-binary.tar.gz.part").write_bytes(content)

    return prepare


def both(*prepares):
    def prepare(case):
        for each in prepares:
            each(case)

    return prepare


def two_sources(case):
    """A second server with the same archive."""
    second.files[ARCHIVE] = web.files[ARCHIVE]
    case.addCleanup(setattr, cifar, "SETS", sets)
    case.addCleanup(second.files.pop, ARCHIVE)
    cifar.SETS = fakes.install(web.address, second.address)


def nobody(case):
    """A source at a port where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        cifar.SETS = fakes.install(f"http://127.0.0.1:{free.getsockname()[1]}")
    return lambda: setattr(cifar, "SETS", sets)


def slow_first(case):
    two_sources(case)
    case.addCleanup(patched(download, "SLOW_SECONDS", 0.3)(case))
    release = threading.Event()
    case.addCleanup(release.set)

    def crawl(handler, path):
        content = web.content(path)
        handler.reply(200, content[:1000], length=len(content))
        for at in range(1000, 20_000, 1000):
            handler.wfile.flush()
            release.wait(0.05)
            handler.wfile.write(content[at : at + 1000])

    web.fault(ARCHIVE, crawl)


def damaged_cifar(case):
    case.assertEqual(case.run_it("cifar-10").code, 0)
    path = pathlib.Path("data/cifar-10/cifar-10-batches-bin/data_batch_2.bin")
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)


def damaged_imagenet(case):
    case.assertEqual(case.run_it("imagenet-1k", "--jobs", "1").code, 0)
    path = sorted(pathlib.Path("data/imagenet-1k/train").rglob("*.JPEG"))[5]
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    sorted(pathlib.Path("data/imagenet-1k/val").rglob("*.JPEG"))[0].unlink()


def hostile_archive():
    """Members that want to be written elsewhere, in front of the right ones."""
    data = sets["cifar-10"]
    link, device, absolute = (
        tarfile.TarInfo("data_batch_1.bin"),
        tarfile.TarInfo("data_batch_2.bin"),
        tarfile.TarInfo("x"),
    )
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device.type = tarfile.CHRTYPE
    absolute.name = "/tmp/data_batch_3.bin"
    return fakes.tar_gz(
        [
            ("../../data_batch_1.bin", b"x"),
            (absolute, b"x"),
            (link, b""),
            (device, b""),
            *((f"any/{name}", content) for name, content in fakes.cifar_files(data).items()),
        ]
    )


def bomb():
    return fakes.tar_gz([("zeros", bytes(80 << 20))])


def pickle_archive():
    call = b"\x80\x02cos\nsystem\n" + fakes.text2(b"touch ran") + b"\x85R."
    return fakes.tar_gz([("cifar-10-batches-py/data_batch_1", call)])


def republished(rows, **kinds):
    """Another first shard of train, with these rows."""

    def prepare(case):
        shards = {**fakes.imagenet_shards(), "data/train-00000-of-00003.parquet": fakes.parquet(rows, **kinds)}
        fake_hub.publish(shards)
        case.addCleanup(lambda: fake_hub.publish(fakes.imagenet_shards()))
        return lambda: fake_hub.publish(fakes.imagenet_shards())

    return prepare


def changed_row(position, **what):
    rows = fakes.rows_of("train", 0)
    data, path, label = rows[position]
    rows[position] = (what.get("data", data), what.get("path", path), what.get("label", label))
    return rows


SERVER_FAULTS = [
    Fault("the connection is lost", at(ARCHIVE, drop(150_000)), 0),
    Fault("it is lost again and again", at(ARCHIVE, *[drop(30_000)] * 12), 0),
    Fault("the server closes without an answer", at(ARCHIVE, always=closed), 7),
    Fault("nothing listens there", nobody, 7),
    Fault("401", at(ARCHIVE, always=status(401)), 7),
    Fault("403", at(ARCHIVE, always=status(403)), 7),
    Fault("404", at(ARCHIVE, always=status(404)), 7),
    Fault("429 with `Retry-After: 7`", at(ARCHIVE, status(429, Retry_After="7")), 0),
    Fault("503, then well", at(ARCHIVE, status(503), status(503)), 0),
    Fault("500 for good", at(ARCHIVE, always=status(500)), 7),
    Fault("a page of the network to log in", at(ARCHIVE, always=portal), 7),
    Fault("a redirect to a file of this machine", at(ARCHIVE, always=redirect("file:///etc/passwd")), 7),
    Fault("redirects without end", at(ARCHIVE, always=redirect(ARCHIVE)), 7),
    Fault("the file is shorter than the original", at(ARCHIVE, always=cut), 7),
    Fault("a bit is wrong", at(ARCHIVE, always=flip), 7),
    Fault("a bit is wrong in what was there before", part_of_archive(flipped=True), 0),
    Fault("200 to a request to continue", both(part_of_archive(), at(ARCHIVE, whole)), 0),
    Fault("206 from another place", both(part_of_archive(), at(ARCHIVE, elsewhere)), 0),
    Fault("416 to a request to continue", both(part_of_archive(), at(ARCHIVE, status(416))), 0),
    Fault("slower than 200 kB/s for 20 s", slow_first, 0),
    Fault("the first source is gone", both(two_sources, at(ARCHIVE, always=status(410))), 0),
]

MACHINE_FAULTS = [
    Fault(
        "not enough space", patched(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 200_000)), 6
    ),
    Fault("the disk becomes full", small_files, 6),
    Fault("a file where the folder should be", file_in_the_way, 6),
    Fault("two runs in one folder", in_use("cifar-10"), 6),
    Fault(
        "`--from-file`: the archive is cut",
        given("x.tar.gz", lambda: web.files[ARCHIVE][:200_000]),
        3,
        arguments=["--from-file", "x.tar.gz"],
    ),
    Fault(
        "`--from-file`: no archive",
        given("x.tar.gz", lambda: b"PK" + bytes(5000)),
        3,
        arguments=["--from-file", "x.tar.gz"],
    ),
    Fault(
        "`--from-file`: of CIFAR-100",
        given("x.tar.gz", lambda: web.files["/cifar-100-binary.tar.gz"]),
        3,
        arguments=["--from-file", "x.tar.gz"],
    ),
    Fault(
        "`--from-file`: members `../..`, `/tmp/...`, links, devices",
        given("x.tar.gz", hostile_archive),
        0,
        arguments=["--from-file", "x.tar.gz"],
    ),
    Fault("`--from-file`: unpacks without end", given("x.tar.gz", bomb), 3, arguments=["--from-file", "x.tar.gz"]),
    Fault(
        "`--from-file`: a pickle that runs a command",
        given("x.tar.gz", pickle_archive),
        3,
        arguments=["--from-file", "x.tar.gz"],
    ),
    Fault("a file was damaged later", damaged_cifar, 3, arguments=["--verify"]),
    Fault("a token as argument", lambda case: None, 2, arguments=["--token", TOKEN]),
]

HUB_FAULTS = [
    Fault("no token", lambda case: case.environment.pop("HF_TOKEN") and case.environment.update(HF_TOKEN=""), 7),
    Fault("a token that is not valid", lambda case: case.environment.update(HF_TOKEN="hf_expired"), 7),
    Fault("the terms are not accepted", at_hub(shard, always=status(403, X_Error_Code="GatedRepo")), 7),
    Fault("the repository has changed (404)", at_hub(tree, always=status(404, X_Error_Code="RevisionNotFound")), 7),
    Fault("429 with `Retry-After: 3`", at_hub(tree, status(429, Retry_After="3")), 0, mended=True),
    Fault("503, then well", at_other(stored, status(503)), 0),
    Fault("500 for good", at_other(stored, always=status(500)), 7),
    Fault("a page of the network to log in", at_hub(tree, always=portal), 7),
    Fault("the connection is lost", at_other(stored, drop(1000)), 0, mended=True),
    Fault("it is lost at once, for good", at_other(stored, always=drop(0)), 7),
    Fault("a file is cut", at_other(stored, cut), 0),
    Fault("a bit is wrong", at_other(stored, flip), 0),
    Fault("a bit is wrong, for good", at_other(stored, always=flip), 7),
    Fault("columns of another type", republished(fakes.rows_of("train", 0), label="int32"), 3),
    Fault("images without labels (-1)", republished(changed_row(3, label=-1)), 3),
    Fault("one label for two classes", republished(changed_row(1, label=2)), 3),
    Fault(
        "labels in another order",
        republished([(data, path, 9 - label) for data, path, label in fakes.rows_of("train", 0)]),
        3,
    ),
    Fault(
        "a name that leads out of the folder", republished(changed_row(2, path=f"../../x_{fakes.WNIDS[4]}.JPEG")), 3
    ),
    Fault("a row without an image", republished(changed_row(2, data=None)), 3),
    Fault("not enough space", patched(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 20_000)), 6),
    Fault("the disk becomes full", no_space, 6),
    Fault("two runs in one folder", in_use("imagenet-1k"), 6),
    Fault("images damaged or lost later", damaged_imagenet, 3, arguments=["--verify"]),
]


def seen(case, ended):
    """What the user sees of a fault, on one line: the error, or else what was said on the way."""
    lines = case.plain(ended.err).strip().split("\n")
    errors = [i for i, line in enumerate(lines) if line.startswith("error:")]
    if errors:
        lines = lines[errors[0] :]
    else:
        lines = [line for line in lines if not re.match(r"cifar-10  |ILSVRC|  from |  cifar-10-|\s+\d+/\d+", line)]
        lines = lines[:1] + (["..."] if len(lines) > 2 else []) + (lines[-1:] if len(lines) > 1 else [])
    if lines and "no source delivers it" in lines[0]:
        lines = lines[1:-1]
    text = re.sub(
        r"(of|sent|:) [\d.]+ [kM]B( \(| are needed|; try|$)", r"\1 SIZE\2", "\n".join(lines), flags=re.MULTILINE
    )
    return (
        " / ".join(line.strip() for line in text.split("\n")).replace(f"https://SERVER{ARCHIVE}", "URL") or "nothing"
    )


class Faults(Case):
    """Each fault: what the user sees, the exit code, and that the same command then completes."""

    rows = {}

    def provoke(self, data, fault):
        repair = fault.prepare(self)
        jobs = ["--jobs", "1"] if data == "imagenet-1k" else []  # so that the order is always the same
        ended = self.run_it(data, *jobs, *fault.arguments)
        if callable(repair):
            repair()
        for server in (web, second, fake_hub):
            server.faults.clear()
        self.assertEqual(ended.code, fault.code, ended)
        self.assertNotIn("Traceback", ended.err)
        self.environment["HF_TOKEN"] = TOKEN
        again = self.run_it(data)
        self.assertEqual(again.code, 0, again)
        (self.assert_cifar if data == "cifar-10" else self.assert_imagenet)()
        self.assertFalse(pathlib.Path("ran").exists())
        self.assertFalse(pathlib.Path("/tmp/data_batch_3.bin").exists())
        text = "nothing" if fault.mended else seen(self, ended).replace("|", "\\|")
        return (
            f"| {fault.title} | `{text}` | {fault.code} |" if text != "nothing" else f"| {fault.title} | nothing | 0 |"
        )


def add_tests(data, kind, faults, decorate):
    for number, fault in enumerate(faults, 1):

        def test(self, fault=fault):
            row = self.provoke(data, fault)
            Faults.rows.setdefault(kind, {})[fault.title] = row
            if "--table" not in sys.argv:
                self.assertIn(row + "\n", (ROOT / "docs" / "datasets.md").read_text(), "the table of docs/datasets.md")

        test.__doc__ = f"{data}: {fault.title}"
        setattr(Faults, f"test_{kind}_{number:02d}", decorate(test))


add_tests("cifar-10", "server", SERVER_FAULTS, lambda test: test)
add_tests("cifar-10", "machine", MACHINE_FAULTS, lambda test: test)
add_tests("imagenet-1k", "hub", HUB_FAULTS, needs_modules)


class CifarFiles(Case):
    """What becomes of CIFAR where nothing goes wrong."""

    def test_cifar_100_and_description(self):
        ended = self.run_it("cifar-100", "--dest", "d/e")
        self.assertEqual(ended.code, 0, ended)
        self.assert_cifar("cifar-100", "d/e")
        self.assertIn("next: dino_knn --baseline pixels --data d/e", ended.out)
        folder = pathlib.Path("d/e/cifar-100-binary")
        self.assertEqual(len((folder / "fine_label_names.txt").read_text().split()), 100)
        self.assertEqual(len((folder / "coarse_label_names.txt").read_text().split()), 20)
        described = json.loads(pathlib.Path("d/e/dataset.json").read_text())
        self.assertEqual((described["v"], described["name"]), (1, "cifar-100"))
        self.assertEqual(
            described["files"]["cifar-100-binary/test.bin"]["sha256"],
            hashlib.sha256((folder / "test.bin").read_bytes()).hexdigest(),
        )

    def test_complete_data_are_not_fetched_again(self):
        self.assertEqual(self.run_it("cifar-10").code, 0)
        web.requests.clear()
        ended = self.run_it("cifar-10")
        self.assertEqual(ended.code, 0)
        self.assertIn("is complete", ended.out)
        self.assertEqual(web.requests, [])
        self.assertEqual(self.run_it("cifar-10", "--verify").code, 0)

    def test_a_download_is_continued_where_it_stopped(self):
        part_of_archive()(self)
        self.assertEqual(self.run_it("cifar-10").code, 0)
        self.assertEqual([headers.get("Range") for _, _, headers in web.requests], ["bytes=100000-"])

    def test_the_next_mirror_continues_what_the_first_has_sent(self):
        two_sources(self)
        web.fault(ARCHIVE, drop(50_000), always=closed)
        ended = self.run_it("cifar-10")
        self.assertEqual((ended.code, ended.slept), (0, [2]), "no long waits while there is another source")
        self.assertEqual(second.requests[0][2].get("Range"), "bytes=50000-")

    def test_bytes_of_a_source_that_was_given_up_are_removed(self):
        part_of_archive()(self)
        data = sets["cifar-10"]
        web.files["/python.tar.gz"] = fakes.python_archive(data, fakes.cifar_files(data))
        source = cifar_sets.Source("python", web.address + "/python.tar.gz", len(web.files["/python.tar.gz"]))
        with mock.patch.dict(
            cifar.SETS, {data.name: fakes.dataclasses.replace(data, sources=(*data.sources, source))}
        ):
            web.fault(ARCHIVE, always=status(403))
            self.assertEqual(self.run_it("cifar-10").code, 0)
        self.assert_cifar()

    def test_without_pyarrow_the_parquet_files_are_no_source(self):
        data = sets["cifar-10"]
        source = cifar_sets.Source("parquet", web.address + "/{}.parquet")
        with mock.patch.dict(
            cifar.SETS, {data.name: fakes.dataclasses.replace(data, sources=(*data.sources, source))}
        ):
            web.fault(ARCHIVE, always=status(403))
            with mock.patch.dict(sys.modules, {"pyarrow": None, "pyarrow.parquet": None}):
                ended = self.run_it("cifar-10")
        self.assertEqual(ended.code, 7)
        self.assertIn("/{train,test}.parquet: needs pyarrow, which is not installed", ended.err)

    def test_pauses_grow_and_heed_the_server(self):
        web.fault(ARCHIVE, status(503), status(503), status(503), status(429, Retry_After="60"))
        ended = self.run_it("cifar-10")
        self.assertEqual((ended.code, ended.slept), (0, [2, 4, 8, 60]))
        web.fault(ARCHIVE, status(429, Retry_After="999999"))
        self.assertEqual(self.run_it("cifar-10", "--dest", "other").slept, [download.LONGEST_WAIT])

    def test_redirects_to_another_host_are_followed(self):
        second.files["/there.tar.gz"] = web.files[ARCHIVE]
        web.fault(ARCHIVE, always=redirect(second.address + "/there.tar.gz"))
        self.assertEqual(self.run_it("cifar-10").code, 0)
        self.assertEqual(len(second.requests), 1)

    def test_redirects_to_other_protocols_are_not(self):
        web.fault(ARCHIVE, always=redirect("ftp://127.0.0.1/x.tar.gz"))
        ended = self.run_it("cifar-10")
        self.assertEqual(ended.code, 7)
        self.assertIn("redirects to ftp:, which is not followed", ended.err)

    def test_dry_run_writes_nothing_and_asks_nobody(self):
        ended = self.run_it("cifar-10", "--dry-run")
        self.assertEqual(ended.code, 0)
        self.assertIn(f"source 1: {web.address}{ARCHIVE} (binary)", ended.out)
        self.assertEqual((web.requests, os.listdir()), ([], ["home"]))

    def test_archives_are_kept_on_request(self):
        self.assertEqual(self.run_it("cifar-10", "--keep-shards").code, 0)
        self.assertTrue(pathlib.Path("data/cifar-10/.get_data/cifar-10-binary.tar.gz").is_file())

    def test_python_version(self):
        for name, data in sets.items():
            pathlib.Path("python.tar.gz").write_bytes(fakes.python_archive(data, fakes.cifar_files(data)))
            ended = self.run_it(name, "--from-file", "python.tar.gz")
            self.assertEqual(ended.code, 0, ended)
            self.assert_cifar(name)

    def test_another_address(self):
        data = sets["cifar-100"]
        web.files["/p.tgz"] = fakes.python_archive(data, fakes.cifar_files(data))
        ended = self.run_it("cifar-100", "--url", web.address + "/p.tgz?download=1&key=secret")
        self.assertEqual(ended.code, 0, ended)
        self.assertNotIn("secret", ended.out + ended.err + pathlib.Path("data/cifar-100/dataset.json").read_text())
        self.assert_cifar("cifar-100")
        ended = self.run_it("cifar-10", "--url", web.address + "/p.tgz")
        self.assertEqual(ended.code, 7, ended)
        self.assertIn("no file of cifar-10 is in it", ended.err)
        self.assertIn("Leave out --url", ended.err)

    @needs_modules
    def test_parquet_files_whose_batches_stand_in_another_order(self):
        for name, data in sets.items():
            for split in ("train", "test"):
                web.files[f"/{name}/{split}.parquet"] = fakes.cifar_parquet(data, fakes.cifar_files(data), split)
            parquet = {
                split: (0, hashlib.sha256(web.files[f"/{name}/{split}.parquet"]).hexdigest())
                for split in ("train", "test")
            }
            source = cifar_sets.Source("parquet", f"{web.address}/{name}/{{}}.parquet")
            changed = fakes.dataclasses.replace(data, sources=(source,), parquet=parquet)
            with mock.patch.dict(cifar.SETS, {name: changed}):
                ended = self.run_it(name)
            self.assertEqual(ended.code, 0, ended)
            self.assert_cifar(name)

    def test_tables_of_the_real_sets(self):
        for data, images in ((cifar_sets.CIFAR10, 60_000), (cifar_sets.CIFAR100, 60_000)):
            self.assertEqual(data.bytes, images * data.record)
            self.assertEqual(set(data.python_files.values()), set(data.files))
            hashes = [sha256 for _, sha256 in data.files.values()] + [s.sha256 for s in data.sources if s.sha256]
            self.assertTrue(all(re.fullmatch("[0-9a-f]{64}", sha256) for sha256 in hashes))
            self.assertTrue(all(source.url.startswith("https://") for source in data.sources))
        self.assertEqual([len(names) for names in cifar_sets.CIFAR100.names.values()], [20, 100])


class Pictures(unittest.TestCase):
    def test_png_goes_through_all_filters(self):
        planes = random.Random(1).randbytes(3072)
        self.assertEqual(png.rgb_planes(fakes.png(planes), 32, 32), planes)

    def test_bad_png(self):
        good = fakes.png(bytes(3072))
        flipped = bytearray(good)
        flipped[60] ^= 1
        for bad in (b"", b"GIF89a", good[:50], good[:-30], bytes(flipped), good.replace(b"IDAT", b"IDAU")):
            with self.assertRaises(ValueError):
                png.rgb_planes(bad, 32, 32)
        with self.assertRaises(ValueError):
            png.rgb_planes(good, 16, 64)

    def test_bad_pickles(self):
        for bad in (b"", b"\x80\x02]", b"\x80\x02]q\x00.", b"\x80\x02cnumpy\nload\n.", b"\x80\x02cnumpy\ndtype\n."):
            with self.assertRaises(command.Failure):
                archive.load_arrays(bad, "x")


class Interrupted(Case):
    """Programs that are killed, and the same command once more."""

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, str(pathlib.Path(fakes.__file__)), web.address, *arguments],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def stopped_by(self, number):
        """Sends a signal while a download hangs, and returns how that ended."""
        release = threading.Event()
        self.addCleanup(release.set)
        web.fault(ARCHIVE, hang(200_000, release))
        process = self.start("cifar-10")
        part = pathlib.Path("data/cifar-10/.get_data/cifar-10-binary.tar.gz.part")
        deadline = time.monotonic() + 20
        while not (part.exists() and part.stat().st_size > 0) and time.monotonic() < deadline:
            threading.Event().wait(0.02)
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)
        self.search(Ended(process.returncode, out, ""))
        have = part.stat().st_size
        web.reset()
        self.assertEqual(self.run_it("cifar-10").code, 0)
        self.assertEqual(web.requests[0][2].get("Range"), f"bytes={have}-")
        self.assert_cifar()
        return process.returncode, out

    def test_control_c(self):
        code, out = self.stopped_by(signal.SIGINT)
        self.assertEqual(code, 130)
        self.assertIn("interrupted. The same command continues", out)
        self.assertNotIn("Traceback", out)

    def test_sigterm(self):
        code, out = self.stopped_by(signal.SIGTERM)
        self.assertEqual(code, 143)
        self.assertIn("terminated. The same command continues", out)

    def test_kill_9_while_unpacking(self):
        for calls in (1, 2, 5):
            process = self.start("--kill", str(calls), "cifar-10")
            process.communicate(timeout=20)
            self.assertEqual(process.returncode, -signal.SIGKILL)
        self.assertEqual(self.run_it("cifar-10").code, 0)
        self.assert_cifar()

    @needs_modules
    def test_control_c_while_shards_arrive(self):
        release = threading.Event()
        self.addCleanup(release.set)
        second.fault(stored(), hang(1000, release))
        process = self.start("imagenet-1k", "--jobs", "1")
        deadline = time.monotonic() + 20
        while not any(path == stored() for _, path, _ in second.requests) and time.monotonic() < deadline:
            threading.Event().wait(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130, out)
        self.search(Ended(process.returncode, out, ""))
        second.reset()
        self.assertEqual(self.run_it("imagenet-1k").code, 0)
        self.assert_imagenet()
        self.assertNotIn("/cdn/data/train-00000-of-00003.parquet", [path for _, path, _ in second.requests])

    @needs_modules
    def test_kill_9_in_the_middle_of_a_shard(self):
        for calls in (9, 31):
            process = self.start("--kill", str(calls), "imagenet-1k", "--jobs", "1")
            out, _ = process.communicate(timeout=30)
            self.assertEqual(process.returncode, -signal.SIGKILL, out)
            self.search(Ended(process.returncode, out, ""))
        fake_hub.requests.clear()
        ended = self.run_it("imagenet-1k")
        self.assertEqual(ended.code, 0, ended)
        self.assert_imagenet()
        heads = [path for method, path, _ in fake_hub.requests if "00000-of-00003" in path]
        self.assertEqual(len(heads), 1, "the finished shard is asked for by the probe only")


@needs_modules
class ImageNet(Case):
    """ImageNet where nothing goes wrong, and what the options do."""

    def test_all_of_it(self):
        ended = self.run_it("imagenet-1k", "--jobs", "2")
        self.assertEqual(ended.code, 0, ended)
        self.assert_imagenet()
        self.assertIn("data/imagenet-1k/train: 36 images", ended.out)
        described = json.loads(pathlib.Path("data/imagenet-1k/dataset.json").read_text())
        self.assertEqual(described["revision"], imagenet.REVISION)
        self.assertEqual(described["splits"]["val"], {"images": 24, "bad": 0, "rows": 24, "complete": True})
        self.assertEqual(described["bytes"], sum(map(len, fakes.imagenet_expected().values())))
        second.requests.clear()
        self.assertEqual(self.run_it("imagenet-1k").code, 0)
        self.assertEqual(second.requests, [], "nothing is fetched again")
        self.assertEqual(self.run_it("imagenet-1k", "--verify").code, 0)

    def test_the_token_goes_to_the_hub_and_stays_there(self):
        ended = self.run_it("imagenet-1k")
        self.assertEqual(ended.code, 0, ended)
        self.assertTrue(
            all(
                headers.get("authorization", headers.get("Authorization")) == f"Bearer {TOKEN}"
                for _, _, headers in fake_hub.requests
            ),
            fake_hub.requests,
        )
        self.assertEqual(sum(path.startswith("/cdn/") for _, path, _ in second.requests), 5)

    def test_a_listing_that_continues_on_another_host(self):
        def page(handler, path):
            entries = [fake_hub.entry(*shard) for shard in fake_hub.shards.items()]
            handler.reply(200, json.dumps(entries[:2]).encode(), {"Link": f'<{second.address}/next>; rel="next"'})

        second.files["/next"] = json.dumps(
            [fake_hub.entry(*shard) for shard in list(fake_hub.shards.items())[2:]]
        ).encode()
        self.addCleanup(second.files.pop, "/next")
        fake_hub.fault(fake_hub.tree, page)
        self.assertEqual(self.run_it("imagenet-1k").code, 0)
        self.assertEqual([path for _, path, _ in second.requests if path == "/next"], ["/next"])

    def test_an_incomplete_listing(self):
        fake_hub.fault(fake_hub.tree, lambda handler, path: handler.reply(200, b"[]"))
        ended = self.run_it("imagenet-1k")
        self.assertEqual(ended.code, 7)
        self.assertIn("lists 0 shards of train: incomplete", ended.err)

    def test_a_hub_that_does_not_tell_the_hashes(self):
        fake_hub.hashes = False
        self.addCleanup(setattr, fake_hub, "hashes", True)
        self.assertEqual(self.run_it("imagenet-1k").code, 0)
        self.assert_imagenet()

    def test_splits(self):
        self.assertEqual(self.run_it("imagenet-1k", "--splits", "val").code, 0)
        self.assertEqual(
            [path.name for path in sorted(pathlib.Path("data/imagenet-1k").iterdir())],
            [".get_data", "classes.txt", "dataset.json", "val"],
        )
        self.assertEqual(self.run_it("imagenet-1k").code, 0)
        self.assert_imagenet()

    def test_limit(self):
        ended = self.run_it("imagenet-1k", "--limit", "5")
        self.assertEqual(ended.code, 0, ended)
        train = {path.parent.name for path in pathlib.Path("data/imagenet-1k/train").rglob("*.JPEG")}
        val = {path.parent.name for path in pathlib.Path("data/imagenet-1k/val").rglob("*.JPEG")}
        for split in ("train", "val"):
            self.assertEqual(len(list(pathlib.Path("data/imagenet-1k", split).rglob("*.JPEG"))), 5)
        self.assertLessEqual(val, train, "the readers refuse a class that the training images do not have")
        self.assertFalse(
            json.loads(pathlib.Path("data/imagenet-1k/dataset.json").read_text())["splits"]["val"]["complete"]
        )
        second.requests.clear()
        self.assertEqual(self.run_it("imagenet-1k", "--limit", "5").code, 0)
        self.assertEqual(second.requests, [])
        self.assertEqual(self.run_it("imagenet-1k", "--limit", "20").code, 0)
        self.assertEqual(len(list(pathlib.Path("data/imagenet-1k/train").rglob("*.JPEG"))), 20)
        self.assertEqual(self.run_it("imagenet-1k").code, 0)
        self.assert_imagenet()

    def test_few_bad_rows_are_named_and_left_out(self):
        rows = fakes.rows_of("train", 0, 1010)
        rows[7] = (rows[7][0], "strange name.JPEG", rows[7][2])
        shards = {**fakes.imagenet_shards(), "data/train-00000-of-00003.parquet": fakes.parquet(rows)}
        fake_hub.publish(shards)
        self.addCleanup(lambda: fake_hub.publish(fakes.imagenet_shards()))
        count = 1010 + 2 * fakes.ROWS
        with mock.patch.dict(imagenet.SPLITS, {"train": ("train", count)}):
            ended = self.run_it("imagenet-1k", "--splits", "train")
        self.assertEqual(ended.code, 0, ended)
        self.assertIn("row 7: named 'strange name.JPEG'; left out", ended.err)
        self.assertIn(f"{count - 1:,} images, 1 bad rows left out", ended.out)

    def test_too_few_images_in_all(self):
        with mock.patch.dict(imagenet.SPLITS, {"train": ("train", 99)}):
            ended = self.run_it("imagenet-1k")
        self.assertEqual(ended.code, 3)
        self.assertIn("data/imagenet-1k/train: 36 images, expected 99", ended.err)

    def test_shards_of_another_revision_do_not_count(self):
        self.assertEqual(self.run_it("imagenet-1k").code, 0)
        journal = pathlib.Path("data/imagenet-1k/.get_data/journal.jsonl")
        journal.write_text(journal.read_text().replace(imagenet.REVISION, "0" * 40))
        second.requests.clear()
        self.assertEqual(self.run_it("imagenet-1k").code, 0)
        self.assertEqual(len([path for _, path, _ in second.requests]), 5)

    def test_dry_run_writes_nothing(self):
        ended = self.run_it("imagenet-1k", "--dry-run")
        self.assertEqual(ended.code, 0, ended)
        self.assertIn("the hub grants access", ended.out)
        self.assertEqual(([p for _, p, _ in second.requests], sorted(os.listdir())), ([], ["home"]))

    def test_shards_are_kept_on_request(self):
        self.assertEqual(self.run_it("imagenet-1k", "--keep-shards").code, 0)
        self.assertEqual(len(list(pathlib.Path("data/imagenet-1k/.get_data/shards/data").glob("*.parquet"))), 5)

    def test_a_token_is_not_sent_over_plain_http(self):
        with mock.patch.object(huggingface_hub.constants, "ENDPOINT", "http://hub.example"):
            ended = self.run_it("imagenet-1k")
        self.assertEqual(ended.code, 2)
        self.assertIn("HF_ENDPOINT=http://hub.example: a token is sent over https only", ended.err)

    def test_where_the_token_may_stand(self):
        for text in (
            f"HF_TOKEN={TOKEN}",
            f"# comment\nOTHER=1\nexport HF_TOKEN = '{TOKEN}'  # mine\n",
            f'\ufeffHF_TOKEN="{TOKEN}"\r\n',
        ):
            pathlib.Path(".env").write_text(text)
            ended = self.run_it("imagenet-1k", "--dry-run", HF_TOKEN="")
            self.assertEqual(ended.code, 0, ended)
        os.rename(".env", "other.env")
        self.assertEqual(self.run_it("imagenet-1k", "--dry-run", HF_TOKEN="").code, 7)
        pathlib.Path(self.folder, "home", "token").write_text(TOKEN + "\n")
        self.assertEqual(self.run_it("imagenet-1k", "--dry-run", HF_TOKEN="").code, 0)
        pathlib.Path(".env").write_text("HF_TOKEN=hf_wrong")
        ended = self.run_it("imagenet-1k", "--dry-run", HF_TOKEN="")
        self.assertIn("the Hugging Face token of .env is not valid", ended.err)
        self.assertEqual(self.run_it("imagenet-1k", "--dry-run").code, 0, "the environment comes first")

    def test_an_env_file_of_another_name(self):
        pathlib.Path(".env").write_text(f"HF_TOKEN={TOKEN}")
        os.makedirs("sub")
        os.chdir("sub")
        self.assertEqual(self.run_it("imagenet-1k", "--dry-run", HF_TOKEN="").code, 7)
        self.assertEqual(self.run_it("imagenet-1k", "--dry-run", "--env-file", "../.env", HF_TOKEN="").code, 0)
        ended = self.run_it("imagenet-1k", "--env-file", "nowhere.env")
        self.assertEqual(ended.code, 2)


class Usage(Case):
    def test_wrong_arguments(self):
        for arguments, text in (
            ((), "required: DATA"),
            (("mnist",), "invalid choice"),
            (("cifar-10", "--fast"), "--fast"),
            (("cifar-10", "--limit", "5"), "--limit is for imagenet-1k"),
            (("cifar-10", "--jobs", "0"), "'0' is not a number"),
            (("imagenet-1k", "--url", "https://x/"), "--url is for cifar-10 and cifar-100"),
            (("imagenet-1k", "--splits", "test"), "test images of ImageNet have no labels"),
            (("imagenet-1k", "--splits", "trian"), "is not train, val, or train,val"),
            (("cifar-10", "--url", "file:///x"), "--from-file"),
            (("cifar-10", "--url", "https://user:word@host/x"), "without user and password"),
            (("cifar-10", "--url", "https://x/", "--from-file", "x"), "choose one"),
            (("cifar-10", "--from-file", "nowhere.tar.gz"), "nowhere.tar.gz: no such file"),
        ):
            ended = self.run_it(*arguments)
            self.assertEqual(ended.code, 2, ended)
            self.assertIn(text, ended.err)
            self.assertNotIn("Traceback", ended.err)
        self.assertEqual(os.listdir(), ["home"])

    def test_tokens_as_arguments_are_not_repeated(self):
        for arguments in (
            ("--token", TOKEN),
            (f"--token={TOKEN}",),
            ("--hf-token", TOKEN),
            (f"HF_TOKEN={TOKEN}",),
            ("--password", "a secret"),
            ("--auth=a secret",),
        ):
            ended = self.run_it("imagenet-1k", *arguments)
            self.assertEqual(ended.code, 2)
            self.assertNotIn("secret", ended.err)

    def test_a_token_with_other_characters(self):
        with mock.patch.dict(os.environ, {"HF_TOKEN": "hf_one two"}), self.assertRaises(command.Failure) as raised:
            hub.find_token(None)
        self.assertNotIn("one", str(raised.exception))

    def test_missing_modules(self):
        with mock.patch.dict(sys.modules, {"huggingface_hub": None}):
            ended = self.run_it("imagenet-1k")
        self.assertEqual(ended.code, 2)
        self.assertIn("pip install huggingface_hub pyarrow", ended.err)

    def test_help_and_the_program_itself(self):
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools" / "get_data.py"), "--help"], capture_output=True, text=True
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in (
            "--dest",
            "--splits",
            "--limit",
            "--url",
            "--from-file",
            "--jobs",
            "--keep-shards",
            "--verify",
            "--dry-run",
            "--env-file",
        ):
            self.assertIn(option, done.stdout)
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools" / "get_data.py"), "cifar-10", "--dry-run"],
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.returncode, 0)
        self.assertIn("https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz", done.stdout)
        self.assertEqual(
            subprocess.run([sys.executable, str(ROOT / "tools" / "get_data.py")], capture_output=True).returncode, 2
        )

    def test_env_example_holds_no_token(self):
        text = (ROOT / ".env.example").read_text()
        self.assertIn("\nHF_TOKEN=\n", text)
        self.assertEqual(hub.from_env_file(ROOT / ".env.example"), "")
        self.assertIn("\n.env\n", (ROOT / ".gitignore").read_text())


class TokenSearch(Case):
    """The search itself finds what it looks for."""

    def test_in_files(self):
        pathlib.Path("log.txt").write_text(f"x{TOKEN}x")
        with self.assertRaises(AssertionError):
            self.search(Ended(0, "", ""))

    def test_in_output(self):
        with self.assertRaises(AssertionError):
            self.search(Ended(0, "", TOKEN))

    def test_in_what_another_host_receives(self):
        second.requests.append(("GET", "/", {"authorization": "Bearer x"}))
        with self.assertRaises(AssertionError):
            self.search(Ended(0, "", ""))

    def test_what_is_printed_is_cleaned_as_a_last_resort(self):
        terminal, out = command.Terminal(), io.StringIO()
        terminal.hide(TOKEN)
        with contextlib.redirect_stdout(out):
            terminal.result(f"token {TOKEN}\x1b[2J")
        self.assertEqual(out.getvalue(), "token ***?[2J\n")


def print_tables():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Faults)
    if not unittest.TextTestRunner().run(suite).wasSuccessful():
        return 1
    for kind, faults in (("server", SERVER_FAULTS), ("machine", MACHINE_FAULTS), ("hub", HUB_FAULTS)):
        print("\n| fault | the user sees | exit code |\n|---|---|---|")
        for fault in faults:
            print(Faults.rows.get(kind, {}).get(fault.title, ""))
    return 0


if __name__ == "__main__":
    sys.exit(print_tables() if "--table" in sys.argv else unittest.main())
