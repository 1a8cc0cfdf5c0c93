//! More clients than there is room for.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Instant,
};

use futures_util::future::join_all;
use humanchat_api::server::{Caps, Timeouts};
use reqwest::Method;
use tokio::net::TcpListener;

use super::{LIVE, bounded, bounded_at};
use crate::{
    edge::somebody,
    raw::Wire,
    scene::eventually,
    story::stage::Stage,
    support::{Answer, PATIENCE},
};

/// An address of this machine that others could reach it by. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().unwrap().ip())
}

#[track_caller]
fn check_turned_away(answer: &Answer) {
    answer.refused(503, "service_unavailable");
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(answer.headers["x-request-id"].to_str().unwrap().parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    assert_eq!(
        (&answer.headers["connection"], &answer.headers["content-type"]),
        (&"close".parse().unwrap(), &"application/json".parse().unwrap())
    );
}

/// A connection that was let in.
async fn insider(address: SocketAddr) -> Wire {
    let mut wire = Wire::open_to(address).await;
    wire.write(LIVE.as_bytes()).await;
    wire.next().await.ok(200);
    wire
}

async fn outsider(address: SocketAddr) {
    let mut wire = Wire::open_to(address).await;
    wire.write(LIVE.as_bytes()).await;
    check_turned_away(&wire.answer().await);
}

#[tokio::test]
async fn who_finds_no_place_is_told_so_and_may_come_back() {
    let api = bounded(Timeouts::default(), Caps { total: 3, ..Caps::default() }, &[]).await;
    let mut wires = Vec::new();
    for _ in 0..3 {
        wires.push(insider(api.address).await);
    }
    for _ in 0..5 {
        outsider(api.address).await;
    }
    // Without having asked for anything.
    check_turned_away(&Wire::open(&api).await.answer().await);
    for wire in &mut wires {
        wire.write(LIVE.as_bytes()).await;
        wire.next().await.ok(200);
    }
    wires.pop();
    eventually("a place", async || {
        let mut wire = Wire::open(&api).await;
        wire.write(LIVE.as_bytes()).await;
        (wire.next().await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_open_socket_has_a_place() {
    let api = bounded(Timeouts::default(), Caps { total: 2, ..Caps::default() }, &[]).await;
    let casey = somebody(&api).await;
    let mut socket = casey.socket("/ws").await;
    outsider(api.address).await;
    socket.quiet().await;
    drop(socket);
    eventually("a place", async || {
        let mut wire = Wire::open(&api).await;
        wire.write(LIVE.as_bytes()).await;
        (wire.next().await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_address_has_so_many_places_and_proxies_any_number() {
    let Some(own) = own_address() else {
        println!("this machine has no address but its own: not tested");
        return;
    };
    for is_proxy in [false, true] {
        let proxies = is_proxy.then_some(own).into_iter().collect();
        let caps = Caps { per_ip: 2, proxies, ..Caps::default() };
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let api = bounded_at(listener, Timeouts::default(), caps, &[]).await;
        let port = api.address.port();
        let (outside, inside) = (SocketAddr::new(own, port), SocketAddr::from(([127, 0, 0, 1], port)));
        let mut wires = vec![insider(outside).await, insider(outside).await];
        if is_proxy {
            wires.push(insider(outside).await);
        } else {
            outsider(outside).await;
        }
        // This machine itself is not counted, as a proxy may run on it.
        for _ in 0..4 {
            wires.push(insider(inside).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_at_the_door_costs_those_inside_nothing() {
    const CROWD: usize = 500;
    let stage = Stage::with(&[]).await;
    let (program, api) = stage.api(&[("MAX_CONNECTIONS", "4")]).await;
    let mut inside = insider(api.address).await;
    let mut memory = Vec::new();
    for _ in 0..2 {
        // Who ask, and neither read nor leave.
        let mut crowd = join_all((0..CROWD).map(|_| Wire::open(&api))).await;
        join_all(crowd.iter_mut().map(|wire| wire.write(LIVE.as_bytes()))).await;
        let began = Instant::now();
        inside.write(LIVE.as_bytes()).await;
        inside.next().await.ok(200);
        let took = began.elapsed();
        let answers = join_all(crowd.iter_mut().map(Wire::next)).await;
        let (let_in, turned_away): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        // The connection that readiness was asked on may have had a place, or not.
        assert!(let_in.len() <= 3, "{}", let_in.len());
        turned_away.into_iter().for_each(check_turned_away);
        memory.push(super::memory_kib(program.pid()));
        println!("{CROWD} turned away; an answer meanwhile took {took:?}; {} KiB", memory[memory.len() - 1]);
        assert!(took < PATIENCE / 5, "{took:?}");
    }
    // A process that has just started still takes memory of its own.
    let grown = memory[1].saturating_sub(memory[0]);
    assert!(grown < 8 * 1024, "a second crowd cost {grown} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_never_more_connections_than_files() {
    let stage = Stage::with(&[]).await;
    let (program, api) = stage.api(&[("MAX_CONNECTIONS", "0")]).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.pid())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [soft, hard, ..] = files.split_whitespace().collect::<Vec<_>>()[..] else { unreachable!() };
    assert_eq!(soft, hard, "the limit of open files is raised as far as it goes");
    assert!(program.log().contains("caps the connections"), "{}", program.log());
    api.anonymous(Method::GET, "/health/live", None).await.ok(200);
}
