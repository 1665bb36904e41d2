"""An S3-compatible store in memory, over HTTP: checks signatures on its own, and fails as it is told."""

import base64
import collections
import hashlib
import hmac
import http.server
import socket
import threading
import urllib.parse

BUCKET, KEY, SECRET = "bucket", "key", "secret"
Call = collections.namedtuple("Call", "method key query")


class FakeS3:
    """`script(call)` is asked before each call: None lets it pass; else what happens in its place:
    a number (that status), ("503", seconds), or a word of Handler.ACTIONS."""

    def __init__(self):
        self.objects, self.uploads, self.calls = {}, {}, []
        self.script = lambda call: None
        self.read_only, self.skewed = False, False
        self.http = self.port = None
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        store = self

        class Handler(_Handler):
            pass
        Handler.store = store
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", self.port or 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        """Nothing listens any more; what is stored stays."""
        self.http.shutdown()
        self.http.server_close()
        # Connections that are kept open end as well: each answers one more call.
        self.http.RequestHandlerClass.ended = True

    def count(self, method, key_part=""):
        return sum(1 for c in self.calls if c.method == method and key_part in c.key)


def signature(secret, method, raw_path, query, headers, names, payload, stamp, region):
    """As Signature Version 4 has it, from the request as it came."""
    def mac(key, text):
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    quote = lambda s: urllib.parse.quote(s, safe="-._~")  # noqa: E731
    canonical_query = "&".join(sorted(f"{quote(k)}={quote(v)}" for k, v in query))
    canonical_headers = "".join(f"{n}:{headers[n].strip()}\n" for n in names)
    canonical = "\n".join([method, raw_path, canonical_query, canonical_headers, ";".join(names),
                           payload])
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                         hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (stamp[:8], region, "s3", "aws4_request"):
        key = mac(key, part)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    ended = False

    def log_message(self, *_):
        pass

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status, code, **headers):
        self._answer(status, f"<Error><Code>{code}</Code><Message>So it is</Message></Error>".encode(),
                     **headers)

    def _problem(self, body):
        """Why the request is not let in; None if it is."""
        if self.store.skewed:
            return 403, "RequestTimeTooSkewed"
        words = dict(part.strip().split("=", 1) for part in
                     self.headers.get("Authorization", "").removeprefix("AWS4-HMAC-SHA256 ").split(","))
        key, _, region, *_ = words["Credential"].split("/")
        if key != KEY:
            return 403, "InvalidAccessKeyId"
        payload = self.headers["x-amz-content-sha256"]
        names = words["SignedHeaders"].split(";")
        assert {"host", "x-amz-content-sha256", "x-amz-date"} <= set(names)
        wanted = signature(SECRET, self.command, self.path.split("?")[0], self.pairs,
                           {k.lower(): v for k, v in self.headers.items()}, names, payload,
                           self.headers["x-amz-date"], region)
        if not hmac.compare_digest(wanted, words["Signature"]):
            return 403, "SignatureDoesNotMatch"
        if hashlib.sha256(body).hexdigest() != payload:
            return 400, "XAmzContentSHA256Mismatch"
        md5 = self.headers.get("Content-MD5")
        if md5 and base64.b64encode(hashlib.md5(body).digest()).decode() != md5:
            return 400, "BadDigest"
        if self.store.read_only and self.command in ("PUT", "POST", "DELETE"):
            return 403, "AccessDenied"
        return None

    def _handle(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.ended:
            self.close_connection = True
            return
        path, _, raw_query = self.path.partition("?")
        self.pairs = urllib.parse.parse_qsl(raw_query, keep_blank_values=True)
        query = dict(self.pairs)
        bucket, _, key = urllib.parse.unquote(path)[1:].partition("/")
        call = Call(self.command, key, query)
        self.store.calls.append(call)
        action = self.store.script(call)
        problem = self._problem(body)
        if problem:
            self._error(*problem)
        elif bucket != BUCKET:
            self._error(404, "NoSuchBucket")
        elif action == "drop":
            self._break()
        elif isinstance(action, int):
            self._error(action, "Scripted")
        elif isinstance(action, tuple):
            self._error(int(action[0]), "SlowDown", Retry_After=str(action[1]))
        else:
            self._store(key, query, body, action)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle

    def _break(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _store(self, key, query, body, action):
        if "uploads" in query:
            upload = f"u+{len(self.store.uploads)}=="
            self.store.uploads[upload] = {}
            return self._answer(200, f"<R><UploadId>{upload}</UploadId></R>".encode())
        if "uploadId" in query:
            return self._multipart(key, query, body, action)
        if self.command == "PUT":
            if self.headers.get("If-None-Match") == "*" and key in self.store.objects:
                return self._error(412, "PreconditionFailed")
            self.store.objects[key] = (body, hashlib.md5(body).hexdigest())
            if action == "lose answer":
                return self._break()
            return self._answer(200, ETag=f'"{self.store.objects[key][1]}"')
        if self.command == "DELETE":
            self.store.objects.pop(key, None)
            return self._answer(204)
        if key not in self.store.objects:
            return self._error(404, "NoSuchKey")
        return self._read(*self.store.objects[key], action)

    def _multipart(self, key, query, body, action):
        parts = self.store.uploads.get(query["uploadId"])
        if parts is None:
            return self._error(404, "NoSuchUpload")
        if self.command == "PUT":
            parts[int(query["partNumber"])] = body
            return self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')
        if self.command == "GET":
            listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;{hashlib.md5(b).hexdigest()}"
                             f"&quot;</ETag><Size>{len(b)}</Size></Part>" for n, b in sorted(parts.items()))
            return self._answer(200, f"<R>{listed}<IsTruncated>false</IsTruncated></R>".encode())
        del self.store.uploads[query["uploadId"]]
        if self.command == "POST":
            whole = b"".join(part for _, part in sorted(parts.items()))
            md5s = b"".join(hashlib.md5(part).digest() for _, part in sorted(parts.items()))
            self.store.objects[key] = (whole, f"{hashlib.md5(md5s).hexdigest()}-{len(parts)}")
            if action == "lose answer":
                return self._break()
        return self._answer(200 if self.command == "POST" else 204)

    def _read(self, body, etag, action):
        status = 200
        if "Range" in self.headers:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            body, status = body[int(first):int(last) + 1], 206
        length = len(body)
        if action == "damage":
            body = bytes([body[0] ^ 1]) + body[1:]
        elif action == "shorten":
            body = body[:-1]
            length -= 1
        elif action == "promise more":  # And break off.
            self.close_connection = True
            length += 100
        elif action == "send more":
            body += b"x" * (1 << 20)
            length = len(body)
        elif action == "truncate":
            self.close_connection = True
            body = body[:len(body) // 2]
        self._answer(status, body, ETag=f'"{etag}"', Content_Length=str(length))
