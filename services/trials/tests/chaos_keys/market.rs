//! A market trades and is disturbed; then keys, passwords and tokens are searched for everywhere, and what was asked and
//! answered in all files.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::json;
use t4t_crypto::keyfile;
use t4t_testkit::anvil::dev_key;
use t4t_testkit::backend::{Behaviour, ScriptedBackend};
use t4t_testkit::chaos::{Form, Row, seed};
use t4t_testkit::eventually;
use t4t_testkit::processes::{
    Apart, ECHO, Gateway, PATIENCE, Process, Provider, RoleSpec, SERVICE_TOKEN, World, WorldConfig,
    build_services,
};
use t4t_testkit::rpc_proxy::{RpcFault, RpcProxy};
use t4t_testkit::secrets::{Found, Secrets, no_secret};
use url::Url;

use super::core_files::{FATAL, allow_core_files, core_files_are_allowed, ends_without_core};
use super::files::private;
use super::{PASSWORD, ROW, T4T};

/// The key that apps send.
const APP_KEY: &str = "sk-t4t-app-5d1c77e09ab2";

/// The key that the backend asks for.
const BACKEND_KEY: &str = "sk-backend-0b7f3e6d11c4";

/// The key in the address of the chain's endpoint, as those who sell endpoints have it.
const ENDPOINT_KEY: &str = "endpoint-a84f02c6be97d3";

/// What every question has in it, and so every answer of a backend that echoes.
const SAID: &str = "whisper-5b1e88c0d7f2";

/// Logs everything, what libraries say among it.
const EVERYTHING: &str = "trace,actix_server=trace,actix_http=trace,mio=trace,hyper=trace,hyper_util=trace,\
                          reqwest=trace,sqlx=trace,rustls=trace,tungstenite=trace,tokio_tungstenite=trace";

/// How often each request may meet a fault of the chain's endpoint.
const RATE: f64 = 0.03;

/// Everything that was said to apps and other askers.
#[derive(Default)]
struct Answers(Vec<u8>);

impl Answers {
    async fn take(&mut self, request: reqwest::RequestBuilder) -> anyhow::Result<(u16, String)> {
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        self.0.extend_from_slice(format!("{:?}", answer.headers()).as_bytes());
        let text = answer.text().await?;
        self.0.extend_from_slice(text.as_bytes());
        Ok((status, text))
    }
}

/// An app that knows the gateway's key.
struct App {
    http: reqwest::Client,
    answers: Answers,
    asked: usize,
}

impl App {
    fn new() -> Self {
        let http =
            reqwest::Client::builder().timeout(PATIENCE).build().expect("it needs nothing of the system");
        Self { http, answers: Answers::default(), asked: 0 }
    }

    /// Asks until there is an answer.
    async fn ask(&mut self, gateway: &Url) -> anyhow::Result<()> {
        self.asked += 1;
        let text = format!("{SAID} {}", self.asked);
        let body = json!({
            "model": ECHO, "max_tokens": 32, "stream": self.asked.is_multiple_of(2),
            "messages": [{ "role": "user", "content": text }],
        });
        let url = gateway.join("/v1/chat/completions")?;
        let mut tried = 0;
        eventually(PATIENCE * 2, "an answer", async || {
            tried += 1;
            let request = self.http.post(url.clone()).bearer_auth(APP_KEY).json(&body);
            let request = request.header("Idempotency-Key", format!("question {}, {tried}", self.asked));
            (self.answers.take(request).await.ok()?.0 == 200).then_some(())
        })
        .await
    }

    /// Asks for what can't be had, with and without the key.
    async fn ask_wrongly(&mut self, gateway: &Url) -> anyhow::Result<()> {
        let chat = gateway.join("/v1/chat/completions")?;
        let unknown = json!({ "model": "none", "messages": [] });
        let bodies =
            ["", "{", "[1]", "null", &unknown.to_string(), &format!("{{\"model\":\"{}\"}}", "m".repeat(300))];
        for body in bodies {
            for key in [APP_KEY, "", "wrong", &APP_KEY[1..]] {
                let request = self.http.post(chat.clone()).bearer_auth(key).body(body.to_owned());
                let (status, _) = self.answers.take(request).await?;
                ensure!(status >= 400, "{body} with {key:?} is answered with {status}");
            }
        }
        for path in
            ["/", "/v1/models/none", "/health", "/ready", "/v1/keys", "/../wallet.key", "/v1/models?key=1"]
        {
            self.answers.take(self.http.get(gateway.join(path)?).bearer_auth(APP_KEY)).await?;
            self.answers.take(self.http.delete(gateway.join(path)?)).await?;
        }
        Ok(())
    }

