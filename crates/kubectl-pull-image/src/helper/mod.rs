//! The helper pod: made, waited for, removed.

mod manifest;
mod reads;
mod waiting;

use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodSpec};
use kube::api::{AttachParams, DeleteParams, PostParams};
use kube::{Api, Client, ResourceExt as _};

pub use manifest::{CONTAINER, Helper, LABEL, MANAGED_BY, is_name};
pub use reads::Reads;

use crate::cluster::{Cluster, within_limit};
use crate::failure::{Status, failure};
use crate::interrupt::Interrupt;
use crate::link::Link;
use crate::rights::{self, Needed, explain};

/// Without these a Job would be made that nothing becomes of. Without others less is said, or it is removed later.
const NEEDED: &[Needed] = &[
    ("create", "jobs.batch", ""),
    ("create", "configmaps", ""),
    ("list", "pods", ""),
    ("get", "pods", "exec"),
];

/// How long is waited before something is tried again.
const PAUSE: Duration = Duration::from_millis(500);

/// A helper pod that runs, or is about to.
pub struct Running {
    client: Client,
    streams: Client,
    helper: Helper,
    pod: String,
    /// What the kubelet calls the pod's image.
    pub image_id: String,
}

/// What is needed to start one.
pub struct Start<'a> {
    /// Where.
    pub cluster: &'a Cluster,
    /// What it is like, but for its name and image.
    pub helper: &'a Helper,
    /// The program.
    pub agent: &'a [u8],
    /// How long it may take.
    pub timeout: Duration,
    /// What ends it before that.
    pub interrupt: &'a Interrupt,
}

impl Start<'_> {
    /// Makes the helper pod and waits until it runs, with the first of the images that the node has. What was made is removed
    /// where that fails, or is interrupted.
    ///
    /// # Errors
    /// A refusal in words; what the node says of the pod.
    pub async fn with_any(&self, images: &[String]) -> Result<Running> {
        let rights = rights::check(&self.cluster.client, &self.helper.namespace, NEEDED);
        self.interrupt.or(rights).await?;
        let mut unfit = Vec::new();
        for image in images {
            match Box::pin(self.with(image)).await {
                Err(error) if error.is::<waiting::NoImage>() => unfit.push(error.to_string()),
                tried => return tried,
            }
        }
        Err(no_image(&unfit.join("; ")))
    }

    async fn with(&self, image: &str) -> Result<Running> {
        let mut running = Running {
            client: self.cluster.client.clone(),
            streams: self.cluster.streams.clone(),
            helper: Helper {
                name: Helper::new_name(),
                image: image.to_owned(),
                ..self.helper.clone()
            },
            pod: String::new(),
            image_id: String::new(),
        };
        self.interrupt.or(running.admit()).await?;
        // To the end, also if it is interrupted meanwhile: what may come into being after it was removed would stay.
        let job = match within_limit("create jobs.batch", running.make_job()).await {
            // It was refused: there is nothing to remove.
            Ok(Err(error @ kube::Error::Api(_))) => {
                let namespace = &running.helper.namespace;
                return Err(explain(error, "create", "jobs.batch", namespace));
            }
            Ok(made) => made.map_err(Into::into),
            Err(silence) => Err(silence),
        };
        match self.make(&running, job).await {
            Ok(pod) => Ok(Running {
                pod: pod.name_any(),
                image_id: waiting::image_id(&pod),
                ..running
            }),
            // Why it did not start is what counts.
            Err(error) => Err(match running.end().await {
                Ok(()) => error,
                Err(left) => error.context(format!("{left:#}; and before that")),
            }),
        }
    }

    /// Makes what belongs to the Job, and gives the pod.
    async fn make(&self, running: &Running, job: Result<Job>) -> Result<Pod> {
        let job = job?;
        Reads::is_kept_in(job_pod(&job))?;
        self.interrupt
            .or(async {
                running.make_config_map(self.agent, &job).await?;
                waiting::until_running(&running.client, &running.helper, self.timeout).await
            })
            .await
    }
}

/// There is no image for the helper pod.
pub fn no_image(why: &str) -> anyhow::Error {
    let why = if why.is_empty() {
        "no image of the node is known for the helper pod"
    } else {
        why
    };
    let text = format!("{why}; name one that the node has with --helper-image");
    failure(Status::NotFound, text)
}

