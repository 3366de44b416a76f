"""WebSocket by programs of both versions of HTTP: h2 and wsproto speak HTTP/2, websockets speaks HTTP/1.1.

echo.py serve ADDRESS               echoes, asked in HTTP/1.1; refuses /closed
echo.py talk VERSION ADDRESS        says much, and compares what comes back
echo.py hold VERSION ADDRESS FILE   keeps one socket in conversation until the file is there
echo.py ask VERSION ADDRESS PATH    with which status a socket is refused there, and why
"""

import asyncio
import os
import socket
import sys
import time
from http import HTTPStatus

import h2.config
import h2.connection
import h2.events
import h2.settings
import websockets
from wsproto import ConnectionType
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage


async def serve(address):
    async def echo(socket, path):
        async for message in socket:
            await socket.send(message)

    async def refuse(path, headers):
        return (HTTPStatus.FORBIDDEN, [], b"not here\n") if path == "/closed" else None

    host, port = address.split(":")
    kinds = dict(subprotocols=["chat"], max_size=None, process_request=refuse)
    async with websockets.serve(echo, host, int(port), **kinds):
        print("ready", flush=True)
        await asyncio.Future()


class Refused(Exception):
    pass


class Http2:
    """A socket in a stream of HTTP/2 (RFC 8441)."""

    def __init__(self, address, path):
        host, port = address.split(":")
        self.tcp = socket.create_connection((host, int(port)), timeout=30)
        self.tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.frames, self.events, self.heard = Connection(ConnectionType.CLIENT), [], []
        self.answer, self.ended = None, False
        self.flush()
        while not self.http.remote_settings.enable_connect_protocol:
            self.more()
        self.stream = self.http.get_next_available_stream_id()
        fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", path)]
        fields += [(":authority", address), ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")]
        self.http.send_headers(self.stream, fields)
        self.flush()
        while self.answer is None:
            self.more()
        if self.answer[":status"] != "200":
            raise Refused(self.answer[":status"], self.answer.get("leno-error"))
        self.subprotocol = self.answer.get("sec-websocket-protocol")

    def flush(self):
        self.tcp.sendall(self.http.data_to_send())

    def more(self):
        came = self.tcp.recv(65536)
        assert came, "the connection ended"
        for event in self.http.receive_data(came):
            match event:
                case h2.events.ResponseReceived():
                    self.answer = dict(event.headers)
                case h2.events.DataReceived():
                    self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    if self.answer[":status"] == "200" and event.data:
                        self.frames.receive_data(event.data)
                        self.events += self.frames.events()
                case h2.events.StreamEnded():
                    self.ended = True
                case h2.events.StreamReset():
                    # A refusal needs no more of the request; and some reset what a word of WebSocket has ended.
                    if event.error_code and self.frames.state is not ConnectionState.CLOSED:
                        raise Refused("reset", event.error_code)
                    self.ended = True
        self.flush()

    def write(self, event):
        data = self.frames.send(event)
        while data:
            room = min(self.http.local_flow_control_window(self.stream), self.http.max_outbound_frame_size)
            if not room:
                self.more()
                continue
            self.http.send_data(self.stream, data[:room])
            data = data[room:]
            self.flush()

    def next(self):
        while not self.events:
            self.more()
        return self.events.pop(0)

    async def send(self, message):
        self.write(TextMessage(message) if isinstance(message, str) else BytesMessage(message))

    async def recv(self):
        whole = None
        while True:
            event = self.next()
            assert isinstance(event, (TextMessage, BytesMessage)), event
            whole = event.data if whole is None else whole + event.data
            if event.message_finished:
                return bytes(whole) if isinstance(event, BytesMessage) else whole

    async def ping(self):
        self.write(Ping(b"here"))
        assert self.next() == Pong(b"here")

    async def close(self):
        self.write(CloseConnection(1000))
        closed = self.next()
        assert isinstance(closed, CloseConnection), closed
        self.close_code = closed.code
        # The stream ends as the connection does in HTTP/1.1: its server ends it.
        while not self.ended:
            self.more()


class Http1:
    """A socket in a connection of HTTP/1.1, as far as it differs."""

    def __init__(self, socket):
        self.socket = socket
        self.subprotocol = socket.subprotocol

    async def send(self, message):
        await unbroken(self.socket.send(message))

    async def recv(self):
        return await unbroken(self.socket.recv())

    async def ping(self):
        await (await self.socket.ping())

    async def close(self):
        await self.socket.close()
        self.close_code = self.socket.close_code


async def unbroken(doing):
    try:
        return await doing
    except websockets.ConnectionClosed as closed:
        raise Refused("reset", closed.code)


async def connect(version, address, path):
    if version == "2":
        return Http2(address, path)
    try:
        url = f"ws://{address}{path}"
        return Http1(await websockets.connect(url, subprotocols=["chat"], max_size=None))
    except websockets.InvalidStatusCode as refused:
        raise Refused(str(refused.status_code), refused.headers.get("leno-error"))


async def talk(version, address):
    socket = await connect(version, address, "/chat?room=1")
    assert socket.subprotocol == "chat", socket.subprotocol
    for message in ["", "hello", os.urandom(125), os.urandom(70000), os.urandom(1000000)]:
        await socket.send(message)
        assert await socket.recv() == message
    await socket.ping()
    for number in range(500):
        await socket.send(str(number))
        assert await socket.recv() == str(number)
    await socket.close()
    print(socket.close_code)


async def hold(version, address, end):
    socket = await connect(version, address, "/chat")
    print("open", flush=True)
    said = 0
    try:
        while not os.path.exists(end):
            said += 1
            await socket.send(str(said))
            assert await socket.recv() == str(said)
            time.sleep(0.005)
        await socket.close()
        print("whole")
    except Refused as refused:
        print(*refused.args)


async def ask(version, address, path):
    try:
        await connect(version, address, path)
        print("open")
    except Refused as refused:
        print(*refused.args)


if __name__ == "__main__":
    kinds = {"serve": serve, "talk": talk, "hold": hold, "ask": ask}
    asyncio.run(kinds[sys.argv[1]](*sys.argv[2:]))
