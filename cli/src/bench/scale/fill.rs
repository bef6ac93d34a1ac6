//! Filling a database over the wire.

use std::sync::Arc;

use evergreen_proto::api::v1::{
    CreateFolderRequest, Folder, ImportTreesRequest, NodeKind, Tree, TreeNode, TreeVisibility,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::shelf::{Shelf, User, lacking};
use crate::lab::Failure;

/// How much a database holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) trees: u32,
    pub(super) folders: u32,
    pub(super) users: u32,
}

impl Size {
    pub(super) fn divided_by(self, factor: u32) -> Self {
        let part = |whole: u32| (whole / factor).max(1);
        Self { trees: part(self.trees), folders: part(self.folders), users: part(self.users) }
    }

    /// How many trees user `number` owns: user 0 half of all.
    pub(super) fn trees_of(self, number: u32) -> u32 {
        let others = self.users.saturating_sub(1).max(1);
        if number == 0 { self.trees.div_ceil(2) } else { self.trees / 2 / others }
    }

    /// How many folders each user has.
    pub(super) fn folders_each(self) -> u32 {
        (self.folders / self.users).max(1)
    }
}

impl Shelf {
    /// Creates folders, and imports trees into them. How many trees there were a second.
    pub(super) async fn fill(&self, size: Size, quiet: bool) -> Result<f64, Failure> {
        let target =
            if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(size.trees.into()), target)
            .with_style(ProgressStyle::with_template(STYLE)?);
        let mut users = Vec::new();
        for number in 0..size.users {
            let user = self.user(number)?;
            let folders = folders(&user, size.folders_each()).await?;
            users.push((number, user, Arc::new(folders)));
        }
        let start = Instant::now();
        let created: u32 = stream::iter(users)
            .map(async |(number, user, folders)| {
                let progress = bar.clone();
                let trees = stream::iter(0..size.trees_of(number)).map(move |n| {
                    progress.inc(1);
                    let folder = &folders[n as usize % folders.len()];
                    ImportTreesRequest { tree: Some(tree(number, n, folder)) }
                });
                let mut client = user.client.clone();
                let answer = client.import_trees(user.ask(trees)).await?.into_inner();
                Ok::<_, Failure>(u32::try_from(answer.created_count)?)
            })
            .buffer_unordered(IN_FLIGHT)
            .try_fold(0, async |sum, created| Ok(sum + created))
            .await?;
        bar.finish_and_clear();
        Ok(f64::from(created) / start.elapsed().as_secs_f64())
    }
}

/// A chain of three again and again, so that a subtree has some depth.
pub(super) async fn folders(user: &User, count: u32) -> Result<Vec<String>, Failure> {
    let mut ids: Vec<String> = Vec::new();
    for number in 0..count {
        let parent_id = if number % 3 == 0 { "" } else { &*ids[number as usize - 1] };
        let folder = Folder {
            name: format!("Folder {number}"),
            parent_id: parent_id.into(),
            ..Folder::default()
        };
        let request = user.ask(CreateFolderRequest { folder: Some(folder) });
        let answer = user.client.clone().create_folder(request).await?.into_inner();
        ids.push(answer.folder.ok_or_else(|| lacking("the folder"))?.folder_id);
    }
    Ok(ids)
}

/// The `n`th tree of a user: eight nodes, words that every tree has, words that some have, and one
/// that no other tree has.
pub(super) fn tree(user: u32, n: u32, folder_id: &str) -> Tree {
    let word = |i: u32| WORDS[(n.wrapping_mul(7).wrapping_add(i * 13) as usize) % WORDS.len()];
    let nodes = (0..8).map(|i| TreeNode {
        node_id: format!("n{i}"),
        parent_id: if i == 0 { String::new() } else { format!("n{}", (i - 1) / 2) },
        kind: match i {
            0..3 => NodeKind::Question,
            3..6 => NodeKind::Action,
            _ => NodeKind::Solution,
        }
        .into(),
        title: format!("Is the {} {} of step {i}?", word(i), word(i + 1)),
        body: format!("Look at the {}, then at the {} beside it.", word(i + 2), word(i + 3)),
        position: i32::try_from(i).unwrap_or_default(),
    });
    let shared = n.is_multiple_of(10);
    Tree {
        title: format!("Printer {} {} {}", word(0), word(3), unique(user, n)),
        description: format!("What to do when the {} is {}", word(5), word(6)),
        folder_id: folder_id.into(),
        visibility: if shared { TreeVisibility::Shared } else { TreeVisibility::Private }.into(),
        tags: vec![word(1).into(), "printer".into()],
        nodes: nodes.collect(),
        ..Tree::default()
    }
}

/// A word of one tree alone.
pub(super) fn unique(user: u32, n: u32) -> String {
    format!("u{user}n{n}")
}

/// A word of every tree.
pub(super) const COMMON: &str = "printer";
/// A word of one tree in six or so.
pub(super) const USUAL: &str = "cable";

const WORDS: [&str; 24] = [
    "cable",
    "tray",
    "toner",
    "paper",
    "driver",
    "queue",
    "router",
    "switch",
    "panel",
    "button",
    "display",
    "sensor",
    "roller",
    "cover",
    "filter",
    "socket",
    "adapter",
    "spooler",
    "profile",
    "address",
    "cartridge",
    "duplexer",
    "scanner",
    "feeder",
];
const IN_FLIGHT: usize = 4;
const STYLE: &str = "{bar:32} {human_pos}/{human_len} trees  {per_sec}  {eta} left";
