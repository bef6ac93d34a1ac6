//! Categories that go, and whose trees move to another.

use super::{context::App, error::AppError};
use crate::{
    domain::{caller::Caller, etag::Etag, id::CategoryId, policy::Action, violation::Violation},
    storage::Target,
};

impl App {
    /// Moves everybody's trees to another category and deletes this one; answers how many moved.
    ///
    /// They move batch by batch, so that other writers get their turn in between. If that ends
    /// early, the trees that have moved stay there, and another call moves the rest.
    pub(crate) async fn merge_category(
        &self,
        caller: &Caller,
        id: CategoryId,
        etag: Option<Etag>,
        into: CategoryId,
    ) -> Result<u64, AppError> {
        Self::allow(caller, Action::WriteCategories)?;
        if into == id {
            let mend = "must be another category than the one to delete";
            return Err(Violation::new("move_trees_to", mend).into());
        }
        let mut moved = 0;
        loop {
            let fresh = Etag::new(&*self.entropy);
            let target = Target { id: into, etag: fresh, now: self.clock.now() };
            let step = self.store.merge_category(id, etag.as_ref(), &target, MOVED_AT_ONCE).await?;
            moved += step.moved;
            if step.done {
                return Ok(moved);
            }
        }
    }
}

const MOVED_AT_ONCE: i64 = 1_000;
