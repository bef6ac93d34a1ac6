//! What to do next.

use evergreen_proto::reason;
use transport::tls::Distrust;

use super::Exit;

/// The next step after a server's refusal, where its own sentence does not say it in terms of this
/// command line.
pub(super) fn for_reason(reason: &str) -> Option<&'static str> {
    Some(match reason {
        reason::INVALID_CREDENTIALS => "Check the user name and the password.",
        reason::ACCOUNT_DISABLED => "Ask an administrator.",
        reason::ACCOUNT_LOCKED => "Wait, longer after each failure. Who is signed in stays so.",
        reason::REGISTRATION_CLOSED => "Ask an administrator for an account.",
        reason::USERNAME_TAKEN => {
            "Choose another name, or log in with `evergreen login` if it is yours."
        }
        reason::CLIENT_CERTIFICATE_MISMATCH => {
            "Show the certificate that you logged in with: `--cert FILE --key FILE`."
        }
        reason::USER_NOT_FOUND => "`evergreen admin users list` shows the users.",
        reason::SERVICE_ACCOUNT_NOT_FOUND => {
            "Name it by the client id that was shown when it was made."
        }
        reason::SIGNING_KEY_NOT_FOUND => "`evergreen admin keys list` shows the signing keys.",
        reason::ETAG_MISMATCH => {
            "Look at it again, then repeat the command. Nothing was overwritten."
        }
        reason::TREE_NOT_FOUND => "`evergreen trees list` shows the trees that you may read.",
        reason::TREE_REVISION_NOT_FOUND => {
            "`evergreen trees history TREE` shows the revisions that are kept."
        }
        reason::TREE_DELETED => "Bring it back first: `evergreen trees restore TREE`.",
        reason::TREE_NOT_DELETED => "There is nothing to restore.",
        reason::FOLDER_NOT_FOUND => "`evergreen folders tree` shows your folders.",
        reason::FOLDER_NOT_EMPTY => {
            "Empty it first, or delete it with all that is in it: `--force`."
        }
        reason::FOLDER_TOO_LARGE => {
            "Delete the folders below it one by one, or move its trees elsewhere first."
        }
        reason::FOLDER_NAME_TAKEN => "Choose another name.",
        reason::CATEGORY_NOT_FOUND => "`evergreen categories list` shows the categories.",
        reason::CATEGORY_IN_USE => "Name a category for its trees: `--move-trees-to CATEGORY`.",
        reason::CATEGORY_SLUG_TAKEN => "Choose another slug: `--slug SLUG`.",
        reason::CURSOR_EXPIRED => "List anew, then watch without `--since`.",
        reason::IMPORT_CHANGED => "Import it as a new one: `--again`.",
        reason::IMPORT_RUNNING => "Wait until the other import ends.",
        reason::PERMISSION_DENIED => {
            "It is another's, or your role does not allow it; `evergreen whoami` shows your role."
        }
        _ => return None,
    })
}

/// The next step after a handshake that failed, which begins with what it failed of.
pub(super) const fn for_distrust(distrust: Distrust) -> (&'static str, &'static str) {
    match distrust {
        Distrust::Expired => (
            "The server's certificate has expired.",
            "Tell whoever runs it to renew it, or set this machine's clock.",
        ),
        Distrust::NotYetGood => (
            "The server's certificate is not good yet.",
            "Set this machine's clock, or the server's.",
        ),
        Distrust::Plaintext => (
            "What answers there speaks no TLS.",
            "If it is to be plaintext, name it by an http:// URL.",
        ),
        Distrust::Refused => (
            "The server would not have this client's certificate, or asks for one.",
            "Show one of a CA that it trusts, and that has not expired: `--cert FILE --key FILE`.",
        ),
        Distrust::WrongName => (
            "The server's certificate is for another name.",
            "Name it by `--auth` or `--api` as in its certificate.",
        ),
        // `Untrusted`, and what is the likeliest of causes to come.
        _ => (
            "The server's certificate is of a CA that is not trusted here.",
            "Name that CA: `--ca FILE`.",
        ),
    }
}

/// The next step where a connection was closed without a word.
pub(super) const CLOSED: &str = "Try again in a moment. If the server asks for a certificate, show it \
                                 one: `--cert FILE --key FILE`.";

/// The next step after any other failure of this kind.
pub(super) fn for_exit(exit: Exit) -> Option<&'static str> {
    match exit {
        Exit::Unreachable => Some("Try again in a moment."),
        Exit::Unread
        | Exit::Failure
        | Exit::Usage
        | Exit::NotSignedIn
        | Exit::NotFound
        | Exit::Conflict
        | Exit::Denied
        | Exit::Invalid => None,
    }
}