impl Running {
    /// Finds out whether the pod would be admitted, for want of better as one that is not root.
    async fn admit(&mut self) -> Result<()> {
        let refused = match (self.ask().await, &self.helper.reads) {
            (Err(error), Reads::Image { as_root: true, .. }) if is_refused(&error) => error,
            (asked, _) => return asked,
        };
        let mut helper = self.helper.clone();
        if let Reads::Image { as_root, .. } = &mut helper.reads {
            *as_root = false;
        }
        self.helper = helper;
        // What is said of a pod that may less is of more use than what was said of the first.
        self.ask()
            .await
            .map_err(|error| error.context(format!("{refused:#}; and as another user than root")))
    }

    /// Whether the pod would be admitted: a Job's pod is refused where nobody is told.
    async fn ask(&self) -> Result<()> {
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let pods: Api<Pod> = self.api();
        match pods.create(&dry, &self.helper.pod()?).await {
            Ok(pod) => Reads::is_kept_in(pod.spec.as_ref()),
            // The Job makes it, in its own name.
            Err(kube::Error::Api(status))
                if status.code == 403 && status.message.contains("cannot create resource") =>
            {
                Ok(())
            }
            Err(error) => Err(explain(error, "create", "pods", &self.helper.namespace)),
        }
    }

    async fn make_job(&self) -> kube::Result<Job> {
        let jobs: Api<Job> = self.api();
        let job = self.helper.job().map_err(kube::Error::SerdeError)?;
        jobs.create(&PostParams::default(), &job).await
    }

    async fn make_config_map(&self, agent: &[u8], job: &Job) -> Result<()> {
        let maps: Api<ConfigMap> = self.api();
        let map = self.helper.config_map(agent, Some(job));
        let map = maps.create(&PostParams::default(), &map).await;
        map.map_err(|error| explain(error, "create", "configmaps", &self.helper.namespace))?;
        Ok(())
    }

    /// Whether it reads the files of its image, and nothing of the node.
    pub fn reads_image(&self) -> bool {
        matches!(self.helper.reads, Reads::Image { .. })
    }

    /// Says what helps where the pod may not read all files of its image.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match self.helper.reads {
            Reads::Image {
                as_root: false,
                skip_unreadable: false,
            } if crate::failure::status(&error) == Status::Incomplete => {
                let text = format!(
                    "{error:#}; the namespace {} admits no pod as root, which could read all: --skip-unreadable leaves out the others",
                    self.helper.namespace
                );
                failure(Status::Incomplete, text)
            }
            _ => error,
        }
    }

    /// A connection to an agent of its own in the pod.
    ///
    /// # Errors
    /// When the API server or the node refuses it.
    pub async fn connect(&self) -> Result<Link> {
        let pods: Api<Pod> = Api::namespaced(self.streams.clone(), &self.helper.namespace);
        let command = self.helper.serve();
        let parameters = AttachParams::default()
            .container(CONTAINER)
            .stdin(true)
            .max_stdout_buf_size(1 << 20)
            .max_stdin_buf_size(1 << 14);
        let connected = Box::pin(pods.exec(&self.pod, command, &parameters));
        match within_limit("create pods/exec", connected).await? {
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
                    "the helper pod {} is gone, or was over --deadline; what has come is kept for the next run",
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
        let background = DeleteParams::background();
        let deleted = async {
            loop {
                match jobs.delete(name, &background).await {
                    Ok(_) => return Ok(()),
                    Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
                    Err(error @ kube::Error::Api(_)) => {
                        let namespace = &self.helper.namespace;
                        return Err(explain(error, "delete", "jobs.batch", namespace));
                    }
                    // The way to the API server is cut: that passes.
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        };
        let deleted = within_limit("delete jobs.batch", deleted).await;
        deleted.and_then(|deleted| deleted).with_context(|| {
            format!("the Job {name} may stay; the cluster removes it {} s after its begin, or when nobody asks it", self.helper.deadline)
        })
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.helper.namespace)
    }
}

fn job_pod(job: &Job) -> Option<&PodSpec> {
    job.spec.as_ref()?.template.spec.as_ref()
}

fn is_refused(error: &anyhow::Error) -> bool {
    crate::failure::status(error) == Status::Refused
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
