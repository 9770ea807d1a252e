"""Policies on disk: the only place that reads and writes policies, and reads list files and the time zone database."""

import errno
import os
import stat
from bisect import bisect_left
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from firewall.errors import Place, PolicyError
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.load import MAX_LIST_BYTES, load_policy
from firewall.ruleset.policy import Policy
from firewall.ruleset.schedule import TimeZone
from firewall.ruleset.yaml_nodes import MAX_POLICY_BYTES

_NS = 1_000_000_000
_FIRST_YEAR, _LAST_YEAR = 1970, 2100
# Shorter than any time between two changes since 1970 (the shortest is 6.9 days, America/Cambridge_Bay), so that none
# is stepped over.
_PROBE_S = 6 * 86_400


def read_policy(path: str, *, is_lasting: bool = False) -> Policy:
    """Read, check and compile the policy in a file.

    ``is_lasting``: it is to be read again, so a pipe is none: one that nobody writes to would be waited for, for ever.

    Raises:
        PolicyError: the file cannot be read, or anything is wrong with it or with a file it names.
    """
    return policy_of(read_policy_bytes(path, is_lasting=is_lasting), path)


def policy_of(data: bytes, path: str) -> Policy:
    """Check and compile a policy that is, or will be, in a file; the files it names are read beside that one.

    Raises:
        PolicyError: anything is wrong with it or with a file it names.
    """
    return load_policy(data, file=wire_text(path), sources=FileSources(path))  # records and JSON carry the name


def read_policy_bytes(path: str, *, is_lasting: bool = False) -> bytes:
    """Return what a policy file holds, one byte more than a policy may have at most. ``is_lasting``: no pipe.

    Raises:
        PolicyError: the file cannot be read.
    """
    try:
        with open(path, "rb", opener=_open_no_pipe if is_lasting else None) as stream:
            return stream.read(MAX_POLICY_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PolicyError(
            f"cannot read the policy: {reason}",
            place=Place(wire_text(path)),
            next_step="name a YAML file that can be read" + (", or /dev/stdin" if path == "-" else ""),
        ) from None


def write_policy(path: str, before: bytes, after: bytes) -> None:
    """Put ``after`` in place of a policy that held ``before``, in one step; owner and mode stay, a link stays a link.

    Raises:
        PolicyError: the file has changed meanwhile, or cannot be written; it is then as it was.
    """
    target = Path(path).resolve()
    temporary = None
    try:
        with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            stream.write(after)
            stream.flush()
            was = target.stat()
            os.fchmod(stream.fileno(), stat.S_IMODE(was.st_mode))
            if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(stream.fileno(), was.st_uid, was.st_gid)
            os.fsync(stream.fileno())
        with target.open("rb") as present:
            unchanged = present.read(len(before) + 1) == before
        if not unchanged:
            raise PolicyError(
                "the policy was changed while lint looked at it",
                place=Place(wire_text(path)),
                next_step="run sosgate lint again",
            )
        temporary.replace(target)
        temporary = None
    except OSError as error:
        cause = f"cannot write the mended policy: {error.strerror or error}"
        raise PolicyError(cause, place=Place(wire_text(path)), next_step="it is as it was") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


class FileSources:
    """List files beside a policy file, and time zones from the machine's database (or the tzdata package)."""

    def __init__(self, policy_path: str) -> None:
        self._directory = Path(policy_path).parent

    def read(self, path: str) -> bytes:
        """Return a list file's bytes, its path relative to the policy.

        Raises:
            OSError: it cannot be read.
            ValueError: it cannot be a path.
        """
        with open(self._directory / path, "rb", opener=_open_no_pipe) as stream:
            return stream.read(MAX_LIST_BYTES + 1)

    def timezone(self, name: str) -> TimeZone:
        """Return an IANA time zone.

        Raises:
            KeyError: there is none of that name.
        """
        return read_timezone(name)


def _open_no_pipe(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ESPIPE, "it is a pipe", path)
    os.set_blocking(descriptor, True)
    return descriptor


@lru_cache(maxsize=64)
def read_timezone(name: str) -> TimeZone:
    """Return an IANA time zone as plain data, its transitions from 1970 to 2100.

    Raises:
        KeyError: there is none of that name.
    """
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise KeyError(name) from None
    instant_s, end_s = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (_FIRST_YEAR, _LAST_YEAR))
    starts_ns, offsets_s = [instant_s * _NS], [_offset_s(zone, instant_s)]
    while instant_s < end_s:
        following_s = instant_s + _PROBE_S
        old_s = offsets_s[-1]
        if _offset_s(zone, following_s) != old_s:
            seconds = range(instant_s, following_s)
            change_s = instant_s + bisect_left(seconds, True, key=lambda second: _offset_s(zone, second) != old_s)
            starts_ns.append(change_s * _NS)
            offsets_s.append(_offset_s(zone, change_s))
        instant_s = following_s
    return TimeZone(name, tuple(starts_ns), tuple(offsets_s))


def _offset_s(zone: ZoneInfo, instant_s: int) -> int:
    offset = datetime.fromtimestamp(instant_s, zone).utcoffset()
    return offset.days * 86_400 + offset.seconds if offset is not None else 0
