//! What `actix_web::HttpServer` does, over sockets that hand over little at a time.

use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::rt::net::TcpStream;
use socket2::{Domain, SockRef, Socket, Type};

use super::connections::{ConnectionLimits, Connections};
use super::measured::Measured;

/// How long a server's clients may take, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Serving {
    /// Threads.
    pub workers: usize,
    /// Idle connections are closed after this long.
    pub keep_alive: Duration,
    /// A client must have sent its first request's head within this time.
    pub head_timeout: Duration,
    /// How long a client may take to close a connection that is done with.
    pub closing: Duration,
    /// Open requests may run on for this long after being asked to stop.
    pub shutdown: Duration,
    /// What connections are held to.
    pub limits: ConnectionLimits,
}

/// Connections that wait to be taken: a crowd that comes at once.
const BACKLOG: i32 = 1024;

/// Listens at an address.
///
/// # Errors
/// The system refuses.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves the app that `app` makes for each thread. Signals are left to the process.
///
/// # Errors
/// The listener is not one that can be waited for.
pub fn start<F, I, S, B>(name: &str, listener: TcpListener, serving: Serving, app: F) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let address = listener.local_addr()?;
    let connections = Connections::new(serving.limits);
    let builder = Server::build()
        .workers(serving.workers)
        .max_concurrent_connections(serving.limits.taken().div_ceil(serving.workers))
        .shutdown_timeout(serving.shutdown.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let builder = builder.listen(name, listener, move || {
        let stopping = stopping.clone();
        let app = app().into_factory().map_err(|error| error.into().error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(serving.keep_alive)
            .client_request_timeout(serving.head_timeout)
            .client_disconnect_timeout(serving.closing)
            // A client that closes its side has gone: nobody waits for the answer.
            .h1_allow_half_closed(false)
            .local_addr(address)
            .on_connect_ext(|socket: &Measured, data| {
                socket.connection().map(|connection| data.insert(Arc::clone(connection)));
            })
            .finish(map_config(app, |()| AppConfig::default()));
        let connections = Arc::clone(&connections);
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            ready(Ok::<_, DispatchError>((measured(stream, &connections), Protocol::Http1, peer)))
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

fn measured(stream: TcpStream, connections: &Arc<Connections>) -> Measured {
    // Without it a stream's first token waits about 40 ms for the client's acknowledgement.
    let connection = stream.set_nodelay(true).and_then(|()| connections.take(&SockRef::from(&stream)));
    if let Err(error) = &connection {
        tracing::warn!(%error, "a connection runs without its limits");
    }
    Measured::new(stream, connection.ok())
}
