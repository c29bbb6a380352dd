"""What the gRPC server reads and writes, against other people's libraries: frames, headers, and the one message of a call."""

from __future__ import annotations

from urllib.parse import unquote

import hpack
import pytest
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, PingFrame, SettingsFrame, WindowUpdateFrame
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Refused, Retryable
from collector.receivers.grpc_server import frames
from collector.receivers.grpc_server.headers import ANSWER, BlockWriter, HeadReader, Status, http_headers, trailers
from collector.receivers.grpc_server.message import Message, framed
from collector.receivers.grpc_server.reading import BUFFER_BYTES, FrameReader
from collector.receivers.in_flight import InFlight, Lease
from proto.errors import MalformedRequest

Seen = tuple[int, int, int, bytes]
"""Type, whether a stream ends (DATA) or flags, stream, payload without padding."""


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.sizes: list[int] = []
        self._stream = 0
        self._data = b""
        self._room = bytearray()

    def greeted(self) -> None:
        """Nothing depends on it here."""

    def frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        self.seen.append((kind, flags, stream, payload))

    def data_begins(self, stream: int, size: int) -> None:
        self._stream, self._data = stream, b""
        self.sizes.append(size)

    def data(self, part: memoryview) -> None:
        self._data += part

    def room(self) -> memoryview | None:
        # Of streams with one kind of number, bytes are received in place.
        if self._stream % 3 == 0:
            return None
        self._room = bytearray(20_000)
        return memoryview(self._room)

    def filled(self, size: int) -> None:
        self._data += self._room[:size]

    def data_ends(self, *, ends_stream: bool) -> None:
        self.seen.append((frames.DATA, ends_stream, self._stream, self._data))


