"""A TCP connection that can be cut: stands between a client and the server."""

import socket
import struct
import threading


class Proxy:
    """Hands bytes on to an address, in both directions, until somebody cuts. Thread-safe."""

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open = []
        self.cuts = 0
        # Bytes from the server after which a connection is cut by itself; None for never.
        self.cut_after = None
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()
        self.cut()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                client.close()  # The server is away.
                continue
            for connection in (client, server):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open += [client, server]
            for source, sink, limit in ((client, server, None), (server, client, self.cut_after)):
                threading.Thread(target=self._pump, args=(source, sink, limit), daemon=True).start()

    def _pump(self, source, sink, limit):
        passed = 0
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                passed += len(data)
                if limit is not None and passed >= limit:
                    self.cut()
                    return
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(sink)  # A reset of one side is the end of the other.

    def cut(self):
        """Resets every connection, as a broken network does: nobody says good-bye."""
        with self._lock:
            cut, self._open = self._open, []
        self.cuts += bool(cut)
        for connection in cut:
            try:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
            # Wakes the thread that reads from it, which a close alone would not.
            self._end(connection, socket.SHUT_RD)
            connection.close()

    @staticmethod
    def _end(connection, how=socket.SHUT_RDWR):
        try:
            connection.shutdown(how)
        except OSError:
            pass
