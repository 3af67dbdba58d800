//! The helper pod: made, waited for, removed.

mod manifest;
mod waiting;

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{AttachParams, DeleteParams, PostParams};
use kube::{Api, Client};

pub use manifest::{AGENT, CONTAINER, HOST, Helper, LABEL};

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
    /// Makes the helper pod and waits until it runs. What was made is removed where that fails.
    ///
    /// # Errors
    /// A refusal in words; what the node says of the pod.
    pub async fn start(
        client: Client,
        helper: Helper,
        agent: &[u8],
        timeout: Duration,
    ) -> Result<Self> {
        let mut running = Self {
            client,
            helper,
            pod: String::new(),
        };
        running.ask().await?;
        let made = running.make(agent, timeout).await;
        if let Err(error) = made {
            running.end().await?;
            return Err(error);
        }
        Ok(running)
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
        let command = [AGENT, "serve", HOST];
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
                    "a right is missing: verbs get and create on pods/exec in namespace {namespace}"
                );
                Err(failure(Status::Refused, text))
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

fn is_forbidden(error: &kube::Error) -> bool {
    use kube::client::UpgradeConnectionError;
    match error {
        kube::Error::Api(status) => status.code == 403,
        kube::Error::UpgradeConnection(UpgradeConnectionError::ProtocolSwitch(status)) => {
            status.as_u16() == 403
        }
        _ => false,
    }
}
