//! Requests that mean two things, or nothing: each gets one refusal and the end of its connection, and the request hidden
//! in it is not executed.

use anyhow::ensure;
use t4t_testkit::chaos::Row;
use t4t_testkit::processes::{ECHO, Question, Scene, SceneSpec};

use super::raw::{Heard, address, chat, exchange};
use super::{ROW, T4T};

/// What must come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// One answer, which says that the request is wrong, and the end.
    Refused,
    /// So many answers with these statuses: it means one thing only.
    Answers(&'static [u16]),
}

/// A request to be tried.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    name: &'static str,
    pub(crate) bytes: Vec<u8>,
    expected: Expected,
}

fn case(name: &'static str, bytes: impl Into<Vec<u8>>, expected: Expected) -> Case {
    Case { name, bytes: bytes.into(), expected }
}

/// A POST with these header lines and this body.
fn post(headers: &str, body: &str) -> String {
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\n{headers}\r\n{body}")
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    [framing(), chunks(), heads(), pipelines()].concat()
}

/// A body whose length is told twice, or in a way that others read differently.
fn framing() -> Vec<Case> {
    let hidden = chat("smuggled", false);
    let chunked = format!("0\r\n\r\n{hidden}");
    let refused = |name, headers: &str, body: &str| case(name, post(headers, body), Expected::Refused);
    vec![
        refused("CL and TE", "content-length: 5\r\ntransfer-encoding: chunked\r\n", &chunked),
        refused("TE and CL", "transfer-encoding: chunked\r\ncontent-length: 5\r\n", &chunked),
        refused("CL 0 and TE", "content-length: 0\r\ntransfer-encoding: chunked\r\n", &chunked),
        refused("TE twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", &chunked),
        refused(
            "TE chunked and identity",
            "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
            &chunked,
        ),
        refused("TE of two codings", "transfer-encoding: identity, chunked\r\n", &chunked),
        refused("TE not last", "transfer-encoding: chunked, identity\r\n", &chunked),
        refused("TE of gzip", "transfer-encoding: gzip, chunked\r\n", &chunked),
        refused("TE misspelt", "transfer-encoding: xchunked\r\n", &chunked),
        refused("TE quoted", "transfer-encoding: \"chunked\"\r\n", &chunked),
        refused("TE with a vertical tab", "transfer-encoding: \x0bchunked\r\n", &chunked),
        refused("TE with a blank before the colon", "transfer-encoding : chunked\r\n", &chunked),
        refused("TE folded", "transfer-encoding:\r\n chunked\r\n", &chunked),
        refused("TE after a lone CR", "x: y\rtransfer-encoding: chunked\r\n", &chunked),
        refused("TE identity", "transfer-encoding: identity\r\n", &hidden),
        refused("CL twice", "content-length: 5\r\ncontent-length: 5\r\n", &hidden),
        refused("CL twice, unlike", "content-length: 0\r\ncontent-length: 500\r\n", &hidden),
        refused("CL of two", "content-length: 5, 5\r\n", &hidden),
        refused("CL with a sign", "content-length: +5\r\n", &hidden),
        refused("CL below nothing", "content-length: -1\r\n", &hidden),
        refused("CL in hexadecimal", "content-length: 0x10\r\n", &hidden),
        refused("CL beyond all", "content-length: 99999999999999999999999\r\n", &hidden),
        refused("CL with a point", "content-length: 5.0\r\n", &hidden),
        case(
            "TE in HTTP/1.0",
            post("transfer-encoding: chunked\r\n", &chunked).replace("HTTP/1.1\r\nhost", "HTTP/1.0\r\nhost"),
            Expected::Refused,
        ),
    ]
}

/// Chunks that are none.
fn chunks() -> Vec<Case> {
    let hidden = chat("smuggled", false);
    let te =
        |name, body: String| case(name, post("transfer-encoding: chunked\r\n", &body), Expected::Refused);
    vec![
        te("a chunk with a sign", format!("+5\r\nhello\r\n0\r\n\r\n{hidden}")),
        te("a chunk in 0x", format!("0x5\r\nhello\r\n0\r\n\r\n{hidden}")),
        te("a chunk beyond all", format!("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n{hidden}")),
        te("a chunk without length", format!("\r\nhello\r\n0\r\n\r\n{hidden}")),
        te("a chunk longer than told", format!("2\r\nhello\r\n0\r\n\r\n{hidden}")),
        te("a chunk's line that ends with LF", format!("0\n\n{hidden}")),
        te("an extension with a line in it", format!("5;a\nb\r\nhello\r\n0\r\n\r\n{hidden}")),
    ]
}

