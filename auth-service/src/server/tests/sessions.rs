//! Lists of sessions.

use secrecy::ExposeSecret as _;

use super::{
    limits::{PASSWORD, serve},
    *,
};
use crate::app::{Authenticated, Origin, PageRequest};

#[tokio::test]
async fn a_page_token_is_of_one_users_list() {
    let served = serve(|_| {}).await;
    let app = &served.app;
    let by = Administrator::OPERATOR;
    app.add_user(by, "bob", PASSWORD.into(), vec![Role::Editor]).await.unwrap();
    let login = async |name| -> Authenticated {
        let tokens = app.login(name, PASSWORD.into(), String::new(), Origin::default()).await;
        app.authenticate(tokens.unwrap().access_token.expose_secret()).await.unwrap()
    };
    let list = async |caller: &Authenticated, token: &str| {
        app.list_sessions(caller, PageRequest { size: 1, token }).await
    };
    let (first, last, other) = (login("ada").await, login("ada").await, login("bob").await);
    let page = list(&first, "").await.unwrap();
    let token = page.next_token;
    // Of the one who asks, with whichever session.
    for caller in [&first, &last] {
        let rest = list(caller, &token).await.unwrap();
        assert!(rest.items.len() == 1 && rest.items[0].id != page.items[0].id);
        assert_eq!(rest.next_token, "");
    }
    assert!(matches!(list(&other, &token).await, Err(AppError::PageTokenInvalid)));
}
