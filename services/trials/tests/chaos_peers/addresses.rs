//! Addresses that peers name: nothing is ever dialled because a peer named it.
//!
//! Listeners of our own count whoever comes to them, on the loopback addresses; and the processes' sockets are looked
//! at all the time: neither may have one to anybody but its RPC endpoint, its Swarm node and its backend. Only root can
//! look at them; for anyone else the listeners alone tell, and the row says so.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, ensure};
use serde_json::json;
use t4t_protocol::MessageKind;
use t4t_testkit::chaos::Row;
use t4t_testkit::processes::{ECHO, Question};
use t4t_types::JobId;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use super::rogue::{Rogue, Terms};
use super::siege::Siege;
use super::vitals::{Look, Watched};

/// Jobs that are open at a time.
const AT_ONCE: usize = 8;

/// Loopback listeners that count who comes, and answer with a way to the next.
#[derive(Debug)]
struct Traps {
    port: u16,
    other_port: u16,
    visits: Arc<AtomicU64>,
    listening: Vec<JoinHandle<()>>,
}

impl Traps {
    async fn set() -> anyhow::Result<Self> {
        let visits = Arc::new(AtomicU64::new(0));
        // Both families on one port, so that every way to write the address leads there.
        let first = TcpListener::bind("0.0.0.0:0").await?;
        let port = first.local_addr()?.port();
        let other = TcpListener::bind("127.0.0.1:0").await?;
        let other_port = other.local_addr()?.port();
        let mut listeners = vec![first, other];
        // A machine without IPv6 has no such address to dial either.
        listeners.extend(TcpListener::bind(("::1", port)).await.ok());
        let count = |listener: TcpListener| {
            let visits = Arc::clone(&visits);
            tokio::spawn(async move {
                while let Ok((mut visitor, _)) = listener.accept().await {
                    visits.fetch_add(1, Ordering::SeqCst);
                    let answer = format!(
                        "HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:{other_port}/next\r\ncontent-length: 0\r\n\r\n"
                    );
                    // Whoever came is counted, whether it stays for the answer or not.
                    let _gone = visitor.write_all(answer.as_bytes()).await;
                }
            })
        };
        let listening = listeners.into_iter().map(count).collect();
        Ok(Self { port, other_port, visits, listening })
    }

    fn visits(&self) -> u64 {
        self.visits.load(Ordering::SeqCst)
    }

