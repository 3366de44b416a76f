use std::future::poll_fn;
use std::task::Waker;

use ::http::{HeaderName, Request};
use leno_protocol::Flaw;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local, yield_now};

use super::*;
use crate::copies::Space;
use crate::room::tests::places;

/// The two ends of a stream of HTTP/2, whose reader opens a window of so many bytes.
async fn stream(window: u32) -> (SendStream<Bytes>, RecvStream) {
    let (near, far) = duplex(1 << 20);
    let mut builder = h2::server::Builder::new();
    let server = builder.initial_window_size(window).handshake(far);
    let (client, server) = tokio::join!(h2::client::handshake(near), server);
    let (mut requests, connection) = client.unwrap();
    let mut server: h2::server::Connection<_, Bytes> = server.unwrap();
    spawn_local(connection);
    let request = Request::post("http://cart/").body(()).unwrap();
    let (answer, up) = requests.send_request(request, false).unwrap();
    let (request, respond) = server.accept().await.unwrap().unwrap();
    spawn_local(async move {
        let _open = (requests, answer, respond);
        while server.accept().await.is_some() {}
    });
    (up, request.into_body())
}

/// The two ends of a connection.
async fn connection() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(listener.accept(), far);
    (Stream::Tcp(near.unwrap().0), far.unwrap())
}

fn buffers() -> Buffers {
    Buffers::new(usize::MAX, places(0))
}

/// Lets both connections say what they have to say.
async fn settle() {
    for _ in 0..50 {
        yield_now().await;
    }
}

/// Moves what can be moved; whether that was all.
async fn moves(relay: &mut Relay, mut spring: Spring<'_>, mut sink: Sink<'_>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    let polled = relay.poll(&mut context, &mut spring, &mut sink, &buffers());
    settle().await;
    polled.map(|moved| moved.unwrap()).is_ready()
}

async fn all(relay: &mut Relay, mut spring: Spring<'_>, mut sink: Sink<'_>) {
    let buffers = buffers();
    let moved = poll_fn(|context| relay.poll(context, &mut spring, &mut sink, &buffers));
    moved.await.unwrap();
}

async fn content(stream: &mut RecvStream) -> String {
    let mut content = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        content.extend_from_slice(&data);
    }
    String::from_utf8(content).unwrap()
}

fn trailers(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status", value)].map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    }))
}

#[tokio::test]
async fn a_window_is_opened_by_what_the_other_end_has_taken() {
    LocalSet::new()
        .run_until(async {
            for window in [0, 1, 40, 65_535] {
                let (mut source, mut spring) = stream(65_535).await;
                let (mut sink, mut target) = stream(window).await;
                let sent = Bytes::from(vec![b'x'; 100]);
                source.send_data(sent, true).unwrap();
                settle().await;
                let mut relay = Relay::from_http2(BodyFraming::Chunked);
                let mut taken = 0;
                loop {
                    let ends = (Spring::Http2(&mut spring), Sink::Http2(&mut sink));
                    let ended = moves(&mut relay, ends.0, ends.1).await;
                    taken = (taken + u64::from(window)).min(100);
                    assert_eq!(relay.moved(), taken, "{window}");
                    let held = spring.flow_control().used_capacity();
                    assert_eq!(held as u64, 100 - taken, "{window}");
                    if ended || window == 0 {
                        break;
                    }
                    let data = target.data().await.unwrap().unwrap();
                    target.flow_control().release_capacity(data.len()).unwrap();
                    settle().await;
                }
            }
        })
        .await;
}

