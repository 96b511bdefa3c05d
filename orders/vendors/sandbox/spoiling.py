"""What a fault does to an answer between the vendor and the caller's eyes."""

import functools
import zlib

from .faults import Fault

HUGE_BYTES = 10 * 1024 * 1024
BOMB_BYTES = 128 * 1024 * 1024
_BLOCK = 1024 * 1024


def spoiled(body: bytes, fault: Fault | None) -> tuple[bytes, dict[str, str]]:
    """The bytes to send in place of these, and headers to add or to replace."""
    match None if fault is None else fault.kind:
        case "empty":
            return b"", {}
        case "bom":
            return b"\xef\xbb\xbf" + body, {}
        case "bad_json":
            return body[:-1] + b",,", {}
        case "wrong_content_type":
            return body, {"Content-Type": "text/plain"}
        case "huge":
            return _padded(body, _bytes_asked(fault, HUGE_BYTES)), {}
        case "gzip_bomb":
            return _bomb(body, _bytes_asked(fault, BOMB_BYTES)), {"Content-Encoding": "gzip"}
    return body, {}


def _bytes_asked(fault: Fault | None, usual: int) -> int:
    return int(fault.argument) if fault is not None and fault.argument else usual


def _padded(body: bytes, size: int) -> bytes:
    """Still the same answer: JSON may be followed by any number of blanks."""
    return body + b" " * max(0, size - len(body))


@functools.lru_cache(maxsize=4)
def _bomb(body: bytes, size: int) -> bytes:
    """The same answer with so many blanks behind it, packed: a thousandth of what it unpacks to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    parts, left = [packer.compress(body)], max(0, size - len(body))
    blanks = b" " * _BLOCK
    while left > 0:
        parts.append(packer.compress(blanks[:left]))
        left -= _BLOCK
    return b"".join([*parts, packer.flush()])