    /// Every way that we know to name a place that is not the peer's to name.
    fn addresses(&self) -> Vec<String> {
        let (port, other) = (self.port, self.other_port);
        let loopback = [
            "127.0.0.1",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "127.1",
            "127.0.1",
            "127.127.127.127",
            "0.0.0.0",
            "0",
            "2130706433",
            "0x7f000001",
            "0x7f.0x0.0x0.0x1",
            "0177.0.0.1",
            "017700000001",
            "0x7f.1",
            "127.0.0.1.",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[::1%25lo]",
            "127.0.0.1.nip.io",
            "localtest.me",
            "lvh.me",
            "127-0-0-1.sslip.io",
            "7f000001.c0a80001.rbndr.us",
            "①②⑦.⓪.⓪.①",
            "１２７.０.０.１",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "ip6-localhost",
        ];
        let mut all: Vec<String> =
            loopback.iter().map(|host| format!("http://{host}:{port}/inbox")).collect();
        all.extend(["127.0.0.1", "[::1]", "localhost"].map(|host| format!("https://{host}:{port}/inbox")));
        all.extend([
            format!("http://t4t.eth@127.0.0.1:{port}/"),
            format!("http://127.0.0.1:{port}@t4t.eth/"),
            format!("http://t4t.eth:80@127.0.0.1:{port}/"),
            format!("http://127.0.0.1:{port}#@t4t.eth/"),
            format!("http://127.0.0.1:{port}\\@t4t.eth/"),
            format!("http://t4t.eth\\@127.0.0.1:{port}/"),
            format!("http:\\\\127.0.0.1:{port}\\"),
            format!("http:127.0.0.1:{port}/"),
            format!("http:///127.0.0.1:{port}/"),
            format!("//127.0.0.1:{port}/"),
            format!("127.0.0.1:{port}/"),
            format!(" http://127.0.0.1:{port}/"),
            format!("http://127.0.0.1:{port}/redirect?to=http://127.0.0.1:{other}/"),
            format!("http://127.0.0.1:{port}/\r\nHost: t4t.eth\r\n\r\nGET /"),
            format!("ws://127.0.0.1:{port}/"),
            format!("ftp://127.0.0.1:{port}/"),
            format!("gopher://127.0.0.1:{port}/_GET"),
            format!("dict://127.0.0.1:{port}/info"),
            format!("ldap://127.0.0.1:{port}/"),
            format!("tftp://127.0.0.1:{port}/x"),
            format!("jar:http://127.0.0.1:{port}!/"),
            format!("http://127.0.0.1:{other}/second"),
        ]);
        let elsewhere = [
            "http://169.254.169.254/latest/meta-data/",
            "http://[fd00:ec2::254]/latest/meta-data/",
            "http://2852039166/latest/",
            "http://metadata.google.internal/computeMetadata/v1/",
            "http://100.100.100.200/latest/meta-data/",
            "http://127.0.0.1:22/",
            "http://127.0.0.1:25/",
            "http://127.0.0.1:6379/",
            "http://127.0.0.1:1633/stamps",
            "http://127.0.0.1:8545/",
            "http://10.0.0.1/",
            "http://172.16.0.1/",
            "http://192.168.0.1/",
            "http://192.168.1.1:80/",
            "http://100.64.0.1/",
            "http://198.18.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://[fe80::1]/",
            "http://[fc00::1]/",
            "file:///etc/passwd",
            "file://localhost/etc/passwd",
            "unix:///var/run/docker.sock",
            "data:text/plain,x",
            "javascript:alert(1)",
            "",
            "http://",
            "https://t4t.eth/pss/inbox",
        ];
        all.extend(elsewhere.map(str::to_owned));
        all
    }
}

impl Drop for Traps {
    fn drop(&mut self) {
        for listening in &self.listening {
            listening.abort();
        }
    }
}

#[actix_web::test]
async fn nothing_is_dialled_because_a_peer_named_it() -> anyhow::Result<()> {
    let variables = [("T4T_SELECTION_STRATEGY", "cheapest")];
    let mut siege = Box::pin(Siege::begin(&variables, &[("T4T_MAX_CONCURRENT_JOBS", "8")])).await?;
    let traps = Traps::set().await?;
    let (provider, gateway) = (&siege.scene.provider.process, &siege.scene.gateway.process);
    let watched =
        [Watched::begin(provider.id(), Look::Connections), Watched::begin(gateway.id(), Look::Connections)];
    let addresses = traps.addresses();
    ensure!(addresses.len() >= 60, "{} addresses", addresses.len());
    let named = Box::pin(name_all(&mut siege, &addresses)).await;
    let end = match named {
        Ok(()) => Box::pin(nobody_went(&mut siege, &traps, &watched)).await,
        Err(error) => Err(error),
    };
    let scene = &siege.scene;
    let found = end.map_err(|error| {
        error.context(format!("{}\n{}", scene.gateway.process.story(), scene.provider.process.story()))
    })?;
    let tried = format!("{} addresses that peers name, in five fields", addresses.len());
    Row::new(9, tried, addresses.len() as u64, found).report()
}

/// Names every address in every field in which a peer can name one.
async fn name_all(siege: &mut Siege, addresses: &[String]) -> anyhow::Result<()> {
    reply_addresses(siege, addresses).await.context("in notices")?;
    images(siege, addresses).await.context("in requests")?;
    answers(siege, addresses).await.context("in what a provider says of itself, and in its answer")?;
    siege.survived().await
}

