//! A connection to an agent.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kip_agent::protocol::{Coding, HEADER, Header, Kind, MAX_FRAME, Request, VERSION, check};
use kube::api::AttachedProcess;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::failure::{Status, failure};
use crate::output::in_line;

/// An agent that is silent for so long is not there any more: it says each second that it is at work.
const SILENCE: Duration = Duration::from_secs(60);

/// How long an agent may work at an answer: to find out how a large layer is made again takes minutes.
const ANSWER: Duration = Duration::from_secs(1800);

/// The most bytes of an answer that is kept in memory: what a node with some ten thousand images says of them.
const MAX_ANSWER: usize = 64 << 20;

/// How often an agent is told that this side is there, in which it has nothing to ask for.
const PING: Duration = Duration::from_secs(5);

/// A connection to an agent.
pub struct Link {
    requests: Box<dyn AsyncWrite + Send + Unpin>,
    answers: Box<dyn AsyncRead + Send + Unpin>,
    /// What it wrote to its standard error, when the connection has ended: the streams themselves do not end when it is cut.
    ended: watch::Receiver<Option<String>>,
    decompressor: zstd::bulk::Decompressor<'static>,
    wire: Vec<u8>,
    plain: Vec<u8>,
    /// The connection ends with it.
    _process: Option<AttachedProcess>,
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
        let requests = Box::new(process.stdin().context("no standard input")?);
        let answers = Box::new(process.stdout().context("no standard output")?);
        let errors = process.stderr().context("no standard error")?;
        let status = process.take_status().context("no status")?;
        let (sender, ended) = watch::channel(None);
        tokio::spawn(async move {
            let mut text = Vec::new();
            tokio::select! {
                _ = status => {}
                () = listen(errors, &mut text) => {}
            }
            let _ = sender.send(Some(in_line(String::from_utf8_lossy(&text).trim())));
        });
        Ok(Self {
            requests,
            answers,
            ended,
            decompressor: zstd::bulk::Decompressor::new()?,
            wire: Vec::new(),
            plain: Vec::new(),
            _process: Some(process),
        })
    }

    /// Asks whether the agent speaks as this program does.
    ///
    /// # Errors
    /// When it does not.
    pub async fn greet(&mut self) -> Result<()> {
        let version: u32 = self.ask(&Request::Ping {}).await?;
        if version != VERSION {
            let text = format!(
                "the agent speaks version {version} of the protocol, this program version {VERSION}"
            );
            return Err(failure(Status::Other, text));
        }
        Ok(())
    }

    /// Does something that may last, and lets the agent know meanwhile that it is still needed.
    ///
    /// # Errors
    /// When the connection is cut.
    pub async fn hold<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(PING, &mut work).await {
                return Ok(done);
            }
            self.greet().await?;
        }
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
        let answered = tokio::time::timeout(ANSWER, self.answer());
        let answer = answered.await.map_err(|_| {
            anyhow::anyhow!(
                "the agent has worked at an answer for {} s",
                ANSWER.as_secs()
            )
        })??;
        serde_json::from_slice(&answer).context("the agent's answer is none")
    }

    /// Reads the answer to a request.
    async fn answer(&mut self) -> Result<Vec<u8>> {
        let mut answer = Vec::new();
        loop {
            let header = self.frame().await?;
            if answer.len() + self.plain.len() > MAX_ANSWER {
                bail!("the agent's answer has more than {MAX_ANSWER} bytes");
            }
            match header.kind {
                Kind::Data => answer.extend_from_slice(&self.plain),
                Kind::Answer => {
                    answer.extend_from_slice(&self.plain);
                    return Ok(answer);
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
                Kind::Data if self.plain.is_empty() => {
                    bail!("the agent sent a frame without bytes")
                }
                Kind::Data => return Ok(Frame::Data(&self.plain, header.wire_size as usize)),
                Kind::End => return Ok(Frame::End),
                Kind::Working => {}
                Kind::Error => return Err(self.declined()),
                Kind::Answer => bail!("the agent gave an answer where bytes were asked for"),
            }
        }
    }

    fn declined(&self) -> anyhow::Error {
        Declined(in_line(&String::from_utf8_lossy(&self.plain))).into()
    }

    /// Reads a frame, and leaves its bytes in `plain`.
    async fn frame(&mut self) -> Result<Header> {
        let mut ended = self.ended.clone();
        let read = tokio::select! {
            // What has come already counts.
            biased;
            read = tokio::time::timeout(SILENCE, self.read()) => read,
            () = async { let _ = ended.wait_for(Option::is_some).await; } => return Err(self.cut().await),
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
        let ended = self.ended.wait_for(Option::is_some);
        match tokio::time::timeout(Duration::from_secs(1), ended).await {
            Ok(Ok(text)) if text.as_ref().is_some_and(|it| !it.is_empty()) => {
                anyhow::anyhow!("{}", text.clone().unwrap_or_default())
            }
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

#[cfg(test)]
mod tests {
    use kip_agent::protocol::write_plain;

    use super::*;

    /// A link to an agent that says this, whatever it is asked, and ends its connection then, with these last words.
    fn link(answers: Vec<u8>, last_words: &str) -> Link {
        let (sender, ended) = watch::channel(None);
        let last_words = last_words.to_owned();
        let (reader, mut writer) = tokio::io::simplex(1 << 16);
        tokio::spawn(async move {
            // The other side may have enough of it.
            let _ = writer.write_all(&answers).await;
            let _ = sender.send(Some(last_words));
            // The streams do not end when the connection does.
            std::future::pending::<()>().await;
            drop(writer);
        });
        Link {
            requests: Box::new(tokio::io::sink()),
            answers: Box::new(reader),
            ended,
            decompressor: zstd::bulk::Decompressor::new().unwrap(),
            wire: Vec::new(),
            plain: Vec::new(),
            _process: None,
        }
    }

    fn frames(all: &[(Kind, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (kind, bytes) in all {
            write_plain(&mut out, *kind, bytes).unwrap();
        }
        out
    }

    #[tokio::test]
    async fn an_answer_comes_in_parts_and_a_cut_has_the_agents_last_words() {
        let answer: &[(Kind, &[u8])] = &[
            (Kind::Working, b""),
            (Kind::Data, b"[1,"),
            (Kind::Answer, b"2]"),
            (Kind::Error, b"no"),
        ];
        let mut link = link(frames(answer), "kip-agent: it was too much");
        let ping = Request::Ping {};
        assert_eq!(link.ask::<Vec<u8>>(&ping).await.unwrap(), [1, 2]);
        let error = link.ask::<u32>(&ping).await.unwrap_err();
        assert_eq!(error.downcast_ref::<Declined>().unwrap().0, "no");
        let error = link.ask::<u32>(&ping).await.unwrap_err().to_string();
        assert_eq!(error, "kip-agent: it was too much");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_not_kept_in_memory() {
        let frame = vec![b' '; MAX_FRAME];
        let all = vec![(Kind::Data, frame.as_slice()); MAX_ANSWER / MAX_FRAME + 1];
        let error = link(frames(&all), "").ask::<u32>(&Request::Ping {}).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains("has more than"), "{error}");
    }

    #[tokio::test]
    async fn an_agent_of_another_version_is_refused() {
        let of = |version: u32| {
            link(
                frames(&[(Kind::Answer, version.to_string().as_bytes())]),
                "",
            )
        };
        of(VERSION).greet().await.unwrap();
        let error = of(VERSION + 1).greet().await.unwrap_err().to_string();
        assert!(error.contains("version"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_agent_hears_of_a_run_that_waits() {
        let version = VERSION.to_string();
        let all = vec![(Kind::Answer, version.as_bytes()); 2];
        let mut link = link(frames(&all), "");
        let waited = link.hold(tokio::time::sleep(PING * 2 + PING / 2)).await;
        waited.unwrap();
        // There are no more answers, so a third question finds the connection cut.
        assert!(link.hold(tokio::time::sleep(PING * 2)).await.is_err());
    }
}
