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

/// The RPCs of the contract, in alphabetical order.
#[cfg(test)]
pub(super) fn promised() -> Vec<String> {
    use prost::Message as _;
    let files = prost_types::FileDescriptorSet::decode(evergreen_proto::FILE_DESCRIPTOR_SET);
    let files = files.unwrap().file;
    let file = files.iter().find(|file| file.package() == "evergreen.api.v1").unwrap();
    let [service] = file.service.as_slice() else { panic!("another service") };
    let mut names: Vec<_> = service.method.iter().map(|rpc| rpc.name().to_owned()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_of_the_contract_is_listed() {
        assert_eq!(promised(), METHODS);
    }
}
