//! Finds out what a node has of images, and what is to be done for each.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use kip_agent::protocol::{Image as Found, Request};

use crate::cache::Cache;
use crate::failure::{Failure, Status, failure};
use crate::flat;
use crate::helper::Running;
use crate::link::{Declined, Link};
use crate::on_node::OnNode;
use crate::plan::{How, Plan, plan};
use crate::progress::Voice;
use crate::target::{Target, TargetImage};

/// How often a connection is made anew over which it is found out what there is.
const ATTEMPTS: u32 = 6;

/// What is found out, and by whom.
pub struct Finding<'a> {
    /// The helper pod that is asked.
    pub running: &'a Running,
    /// What is there already.
    pub cache: &'a Arc<Cache>,
    /// The images.
    pub target: &'a Target,
    /// How tars are made again.
    pub how: How,
    /// Where it is told.
    pub voice: Voice,
}

impl Finding<'_> {
    /// What the node has of the images, and what is done for each, with the connection. Begins again where that is cut: nothing is
    /// lost by it.
    ///
    /// # Errors
    /// When the node has not got an image, or not in the form that is asked for; when the connection is cut again and again.
    pub async fn find_out(&self) -> Result<(Link, Vec<OnNode>, Vec<Plan>)> {
        let mut attempt = 1;
        loop {
            match self.once().await {
                Err(error) if attempt < ATTEMPTS && !error.is::<Failure>() => {
                    self.voice.detail(1, &format!("{error:#}: again"));
                }
                tried => return tried,
            }
            tokio::time::sleep(Duration::from_millis(200) * 2u32.pow(attempt)).await;
            attempt += 1;
        }
    }

    async fn once(&self) -> Result<(Link, Vec<OnNode>, Vec<Plan>)> {
        let mut link = self.running.connect().await?;
        link.greet().await?;
        let mut found = Vec::new();
        let mut plans = Vec::new();
        for image in &self.target.images {
            let on_node = find(&mut link, image, self.running).await?;
            is_shown(&on_node, image, self.how, self.voice)?;
            let plan = plan(&on_node, self.cache, &mut link, self.how).await;
            let plan = plan.map_err(|error| declined(error, Status::Incomplete, image));
            plans.push(plan.map_err(|error| self.running.explain(error))?);
            found.push(on_node);
        }
        Ok((link, found, plans))
    }
}

/// Says where only the node's word tells that it is the image that runs.
fn is_shown(found: &OnNode, image: &TargetImage, how: How, voice: Voice) -> Result<()> {
    if found.is_shown {
        return Ok(());
    }
    let wanted = image.wanted.digest.as_deref().unwrap_or_default();
    let text = format!(
        "{}: that its image {} is {wanted} only a name says, which the node has for it; it keeps no manifest that could show it",
        image.name, found.id
    );
    if how.is_identical {
        let text = format!("{text} (--require-identical)");
        return Err(failure(Status::Incomplete, text));
    }
    voice.warn(&text);
    Ok(())
}

/// What the node has of the image, checked.
async fn find(link: &mut Link, image: &TargetImage, running: &Running) -> Result<OnNode> {
    let request = Request::Find {
        wanted: image.wanted.clone(),
    };
    let told: Result<Found> = link.ask(&request).await;
    let told = told.map_err(|error| declined(error, Status::NotFound, image))?;
    let checked = if running.reads_image() {
        flat::is_same(image, &running.image_id)?;
        flat::check(told, image)
    } else {
        OnNode::check(told, &image.wanted)
    };
    checked.map_err(|error| failure(Status::Incomplete, format!("{}: {error:#}", image.name)))
}

fn declined(error: anyhow::Error, status: Status, image: &TargetImage) -> anyhow::Error {
    match error.downcast_ref::<Declined>() {
        Some(Declined(text)) => failure(status, format!("{}: {text}", image.name)),
        None => error,
    }
}
