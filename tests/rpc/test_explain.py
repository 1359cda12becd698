# SPDX-License-Identifier: LGPL-2.1-or-later
"""test_explain.py: recorded sessions in words, and the recorder itself."""

from __future__ import annotations

import io
import os
import socket
import threading
from pathlib import Path

import pytest

from libvirtcore.rpc import capture, explain
from libvirtcore.rpc.capture import Piece
from libvirtcore.rpc.pure_frame import ERROR, STREAM, STREAM_HOLE, Frame, pack

SESSION = Path(__file__).parents[1] / "hostile" / "session.capture"
REMOTE = 0x20008086


def words(*pieces: Piece) -> list[str]:
    return [line.strip() for line in explain.explain(pieces)]


def test_explain_says_what_the_session_s_comments_say(capsys: pytest.CaptureFixture[str]) -> None:
    """The comments were written by it when the session was recorded; they are the golden text."""
    comments = [line[2:].strip() for line in SESSION.read_text().splitlines() if line[0] == "#"]
    assert explain.main([str(SESSION)]) == 0
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == comments[2:]


def test_explain_reads_the_raw_bytes_of_one_direction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pieces = list(capture.read(SESSION.read_text().splitlines()))
    raw = tmp_path / "raw"
    raw.write_bytes(b"".join(piece.data for piece in pieces if piece.direction == "<")[:-1])
    assert explain.main([str(raw)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "< reply remote.auth_list serial=0 ok 36 bytes"
    assert lines[-1].strip() == "27 bytes of a message that does not end"


def test_explain_goes_on_after_what_it_cannot_read() -> None:
    frames = [
        Frame(REMOTE, 1, 4, 1, 0, 0, b"\0\0"),
        Frame(REMOTE, 1, 9999, 7, 0, 5),
        Frame(1, 2, 3, 0, 0, 0, b"abcd"),
        Frame(REMOTE, 1, 209, STREAM, 3, 2, b"x" * 100),
        Frame(REMOTE, 1, 209, STREAM_HOLE, 3, 2, bytes(7) + b"\5" + bytes(4)),
        Frame(REMOTE, 1, 209, STREAM, 3, ERROR),
    ]
    assert words(*(Piece("<", 1.0, pack(frame)) for frame in frames)) == [
        "1.000000 < reply remote.connect_get_version serial=0 ok 30 bytes",
        "payload = 0000 (Unable to decode message payload: message[0] at byte 0:"
        " 8 bytes are needed, 2 remain)",
        "1.000000 < type 7 remote.9999 serial=0 status 5 28 bytes",
        "payload = empty (this procedure is not known)",
        "1.000000 < call 0x1.3 serial=0 ok 32 bytes",
        "payload = 61626364 (this procedure is not known)",
        "1.000000 < stream remote.storage_vol_download serial=3 continue 128 bytes",
        "data = 100 bytes 78787878 78787878 78787878 78787878",
        "1.000000 < hole remote.storage_vol_download serial=3 continue 40 bytes",
        "length = 5",
        "flags = 0",
        "1.000000 < stream remote.storage_vol_download serial=3 error 28 bytes",
    ]


def test_explain_stops_one_direction_at_a_senseless_length() -> None:
    text = Piece("<", 0.0, b"SSH-2.0-x\r\n")
    call = Piece(">", 1.0, pack(Frame(REMOTE, 1, 66, 0, 0, 0)))
    assert words(text, call) == [
        "0.000000 < the peer sent text instead of libvirt RPC: 'SSH-2.0-x';"
        " nothing more is read this way",
        "1.000000 > call remote.auth_list serial=0 ok 28 bytes",
    ]


def test_explain_of_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main(["/nonexistent"]) == 1
    assert "/nonexistent" in capsys.readouterr().err


def test_capture_is_read_as_written() -> None:
    pieces = [Piece(">", 0.5, bytes(range(100))), Piece("<", 1.25, b"\xff")]
    out = io.StringIO()
    for piece in pieces:
        capture.write(piece, out)
    assert list(capture.read(out.getvalue().splitlines())) == pieces
    assert capture.is_capture(out.getvalue().encode())
    assert not capture.is_capture(pack(Frame(REMOTE, 1, 66, 0, 0, 0)))


@pytest.mark.parametrize("line", ["> x 00", "> 0.1 0g", "  00", "hello"])
def test_capture_names_a_wrong_line(line: str) -> None:
    with pytest.raises(ValueError, match="line 2: "):
        list(capture.read(["# fine", line, "< 1.0 00"]))


def test_capture_passes_bytes_and_descriptors_on() -> None:
    client, ours = socket.socketpair()
    daemon, theirs = socket.socketpair()
    out = io.StringIO()
    relay = threading.Thread(target=capture.relay, args=(ours, theirs, out))
    relay.start()
    client.sendall(b"hello")
    assert daemon.recv(100) == b"hello"
    socket.send_fds(daemon, [b"answer\0"], [0])
    data, fds, _, _ = socket.recv_fds(client, 100, 4)
    while len(data) < 7:
        more, also, _, _ = socket.recv_fds(client, 100, 4)
        data, fds = data + more, fds + also
    assert data == b"answer\0"
    assert len(fds) == 1
    os.close(fds[0])
    client.close()
    relay.join()
    for each in (ours, daemon, theirs):
        each.close()
    said = [(piece.direction, piece.data) for piece in capture.read(out.getvalue().splitlines())]
    assert said == [(">", b"hello"), ("<", b"answer\0")]
