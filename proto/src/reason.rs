//! The `ErrorInfo.reason`s of domain [`ERROR_DOMAIN`](crate::ERROR_DOMAIN). The comments of the
//! RPCs in the `.proto` files say which of them answers what.

macro_rules! reasons {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`")]
            pub const $name: &str = stringify!($name);
        )*

        /// Every reason, in alphabetical order.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

reasons! {
    ACCESS_TOKEN_EXPIRED
    ACCESS_TOKEN_INVALID
    ACCESS_TOKEN_MISSING
    ACCOUNT_DISABLED
    ACCOUNT_LOCKED
    AFTER_SUPERSEDED_INVALID
    CATEGORY_IN_USE
    CATEGORY_NOT_FOUND
    CATEGORY_SLUG_TAKEN
    CLIENT_CERTIFICATE_MISMATCH
    CURSOR_EXPIRED
    DEADLINE_EXCEEDED
    ETAG_MISMATCH
    FIELD_INVALID
    FOLDER_CYCLE
    FOLDER_NAME_TAKEN
    FOLDER_NOT_EMPTY
    FOLDER_NOT_FOUND
    FOLDER_TOO_DEEP
    FOLDER_TOO_LARGE
    IDEMPOTENCY_KEY_INVALID
    IMPORT_CHANGED
    IMPORT_INTERRUPTED
    IMPORT_RUNNING
    INTERNAL
    INVALID_CREDENTIALS
    KEYS_UNAVAILABLE
    LAST_ADMIN
    OVERLOADED
    PAGE_TOKEN_INVALID
    PASSWORD_CHANGED
    PERMISSION_DENIED
    RATE_LIMITED
    REFRESH_SUPERSEDED
    REFRESH_TOKEN_EXPIRED
    REFRESH_TOKEN_INVALID
    REFRESH_TOKEN_MISSING
    REFRESH_TOKEN_REUSED
    REGISTRATION_CLOSED
    REVOCATIONS_UNAVAILABLE
    SERVICE_ACCOUNT_NOT_FOUND
    SERVICE_NAME_TAKEN
    SESSION_NOT_FOUND
    SESSION_REVOKED
    SIGNING_KEY_NOT_FOUND
    STORAGE_UNAVAILABLE
    TOO_MANY_FOLDERS
    TOO_MANY_SECRETS
    TREE_DELETED
    TREE_NOT_DELETED
    TREE_NOT_FOUND
    TREE_REVISION_NOT_FOUND
    USERNAME_TAKEN
    USER_NOT_FOUND
}

#[cfg(test)]
mod tests {
    use super::ALL;

    const CONTRACT: [&str; 3] = [
        include_str!("../evergreen/auth/v1/auth.proto"),
        include_str!("../evergreen/auth/v1/admin.proto"),
        include_str!("../evergreen/api/v1/api.proto"),
    ];

    #[test]
    fn reasons_are_sorted_and_each_is_promised_in_the_contract() {
        assert!(ALL.is_sorted());
        for reason in ALL {
            let promised = match *reason {
                // The contract calls it "a field violation".
                super::FIELD_INVALID => "a field violation",
                reason => reason,
            };
            assert!(CONTRACT.iter().any(|file| file.contains(promised)), "{reason}");
        }
    }
}
