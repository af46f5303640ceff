//! Checks the whole service with the bytes that a client writes on its connection: any number of requests.

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::oracle::Sender;
use crate::receiver::Receiver;
use crate::run;

pub fn check(input: &[u8]) -> usize {
    run(async {
        let receivers = Sender::ALL.map(Receiver::new);
        let service = service_fn(|request: Request<Incoming>| {
            let receiver = receivers[usize::from(request.uri().path() != "/scrapest")].clone();
            async move { Ok::<_, std::convert::Infallible>(receiver.answer(request).await) }
        });
        let (client, server) = tokio::io::duplex(16 * 1024);
        let (mut answers, mut requests) = tokio::io::split(client);
        let serve =
            http1::Builder::new().half_close(true).serve_connection(TokioIo::new(server), service);
        let write = async move {
            // The server may close the connection during the write.
            _ = requests.write_all(input).await;
            _ = requests.shutdown().await;
        };
        let read = async move { answers.read_to_end(&mut Vec::new()).await };
        // Bytes that are not HTTP end the connection with an error.
        _ = tokio::join!(serve, write, read);
        receivers.iter().map(|receiver| receiver.runs().len()).sum()
    })
}
