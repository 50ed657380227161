//! Frames between nodes, and what strangers send, on real sockets.

// clippy knows test functions, but not that everything in this file is one.
#![allow(clippy::unwrap_used)]

mod node;

use std::time::Duration;

use bytes::Bytes;
use headcount_cluster::limits::{MAX_PENDING_HANDSHAKES, MAX_QUEUED_EVENTS};
use headcount_cluster::link::frame::{self, ControlFrame};
use headcount_cluster::link::handshake::{
    Answer, Hello, Intent, Notice, PREFIX_BYTES, decode_answer, decode_prefix, encode,
};
use headcount_cluster::{Class, ClusterEvent, Incarnation, Link, LinkFull, Member, NodeId};
use node::{DEADLINE, Node, config, eventually, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn pair() -> (Node, Link, Node, Link) {
    let mut a = Node::start("a", &[]).await;
    let mut b = Node::start("b", &[a.addr()]).await;
    let ((_, to_b), (_, to_a)) = tokio::join!(a.linked("b"), b.linked("a"));
    (a, to_b, b, to_a)
}

#[test]
fn frames_arrive_in_order_in_each_class_and_both_ways() {
    run(async {
        let (mut a, to_b, mut b, to_a) = pair().await;
        for n in 0..500_u32 {
            let payload = Bytes::from(n.to_le_bytes().repeat(1 + n as usize % 50));
            to_b.try_send(Class::Stream, payload.clone()).unwrap();
            to_b.try_send(Class::Bulk, payload.clone()).unwrap();
            to_a.try_send(Class::Stream, payload).unwrap();
        }
        let (mut stream, mut bulk) = (0_u32, 0_u32);
        while stream < 500 || bulk < 500 {
            let ClusterEvent::Frame { class, payload, from } = b.next().await else {
                continue;
            };
            assert_eq!(from, a.cluster.me().origin());
            let next = if class == Class::Stream { &mut stream } else { &mut bulk };
            assert_eq!(payload[..4], next.to_le_bytes());
            *next += 1;
        }
        for n in 0..500_u32 {
            assert_eq!(a.frame(Class::Stream).await[..4], n.to_le_bytes());
        }
    });
}

#[test]
fn the_largest_frame_arrives_whole_and_a_larger_one_is_given_back() {
    run(async {
        let (a, to_b, mut b, _to_a) = pair().await;
        let max = 4 << 20;
        let largest = Bytes::from(vec![7; max - 1]);
        to_b.try_send(Class::Bulk, largest.clone()).unwrap();
        assert_eq!(b.frame(Class::Bulk).await, largest);
        let over = Bytes::from(vec![7; max]);
        let error = to_b.try_send(Class::Bulk, over.clone()).unwrap_err();
        assert!(matches!(error, LinkFull::TooLong { .. }));
        assert_eq!(error.into_payload(), over);
        assert!(matches!(to_b.try_send(Class::Control, Bytes::new()), Err(LinkFull::Reserved(_))));
        assert_eq!(a.cluster.stats().links_lost, 0);
    });
}

#[test]
fn a_peer_that_does_not_read_fills_the_outbox_and_announces_when_it_does_again() {
    run(async {
        let (mut a, to_b, mut b, _to_a) = pair().await;
        let payload = Bytes::from(vec![1; 100_000]);
        let mut sent = 0;
        // Nobody takes b's events: its channel fills, its reader waits, TCP stops, and a's outbox fills.
        let full = timeout(DEADLINE, async {
            loop {
                match to_b.try_send(Class::Stream, payload.clone()) {
                    Ok(()) => sent += 1,
                    Err(LinkFull::Full(_)) if sent > MAX_QUEUED_EVENTS => return,
                    Err(LinkFull::Full(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
                    Err(other) => panic!("{other}"),
                }
            }
        });
        full.await.expect("the outbox fills");
        assert!(to_b.queued_bytes(Class::Stream) >= 4 << 20 && to_b.has_room(Class::Bulk));
        for _ in 0..sent {
            b.frame(Class::Stream).await;
        }
        a.until("room", |event| matches!(event, ClusterEvent::LinkWritable { .. }).then_some(())).await;
        assert!(to_b.has_room(Class::Stream));
    });
}

#[test]
fn an_idle_link_lives_and_a_stopped_one_takes_nothing() {
    run(async {
        let (mut a, to_b, b, _to_a) = pair().await;
        let before = a.cluster.stats().frames_in;
        eventually("heartbeats come", || a.cluster.stats().frames_in > before + 20).await;
        assert_eq!(a.cluster.stats().links_lost, 0);
        drop(b);
        a.until("the end of the link", |event| matches!(event, ClusterEvent::LinkDown { .. }).then_some(())).await;
        assert!(to_b.is_closed());
        assert!(matches!(to_b.try_send(Class::Stream, "late".into()), Err(LinkFull::Closed(_))));
    });
}

#[test]
fn garbage_on_the_port_is_counted_and_leaves_the_node_alive() {
    run(async {
        let a = Node::start("a", &[]).await;
        let garbage: [&[u8]; 4] = [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaa",
            &[0; 100],
            &[0xff; 3],
        ];
        for bytes in garbage {
            let mut stream = TcpStream::connect(a.addr()).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            assert!(answer.is_empty());
        }
        let silent = TcpStream::connect(a.addr()).await.unwrap();
        eventually("all are counted", || a.cluster.stats().garbage_handshakes == 5).await;
        drop(silent);
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(b"not gossip", a.addr()).await.unwrap();
        eventually("the datagram is counted", || a.cluster.stats().garbage_datagrams == 1).await;
        let mut b = Node::start("b", &[a.addr()]).await;
        b.linked("a").await;
    });
}

#[test]
fn a_flood_of_silent_connections_is_bounded() {
    run(async {
        let a = Node::start("a", &[]).await;
        let mut flood = Vec::new();
        for _ in 0..MAX_PENDING_HANDSHAKES + 10 {
            flood.push(TcpStream::connect(a.addr()).await.unwrap());
        }
        eventually("some are dropped", || a.cluster.stats().dropped_connections >= 1).await;
        let mut b = Node::start("b", &[a.addr()]).await;
        b.linked("a").await;
    });
}

/// What a peer made by hand says first, as `z`.
fn hello(intent: Intent, notice: Option<Notice>) -> Hello {
    Hello {
        cluster: "headcount".into(),
        alike: std::collections::BTreeMap::new(),
        member: Member {
            node: NodeId::new("z").unwrap(),
            incarnation: Incarnation(1),
            addr: "127.0.0.1:9".parse().unwrap(),
        },
        intent,
        expected: None,
        notice,
    }
}

/// A peer made by hand: it shakes hands as `z` and then writes what it likes.
async fn impostor(to: &Node) -> TcpStream {
    let mut stream = TcpStream::connect(to.addr()).await.unwrap();
    stream.write_all(&encode(&hello(Intent::Link, None))).await.unwrap();
    let mut prefix = [0; PREFIX_BYTES];
    stream.read_exact(&mut prefix).await.unwrap();
    let mut body = vec![0; decode_prefix(&prefix).unwrap().1];
    stream.read_exact(&mut body).await.unwrap();
    assert!(matches!(decode_answer(&body), Ok(Answer::Accepted { .. })));
    stream
}

#[test]
fn a_frame_over_the_cap_or_without_meaning_closes_the_link_with_a_reason_and_a_count() {
    run(async {
        let mut a = Node::start("a", &[]).await;
        let over = frame::header(Class::Stream, 4 << 20);
        let table: [(&[u8], &str); 4] = [
            (&over, "max_frame_bytes"),
            (&[1, 0, 0, 0, 77], "unknown class 77"),
            (&[0, 0, 0, 0], "length 0"),
            (&[2, 0, 0, 0, 1, 99], "unknown control frame"),
        ];
        for (n, (bytes, words)) in table.into_iter().enumerate() {
            let mut stream = impostor(&a).await;
            a.linked("z").await;
            stream.write_all(bytes).await.unwrap();
            let reason = a
                .until("the end of the link", |event| match event {
                    ClusterEvent::LinkDown { reason, .. } => Some(reason),
                    _ => None,
                })
                .await;
            assert!(reason.contains(words), "{reason}");
            assert_eq!(a.cluster.stats().garbage_frames, n as u64 + 1);
        }
    });
}

/// Found by a simulated storm (seed 6420): whoever had heard its goodbye told it that it is Gone, and it came back under a new incarnation, of which
/// nobody ever heard a goodbye.
#[test]
fn a_node_that_leaves_takes_no_new_incarnation() {
    run(async {
        let mut a = Node::start("a", &[]).await;
        let mut peer = impostor(&a).await;
        a.linked("z").await;
        let me = a.cluster.me();
        let hears = async {
            let mut control = [0; frame::HEADER_BYTES + 1];
            while control[frame::HEADER_BYTES..] != ControlFrame::Goodbye.payload() {
                peer.read_exact(&mut control).await.unwrap();
            }
            let mut notice = TcpStream::connect(me.addr).await.unwrap();
            let is_gone = Some(Notice::to(&me, Some(me.incarnation)));
            notice.write_all(&encode(&hello(Intent::Notice, is_gone))).await.unwrap();
            notice.read_to_end(&mut Vec::new()).await.unwrap();
            control[frame::HEADER_BYTES] = ControlFrame::GoodbyeConfirmed.payload()[0];
            peer.write_all(&control).await.unwrap();
            peer
        };
        let (report, _peer) = tokio::join!(a.cluster.leave(DEADLINE), hears);
        assert_eq!(report.confirmed.len(), 1, "a new incarnation ends all links: {report:?}");
    });
}

#[test]
fn a_link_on_which_nothing_comes_is_closed_and_a_second_one_replaces_the_first() {
    run(async {
        let mut a = Node::start("a", &[]).await;
        let first = impostor(&a).await;
        let (_, old) = a.linked("z").await;
        let second = impostor(&a).await;
        let (_, new) = a.linked("z").await;
        assert!(old.is_closed() && !new.is_closed());
        let reason = a
            .until("the end of the link", |event| match event {
                ClusterEvent::LinkDown { reason, .. } => Some(reason),
                _ => None,
            })
            .await;
        assert!(reason.contains("sent nothing for 3s"), "{reason}");
        drop((first, second));
    });
}

#[test]
fn a_configuration_that_cannot_work_is_refused_before_a_socket_opens() {
    run(async {
        let mut config = config("a", &[]);
        config.advertise = "0.0.0.0:7946".parse().unwrap();
        let error = Node::start_with(config).await.map(drop).unwrap_err().to_string();
        assert!(error.contains("`advertise`"), "{error}");
    });
}

#[test]
fn a_link_closed_from_above_is_told_as_down() {
    run(async {
        let (mut a, to_b, b, _to_a) = pair().await;
        to_b.close("the layer above did not understand");
        drop(b); // it never comes back
        let down = timeout(
            DEADLINE,
            a.until("the end of the link", |event| matches!(event, ClusterEvent::LinkDown { .. }).then_some(())),
        )
        .await;
        assert!(down.is_ok(), "no LinkDown; links: {:?}", a.cluster.links());
    });
}

#[test]
fn an_outbox_whose_room_was_asked_for_announces_room() {
    run(async {
        let (mut a, to_b, mut b, _to_a) = pair().await;
        // As the actor does: ask, then send.
        let full = timeout(DEADLINE, async {
            loop {
                while to_b.has_room(Class::Stream) {
                    to_b.try_send(Class::Stream, Bytes::from(vec![0; 64 << 10])).unwrap();
                }
                // The sockets' own buffers take some of it first.
                tokio::time::sleep(Duration::from_millis(20)).await;
                if !to_b.has_room(Class::Stream) {
                    return;
                }
            }
        });
        full.await.unwrap();
        let drain = async {
            loop {
                b.frame(Class::Stream).await;
            }
        };
        let writable = timeout(
            DEADLINE,
            a.until("room", |event| matches!(event, ClusterEvent::LinkWritable { .. }).then_some(())),
        );
        tokio::select! { () = drain => {}, told = writable => assert!(told.is_ok(), "nothing told; room: {}", to_b.has_room(Class::Stream)) }
    });
}
