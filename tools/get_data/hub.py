"""The Hugging Face hub through huggingface_hub. The token comes from the environment or a file, and goes to the
host of the hub and nowhere else."""

import os
import pathlib
import re
import time
import urllib.parse
import warnings

from get_data.download import TRIES, TRY_AGAIN, back_off, retry_after
from get_data.failure import NETWORK, NO_SPACE, USAGE, Failure, in_time, writing_failed

LOCAL = ("localhost", "127.0.0.1", "::1")


def find_token(env_file):
    """(token, where it was found), or (None, ""): from HF_TOKEN, the file `env_file` (default .env), or the log-in of
    `hf auth login`, in this order."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    login = pathlib.Path(os.environ.get("HF_TOKEN_PATH") or os.path.join(home, "token")).expanduser()
    path = pathlib.Path(env_file or ".env")
    if env_file and not path.is_file():
        raise Failure(USAGE, f"--env-file {env_file}: no such file")
    for text, where in (
        (lambda: os.environ.get("HF_TOKEN"), "HF_TOKEN"),
        (lambda: from_env_file(path), str(path)),
        (lambda: read(login), str(login)),
    ):
        token = (text() or "").strip()
        if token:
            if not re.fullmatch(r"[!-~]{1,4096}", token):
                raise Failure(
                    USAGE,
                    f"{where}: what stands there as token has white space or other characters that no "
                    "token has. Copy it again from https://huggingface.co/settings/tokens",
                )
            return token, where
    return None, ""


def read(path):
    if not path.is_file():
        return ""
    try:
        return path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise Failure(USAGE, f"cannot read {path}: {error.strerror}") from error


def from_env_file(path):
    """The value of HF_TOKEN in lines of the form NAME=VALUE, quoted or not."""
    token = ""
    for line in read(path).splitlines():
        match = re.fullmatch(r"""\s*(?:export\s+)?HF_TOKEN\s*=\s*(?:"([^"]*)"|'([^']*)'|([^#]*?))\s*(?:#.*)?""", line)
        if match:
            token = match[1] or match[2] or match[3] or ""
    return token


def load_modules():
    """Imports what CIFAR does without. huggingface_hub reads its settings when it is imported."""
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
        os.environ.setdefault(name, "60")
    os.environ.update(
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        HF_HUB_VERBOSITY="critical",
        HF_DEBUG="0",
        HF_HUB_DISABLE_XET="1",  # its own protocol does not go through the client that guards the token
    )
    try:
        import huggingface_hub
        import pyarrow.parquet
        from huggingface_hub.utils._http import default_client_factory  # 1.0 and newer
    except ImportError as error:
        raise Failure(
            USAGE,
            f"imagenet-1k needs huggingface_hub 1.0 or newer, and pyarrow ({error}):\n"
            "  python3 -m venv .venv && .venv/bin/pip install huggingface_hub pyarrow\n"
            "  .venv/bin/python tools/get_data.py imagenet-1k ...",
        ) from error
    warnings.filterwarnings("ignore", module="huggingface_hub")  # what matters comes as an error
    return huggingface_hub, pyarrow.parquet, default_client_factory


def token_for_one_host(factory, endpoint):
    """HTTP clients that drop the token from requests to another host, whatever a redirect or a listing says."""
    home = urllib.parse.urlsplit(endpoint.lower())

    def hook(request):
        if (request.url.scheme, request.url.netloc.decode().lower()) != (home.scheme, home.netloc):
            request.headers.pop("authorization", None)

    def make():
        client = factory()
        client.event_hooks = {**client.event_hooks, "request": [*client.event_hooks["request"], hook]}
        return client

    return make


def from_client(error):
    """Whether the HTTP library below huggingface_hub has thrown it."""
    return type(error).__module__.startswith("httpx")