STREAMS = st.integers(1, frames.STREAM)
DATA = st.one_of(st.binary(max_size=40), st.integers(15_000, 60_000).map(lambda size: bytes(range(256)) * (size // 256)))


@st.composite
def data_frames(draw: st.DrawFn) -> DataFrame:
    frame = DataFrame(draw(STREAMS), draw(DATA), flags=draw(st.sets(st.sampled_from(["END_STREAM", "PADDED"]))))
    frame.pad_length = draw(st.integers(0, 255)) if "PADDED" in frame.flags else 0
    return frame


FRAMES = st.one_of(
    data_frames(),
    st.builds(HeadersFrame, STREAMS, st.binary(max_size=300), flags=st.sets(st.sampled_from(["END_HEADERS", "END_STREAM"]))),
    st.builds(PingFrame, st.just(0), st.binary(min_size=8, max_size=8)),
    st.builds(SettingsFrame, st.just(0), st.dictionaries(st.integers(1, 99), st.integers(0, (1 << 32) - 1), max_size=4)),
    st.builds(WindowUpdateFrame, st.integers(0, frames.STREAM), st.integers(1, frames.STREAM)),
)


def as_seen(frame: Frame) -> Seen:
    """What a reader of our own must say of a frame of the other library's."""
    if isinstance(frame, DataFrame):
        return (frames.DATA, "END_STREAM" in frame.flags, frame.stream_id, frame.data)
    sent = frame.serialize()
    return (frame.type, sent[4], frame.stream_id, sent[frames.HEAD_BYTES :])


@given(st.lists(FRAMES, max_size=12), st.data())
def test_frames_are_read_alike_wherever_they_are_cut(sent: list[Frame], drawn: st.DataObject) -> None:
    sink = Sink()
    reader = FrameReader(memoryview(bytearray(BUFFER_BYTES)), sink)
    left = memoryview(frames.PREFACE + b"".join(frame.serialize() for frame in sent))
    while left:
        room = reader.room()
        size = drawn.draw(st.integers(1, min(len(room), len(left))))
        room[:size] = left[:size]
        reader.received(size)
        left = left[size:]
    assert sink.seen == [as_seen(frame) for frame in sent]
    assert sink.sizes == [len(frame.serialize()) - frames.HEAD_BYTES for frame in sent if isinstance(frame, DataFrame)]


@given(st.lists(FRAMES, min_size=1, max_size=12))
def test_frames_that_come_while_it_is_paused_are_read_when_it_goes_on(sent: list[Frame]) -> None:
    sink = Sink()
    reader = FrameReader(memoryview(bytearray(BUFFER_BYTES)), sink)
    body = (frames.PREFACE + b"".join(frame.serialize() for frame in sent))[: BUFFER_BYTES - 1]
    reader.is_paused = True
    reader.room()[: len(body)] = body
    reader.received(len(body))
    assert not sink.seen
    if reader.resume():
        reader.received(0)
    whole = sink.seen
    assert whole == [as_seen(frame) for frame in sent][: len(whole)]
    assert len(whole) >= len(sent) - 3  # those that did not fit


def read(sent: bytes) -> Frame:
    frame, length = Frame.parse_frame_header(memoryview(sent[: frames.HEAD_BYTES]))
    frame.parse_body(memoryview(sent[frames.HEAD_BYTES :]))
    assert len(sent) == frames.HEAD_BYTES + length
    return frame


@given(STREAMS, st.integers(0, 13), st.text(max_size=40))
def test_frames_that_are_written_are_read_by_others(stream: int, code: int, text: str) -> None:
    gone = read(frames.go_away(stream, code, text))
    assert isinstance(gone, GoAwayFrame)
    assert (gone.last_stream_id, gone.error_code, gone.additional_data) == (stream, code, text.encode())
    settings = {frames.MAX_FRAME_SIZE: frames.LARGEST_FRAME, frames.INITIAL_WINDOW_SIZE: stream}
    told = read(frames.settings_frame(settings))
    assert isinstance(told, SettingsFrame)
    assert told.settings == settings == frames.settings_in(told.serialize()[frames.HEAD_BYTES :])
    opened = read(frames.window_update(stream, stream))
    assert isinstance(opened, WindowUpdateFrame)
    assert (opened.stream_id, opened.window_increment) == (stream, stream)


@given(st.lists(st.builds(Status, st.integers(0, 16), st.text(max_size=2000)), max_size=5))
def test_headers_that_are_written_are_read_by_others(statuses: list[Status]) -> None:
    decoder, writer = hpack.Decoder(max_header_list_size=1 << 20), BlockWriter()
    for status in statuses:
        read = dict(decoder.decode(writer.block(ANSWER + trailers(status))))
        assert (read[":status"], read["content-type"], read["grpc-status"]) == ("200", "application/grpc", str(status.code))
    assert dict(decoder.decode(writer.block(http_headers(415))))[":status"] == "415"


@given(st.text(max_size=1000))
def test_messages_of_statuses_come_back(message: str) -> None:
    read = dict(hpack.Decoder(max_header_list_size=1 << 20).decode(trailers(Status(3, message))))
    told = read.get("grpc-message", "")
    assert unquote(told) == message
    assert told.isascii()
    assert told.isprintable()


def test_a_message_that_is_no_text_does_not_keep_a_call_from_its_end() -> None:
    assert dict(hpack.Decoder().decode(trailers(Status(3, "\ud800"))))["grpc-message"] == "?"


HEADERS = st.dictionaries(
    st.sampled_from([":method", ":path", "content-type", "te", "x-a", "x-b"]), st.text("abcP/", max_size=20), min_size=1
)


@given(st.lists(HEADERS, max_size=20), st.booleans())
def test_heads_that_others_write_are_read(heads: list[dict[str, str]], huffman: bool) -> None:
    encoder, reader = hpack.Encoder(), HeadReader()
    for head in heads * 2:
        assert reader.read(encoder.encode(head, huffman=huffman)).headers == head


@pytest.mark.parametrize("limit", [0, 10, 1 << 20])
@given(st.binary(max_size=40), st.lists(st.integers(1, 30)), st.booleans(), st.binary(max_size=3))
def test_a_message_is_what_its_framing_says_however_it_comes(
    limit: int, body: bytes, cuts: list[int], in_place: bool, behind: bytes
) -> None:
    in_flight = InFlight(1 << 20)
    lease = Lease(in_flight)
    message = Message(limit, lease)
    left, refused = memoryview(framed(body) + behind), None
    cuts = cuts[:]
    while left and refused is None:
        size = cuts.pop() if cuts else len(left)
        room = message.room() if in_place else None
        part = left[:size] if room is None else left[: min(size, len(room))]
        try:
            if room is None:
                message.add(part)
            else:
                room[: len(part)] = part
                message.filled(len(part))
        except (Refused, MalformedRequest) as error:
            refused = error
        left = left[len(part) :]
    if len(body) > limit:
        assert isinstance(refused, Refused)
    elif behind:
        assert isinstance(refused, MalformedRequest)
    else:
        assert refused is None
        assert bytes(message.take()) == body
        assert lease.size == in_flight.held_bytes == len(body)
    lease.give_back()
    assert not in_flight.held_bytes


@given(st.binary(min_size=1, max_size=60), st.data())
def test_a_message_that_is_cut_off_is_not_whole(body: bytes, drawn: st.DataObject) -> None:
    message = Message(100, None)
    sent = framed(body)
    message.add(memoryview(sent[: drawn.draw(st.integers(0, len(sent) - 1))]))
    with pytest.raises(MalformedRequest):
        message.take()


def test_what_does_not_fit_beside_others_is_refused_when_it_comes() -> None:
    in_flight = InFlight(100)
    first, second = Lease(in_flight), Lease(in_flight)
    Message(1000, first).add(memoryview(framed(bytes(90))))
    message = Message(1000, second)
    message.add(memoryview(framed(bytes(500))[:10]))
    with pytest.raises(Retryable):
        message.add(memoryview(bytes(20)))
    assert in_flight.held_bytes == 95
