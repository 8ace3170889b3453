"""One file over HTTP: resumed where it stopped, from a server that is not trusted. No token is ever sent from here."""

import http.client
import random
import re
import time
import urllib.error
import urllib.request

from get_data.failure import Progress, in_bytes, in_time, shown, writing_failed

TRIES = 5  # in a row, without a byte in between; 2 where another source can be tried
TIMEOUT = 30  # seconds without a byte
SLOW_RATE = 200_000  # bytes per second; slower than that ...
SLOW_SECONDS = 20  # ... for so long: the next source
LONGEST_WAIT = 120  # seconds, whatever Retry-After says
BLOCK = 1 << 18
TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)


class Unavailable(Exception):
    """This source does not deliver; the text says why. Another one may."""


class TryAgain(Exception):
    """This attempt failed. `wait`: seconds that the server asked for."""

    def __init__(self, text, wait=0):
        super().__init__(text)
        self.wait = wait


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https only."""

    def redirect_request(self, request, response, code, message, headers, url):
        if not url.startswith(("http://", "https://")):
            raise Unavailable(f"redirects to {url.partition(':')[0]}:, which is not followed")
        return super().redirect_request(request, response, code, message, headers, url)


def retry_after(headers):
    text = (headers.get("Retry-After") or "").strip()
    return int(text) if re.fullmatch(r"\d{1,6}", text) else 0


def back_off(attempt, wait):
    """Seconds before attempt + 1: 2, 4, 8, ... with jitter, or what the server asked for."""
    return min(max(2**attempt * random.uniform(1, 1.5), wait), LONGEST_WAIT)


def fetch(url, part, terminal, size=None, magic=b"", patient=True):
    """Downloads `url` into `part`, continuing what is there. size: of the file, if known; magic: its first bytes.
    patient: stays with a slow or silent server. Throws Unavailable; what has arrived stays in `part`."""
    attempt, have = 0, received(part)
    while True:
        try:
            return transfer(url, part, terminal, size, magic, patient)
        except TryAgain as error:
            attempt = 1 if received(part) > have else attempt + 1
            have = received(part)
            tries = TRIES if patient else 2
            if attempt >= tries:
                raise Unavailable(f"{error}, {tries} times in a row") from error
            wait = back_off(attempt, error.wait)
            terminal.note(f"  {shown(url)}: {error}; trying again in {in_time(wait)}")
            time.sleep(wait)


def received(part):
    return part.stat().st_size if part.exists() else 0


def transfer(url, part, terminal, size, magic, patient):
    """One attempt."""
    have = received(part)
    if size is not None and have == size:
        return
    if size is not None and have > size:
        have = 0
    headers = {"User-Agent": "dino get_data", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        response = urllib.request.build_opener(Redirects).open(
            urllib.request.Request(url, headers=headers), timeout=TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            part.unlink(missing_ok=True)
            raise TryAgain("416: cannot be continued, starting again") from error
        if error.code in TRY_AGAIN:
            raise TryAgain(f"{error.code} {error.reason}", retry_after(error.headers)) from error
        raise Unavailable(f"{error.code} {error.reason}".partition("\n")[0]) from error
    except urllib.error.URLError as error:
        raise TryAgain(f"no connection: {reason_of(error.reason)}") from error
    except (http.client.HTTPException, OSError) as error:
        raise TryAgain(f"no connection: {reason_of(error)}") from error
    with response:
        start, end = agree(response, part, have, size)
        copy(response, part, start, end, terminal, magic, None if patient else SLOW_RATE)


def reason_of(error):
    if isinstance(error, TimeoutError):
        return f"no answer for {TIMEOUT} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def agree(response, part, have, size):
    """Where the body begins in the file and where it ends (None: not said), or why it cannot be what is wanted."""
    kind = response.headers.get_content_type()
    start = 0
    end = response.length
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
        if not match or int(match[1]) != have:
            part.unlink(missing_ok=True)
            raise TryAgain("continued at another place, starting again")
        start = have
        end = int(match[3]) if match[3] != "*" else None
    elif response.status != 200:
        raise Unavailable(f"{response.status} {response.reason}")
    if size is not None and end not in (None, size):
        raise Unavailable(f"sent {in_bytes(end)} ({kind}) instead of {in_bytes(size)}")
    return start, size if size is not None else end


def copy(response, part, start, end, terminal, magic, slowest):
    """Appends the body to `part`. slowest: bytes per second below which to give up."""
    progress = Progress(terminal, part.name.removesuffix(".part"), end, start)
    done, window = start, (time.monotonic(), start)
    try:
        file = open(part, "ab" if start else "wb")
    except OSError as error:
        raise writing_failed(error, part) from error
    with file:
        while True:
            try:
                block = response.read1(BLOCK)
            except (http.client.HTTPException, OSError) as error:
                raise TryAgain(f"connection lost after {in_bytes(done)}: {reason_of(error)}") from error
            if not block:
                break
            if done == 0 and not block.startswith(magic[: len(block)]):
                raise Unavailable(
                    f"sent {response.headers.get_content_type()}, which is not the file, "
                    "perhaps a page of the network to log in"
                )
            done += len(block)
            if end is not None and done > end:
                raise Unavailable(f"sent more than {in_bytes(end)}")
            try:
                file.write(block)
            except OSError as error:
                raise writing_failed(error, part) from error
            progress.set(done)
            now = time.monotonic()
            if now - window[0] >= SLOW_SECONDS:
                rate = (done - window[1]) / (now - window[0])
                if slowest is not None and rate < slowest:
                    raise Unavailable(f"slower than {in_bytes(slowest)}/s")
                window = (now, done)
    if end is not None and done < end:
        raise TryAgain(f"connection ended after {in_bytes(done)} of {in_bytes(end)}")
