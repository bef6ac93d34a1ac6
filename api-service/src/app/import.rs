//! Trees that come in one after another.

use std::time::Duration;

use token::clock::Timestamp;

use super::{context::App, error::AppError};
use crate::{
    domain::{
        caller::Caller,
        etag::Etag,
        id::TreeId,
        import::Progress,
        policy::Action,
        tree::{Content, Edit, Tree},
    },
    storage::{ImportError, ImportStep, StoreError},
};

/// An import under way: what was created, what is there already, and what is to come.
#[derive(Debug)]
pub(crate) struct Importing {
    app: App,
    owner: String,
    /// Names it, if it can go on after a break.
    key: Option<String>,
    /// What earlier streams have created.
    there: Progress,
    /// As far as this stream was read and is there.
    done: Progress,
    /// What was read and is not there yet, and how far it would be with each.
    group: Vec<(Tree, Progress)>,
    /// The newest of these trees, which the next one comes after.
    newest: Option<(Timestamp, TreeId)>,
}

/// What an import came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Imported {
    pub(crate) created: i64,
    pub(crate) skipped: i64,
}

impl App {
    pub(crate) async fn import_trees(
        &self,
        caller: &Caller,
        key: Option<String>,
    ) -> Result<Importing, AppError> {
        Self::allow(caller, Action::WriteTrees)?;
        let owner = caller.user_id.clone();
        let there = match &key {
            Some(key) => self.store.import(&owner, key, self.clock.now()).await?,
            None => None,
        };
        Ok(Importing {
            app: self.clone(),
            owner,
            key,
            there: there.unwrap_or_default(),
            done: Progress::default(),
            group: Vec::new(),
            newest: None,
        })
    }

    /// Forgets imports that can go on no longer, batch by batch; answers how many there were.
    pub(crate) async fn trim_imports(&self) -> Result<u64, StoreError> {
        let mut trimmed = 0;
        loop {
            let batch = self.store.trim_imports(self.clock.now(), TRIMMED_AT_ONCE).await?;
            trimmed += batch;
            if batch < TRIMMED_AT_ONCE.unsigned_abs() {
                return Ok(trimmed);
            }
        }
    }
}

impl Importing {
    /// How many trees there are of this import, earlier streams' included.
    pub(crate) fn created(&self) -> i64 {
        self.there.created.max(self.done.created)
    }

    /// Takes in the next tree of the stream, which is created by the next [`Self::commit`]. What is
    /// there already is passed over.
    pub(crate) fn push(&mut self, edit: Edit) -> Result<(), AppError> {
        let content = edit.apply(Content::default());
        let last = self.group.last().map_or(&self.done, |(_, progress)| progress);
        // What nobody can go on with need not be told from others.
        let progress = match self.key {
            Some(_) => last.with(&content),
            None => Progress { created: last.created + 1, ..Progress::default() },
        };
        if progress.created <= self.there.created {
            if progress.created == self.there.created && progress != self.there {
                return Err(AppError::ImportChanged);
            }
            self.done = progress;
            return Ok(());
        }
        content.check_size("tree.nodes")?;
        let app = &self.app;
        // Lists and exports go by the instant, and within one by the id.
        let (now, id) = match self.newest {
            Some((last, newest)) => {
                let now = app.clock.now().max(last);
                (now, TreeId::new(now, &*app.entropy).max(newest.successor()))
            }
            None => {
                let now = app.clock.now();
                (now, TreeId::new(now, &*app.entropy))
            }
        };
        self.newest = Some((now, id));
        let etag = Etag::new(&*app.entropy);
        let tree = Tree::new(id, self.owner.clone(), content, etag, now);
        self.group.push((tree, progress));
        Ok(())
    }

    /// Creates what was taken in. If one cannot be created, those before it are.
    pub(crate) async fn commit(&mut self) -> Result<(), AppError> {
        let (trees, steps): (Vec<_>, Vec<_>) = self.group.drain(..).unzip();
        match self.create(&trees, &steps).await {
            Err(ImportError::Tree(at, error)) => {
                match self.create(&trees[..at], &steps[..at]).await {
                    Ok(()) => Err(error.into()),
                    Err(other) => Err(other.into()),
                }
            }
            done => Ok(done?),
        }
    }

    /// At the end of the stream.
    pub(crate) fn finish(self) -> Result<Imported, AppError> {
        // Fewer trees than are there are other trees.
        if self.done.created < self.there.created {
            return Err(AppError::ImportChanged);
        }
        let skipped = self.there.created;
        Ok(Imported { created: self.done.created - skipped, skipped })
    }

    async fn create(&mut self, trees: &[Tree], steps: &[Progress]) -> Result<(), ImportError> {
        let Some(after) = steps.last() else { return Ok(()) };
        let now = self.app.clock.now();
        let step = self.key.clone().map(|key| ImportStep {
            owner: self.owner.clone(),
            key,
            before: self.done.created,
            after: after.clone(),
            now,
            expires_at: now + LIFE,
        });
        self.app.store.import_trees(trees, step.as_ref()).await?;
        self.done = after.clone();
        Ok(())
    }
}

impl From<ImportError> for AppError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Running => Self::ImportRunning,
            ImportError::Store(error) | ImportError::Tree(_, error) => error.into(),
        }
    }
}

/// How long a key names an import, after each step.
const LIFE: Duration = Duration::from_secs(7 * 24 * 3_600);
const TRIMMED_AT_ONCE: i64 = 1_000;
