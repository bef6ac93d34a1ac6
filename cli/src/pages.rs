//! Lists that come in pages.

use crate::errors::Error;

/// Everything, page after page, up to `limit`.
pub(crate) async fn all<T>(
    limit: usize,
    page: impl AsyncFn(String) -> Result<(Vec<T>, String), Error>,
) -> Result<Vec<T>, Error> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let (more, next) = page(token).await?;
        items.extend(more);
        if next.is_empty() || items.len() >= limit {
            items.truncate(limit);
            return Ok(items);
        }
        token = next;
    }
}

/// As many as a page holds.
pub(crate) const PAGE: i32 = 500;
