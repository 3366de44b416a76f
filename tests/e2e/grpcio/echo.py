"""A server and clients of gRPC by grpcio, whose messages are plain bytes: nothing is generated.

echo.py serve ADDRESS        answers every message with itself, and a call of Fail with status 5
echo.py call ADDRESS         makes a call of each kind, and says what came of it
echo.py talk ADDRESS FILE    keeps one stream in conversation until the file is there
"""

import os
import sys
import time
from concurrent import futures

import grpc


class Echo(grpc.GenericRpcHandler):
    def service(self, call):
        kinds = {
            "/shop.Echo/One": grpc.unary_unary_rpc_method_handler(lambda message, context: message),
            "/shop.Echo/All": grpc.stream_stream_rpc_method_handler(lambda messages, context: messages),
            "/shop.Echo/Sum": grpc.stream_unary_rpc_method_handler(lambda messages, context: b"".join(messages)),
            "/shop.Echo/Fail": grpc.unary_unary_rpc_method_handler(fail),
        }
        return kinds.get(call.method)


def fail(message, context):
    context.set_trailing_metadata((("reason-bin", b"\0\xff"),))
    context.abort(grpc.StatusCode.NOT_FOUND, "nothing here: ü")


def serve(address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((Echo(),))
    server.add_insecure_port(address)
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


def call(channel):
    large = os.urandom(1_000_000)
    pieces = [bytes([number % 256]) * (number * 10) for number in range(300)]
    assert channel.unary_unary("/shop.Echo/One")(large, timeout=30) == large
    assert list(channel.stream_stream("/shop.Echo/All")(iter(pieces), timeout=30)) == pieces
    assert channel.stream_unary("/shop.Echo/Sum")(iter(pieces), timeout=30) == b"".join(pieces)
    for method in "Fail", "Unknown":
        try:
            channel.unary_unary(f"/shop.Echo/{method}")(b"", timeout=30)
        except grpc.RpcError as error:
            print(error.code().name, error.details(), dict(error.trailing_metadata()).get("reason-bin"))


def talk(channel, end):
    said = 0

    def messages():
        nonlocal said
        while not os.path.exists(end):
            said += 1
            yield str(said).encode()
            time.sleep(0.005)

    heard = list(channel.stream_stream("/shop.Echo/All")(messages()))
    assert heard == [str(number).encode() for number in range(1, said + 1)], heard
    print("whole")


what, address, *rest = sys.argv[1:]
if what == "serve":
    serve(address)
else:
    with grpc.insecure_channel(address) as channel:
        {"call": call, "talk": talk}[what](channel, *rest)