#[tokio::test]
async fn the_begin_of_a_request_goes_with_its_head_and_the_rest_waits_for_room() {
    LocalSet::new()
        .run_until(async {
            let (mut source, mut spring) = stream(65_535).await;
            let (mut sink, _target) = stream(0).await;
            let mut relay = Relay::from_http2(BodyFraming::Chunked);
            for (begins, moved) in [(true, 9), (false, 9), (true, 12)] {
                if begins {
                    relay.begin(b"");
                }
                let count = moved - relay.moved();
                source
                    .send_data(Bytes::from(vec![b'x'; count.max(3) as usize]), false)
                    .unwrap();
                settle().await;
                let ends = (Spring::Http2(&mut spring), Sink::Http2(&mut sink));
                assert!(!moves(&mut relay, ends.0, ends.1).await);
                assert_eq!(relay.moved(), moved);
                assert_eq!(relay.is_held_up(), !begins);
            }
        })
        .await;
}

#[tokio::test]
async fn content_and_trailers_are_framed_for_http_1() {
    LocalSet::new()
        .run_until(async {
            for (framing, expect) in [
                (
                    BodyFraming::Chunked,
                    "3\r\nabc\r\n2\r\nde\r\n0\r\ngrpc-status: 0\r\n\r\n",
                ),
                (BodyFraming::Length(5), "abcde"),
                (BodyFraming::UntilClose, "abcde"),
            ] {
                let (mut source, mut spring) = stream(65_535).await;
                let (mut near, mut far) = connection().await;
                for data in ["abc", "", "de"] {
                    source.send_data(Bytes::from(data), false).unwrap();
                }
                let mut forged = trailers("0");
                forged.insert("content-length", HeaderValue::from_static("7"));
                source.send_trailers(forged).unwrap();
                let mut relay = Relay::from_http2(framing);
                all(
                    &mut relay,
                    Spring::Http2(&mut spring),
                    Sink::Http1(&mut near),
                )
                .await;
                assert_eq!(relay.grpc_status(), Some(&b"0"[..]));
                drop(near);
                let mut bytes = String::new();
                far.read_to_string(&mut bytes).await.unwrap();
                assert_eq!(bytes, expect);
            }
        })
        .await;
}

#[tokio::test]
async fn what_http_1_framed_arrives_as_content_and_trailers() {
    LocalSet::new()
        .run_until(async {
            for (framing, bytes, told) in [
                (
                    BodyFraming::Chunked,
                    "3;x\r\nabc\r\n2\r\nde\r\n0\r\nGrpc-Status:  7 \r\n\r\n",
                    Some("7"),
                ),
                (BodyFraming::Chunked, "5\r\nabcde\r\n0\r\n\r\n", None),
                (BodyFraming::Length(5), "abcde", None),
            ] {
                let (mut near, mut far) = connection().await;
                let (mut sink, mut target) = stream(65_535).await;
                far.write_all(bytes.as_bytes()).await.unwrap();
                far.write_all(b"GET /next").await.unwrap();
                let reader = BodyReader::new(framing);
                let mut relay = Relay::from_http1(framing, reader);
                all(&mut relay, Spring::Http1(&mut near), Sink::Http2(&mut sink)).await;
                assert_eq!(content(&mut target).await, "abcde", "{bytes:?}");
                let trailers = target.trailers().await.unwrap();
                let status = trailers.as_ref().and_then(|it| it.get("grpc-status"));
                assert_eq!(status.map(|it| it.to_str().unwrap()), told, "{bytes:?}");
                let rest = relay.take_rest().map(|rest| rest.to_vec());
                assert_eq!(rest.as_deref(), Some(&b"GET /next"[..]));
            }
        })
        .await;
}

