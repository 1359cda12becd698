# SPDX-License-Identifier: LGPL-2.1-or-later
"""command_secrets.py: secrets on the command line, readable only with the guest's master key.

The arguments of a process can be read by everybody. So a secret stands there encrypted
(AES-256-CBC) with a key of 32 random bytes, which QEMU reads from a file only it may read.
Called by: command_storage.py, command_graphics.py, command.py, drivers.qemu.start.
Calls: command_line.py.
Never: puts a secret on the command line in the clear.
"""

from __future__ import annotations

import base64
import os
from functools import lru_cache

from libvirtcore.drivers.qemu.command_line import Line, Props, internal

KEY_SIZE = 32
KEY_NAME = "masterKey0"
KEY_FILE = "master-key.aes"
_BLOCK = 16
_ROUNDS = 14


def make_master_key(folder: str) -> bytes:
    """Make a key and leave it in a guest's folder for QEMU, for the owner only. Raises: OSError."""
    key = os.urandom(KEY_SIZE)
    path = os.path.join(folder, KEY_FILE)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        os.fchmod(fd, 0o600)
        os.write(fd, key)
    finally:
        os.close(fd)
    return key


def master_key(line: Line) -> None:
    if line.ctx.native or line.ctx.master_key is not None:
        path = os.path.join(line.ctx.lib_dir, KEY_FILE)
        line.object("secret", KEY_NAME, {"format": "raw", "file": path})


def secret(line: Line, name: str, value: bytes) -> str:
    """An object that holds a secret; its name."""
    key = line.ctx.master_key
    if key is None:
        if not line.ctx.native:
            raise internal("a secret needs a master key, and the guest has none")
        key = os.urandom(KEY_SIZE)
    vector = os.urandom(_BLOCK)
    props: Props = {
        "data": base64.b64encode(encrypt(key, vector, value)).decode(),
        "keyid": KEY_NAME,
        "iv": base64.b64encode(vector).decode(),
        "format": "base64",
    }
    line.object("secret", name, props)
    return name


def stored(line: Line, kind: str, reference: str | None) -> bytes:
    """The value of a secret the connection keeps."""
    if line.ctx.secret is None or not reference:
        raise internal(f"no secret of type {kind} can be looked up for the command line")
    return line.ctx.secret(kind, reference)


# --- AES-256-CBC, since Python's standard library has none ----------------------------------------


def encrypt(key: bytes, vector: bytes, text: bytes) -> bytes:
    """AES-256-CBC with PKCS#7 padding."""
    if len(key) != KEY_SIZE or len(vector) != _BLOCK:
        raise ValueError("AES-256 wants a key of 32 bytes and a vector of 16")
    pad = _BLOCK - len(text) % _BLOCK
    text += bytes([pad]) * pad
    schedule = _schedule(key)
    out = bytearray()
    for place in range(0, len(text), _BLOCK):
        vector = _cipher(schedule, bytes(a ^ b for a, b in zip(vector, text[place:], strict=False)))
        out += vector
    return bytes(out)


def _double(value: int) -> int:
    return (value << 1) ^ (0x11B if value & 0x80 else 0)


@lru_cache(maxsize=1)
def _sbox() -> bytes:
    """The substitution of AES: the inverse in GF(2^8), then an affine map."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value ^= _double(value)  # times 3, which generates the field
    logs = {power: place for place, power in enumerate(powers)}
    box = bytearray(256)
    for byte in range(256):
        x = powers[-logs[byte] % 255] if byte else 0
        y = x
        for shift in range(1, 5):
            y ^= (x << shift | x >> (8 - shift)) & 0xFF
        box[byte] = y ^ 0x63
    return bytes(box)


def _schedule(key: bytes) -> list[bytes]:
    """The key of every round."""
    box = _sbox()
    words = [key[place : place + 4] for place in range(0, KEY_SIZE, 4)]
    constant = 1
    while len(words) < 4 * (_ROUNDS + 1):
        word = words[-1]
        if len(words) % 8 == 0:
            word = bytes([box[word[1]] ^ constant, box[word[2]], box[word[3]], box[word[0]]])
            constant = _double(constant)
        elif len(words) % 8 == 4:
            word = bytes(box[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word, strict=True)))
    return [b"".join(words[place : place + 4]) for place in range(0, len(words), 4)]


def _cipher(schedule: list[bytes], block: bytes) -> bytes:
    box = _sbox()
    state = bytes(a ^ b for a, b in zip(block, schedule[0], strict=True))
    for turn in range(1, _ROUNDS + 1):
        # substitute, and shift row r of the (column-wise) state by r
        moved = [box[state[(place + 4 * (place % 4)) % 16]] for place in range(16)]
        if turn < _ROUNDS:
            columns = (moved[place : place + 4] for place in range(0, 16, 4))
            moved = [byte for column in columns for byte in _mix(column)]
        state = bytes(a ^ b for a, b in zip(moved, schedule[turn], strict=True))
    return state


def _mix(column: list[int]) -> list[int]:
    a, b, c, d = column
    whole = a ^ b ^ c ^ d
    return [
        a ^ whole ^ _double(a ^ b),
        b ^ whole ^ _double(b ^ c),
        c ^ whole ^ _double(c ^ d),
        d ^ whole ^ _double(d ^ a),
    ]
