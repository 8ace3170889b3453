"""The command line: options, exit codes, signals."""

import argparse
import re
import signal
import sys
import traceback

from get_data import cifar, imagenet
from get_data.failure import INTERNAL, INTERRUPTED, NO_SPACE, TERMINATED, USAGE, Failure, Terminal, writing_failed

ABOUT = """Fetches a data set into a folder that the programs read. What is there is kept: run the same command again
after an interruption, a lost connection or a full disk."""

TOKENS = """The token for imagenet-1k comes from HF_TOKEN, or from HF_TOKEN=... in .env (see .env.example), or from
`hf auth login`; never from an argument, which other users of the machine can see.
exit codes: 0 done, 2 usage, 3 data is wrong, 6 disk, 7 network or access, 130 interrupted"""


class Stopped(Exception):
    """SIGTERM."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        if message.startswith("unrecognized arguments"):  # their values are nobody's business
            names = [word.partition("=")[0] for word in message.split()[2:] if word.startswith("-")]
            message = f"unknown option {', '.join(names)}" if names else "more than one data set"
        raise Failure(USAGE, f"{message}. See --help")


def positive(text):
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 999,999,999")
    return int(text)


def splits(text):
    names = text.split(",")
    if "test" in names:
        raise argparse.ArgumentTypeError("the test images of ImageNet have no labels; choose train, val, or train,val")
    if not set(names) <= set(imagenet.SPLITS):
        raise argparse.ArgumentTypeError(f"{text!r} is not train, val, or train,val")
    return [name for name in imagenet.SPLITS if name in names]


def options_from(arguments):
    for argument in arguments:
        if re.match(r"--?(hf[-_]?)?token|hf_token=", argument, re.IGNORECASE) or re.search(
            r"hf_[A-Za-z0-9]{20}", argument
        ):
            raise Failure(
                USAGE,
                "a token is not taken as an argument: other users of the machine can see it. Put it into "
                "HF_TOKEN or .env; see --help",
            )
    parser = Parser(
        prog="get_data.py",
        description=ABOUT,
        epilog=TOKENS,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "data", choices=[*cifar.SETS, "imagenet-1k"], metavar="DATA", help="cifar-10, cifar-100 or imagenet-1k"
    )
    parser.add_argument("--dest", metavar="DIR", help="where to (data/<DATA>)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, write nothing")
    parser.add_argument(
        "--verify", action="store_true", help="re-read every file and compare it with what it should be"
    )
    parser.add_argument("--keep-shards", action="store_true", help="do not delete archives and shards after unpacking")
    parser.add_argument("--url", metavar="URL", help="CIFAR: take the tar.gz from there")
    parser.add_argument("--from-file", metavar="FILE", help="CIFAR: take this tar.gz, binary or python version")
    parser.add_argument("--splits", type=splits, metavar="LIST", help="imagenet-1k: train, val, or both (train,val)")
    parser.add_argument("--limit", type=positive, metavar="N", help="imagenet-1k: at most N images of each split")
    parser.add_argument("--jobs", type=positive, metavar="N", help="imagenet-1k: shards at a time (4)")
    parser.add_argument("--env-file", metavar="FILE", help="imagenet-1k: where HF_TOKEN=... may stand (.env)")
    options = parser.parse_args(arguments)
    own = ("splits", "limit", "jobs", "env_file") if options.data != "imagenet-1k" else ("url", "from_file")
    for name in own:
        if getattr(options, name) is not None:
            other = "imagenet-1k" if options.data != "imagenet-1k" else "cifar-10 and cifar-100"
            parser.error(f"--{name.replace('_', '-')} is for {other}")
    if options.url and options.from_file:
        parser.error("--url and --from-file: choose one")
    if options.url and not re.match(r"https?://[^@/]+(/|$)", options.url):
        parser.error(
            "--url takes an http or https address without user and password; for a file on the disk: --from-file"
        )
    options.splits = options.splits or list(imagenet.SPLITS)
    options.jobs = min(options.jobs or 4, 16)
    return options


def stop(number, frame):
    raise Stopped


def main(arguments):
    """Returns the exit code."""
    terminal = Terminal()
    try:
        options = options_from(arguments)
        try:
            signal.signal(signal.SIGTERM, stop)
        except ValueError:
            pass  # not in the main thread
        (imagenet if options.data == "imagenet-1k" else cifar).get(options, terminal)
        return 0
    except SystemExit as error:  # --help
        return error.code or 0
    except Failure as error:
        terminal.note(f"error: {error}")
        return error.code
    except KeyboardInterrupt:
        terminal.note("interrupted. The same command continues")
        return INTERRUPTED
    except Stopped:
        terminal.note("terminated. The same command continues")
        return TERMINATED
    except BrokenPipeError:
        return INTERRUPTED
    except OSError as error:
        if error.errno in NO_SPACE or isinstance(error, PermissionError):
            failure = writing_failed(error, error.filename or "a file")
            terminal.note(f"error: {failure}")
            return failure.code
        return internal(terminal)
    except Exception:
        return internal(terminal)


def internal(terminal):
    terminal.note(
        traceback.format_exc()
        + f"error: a bug in get_data.py (Python {sys.version.split()[0]}). Please report the lines above"
    )
    return INTERNAL
