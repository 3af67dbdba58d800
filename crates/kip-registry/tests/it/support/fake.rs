//! A server that does what a test says, and keeps what it was asked.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// With the query, and with the host where the request names one.
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// So many requests came before it.
    pub(crate) before: usize,
}

/// What it is answered.
pub(crate) enum Reply {
    /// An answer.
    Answer(Response<UnsyncBoxBody<Bytes, Cut>>),
    /// The connection is cut before any answer.
    Cut,
    /// Nothing ever happens.
    Silence,
    /// Another server's answer, changed on the way.
    Forward(String, Change),
}

/// What happens to an answer on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// It is cut in the middle of its body.
    Cut,
    /// A bit of its body is another.
    Flip,
    /// Its last byte is missing, and its length says so.
    Short,
}

/// The connection ends here.
#[derive(Debug)]
pub(crate) struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// The server. It ends with the value.
pub(crate) struct Fake {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Fake {
    /// Starts it; the handler is told its address, for links to itself.
    pub(crate) async fn start<H>(handler: impl FnOnce(String) -> H) -> Self
    where
        H: Fn(&Seen) -> Reply + Send + Sync + 'static,
    {
        Self::listen(None, handler).await
    }

    pub(crate) async fn start_tls<H>(
        acceptor: TlsAcceptor,
        handler: impl FnOnce(String) -> H,
    ) -> Self
    where
        H: Fn(&Seen) -> Reply + Send + Sync + 'static,
    {
        Self::listen(Some(acceptor), handler).await
    }

    async fn listen<H>(tls: Option<TlsAcceptor>, handler: impl FnOnce(String) -> H) -> Self
    where
        H: Fn(&Seen) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let handler: Arc<Handler> = Arc::new(handler(address.to_string()));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(accept(listener, tls, handler, Arc::clone(&seen)));
        Self {
            address,
            seen,
            task,
        }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The same, as `METHOD URI`.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen()
            .iter()
            .map(|seen| format!("{} {}", seen.method, seen.uri))
            .collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn path(&self) -> &str {
        self.uri.split('?').next().unwrap()
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    handler: Arc<Handler>,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (handler, seen, tls) = (Arc::clone(&handler), Arc::clone(&seen), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, handler, seen).await,
                // A client that does not trust us ends the handshake.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, handler, seen).await;
                    }
                }
            }
        });
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    handler: Arc<Handler>,
    seen: Arc<Mutex<Vec<Seen>>>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (handler, seen) = (Arc::clone(&handler), Arc::clone(&seen));
        async move {
            let (head, body) = request.into_parts();
            // A client that gives up in the middle has sent what it has sent.
            let body = body
                .collect()
                .await
                .map_or_else(|_| Bytes::new(), http_body_util::Collected::to_bytes);
            let request = {
                let mut all = seen.lock().unwrap();
                let request = Seen {
                    method: head.method,
                    uri: head.uri.to_string(),
                    headers: head.headers,
                    body,
                    before: all.len(),
                };
                all.push(request.clone());
                request
            };
            match handler(&request) {
                Reply::Answer(answer) => Ok(answer),
                Reply::Cut => Err(Cut),
                Reply::Silence => pending().await,
                Reply::Forward(to, change) => forward(&request, &to, change).await,
            }
        }
    });
    // The client may go at any time.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Asks another server, and passes its answer on.
async fn forward(
    seen: &Seen,
    to: &str,
    change: Change,
) -> Result<Response<UnsyncBoxBody<Bytes, Cut>>, Cut> {
    let mut headers = seen.headers.clone();
    headers.remove("content-length");
    let answer = super::plain_client()
        .request(seen.method.clone(), format!("http://{to}{}", seen.uri))
        .headers(headers)
        .body(seen.body.clone())
        .send()
        .await
        .map_err(|_| Cut)?;
    let mut builder = status(answer.status().as_u16());
    builder.headers = answer.headers().clone();
    let body = answer.bytes().await.map_err(|_| Cut)?;
    let reply = match change {
        _ if body.len() < 2 => builder.body(body),
        Change::None => builder.body(body),
        Change::Cut => {
            builder.headers.remove("content-length");
            builder.cut_after(body.slice(..body.len() / 2), body.len())
        }
        Change::Flip => {
            let mut body = body.to_vec();
            body[1] ^= 1;
            builder.body(body)
        }
        Change::Short => {
            builder.headers.remove("content-length");
            builder.body(body.slice(..body.len() - 1))
        }
    };
    match reply {
        Reply::Answer(answer) => Ok(answer),
        _ => Err(Cut),
    }
}

/// An answer with a status and headers, and no body yet.
pub(crate) fn status(status: u16) -> Builder {
    Builder {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
    }
}

/// The challenge of a token server, for the scope that is asked.
pub(crate) fn challenge(realm: &str) -> Reply {
    status(401)
        .header(
            "www-authenticate",
            &format!("Bearer realm=\"{realm}\",service=\"registry.test\""),
        )
        .empty()
}

pub(crate) struct Builder {
    status: StatusCode,
    headers: HeaderMap,
}

impl Builder {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, value.parse().unwrap());
        self
    }

    fn build(self, body: UnsyncBoxBody<Bytes, Cut>) -> Reply {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        Reply::Answer(response)
    }

    pub(crate) fn empty(self) -> Reply {
        self.body("")
    }

    pub(crate) fn body(self, body: impl Into<Bytes>) -> Reply {
        let body = Full::new(body.into()).map_err(|never: Infallible| match never {});
        self.build(body.boxed_unsync())
    }

    /// A body that promises more than comes.
    pub(crate) fn cut_after(self, body: Bytes, promised: usize) -> Reply {
        let cut = async {
            // So that what was there before is sent.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            Err(Cut)
        };
        let frames = stream::iter([Ok(Frame::data(body))]).chain(stream::once(cut));
        self.header("content-length", &promised.to_string())
            .build(StreamBody::new(frames).boxed_unsync())
    }

    /// A body that never ends.
    pub(crate) fn silent_after(self, body: Bytes) -> Reply {
        let first = stream::iter([Ok(Frame::data(body))]);
        let frames: Pin<Box<dyn futures::Stream<Item = Result<Frame<Bytes>, Cut>> + Send>> =
            Box::pin(first.chain(stream::pending()));
        self.build(StreamBody::new(frames).boxed_unsync())
    }

    /// A body without a length, of so many bytes.
    pub(crate) fn endless(self, bytes: usize) -> Reply {
        const CHUNK: usize = 16 << 10;
        let frames = stream::iter(
            (0..bytes.div_ceil(CHUNK)).map(|_| Ok(Frame::data(Bytes::from_static(&[b' '; CHUNK])))),
        );
        self.build(StreamBody::new(frames).boxed_unsync())
    }
}
