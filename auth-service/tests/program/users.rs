//! Users, as an operator makes them.

use crate::harness::place;

#[test]
fn a_user_is_made_with_a_password_of_standard_input_and_by_no_other_silent_way() {
    let place = place();
    let create = ["user", "create", "--admin", "ada"];
    let stdin = [&create[..], &["--password-stdin"]].concat();
    let refused = place.refused(&create);
    assert!(refused.contains("--password-stdin"), "{refused}");
    let empty = place.told(&stdin, "");
    assert!(empty.code == Some(1) && empty.stderr.contains("the password is empty"), "{empty:?}");
    assert!(!place.data("auth.db").exists(), "nothing was made");

    let made = place.told(&stdin, "correct horse battery staple");
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.starts_with("ada is admin "), "{}", made.stdout);
    let weak = place.told(&["user", "create", "bob", "--password-stdin"], "bob");
    assert!(weak.code == Some(1) && weak.stderr.contains("password"), "{weak:?}");
    assert_eq!(place.done(&["user", "unlock", "ada"]), "ada is unlocked already\n");
    let last = place.refused(&["user", "disable", "ada"]);
    assert!(last.contains("last administrator"), "{last}");

    let _serving = place.serve(&[]);
    for args in [&["user", "enable", "ada"][..], &["keys", "list"]] {
        let refused = place.refused(args);
        assert!(refused.contains("in use by another process; stop it"), "{refused}");
    }
}