def status_of(error):
    """(HTTP status, headers) of an error or of what caused it; (0, {}) when no server has answered."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None and response.status_code >= 400:
            return response.status_code, response.headers
        error = error.__cause__ or error.__context__
    return 0, {}


def checked_hash(lfs):
    """The SHA-256 of a file, or "" where the hub does not tell it."""
    text = (lfs.sha256 or "") if lfs else ""
    return text if re.fullmatch(r"[0-9a-f]{64}", text) else ""


class Wrong(OSError):
    """What has come is not what was asked for; another try may help."""


class Hub:
    """One revision of one data set."""

    def __init__(self, repo, revision, env_file, terminal):
        self.repo, self.revision, self.terminal = repo, revision, terminal
        self.token, self.where = find_token(env_file)
        terminal.hide(self.token)
        self.module, self.parquet, factory = load_modules()
        self.endpoint = self.module.constants.ENDPOINT
        address = urllib.parse.urlsplit(self.endpoint)
        if self.token and address.scheme != "https" and address.hostname not in LOCAL:
            raise Failure(USAGE, f"HF_ENDPOINT={address.scheme}://{address.hostname}: a token is sent over https only")
        self.module.set_client_factory(token_for_one_host(factory, self.endpoint))
        self.page = f"https://huggingface.co/datasets/{repo}"
        self.kept = ""  # what a message about a failure says about finished work

    def list(self, folder):
        """(path, bytes, sha256 or "") of each file in a folder."""

        def ask():
            tree = self.module.HfApi(endpoint=self.endpoint).list_repo_tree(
                self.repo, folder, repo_type="dataset", revision=self.revision, token=self.token or False
            )
            try:
                return [(file.path, int(file.size), checked_hash(file.lfs)) for file in tree if hasattr(file, "size")]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise Wrong("no list has come but something else, perhaps a page of the network to log in") from error

        return self.persist(ask, f"the list of {folder}/")

    def probe(self, path):
        """Asks for a data file without fetching it. (The README of a gated repository is public: no proof.)"""
        url = self.module.hf_hub_url(
            self.repo, path, repo_type="dataset", revision=self.revision, endpoint=self.endpoint
        )
        self.persist(
            lambda: self.module.get_hf_file_metadata(url, token=self.token or False, endpoint=self.endpoint), path
        )

    def fetch(self, path, folder, check):
        """Downloads to folder/path. check(file) says what is wrong with it, or nothing; then it is fetched again."""

        def ask():
            file = pathlib.Path(
                self.module.hf_hub_download(
                    self.repo,
                    path,
                    repo_type="dataset",
                    revision=self.revision,
                    endpoint=self.endpoint,
                    token=self.token or False,
                    local_dir=folder,
                )
            )
            if wrong := check(file):
                file.unlink()
                raise Wrong(wrong)
            return file

        return self.persist(ask, path)

    def persist(self, ask, path):
        """Calls ask() up to TRIES times while another try may help."""
        for attempt in range(1, TRIES + 1):
            try:
                return ask()
            except Exception as error:
                status, headers = status_of(error)
                if isinstance(error, OSError) and error.errno in NO_SPACE:
                    raise writing_failed(error, path) from error
                if status and status not in TRY_AGAIN:
                    raise self.refused(status, path) from error
                if not isinstance(error, OSError) and not from_client(error):
                    raise
                reason = str(status) if status else self.reason(error)
                if attempt == TRIES:
                    raise Failure(
                        NETWORK,
                        f"{path}: {reason}, {TRIES} times in a row. Run the same command again"
                        f"{' later' if status else ''}{self.kept}",
                    ) from error
                wait = back_off(attempt, retry_after(headers))
                self.terminal.note(f"  {path}: {reason}; trying again in {in_time(wait)}")
                time.sleep(wait)

    def reason(self, error):
        """Why there is no file, in a line: what was checked here, or the innermost cause of what the library says."""
        if str(error).startswith("Consistency check failed"):
            return "the file has come with another size"
        while error.__cause__ is not None and not isinstance(error, Wrong) and not from_client(error):
            error = error.__cause__
        kind = type(error).__name__
        text = re.sub(r"^\[Errno -?\d+\] ", "", str(error).strip().partition("\n")[0])[:200] or kind
        if not from_client(error):
            return text
        if "Timeout" in kind:
            return "no answer in time"
        return f"no connection: {text}" if "Connect" in kind else "the connection was lost"

    def refused(self, status, path):
        """401, 403, 404 and the like: trying again does not help."""
        again = f"run the same command again{self.kept}"
        if status == 401 and not self.token:
            return Failure(
                NETWORK,
                f"no Hugging Face token (401 for {path}).\n  1. accept the terms: {self.page}\n"
                f"  2. export HF_TOKEN=..., or put HF_TOKEN=... into .env\n  3. {again}",
            )
        if status == 401:
            return Failure(
                NETWORK,
                f"the Hugging Face token of {self.where} is not valid (401 for {path}). Make one that "
                f"may read at https://huggingface.co/settings/tokens, then {again}",
            )
        if status == 403:
            return Failure(
                NETWORK,
                f"403: the terms of {self.repo} are not accepted by the account of the token of "
                f"{self.where or 'nobody'}, or the token may not read gated repositories.\n"
                f"Open {self.page}, agree, {again}",
            )
        if status == 404:
            return Failure(
                NETWORK,
                f"404: {path} is not in {self.repo} at revision {self.revision[:7]}. See {self.page} "
                f"for what is there now{self.kept}",
            )
        return Failure(NETWORK, f"{status} for {path} of {self.endpoint}. Try later: {again}")