#[tokio::test]
async fn another_try_sends_all_of_it_again() {
    LocalSet::new()
        .run_until(async {
            let (mut source, mut spring) = stream(65_535).await;
            let (mut refused, _) = stream(2).await;
            let mut relay = Relay::from_http2(BodyFraming::Chunked);
            relay.copies.hold(&Space::default());
            relay.begin(b"");
            source.send_data(Bytes::from("abc"), false).unwrap();
            settle().await;
            let ends = (Spring::Http2(&mut spring), Sink::Http2(&mut refused));
            assert!(!moves(&mut relay, ends.0, ends.1).await);
            assert!(relay.is_replayable());
            relay.begin(b"");
            source.send_data(Bytes::from("de"), false).unwrap();
            source.send_trailers(trailers("0")).unwrap();
            let (mut sink, mut target) = stream(65_535).await;
            all(
                &mut relay,
                Spring::Http2(&mut spring),
                Sink::Http2(&mut sink),
            )
            .await;
            assert_eq!(content(&mut target).await, "abcde");
            let trailers = target.trailers().await.unwrap().unwrap();
            assert_eq!(trailers.get("grpc-status").unwrap(), "0");
            assert_eq!(spring.flow_control().used_capacity(), 0);
            // Of what is not held, some is gone.
            relay.copies.release();
            assert!(!relay.is_replayable());
        })
        .await;
}

#[tokio::test]
async fn a_trailer_of_a_request_that_poses_as_a_header_is_a_flaw() {
    LocalSet::new()
        .run_until(async {
            let (mut source, mut spring) = stream(65_535).await;
            let (mut sink, _target) = stream(65_535).await;
            let forged = (
                HeaderName::from_static("host"),
                HeaderValue::from_static("x"),
            );
            source
                .send_trailers(HeaderMap::from_iter([forged]))
                .unwrap();
            let mut relay = Relay::from_http2(BodyFraming::Chunked).strict();
            let (mut spring, mut sink) = (Spring::Http2(&mut spring), Sink::Http2(&mut sink));
            let buffers = buffers();
            let moved = poll_fn(|context| relay.poll(context, &mut spring, &mut sink, &buffers));
            let stopped = moved.await.unwrap_err();
            assert!(
                matches!(stopped, Stopped::Body(Flaw::ForbiddenTrailer)),
                "{stopped:?}"
            );
        })
        .await;
}

#[tokio::test]
async fn bytes_and_their_end_go_both_ways_between_versions() {
    LocalSet::new()
        .run_until(async {
            let buffers = buffers();
            let came = |bytes: &[u8]| {
                let mut came = buffers.lend();
                came.extend_from_slice(bytes);
                came
            };
            let (mut source, mut spring) = stream(65_535).await;
            let (mut near, mut far) = connection().await;
            source.send_data(Bytes::from("abc"), false).unwrap();
            source.send_data(Bytes::from("de"), true).unwrap();
            let mut relay = Relay::bytes(true, came(b""));
            all(
                &mut relay,
                Spring::Http2(&mut spring),
                Sink::Http1(&mut near),
            )
            .await;
            let mut bytes = String::new();
            // The end is passed on, and the other direction is still open.
            far.read_to_string(&mut bytes).await.unwrap();
            assert_eq!((bytes.as_str(), relay.moved()), ("abcde", 5));

            let (mut sink, mut target) = stream(65_535).await;
            far.write_all(b" there").await.unwrap();
            far.shutdown().await.unwrap();
            let mut relay = Relay::bytes(false, came(b"who is"));
            all(&mut relay, Spring::Http1(&mut near), Sink::Http2(&mut sink)).await;
            assert_eq!(content(&mut target).await, "who is there");
            assert!(target.is_end_stream());
        })
        .await;
}

#[tokio::test]
async fn bytes_have_no_trailers() {
    LocalSet::new()
        .run_until(async {
            let (mut source, mut spring) = stream(65_535).await;
            let (mut sink, _target) = stream(65_535).await;
            source.send_trailers(trailers("0")).unwrap();
            let buffers = buffers();
            let mut relay = Relay::bytes(true, buffers.lend());
            let (mut spring, mut sink) = (Spring::Http2(&mut spring), Sink::Http2(&mut sink));
            let moved = poll_fn(|context| relay.poll(context, &mut spring, &mut sink, &buffers));
            let stopped = moved.await.unwrap_err();
            assert!(
                matches!(stopped, Stopped::Body(Flaw::Trailer)),
                "{stopped:?}"
            );
        })
        .await;
}
