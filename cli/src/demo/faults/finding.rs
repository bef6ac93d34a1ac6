//! What came of a fault.

use serde_json::Value;

/// Figures that were counted, and whether they are as claimed.
#[derive(Debug)]
pub(super) struct Finding {
    /// As the table shows it.
    pub(super) shown: String,
    /// Everything that was counted.
    pub(super) figures: Value,
    /// Whether the claim held.
    pub(super) holds: bool,
}
