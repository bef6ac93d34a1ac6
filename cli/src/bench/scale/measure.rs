//! What calls cost.

use std::time::Duration;

use evergreen_proto::api::v1::{
    ExportTreesRequest, GetFolderSubtreeRequest, GetTreeRequest, ListTreesRequest,
    SearchTreesRequest,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    fill::{COMMON, Size, USUAL, unique},
    shelf::{Shelf, User},
};
use crate::{bench::system::Process, errors::Error, lab::Failure, paint};

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation {
    Get,
    List,
    ListNext,
    SearchCommon,
    SearchRare,
    SearchUsual,
    Subtree,
}

pub(super) const OPERATIONS: [Operation; 7] = [
    Operation::List,
    Operation::ListNext,
    Operation::Get,
    Operation::Subtree,
    Operation::SearchRare,
    Operation::SearchUsual,
    Operation::SearchCommon,
];

impl Operation {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "get a tree",
            Self::List => "list, first page of 50",
            Self::ListNext => "list, second page",
            Self::SearchCommon => "search a word of every tree",
            Self::SearchRare => "search a word of one tree",
            Self::SearchUsual => "search two usual words",
            Self::Subtree => "all folders of a user",
        }
    }
}

/// What a call costs with few trees and with many: medians.
#[derive(Debug)]
pub(super) struct Cost {
    operation: Operation,
    few: Duration,
    many: Duration,
}

impl Cost {
    fn ratio(&self) -> f64 {
        self.many.as_secs_f64() / self.few.as_secs_f64()
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "call": self.operation.name(), "few_seconds": self.few.as_secs_f64(),
            "many_seconds": self.many.as_secs_f64(), "ratio": self.ratio(),
        })
    }

    pub(super) fn print_head(few: u32, many: u32) -> Result<(), Error> {
        let header = format!(
            "{:<30} {:>14} {:>14} {:>7}",
            "trees",
            few.to_string(),
            many.to_string(),
            "ratio"
        );
        paint::line(paint::styled(paint::HEADING, header))
    }

    pub(super) fn print(&self) -> Result<(), Error> {
        let micros = |cost: Duration| format!("{:.0} µs", cost.as_secs_f64() * 1e6);
        paint::line(format_args!(
            "{:<30} {:>14} {:>14} {:>7.2}",
            self.operation.name(),
            micros(self.few),
            micros(self.many),
            self.ratio()
        ))
    }
}

/// Calls both in turn, one call at a time.
pub(super) async fn compare(
    operation: Operation,
    few: (&Shelf, Size),
    many: (&Shelf, Size),
    calls: u32,
) -> Result<Cost, Failure> {
    let (mut of_few, mut of_many) = (Vec::new(), Vec::new());
    for number in 0..calls {
        // The first tenth warms caches up.
        let keep = number >= calls / 10;
        for ((shelf, size), costs) in [(few, &mut of_few), (many, &mut of_many)] {
            let prepared = prepare(operation, shelf, size, number).await?;
            let start = Instant::now();
            call(operation, &prepared).await?;
            if keep {
                costs.push(start.elapsed());
            }
        }
    }
    Ok(Cost { operation, few: median(of_few), many: median(of_many) })
}

/// A user, and what the call is about.
struct Prepared {
    user: User,
    about: String,
}

async fn prepare(
    operation: Operation,
    shelf: &Shelf,
    size: Size,
    number: u32,
) -> Result<Prepared, Failure> {
    // Every second time the one who owns most.
    let owner =
        if number.is_multiple_of(2) { 0 } else { 1 + number % size.users.saturating_sub(1).max(1) };
    let owner = owner.min(size.users - 1);
    let user = shelf.user(owner)?;
    let mut client = user.client.clone();
    let about = match operation {
        Operation::Get => {
            let list =
                ListTreesRequest { page_size: 20, mine: true, ..ListTreesRequest::default() };
            let trees = client.list_trees(user.ask(list)).await?.into_inner().trees;
            let tree = trees.get(number as usize % trees.len().max(1));
            tree.map(|tree| tree.tree_id.clone()).ok_or("there is no tree to get")?
        }
        Operation::ListNext => {
            client.list_trees(user.ask(first_page())).await?.into_inner().next_page_token
        }
        Operation::SearchRare => unique(owner, number % size.trees_of(owner).max(1)),
        Operation::List | Operation::SearchCommon | Operation::SearchUsual | Operation::Subtree => {
            String::new()
        }
    };
    Ok(Prepared { user, about })
}

async fn call(operation: Operation, prepared: &Prepared) -> Result<(), Failure> {
    let Prepared { user, about } = prepared;
    let mut client = user.client.clone();
    let found = match operation {
        Operation::Get => {
            let request = GetTreeRequest { tree_id: about.clone() };
            client.get_tree(user.ask(request)).await?.into_inner().tree.map_or(0, |t| t.nodes.len())
        }
        Operation::List | Operation::ListNext => {
            let request = ListTreesRequest { page_token: about.clone(), ..first_page() };
            client.list_trees(user.ask(request)).await?.into_inner().trees.len()
        }
        Operation::SearchCommon => search(user, COMMON.into()).await?,
        Operation::SearchRare => search(user, about.clone()).await?,
        Operation::SearchUsual => search(user, format!("{COMMON} {USUAL}")).await?,
        Operation::Subtree => {
            let request = GetFolderSubtreeRequest::default();
            client.get_folder_subtree(user.ask(request)).await?.into_inner().entries.len()
        }
    };
    if found == 0 { Err(format!("{}: nothing was found", operation.name()).into()) } else { Ok(()) }
}

async fn search(user: &User, query: String) -> Result<usize, Failure> {
    let request = SearchTreesRequest { query, page_size: 20, page_token: String::new() };
    let answer = user.client.clone().search_trees(user.ask(request)).await?;
    Ok(answer.into_inner().results.len())
}

fn first_page() -> ListTreesRequest {
    ListTreesRequest { page_size: 50, ..ListTreesRequest::default() }
}

fn median(mut costs: Vec<Duration>) -> Duration {
    costs.sort();
    costs.get(costs.len() / 2).copied().unwrap_or_default()
}

/// What a whole export took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exported {
    pub(super) trees: u32,
    pub(super) per_second: f64,
    /// By how many bytes the process grew, where it can be told.
    pub(super) grown: Option<u64>,
}

/// Exports all of the user who owns most.
pub(super) async fn exported(shelf: &Shelf) -> Result<Exported, Failure> {
    let user = shelf.user(0)?;
    let before = Process::Own.resident();
    let mut most = before;
    let start = Instant::now();
    let request = user.ask(ExportTreesRequest::default());
    let mut stream = user.client.clone().export_trees(request).await?.into_inner();
    let mut trees = 0_u32;
    while stream.message().await?.is_some() {
        trees += 1;
        if trees.is_multiple_of(1_000) {
            most = most.max(Process::Own.resident());
        }
    }
    let per_second = f64::from(trees) / start.elapsed().as_secs_f64();
    let grown = most.zip(before).map(|(most, before)| most.saturating_sub(before));
    Ok(Exported { trees, per_second, grown })
}
