"""HTTP/2 by hand, for what no gRPC library does: windows that stay shut, requests that never end, pings."""

import select
import socket
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INITIAL_WINDOW = 4
FRAME_BYTES = 16384


def grpc_message(body, size=None, compressed=False):
    """A message, or its beginning: its length may be more than what follows."""
    return struct.pack(">BI", compressed, len(body) if size is None else size) + body


class Connection:
    """One connection, used by one thread."""

    def __init__(self, address, initial_window=65535):
        self.address = address
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address.removeprefix("unix:"))
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.window = 65535  # What the server takes, on all streams together.
        self.stream_window = 65535  # ... and on a stream to begin with.
        self.windows = {}
        self.next_stream = 1
        self.ended = {}  # Streams that the server ended: the error, or None.
        self.acknowledged = 0  # Pings.
        self.goaway = None
        settings = struct.pack(">HI", INITIAL_WINDOW, initial_window)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    @staticmethod
    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

    def call(self, path, encoding="identity"):
        """Begins a call and answers with its stream."""
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        self.windows[stream] = self.stream_window
        self.socket.sendall(self.frame(HEADERS, END_HEADERS, stream, self.headers(path, encoding)))
        return stream

    def headers(self, path, encoding="identity"):
        block = b"\x83\x86"  # POST, http.
        for name, value in ((":path", path), (":authority", self.address), ("te", "trailers"),
                            ("content-type", "application/grpc"), ("grpc-encoding", encoding)):
            block += b"\x00" + self.text(name) + self.text(value)
        return block

    def withdraw(self, path, calls):
        """Begins that many calls and resets each at once, as fast as the server takes them."""
        block, cancel = self.headers(path), struct.pack(">I", 8)
        end = self.next_stream + 2 * calls
        self.socket.sendall(b"".join(
            self.frame(HEADERS, END_HEADERS, stream, block) + self.frame(RST_STREAM, 0, stream, cancel)
            for stream in range(self.next_stream, end, 2)))
        self.next_stream = end

    @staticmethod
    def text(value):
        assert len(value) < 127
        return bytes([len(value)]) + value.encode()

    def send(self, stream, data, end=False):
        """Sends as much as the server's windows allow, waiting for them; False once it ended the call."""
        view = memoryview(data)
        while len(view):
            room = min(self.window, self.windows[stream], FRAME_BYTES, len(view))
            if room <= 0:
                if stream in self.ended or not self.read(10):
                    return False
                continue
            self.socket.sendall(self.frame(DATA, 0, stream, bytes(view[:room])))
            self.window -= room
            self.windows[stream] -= room
            view = view[room:]
            self.read(0)
        if end:
            self.socket.sendall(self.frame(DATA, END_STREAM, stream))
        return True

    def ping(self):
        self.socket.sendall(self.frame(PING, 0, 0, bytes(8)))

    def read(self, timeout):
        """Takes what has come; False if nothing came in that time, or the connection ended."""
        if not select.select([self.socket], [], [], timeout)[0]:
            return False
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            self.goaway = self.goaway or "closed"
            return False
        self.received += data
        while len(self.received) >= 9:
            size = int.from_bytes(self.received[:3], "big")
            if len(self.received) < 9 + size:
                break
            kind, flags, stream = struct.unpack(">BBI", self.received[3:9])
            payload, self.received = self.received[9:9 + size], self.received[9 + size:]
            self.take(kind, flags, stream & 0x7fffffff, payload)
        return True

    def take(self, kind, flags, stream, payload):
        if kind == WINDOW_UPDATE:
            increment = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.window += increment
            elif stream in self.windows:
                self.windows[stream] += increment
        elif kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                if name == INITIAL_WINDOW:
                    for open_stream in self.windows:
                        self.windows[open_stream] += value - self.stream_window
                    self.stream_window = value
            self.socket.sendall(self.frame(SETTINGS, ACK, 0))
        elif kind == PING and flags & ACK:
            self.acknowledged += 1
        elif kind == PING:
            self.socket.sendall(self.frame(PING, ACK, 0, payload))
        elif kind == GOAWAY:
            self.goaway = payload[8:].decode(errors="replace") or str(payload)
        elif kind == RST_STREAM:
            self.ended[stream] = struct.unpack(">I", payload)[0]
        elif kind in (HEADERS, DATA) and flags & END_STREAM:
            self.ended.setdefault(stream, None)