    /// Sends services what they can't read, and what they may not take.
    async fn ask_services_wrongly(&mut self, addresses: &[Url]) -> anyhow::Result<()> {
        let paths = ["/health", "/ready", "/v1/account", "/"];
        for address in addresses {
            for (path, token) in paths.iter().flat_map(|path| [(path, SERVICE_TOKEN), (path, "wrong")]) {
                let url = address.join(path)?;
                self.answers.take(self.http.get(url.clone()).bearer_auth(token)).await?;
                self.answers.take(self.http.post(url).bearer_auth(token).body("{")).await?;
            }
        }
        Ok(())
    }
}

/// The wallets: the gateway's and the provider's, and that of the gateway whose services are apart.
const WALLETS: [u32; 3] = [0, 1, 3];

#[actix_web::test]
async fn after_a_disturbed_market_keys_are_in_their_files_alone() -> anyhow::Result<()> {
    allow_core_files();
    build_services(T4T.as_ref())?;
    let rounds = Form::from_env().runs(1, 20)?;
    let world = World::start(WorldConfig::new(T4T)).await?;
    let vault = tempfile::tempdir()?;
    let temporary = world.home().join("tmp");
    std::fs::create_dir(&temporary)?;
    let proxy = RpcProxy::start(world.anvil.rpc_url(), seed()?).await?;
    let backend = ScriptedBackend::start(Behaviour::Good).await?;
    backend.require_key(BACKEND_KEY);
    let (password, endpoints) = fill(vault.path(), &world, &backend)?;
    let rpc = proxy.url().join(&format!("/v3/{ENDPOINT_KEY}"))?.to_string();
    let temporary = temporary.display().to_string();
    let variables = [
        ("LOG_LEVEL", EVERYTHING),
        ("GNOSIS_RPC_URL", rpc.as_str()),
        ("TMPDIR", &temporary),
        ("RUST_BACKTRACE", "full"),
        ("T4T_GATEWAY_API_KEY", APP_KEY),
        ("T4T_WALLET_PASSWORD_FILE", &password),
        ("T4T_ENDPOINTS_FILE", &endpoints),
    ];
    let spec = RoleSpec::provider().with(&variables);
    let mut provider = Provider::start(&world, &spec, &backend.url())?;
    provider.started().await?;
    world.on_offer(&[provider.wallet]).await.with_context(|| provider.process.story())?;
    let mut gateway = Gateway::start(&world, &RoleSpec::gateway().with(&variables))?;
    let apart = RoleSpec { name: "apart", wallet: WALLETS[2], node: 3, variables: &variables };
    let mut apart = Apart::gateway(&world, &apart).await?;
    world.anvil.set_block_time(Some(1)).await?;

    let mut app = App::new();
    for _ in 0..rounds {
        disturbed_round(&mut app, &proxy, &mut gateway, &mut provider, &apart).await?;
    }
    let url = gateway.url().await?;
    app.ask_wrongly(&url).await?;
    app.ask_wrongly(&apart.url).await?;
    app.ask_services_wrongly(&apart.addresses).await?;
    app.ask_services_wrongly(&[admin(&provider)?]).await?;
    let ledger = world.ledger().buyer(gateway.wallet, &gateway.database);
    ledger.seller(provider.wallet, &provider.database).closed(PATIENCE).await?;

    let secrets = secrets_of(&world)?;
    let shown = secrets.said.in_bytes("an HTTP answer", &app.answers.0);
    ensure!(!shown.is_empty(), "no app was shown what is searched for");
    let processes: Vec<&Process> =
        [&gateway.process, &provider.process].into_iter().chain(&apart.processes).collect();
    let in_memory = search(&world, &secrets, &app.answers.0, &processes)?;
    let count = processes.len();
    for (number, process) in
        [&mut gateway.process, &mut provider.process].into_iter().chain(&mut apart.processes).enumerate()
    {
        ends_without_core(process, FATAL[number % FATAL.len()]).await?;
    }
    no_secret(&secrets.everything.in_folder(world.home())?)?;
    no_secret(&secrets.said.in_folder(world.home())?)?;
    let logs: u64 = sizes(world.home())?;
    let ended = if core_files_are_allowed() {
        format!("{count} processes ended by SIGSEGV or SIGABRT left 0 core files")
    } else {
        "core files not shown: this system's hard limit of them is 0".to_owned()
    };
    let found = format!(
        "0 hits of {} secrets in {:.1} MB of logs, databases and other files, {:.1} MB of HTTP answers, cmdline and \
         environ, and none of questions and answers in the files; {ended}; {in_memory}",
        secrets.everything.count(),
        megabytes(logs),
        megabytes(app.answers.0.len() as u64),
    );
    Row::new(ROW, "secrets after a disturbed market, logs at trace", app.asked as u64, found).report()
}

