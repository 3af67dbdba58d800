//! A connection to an agent.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kip_agent::protocol::{Coding, HEADER, Header, Kind, MAX_FRAME, Request, check};
use kube::api::AttachedProcess;
use serde::de::DeserializeOwned;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, SimplexStream, WriteHalf,
};
use tokio::sync::{oneshot, watch};

/// An agent that is silent for so long is not there any more: it says each second that it is at work.
const SILENCE: Duration = Duration::from_secs(60);

/// A connection to an agent.
pub struct Link {
    requests: WriteHalf<SimplexStream>,
    answers: ReadHalf<SimplexStream>,
    /// What it wrote to its standard error, when it has ended.
    complaint: Option<oneshot::Receiver<String>>,
    /// Its other side is gone when the connection is: the streams themselves do not end when it is cut.
    ended: watch::Receiver<()>,
    decompressor: zstd::bulk::Decompressor<'static>,
    wire: Vec<u8>,
    plain: Vec<u8>,
    _process: AttachedProcess,
}

/// A frame. Its bytes lie in the link.
pub enum Frame<'a> {
    /// Some bytes, and how many were sent for them.
    Data(&'a [u8], usize),
    /// There are no more.
    End,
}

/// What an agent says of a request that it cannot answer. Another one may be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Declined(pub String);

impl Link {
    /// Over a process that was started with its three streams.
    ///
    /// # Errors
    /// When one of the streams is missing.
    pub fn new(mut process: AttachedProcess) -> Result<Self> {
        let requests = process.stdin().context("no standard input")?;
        let answers = process.stdout().context("no standard output")?;
        let errors = process.stderr().context("no standard error")?;
        let status = process.take_status().context("no status")?;
        let (sender, complaint) = oneshot::channel();
        let (alive, ended) = watch::channel(());
        tokio::spawn(async move {
            let mut text = Vec::new();
            tokio::select! {
                _ = status => {}
                () = listen(errors, &mut text) => {}
            }
            drop(alive);
            let _ = sender.send(String::from_utf8_lossy(&text).trim().to_owned());
        });
        Ok(Self {
            requests,
            answers,
            complaint: Some(complaint),
            ended,
            decompressor: zstd::bulk::Decompressor::new()?,
            wire: Vec::new(),
            plain: Vec::new(),
            _process: process,
        })
    }

    /// Sends a request; its answer comes after those of the requests before it.
    ///
    /// # Errors
    /// When the connection is cut.
    pub async fn send(&mut self, request: &Request) -> Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.requests
            .write_all(&line)
            .await
            .context("the connection to the agent was cut")
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection is cut; [`Declined`].
    pub async fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T> {
        self.send(request).await?;
        let mut answer = Vec::new();
        loop {
            let header = self.frame().await?;
            match header.kind {
                Kind::Data => answer.extend_from_slice(&self.plain),
                Kind::Answer => {
                    answer.extend_from_slice(&self.plain);
                    return serde_json::from_slice(&answer).context("the agent's answer is none");
                }
                Kind::Working => {}
                Kind::Error => return Err(self.declined()),
                Kind::End => bail!("the agent ended an answer without one"),
            }
        }
    }

    /// The next frame of bytes.
    ///
    /// # Errors
    /// When the connection is cut, or what came is damaged; [`Declined`].
    pub async fn next(&mut self) -> Result<Frame<'_>> {
        loop {
            let header = self.frame().await?;
            match header.kind {
                Kind::Data => return Ok(Frame::Data(&self.plain, header.wire_size as usize)),
                Kind::End => return Ok(Frame::End),
                Kind::Working => {}
                Kind::Error => return Err(self.declined()),
                Kind::Answer => bail!("the agent gave an answer where bytes were asked for"),
            }
        }
    }

    fn declined(&self) -> anyhow::Error {
        Declined(String::from_utf8_lossy(&self.plain).into_owned()).into()
    }

    /// Reads a frame, and leaves its bytes in `plain`.
    async fn frame(&mut self) -> Result<Header> {
        let mut ended = self.ended.clone();
        let read = tokio::select! {
            // What has come already counts.
            biased;
            read = tokio::time::timeout(SILENCE, self.read()) => read,
            _ = ended.changed() => return Err(self.cut().await),
        };
        match read {
            Ok(Ok(header)) => Ok(header),
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Err(self.cut().await),
            Ok(Err(error)) => Err(error).context("from the agent"),
            Err(_) => bail!("nothing was heard of the agent for {} s", SILENCE.as_secs()),
        }
    }

    async fn read(&mut self) -> io::Result<Header> {
        let mut header = [0; HEADER];
        self.answers.read_exact(&mut header).await?;
        let header = Header::parse(header)?;
        self.wire.resize(header.wire_size as usize, 0);
        self.answers.read_exact(&mut self.wire).await?;
        match header.coding {
            Coding::Plain => std::mem::swap(&mut self.wire, &mut self.plain),
            Coding::Zstd => {
                self.plain.resize(MAX_FRAME, 0);
                let size = self
                    .decompressor
                    .decompress_to_buffer(&self.wire, &mut self.plain[..])?;
                self.plain.truncate(size);
            }
        }
        check(&header, &self.plain)?;
        Ok(header)
    }

    /// The connection has ended: with the agent's last words, where it had any.
    async fn cut(&mut self) -> anyhow::Error {
        let complaint = match self.complaint.take() {
            Some(complaint) => tokio::time::timeout(Duration::from_secs(1), complaint).await,
            None => return anyhow::anyhow!("the connection to the agent was cut"),
        };
        match complaint {
            Ok(Ok(text)) if !text.is_empty() => anyhow::anyhow!("{text}"),
            _ => anyhow::anyhow!("the connection to the agent was cut"),
        }
    }
}

/// Reads to the end, and keeps the begin.
async fn listen(errors: impl AsyncRead, text: &mut Vec<u8>) {
    let mut errors = std::pin::pin!(errors);
    let mut buffer = [0; 1024];
    while let Ok(size @ 1..) = errors.read(&mut buffer).await {
        if text.len() < 1 << 16 {
            text.extend_from_slice(&buffer[..size]);
        }
    }
    // The connection may outlast this stream.
    std::future::pending::<()>().await;
}
