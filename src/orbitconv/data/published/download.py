"""Downloads over HTTP with timeouts, resume and checksums."""

import logging
import queue
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, final

from orbitconv._support.optional import import_optional
from orbitconv._support.progress import ProgressCallback
from orbitconv.data.errors import RouteError

FIRST_ANSWER = 6.0
"""Seconds that all mirrors of a set share to give a first answer."""

SILENCE = 30.0
"""Seconds without a byte after which a connection counts as dead."""

ATTEMPTS = 4
"""Connections to one mirror for one file, as long as each brings something new."""

BLOCK = 1 << 16

LARGEST = 1 << 30
"""Bytes of a file beyond which a mirror is not believed: all data sets have less."""


def fetch_file(
    mirrors: tuple[str, ...], name: str, folder: Path, sha256: str | None, progress: ProgressCallback
) -> tuple[Path, str]:
    """Download one file from the first mirror that has it; the error lists why each of them failed."""
    pooch = import_optional("pooch", "train", "orbitconv.data")
    failures = []
    for mirror in mirrors:
        downloader = ResumableDownloader(folder / f"{name}.part", FIRST_ANSWER / len(mirrors), progress)
        while True:
            try:
                with _quiet(pooch.get_logger()):
                    known = f"sha256:{sha256}" if sha256 else None
                    path = pooch.retrieve(mirror + name, known, name, folder, downloader=downloader)
                return Path(path), mirror
            except RouteError as error:
                failures.append(f"{mirror}{name}: {error}")
            except ValueError:  # pooch's word for a checksum that differs; it removed the file
                if downloader.resumed:  # the first half may have been another file: once more, from the start
                    downloader.resumed = False
                    continue
                failures.append(f"{mirror}{name}: expected SHA-256 {sha256}, got other contents")
            break
    raise RouteError("; ".join(failures))


@final
class ResumableDownloader:
    """A downloader for pooch that collects bytes in a `.part` file, which outlives failures, and resumes there.

    It waits so many seconds for a first answer, name lookup included.
    """

    def __init__(self, part: Path, first_answer: float, progress: ProgressCallback) -> None:
        self.part, self.first_answer, self.progress = part, first_answer, progress
        self.resumed = False

    def __call__(self, url: str, output_file: str, pooch: object) -> None:  # noqa: ARG002
        """Download `url` to `output_file`."""
        for attempt in range(1, ATTEMPTS + 1):
            before = self._size()
            try:
                self._carry_on(url, before)
            except RouteError:
                if attempt == ATTEMPTS or self._size() <= before:
                    raise
                time.sleep(0.1 * attempt)
            else:
                self.part.replace(output_file)
                return

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _carry_on(self, url: str, start: int) -> None:
        """Ask for everything from byte `start` on and append it."""
        urllib3 = import_optional("urllib3", "train", "orbitconv.data")
        with closing(_first_answer(url, start, self.first_answer)) as response:
            if start and response.status_code == 416:
                if response.headers.get("Content-Range") == f"bytes */{start}":
                    return  # the last call had every byte and stopped before the rename
                self.part.unlink()  # longer than the file, so something else
                self._carry_on(url, 0)
                return
            if response.status_code not in {200, 206}:
                raise RouteError(f"HTTP status {response.status_code}")
            start = _start_of(response, start)
            length = response.headers.get("Content-Length")
            total = start + int(length) if length else 0
            if total > LARGEST:
                raise RouteError(f"states {total} bytes, expected at most {LARGEST}")
            self.resumed = self.resumed or start > 0
            with self.part.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                blocks = response.raw.stream(BLOCK, decode_content=False)
                while True:
                    try:
                        block = next(blocks, b"")
                    except (urllib3.exceptions.HTTPError, TimeoutError) as error:
                        raise RouteError(f"broke off after {file.tell()} of {total or 'unknown'} bytes") from error
                    if not block:
                        break
                    if file.tell() + len(block) > LARGEST:  # a mirror that states no length may send without end
                        file.truncate(0)
                        raise RouteError(f"sent more than {LARGEST} bytes")
                    file.write(block)  # a full disk is no fault of the mirror: OSError goes up
                    self.progress(self.part.stem, file.tell(), total)
                if total and file.tell() != total:
                    raise RouteError(f"broke off after {file.tell()} of {total} bytes")


def _start_of(response: Any, asked: int) -> int:
    """Return the offset at which the answer starts: what was asked for, or 0 if ranges are not served."""
    if response.status_code == 200:
        return 0
    stated = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if stated is None or int(stated[1]) != asked:
        raise RouteError(f"asked for bytes from {asked}, got {response.headers.get('Content-Range')!r}")
    return asked


def _first_answer(url: str, start: int, seconds: float) -> Any:
    """Open `url`, waiting at most `seconds` in all: slow name lookups outlast every socket timeout."""
    requests = import_optional("requests", "train", "orbitconv.data")
    answers: queue.Queue[Any] = queue.Queue()
    waiting = threading.Event()
    waiting.set()

    def ask() -> None:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            answer = requests.get(url, headers=headers, stream=True, timeout=(seconds, SILENCE))
        except Exception as error:  # whatever it is, the caller must hear of it
            answer = error
        if waiting.is_set():
            answers.put(answer)
        elif not isinstance(answer, Exception):
            answer.close()

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise RouteError(f"no answer within {seconds:.3g} s") from None
    finally:
        waiting.clear()
    if isinstance(answer, Exception):
        raise RouteError(_reason(answer)) from answer
    return answer


def _reason(error: Exception) -> str:
    """Say in a few words why a request failed."""
    text = str(error)
    if "resolve" in text or "getaddrinfo" in text:
        return "the host name cannot be resolved (no network?)"
    if "refused" in text:
        return "the connection was refused"
    if "timed out" in text:
        return "no answer in time"
    return f"{type(error).__name__}: {text[:200]}"


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Silence the log messages of pooch."""
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
