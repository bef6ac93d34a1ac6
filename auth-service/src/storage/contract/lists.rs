//! What administrators list.

use std::time::Duration;

use uuid::Uuid;

use super::{Fixture, START, event, hash, session_id, user_id};
use crate::{
    domain::{
        audit::{AuditEvent, EventKind},
        id::AccountId,
        listing::{EventFilter, EventPosition, NameRange, UserSummary},
        secret::Username,
        user::{LastAdmin, NewUser, Role, Status},
    },
    storage::store::Store,
};

/// Creates users of these names, with ids from 1 on.
async fn with_names<S: Store>(fixture: &Fixture<S>, names: &[&str]) {
    for (n, name) in (1..).zip(names) {
        let user = NewUser {
            id: user_id(n),
            username: Username::parse(name).unwrap(),
            password: hash("v1"),
            roles: vec![Role::Viewer, Role::Admin],
            create_time: START,
        };
        fixture.store.create_user(&user, None, &event()).await.unwrap();
    }
}

pub(in crate::storage) async fn users_are_listed_by_name_beginning_and_status<S: Store>(
    fixture: &Fixture<S>,
) {
    // In the order of a language, the marks would not count.
    with_names(fixture, &["bob", "Ada", "ada.b", "adaa", "ada-b", "ADAM", "ad", "a_z", "aaz"])
        .await;
    let store = &fixture.store;
    let by = LastAdmin::MayGo;
    assert!(store.set_status(user_id(2), Status::Disabled, by, &event()).await.unwrap());
    assert!(store.set_status(user_id(6), Status::Disabled, by, &event()).await.unwrap());
    let listed = async |range: &NameRange, status, limit| {
        let users = store.list_users(range, status, limit).await.unwrap();
        users.into_iter().map(|user| user.username).collect::<Vec<_>>()
    };
    let beginning = |prefix| NameRange::beginning_with(prefix).unwrap();
    let in_order = ["a_z", "aaz", "ad", "Ada", "ada-b", "ada.b", "adaa", "ADAM", "bob"];
    assert_eq!(listed(&beginning(""), None, 100).await, in_order);
    assert_eq!(listed(&beginning("ADA"), None, 100).await, in_order[3..8]);
    assert_eq!(listed(&beginning("ada"), None, 2).await, ["Ada", "ada-b"]);
    assert_eq!(listed(&beginning("ada").after("ada-b"), None, 2).await, ["ada.b", "adaa"]);
    assert_eq!(listed(&beginning("ada").after("adam"), None, 2).await, [""; 0]);
    assert_eq!(listed(&beginning("bobo"), None, 2).await, [""; 0]);
    let disabled = Some(Status::Disabled);
    assert_eq!(listed(&beginning(""), disabled, 100).await, ["Ada", "ADAM"]);
    assert_eq!(listed(&beginning("").after("ada"), disabled, 100).await, ["ADAM"]);
    assert_eq!(listed(&beginning("ada-"), disabled, 100).await, [""; 0]);
    assert_eq!(listed(&beginning("ad"), Some(Status::Active), 2).await, ["ad", "ada-b"]);
    // All of a user, from whichever end of the list.
    let whole = UserSummary {
        id: user_id(6),
        username: "ADAM".into(),
        status: Status::Disabled,
        roles: vec![Role::Viewer, Role::Admin],
        create_time: START,
    };
    assert_eq!(store.list_users(&beginning("adam"), disabled, 1).await.unwrap(), [whole]);
}