/// Heads that are none.
fn heads() -> Vec<Case> {
    let head = |name, bytes: &str| case(name, bytes, Expected::Refused);
    let many = "x: y\r\n".repeat(500);
    vec![
        head("HTTP/0.9", "GET /v1/models\r\n\r\n"),
        head("HTTP/3.7", "GET /v1/models HTTP/3.7\r\nhost: x\r\n\r\n"),
        head("no host", "GET /v1/models HTTP/1.1\r\n\r\n"),
        head("two hosts", "GET /v1/models HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"),
        head("a method with a null byte", "G\0T /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"),
        head("a path with a null byte", "GET /v1/\0models HTTP/1.1\r\nhost: x\r\n\r\n"),
        head("a name with a null byte", "GET /v1/models HTTP/1.1\r\nhost: x\r\nx\0: y\r\n\r\n"),
        head("a value with a null byte", "GET /v1/models HTTP/1.1\r\nhost: x\r\nx: y\0\r\n\r\n"),
        head("no method", " /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"),
        head("500 headers", &format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{many}\r\n")),
        head("TLS", "\x16\x03\x01\x02\0\x01\0\x01"),
        head(
            "a head of 200 kB",
            &format!("GET /v1/models HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(200_000)),
        ),
        case(
            "a method that nobody has",
            "FROB /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            Expected::Answers(&[405]),
        ),
        case(
            "a tunnel to another host",
            "CONNECT 169.254.169.254:80 HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n",
            Expected::Refused,
        ),
        case(
            "an address of another host",
            "GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            Expected::Answers(&[404]),
        ),
        case(
            "a head of 64 kB",
            format!(
                "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n",
                "y".repeat(64 << 10)
            ),
            Expected::Answers(&[200]),
        ),
        case(
            "an upgrade to HTTP/2",
            "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade, http2-settings\r\nupgrade: h2c\r\n\
             http2-settings: AAMAAABkAAQAAP__\r\n\r\n",
            Expected::Answers(&[200]),
        ),
    ]
}

/// Requests one after the other, which is right, and what follows them.
fn pipelines() -> Vec<Case> {
    let get = "GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let wrong = post("content-length: 2\r\n", "{}");
    vec![
        case("four at once", format!("{get}{get}{get}{last}"), Expected::Answers(&[200; 4])),
        case("a body and another", format!("{wrong}{last}"), Expected::Answers(&[400, 200])),
        case(
            "a chunked body and another",
            format!("{}{last}", post("transfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n")),
            Expected::Answers(&[400, 200]),
        ),
        case(
            "none after the end",
            format!("{last}{}", chat("smuggled", false)),
            Expected::Answers(&[200, 400]),
        ),
        case("one and garbage", format!("{get}\0\0\0\r\n\r\n{last}"), Expected::Answers(&[200, 400])),
        case(
            "a body nobody asked for",
            format!("GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 40\r\n\r\n{}", "x".repeat(40)),
            Expected::Answers(&[200]),
        ),
    ]
}

fn check(case: &Case, heard: &Heard) -> Result<(), String> {
    let statuses = heard.statuses();
    let is_right = match case.expected {
        Expected::Refused => matches!(statuses[..], [400..=499]) && heard.closed,
        Expected::Answers(expected) => statuses == expected,
    };
    let text: String = heard.text.chars().take(300).collect();
    if is_right {
        Ok(())
    } else {
        Err(format!("{}: {statuses:?}, closed {}: {text}", case.name, heard.closed))
    }
}

#[actix_web::test]
async fn what_means_two_things_is_refused_and_nothing_hidden_is_executed() -> anyhow::Result<()> {
    let mut scene = Scene::start(SceneSpec::new(T4T)).await?;
    scene.ask(&Question::new(ECHO, "is all well?")).await?.answer()?;
    let (calls, jobs) = (scene.backend.calls(), scene.closed().await?.len());
    let address = address(&scene.gateway.url().await?)?;
    let cases = cases();
    let heard = cases.iter().map(|case| async move {
        check(case, &exchange(address, &case.bytes).await?).map_err(anyhow::Error::msg)
    });
    let wrong: Vec<String> = futures_util::future::join_all(heard)
        .await
        .into_iter()
        .filter_map(|checked: anyhow::Result<()>| checked.err().map(|error| format!("{error:#}")))
        .collect();
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    // A smuggled purchase would be under way by now, and this one comes after it.
    scene.ask(&Question::new(ECHO, "and now?")).await?.answer()?;
    let after = scene.closed().await?.len();
    scene.world.keeps_its_keys()?;
    ensure!(after == jobs + 1, "{} purchases were smuggled in", after - jobs - 1);
    ensure!(
        scene.backend.calls() == calls + 1,
        "the backend was asked {} times",
        scene.backend.calls() - calls
    );
    let found = "each refused once and closed, or answered as it is meant; 0 hidden requests executed";
    Row::new(ROW, "smuggling, broken heads and chunks, pipelines", cases.len() as u64, found).report()
}
