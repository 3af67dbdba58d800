//! The helper pod: made, waited for, removed.

mod manifest;
mod waiting;

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{AttachParams, DeleteParams, PostParams};
use kube::{Api, Client};

pub use manifest::{CONTAINER, Helper, LABEL};

use crate::failure::{Status, failure};
use crate::link::Link;
use crate::rights::explain;

/// A helper pod that runs, or is about to.
pub struct Running {
    client: Client,
    helper: Helper,
    pod: String,
}

impl Running {
    /// Makes the helper pod and waits until it runs, with the first of the images that the node has. What was made is removed
    /// where that fails, or is interrupted.
    ///
    /// # Errors
    /// A refusal in words; what the node says of the pod.
    pub async fn start(
        client: &Client,
        helper: &Helper,
        images: &[String],
        agent: &[u8],
        timeout: Duration,
    ) -> Result<Self> {
        let mut unfit = Vec::new();
        for image in images {
            let running = Self {
                client: client.clone(),
                helper: Helper {
                    name: Helper::new_name(),
                    image: image.clone(),
                    ..helper.clone()
                },
                pod: String::new(),
            };
            match running.try_to_start(agent, timeout).await {
                Err(error) if error.is::<waiting::NoImage>() => unfit.push(error.to_string()),
                tried => return tried,
            }
        }
        let text = if unfit.is_empty() {
            "no image of the node is known for the helper pod".to_owned()
        } else {
            unfit.join("; ")
        };
        Err(failure(
            Status::NotFound,
            format!("{text}; name one that the node has with --helper-image"),
        ))
    }

    async fn try_to_start(mut self, agent: &[u8], timeout: Duration) -> Result<Self> {
        self.ask().await?;
        let made = tokio::select! {
            made = self.make(agent, timeout) => made,
            error = interrupted() => Err(error),
        };
        if let Err(error) = made {
            // Why it did not start is what counts.
            if let Err(left) = self.end().await {
                return Err(error.context(format!("{left:#}; and before that")));
            }
            return Err(error);
        }
        Ok(self)
    }

    /// Whether the pod would be admitted: a Job's pod is refused where nobody is told.
    async fn ask(&self) -> Result<()> {
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let pods: Api<Pod> = self.api();
        match pods.create(&dry, &self.helper.pod()?).await {
            Ok(_) => Ok(()),
            // The Job makes it, in its own name.
            Err(kube::Error::Api(status))
                if status.code == 403 && status.message.contains("cannot create resource") =>
            {
                Ok(())
            }
            Err(error) => Err(explain(error, "create", "pods", &self.helper.namespace)),
        }
    }

    async fn make(&mut self, agent: &[u8], timeout: Duration) -> Result<()> {
        let namespace = &self.helper.namespace;
        let post = PostParams::default();
        let jobs: Api<Job> = self.api();
        let job = jobs.create(&post, &self.helper.job()?).await;
        let job = job.map_err(|error| explain(error, "create", "jobs.batch", namespace))?;
        let maps: Api<ConfigMap> = self.api();
        let map = self.helper.config_map(agent, Some(&job));
        let map = maps.create(&post, &map).await;
        map.map_err(|error| explain(error, "create", "configmaps", namespace))?;
        self.pod = waiting::until_running(&self.client, &self.helper, timeout).await?;
        Ok(())
    }

    /// A connection to an agent of its own in the pod.
    ///
    /// # Errors
    /// When the API server or the node refuses it.
    pub async fn connect(&self) -> Result<Link> {
        let pods: Api<Pod> = self.api();
        let patience = self.helper.patience.to_string();
        let (agent, host) = (self.helper.agent(), self.helper.host());
        let command = [agent.as_str(), "serve", &host, &patience];
        let parameters = AttachParams::default()
            .container(CONTAINER)
            .stdin(true)
            .max_stdout_buf_size(1 << 20)
            .max_stdin_buf_size(1 << 14);
        match pods.exec(&self.pod, command, &parameters).await {
            Ok(process) => Link::new(process),
            Err(error) if is_forbidden(&error) => {
                let namespace = &self.helper.namespace;
                let text = format!(
                    "a right is missing: verbs get and create on pods/exec in namespace {namespace} (before Kubernetes 1.35: get alone)"
                );
                Err(failure(Status::Refused, text))
            }
            Err(error) if is_gone(&error) => {
                let text = format!(
                    "the helper pod {} is gone; what has come is kept for the next run",
                    self.pod
                );
                Err(failure(Status::Other, text))
            }
            Err(error) => Err(error).context("the helper pod cannot be connected to"),
        }
    }

    /// Removes all of it.
    ///
    /// # Errors
    /// When it cannot be removed, with what then happens to it.
    pub async fn end(&self) -> Result<()> {
        let jobs: Api<Job> = self.api();
        let name = &self.helper.name;
        match jobs.delete(name, &DeleteParams::background()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(explain(error, "delete", "jobs.batch", &self.helper.namespace)).with_context(|| {
                format!("the Job {name} stays; the cluster removes it {} s after its begin, or when nobody asks it", self.helper.deadline)
            }),
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.helper.namespace)
    }
}

/// Waits for Ctrl-C and the other ways to be asked to end. Gives the failure that it is.
pub async fn interrupted() -> anyhow::Error {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut terminate), Ok(mut hangup)] = kinds else {
        return std::future::pending().await;
    };
    let name = tokio::select! {
        _ = tokio::signal::ctrl_c() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    };
    failure(Status::Interrupted, format!("interrupted by {name}"))
}

fn is_forbidden(error: &kube::Error) -> bool {
    code(error) == Some(403)
}

fn is_gone(error: &kube::Error) -> bool {
    code(error) == Some(404)
}

/// With which status the API server refuses a connection.
fn code(error: &kube::Error) -> Option<u16> {
    use kube::client::UpgradeConnectionError;
    match error {
        kube::Error::Api(status) => Some(status.code),
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
            Some(status.as_u16())
        }
        _ => None,
    }
}
