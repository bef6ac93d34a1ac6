//! What the guard asks of the caller of each RPC.

use client_sdk::guard::Policy;

/// Every RPC needs a good token. What its holder's role may do is decided further in, beside what
/// the thing belongs to: see `domain::policy`.
pub(crate) fn guard_policy() -> Policy {
    METHODS.iter().fold(Policy::deny_all(), |policy, method| {
        policy.authenticated(format!("/evergreen.api.v1.ApiService/{method}"))
    })
}

const METHODS: [&str; 26] = [
    "CreateCategory",
    "CreateFolder",
    "CreateTree",
    "DeleteCategory",
    "DeleteFolder",
    "DeleteTree",
    "ExportTrees",
    "GetCategory",
    "GetFolder",
    "GetFolderSubtree",
    "GetTree",
    "GetTreeRevision",
    "ImportTrees",
    "ListCategories",
    "ListDeletedTrees",
    "ListFolders",
    "ListTreeRevisions",
    "ListTrees",
    "MoveFolder",
    "RollbackTree",
    "SearchTrees",
    "UndeleteTree",
    "UpdateCategory",
    "UpdateFolder",
    "UpdateTree",
    "WatchChanges",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_contract_is_listed() {
        let proto = include_str!("../../../proto/evergreen/api/v1/api.proto");
        let mut promised: Vec<_> = proto
            .lines()
            .filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next())
            .collect();
        promised.sort_unstable();
        assert_eq!(promised, METHODS);
    }
}