/// As the place to send acknowledgement and answer to, for jobs that are paid and served.
async fn reply_addresses(siege: &Siege, addresses: &[String]) -> anyhow::Result<()> {
    let (provider, stranger) = (siege.scene.provider.wallet, &siege.stranger);
    for some in addresses.chunks(AT_ONCE) {
        let mut jobs: Vec<JobId> = Vec::new();
        for address in some {
            let hash = stranger.upload(stranger.request(provider, &format!("call {address}")).await?).await?;
            let notice = t4t_protocol::JobNotify {
                reply_url: Some(address.clone()),
                ext: Some(json!({ "replyUrl": address, "url": address })),
                ..stranger.notice(hash, super::stranger::PAYMENT)?
            };
            stranger
                .tell_provider(provider, stranger.sign(MessageKind::JobNotify, provider, &notice)?)
                .await?;
            jobs.push(stranger.post(&stranger.order(provider, hash).await?).await?);
        }
        for job in jobs {
            let job = stranger.over(&siege.scene.world, job).await?;
            ensure!(!job.paid.is_zero(), "a job with a notice like any other was not served: {job:?}");
        }
    }
    Ok(())
}

/// As images and tools in a request: the backend's affair, and nobody else's.
async fn images(siege: &Siege, addresses: &[String]) -> anyhow::Result<()> {
    let (provider, stranger) = (siege.scene.provider.wallet, &siege.stranger);
    let image = |url: &String| json!({ "type": "image_url", "image_url": { "url": url } });
    let mut jobs = Vec::new();
    for some in addresses.chunks(2) {
        let mut parts: Vec<serde_json::Value> = some.iter().map(image).collect();
        parts.push(json!({ "type": "text", "text": "what is this?" }));
        let request = json!({
            "model": ECHO, "max_tokens": 8, "messages": [{ "role": "user", "content": parts }],
            "tools": [{ "type": "mcp", "server_url": some[0] }], "webhook": some[0],
        });
        let hash = stranger.upload(stranger.seal_raw(provider, &request).await?).await?;
        jobs.push(stranger.post(&stranger.order(provider, hash).await?).await?);
    }
    for job in jobs {
        stranger.over(&siege.scene.world, job).await?;
    }
    Ok(())
}

/// In the registry, as models' names, in an answer.
async fn answers(siege: &mut Siege, addresses: &[String]) -> anyhow::Result<()> {
    // What the registry takes.
    let short: Vec<&str> =
        addresses.iter().map(String::as_str).filter(|address| address.len() <= 90).collect();
    let models: Vec<&str> = short.iter().copied().filter(|address| !address.is_empty()).take(62).collect();
    let listed = [&models[..], &[ECHO]].concat();
    let terms = Terms { models: &listed, metadata_uri: short[0], divisor: 10 };
    let rogue = Rogue::enter(&siege.scene.world, 90, &terms).await?;
    for address in &short {
        rogue.point_at(address).await?;
    }
    siege.scene.gateway.offers(&siege.scene.world, models[0]).await?;
    let url = siege.scene.gateway.url().await?;
    let app = siege.scene.world.app.clone();
    let question = Question::new(ECHO, "where shall I look?");
    let asking = app.ask(&url, &question);
    let said = addresses.join(" ");
    let (reply, answered) =
        futures_util::future::join(asking, rogue.answer_one(&siege.scene.world, &said)).await;
    answered?;
    reply?.answer()?;
    rogue.leave().await
}

/// What was found, in words.
async fn nobody_went(
    siege: &mut Siege,
    traps: &Traps,
    watched: &[Watched; 2],
) -> anyhow::Result<&'static str> {
    siege.end().await?;
    ensure!(traps.visits() == 0, "{} visits", traps.visits());
    let world = &siege.scene.world;
    let mut allowed: HashSet<SocketAddr> = HashSet::new();
    for url in [world.anvil.rpc_url(), world.node(0)?, world.node(1)?, siege.scene.backend.url()] {
        allowed.extend(socket_of(&url));
    }
    for process in watched {
        let Some(dialled) = process.dialled() else {
            ensure!(!rustix::process::geteuid().is_root(), "root saw no open files");
            return Ok("0 connections to the listeners; sockets are looked at by root only");
        };
        ensure!(!dialled.is_empty(), "the looks at the sockets saw nothing at all");
        let strange: Vec<&SocketAddr> = dialled.difference(&allowed).collect();
        ensure!(strange.is_empty(), "dialled {strange:?}");
        ensure!(process.udp_sightings() == 0, "a name was looked up");
    }
    Ok("0 connections, 0 names looked up")
}

fn socket_of(url: &Url) -> Option<SocketAddr> {
    Some(SocketAddr::new(url.host_str()?.parse().ok()?, url.port()?))
}