pub(in crate::storage) async fn events_are_listed_newest_first_by_what_they_are_of<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    let kinds = [EventKind::LoginFailed, EventKind::LoginSucceeded, EventKind::ServiceCreated];
    // Every pair of a kind and an account, two in each millisecond.
    let mut events: Vec<_> = (0..36_u64)
        .map(|n| {
            let kind = kinds[usize::try_from(n % 3).unwrap()];
            let account = Some(n / 3 % 4).filter(|account| *account > 0);
            let session = Some(n / 12).filter(|session| *session > 0);
            AuditEvent {
                time: START + Duration::from_millis(n / 2),
                kind,
                account: account.map(|id| kind.account(Uuid::from_u128(id.into()))),
                session: session.map(|id| session_id(id.into())),
                ..event()
            }
        })
        .collect();
    store.record(&events).await.unwrap();
    events.reverse();
    let end = EventPosition::end(None);
    let listed = async |filter: &EventFilter, before, limit| {
        store.list_events(filter, before, limit).await.unwrap()
    };
    assert_eq!(listed(&EventFilter::default(), end, 100).await, events);
    let middle = START + Duration::from_millis(9);
    let mut counted = 0;
    for which in 0..16 {
        let has = |bit: u32| (which & bit != 0).then_some(());
        let filter = EventFilter {
            kind: has(1).map(|()| EventKind::LoginFailed),
            account: has(2).map(|()| Uuid::from_u128(2)),
            session: has(4).map(|()| session_id(1)),
            since: has(8).map(|()| middle),
        };
        // By hand, not by the filter's own rule.
        let all = events.iter().filter(|event| {
            (which & 1 == 0 || event.kind == EventKind::LoginFailed)
                && (which & 2 == 0 || event.account.map(AccountId::uuid) == filter.account)
                && (which & 4 == 0 || event.session == Some(session_id(1)))
                && (which & 8 == 0 || event.time >= middle)
        });
        let all: Vec<_> = all.cloned().collect();
        counted += all.len();
        // Page by page, each of which begins after the last one's last.
        let (mut pages, mut before) = (Vec::new(), end);
        loop {
            let page = listed(&filter, before, 3).await;
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 3);
            before = EventPosition { time: last.time, id: last.id };
            pages.extend(page);
        }
        assert_eq!(pages, all, "{filter:?}");
        let earlier: Vec<_> = all.iter().filter(|event| event.time < middle).cloned().collect();
        assert_eq!(listed(&filter, EventPosition::end(Some(middle)), 100).await, earlier);
    }
    assert!(counted > 36, "{counted}");
}

pub(in crate::storage) async fn pages_of_events_stay_as_they_are_whatever_happens_meanwhile<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    let at = |milli| AuditEvent { time: START + Duration::from_millis(milli), ..event() };
    let mut events: Vec<_> = (0..4).map(|n| at(n * 10)).collect();
    store.record(&events).await.unwrap();
    events.reverse();
    let filter = EventFilter::default();
    let first = store.list_events(&filter, EventPosition::end(None), 2).await.unwrap();
    assert_eq!(first, events[..2]);
    // One that is newer than all, and one in between that was stored late.
    let late = at(5);
    store.record(&[at(99), late.clone()]).await.unwrap();
    let before = EventPosition { time: first[1].time, id: first[1].id };
    let second = store.list_events(&filter, before, 9).await.unwrap();
    assert_eq!(second, [events[2].clone(), late, events[3].clone()]);
}

pub(in crate::storage) async fn the_key_of_page_tokens_is_the_first_that_was_offered<S: Store>(
    fixture: &Fixture<S>,
) {
    assert_eq!(fixture.store.page_token_key([1; 32]).await.unwrap(), [1; 32]);
    assert_eq!(fixture.store.page_token_key([2; 32]).await.unwrap(), [1; 32]);
}

/// Filters of events, each with the index that its list is read from.
pub(in crate::storage) fn list_filters() -> [(EventFilter, &'static str); 5] {
    let all = EventFilter::default;
    let since = Some(START);
    [
        (
            EventFilter { since, kind: Some(EventKind::LoginFailed), ..all() },
            "audit_events_by_kind",
        ),
        (EventFilter { since, account: Some(Uuid::nil()), ..all() }, "audit_events_by_account"),
        (EventFilter { session: Some(session_id(1)), ..all() }, "audit_events_by_session"),
        (EventFilter { since, ..all() }, "PRIMARY KEY"),
        (all(), "PRIMARY KEY"),
    ]
}