/// Puts the provider's wallet into a keystore and what opens things into the vault; the paths of the latter.
fn fill(vault: &Path, world: &World, backend: &ScriptedBackend) -> anyhow::Result<(String, String)> {
    let (password, endpoints) = (vault.join("password"), vault.join("endpoints.json"));
    private(&password, format!("{PASSWORD}\n"))?;
    let entry = json!([{ "name": "b", "url": backend.url(), "apiKey": BACKEND_KEY }]);
    private(&endpoints, entry.to_string())?;
    let folder = world.home().join("provider");
    std::fs::create_dir(&folder)?;
    keyfile::write_wallet_keystore(&folder.join("wallet.key"), &dev_key(WALLETS[1]), &PASSWORD.into())?;
    Ok((password.display().to_string(), endpoints.display().to_string()))
}

/// Some requests while the chain's endpoint fails and processes are killed.
async fn disturbed_round(
    app: &mut App,
    proxy: &RpcProxy,
    gateway: &mut Gateway,
    provider: &mut Provider,
    apart: &Apart,
) -> anyhow::Result<()> {
    let url = gateway.url().await?;
    app.ask(&url).await.with_context(|| gateway.process.story())?;
    proxy.mix(&[(RpcFault::ServerError, RATE), (RpcFault::Truncated, RATE), (RpcFault::WrongId, RATE)]);
    app.ask(&url).await.with_context(|| gateway.process.story())?;
    app.ask(&apart.url).await.with_context(|| apart.story())?;
    proxy.heal();
    provider.process.restart(&[])?;
    gateway.process.restart(&[])?;
    provider.started().await?;
    let url = gateway.url().await?;
    app.ask(&url).await.with_context(|| gateway.process.story())
}

/// What is searched for.
struct Searched {
    /// All there is.
    everything: Secrets,
    /// What is in files, and so not in any process's environment.
    of_files: Secrets,
    /// The wallets' keys.
    wallets: Secrets,
    /// What questions and answers hold: apps are shown it, and files may have it sealed only.
    said: Secrets,
}

fn secrets_of(world: &World) -> anyhow::Result<Searched> {
    let mut wallets = Secrets::new();
    for number in WALLETS {
        wallets = wallets.key(&format!("wallet {number}"), &dev_key(number).secret_bytes());
    }
    let of_files = wallets.clone().keys_below(world.home())?;
    let of_files = of_files.text("the keystore's password", PASSWORD).text("the backend's key", BACKEND_KEY);
    let everything =
        of_files.clone().text("the gateway's key", APP_KEY).text("the services' token", SERVICE_TOKEN);
    let everything = everything.text("the endpoint's key", ENDPOINT_KEY);
    let said = Secrets::new().text("a question or its answer", SAID);
    Ok(Searched { everything, of_files, wallets, said })
}

/// Searches everywhere while the processes run; what their memory shows to root.
fn search(
    world: &World,
    secrets: &Searched,
    answers: &[u8],
    processes: &[&Process],
) -> anyhow::Result<String> {
    let mut found: Vec<Found> = secrets.everything.in_folder(world.home())?;
    found.extend(secrets.said.in_folder(world.home())?);
    found.extend(secrets.everything.in_bytes("an HTTP answer", answers));
    let mut shown = 0;
    for process in processes {
        let name = process.name();
        let line = std::fs::read(format!("/proc/{}/cmdline", process.id()))?;
        found.extend(secrets.everything.in_bytes(&format!("the command line of {name}"), &line));
        // To anyone but root it is closed.
        if let Ok(environment) = std::fs::read(format!("/proc/{}/environ", process.id())) {
            found.extend(secrets.of_files.in_bytes(&format!("the environment of {name}"), &environment));
            shown += 1;
        }
    }
    no_secret(&found)?;
    if shown == 0 {
        return Ok("their memory and environment are closed to their own user".into());
    }
    in_memory(&secrets.wallets, processes)
}

/// As root: the wallet is in the memory of whoever signs, and of nobody else.
fn in_memory(wallets: &Secrets, processes: &[&Process]) -> anyhow::Result<String> {
    let mut told = Vec::new();
    for process in processes {
        let name = process.name();
        let found = wallets.in_memory_of(process.id())?.context("root can read it")?;
        let signs = ["gateway", "provider", "apart-settlement"].contains(&name);
        ensure!(signs != found.is_empty(), "{name} and a wallet in its memory: {found:?}");
        let forms =
            found.iter().map(|(found, count)| format!("{} × {} ({})", count, found.form, found.place));
        told.push(format!("{name}: {}", forms.collect::<Vec<_>>().join(", ")));
    }
    Ok(format!("to root, memory shows {}", told.join("; ")))
}

fn admin(provider: &Provider) -> anyhow::Result<Url> {
    let log = provider.process.log();
    let (_, rest) =
        log.split_once("readiness at ").context("the provider did not say where its health is")?;
    Ok(rest.split_whitespace().next().unwrap_or_default().trim_end_matches("/ready").parse()?)
}

fn sizes(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { sizes(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
