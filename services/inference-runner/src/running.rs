//! Start, serving and stop.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use t4t_api::inference_runner::{GetRunnerStatus, RunInference};
use t4t_api::{Desk, Guard, InferenceRunner, Mailbox, Selling, call_route, stream_route};
use t4t_clock::{SharedClock, timeout};
use t4t_runtime::Readiness;
use t4t_runtime::config::Bind;
use t4t_runtime::http::{RunningServer, ServeConfig, ServeError, serve};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use url::Url;

use crate::backend::Backend;
use crate::config::RunnerConfig;
use crate::directory::Directory;
use crate::discovery::Discovery;
use crate::error::StartError;
use crate::file::WatchedFile;
use crate::registration::Registration;
use crate::service::{SERVICE, Service};
use crate::slots::Slots;

/// Messages at the desk beside the requests that have a slot: questions for the status, and requests that are told
/// that all slots are taken.
const DESK_SPARE: usize = 64;

/// How long the last message to the dispatcher may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a runner is handed.
pub struct RunnerDeps {
    /// Its time.
    pub clock: SharedClock,
    /// The dispatcher to register with, if the runner runs apart from it.
    pub dispatcher: Option<Arc<dyn Selling>>,
    /// Where it says whether a backend answers.
    pub readiness: Readiness,
}

impl fmt::Debug for RunnerDeps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerDeps").field("dispatcher", &self.dispatcher.is_some()).finish_non_exhaustive()
    }
}

/// The inference runner, not started yet.
#[derive(Clone, Copy, Debug)]
pub struct Runner;

/// A runner at work. Dropping it leaves it at work until the process ends; [`Running::stop`] ends it.
pub struct Running {
    service: Arc<Service>,
    mailbox: Mailbox<Service>,
    discovery: Arc<Discovery>,
    dispatcher: Option<Arc<dyn Selling>>,
    registration: Option<Arc<Registration>>,
    tasks: Vec<JoinHandle<()>>,
    readiness: Readiness,
    server: Option<RunningServer>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("service", &self.service).finish_non_exhaustive()
    }
}

impl Runner {
    /// Starts a runner and looks once at its backends. One that does not answer is no error; it is asked again. Must
    /// be called inside an actix system.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start(config: RunnerConfig, deps: RunnerDeps) -> Result<Running, StartError> {
        let connect = config.limits.connect;
        let backends = config
            .endpoints
            .iter()
            .map(|endpoint| Backend::new(endpoint.clone(), connect, deps.clock.clone()).map(Arc::new));
        let backends = backends.collect::<Result<Vec<_>, _>>()?;
        let directory = Arc::new(Directory::new(backends, config.probe_new_models));
        let discovery = Arc::new(Discovery {
            file: config.endpoints_file.map(WatchedFile::new),
            directory: Arc::clone(&directory),
            limits: config.limits,
            clock: deps.clock.clone(),
            changed: Arc::new(Notify::new()),
            component: deps.readiness.component(SERVICE),
        });
        discovery.run_once().await;
        let slots = config.slots.max(1);
        let service = Arc::new(Service {
            directory,
            limits: config.limits,
            clock: deps.clock,
            runtime: Handle::current(),
            slots: Slots::new(slots),
            halt: watch::Sender::new(false),
        });
        Ok(Running {
            mailbox: Desk::start(SERVICE, Arc::clone(&service), slots as usize + DESK_SPARE),
            tasks: vec![tokio::spawn(Arc::clone(&discovery).run())],
            service,
            discovery,
            dispatcher: deps.dispatcher,
            registration: None,
            readiness: deps.readiness,
            server: None,
        })
    }
}

impl Running {
    /// The runner's address in this process.
    pub fn mailbox(&self) -> Arc<dyn InferenceRunner> {
        Arc::new(self.mailbox.clone())
    }

    /// Looks at the backends now instead of at the next round.
    pub async fn discover(&self) {
        self.discovery.run_once().await;
    }

    /// Serves the runner, `/health` and `/ready` over HTTP, the runner to whoever knows the token, and returns the
    /// address it got.
    ///
    /// # Errors
    /// [`ServeError`]
    pub fn serve_http(&mut self, bind: Bind, token: SecretString) -> Result<SocketAddr, ServeError> {
        let guard = Guard::new(SERVICE, token);
        let (mailbox, readiness) = (Arc::new(self.mailbox.clone()), self.readiness.clone());
        let server = serve(ServeConfig { name: SERVICE, bind, guarded: true }, move |routes| {
            readiness.routes(routes);
            call_route::<GetRunnerStatus, _>(routes, &guard, &mailbox);
            stream_route::<RunInference, _>(routes, &guard, &mailbox);
        })?;
        let address = server.address();
        self.server = Some(server);
        Ok(address)
    }

    /// Registers with the dispatcher under this name and keeps the lease; `url` is where the dispatcher reaches the
    /// runner.
    ///
    /// # Errors
    /// [`StartError::NoDispatcher`]
    pub fn register(&mut self, runner: String, url: Url) -> Result<(), StartError> {
        let registration = Arc::new(Registration {
            runner,
            url,
            dispatcher: self.dispatcher.clone().ok_or(StartError::NoDispatcher)?,
            service: Arc::clone(&self.service),
            clock: self.service.clock.clone(),
            changed: Arc::clone(&self.discovery.changed),
        });
        self.tasks.push(tokio::spawn(Arc::clone(&registration).run()));
        self.registration = Some(registration);
        Ok(())
    }

    /// Takes no more requests, tells the dispatcher so, lets those that run end within the grace time, and stops.
    pub async fn stop(self) {
        self.service.slots.close();
        let clock = self.service.clock.as_ref();
        if let Some(registration) = &self.registration {
            // A dispatcher that does not hear it learns it when the lease ends.
            let _unheard = timeout(clock, FAREWELL, registration.register()).await;
        }
        let all_free = self.service.slots.all_free();
        let is_idle = timeout(clock, self.service.limits.stop_grace, all_free).await.is_ok();
        if !is_idle {
            tracing::warn!("requests were still running and are ended");
        }
        self.service.halt.send_replace(true);
        if let Some(server) = self.server {
            server.stop().await;
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
